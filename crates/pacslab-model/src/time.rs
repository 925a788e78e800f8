//! Time as a parameter, and the date and time values of DICOM. PS3.5 6.2 (DA, TM, DT).

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where "now" comes from. Nothing below the binary reads the wall clock (invariant 5).
pub trait Clock: Send + Sync {
    fn now(&self) -> Moment;
}

/// A clock that stands still: `--at 2026-01-05T08:00`, and tests.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Moment);

impl Clock for FixedClock {
    fn now(&self) -> Moment {
        self.0
    }
}

/// A point in time with the offset of the place it was read at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Moment {
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub micros: i64,
    /// Seconds east of UTC.
    pub offset: i32,
}

const DAY: i64 = 86_400_000_000;

impl Moment {
    pub const fn new(micros: i64, offset: i32) -> Self {
        Self { micros, offset }
    }

    /// From local civil time. Fields out of range give `None`.
    pub fn civil(date: Date, time_of_day: TimeOfDay, offset: i32) -> Option<Self> {
        let local = date.days_since_epoch()? * DAY + time_of_day.0;
        Some(Self { micros: local - i64::from(offset) * 1_000_000, offset })
    }

    fn local(self) -> i64 {
        self.micros + i64::from(self.offset) * 1_000_000
    }

    pub fn date(self) -> Date {
        Date::from_days(self.local().div_euclid(DAY))
    }

    pub fn time_of_day(self) -> TimeOfDay {
        TimeOfDay(self.local().rem_euclid(DAY))
    }

    /// `YYYYMMDD`
    pub fn da(self) -> String {
        self.date().to_string()
    }

    /// `HHMMSS`
    pub fn tm(self) -> String {
        let s = self.time_of_day().0 / 1_000_000;
        format!("{:02}{:02}{:02}", s / 3600, s / 60 % 60, s % 60)
    }

    /// `YYYYMMDDHHMMSS+ZZZZ`, as HL7 v2 and DICOM DT write it.
    pub fn dt(self) -> String {
        format!("{}{}{}", self.da(), self.tm(), self.zone(""))
    }

    /// `2026-01-05T08:00:00.123456+01:00`
    pub fn rfc3339(self) -> String {
        let (y, m, d) = self.date().ymd();
        let t = self.time_of_day().0;
        let s = t / 1_000_000;
        let zone = if self.offset == 0 { "Z".to_owned() } else { self.zone(":") };
        format!(
            "{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}.{:06}{zone}",
            s / 3600,
            s / 60 % 60,
            s % 60,
            t % 1_000_000
        )
    }

    /// `+0100` or `+01:00`: the value of TimezoneOffsetFromUTC (0008,0201) with an empty `colon`.
    pub fn zone(self, colon: &str) -> String {
        let minutes = self.offset / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!("{sign}{:02}{colon}{:02}", minutes.abs() / 60, minutes.abs() % 60)
    }

    pub fn plus(self, duration: Duration) -> Self {
        Self { micros: self.micros.saturating_add(duration.as_micros() as i64), ..self }
    }

    /// Reads `2026-01-05T08:00`, `2026-01-05 08:00:30`, `2026-01-05`, with an optional `Z` or
    /// `+01:00` that otherwise is `offset`.
    pub fn parse(text: &str, offset: i32) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = text.split_at_checked(10)?;
        let date = Date::parse(&date.replace('-', ""))?;
        let rest = rest.trim_start_matches(['T', ' ', 't']);
        let (clock, offset) = match rest.find(['+', '-', 'Z', 'z']) {
            None => (rest, offset),
            Some(at) => (&rest[..at], parse_zone(&rest[at..])?),
        };
        let time = match clock {
            "" => TimeOfDay(0),
            clock => TimeRange::parse(&clock.replace(':', ""))?.first(),
        };
        Self::civil(date, time, offset)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339())
    }
}

/// `Z`, `+01:00`, `-0530` in seconds east of UTC.
fn parse_zone(text: &str) -> Option<i32> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits = text[1..].replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i32, i32) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// A calendar date. PS3.5 6.2, VR DA.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

impl Date {
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let leap =
            (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
        let last = match month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        (1..=last).contains(&day).then_some(Self { year, month, day })
    }

    /// `YYYYMMDD`; `YYYY.MM.DD` of ACR-NEMA is read as well.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.trim().chars().filter(|c| *c != '.').collect();
        if digits.len() != 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Self::new(digits[..4].parse().ok()?, digits[4..6].parse().ok()?, digits[6..].parse().ok()?)
    }

    pub fn ymd(self) -> (u16, u8, u8) {
        (self.year, self.month, self.day)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar.
    fn days_since_epoch(self) -> Option<i64> {
        let (y, m, d) = (i64::from(self.year), i64::from(self.month), i64::from(self.day));
        let y = if m <= 2 { y - 1 } else { y };
        let era = y.div_euclid(400);
        let year_of_era = y - era * 400;
        let day_of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
        Some(
            era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year
                - 719_468,
        )
    }

    fn from_days(days: i64) -> Self {
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        Self {
            year: year.clamp(0, 9999) as u16,
            month: month as u8,
            day: (doy - (153 * mp + 2) / 5 + 1) as u8,
        }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}{:02}{:02}", self.year, self.month, self.day)
    }
}

/// Microseconds since local midnight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TimeOfDay(pub i64);

/// What a TM value of limited precision covers: `10` is 10:00:00.000000 to 10:59:59.999999.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeRange {
    first: i64,
    last: i64,
}

impl TimeRange {
    /// `HH[MM[SS[.F…]]]`; `HH:MM:SS` of ACR-NEMA is read as well.
    pub fn parse(text: &str) -> Option<Self> {
        let text: String = text.trim().chars().filter(|c| *c != ':').collect();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        if !matches!(whole.len(), 2 | 4 | 6)
            || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
            || fraction.len() > 6
            || (!fraction.is_empty() && whole.len() != 6)
        {
            return None;
        }
        let part = |at: usize, max: i64| -> Option<i64> {
            match whole.get(at..at + 2) {
                None => Some(0),
                Some(digits) => digits.parse().ok().filter(|n| *n <= max),
            }
        };
        // 60 is a leap second
        let seconds = part(0, 23)? * 3600 + part(2, 59)? * 60 + part(4, 60)?;
        let mut micros = 0;
        let mut unit = 1_000_000;
        for digit in fraction.bytes() {
            unit /= 10;
            micros += i64::from(digit - b'0') * unit;
        }
        let span = match (whole.len(), fraction.is_empty()) {
            (2, _) => 3_600_000_000,
            (4, _) => 60_000_000,
            (_, true) => 1_000_000,
            (_, false) => unit,
        };
        let first = seconds * 1_000_000 + micros;
        Some(Self { first, last: first + span - 1 })
    }

    pub fn first(self) -> TimeOfDay {
        TimeOfDay(self.first)
    }

    pub fn last(self) -> TimeOfDay {
        TimeOfDay(self.last)
    }
}

/// What a DT value covers, in microseconds of local civil time since year 0.
/// An offset (`&ZZXX`) is applied so that values of different zones compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateTimeRange {
    pub first: i64,
    pub last: i64,
}

impl DateTimeRange {
    /// `YYYY[MM[DD[HH[MM[SS[.F…]]]]]][&ZZXX]`
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (clock, zone) = match text.find(['+', '-']) {
            Some(at) => (&text[..at], parse_zone(&text[at..])?),
            None => (text, 0),
        };
        let (day_part, time_part) = clock.split_at_checked(8).unwrap_or((clock, ""));
        if !day_part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let year: u16 = day_part.get(..4)?.parse().ok()?;
        let (first_day, last_day) = match day_part.len() {
            4 => (Date::new(year, 1, 1)?, Date::new(year, 12, 31)?),
            6 => {
                let month = day_part[4..].parse().ok()?;
                let last = (28..=31).rev().find_map(|day| Date::new(year, month, day))?;
                (Date::new(year, month, 1)?, last)
            }
            8 => (Date::parse(day_part)?, Date::parse(day_part)?),
            _ => return None,
        };
        let (from, to) = match time_part {
            "" => (0, DAY - 1),
            time => {
                let range = TimeRange::parse(time)?;
                (range.first, range.last)
            }
        };
        let shift = i64::from(zone) * 1_000_000;
        Some(Self {
            first: first_day.days_since_epoch()? * DAY + from - shift,
            last: last_day.days_since_epoch()? * DAY + to - shift,
        })
    }

    /// A date and a time of day as one point (both without offset).
    pub fn at(date: Date, time: TimeOfDay) -> Option<i64> {
        Some(date.days_since_epoch()? * DAY + time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_in_every_dialect() {
        let at = Moment::parse("2026-01-05T08:00", 3600).unwrap();
        assert_eq!(at.da(), "20260105");
        assert_eq!(at.tm(), "080000");
        assert_eq!(at.dt(), "20260105080000+0100");
        assert_eq!(at.rfc3339(), "2026-01-05T08:00:00.000000+01:00");
        assert_eq!(at.plus(Duration::from_secs(600)).tm(), "081000");
        assert_eq!(Moment::parse("2026-01-05T08:00:30Z", 3600).unwrap().offset, 0);
        assert!(Moment::parse("2026-02-30", 0).is_none());
        assert!(Moment::parse("tomorrow", 0).is_none());
    }

    #[test]
    fn days_go_there_and_back() {
        for (days, text) in [(0, "19700101"), (-1, "19691231"), (20_454, "20260101")] {
            assert_eq!(Date::from_days(days).to_string(), text);
            assert_eq!(Date::parse(text).unwrap().days_since_epoch(), Some(days));
        }
        for days in (-200_000..200_000).step_by(17) {
            assert_eq!(Date::from_days(days).days_since_epoch(), Some(days));
        }
    }

    #[test]
    fn precision_is_a_range() {
        let hour = TimeRange::parse("10").unwrap();
        assert_eq!((hour.first, hour.last), (36_000_000_000, 39_599_999_999));
        let tenth = TimeRange::parse("101500.5").unwrap();
        assert_eq!(tenth.last - tenth.first, 99_999);
        for bad in ["", "1", "2561", "1060", "10a0", "10.5", "101061"] {
            assert!(TimeRange::parse(bad).is_none(), "{bad}");
        }
        let month = DateTimeRange::parse("202402").unwrap();
        assert_eq!(month.last - month.first + 1, 29 * DAY);
        assert_eq!(
            DateTimeRange::parse("20240101120000+0100").unwrap().first,
            DateTimeRange::parse("20240101110000").unwrap().first
        );
    }
}
