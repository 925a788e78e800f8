//! The page with charts: one file, nothing loaded from anywhere, no script. It follows the
//! reader's choice of light or dark.

use super::compare::Compared;
use super::table::{grouped, number, times, where_it_is};
use super::{Report, Row, chart};

pub(crate) fn page(report: &Report, earlier: Option<&Compared>) -> String {
    let names: Vec<String> = report.targets.iter().map(|target| escape(&target.name)).collect();
    let mut body = format!(
        "<header><h1>PACS benchmark</h1><p>{} <span class=faint>· {} · seed {} · client: \
         {}, {} CPUs, pacslab {}{}</span></p></header>\n",
        names.join(" beside "),
        escape(&report.at),
        report.seed,
        escape(&report.client.system),
        report.client.cpus,
        escape(&report.version),
        if report.client.optimised { "" } else { " (debug build)" },
    );
    body += &legend(report);
    for workload in workloads(report) {
        body += &section(report, &workload);
    }
    body += "<section><h2>All figures</h2>";
    body += &figures(report, earlier);
    body += "</section>\n";
    body += &remarks(report);
    format!(
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\">\
         <title>PACS benchmark: {}</title><style>{STYLE}</style></head><body>\n{body}</body></html>\n",
        names.join(", ")
    )
}

/// In the order of the report, each once.
fn workloads(report: &Report) -> Vec<String> {
    let mut names: Vec<String> =
        report.measurements.iter().map(|row| row.workload.clone()).collect();
    names.dedup();
    names
}

/// What a workload is, in words of the field.
fn title(workload: &str) -> &str {
    match workload {
        "echo" => "C-ECHO",
        "store" => "C-STORE, new images",
        "find" => "C-FIND of studies and series",
        "worklist" => "C-FIND of the worklist",
        "move" => "C-MOVE of studies",
        "get" => "C-GET of studies",
        "qido" => "QIDO-RS",
        "wado" => "WADO-RS",
        "stow" => "STOW-RS, one image a request",
        "workflow" => "Workflow: order, worklist, acquisition, store, verified",
        other => other,
    }
}

fn legend(report: &Report) -> String {
    if report.targets.len() < 2 {
        return String::new();
    }
    let keys: Vec<String> = report
        .targets
        .iter()
        .enumerate()
        .map(|(at, target)| {
            format!("<span><i class=\"k{}\"></i>{}</span>", at % 6, escape(&target.name))
        })
        .collect();
    format!("<p class=legend>{}</p>\n", keys.join(""))
}

/// Throughput and latency of each detail of a workload.
fn section(report: &Report, workload: &str) -> String {
    let mut details: Vec<&str> = Vec::new();
    for row in report.measurements.iter().filter(|row| row.workload == workload) {
        if !details.contains(&row.detail.as_str()) {
            details.push(&row.detail);
        }
    }
    let mut html = format!("<section><h2>{}</h2>\n", title(workload));
    for detail in details {
        let of_detail = |row: &&Row| row.workload == workload && row.detail == detail;
        let rows: Vec<&Row> = report.measurements.iter().filter(of_detail).collect();
        html += &format!(
            "<h3>{}</h3><div class=pair><figure><figcaption>requests per second by connections\
             </figcaption>{}</figure><figure><figcaption>latency in ms: p50 ● p95 ◆ p99 ▲ max |\
             </figcaption>{}</figure></div>\n",
            escape(detail),
            chart::throughput(report, &rows),
            chart::latency(report, &rows)
        );
    }
    html + "</section>\n"
}

fn figures(report: &Report, earlier: Option<&Compared>) -> String {
    let several = report.targets.len() > 1;
    let mut heads = vec!["workload", "", "target", "conn", "req/s", "objects/s", "MB/s"];
    heads.extend(["p50 ms", "p95", "p99", "max", "requests", "errors"]);
    if several {
        heads.push("× first");
    }
    if earlier.is_some() {
        heads.push("× earlier");
    }
    let mut html = String::from("<div class=wide><table><thead><tr>");
    for head in heads {
        html += &format!("<th>{head}</th>");
    }
    html += "</tr></thead><tbody>\n";
    for row in &report.measurements {
        let latency = |pick: fn(&super::Latency) -> f64| {
            row.latency_ms.as_ref().map(|all| number(pick(all))).unwrap_or_default()
        };
        let mut cells = vec![
            escape(&row.workload),
            escape(&row.detail),
            escape(&row.target),
            row.connections.to_string(),
            number(row.per_second),
            if row.objects > 0 { number(row.objects_per_second) } else { String::new() },
            if row.bytes > 0 { number(row.mb_per_second) } else { String::new() },
            latency(|l| l.p50),
            latency(|l| l.p95),
            latency(|l| l.p99),
            latency(|l| l.max),
            row.requests.to_string(),
            errors(row),
        ];
        if several {
            cells.push(row.of_first.map(times).unwrap_or_default());
        }
        if let Some(earlier) = earlier {
            cells.push(earlier.ratio(report, row).map(times).unwrap_or_default());
        }
        html += "<tr>";
        for cell in cells {
            html += &format!("<td>{cell}</td>");
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>"
}

fn errors(row: &Row) -> String {
    let kinds: Vec<String> =
        row.errors.iter().map(|(kind, count)| format!("{count} × {}", escape(kind))).collect();
    match kinds.is_empty() {
        true => "0".to_owned(),
        false => format!("<b class=bad>{}</b>", kinds.join(", ")),
    }
}

fn remarks(report: &Report) -> String {
    let mut html = String::new();
    if !report.not_offered.is_empty() {
        html += "<section><h2>Not offered</h2><ul>";
        for (what, target, reason) in grouped(report) {
            let (target, reason) = (escape(&target), escape(&reason));
            html += &format!("<li><b>{}</b>: {target}: {reason}</li>", escape(&what));
        }
        html += "</ul></section>\n";
    }
    html += "<section><h2>Written</h2><ul>";
    for target in report.targets.iter().filter(|target| target.wrote.objects > 0) {
        let wrote = &target.wrote;
        let found = match wrote.found {
            Some(found) => format!(", {found} found by C-FIND"),
            None => String::new(),
        };
        html += &format!(
            "<li><b>{}</b>: {} images ({} MB){found}, {} orders, of the synthetic patients {}<br>\
             <code>{}</code></li>",
            escape(&target.name),
            wrote.objects,
            number(wrote.bytes as f64 / 1e6),
            wrote.orders,
            escape(&wrote.patients),
            escape(&where_it_is(&target.name, &wrote.patients)),
        );
    }
    html += "</ul>";
    for note in &report.notes {
        html += &format!("<p>{}</p>", escape(note));
    }
    html += "<p class=faint>Errors are in no rate and no latency. Requests differ from each other. \
             Percentiles are by nearest rank; of several rounds, over all of them; ratios are the \
             medians of the rounds' ratios. Synthetic data only; not a medical device.</p></section>";
    html
}

pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            other => safe.push(other),
        }
    }
    safe
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2430;--faint:#66717f;--line:#d8dee6;--paper:#fff;--card:#f6f8fa;\
--c0:#0b6bcb;--c1:#c2410c;--c2:#15803d;--c3:#9333ea;--c4:#b4860b;--c5:#be185d;--bad:#b91c1c}\
@media(prefers-color-scheme:dark){:root{--ink:#e6eaf0;--faint:#96a1b0;--line:#333c48;--paper:#12161c;\
--card:#1a2028;--c0:#60a5fa;--c1:#fb923c;--c2:#4ade80;--c3:#c084fc;--c4:#facc15;--c5:#f472b6;--bad:#f87171}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:1100px;padding:24px;background:var(--paper);\
color:var(--ink);font:15px/1.5 system-ui,'Segoe UI',sans-serif}\
h1{margin:0;font-size:26px}h2{margin:0 0 4px;font-size:19px}h3{margin:14px 0 2px;font-size:15px;font-weight:600}\
header p{margin:4px 0 12px}.faint,figcaption{color:var(--faint)}figcaption{font-size:13px}\
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:16px 18px;margin:14px 0}\
.pair{display:grid;grid-template-columns:1fr 1fr;gap:18px}@media(max-width:800px){.pair{grid-template-columns:1fr}}\
figure{margin:0}svg{width:100%;height:auto;display:block}\
svg text{fill:var(--faint);font-size:11px}svg text.v{font-weight:600}\
.grid{stroke:var(--line);stroke-width:1}\
.l0{stroke:var(--c0)}.l1{stroke:var(--c1)}.l2{stroke:var(--c2)}.l3{stroke:var(--c3)}.l4{stroke:var(--c4)}.l5{stroke:var(--c5)}\
svg .f0{fill:var(--c0)}svg .f1{fill:var(--c1)}svg .f2{fill:var(--c2)}svg .f3{fill:var(--c3)}svg .f4{fill:var(--c4)}svg .f5{fill:var(--c5)}\
polyline,.bar{fill:none;stroke-width:2}\
.legend{position:sticky;top:0;margin:0 -8px;padding:6px 8px;background:var(--paper)}\
.legend span{margin-right:18px}.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:6px}\
.k0{background:var(--c0)}.k1{background:var(--c1)}.k2{background:var(--c2)}.k3{background:var(--c3)}.k4{background:var(--c4)}.k5{background:var(--c5)}\
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:13px;font-variant-numeric:tabular-nums;width:100%}\
th{text-align:right;color:var(--faint);font-weight:500;padding:3px 8px;white-space:nowrap}\
td{text-align:right;padding:3px 8px;border-top:1px solid var(--line);white-space:nowrap}\
td:nth-child(-n+3),th:nth-child(-n+3){text-align:left}.bad{color:var(--bad)}code{font-size:13px}ul{margin:6px 0;padding-left:20px}";
