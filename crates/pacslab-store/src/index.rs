//! What is searched: patients, studies, series and instances, and where their objects are.
//! PS3.4 C.6 (query/retrieve models), C.2.2.2 (attribute matching).
//!
//! The index can be made again from the blobs: it notes the [`Position`] up to which it has taken
//! them in, in the same transaction, and whoever opens it replays the rest.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pacslab_model::matching::Attributes;
use pacslab_model::{Cursor, Level, Moment, Query, Tag, Uid, tags};
use serde::{Deserialize, Serialize};

pub use crate::sqlite::index::SqliteIndex;

use crate::blobs::{Location, Position};
use crate::error::Result;
use crate::sqlite::text;

pub trait Index: Send + Sync + fmt::Debug {
    /// Where a damaged index was put when this one was opened: all is to be taken in again.
    fn set_aside(&self) -> Option<&Path> {
        None
    }

    /// Takes a batch in and notes `upto`, in one transaction. Answers one for each, in order.
    ///
    /// An instance is known by its SOP instance UID: the first one is kept. The first values of
    /// patient, study and series win; what was empty is filled in by later ones.
    fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>>;

    /// The same for a batch whose instances are not known, whose sender need not wait: it is in
    /// the index before anybody asks for anything. Empties `batch`, unless it fails.
    fn defer(&self, batch: &mut Vec<NewInstance>, upto: Position) -> Result<()> {
        self.ingest(batch, upto)?;
        batch.clear();
        Ok(())
    }

    /// Which of these SOP instance UIDs are there already, in order.
    fn known(&self, sop_instances: &[Uid]) -> Result<Vec<Option<Known>>>;

    /// The rows that `matching::matches` accepts under the query's rules. Newest study first, then
    /// by series number and instance number; patients in the order they came, newest first. Keys
    /// of lower levels match nothing.
    fn find(&self, query: &Query) -> Result<Vec<Row>>;

    /// What to send, by study, series number and instance number. An empty scope is nothing.
    fn instances(&self, scope: &Scope) -> Result<Vec<Stored>>;

    fn counts(&self) -> Result<Counts>;

    /// Up to where the blobs are taken in.
    fn position(&self) -> Result<Position>;

    /// Notes that records without instances were taken in.
    fn set_position(&self, upto: Position) -> Result<()>;

    /// Arrivals with a number greater than `cursor`, oldest first.
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>>;

    /// The number of the newest arrival; 0: there is none.
    fn last_arrival(&self) -> Result<u64>;

    /// For each arrival by its number: the highest level of which it is the oldest that is there.
    fn begin(&self, arrivals: &[u64]) -> Result<Vec<Level>>;

    /// Takes instances out (a deletion); what is empty then goes as well. Notes `upto`.
    fn remove(&self, sop_instances: &[Uid], upto: Position) -> Result<Vec<Stored>>;

    /// Changes values of a study and of its patient; an empty value takes one away. Another
    /// patient ID moves the study to that patient, who is made if unknown and then has nothing
    /// but what `changes` say. Notes `upto`. Answers whether there is such a study.
    fn relabel(&self, study: &Uid, changes: &[(Tag, String)], upto: Position) -> Result<bool>;

    /// Sticks a label to a resource, known by the unique key of its level, or takes it off. Notes
    /// `upto`. Answers whether there is such a resource; its labels go with it.
    fn label(
        &self,
        level: Level,
        resource: &str,
        label: &str,
        on: bool,
        upto: Position,
    ) -> Result<bool>;

    /// The labels of a resource, in alphabetical order.
    fn labels_of(&self, level: Level, resource: &str) -> Result<Vec<String>>;

    /// The unique keys of the resources with this label.
    fn labelled(&self, level: Level, label: &str) -> Result<Vec<String>>;

    /// All labels in use, in alphabetical order.
    fn labels(&self) -> Result<Vec<String>>;

    /// Protects a patient from being removed to make room, or no longer. Notes `upto`. Answers
    /// whether there is such a patient; the protection goes with the patient.
    fn protect(&self, patient_id: &str, on: bool, upto: Position) -> Result<bool>;

    fn is_protected(&self, patient_id: &str) -> Result<bool>;

    /// The patients that nothing came of for the longest time, without those that are protected.
    fn oldest_unprotected(&self, limit: usize) -> Result<Vec<String>>;

    /// Bytes of the instances in each pack; packs without any are left out.
    fn held(&self) -> Result<BTreeMap<u32, u64>>;

    /// Instances that lay in pack `from` lie elsewhere now. Those that are gone or lie in other
    /// packs are left alone, so it may be done twice.
    fn relocate(&self, from: u32, moved: &[(Uid, Location)]) -> Result<()>;
}

/// An instance on its way in.
#[derive(Clone, PartialEq, Debug)]
pub struct NewInstance {
    /// Values of the tags in `Level::attributes`, all levels in one list, without padding.
    pub attributes: Vec<(Tag, String)>,
    pub patient_id: String,
    pub study_uid: Uid,
    pub series_uid: Uid,
    pub sop_instance: Uid,
    pub sop_class: Uid,
    pub transfer_syntax: Uid,
    /// Bytes of the stored file.
    pub size: u64,
    /// A hash of what counts as the same object; the archive decides which.
    pub digest: [u8; 32],
    pub location: Location,
    pub received_at: Moment,
    pub source: Source,
}

/// Who sent it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    pub calling_ae: String,
    /// `127.0.0.1:50112`, or what kind of door it was.
    pub remote: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ingested {
    New { patient: bool, study: bool, series: bool },
    Duplicate(Known),
}

/// What is there under a SOP instance UID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    pub digest: [u8; 32],
    pub location: Location,
}

/// What to retrieve: everything that satisfies all lists that are not empty. PS3.4 C.4.2.1.4.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scope {
    pub patient_ids: Vec<String>,
    pub study_uids: Vec<Uid>,
    pub series_uids: Vec<Uid>,
    pub sop_instances: Vec<Uid>,
}

impl Scope {
    pub fn patient(id: impl Into<String>) -> Self {
        Self { patient_ids: vec![id.into()], ..Self::default() }
    }

    pub fn study(uid: impl Into<String>) -> Self {
        Self { study_uids: vec![Uid::new(uid)], ..Self::default() }
    }

    pub fn series(uid: impl Into<String>) -> Self {
        Self { series_uids: vec![Uid::new(uid)], ..Self::default() }
    }

    pub fn instance(uid: impl Into<String>) -> Self {
        Self { sop_instances: vec![Uid::new(uid)], ..Self::default() }
    }

    /// The resource with this unique key.
    pub fn of(level: Level, key: impl Into<String>) -> Self {
        match level {
            Level::Patient => Self::patient(key),
            Level::Study => Self::study(key),
            Level::Series => Self::series(key),
            Level::Instance => Self::instance(key),
        }
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An instance that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    pub patient_id: String,
    pub study_uid: Uid,
    pub series_uid: Uid,
    pub sop_instance: Uid,
    pub sop_class: Uid,
    pub transfer_syntax: Uid,
    pub size: u64,
    pub digest: [u8; 32],
    pub location: Location,
    pub received_at: Moment,
    pub source: Source,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Counts {
    pub patients: u64,
    pub studies: u64,
    pub series: u64,
    pub instances: u64,
    /// Bytes of all instances.
    pub size: u64,
}

/// The receipt of an instance, for those who act on what arrives.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Arrival {
    /// Grows without end; the cursor of who reads.
    pub number: u64,
    pub at: Moment,
    pub accession: String,
    pub patient_id: String,
    pub study_uid: Uid,
    pub series_uid: Uid,
    pub sop_instance: Uid,
    pub sop_class: Uid,
    pub calling_ae: String,
}

/// The values of one resource by tag. Empty ones are not held.
pub type Texts = BTreeMap<Tag, String>;

/// One resource that was found: its attributes, those of the levels above, and what is counted.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub level: Level,
    /// From the patient down to `level`.
    pub(crate) parts: Vec<Arc<Part>>,
    /// When something last arrived in it.
    pub received_at: Moment,
    /// Bytes of all instances in it.
    pub size: u64,
    pub(crate) place: Cursor,
    /// At instance level.
    pub stored: Option<Box<Stored>>,
}

/// The values of one level.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Part {
    /// The unique key, and what is counted or collected.
    pub(crate) own: Vec<(Tag, String)>,
    /// The rest, as the row has it.
    pub(crate) held: Vec<u8>,
}

impl Part {
    fn get(&self, tag: Tag) -> Option<&str> {
        let own = self.own.iter().find(|(held, _)| *held == tag).map(|(_, text)| text.as_str());
        own.or_else(|| text::iter(&self.held).find(|(held, _)| *held == tag).map(|(_, text)| text))
    }
}

impl Row {
    /// The value, or "".
    pub fn str(&self, tag: Tag) -> &str {
        self.get(tag).unwrap_or("")
    }

    pub fn get(&self, tag: Tag) -> Option<&str> {
        self.parts.iter().find_map(|part| part.get(tag))
    }

    /// What `Query::after` takes to go on behind this row.
    pub fn cursor(&self) -> Cursor {
        self.place.clone()
    }

    pub fn number(&self, tag: Tag) -> Option<u64> {
        self.get(tag)?.parse().ok()
    }

    /// All that is held, from the patient down.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &str)> {
        self.parts.iter().flat_map(|part| {
            let own = part.own.iter().map(|(tag, text)| (*tag, text.as_str()));
            own.chain(text::iter(&part.held))
        })
    }

    /// Modalities of the study, in alphabetical order.
    pub fn modalities(&self) -> impl Iterator<Item = &str> {
        self.str(tags::MODALITIES_IN_STUDY).split('\\').filter(|m| !m.is_empty())
    }
}

impl Attributes for Row {
    fn text(&self, tag: Tag) -> Option<Cow<'_, str>> {
        self.get(tag).map(Cow::Borrowed)
    }

    fn items(&self, _: Tag) -> Option<Vec<&dyn Attributes>> {
        None
    }
}
