//! The attributes of an instance in Orthanc's JSON: `Full`, `Short` and `Simplify`.

use axum::extract::{Path, Query, State};
use pacslab_dicom::{Dataset, Element, TransferSyntax, Value as Held, dict, parse};
use pacslab_model::tags::{FILE_META_GROUP_LENGTH, FILE_META_VERSION};
use pacslab_model::{Tag, Vr, tags};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{instance, styled};
use crate::door::At;
use crate::error::Result;
use crate::object;

/// Longer texts are left out of the JSON.
const LONGEST: usize = 256;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `"0010,0020": {"Name", "Type", "Value"}`
    Full,
    /// `"0010,0020": "P12345"`
    Short,
    /// `"PatientID": "P12345"`
    Simple,
}

/// `?simplify`, `?short`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct FormParams {
    simplify: Option<String>,
    short: Option<String>,
}

impl FormParams {
    pub(crate) fn form(&self) -> Form {
        match (&self.simplify, &self.short) {
            (Some(_), _) => Form::Simple,
            (None, Some(_)) => Form::Short,
            (None, None) => Form::Full,
        }
    }
}

pub(crate) async fn tags(at: At, path: Path<String>, Query(params): Query<FormParams>) -> Result {
    answer(at, path, params.form()).await
}

pub(crate) async fn simplified(at: At, path: Path<String>) -> Result {
    answer(at, path, Form::Simple).await
}

async fn answer(State(door): At, Path(id): Path<String>, form: Form) -> Result {
    let object = instance::object(&door, &id).await?;
    let value = object::with(object, move |object| {
        let mut set = object::head(&object)?;
        if pacslab_codec::frames(&set) > 0 && set.contains(tags::ROWS) {
            set.put_bytes(tags::PIXEL_DATA, Vr::OW, Vec::new());
        }
        Ok(json(&set, form))
    })
    .await?;
    Ok(styled(&value))
}

/// `GET /instances/{id}/header`: the file meta information (PS3.10 7.1).
pub(crate) async fn header(State(door): At, Path(id): Path<String>) -> Result {
    /// Preamble and `DICM`.
    const BEGIN: usize = 132;
    let object = instance::object(&door, &id).await?;
    let group = object.file.get(BEGIN..object.start).unwrap_or_default();
    let set = parse(group, &TransferSyntax::ExplicitLe)?;
    let mut value = json(&set, Form::Full);
    if let (Some(length), Value::Object(members)) = (set.get(FILE_META_GROUP_LENGTH), &mut value) {
        let keyword = dict::keyword(length.tag);
        members.insert(digits(length.tag), member(length, keyword, Form::Full));
        // binary values are not shown
        members.remove(&digits(FILE_META_VERSION));
    }
    Ok(styled(&value))
}

pub(crate) fn json(set: &Dataset, form: Form) -> Value {
    let members = set.iter().filter(|e| !e.tag.is_group_length()).map(|element| {
        let keyword = dict::keyword(element.tag);
        let digits = digits(element.tag);
        let name = match (form, keyword) {
            (Form::Simple, Some(keyword)) => keyword.to_owned(),
            _ => digits,
        };
        (name, member(element, keyword, form))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn member(element: &Element, keyword: Option<&str>, form: Form) -> Value {
    let (kind, value) = match &element.value {
        Held::Items(items) => {
            ("Sequence", items.iter().map(|item| json(item, form)).collect::<Value>())
        }
        _ => match element.to_text() {
            Some(text) if text.chars().count() > LONGEST => ("TooLong", Value::Null),
            Some(text) => ("String", Value::from(text)),
            None => ("Null", Value::Null),
        },
    };
    if form != Form::Full {
        return value;
    }
    let private = if element.tag.is_private() { "Private tag" } else { "Unknown Tag & Data" };
    json!({"Name": keyword.unwrap_or(private), "Type": kind, "Value": value})
}

fn digits(tag: Tag) -> String {
    format!("{:04x},{:04x}", tag.group(), tag.element())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let set = Dataset::new()
            .with_str(tags::PATIENT_ID, Vr::LO, "P12345")
            .with_str(Tag::new(0x0009, 0x0010), Vr::LO, "ACME")
            .with_items(
                tags::REQUEST_ATTRIBUTES_SEQUENCE,
                vec![Dataset::new().with_str(tags::PATIENT_COMMENTS, Vr::LT, "x".repeat(300))],
            );
        assert_eq!(
            json(&set, Form::Simple),
            json!({
                "PatientID": "P12345",
                "0009,0010": "ACME",
                "RequestAttributesSequence": [{"PatientComments": null}],
            })
        );
        let full = json(&set, Form::Full);
        assert_eq!(
            full["0010,0020"],
            json!({"Name": "PatientID", "Type": "String", "Value": "P12345"})
        );
        assert_eq!(full["0040,0275"]["Type"], "Sequence");
        assert_eq!(full["0040,0275"]["Value"][0]["0010,4000"]["Type"], "TooLong");
        assert_eq!(json(&set, Form::Short)["0010,0020"], "P12345");
    }
}
