//! How often, and how long apart, something is tried again that a peer did not take.

use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retries {
    /// After so many attempts nobody tries any more.
    pub attempts: u32,
    /// Before the second attempt; twice as long before each further one.
    pub first: Duration,
}

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(600);

impl Default for Retries {
    fn default() -> Self {
        Self { attempts: 30, first: Duration::from_secs(10) }
    }
}

impl Retries {
    /// How long to wait after so many failed attempts; `None`: it was the last.
    pub fn after(&self, failed: u32) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        let doubled = 2_u32.saturating_pow(failed.saturating_sub(1));
        Some(self.first.saturating_mul(doubled).min(LONGEST.max(self.first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_end() {
        let retries = Retries { attempts: 9, first: Duration::from_secs(10) };
        let waits = (1..=9).map(|n| retries.after(n).map(|wait| wait.as_secs()));
        let waits: Vec<_> = waits.collect();
        let expected = [10, 20, 40, 80, 160, 320, 600, 600].map(Some);
        assert_eq!(waits[..8], expected);
        assert_eq!(waits[8], None);
        assert!(Retries { attempts: u32::MAX, ..retries }.after(1_000_000).is_some());
    }
}
