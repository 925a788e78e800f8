//! The one place that reads the wall clock (invariant 5), and times as people type them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use pacslab_model::{Clock, Moment};

use crate::config::read_duration;

/// Now, with the offset of the computer's time zone.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let now = jiff::ZonedDateTime::now();
        Moment::new(now.timestamp().as_microsecond(), now.offset().seconds())
    }
}

/// What the time zone of this computer is called: `Europe/Berlin`, or its offset.
pub(crate) fn zone_name() -> String {
    let now = jiff::ZonedDateTime::now();
    let offset = SystemClock.now().zone(":");
    match now.time_zone().iana_name() {
        Some(name) => format!("{name} ({offset})"),
        None => offset,
    }
}

/// `now`, `now+10m`, `now-1d` or `2026-01-05T08:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    Relative { forward: bool, by: Duration },
    Absolute(String),
}

impl When {
    pub(crate) fn moment(&self, clock: &dyn Clock) -> Moment {
        let now = clock.now();
        match self {
            Self::Relative { forward: true, by } => now.plus(*by),
            Self::Relative { forward: false, by } => {
                let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
                Moment::new(now.micros.saturating_sub(micros), now.offset)
            }
            // checked when it was read
            Self::Absolute(text) => Moment::parse(text, now.offset).unwrap_or(now),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "a time such as 2026-01-05T08:00, now or now+10m is expected".to_owned();
        let Some(rest) = text.trim().strip_prefix("now") else {
            return match Moment::parse(text, 0) {
                Some(_) => Ok(Self::Absolute(text.to_owned())),
                None => Err(expected()),
            };
        };
        let by = match rest.trim_start_matches(['+', '-']).trim() {
            "" => Some(Duration::ZERO),
            by => read_duration(by),
        };
        let by = by.ok_or_else(expected)?;
        Ok(Self::Relative { forward: !rest.starts_with('-'), by })
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relative { by, .. } if by.is_zero() => f.write_str("now"),
            Self::Relative { forward, by } => {
                write!(f, "now{}{}s", if *forward { '+' } else { '-' }, by.as_secs())
            }
            Self::Absolute(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use pacslab_model::time::FixedClock;

    use super::*;

    #[test]
    fn the_clock_goes_forward_in_this_century() {
        let first = SystemClock.now();
        let second = SystemClock.now();
        assert!(second.micros >= first.micros);
        assert!(first.date().ymd().0 >= 2025, "{first}");
        assert!(first.offset.abs() <= 14 * 3600);
    }

    #[test]
    fn times_are_read_as_people_type_them() {
        let clock = FixedClock(Moment::parse("2026-01-05T08:00", 3600).unwrap());
        let at = |text: &str| text.parse::<When>().unwrap().moment(&clock).dt();
        assert_eq!(at("now"), "20260105080000+0100");
        assert_eq!(at("now+10m"), "20260105081000+0100");
        assert_eq!(at("now-1d"), "20260104080000+0100");
        assert_eq!(at("2026-03-01T09:30"), "20260301093000+0100");
        for bad in ["tomorrow", "now+soon", "2026-02-30"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }
}
