//! The charts: SVG text, drawn from the rows of one workload.

use super::html::escape;
use super::table::number;
use super::{Latency, Report, Row};

const WIDTH: f64 = 500.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;

/// Requests per second over connections: a line for each target, with a dot for each round.
pub(super) fn throughput(report: &Report, rows: &[&Row]) -> String {
    const HEIGHT: f64 = 190.0;
    let (top, bottom) = (14.0, HEIGHT - 24.0);
    let mut connections: Vec<usize> = rows.iter().map(|row| row.connections).collect();
    connections.sort_unstable();
    connections.dedup();
    let most = rows.iter().flat_map(|row| row.rounds.iter().copied().chain([row.per_second]));
    let scale = Scale::from_zero(most.fold(0.0, f64::max), bottom, top);
    // the same distance between any two counts: 1, 4 and 16 are steps of one kind
    let x = |count: usize| {
        let place = connections.iter().position(|other| *other == count).unwrap_or(0) as f64;
        LEFT + (place + 0.5) / connections.len() as f64 * (WIDTH - LEFT - RIGHT)
    };
    let mut svg = open(HEIGHT, "requests per second by connections");
    for tick in &scale.ticks {
        let y = scale.at(*tick);
        svg += &format!(
            "<line class=grid x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=end>{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            short(*tick)
        );
    }
    for count in &connections {
        let x = x(*count);
        svg +=
            &format!("<text x=\"{x:.1}\" y=\"{}\" text-anchor=middle>{count}</text>", HEIGHT - 6.0);
    }
    for (at, target) in report.targets.iter().enumerate() {
        let own: Vec<&&Row> = rows.iter().filter(|row| row.target == target.name).collect();
        let colour = at % 6;
        let points: Vec<String> = own
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.connections), scale.at(row.per_second)))
            .collect();
        svg += &format!("<polyline class=\"l{colour}\" points=\"{}\"/>", points.join(" "));
        for row in own {
            let (x, y) = (x(row.connections), scale.at(row.per_second));
            for round in row.rounds.iter().filter(|_| row.rounds.len() > 1) {
                let y = scale.at(*round);
                svg += &format!(
                    "<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.6\" opacity=\".5\"/>"
                );
            }
            svg += &format!(
                "<circle class=\"f{colour}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\"><title>{}: {} \
                 requests per second with {} connections</title></circle>",
                escape(&row.target),
                number(row.per_second),
                row.connections
            );
            // above its dot if nobody does more, else below
            let better = |other: &&&Row| {
                other.connections == row.connections && other.per_second > row.per_second
            };
            let y = if rows.iter().any(|other| better(&other)) { y + 15.0 } else { y - 8.0 };
            svg += &format!(
                "<text class=\"v f{colour}\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=middle>{}</text>",
                y.clamp(10.0, bottom - 2.0),
                number(row.per_second)
            );
        }
    }
    svg + "</svg>"
}

/// One line for each target and number of connections, on a logarithmic scale.
pub(super) fn latency(report: &Report, rows: &[&Row]) -> String {
    const STEP: f64 = 20.0;
    let known: Vec<(&Row, &Latency)> =
        rows.iter().filter_map(|row| Some((*row, row.latency_ms.as_ref()?))).collect();
    if known.is_empty() {
        return "<p class=bad>nothing succeeded</p>".to_owned();
    }
    let (left, height) = (LEFT + 34.0, known.len() as f64 * STEP + 34.0);
    let least = known.iter().map(|(_, all)| all.p50).fold(f64::MAX, f64::min);
    let most = known.iter().map(|(_, all)| all.max).fold(0.0, f64::max);
    let (low, high) = (least.max(1e-4).log10().floor(), most.max(1e-3).log10().ceil());
    let x = |value: f64| {
        let share = (value.max(1e-4).log10() - low) / (high - low).max(1.0);
        left + share.clamp(0.0, 1.0) * (WIDTH - left - RIGHT)
    };
    let mut svg = open(height, "latency");
    for decade in low as i32..=high as i32 {
        let value = 10f64.powi(decade);
        let x = x(value);
        svg += &format!(
            "<line class=grid x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"4\" y2=\"{:.1}\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=middle>{}</text>",
            height - 24.0,
            height - 8.0,
            short(value)
        );
    }
    for (at, (row, all)) in known.iter().enumerate() {
        let colour = report.targets.iter().position(|t| t.name == row.target).unwrap_or(0) % 6;
        let y = 16.0 + at as f64 * STEP;
        let (p50, p95, p99, max) = (x(all.p50), x(all.p95), x(all.p99), x(all.max));
        svg += &format!(
            "<g><title>{}, {} connections: p50 {} p95 {} p99 {} max {} ms</title>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=end>{} conn</text>\
             <line class=\"bar l{colour}\" opacity=\".45\" x1=\"{p50:.1}\" x2=\"{max:.1}\" y1=\"{y}\" y2=\"{y}\"/>\
             <circle class=\"f{colour}\" cx=\"{p50:.1}\" cy=\"{y}\" r=\"4.5\"/>\
             <path class=\"f{colour}\" d=\"M{p95:.1} {}l4.5 4.5l-4.5 4.5l-4.5 -4.5z\"/>\
             <path class=\"f{colour}\" d=\"M{p99:.1} {}l4.5 8h-9z\"/>\
             <line class=\"bar l{colour}\" x1=\"{max:.1}\" x2=\"{max:.1}\" y1=\"{}\" y2=\"{}\"/></g>",
            escape(&row.target),
            row.connections,
            number(all.p50),
            number(all.p95),
            number(all.p99),
            number(all.max),
            left - 10.0,
            y + 4.0,
            row.connections,
            y - 4.5,
            y - 4.5,
            y - 5.0,
            y + 5.0,
        );
    }
    svg + "</svg>"
}

fn open(height: f64, label: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=img aria-label=\"{label}\">")
}

/// A scale that begins at 0, with round numbers on it.
struct Scale {
    ticks: Vec<f64>,
    most: f64,
    bottom: f64,
    top: f64,
}

impl Scale {
    fn from_zero(most: f64, bottom: f64, top: f64) -> Self {
        let rough = most.max(1e-9) / 4.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 2.5, 5.0, 10.0]
            .into_iter()
            .map(|factor| factor * power)
            .find(|step| *step >= rough)
            .unwrap_or(10.0 * power);
        let count = (most / step).ceil().max(1.0) as usize;
        let ticks: Vec<f64> = (0..=count).map(|tick| tick as f64 * step).collect();
        Self { most: step * count as f64, ticks, bottom, top }
    }

    fn at(&self, value: f64) -> f64 {
        self.bottom - (value / self.most).clamp(0.0, 1.0) * (self.bottom - self.top)
    }
}

/// `1.5k`
fn short(value: f64) -> String {
    let plain = |value: f64| {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    if value >= 1000.0 { format!("{}k", plain(value / 1000.0)) } else { plain(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_few_round_numbers() {
        let ticks = |most| Scale::from_zero(most, 100.0, 0.0).ticks;
        assert_eq!(ticks(10.0), [0.0, 2.5, 5.0, 7.5, 10.0]);
        assert_eq!(ticks(1700.0), [0.0, 500.0, 1000.0, 1500.0, 2000.0]);
        let scale = Scale::from_zero(10.0, 100.0, 0.0);
        assert_eq!((scale.at(0.0), scale.at(10.0)), (100.0, 0.0));
        assert_eq!(Scale::from_zero(0.0, 100.0, 0.0).at(0.0), 100.0);
        assert_eq!([short(1500.0), short(0.01), short(20.0)], ["1.5k", "0.01", "20"]);
    }
}
