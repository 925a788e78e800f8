//! What this process has done, in numbers for monitoring systems. Counted where it happens, with
//! atomics: events may be dropped, counters may not (ADR 0013).
//!
//! There is one set for the process, as there is one of its memory and one of its processor time:
//! a scrape asks the process. Text form in [`write()`].

mod text;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use text::{Kind, Text, write};

/// Counts up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    pub fn add(&self, count: i64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How often values came to lie below which bounds.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    /// In the unit of the values, ascending.
    bounds: [u64; N],
    counts: [AtomicU64; N],
    sum: AtomicU64,
    count: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    const fn new(bounds: [u64; N]) -> Self {
        let counts = [const { AtomicU64::new(0) }; N];
        Self { bounds, counts, sum: AtomicU64::new(0), count: AtomicU64::new(0) }
    }

    pub fn observe(&self, value: u64) {
        if let Some(at) = self.bounds.iter().position(|bound| value <= *bound) {
            self.counts[at].fetch_add(1, Relaxed);
        }
        self.sum.fetch_add(value, Relaxed);
        self.count.fetch_add(1, Relaxed);
    }

    /// A time, in microseconds.
    pub fn took(&self, time: Duration) {
        self.observe(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Counters with one label of a few values that are known beforehand, and another.
#[derive(Debug)]
pub struct Table<const R: usize, const C: usize> {
    pub rows: [&'static str; R],
    pub columns: [&'static str; C],
    cells: [[Counter; C]; R],
}

impl<const R: usize, const C: usize> Table<R, C> {
    const fn new(rows: [&'static str; R], columns: [&'static str; C]) -> Self {
        Self { rows, columns, cells: [const { [const { Counter::new() }; C] }; R] }
    }

    /// Counts one; a label that is not known counts as the last, which is called `other`.
    pub fn count(&self, row: &str, column: &str) {
        let at = |all: &[&str], one: &str| {
            all.iter().position(|known| *known == one).unwrap_or(all.len().saturating_sub(1))
        };
        let (row, column) = (at(&self.rows, row), at(&self.columns, column));
        if let Some(cell) = self.cells.get(row).and_then(|cells| cells.get(column)) {
            cell.add(1);
        }
    }

    /// Both labels and the count of each cell.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.rows.iter().zip(&self.cells).flat_map(move |(row, cells)| {
            let cell = move |(column, cell): (&&'static str, &Counter)| (*row, *column, cell.get());
            self.columns.iter().zip(cells).map(cell)
        })
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    /// Associations that others opened to us and that stand.
    pub associations_open: Gauge,
    pub associations_accepted: Counter,
    pub associations_rejected: Counter,
    /// Operations that we performed for others.
    pub operations: Table<6, 4>,
    pub stored_bytes: Counter,
    /// From the request until the answer, in microseconds.
    pub store_time: Histogram<14>,
    /// Instances that wait for a sync, and those that share one.
    pub commit_waiting: Gauge,
    pub commit_batch: Histogram<7>,
    /// One batch: index asked, appended, synced, indexed; in microseconds.
    pub commit_time: Histogram<14>,
    /// Bytes of objects that are arriving or wait for their sync, and how often one waited for room.
    pub receive_memory: Gauge,
    pub receive_waits: Counter,
    /// Objects that went to disk early because there was no room.
    pub receive_spilled: Counter,
    pub http: Table<6, 5>,
    pub hl7: Table<6, 7>,
}

/// Of this process.
pub static METRICS: Metrics = Metrics {
    associations_open: Gauge::new(),
    associations_accepted: Counter::new(),
    associations_rejected: Counter::new(),
    operations: Table::new(
        ["C-ECHO", "C-STORE", "C-FIND", "C-MOVE", "C-GET", "other"],
        ["success", "warning", "cancel", "failure"],
    ),
    stored_bytes: Counter::new(),
    store_time: Histogram::new(TIMES),
    commit_waiting: Gauge::new(),
    commit_batch: Histogram::new([1, 2, 4, 8, 16, 32, 64]),
    commit_time: Histogram::new(TIMES),
    receive_memory: Gauge::new(),
    receive_waits: Counter::new(),
    receive_spilled: Counter::new(),
    http: Table::new(
        ["dicomweb", "rest", "page", "events", "metrics", "other"],
        ["2xx", "3xx", "4xx", "5xx", "other"],
    ),
    hl7: Table::new(
        ["ORM", "OMG", "OMI", "ADT", "ORU", "other"],
        ["AA", "AE", "AR", "CA", "CE", "CR", "other"],
    ),
};

/// 250 µs to 10 s.
const TIMES: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_nobody_foresaw_count_as_other() {
        let table = Table::new(["a", "other"], ["x", "other"]);
        for (row, column) in [("a", "x"), ("a", "x"), ("b", "x"), ("a", "y")] {
            table.count(row, column);
        }
        let cells: Vec<_> = table.cells().collect();
        let expected = [("a", "x", 2), ("a", "other", 1), ("other", "x", 1), ("other", "other", 0)];
        assert_eq!(cells, expected);
    }

    #[test]
    fn gauges_come_back() {
        let gauge = Gauge::new();
        gauge.add(3);
        gauge.add(-3);
        assert_eq!(gauge.get(), 0);
    }
}
