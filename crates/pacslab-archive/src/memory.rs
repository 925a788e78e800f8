//! How much memory all objects that arrive may take together, through whatever door (ADR 0015).
//!
//! One object may have a share of what is free, not of what there is: while much is free that is
//! a whole image, and the less is free the earlier a large one goes to disk instead. An eighth is
//! for small ones only, however many large ones are held open. Nobody waits for
//! another's sender; who waits at all waits for the committer, which needs nothing of this to go on.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pacslab_model::METRICS;
use tokio::sync::Notify;

/// Unless it is set otherwise.
pub(crate) const DEFAULT: usize = 64 << 20;
/// Below this nothing would arrive at a bearable speed.
const LEAST: usize = 1 << 20;
/// One object gets so much of what is free at most, this part of it all left aside.
const PART: usize = 4;
const ASIDE: usize = 8;
/// What is left aside is for objects up to this size.
pub(crate) const SMALL: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Memory {
    counts: Mutex<Counts>,
    /// Told whenever an object has been committed.
    committed: Notify,
}

#[derive(Debug)]
struct Counts {
    limit: usize,
    used: usize,
    /// Objects that have come to the committer's queue, and those that it is done with.
    entered: u64,
    left: u64,
}

impl Counts {
    /// Whether one who has so much may have so much altogether.
    fn fits(&self, has: usize, wants: usize) -> bool {
        let free = self.limit.saturating_sub(self.used.saturating_sub(has));
        wants <= SMALL.min(free) || wants <= free.saturating_sub(self.limit / ASIDE) / PART
    }
}

impl Default for Memory {
    fn default() -> Self {
        let counts = Counts { limit: DEFAULT, used: 0, entered: 0, left: 0 };
        Self { counts: Mutex::new(counts), committed: Notify::new() }
    }
}

impl Memory {
    pub(crate) fn limit(&self, bytes: u64) {
        self.counts().limit = usize::try_from(bytes).unwrap_or(usize::MAX).max(LEAST);
    }

    pub(crate) fn share(self: &Arc<Self>) -> Share {
        Share { memory: self.clone(), bytes: 0, entered: false }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one object has of the memory, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    memory: Arc<Memory>,
    bytes: usize,
    entered: bool,
}

impl Share {
    /// Takes so much altogether, if there is room; else it stays as it is.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        if bytes <= self.bytes {
            return true;
        }
        let mut counts = self.memory.counts();
        if !counts.fits(self.bytes, bytes) {
            return false;
        }
        let more = bytes - self.bytes;
        counts.used += more;
        drop(counts);
        METRICS.receive_memory.add(more as i64);
        self.bytes = bytes;
        true
    }

    /// Gives everything back: the object goes to disk.
    pub(crate) fn clear(&mut self) {
        self.memory.counts().used -= self.bytes;
        METRICS.receive_memory.add(-(self.bytes as i64));
        self.bytes = 0;
    }

    /// What to wait for before [`Self::grow`], if there is something: until there is room, or all
    /// that stand in the committer's queue now are done.
    pub(crate) fn room(&self, bytes: usize) -> Option<impl Future<Output = ()> + Send + use<>> {
        if bytes <= self.bytes {
            return None;
        }
        let has = self.bytes;
        let target = {
            let counts = self.memory.counts();
            if counts.fits(has, bytes) || counts.left >= counts.entered {
                return None;
            }
            counts.entered
        };
        METRICS.receive_waits.add(1);
        let memory = self.memory.clone();
        Some(async move {
            loop {
                let mut committed = pin!(memory.committed.notified());
                // before looking, so that nothing is missed between the two
                committed.as_mut().enable();
                {
                    let counts = memory.counts();
                    if counts.fits(has, bytes) || counts.left >= target {
                        return;
                    }
                }
                committed.await;
            }
        })
    }

    /// The object stands in the committer's queue: it is done with before long.
    pub(crate) fn enter(&mut self) {
        self.entered = true;
        self.memory.counts().entered += 1;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.clear();
        if self.entered {
            self.memory.counts().left += 1;
            self.memory.committed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(limit: u64) -> Arc<Memory> {
        let memory = Arc::new(Memory::default());
        memory.limit(limit);
        memory
    }

    #[test]
    fn however_many_large_ones_are_held_a_small_one_fits() {
        let memory = memory(16 << 20);
        let mut held: Vec<Share> = Vec::new();
        for _ in 0..100 {
            let mut share = memory.share();
            for size in (0..=20).map(|power| 1 << power) {
                share.grow(size);
            }
            held.push(share);
        }
        assert!(memory.counts().used <= 16 << 20);
        assert!(memory.share().grow(SMALL), "{:?}", memory.counts());
        drop(held);
        assert_eq!(memory.counts().used, 0);
    }

    /// One half received may belong to a sender that never goes on.
    #[tokio::test]
    async fn nobody_waits_for_what_is_not_queued() {
        let memory = memory(4 << 20);
        let (mut first, mut second) = (memory.share(), memory.share());
        assert!(first.grow(800 << 10));
        assert!(!second.grow(800 << 10));
        assert!(second.room(800 << 10).is_none());
        first.enter();
        let room = second.room(800 << 10).unwrap();
        let (room, ()) = tokio::join!(tokio::spawn(room), async { drop(first) });
        room.unwrap();
        assert!(second.grow(800 << 10));
    }

    #[tokio::test]
    async fn a_wait_ends_with_those_that_were_queued_even_if_there_is_no_room() {
        let memory = memory(4 << 20);
        let (mut first, mut second, third) = (memory.share(), memory.share(), memory.share());
        assert!(first.grow(800 << 10) && second.grow(600 << 10));
        first.enter();
        let room = third.room(1 << 20).unwrap();
        second.enter();
        assert!(!memory.counts().fits(0, 1 << 20));
        drop(first);
        room.await;
        assert!(!third.memory.counts().fits(0, 1 << 20));
    }
}
