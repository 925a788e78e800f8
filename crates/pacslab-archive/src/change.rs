//! Changes of what is there: deletion, other labels, merging, protection.
//!
//! A change goes the way an instance goes: into the queue of the committer, as a record into the
//! packs, then into the index. Its record says what was done and not what was asked (a deletion
//! lists the instances that it met), so that a replay of the packs ends in the same index.

use pacslab_model::{Event, Identifiers, Key, Level, Moment, Query, Tag, Test, Uid, Vr, tags};
use pacslab_store::{
    Blobs, Index, Kind, Location, Position, Record, Row, Scope, Source, StoreError, Stored,
};
use serde::{Deserialize, Serialize};

use crate::archive::ArchiveError;
use crate::compact::relocate;
use crate::events;
use crate::ingest::Origin;

/// What somebody wants changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// All instances in the scope; what is empty then goes as well.
    Delete(Scope),
    /// Values of a study and of its patient; an empty value takes one away. Another patient ID
    /// moves the study to that patient. The objects stay as they came.
    Relabel { study: Uid, values: Vec<(Tag, String)> },
    /// All studies of a patient become those of another, who gets these values.
    Merge { from: String, into: String, values: Vec<(Tag, String)> },
    /// A label for people and scripts, on a resource known by the unique key of its level.
    Label { level: Level, resource: String, label: String, on: bool },
    /// The patient is never removed to make room.
    Protect { patient_id: String, on: bool },
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changed {
    /// Whether there was something to change.
    pub found: bool,
    /// The instances that are gone.
    pub deleted: Vec<Stored>,
    /// Studies that belong to another patient, or say something else.
    pub studies: usize,
}

/// A change as its record keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    note: Note,
    /// The instances of a deletion: the body of its record, because a note is small.
    gone: Vec<Uid>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note {
    at: Moment,
    /// At whose request.
    by: Source,
    #[serde(flatten)]
    what: What,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "lowercase")]
enum What {
    Delete { count: usize },
    Relabel { study: Uid, values: Vec<(Tag, String)> },
    Merge { from: String, into: String, values: Vec<(Tag, String)> },
    Label { level: Level, resource: String, label: String, on: bool },
    Protect { patient: String, on: bool },
    Moved { from: u32, first: u64 },
}

impl Prepared {
    /// A pack was rewritten: what lay in it lies in the log that begins with this number.
    pub(crate) fn moved(from: u32, first: u64, at: Moment) -> Self {
        let note = Note { at, by: Source::default(), what: What::Moved { from, first } };
        Self { note, gone: Vec::new() }
    }

    /// What is to be recorded. `None`: there is nothing that it would change.
    pub(crate) fn new(
        change: Change,
        by: &Origin,
        at: Moment,
        index: &dyn Index,
    ) -> Result<Option<Self>, StoreError> {
        let mut gone = Vec::new();
        let there = |level, key: &str| exists(index, level, key);
        let what = match change {
            Change::Delete(scope) => {
                gone = index.instances(&scope)?.into_iter().map(|s| s.sop_instance).collect();
                What::Delete { count: gone.len() }
            }
            Change::Relabel { study, values } => What::Relabel { study, values },
            Change::Merge { from, into, values } => What::Merge { from, into, values },
            Change::Label { level, resource, label, on } => {
                What::Label { level, resource, label, on }
            }
            Change::Protect { patient_id, on } => What::Protect { patient: patient_id, on },
        };
        let found = match &what {
            What::Delete { count } => *count > 0,
            What::Relabel { study, .. } => there(Level::Study, study.as_str())?,
            What::Merge { from, into, .. } => from != into && there(Level::Patient, from)?,
            What::Label { level, resource, .. } => there(*level, resource)?,
            What::Protect { patient, .. } => there(Level::Patient, patient)?,
            What::Moved { .. } => true,
        };
        let by = Source { calling_ae: by.calling_ae.clone(), remote: by.remote.clone() };
        Ok(found.then_some(Self { note: Note { at, by, what }, gone }))
    }

    /// Durable when `Ok`.
    pub(crate) fn record(&self, blobs: &dyn Blobs) -> Result<Position, StoreError> {
        // strings, numbers and lists only: it cannot fail
        let note = serde_json::to_vec(&self.note).unwrap_or_default();
        let gone: Vec<&str> = self.gone.iter().map(Uid::as_str).collect();
        let gone = gone.join("\n");
        let record = Record { kind: self.kind(), note: &note, head: b"", body: gone.as_bytes() };
        Ok(blobs.append(&[record])?.end)
    }

    /// From a record that is replayed.
    pub(crate) fn read(blobs: &dyn Blobs, note: &[u8], at: Location) -> Result<Self, ArchiveError> {
        let note: Note =
            serde_json::from_slice(note).map_err(|why| ArchiveError::Note { at, why })?;
        let mut gone = Vec::new();
        if let What::Delete { .. } = note.what {
            let body = blobs.read(&at)?;
            gone = String::from_utf8_lossy(&body).lines().map(Uid::new).collect();
        }
        Ok(Self { note, gone })
    }

    /// Brings it into the index and notes `upto`. Done twice it is the same.
    pub(crate) fn apply(
        &self,
        blobs: &dyn Blobs,
        index: &dyn Index,
        upto: Position,
    ) -> Result<Changed, StoreError> {
        let done = |found| Changed { found, ..Changed::default() };
        let relabelled = |studies| Changed { found: studies > 0, studies, ..Changed::default() };
        match &self.note.what {
            What::Delete { .. } => {
                // their record is durable; before the index forgets where they lie
                if blobs.frees_at_once() {
                    let known = index.known(&self.gone)?.into_iter().flatten();
                    let at: Vec<Location> = known.map(|known| known.location).collect();
                    blobs.release(&at)?;
                }
                let deleted = index.remove(&self.gone, upto)?;
                Ok(Changed { found: !deleted.is_empty(), deleted, studies: 0 })
            }
            What::Relabel { study, values } => {
                Ok(relabelled(usize::from(index.relabel(study, values, upto)?)))
            }
            What::Merge { from, into, values } => {
                // the index has this change when it has its last study
                let before = index.position()?;
                let mut values = values.clone();
                values.retain(|(tag, _)| *tag != tags::PATIENT_ID);
                values.push((tags::PATIENT_ID, into.clone()));
                let studies = rows(index, Level::Study, Level::Patient, from)?;
                for (number, study) in studies.iter().enumerate() {
                    let last = number + 1 == studies.len();
                    let study = Uid::new(study.str(tags::STUDY_INSTANCE_UID));
                    index.relabel(&study, &values, if last { upto } else { before })?;
                }
                if studies.is_empty() {
                    index.set_position(upto)?;
                }
                Ok(relabelled(studies.len()))
            }
            What::Label { level, resource, label, on } => {
                index.label(*level, resource, label, *on, upto).map(done)
            }
            What::Protect { patient, on } => index.protect(patient, *on, upto).map(done),
            What::Moved { from, first } => {
                relocate(blobs, index, *from, *first)?;
                index.set_position(upto)?;
                Ok(done(true))
            }
        }
    }

    /// The instances that a deletion took away.
    pub(crate) fn gone(&self) -> &[Uid] {
        &self.gone
    }

    /// Whether identifiers that are made of patient IDs are others afterwards.
    pub(crate) fn moves_studies(&self) -> bool {
        match &self.note.what {
            What::Merge { .. } => true,
            What::Relabel { values, .. } => values.iter().any(|(tag, _)| *tag == tags::PATIENT_ID),
            _ => false,
        }
    }

    fn kind(&self) -> Kind {
        match self.note.what {
            What::Delete { .. } => Kind::Delete,
            What::Relabel { .. } => Kind::Relabel,
            What::Merge { .. } => Kind::Merge,
            What::Label { .. } => Kind::Label,
            What::Protect { .. } => Kind::Protect,
            What::Moved { .. } => Kind::Moved,
        }
    }

    /// What is told of it. `None`: it changes nothing that anybody sees.
    pub(crate) fn event(&self, changed: &Changed) -> Option<Event> {
        let (at, by) = (self.note.at, &self.note.by);
        let event = match &self.note.what {
            What::Delete { .. } => deleted(at, &changed.deleted),
            What::Relabel { study, values } => {
                let names: Vec<String> = values.iter().map(|(tag, _)| tag.to_string()).collect();
                let text = format!("study {study} says something else now: {}", names.join(", "));
                let ids = Identifiers { study_uid: study.to_string(), ..Identifiers::default() };
                Event::new(at, events::RELABELLED, text).ids(ids)
            }
            What::Merge { from, into, .. } => {
                let studies = changed.studies;
                let text = format!("patient {from} is {into} now, with {studies} studies");
                Event::new(at, events::MERGED, text).ids(patient(into)).field("from", from)
            }
            What::Label { level, resource, label, on } => {
                let what = if *on { "has the label" } else { "has no longer the label" };
                let level_name = level.as_str().to_lowercase();
                let text = format!("{level_name} {resource} {what} '{label}'");
                let mut ids = Identifiers::default();
                match level {
                    Level::Patient => ids.patient_id.clone_from(resource),
                    Level::Study => ids.study_uid.clone_from(resource),
                    Level::Series => ids.series_uid.clone_from(resource),
                    Level::Instance => ids.sop_uid.clone_from(resource),
                }
                Event::new(at, events::LABELLED, text).ids(ids).field("label", label)
            }
            What::Protect { patient: id, on } => {
                let what = if *on { "protected" } else { "not protected any more" };
                let text = format!("patient {id} is {what}");
                Event::new(at, events::PROTECTED, text).ids(patient(id))
            }
            What::Moved { .. } => return None,
        };
        Some(match (by.calling_ae.as_str(), by.remote.as_str()) {
            ("", "") => event,
            ("", remote) => event.field("by", remote),
            (aet, remote) => event.field("by", format!("{aet}@{remote}")),
        })
    }
}

fn deleted(at: Moment, gone: &[Stored]) -> Event {
    let bytes: u64 = gone.iter().map(|stored| stored.size).sum();
    let mut studies: Vec<&str> = gone.iter().map(|stored| stored.study_uid.as_str()).collect();
    studies.sort_unstable();
    studies.dedup();
    let text = match studies.as_slice() {
        [study] => format!("{} instances of study {study} were deleted", gone.len()),
        many => format!("{} instances of {} studies were deleted", gone.len(), many.len()),
    };
    let ids = match (studies.as_slice(), gone.first()) {
        ([study], Some(first)) => {
            Identifiers { study_uid: (*study).to_owned(), ..patient(&first.patient_id) }
        }
        (_, Some(first)) if gone.iter().all(|s| s.patient_id == first.patient_id) => {
            patient(&first.patient_id)
        }
        _ => Identifiers::default(),
    };
    Event::new(at, events::DELETED, text)
        .ids(ids)
        .field("instances", gone.len())
        .field("bytes", bytes)
}

fn patient(id: &str) -> Identifiers {
    Identifiers { patient_id: id.to_owned(), ..Identifiers::default() }
}

/// Whether there is a resource with this unique key.
pub(crate) fn exists(index: &dyn Index, level: Level, key: &str) -> Result<bool, StoreError> {
    Ok(!rows(index, level, level, key)?.is_empty())
}

/// What there is at `level` with this unique key at `of`, taken as it is.
fn rows(index: &dyn Index, level: Level, of: Level, key: &str) -> Result<Vec<Row>, StoreError> {
    let vr = if of == Level::Patient { Vr::LO } else { Vr::UI };
    index.find(&Query::new(level).key(Key { tag: of.key(), vr, test: Test::Value(key.to_owned()) }))
}
