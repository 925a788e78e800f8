//! The table for people.

use super::compare::Compared;
use super::{Report, Row, Wrote};
use crate::output::{FAINT, Output, STRONG};

pub(crate) fn print(report: &Report, compared: Option<&Compared>, out: &Output) {
    let several = report.targets.len() > 1;
    let mut headings = vec!["workload", "", "conn"];
    if several {
        headings.push("target");
    }
    headings.extend(["req/s", "images/s", "MB/s", "p50 ms", "p95", "p99", "max", "errors"]);
    if several {
        headings.push("x first");
    }
    if compared.is_some() {
        headings.push("x earlier");
    }
    let row = |row: &Row| {
        let mut cells = vec![row.workload.clone(), row.detail.clone(), row.connections.to_string()];
        if several {
            cells.push(row.target.clone());
        }
        let latency = |pick: fn(&super::Latency) -> f64| {
            row.latency_ms.as_ref().map(|all| number(pick(all))).unwrap_or_default()
        };
        cells.push(number(row.per_second));
        let many = row.objects != row.requests && matches!(&*row.workload, "move" | "get");
        cells.push(if many { number(row.objects_per_second) } else { String::new() });
        cells.push(if row.bytes > 0 { number(row.mb_per_second) } else { String::new() });
        cells.extend([
            latency(|l| l.p50),
            latency(|l| l.p95),
            latency(|l| l.p99),
            latency(|l| l.max),
            row.failed().to_string(),
        ]);
        if several {
            cells.push(row.of_first.map(times).unwrap_or_default());
        }
        if let Some(compared) = compared {
            cells.push(compared.ratio(report, row).map(times).unwrap_or_default());
        }
        cells
    };
    let rows: Vec<_> = report.measurements.iter().map(row).collect();
    out.table(&headings, rows, "nothing was measured");
    errors(report, out);
    steps(report, out);
    if !report.not_offered.is_empty() {
        out.say_styled(format!("\n{STRONG}Not offered{STRONG:#}"));
        for (what, target, reason) in grouped(report) {
            out.say(format!("  {what}: {target}: {reason}"));
        }
    }
    for note in &report.notes {
        out.say(format!("\n{note}"));
    }
    for target in &report.targets {
        let Wrote { patients, objects, bytes, orders, found } = &target.wrote;
        if *objects + *orders == 0 {
            continue;
        }
        out.say_styled(format!("\n{STRONG}Written to {}{STRONG:#}", target.name));
        let found = match found {
            Some(found) => format!(", {found} of them found by C-FIND"),
            None => String::new(),
        };
        out.say(format!(
            "  {objects} images ({} MB){found}, {orders} orders; synthetic, of the patients {patients}",
            number(*bytes as f64 / 1e6)
        ));
        out.say_styled(format!("  {FAINT}{}{FAINT:#}", where_it_is(&target.name, patients)));
    }
    out.say_styled(format!(
        "\n{FAINT}seed {}, {} CPUs, {}{}{FAINT:#}",
        report.seed,
        report.client.cpus,
        report.client.system,
        if report.client.optimised { "" } else { "; a debug build: its figures are its own" }
    ));
}

/// How to look at what was written. Nobody's C-FIND deletes.
pub(crate) fn where_it_is(pacs: &str, patients: &str) -> String {
    format!(
        "pacslab find --pacs {pacs} --patient-id \"{patients}\"   (how to remove it: docs/benchmark.md)"
    )
}

fn errors(report: &Report, out: &Output) {
    let failed: Vec<&Row> = report.measurements.iter().filter(|row| row.failed() > 0).collect();
    if failed.is_empty() {
        return;
    }
    out.say_styled(format!("\n{STRONG}Errors{STRONG:#} (in no figure above)"));
    for row in failed {
        let kinds: Vec<String> =
            row.errors.iter().map(|(kind, count)| format!("{count} x {kind}")).collect();
        out.say(format!(
            "  {}, {}, {} connections, {}: {}",
            row.workload,
            row.detail,
            row.connections,
            row.target,
            kinds.join(", ")
        ));
    }
}

/// Where the time of a workflow goes.
fn steps(report: &Report, out: &Output) {
    let rows: Vec<&Row> = report.measurements.iter().filter(|r| !r.steps_ms.is_empty()).collect();
    if rows.is_empty() {
        return;
    }
    out.say_styled(format!("\n{STRONG}Steps of a workflow{STRONG:#}, p50 in ms"));
    for row in rows {
        let order = ["order", "worklist", "acquire", "store", "verify"];
        let steps: Vec<String> = order
            .iter()
            .filter_map(|step| Some(format!("{step} {}", number(*row.steps_ms.get(*step)?))))
            .collect();
        let (connections, target) = (row.connections, &row.target);
        out.say(format!("  {connections} connections, {target}: {}", steps.join(", ")));
    }
}

/// One line for all that misses for the same reason.
pub(crate) fn grouped(report: &Report) -> Vec<(String, String, String)> {
    let mut lines: Vec<(String, String, String)> = Vec::new();
    for one in &report.not_offered {
        let known = lines
            .iter_mut()
            .find(|(_, target, reason)| *target == one.target && *reason == one.reason);
        match known {
            Some((what, ..)) if what.split(", ").any(|word| word == one.workload) => {}
            Some((what, ..)) => *what += &format!(", {}", one.workload),
            None => lines.push((one.workload.clone(), one.target.clone(), one.reason.clone())),
        }
    }
    lines
}

/// Three digits that matter.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v < 1.0 => format!("{value:.3}"),
        v if v < 10.0 => format!("{value:.2}"),
        v if v < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

pub(crate) fn times(ratio: f64) -> String {
    format!("{}x", number(ratio))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_matter() {
        let all = [0.0, 0.1234, 1.234, 12.34, 123.4, 12345.6].map(number);
        assert_eq!(all, ["0", "0.123", "1.23", "12.3", "123", "12346"]);
    }
}
