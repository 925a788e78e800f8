//! What happened, kept for people to read: bounded, never in the way, never the truth.

use std::sync::Arc;

use pacslab_model::{Event, Moment};

pub use crate::sqlite::log::EventLog;

/// An event with the number it was given.
#[derive(Clone, Debug)]
pub struct Kept {
    pub id: u64,
    pub event: Event,
    /// Bytes of the raw payload that can be asked for; 0: none.
    pub raw_len: u64,
}

/// All that is said must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EventFilter {
    pub accession: Option<String>,
    pub study_uid: Option<String>,
    pub patient_id: Option<String>,
    /// `ris.`, `archive.stored`
    pub kind_prefix: Option<String>,
    pub since: Option<Moment>,
    /// Only those with a greater number.
    pub after: Option<u64>,
    /// 0: 200
    pub limit: usize,
}

/// How much is kept. The oldest go first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogLimits {
    pub events: u64,
    /// Longest raw payload; what is longer is cut.
    pub raw_each: usize,
    pub raw_total: u64,
    /// Events waiting to be written; beyond that they are dropped and counted.
    pub queue: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { events: 50_000, raw_each: 64 << 10, raw_total: 64 << 20, queue: 8192 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogStats {
    pub emitted: u64,
    pub dropped: u64,
    pub written: u64,
    /// Events lost because the database refused them.
    pub failed: u64,
}

/// What a subscriber gets.
#[derive(Clone, Debug)]
pub enum Heard {
    Event(Arc<Kept>),
    /// It was too slow for so many events before the next one.
    Missed(u64),
}

/// Hears each event until it answers `false`.
pub type Listener = Box<dyn FnMut(&Arc<Kept>) -> bool + Send>;

/// Live events on a bounded channel, for threads and tests. Async callers use
/// [`EventLog::listen`].
#[derive(Debug)]
pub struct Subscription {
    pub(crate) receiver: std::sync::mpsc::Receiver<Heard>,
}

impl Subscription {
    pub fn recv_timeout(&self, timeout: std::time::Duration) -> Option<Heard> {
        self.receiver.recv_timeout(timeout).ok()
    }

    pub fn try_recv(&self) -> Option<Heard> {
        self.receiver.try_recv().ok()
    }

    /// Waits for the first event that `wanted` accepts.
    pub fn wait_for(
        &self,
        timeout: std::time::Duration,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Option<Arc<Kept>> {
        let end = std::time::Instant::now() + timeout;
        loop {
            let left = end.checked_duration_since(std::time::Instant::now())?;
            if let Heard::Event(kept) = self.recv_timeout(left)?
                && wanted(&kept.event)
            {
                return Some(kept);
            }
        }
    }
}
