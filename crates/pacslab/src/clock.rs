//! The one place that reads the wall clock (invariant 5).

use pacslab_model::{Clock, Moment};

/// Now, with the offset of the computer's time zone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = jiff::ZonedDateTime::now();
        Moment::new(now.timestamp().as_microsecond(), now.offset().seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_forward_in_this_century() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.micros >= first.micros);
        assert!(first.rfc3339() > "2025".to_owned(), "{first}");
        assert!(first.offset.abs() <= 14 * 3600);
    }
}
