//! What happened, for people to read: one envelope for every kind of thing.
//!
//! Events feed the log, the timeline, `pacslab watch` and the waits of tests. They are never the
//! source of truth, and emitting one never blocks (invariant 12).

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// Kinds are `crate.what` words, declared in each crate's `events.rs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    pub at: Moment,
    pub kind: Cow<'static, str>,
    pub outcome: Outcome,
    /// One sentence: what happened, with the values that matter.
    pub message: String,
    /// Who was at the other end: `PYMOD1@127.0.0.1:50112`; empty for things of our own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub peer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How long it took, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micros: Option<u64>,
    #[serde(default, skip_serializing_if = "Identifiers::is_empty")]
    pub ids: Identifiers,
    /// Further values, in the order they are told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(Cow<'static, str>, String)>,
    /// The message as it was on the wire (data sets without pixels), bounded by the log.
    #[serde(skip)]
    pub raw: Option<Arc<[u8]>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Ok,
    /// It went on, but somebody should look.
    Warning,
    /// It was refused or it failed.
    Failed,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

/// By which a timeline finds its events.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identifiers {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub accession: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub patient_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub study_uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub series_uid: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sop_uid: String,
}

impl Identifiers {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Event {
    pub fn new(at: Moment, kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            at,
            kind: Cow::Borrowed(kind),
            outcome: Outcome::Ok,
            message: message.into(),
            peer: String::new(),
            direction: None,
            micros: None,
            ids: Identifiers::default(),
            fields: Vec::new(),
            raw: None,
        }
    }

    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    pub fn peer(mut self, peer: impl Into<String>, direction: Direction) -> Self {
        self.peer = peer.into();
        self.direction = Some(direction);
        self
    }

    pub fn took(mut self, duration: std::time::Duration) -> Self {
        self.micros = Some(duration.as_micros() as u64);
        self
    }

    pub fn ids(mut self, ids: Identifiers) -> Self {
        self.ids = ids;
        self
    }

    pub fn field(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((Cow::Borrowed(name), value.to_string()));
        self
    }

    pub fn raw(mut self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.raw = Some(bytes.into());
        self
    }
}

/// Where events go. Never blocks; a sink that cannot keep up drops and counts.
pub trait Emit: Send + Sync {
    fn emit(&self, event: Event);
}

/// Collects events in memory, for unit tests and for commands that print a summary.
#[derive(Debug, Default)]
pub struct Collect(std::sync::Mutex<Vec<Event>>);

impl Collect {
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Emit for Collect {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(event);
    }
}

/// Throws events away, for callers that have nobody to tell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Emit for Silent {
    fn emit(&self, _: Event) {}
}
