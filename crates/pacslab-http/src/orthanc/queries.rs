//! `POST /modalities/{id}/query` and `/queries`: what peers hold, asked for them by us, and fetched
//! from there; `find-worklist` and `move`.
//!
//! The answers of a query stay until it is deleted or a hundred newer ones were asked.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Path, Query as Params, State};
use axum::response::Response;
use pacslab_archive::Peer;
use pacslab_dicom::{Dataset, dict};
use pacslab_model::{Level, Tag, Vr, tags, uids};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::modalities::{Once, from_json, peer, plain, read};
use super::resource::ListParams;
use super::tags::{Form, FormParams, json as attributes};
use super::{jobs, singular, styled};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;

/// As many queries as Orthanc keeps.
const KEPT: usize = 100;
/// More answers than this are nobody's: the query is cancelled there.
const ANSWERS: usize = 10_000;

#[derive(Default)]
pub(crate) struct Queries {
    kept: Mutex<(u64, VecDeque<Arc<Asked>>)>,
}

/// A query with its answers.
struct Asked {
    id: String,
    peer: Peer,
    level: Level,
    keys: Dataset,
    answers: Vec<Dataset>,
}

impl Queries {
    fn keep(
        &self,
        door: &Door,
        peer: Peer,
        level: Level,
        keys: Dataset,
        answers: Vec<Dataset>,
    ) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let (made, asked) = &mut *kept;
        *made += 1;
        let now = door.clock.now().micros;
        let id = jobs::uuid(&[b"query", &now.to_be_bytes(), &made.to_be_bytes()]);
        asked.push_back(Arc::new(Asked { id: id.clone(), peer, level, keys, answers }));
        if asked.len() > KEPT {
            asked.pop_front();
        }
        id
    }

    fn all(&self) -> Vec<Arc<Asked>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.iter().cloned().collect()
    }

    fn get(&self, id: &str) -> Result<Arc<Asked>> {
        let found = self.all().into_iter().find(|asked| asked.id == id);
        found.ok_or_else(|| {
            Error::NotFound(format!("there is no query {id}; the last {KEPT} are kept"))
        })
    }

    fn remove(&self, id: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.1.retain(|asked| asked.id != id);
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Question {
    level: Option<String>,
    query: Map<String, Value>,
    #[serde(flatten)]
    once: Once,
}

pub(crate) async fn query(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    let peer = peer(&door, &name)?;
    let asked: Question = from_json(&question(&door, body).await?)?;
    let peer = asked.once.apply(peer)?;
    let level = level(asked.level.as_deref())?;
    let mut keys = identifier(&asked.query)?;
    // what a retrieval of the answers needs
    for (tag, from) in [
        (tags::PATIENT_ID, Level::Patient),
        (tags::STUDY_INSTANCE_UID, Level::Study),
        (tags::ACCESSION_NUMBER, Level::Study),
        (tags::SERIES_INSTANCE_UID, Level::Series),
        (tags::SOP_INSTANCE_UID, Level::Instance),
    ] {
        if from <= level && !keys.contains(tag) && (tag != tags::PATIENT_ID || level == from) {
            keys.put_str(tag, dict::vr(tag).unwrap_or(Vr::LO), "");
        }
    }
    let mut identifier = suited(&keys, &peer.manufacturer);
    identifier.put_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, dimse_level(level));
    let sop_class = match level {
        Level::Patient => uids::PATIENT_ROOT_FIND,
        _ => uids::STUDY_ROOT_FIND,
    };
    let answers = door.caller.find(&peer, sop_class, &identifier, ANSWERS).await?;
    let id = door.queries.keep(&door, peer, level, keys, answers);
    Ok(styled(&json!({"ID": id, "Path": format!("/queries/{id}")})))
}

/// A worklist query: the keys themselves, or `{"Query": {…}, "Short": true}`.
pub(crate) async fn find_worklist(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    let peer = peer(&door, &name)?;
    let asked: Map<String, Value> = read(&door, body).await?;
    let flag = |field| asked.get(field) == Some(&Value::Bool(true));
    let (keys, form) = match asked.get("Query").and_then(Value::as_object) {
        None => (&asked, Form::Simple),
        Some(keys) if flag("Full") => (keys, Form::Full),
        Some(keys) if flag("Short") => (keys, Form::Short),
        Some(keys) => (keys, Form::Simple),
    };
    let keys = identifier(keys)?;
    let class = uids::MODALITY_WORKLIST_FIND;
    let found = door.caller.find(&peer, class, &keys, ANSWERS).await?;
    Ok(styled(&found.iter().map(|item| attributes(item, form)).collect()))
}

pub(crate) async fn list(State(door): At) -> Result {
    Ok(styled(&door.queries.all().iter().map(|asked| Value::from(asked.id.as_str())).collect()))
}

pub(crate) async fn one(State(door): At, Path(id): Path<String>) -> Result {
    door.queries.get(&id)?;
    Ok(styled(&json!(["answers", "level", "modality", "query", "retrieve"])))
}

/// Deleting what is not there is no error, as in Orthanc.
pub(crate) async fn delete(State(door): At, Path(id): Path<String>) -> Result<Response> {
    door.queries.remove(&id);
    Ok(plain(""))
}

pub(crate) async fn query_level(State(door): At, Path(id): Path<String>) -> Result {
    Ok(plain(singular(door.queries.get(&id)?.level)))
}

pub(crate) async fn query_modality(State(door): At, Path(id): Path<String>) -> Result {
    Ok(plain(door.queries.get(&id)?.peer.name.as_str()))
}

pub(crate) async fn query_keys(
    State(door): At,
    Path(id): Path<String>,
    Params(form): Params<FormParams>,
) -> Result {
    Ok(styled(&attributes(&door.queries.get(&id)?.keys, form.form())))
}

pub(crate) async fn answers(
    State(door): At,
    Path(id): Path<String>,
    Params(params): Params<ListParams>,
    Params(form): Params<FormParams>,
) -> Result {
    let asked = door.queries.get(&id)?;
    Ok(styled(&match params.expands(false) {
        true => asked.answers.iter().map(|answer| attributes(answer, form.form())).collect(),
        false => (0..asked.answers.len()).map(|at| Value::from(at.to_string())).collect(),
    }))
}

pub(crate) async fn answer(State(door): At, Path((id, at)): Path<(String, usize)>) -> Result {
    door.queries.get(&id)?.answer(at)?;
    Ok(styled(&json!(["content", "retrieve"])))
}

pub(crate) async fn content(
    State(door): At,
    Path((id, at)): Path<(String, usize)>,
    Params(form): Params<FormParams>,
) -> Result {
    let asked = door.queries.get(&id)?;
    Ok(styled(&attributes(asked.answer(at)?, form.form())))
}

/// C-MOVE of one answer.
pub(crate) async fn retrieve_one(
    State(door): At,
    Path((id, at)): Path<(String, usize)>,
    body: Body,
) -> Result {
    let asked = door.queries.get(&id)?;
    let wanted = vec![asked.unique(asked.answer(at)?)];
    let order = Retrieve::read(&question(&door, body).await?)?;
    order.perform(&door, asked.peer.clone(), asked.level, wanted).await
}

/// C-MOVE of all answers.
pub(crate) async fn retrieve_all(State(door): At, Path(id): Path<String>, body: Body) -> Result {
    let asked = door.queries.get(&id)?;
    let wanted = asked.answers.iter().map(|answer| asked.unique(answer)).collect();
    let order = Retrieve::read(&question(&door, body).await?)?;
    order.perform(&door, asked.peer.clone(), asked.level, wanted).await
}

/// C-MOVE of what the body names.
pub(crate) async fn move_(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    let peer = peer(&door, &name)?;
    let order: Retrieve = from_json(&question(&door, body).await?)?;
    let level = level(order.level.as_deref())?;
    let named = order.resources.iter().map(identifier).collect::<Result<Vec<_>>>()?;
    if named.is_empty() {
        return Err(Error::BadFile(
            "Resources is missing or empty: what is to be sent, e.g. \
             [{\"StudyInstanceUID\": \"1.2.3\"}]"
                .to_owned(),
        ));
    }
    order.perform(&door, peer, level, named).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Retrieve {
    /// Ours, when it is left out.
    target_aet: Option<String>,
    synchronous: Option<bool>,
    asynchronous: Option<bool>,
    priority: i64,
    permissive: bool,
    level: Option<String>,
    resources: Vec<Map<String, Value>>,
    #[serde(flatten)]
    once: Once,
}

impl Retrieve {
    /// An object, or the title alone.
    fn read(body: &[u8]) -> Result<Self> {
        let text = body.trim_ascii();
        if text.first() == Some(&b'{') {
            return from_json(text);
        }
        let text = String::from_utf8_lossy(text);
        let title = text.trim().trim_matches('"').trim();
        let target_aet = (!title.is_empty()).then(|| title.to_owned());
        Ok(Self { target_aet, ..Self::default() })
    }

    async fn perform(
        self,
        door: &Arc<Door>,
        peer: Peer,
        level: Level,
        wanted: Vec<Dataset>,
    ) -> Result {
        let peer = self.once.apply(peer)?;
        let local = door.caller.aet(&peer).to_string();
        let target = self.target_aet.unwrap_or_else(|| local.clone());
        let sop_class = match level {
            Level::Patient => uids::PATIENT_ROOT_MOVE,
            _ => uids::STUDY_ROOT_MOVE,
        };
        let wanted: Vec<Dataset> = wanted
            .into_iter()
            .map(|keys| keys.with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, dimse_level(level)))
            .collect();
        let shown: Vec<Value> = wanted.iter().map(|keys| attributes(keys, Form::Short)).collect();
        let plan = jobs::Plan {
            kind: "DicomMoveScu",
            priority: self.priority,
            content: json!({
                "Description": "REST API",
                "LocalAet": local,
                "Query": shown,
                "RemoteAet": peer.aet,
                "TargetAet": target,
            }),
            asynchronous: self.asynchronous.unwrap_or(self.synchronous == Some(false)),
        };
        let (caller, permissive) = (door.caller.clone(), self.permissive);
        jobs::run(door, plan, |job| async move {
            for (at, keys) in wanted.iter().enumerate() {
                job.check()?;
                match caller.retrieve(&peer, sop_class, &target, keys).await {
                    Err(error) if !permissive => return Err(error.into()),
                    _ => job.progress(at + 1, wanted.len()),
                }
            }
            Ok(())
        })
        .await
    }
}

impl Asked {
    fn answer(&self, at: usize) -> Result<&Dataset> {
        self.answers.get(at).ok_or_else(|| {
            let held = self.answers.len();
            Error::Range(format!("there is no answer {at}: the query has {held}, counted from 0"))
        })
    }

    /// The keys that name an answer, and nothing else: PS3.4 C.4.2.1.4 allows no others.
    fn unique(&self, answer: &Dataset) -> Dataset {
        let mut keys = Dataset::new();
        for level in Level::ALL.into_iter().filter(|level| *level <= self.level) {
            let needed = level > Level::Patient || self.level == Level::Patient;
            let tag = level.key();
            if needed && !answer.str(tag).is_empty() {
                keys.put_str(tag, dict::vr(tag).unwrap_or(Vr::UI), answer.str(tag));
            }
        }
        keys
    }
}

fn level(name: Option<&str>) -> Result<Level> {
    let known = "Patient, Study, Series or Instance";
    let name = name.ok_or_else(|| Error::BadFile(format!("Level is missing: {known}")))?;
    let is = |level: &Level| {
        name.eq_ignore_ascii_case(singular(*level))
            || name.eq_ignore_ascii_case(dimse_level(*level))
    };
    Level::ALL
        .into_iter()
        .find(is)
        .ok_or_else(|| Error::Range(format!("Level is '{name}', but must be {known}")))
}

/// PS3.4 C.6.1.1.1
const fn dimse_level(level: Level) -> &'static str {
    match level {
        Level::Patient => "PATIENT",
        Level::Study => "STUDY",
        Level::Series => "SERIES",
        Level::Instance => "IMAGE",
    }
}

/// Keywords or tags with their texts; a sequence is a list of the same, or empty.
fn identifier(keys: &Map<String, Value>) -> Result<Dataset> {
    let mut set = Dataset::new();
    for (name, value) in keys {
        let tag = dict::tag(name).ok_or_else(|| {
            Error::BadFile(format!("'{name}' is no attribute: a keyword or a tag like 0010,0020"))
        })?;
        let vr = dict::vr(tag).unwrap_or(Vr::LO);
        put(&mut set, tag, vr, name, value)?;
    }
    Ok(set)
}

fn put(set: &mut Dataset, tag: Tag, vr: Vr, name: &str, value: &Value) -> Result<()> {
    let wrong =
        |expected: &str| Error::BadFile(format!("the value of '{name}' must be {expected}"));
    if vr == Vr::SQ {
        let items = match value {
            Value::Array(items) => items
                .iter()
                .map(|item| identifier(item.as_object().ok_or_else(|| wrong("a list of objects"))?))
                .collect::<Result<Vec<_>>>()?,
            Value::Null => Vec::new(),
            Value::String(text) if text.is_empty() => Vec::new(),
            _ => return Err(wrong("a list of objects")),
        };
        set.put_items(tag, items);
        return Ok(());
    }
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null => String::new(),
        _ => return Err(wrong("a text")),
    };
    match (vr.is_text(), text.is_empty()) {
        (true, _) => set.put_str(tag, vr, text),
        (false, true) => set.put_bytes(tag, vr, Vec::new()),
        (false, false) if vr == Vr::US => {
            set.put_u16(tag, text.parse().map_err(|_| wrong("a number from 0 to 65535"))?);
        }
        (false, false) => return Err(wrong("empty: this kind of attribute can only be asked for")),
    }
    Ok(())
}

/// Some makers take no wildcards where others do.
fn suited(keys: &Dataset, manufacturer: &str) -> Dataset {
    let everywhere = manufacturer == "GenericNoUniversalWildcard";
    let in_dates = manufacturer == "GenericNoWildcardInDates" || manufacturer == "GE";
    let mut suited = keys.clone();
    for element in keys.iter().filter(|element| element.to_text().as_deref() == Some("*")) {
        let date = matches!(element.vr, Vr::DA | Vr::TM | Vr::DT);
        if everywhere || (in_dates && date) {
            suited.put_str(element.tag, element.vr, "");
        }
    }
    suited
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_by_keyword_and_tag() {
        let keys = json!({
            "PatientID": "P*", "0008,0050": null, "Rows": "64", "PixelData": "",
            "ScheduledProcedureStepSequence": [{"Modality": "CT"}], "ReferencedStudySequence": "",
        });
        let set = identifier(keys.as_object().unwrap()).unwrap();
        assert_eq!((set.str(tags::PATIENT_ID), set.u16(tags::ROWS)), ("P*", Some(64)));
        assert!(set.contains(tags::ACCESSION_NUMBER));
        let step = &set.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)[0];
        assert_eq!(step.str(tags::MODALITY), "CT");
        for (keys, word) in [
            (json!({"Nonsense": ""}), "Nonsense"),
            (json!({"PatientID": ["x"]}), "PatientID"),
            (json!({"ScheduledProcedureStepSequence": "x"}), "list of objects"),
            (json!({"PixelData": "x"}), "empty"),
        ] {
            let error = identifier(keys.as_object().unwrap()).unwrap_err();
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn the_target_is_text_or_object() {
        let target = |body: &str| Retrieve::read(body.as_bytes()).unwrap().target_aet;
        assert_eq!(target("PYNETSCP\n").as_deref(), Some("PYNETSCP"));
        assert_eq!(target("\"PYNETSCP\"").as_deref(), Some("PYNETSCP"));
        assert_eq!(target("{\"TargetAet\": \"A\", \"Synchronous\": false}").as_deref(), Some("A"));
        assert_eq!(target(""), None);
    }

    #[test]
    fn makers_that_take_no_wildcards_get_none() {
        let keys = Dataset::new().with_str(tags::STUDY_DATE, Vr::DA, "*").with_str(
            tags::PATIENT_ID,
            Vr::LO,
            "*",
        );
        assert_eq!(suited(&keys, "Generic"), keys);
        assert_eq!(suited(&keys, "GE").str(tags::STUDY_DATE), "");
        assert_eq!(suited(&keys, "GE").str(tags::PATIENT_ID), "*");
        assert_eq!(suited(&keys, "GenericNoUniversalWildcard").str(tags::PATIENT_ID), "");
    }
}
