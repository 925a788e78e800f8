//! Waiting for the peer a moment before going to sleep.
//!
//! DIMSE is a game of question and answer, and a peer on a fast network answers within some tens
//! of microseconds: less than it costs to let the core sleep and to wake it up again. So who waits
//! looks a few times first. That is worth it only while there are cores to spare, and with peers
//! that are quick, hence: at most one looks at a time, none while more associations are open than
//! there are cores, and who looked in vain sleeps at once the next times, twice as often each time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long one looks at most: about what sleeping and waking cost.
const MOMENT: Duration = Duration::from_micros(60);
/// In vain so often in a row, and a peer is tried again after `2^MOST` waits only.
const MOST: u32 = 10;

static OPEN: AtomicUsize = AtomicUsize::new(0);
static LOOKING: AtomicBool = AtomicBool::new(false);

/// What a connection knows about the haste of its peer. As long as it lives, it counts as open.
#[derive(Debug)]
pub(crate) struct Spin {
    /// In vain so often in a row.
    vain: u32,
    /// Waits that go to sleep at once before the next try.
    skip: u32,
}

impl Spin {
    pub(crate) fn new() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self { vain: 0, skip: 0 }
    }

    /// Asks `look` again and again for a moment, if that is worth it now.
    pub(crate) fn look<T>(&mut self, look: impl FnMut() -> Option<T>) -> Option<T> {
        self.is_due(OPEN.load(Ordering::Relaxed), cores()).then(|| self.try_for(MOMENT, look))?
    }

    fn is_due(&mut self, open: usize, cores: usize) -> bool {
        let due = self.skip == 0;
        self.skip = self.skip.saturating_sub(1);
        due && open <= cores
    }

    fn try_for<T>(&mut self, moment: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        if LOOKING.swap(true, Ordering::Acquire) {
            return None;
        }
        let begun = Instant::now();
        let found = loop {
            let found = look();
            if found.is_some() || begun.elapsed() >= moment {
                break found;
            }
            std::hint::spin_loop();
        };
        LOOKING.store(false, Ordering::Release);
        self.vain = if found.is_some() { 0 } else { (self.vain + 1).min(MOST) };
        self.skip = (1 << self.vain) - 1;
        found
    }
}

impl Drop for Spin {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// With one core, whoever looks keeps the peer from answering.
fn cores() -> usize {
    use std::sync::OnceLock;
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| match std::thread::available_parallelism() {
        Ok(cores) if cores.get() > 1 => cores.get(),
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_looks_in_vain_sleeps_twice_as_often_each_time() {
        let mut spin = Spin::new();
        let mut tried = Vec::new();
        for wait in 0..40 {
            if spin.is_due(1, 2) {
                tried.push(wait);
                assert_eq!(spin.try_for(Duration::ZERO, || None::<()>), None);
            }
        }
        assert_eq!(tried, [0, 2, 6, 14, 30]);
        // one that answers at once is believed again
        while !spin.is_due(1, 2) {}
        let mut looks = 0;
        let third = || {
            looks += 1;
            (looks == 3).then_some("here")
        };
        assert_eq!(spin.try_for(Duration::from_secs(60), third), Some("here"));
        assert!(spin.is_due(1, 2));
    }

    #[test]
    fn nobody_looks_where_the_cores_have_other_work() {
        for (open, cores, due) in [(1, 2, true), (2, 2, true), (3, 2, false), (1, 0, false)] {
            assert_eq!(Spin::new().is_due(open, cores), due, "{open} open, {cores} cores");
        }
    }
}
