//! `pacslab top`: what a server does just now, from its `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bench::report::table::number;
use crate::client::duration;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;

/// Watch the load of a department: rates, queues, disk
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Look once, over one interval, and end
    #[arg(long)]
    once: bool,
    /// Between two looks
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    every: Duration,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab top --once --every 500ms", "how it is now"),
        ("pacslab top --once --json --every 200ms", "the same for machines"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let every = self.every.max(Duration::from_millis(50));
        let watching = async {
            let mut before = Look::take(&server).await?;
            loop {
                tokio::time::sleep(every).await;
                let now = Look::take(&server).await?;
                let load = Load::between(&before, &now);
                let open = Open::between(&before.open, &now.open, load.seconds);
                if context.out.json {
                    let mut json = load.json();
                    json["associations"] = open.iter().map(Open::json).collect();
                    context.out.json(&json);
                } else {
                    if !self.once && context.out.width().is_some() {
                        // home, and everything below is gone; stays out of what is no terminal
                        context.out.say_styled("\u{1b}[H\u{1b}[J".trim_end());
                    }
                    context.out.line(format!("{}\n", server.url()));
                    context.out.table(&["", "now", "total"], load.rows(), "");
                    let shown = context.out.height().map_or(MOST, |height| {
                        height.saturating_sub(load.lines.len() + ROOM).clamp(3, MOST)
                    });
                    let rows = open.iter().take(shown).map(Open::row).collect();
                    context.out.line(format!("\n{}", left_out(open.len(), shown)));
                    context.out.table(&Open::HEADINGS, rows, "nobody has an association open");
                }
                if self.once {
                    return Ok(Exit::Done);
                }
                before = now;
            }
        };
        tokio::select! {
            ended = watching => ended,
            () = crate::interrupt::interrupted() => Ok(Exit::Done),
        }
    }
}

/// Lines of associations at most, and those that everything else takes.
const MOST: usize = 40;
const ROOM: usize = 8;

fn left_out(open: usize, shown: usize) -> String {
    match open.saturating_sub(shown) {
        0 => "associations".to_owned(),
        more => format!("associations, the busiest; {more} more are open"),
    }
}

/// An association as the server tells it, and how much it did meanwhile.
struct Open {
    told: Association,
    /// Messages and bytes a second.
    rate: (f64, f64),
}

#[derive(Debug, Clone, serde::Deserialize)]
struct Association {
    number: u64,
    peer: String,
    called: String,
    direction: String,
    seconds: f64,
    messages: u64,
    bytes: u64,
    last: String,
}

impl Open {
    const HEADINGS: [&'static str; 7] =
        ["PEER", "", "CALLED", "OPEN", "LAST", "MESSAGES", "PER SECOND"];

    /// The busiest first.
    fn between(before: &[Association], now: &[Association], seconds: f64) -> Vec<Self> {
        let mut open: Vec<Self> = now
            .iter()
            .map(|told| {
                let was = before.iter().find(|was| was.number == told.number);
                let (messages, bytes) = was.map_or((0, 0), |was| (was.messages, was.bytes));
                let rate = |was: u64, is: u64| is.saturating_sub(was) as f64 / seconds;
                let rate = (rate(messages, told.messages), rate(bytes, told.bytes));
                Self { told: told.clone(), rate }
            })
            .collect();
        open.sort_by(|a, b| b.rate.0.total_cmp(&a.rate.0));
        open
    }

    fn row(&self) -> Vec<String> {
        let Association { peer, called, direction, seconds, messages, last, .. } = &self.told;
        let (messages_now, bytes_now) = self.rate;
        let rate = match bytes_now > 0.0 {
            true => format!("{}, {} MB", number(messages_now), number(bytes_now / 1e6)),
            false => number(messages_now),
        };
        vec![
            peer.clone(),
            direction.clone(),
            called.clone(),
            format!("{seconds:.0} s"),
            last.clone(),
            messages.to_string(),
            rate,
        ]
    }

    fn json(&self) -> serde_json::Value {
        let Association { number, peer, called, direction, seconds, messages, bytes, last } =
            &self.told;
        serde_json::json!({
            "number": number, "peer": peer, "called": called, "direction": direction,
            "seconds": seconds, "messages": messages, "bytes": bytes, "last": last,
            "messages_per_second": self.rate.0, "bytes_per_second": self.rate.1,
        })
    }
}

/// All samples of one moment, by name and labels as they are written.
struct Look {
    at: Instant,
    samples: BTreeMap<String, f64>,
    open: Vec<Association>,
}

impl Look {
    async fn take(server: &Server) -> Result<Self> {
        let text = server.get("/metrics", "text/plain").await?;
        let at = Instant::now();
        let open = server.get("/pacslab/associations", "application/json").await?;
        let open = serde_json::from_slice(&open)
            .map_err(|why| Failure::failed(format!("{} is no PACS Lab: {why}", server.url())))?;
        Ok(Self { at, samples: samples(&String::from_utf8_lossy(&text)), open })
    }

    /// The sum of all samples of a metric.
    fn sum(&self, name: &str) -> f64 {
        let of = |key: &str| key == name || key.starts_with(&format!("{name}{{"));
        self.samples.iter().filter(|(key, _)| of(key)).map(|(_, value)| value).sum()
    }

    fn get(&self, key: &str) -> Option<f64> {
        self.samples.get(key).copied()
    }
}

fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(key, value)| Some((key.to_owned(), value.parse().ok()?)))
        .collect()
}

/// What happened between two looks.
struct Load {
    /// Name, rate per second or present value, total.
    lines: Vec<(String, f64, Option<f64>, &'static str)>,
    /// Between the looks.
    seconds: f64,
}

impl Load {
    fn between(before: &Look, now: &Look) -> Self {
        let seconds = now.at.duration_since(before.at).as_secs_f64().max(1e-3);
        let rate = |was: f64, is: f64| (is - was).max(0.0) / seconds;
        let mut lines = Vec::new();
        let gauge = |name: &str, key: &str, unit| {
            now.get(key).map(|value| (name.to_owned(), value, None, unit))
        };
        lines.extend(gauge("associations open", "pacslab_associations_open", ""));
        let counted = |name: &str, metric: &str, unit| {
            let (was, is) = (before.sum(metric), now.sum(metric));
            (name.to_owned(), rate(was, is), Some(is), unit)
        };
        lines.push(counted("associations", "pacslab_associations_accepted_total", "/s"));
        for service in ["C-ECHO", "C-STORE", "C-FIND", "C-MOVE", "C-GET"] {
            let label = format!("service=\"{service}\"");
            let sum = |look: &Look| -> f64 {
                let own = look.samples.iter().filter(|(key, _)| key.contains(&label));
                own.map(|(_, value)| value).sum()
            };
            lines.push((service.to_owned(), rate(sum(before), sum(now)), Some(sum(now)), "/s"));
        }
        lines.push(counted("bytes stored", "pacslab_store_bytes_total", "/s"));
        lines.push(counted("syncs", "pacslab_commit_batch_instances_count", "/s"));
        lines.extend(gauge("instances waiting", "pacslab_commit_waiting", ""));
        lines.push(counted("HTTP requests", "pacslab_http_requests_total", "/s"));
        lines.push(counted("HL7 messages", "pacslab_hl7_messages_total", "/s"));
        lines.extend(gauge("worklist", "pacslab_worklist_items", ""));
        for (name, level) in [("studies", "study"), ("instances", "instance")] {
            lines.extend(gauge(name, &format!("pacslab_index_resources{{level=\"{level}\"}}"), ""));
        }
        lines.extend(gauge("disk used", "pacslab_stored_bytes", "bytes"));
        lines.extend(gauge("disk free", "pacslab_disk_free_bytes", "bytes"));
        lines.extend(gauge("memory", "process_resident_memory_bytes", "bytes"));
        lines.push(counted("processors busy", "process_cpu_seconds_total", ""));
        Self { lines, seconds }
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let shown = |value: f64, unit: &str| match unit {
            "bytes" => format!("{} MB", number(value / 1e6)),
            unit => format!("{}{unit}", number(value)),
        };
        let row = |(name, value, total, unit): &(String, f64, Option<f64>, &'static str)| {
            vec![name.clone(), shown(*value, unit), total.map(number).unwrap_or_default()]
        };
        self.lines.iter().map(row).collect()
    }

    fn json(&self) -> serde_json::Value {
        let member = |(name, value, total, unit): &(String, f64, Option<f64>, &'static str)| {
            let key = name.to_lowercase().replace([' ', '-'], "_");
            let key = if *unit == "/s" { format!("{key}_per_second") } else { key };
            let total = total.map(|total| (format!("{}_total", key.trim_end_matches("_per_second")), total));
            [(key.clone(), *value)].into_iter().chain(total)
        };
        self.lines.iter().flat_map(member).map(|(key, value)| (key, value.into())).collect::<serde_json::Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(text: &str, at: Instant) -> Look {
        Look { at, samples: samples(text), open: Vec::new() }
    }

    #[test]
    fn rates_are_differences_by_time() {
        let begun = Instant::now();
        let text = |stores: u32, open: u32| {
            format!(
                "# HELP x y\npacslab_associations_open {open}\n\
                 pacslab_dimse_operations_total{{service=\"C-STORE\",status=\"success\"}} {stores}\n\
                 pacslab_dimse_operations_total{{service=\"C-STORE\",status=\"failure\"}} 1\n"
            )
        };
        let (before, now) = (text(10, 3), text(50, 2));
        let later = begun + Duration::from_secs(2);
        let json = Load::between(&look(&before, begun), &look(&now, later)).json();
        assert_eq!(json["c_store_per_second"], 20.0);
        assert_eq!(json["c_store_total"], 51.0);
        assert_eq!(json["associations_open"], 2.0);
        // another server has started in between
        let json = Load::between(&look(&now, begun), &look(&before, later)).json();
        assert_eq!(json["c_store_per_second"], 0.0);
    }
}
