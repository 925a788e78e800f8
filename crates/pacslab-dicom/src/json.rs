//! The DICOM JSON model. PS3.18 F.

use base64::Engine;
use pacslab_model::{PersonName, Vr};
use serde_json::{Map, Number, Value as Json, json};

use crate::dataset::{Dataset, Element, Value};

/// The JSON object of a data set. Group lengths are left out, values of bulk VRs are inlined.
pub fn to_json(dataset: &Dataset) -> Json {
    let members = dataset
        .iter()
        .filter(|e| !e.tag.is_group_length())
        .map(|element| (format!("{:08X}", element.tag.0), element_json(element)));
    Json::Object(members.collect())
}

fn element_json(element: &Element) -> Json {
    let mut object = Map::new();
    object.insert("vr".into(), Json::from(element.vr.as_str()));
    if element.is_empty() {
        return Json::Object(object);
    }
    match &element.value {
        Value::Items(items) => {
            object.insert("Value".into(), items.iter().map(to_json).collect());
        }
        Value::Bytes(bytes) => match element.to_text() {
            Some(text) => {
                object.insert(
                    "Value".into(),
                    text.split('\\').map(|v| binary_value(element.vr, v)).collect(),
                );
            }
            None => {
                let inline = base64::engine::general_purpose::STANDARD.encode(bytes);
                object.insert("InlineBinary".into(), Json::from(inline));
            }
        },
        Value::Text(_) => {
            let text = element.to_text().unwrap_or_default();
            let values: Json = if element.vr.is_single_text() {
                json!([text])
            } else {
                text.split('\\').map(|value| text_value(element.vr, value.trim())).collect()
            };
            object.insert("Value".into(), values);
        }
        Value::Fragments(fragments) => {
            let inline = base64::engine::general_purpose::STANDARD.encode(fragments.concat());
            object.insert("InlineBinary".into(), Json::from(inline));
        }
    }
    Json::Object(object)
}

fn text_value(vr: Vr, value: &str) -> Json {
    match vr {
        _ if value.is_empty() => Json::Null,
        Vr::PN => {
            let name = PersonName::new(value);
            let mut groups = Map::new();
            for (index, key) in ["Alphabetic", "Ideographic", "Phonetic"].into_iter().enumerate() {
                if !name.group(index).is_empty() {
                    groups.insert(key.into(), Json::from(name.group(index)));
                }
            }
            Json::Object(groups)
        }
        Vr::IS => value.parse::<i64>().map_or_else(|_| Json::from(value), Json::from),
        Vr::DS => number(value),
        _ => Json::from(value),
    }
}

fn binary_value(vr: Vr, value: &str) -> Json {
    match vr {
        Vr::FL | Vr::FD => number(value),
        Vr::AT => Json::from(value.replace(['(', ')', ','], "").to_uppercase()),
        _ => value
            .parse::<i64>()
            .map(Json::from)
            .or_else(|_| value.parse::<u64>().map(Json::from))
            .unwrap_or_else(|_| Json::from(value)),
    }
}

/// Numbers that JSON cannot hold (NaN, infinities) stay text. PS3.18 F.2.3.
fn number(value: &str) -> Json {
    if let Ok(whole) = value.parse::<i64>() {
        return Json::from(whole);
    }
    let number = value.parse::<f64>().ok().and_then(Number::from_f64);
    number.map_or_else(|| Json::from(value), Json::Number)
}

#[cfg(test)]
mod tests {
    use pacslab_model::tags;

    use super::*;

    #[test]
    fn json_follows_the_model() {
        let mut set = Dataset::new()
            .with_str(tags::PATIENT_NAME, Vr::PN, "Yamada^Tarou=山田^太郎")
            .with_str(tags::NUMBER_OF_STUDY_RELATED_SERIES, Vr::IS, "2")
            .with_str(tags::PIXEL_SPACING, Vr::DS, "0.5\\1")
            .with_str(tags::PATIENT_SEX, Vr::CS, "")
            .with_items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![Dataset::new()]);
        set.put_u16(tags::ROWS, 64);
        assert_eq!(
            to_json(&set),
            json!({
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎"}]},
                "00100040": {"vr": "CS"},
                "00201206": {"vr": "IS", "Value": [2]},
                "00280010": {"vr": "US", "Value": [64]},
                "00280030": {"vr": "DS", "Value": [0.5, 1]},
                "00400275": {"vr": "SQ", "Value": [{}]},
            })
        );
    }
}
