//! `POST /tools/find` and `POST /tools/lookup`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::State;
use pacslab_dicom::dict;
use pacslab_model::matching::Rules;
use pacslab_model::{Key, Level, Query, Tag, Test, Vr, tags};
use pacslab_store::Row;
use serde::Deserialize;
use serde_json::{Value, json};

use super::change::Labelled;
use super::{ids, plural, resource, singular, styled};
use crate::door::At;
use crate::error::{Error, Result};
use crate::intake::question;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Find {
    level: Option<String>,
    #[serde(default)]
    query: BTreeMap<String, Value>,
    #[serde(default)]
    expand: bool,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    since: usize,
    #[serde(default)]
    case_sensitive: bool,
    #[serde(default)]
    requested_tags: Vec<String>,
    #[serde(flatten)]
    labelled: Labelled,
}

pub(crate) async fn find(State(door): At, body: Body) -> Result {
    let body = question(&door, body).await?;
    let asked: Find = serde_json::from_slice(&body)
        .map_err(|e| Error::BadJson(format!("the body is no question in JSON: {e}")))?;
    let level = level(asked.level.as_deref())?;
    let mut keys = Vec::new();
    for (name, value) in &asked.query {
        keys.push(key(level, name, value)?);
    }
    let requested: Vec<Tag> =
        asked.requested_tags.iter().map(|name| known_tag(name)).collect::<Result<_>>()?;
    let mut query = Query { keys, rules: rules(asked.case_sensitive), ..Query::new(level) };
    let limit = (asked.limit > 0).then_some(asked.limit);
    let rows = if let Some(wanted) = asked.labelled.test(&door, level).await? {
        let mut rows = door.archive.find(query).await?;
        rows.retain(|row| wanted.accepts(row.str(level.key())));
        rows.into_iter().skip(asked.since).take(limit.unwrap_or(usize::MAX)).collect()
    } else {
        (query.offset, query.limit) = (asked.since, limit);
        door.archive.find(query).await?
    };
    let mut found = Vec::new();
    for row in &rows {
        if !asked.expand {
            found.push(Value::from(ids::of(row, level)));
            continue;
        }
        let mut object = resource::expand(&door, row).await?;
        if !requested.is_empty() {
            let values = requested.iter().map(|tag| (dict::name(*tag), json!(row.str(*tag))));
            object["RequestedTags"] = Value::Object(values.collect());
        }
        found.push(object);
    }
    Ok(styled(&found.into()))
}

fn level(name: Option<&str>) -> Result<Level> {
    let name = name.ok_or_else(|| {
        Error::BadRequest("'Level' is missing: Patient, Study, Series or Instance".to_owned())
    })?;
    Level::ALL
        .into_iter()
        .find(|level| {
            name.eq_ignore_ascii_case(singular(*level)) || name.eq_ignore_ascii_case(plural(*level))
        })
        .ok_or_else(|| {
            let hint = "Patient, Study, Series or Instance";
            Error::BadRequest(format!("'Level' is '{name}', but must be {hint}"))
        })
}

fn known_tag(name: &str) -> Result<Tag> {
    dict::tag(name).ok_or_else(|| {
        Error::BadRequest(format!("'{name}' is no attribute: a keyword or a tag like 0010,0020"))
    })
}

fn key(level: Level, name: &str, value: &Value) -> Result<Key> {
    let tag = known_tag(name)?;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => String::new(),
        _ => {
            return Err(Error::BadRequest(format!("the value of '{name}' must be a text")));
        }
    };
    let key = Key::parse(tag, dict::vr(tag).unwrap_or(Vr::LO), &text)?;
    if !key.is_universal() && Level::of(tag).is_none_or(|held| held > level) {
        let level = singular(level);
        return Err(Error::BadRequest(format!(
            "'{name}' cannot be searched at level {level}: the index does not hold it there"
        )));
    }
    Ok(key)
}

/// Names always, and without `CaseSensitive` all texts, match in either case.
fn rules(case_sensitive: bool) -> Rules {
    Rules { fold_all: !case_sensitive, ..Rules::QUERY }
}

/// What a word may be: an identifier of any level.
pub(crate) async fn lookup(State(door): At, body: Body) -> Result {
    let body = question(&door, body).await?;
    let word = String::from_utf8_lossy(&body);
    let word = word.trim().trim_matches('"').trim();
    if word.is_empty() {
        return Ok(styled(&json!([])));
    }
    let places = [
        (Level::Patient, tags::PATIENT_ID, Vr::LO),
        (Level::Study, tags::STUDY_INSTANCE_UID, Vr::UI),
        (Level::Study, tags::ACCESSION_NUMBER, Vr::SH),
        (Level::Series, tags::SERIES_INSTANCE_UID, Vr::UI),
        (Level::Instance, tags::SOP_INSTANCE_UID, Vr::UI),
    ];
    let mut found = Vec::new();
    for (level, tag, vr) in places {
        let key = Key { tag, vr, test: Test::Value(word.to_owned()) };
        let same = |row: &Row| row.str(tag).to_lowercase() == word.to_lowercase();
        // a search takes `*` and `?` for patterns; here they are letters, as in Orthanc
        let query = Query { rules: rules(false), ..Query::new(level).key(key) };
        for row in door.archive.find(query).await?.iter().filter(|row| same(row)) {
            let id = ids::of(row, level);
            found.push(json!({
                "Path": format!("/{}/{id}", plural(level)),
                "ID": id,
                "Type": singular(level),
            }));
        }
    }
    Ok(styled(&found.into()))
}
