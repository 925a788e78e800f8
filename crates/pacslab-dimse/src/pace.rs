//! How slow a peer may be within a message. A timeout for silence is none for a byte a second,
//! which would hold an association and memory for ever.

use std::time::Duration;

use tokio::time::Instant;

/// The slowest that a peer may be within a message: so many bytes a second, averaged over a time.
/// The time between messages does not count, nor that in which this side reads or writes nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slowest {
    /// 0: as slow as it likes.
    pub bytes_per_second: u64,
    pub over: Duration,
}

impl Default for Slowest {
    fn default() -> Self {
        Self { bytes_per_second: 1024, over: Duration::from_secs(60) }
    }
}

/// Bytes and the time that they were waited for, in one direction.
#[derive(Debug)]
pub(crate) struct Pace {
    slowest: Slowest,
    waited: Duration,
    bytes: u64,
    /// Since when we wait; a wait that was let go of and taken up again is one.
    since: Option<Instant>,
}

/// What a peer managed in the time over which is averaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSlow {
    pub bytes: u64,
    pub slowest: Slowest,
}

impl std::fmt::Display for TooSlow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, slowest: Slowest { bytes_per_second, over } } = self;
        let over = crate::error::seconds(over);
        write!(
            f,
            "{bytes} bytes in {over}, less than the {bytes_per_second} a second of \
             dicom.slowest_rate"
        )
    }
}

impl Pace {
    pub(crate) fn new(slowest: Slowest) -> Self {
        Self { slowest, waited: Duration::ZERO, bytes: 0, since: None }
    }

    /// What came before does not count.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.slowest);
    }

    /// The peer is waited for; gives when [`Self::moved`] has to be asked at the latest.
    pub(crate) fn waits(&mut self, now: Instant) -> Option<Instant> {
        if self.slowest.bytes_per_second == 0 {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        Some(since + self.slowest.over.saturating_sub(self.waited))
    }

    /// So many bytes were what we waited for.
    pub(crate) fn moved(&mut self, bytes: usize, now: Instant) -> Result<(), TooSlow> {
        self.bytes += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += now.saturating_duration_since(since);
        }
        let Slowest { bytes_per_second, over } = self.slowest;
        if self.waited < over || bytes_per_second == 0 {
            return Ok(());
        }
        let least = u128::from(bytes_per_second) * over.as_millis() / 1000;
        if u128::from(self.bytes) < least {
            return Err(TooSlow { bytes: self.bytes, slowest: self.slowest });
        }
        self.reset();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        Pace::new(Slowest { bytes_per_second: 100, over: Duration::from_secs(10) })
    }

    #[test]
    fn only_the_time_of_waiting_counts() {
        let (mut pace, begun) = (pace(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        for second in 0..100 {
            // 20 bytes in a tenth of a second, ten seconds apart
            pace.waits(at(10 * second));
            let now = at(10 * second) + Duration::from_millis(100);
            assert_eq!(pace.moved(20, now), Ok(()), "{second}");
        }
        // a wait that is taken up again goes on
        let mut pace = self::pace();
        assert_eq!(pace.waits(at(0)), Some(at(10)));
        assert_eq!(pace.waits(at(6)), Some(at(10)));
        assert_eq!(pace.moved(999, at(8)), Ok(()));
        assert_eq!(pace.waits(at(20)), Some(at(22)));
        assert_eq!(pace.moved(0, at(22)).unwrap_err().bytes, 999);
    }

    #[test]
    fn what_is_fast_enough_in_each_window_goes_on() {
        let (mut pace, begun) = (pace(), Instant::now());
        for second in 0..35 {
            let at = begun + Duration::from_secs(second);
            pace.waits(at);
            let bytes = if second < 30 { 100 } else { 1 };
            assert_eq!(pace.moved(bytes, at + Duration::from_secs(1)), Ok(()), "{second}");
        }
        let mut slow = Ok(());
        for second in 35..40 {
            let at = begun + Duration::from_secs(second);
            pace.waits(at);
            slow = pace.moved(1, at + Duration::from_secs(1));
        }
        let told = slow.unwrap_err().to_string();
        assert_eq!(told, "10 bytes in 10 s, less than the 100 a second of dicom.slowest_rate");
    }

    #[test]
    fn none_is_too_slow_without_a_rate() {
        let mut pace = Pace::new(Slowest { bytes_per_second: 0, over: Duration::ZERO });
        assert_eq!(pace.waits(Instant::now()), None);
        assert_eq!(pace.moved(0, Instant::now()), Ok(()));
    }
}
