//! The associations that are open just now, in both directions: for people who look (ADR 0013).
//! Counted where messages end; one list for the process, as its counters are.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Direction, Moment};

/// One of them.
#[derive(Debug)]
pub struct OpenAssociation {
    /// Counts up from the start of the process.
    pub number: u64,
    pub calling: String,
    pub called: String,
    /// `CT1@192.168.1.20:50112`
    pub peer: String,
    /// Who opened it: `In` is the peer.
    pub direction: Direction,
    pub since: Moment,
    messages: AtomicU64,
    bytes: AtomicU64,
    last: Mutex<&'static str>,
}

impl OpenAssociation {
    /// DIMSE operations that have ended.
    pub fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// Of the objects that were stored.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// `C-STORE`: the operation that ended last, or "".
    pub fn last(&self) -> &'static str {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps an association on the list until it is dropped.
#[derive(Debug)]
pub struct Listed(Arc<OpenAssociation>);

impl Listed {
    pub fn new(
        calling: String,
        called: String,
        peer: String,
        direction: Direction,
        since: Moment,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Relaxed);
        let (messages, bytes, last) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::new(""));
        let one = OpenAssociation {
            number,
            calling,
            called,
            peer,
            direction,
            since,
            messages,
            bytes,
            last,
        };
        let one = Arc::new(one);
        list().insert(number, one.clone());
        Self(one)
    }

    /// An operation has ended.
    pub fn count(&self, operation: &'static str, bytes: u64) {
        self.0.messages.fetch_add(1, Relaxed);
        self.0.bytes.fetch_add(bytes, Relaxed);
        *self.0.last.lock().unwrap_or_else(PoisonError::into_inner) = operation;
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        list().remove(&self.0.number);
    }
}

/// Those that are open now, oldest first.
pub fn associations() -> Vec<Arc<OpenAssociation>> {
    list().values().cloned().collect()
}

fn list() -> MutexGuard<'static, BTreeMap<u64, Arc<OpenAssociation>>> {
    static OPEN: Mutex<BTreeMap<u64, Arc<OpenAssociation>>> = Mutex::new(BTreeMap::new());
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_listed_while_they_are_open() {
        let text = |text: &str| text.to_owned();
        let now = Moment::new(7, 0);
        let of = |peer: &str| {
            associations().into_iter().find(|one| one.peer == peer).map(|one| one.messages())
        };
        let one = Listed::new(text("CT"), text("PACS"), text("CT@a:1"), Direction::In, now);
        let two = Listed::new(text("MR"), text("PACS"), text("MR@b:2"), Direction::In, now);
        one.count("C-STORE", 10);
        one.count("C-ECHO", 0);
        assert_eq!((of("CT@a:1"), of("MR@b:2")), (Some(2), Some(0)));
        assert_eq!((one.0.bytes(), one.0.last()), (10, "C-ECHO"));
        drop(one);
        assert_eq!((of("CT@a:1"), of("MR@b:2")), (None, Some(0)));
        drop(two);
    }
}
