//! Values of JSON as elements. Orthanc's clients write them as text, whatever the VR.

use pacslab_dicom::{Dataset, Element, Value as Held, dict};
use pacslab_model::{Tag, Vr};
use serde_json::Value;

use crate::error::{Error, Result};

/// `PatientName`, `0010,0010`, `0010-0010` or `00100010`.
pub(crate) fn tag(name: &str) -> Result<Tag> {
    dict::tag(name).or_else(|| dict::tag(&name.replace('-', ","))).ok_or_else(|| {
        Error::BadRequest(format!("'{name}' is no attribute: write PatientName or 0010,0010"))
    })
}

/// Puts a value: a text, a number, or for a sequence a list of objects.
pub(crate) fn put(set: &mut Dataset, tag: Tag, value: &Value) -> Result<()> {
    let vr = dict::vr(tag).unwrap_or(Vr::LO);
    let wrong = |what: &str| Error::BadRequest(format!("{tag}: {value} is no {what} ({vr:?})"));
    if vr == Vr::SQ {
        let items = match value {
            Value::Array(items) => items.as_slice(),
            Value::Object(_) => std::slice::from_ref(value),
            _ => return Err(wrong("list of items")),
        };
        let items: Result<Vec<Dataset>> = items
            .iter()
            .map(|item| {
                let mut made = Dataset::new();
                for (name, value) in item.as_object().ok_or_else(|| wrong("item"))? {
                    put(&mut made, self::tag(name)?, value)?;
                }
                Ok(made)
            })
            .collect();
        set.put_items(tag, items?);
        return Ok(());
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => String::new(),
        Value::Array(values) => {
            let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| wrong("list of texts"))?.join("\\")
        }
        _ => return Err(wrong("text")),
    };
    if vr.is_text() {
        set.put_str(tag, vr, text);
        return Ok(());
    }
    let bytes = numbers(vr, &text).ok_or_else(|| wrong("value that can be given as text"))?;
    set.put(Element { tag, vr, value: Held::Bytes(bytes) });
    Ok(())
}

fn numbers(vr: Vr, text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for number in text.split('\\').map(str::trim).filter(|number| !number.is_empty()) {
        match vr {
            Vr::US => bytes.extend(number.parse::<u16>().ok()?.to_le_bytes()),
            Vr::SS => bytes.extend(number.parse::<i16>().ok()?.to_le_bytes()),
            Vr::UL => bytes.extend(number.parse::<u32>().ok()?.to_le_bytes()),
            Vr::SL => bytes.extend(number.parse::<i32>().ok()?.to_le_bytes()),
            Vr::FL => bytes.extend(number.parse::<f32>().ok()?.to_le_bytes()),
            Vr::FD => bytes.extend(number.parse::<f64>().ok()?.to_le_bytes()),
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pacslab_model::tags;
    use serde_json::json;

    #[test]
    fn values_take_the_form_of_their_vr() {
        let mut set = Dataset::new();
        for name in ["PatientName", "0010,0010", "0010-0010", "00100010"] {
            assert_eq!(tag(name).unwrap(), tags::PATIENT_NAME);
        }
        put(&mut set, tags::ROWS, &json!("512")).unwrap();
        put(&mut set, tags::PATIENT_ID, &json!("P1")).unwrap();
        let procedure = tag("RequestAttributesSequence").unwrap();
        put(&mut set, procedure, &json!([{"ScheduledProcedureStepID": "S1"}])).unwrap();
        assert_eq!((set.u16(tags::ROWS), set.str(tags::PATIENT_ID)), (Some(512), "P1"));
        assert_eq!(set.items(procedure).len(), 1);
        assert!(put(&mut set, tags::ROWS, &json!("many")).is_err());
        assert!(put(&mut set, tags::PIXEL_DATA, &json!("x")).is_err());
        assert!(tag("Nonsense").is_err());
    }
}
