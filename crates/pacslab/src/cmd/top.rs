//! `pacslab top`: what a server does just now, from its `/metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::bench::report::table::number;
use crate::client::duration;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
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
                if context.out.json {
                    context.out.json(&load.json());
                } else {
                    if !self.once && context.out.width().is_some() {
                        // home, and everything below is gone; stays out of what is no terminal
                        context.out.say_styled("\u{1b}[H\u{1b}[J".trim_end());
                    }
                    context.out.line(format!("{}\n", server.url()));
                    context.out.table(&["", "now", "total"], load.rows(), "");
                }
                if self.once {
                    return Ok(Exit::Done);
                }
                before = now;
            }
        };
        tokio::select! {
            ended = watching => ended,
            () = crate::department::interrupted() => Ok(Exit::Done),
        }
    }
}

/// All samples of one moment, by name and labels as they are written.
struct Look {
    at: Instant,
    samples: BTreeMap<String, f64>,
}

impl Look {
    async fn take(server: &Server) -> Result<Self> {
        let text = server.get("/metrics", "text/plain").await?;
        Ok(Self { at: Instant::now(), samples: samples(&String::from_utf8_lossy(&text)) })
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
        Self { lines }
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
        Look { at, samples: samples(text) }
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
