//! Query identifiers from what people type, and answers as tables and JSON.

use pacslab_dicom::{Dataset, Element, Value, dict};
use pacslab_model::{Key, Tag, Vr};
use serde_json::{Map, Value as Json};

use crate::exit::{Failure, Result};

/// `KEYWORD=VALUE`, `KEYWORD` or `SEQUENCE.KEYWORD=VALUE`; tags may be digits (`0010,0010`).
pub(crate) fn put_key(identifier: &mut Dataset, text: &str) -> Result<()> {
    let (path, value) = text.split_once('=').unwrap_or((text, ""));
    let tags = path.split('.').map(tag).collect::<Result<Vec<Tag>>>()?;
    put(identifier, &tags, value)
}

/// Puts a value at the place of a tag, or of a tag in the first item of a sequence. Asking for
/// an attribute (an empty value) leaves a key that is there.
pub(crate) fn put(identifier: &mut Dataset, path: &[Tag], value: &str) -> Result<()> {
    let [tag, below @ ..] = path else { return Ok(()) };
    let vr = dict::vr(*tag).unwrap_or(Vr::UN);
    if below.is_empty() {
        if vr == Vr::SQ {
            if !value.is_empty() {
                let name = dict::name(*tag);
                return Err(Failure::usage(format!("{name} is a sequence and has no value"))
                    .hint(format!("name an attribute of its item: {name}.KEYWORD={value}")));
            }
            if !identifier.contains(*tag) {
                identifier.put_items(*tag, vec![Dataset::new()]);
            }
            return Ok(());
        }
        if value.is_empty() && identifier.contains(*tag) {
            return Ok(());
        }
        // dates and the like are checked here rather than by the peer
        Key::parse(*tag, vr, value).map_err(|bad| {
            let name = dict::name(*tag);
            Failure::usage(format!("{name}='{value}' is no {}", bad.expected))
        })?;
        put_value(identifier, *tag, vr, value)
    } else if vr == Vr::SQ {
        if !identifier.contains(*tag) {
            identifier.put_items(*tag, vec![Dataset::new()]);
        }
        match identifier.items_mut(*tag).and_then(|items| items.first_mut()) {
            Some(item) => put(item, below, value),
            None => Ok(()),
        }
    } else {
        Err(Failure::usage(format!("{} is no sequence", dict::name(*tag))))
    }
}

fn put_value(identifier: &mut Dataset, tag: Tag, vr: Vr, value: &str) -> Result<()> {
    let number = |what: &str| Failure::usage(format!("{}='{value}' is no {what}", dict::name(tag)));
    if value.is_empty() && !vr.is_text() {
        identifier.put_bytes(tag, vr, Vec::new());
        return Ok(());
    }
    match vr {
        Vr::US => {
            identifier.put_u16(tag, value.parse().map_err(|_| number("number of 0 to 65535"))?);
        }
        Vr::UL => {
            let number: u32 = value.parse().map_err(|_| number("number"))?;
            identifier.put_bytes(tag, vr, number.to_le_bytes().to_vec());
        }
        vr if vr.is_text() => identifier.put_str(tag, vr, value),
        vr => {
            return Err(Failure::usage(format!(
                "{} ({vr}) is no attribute to search by",
                dict::name(tag)
            )));
        }
    }
    Ok(())
}

fn tag(text: &str) -> Result<Tag> {
    dict::tag(text).ok_or_else(|| {
        Failure::usage(format!("'{text}' is no attribute of the dictionary")).hint(
            "use the keyword of PS3.6, e.g. PatientName, or the tag, e.g. 0010,0010 (no spaces)",
        )
    })
}

/// Every tag of an identifier that people asked for, in order, with the path to it.
pub(crate) fn paths(identifier: &Dataset) -> Vec<Vec<Tag>> {
    let mut all = Vec::new();
    for element in identifier {
        match &element.value {
            Value::Items(items) if items.iter().any(|item| !item.is_empty()) => {
                for item in items {
                    all.extend(paths(item).into_iter().map(|mut path| {
                        path.insert(0, element.tag);
                        path
                    }));
                }
            }
            _ => all.push(vec![element.tag]),
        }
    }
    all
}

/// The text at a path; sequences tell how many items they have.
pub(crate) fn text(dataset: &Dataset, path: &[Tag]) -> String {
    match path {
        [] => String::new(),
        [tag] => match dataset.get(*tag).map(|element| &element.value) {
            Some(Value::Items(items)) => format!("{} items", items.len()),
            _ => dataset.text_of(*tag).unwrap_or_default().into_owned(),
        },
        [tag, below @ ..] => {
            dataset.items(*tag).first().map(|item| text(item, below)).unwrap_or_default()
        }
    }
}

/// An object of keywords and texts: easier to use in scripts than the DICOM JSON model.
pub(crate) fn plain_json(dataset: &Dataset) -> Json {
    let members = dataset
        .iter()
        .filter(|e| !e.tag.is_group_length())
        .map(|element| (dict::name(element.tag), plain_value(element)));
    Json::Object(members.collect::<Map<_, _>>())
}

fn plain_value(element: &Element) -> Json {
    match &element.value {
        Value::Items(items) => items.iter().map(plain_json).collect(),
        _ => element.to_text().map_or(Json::Null, |text| Json::from(text.into_owned())),
    }
}

#[cfg(test)]
mod tests {
    use pacslab_model::tags;

    use super::*;

    fn identifier(keys: &[&str]) -> Result<Dataset> {
        let mut set = Dataset::new();
        keys.iter().try_for_each(|key| put_key(&mut set, key))?;
        Ok(set)
    }

    #[test]
    fn keys_are_keywords_digits_and_paths() {
        let set = identifier(&[
            "PatientName=DOE*",
            "0010,0020",
            "ScheduledProcedureStepSequence.Modality=CT",
            "ScheduledProcedureStepSequence.ScheduledStationAETitle=",
        ])
        .unwrap();
        assert_eq!(set.str(tags::PATIENT_NAME), "DOE*");
        assert_eq!(set.text(tags::PATIENT_ID), Some(""));
        assert_eq!(paths(&set).len(), 4);
        let path = [tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, tags::MODALITY];
        assert_eq!(text(&set, &path), "CT");
        let json = plain_json(&set);
        assert_eq!(json["ScheduledProcedureStepSequence"][0]["Modality"], "CT");
    }

    #[test]
    fn asking_for_an_attribute_keeps_its_key() {
        let set = identifier(&["PatientName=DOE*", "PatientName"]).unwrap();
        assert_eq!(set.str(tags::PATIENT_NAME), "DOE*");
    }

    #[test]
    fn nonsense_is_refused_before_it_is_sent() {
        for (key, word) in [
            ("Patient=1", "'Patient'"),
            ("StudyDate=2026-01-05", "StudyDate"),
            ("PatientName.Modality=CT", "no sequence"),
            ("ScheduledProcedureStepSequence=CT", "sequence"),
            ("Rows=many", "Rows"),
            ("PixelData=x", "no attribute to search by"),
        ] {
            let failure = identifier(&[key]).unwrap_err();
            assert!(failure.message.contains(word), "{key}: {}", failure.message);
        }
    }
}
