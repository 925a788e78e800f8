//! The truth of the department: orders and their steps, counters, cursors, answered messages.
//!
//! Unlike the index nothing here can be made again, so a change is durable when its call answers.
//! Changes that must not cross each other are compare-and-set: the caller says what it saw.

use std::fmt;

use pacslab_model::Moment;
use pacslab_model::order::{Order, StepStatus};
use serde::{Deserialize, Serialize};

pub use crate::sqlite::desk::SqliteDesk;

use crate::error::{Result, StoreError};

pub trait Desk: Papers + Send + Sync {
    /// Runs `work` in one transaction: all that it writes is durable when this answers, if it came
    /// back with `true`; else nothing of it is. It sees what it wrote. Callers at the same time
    /// come one after the other and share a sync, so `work` must neither wait nor use the desk
    /// itself.
    fn together(&self, work: &mut dyn FnMut(&dyn Papers) -> Result<bool>) -> Result<()>;
}

/// [`Desk::together`] for work that has an answer and errors of its own; an error undoes it.
///
/// # Errors
/// That of `work`, or the desk cannot be written.
pub fn together<T, E: From<StoreError>>(
    desk: &dyn Desk,
    work: impl FnOnce(&dyn Papers) -> Result<T, E>,
) -> Result<T, E> {
    let (mut work, mut answer) = (Some(work), None);
    desk.together(&mut |papers| {
        answer = work.take().map(|work| work(papers));
        Ok(matches!(answer, Some(Ok(_))))
    })?;
    answer.unwrap_or_else(|| Err(StoreError::Other("nothing was done".to_owned()).into()))
}

/// What lies on the desk. Each method alone is durable when it answers, except in
/// [`Desk::together`], where all are durable with its end.
pub trait Papers: fmt::Debug {
    /// Keeps an order under its accession number and [`Order::key`].
    fn put_order(&self, order: &Order, expect: Expect, at: Moment) -> Result<Put<OrderRecord>>;

    /// The order of an accession number; of several the one changed last.
    fn order(&self, accession: &str) -> Result<Option<OrderRecord>>;

    /// Orders by the start of their first step, then by accession number.
    fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderRecord>>;

    /// Changes the state of one step if it is `from`; which changes are allowed is the RIS's table.
    fn set_step(
        &self,
        accession: &str,
        step_id: &str,
        from: StepStatus,
        to: StepStatus,
        at: Moment,
    ) -> Result<StepChange>;

    /// 1, 2, 3, … for each name, never the same again.
    fn next_number(&self, name: &str) -> Result<u64>;

    /// 0 until it is set.
    fn cursor(&self, name: &str) -> Result<u64>;
    fn set_cursor(&self, name: &str, value: u64) -> Result<()>;

    /// The answer given to a message (HL7 MSH-10 of MSH-3/4), so that a repeated one is answered
    /// the same and acted on once. The oldest are forgotten beyond a bound.
    fn answer(&self, sender: &str, control_id: &str) -> Result<Option<Vec<u8>>>;
    fn put_answer(&self, sender: &str, control_id: &str, answer: &[u8], at: Moment) -> Result<()>;

    /// Things with a key and a JSON body: performed steps (`mpps`), commitments, queues.
    fn put_entry(
        &self,
        drawer: &str,
        key: &str,
        body: &str,
        expect: Expect,
        at: Moment,
    ) -> Result<Put<DeskEntry>>;
    fn entry(&self, drawer: &str, key: &str) -> Result<Option<DeskEntry>>;
    /// By key, those after `after` (`""`: from the first).
    fn entries(&self, drawer: &str, after: &str, limit: usize) -> Result<Vec<DeskEntry>>;
    /// Whether it was there.
    fn remove_entry(&self, drawer: &str, key: &str) -> Result<bool>;
}

/// What the caller believes to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// Nothing yet.
    New,
    /// The version it read.
    Version(u64),
    /// Whatever it is.
    Any,
}

/// What came of a compare-and-set.
#[derive(Clone, PartialEq, Debug)]
pub enum Put<T> {
    Stored {
        version: u64,
    },
    /// It is there in the very same form; nothing was written.
    Unchanged {
        version: u64,
    },
    /// Something else is there than expected.
    Conflict(Box<T>),
    /// A version was expected and nothing is there.
    Gone,
}

#[derive(Clone, PartialEq, Debug)]
pub struct OrderRecord {
    pub order: Order,
    pub version: u64,
    pub created_at: Moment,
    pub changed_at: Moment,
}

/// All that is said must hold; nothing said is everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OrderFilter {
    pub accession: Option<String>,
    pub patient_id: Option<String>,
    pub placer_number: Option<String>,
    pub filler_number: Option<String>,
    pub study_uid: Option<String>,
    /// One step at least in one of these states; empty: any.
    pub statuses: Vec<StepStatus>,
    pub modality: Option<String>,
    pub station: Option<String>,
    /// One step at least that starts on or after, on or before (DA).
    pub from_date: Option<String>,
    pub to_date: Option<String>,
    pub offset: usize,
    pub limit: Option<usize>,
}

impl OrderFilter {
    /// Orders with a step that still waits for a scanner.
    pub fn on_worklist() -> Self {
        Self {
            statuses: StepStatus::ALL.into_iter().filter(|s| s.on_worklist()).collect(),
            ..Self::default()
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum StepChange {
    Done(Box<OrderRecord>),
    /// Its state is another one than `from`.
    Was(StepStatus),
    NoSuchStep,
    NoSuchOrder,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeskEntry {
    pub key: String,
    pub body: String,
    pub version: u64,
    pub changed_at: Moment,
}
