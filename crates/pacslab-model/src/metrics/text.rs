//! The text format of Prometheus, version 0.0.4: `# HELP`, `# TYPE`, then the samples.

use std::fmt::{Display, Write};
use std::sync::atomic::Ordering::Relaxed;

use super::{Histogram, METRICS, Table};

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Samples as text.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// Begins a metric.
    pub fn metric(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // a String takes everything
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One sample; the values of labels are ours and need no escapes.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, text)| format!("{label}=\"{text}\"")).collect();
        let labels =
            if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    /// A metric of one sample.
    pub fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.metric(name, kind, help);
        self.sample(name, &[], value);
    }

    fn table<const R: usize, const C: usize>(
        &mut self,
        name: &str,
        help: &str,
        labels: [&str; 2],
        table: &Table<R, C>,
    ) {
        self.metric(name, Kind::Counter, help);
        for (row, column, count) in table.cells() {
            self.sample(name, &[(labels[0], row), (labels[1], column)], count);
        }
    }

    /// `unit` is how many of the values make one of what is told.
    fn histogram<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        histogram: &Histogram<N>,
        unit: f64,
    ) {
        self.metric(name, Kind::Histogram, help);
        // read first: a bucket that grows meanwhile must not be larger than all of them
        let all = histogram.count.load(Relaxed);
        let bucket = format!("{name}_bucket");
        let mut below = 0;
        for (bound, count) in histogram.bounds.iter().zip(&histogram.counts) {
            below += count.load(Relaxed);
            let bound = (*bound as f64 / unit).to_string();
            self.sample(&bucket, &[("le", &bound)], below.min(all));
        }
        self.sample(&bucket, &[("le", "+Inf")], all);
        self.sample(&format!("{name}_sum"), &[], histogram.sum.load(Relaxed) as f64 / unit);
        self.sample(&format!("{name}_count"), &[], all);
    }

    pub fn finish(self) -> String {
        self.0
    }
}

/// Everything that is counted in this process.
pub fn write(text: &mut Text) {
    let m = &METRICS;
    text.one(
        "pacslab_associations_open",
        Kind::Gauge,
        "Associations that stand, opened by others.",
        m.associations_open.get(),
    );
    text.one(
        "pacslab_associations_accepted_total",
        Kind::Counter,
        "Associations that were accepted.",
        m.associations_accepted.get(),
    );
    text.one(
        "pacslab_associations_rejected_total",
        Kind::Counter,
        "Associations that were rejected.",
        m.associations_rejected.get(),
    );
    text.table(
        "pacslab_dimse_operations_total",
        "DIMSE operations performed for others, by service and kind of the final status.",
        ["service", "status"],
        &m.operations,
    );
    text.one(
        "pacslab_store_bytes_total",
        Kind::Counter,
        "Bytes of data sets received by C-STORE.",
        m.stored_bytes.get(),
    );
    text.histogram(
        "pacslab_store_duration_seconds",
        "From a C-STORE request to its answer.",
        &m.store_time,
        1e6,
    );
    text.one(
        "pacslab_commit_waiting",
        Kind::Gauge,
        "Instances received that wait to be committed.",
        m.commit_waiting.get(),
    );
    text.histogram(
        "pacslab_commit_batch_instances",
        "Instances that shared one sync.",
        &m.commit_batch,
        1.0,
    );
    text.histogram(
        "pacslab_commit_duration_seconds",
        "One batch: appended, synced and indexed.",
        &m.commit_time,
        1e6,
    );
    text.one(
        "pacslab_receive_memory_bytes",
        Kind::Gauge,
        "Memory taken by objects that arrive or wait to be committed (storage.receive_memory).",
        m.receive_memory.get(),
    );
    text.one(
        "pacslab_receive_waits_total",
        Kind::Counter,
        "How often a sender had to wait for that memory.",
        m.receive_waits.get(),
    );
    text.one(
        "pacslab_receive_spilled_total",
        Kind::Counter,
        "Objects that went to a file of their own for want of that memory.",
        m.receive_spilled.get(),
    );
    text.table(
        "pacslab_http_requests_total",
        "HTTP requests, by kind of route and status.",
        ["route", "status"],
        &m.http,
    );
    text.table(
        "pacslab_hl7_messages_total",
        "HL7 messages received, by type and acknowledgement.",
        ["type", "ack"],
        &m.hl7,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_are_cumulative_and_end_with_all() {
        let histogram = Histogram::new([1_000, 10_000]);
        for value in [500, 1_000, 5_000, 99_000] {
            histogram.observe(value);
        }
        let mut text = Text::default();
        text.histogram("x_seconds", "Some time.", &histogram, 1e6);
        let expected = "# HELP x_seconds Some time.\n# TYPE x_seconds histogram\n\
                        x_seconds_bucket{le=\"0.001\"} 2\nx_seconds_bucket{le=\"0.01\"} 3\n\
                        x_seconds_bucket{le=\"+Inf\"} 4\nx_seconds_sum 0.1055\nx_seconds_count 4\n";
        assert_eq!(text.finish(), expected);
    }

    #[test]
    fn everything_has_a_name_a_type_and_a_help() {
        let mut text = Text::default();
        write(&mut text);
        let text = text.finish();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let base = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|base| text.contains(&format!("# TYPE {base} histogram")))
                .unwrap_or(name);
            assert!(text.contains(&format!("# TYPE {base} ")), "{line}");
            assert!(text.contains(&format!("# HELP {base} ")), "{line}");
            assert!(name.starts_with("pacslab_"), "{line}");
        }
    }
}
