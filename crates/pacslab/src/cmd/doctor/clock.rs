//! The clock: plausible, beside those of others, and the time zone.

use std::path::Path;
use std::time::{Duration, SystemTime};

use pacslab_model::time::{Date, TimeOfDay};
use pacslab_model::{Clock, Moment};

use super::Patient;
use super::report::{Check, Report};
use crate::clock::{SystemClock, zone_name};

const GROUP: &str = "clock";

/// What worklists and studies bear.
const TOLERANCE: i64 = 60;

/// A clock of somebody else: who, and what it says.
pub(super) type Other = (String, Moment);

pub(super) fn examine(patient: &Patient, others: &[Other], clock: &SystemClock, report: &mut Report) {
    let now = clock.now();
    let mut add = |check| report.add(GROUP, check);
    let set = match cfg!(windows) {
        true => "w32tm /resync",
        false => "timedatectl set-ntp true",
    };
    let data = &patient.config.storage.dir;
    let newest = ["lab.db", "events.db", "packs"].map(|name| data.join(name));
    let newest = newest.iter().filter_map(|path| modified(path)).max();
    let program = std::env::current_exe().ok().and_then(|path| modified(&path));
    let behind = |at: Option<i64>| at.filter(|at| *at > now.micros / 1_000_000 + TOLERANCE);
    add(if let Some(at) = behind(program) {
        Check::fail("clock", format!("{} is before this program was made ({})", now.dt(), told(at)))
            .fix(set)
    } else if let Some(at) = behind(newest) {
        Check::warn("clock", format!("{} is before the last change in the data folder ({})", now.dt(), told(at)))
            .fix(set)
    } else {
        Check::ok("clock", format!("{}; time zone {}", now.rfc3339(), zone_name()))
    });
    for (who, theirs) in others {
        let apart = (now.micros - theirs.micros) / 1_000_000;
        let (name, says) = (format!("clock of {who}"), format!("{} s apart from ours", apart.abs()));
        add(match apart.abs() > TOLERANCE {
            true => Check::warn(name, format!("{says}: {} there, {} here", theirs.rfc3339(), now.rfc3339())).fix(set),
            false => Check::ok(name, says),
        });
    }
}

fn modified(path: &Path) -> Option<i64> {
    let at = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).ok()
}

fn told(seconds: i64) -> String {
    Moment::new(seconds.saturating_mul(1_000_000), 0).rfc3339()
}

/// `Mon, 23 Nov 2026 22:38:25 GMT`. RFC 9110 5.6.7.
pub(super) fn http_date(text: &str) -> Option<Moment> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else { return None };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let date = Date::new(year.parse().ok()?, u8::try_from(month + 1).ok()?, day.parse().ok()?)?;
    let mut parts = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let of_day = TimeOfDay(((hour * 60 + minute) * 60 + second).checked_mul(1_000_000)?);
    Moment::civil(date, of_day, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_read() {
        let at = http_date("Mon, 05 Jan 2026 08:00:09 GMT").unwrap();
        assert_eq!(at.rfc3339(), Moment::parse("2026-01-05T08:00:09", 0).unwrap().rfc3339());
        for bad in ["", "yesterday", "Mon, 05 Jan 2026 08:00:09 CET", "Mon, 05 Foo 2026 08:00:09 GMT"] {
            assert_eq!(http_date(bad), None, "{bad}");
        }
    }
}
