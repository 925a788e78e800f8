//! What was measured, told three ways: a table for people, JSON for machines and for
//! [`compare`], a page with charts.

mod chart;
pub(crate) mod compare;
pub(crate) mod html;
pub(crate) mod table;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::data::Naming;
use super::plan::{Measured, Results};
use super::prepare::Ready;
use super::stats::{Latency, median, millis, ratio};

/// Raised when a reader of the JSON would misread it.
pub(crate) const FORMAT: u32 = 1;

/// Everything about one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) pacslab_bench: u32,
    pub(crate) version: String,
    pub(crate) at: String,
    pub(crate) seed: u64,
    pub(crate) run: String,
    pub(crate) client: Client,
    pub(crate) targets: Vec<TargetRow>,
    pub(crate) measurements: Vec<Row>,
    pub(crate) not_offered: Vec<NotOffered>,
    /// What somebody who compares should know.
    pub(crate) notes: Vec<String>,
}

/// The computer on which the benchmark ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Client {
    pub(crate) system: String,
    pub(crate) cpus: usize,
    /// A debug build measures itself.
    pub(crate) optimised: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetRow {
    pub(crate) name: String,
    pub(crate) http: Option<String>,
    pub(crate) hl7: Option<String>,
    pub(crate) wrote: Wrote,
}

/// What is in the PACS now that was not before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Wrote {
    pub(crate) patients: String,
    pub(crate) objects: u64,
    pub(crate) bytes: u64,
    pub(crate) orders: u64,
    /// Images that a C-FIND of these patients tells; none where the PACS does not tell.
    pub(crate) found: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) workload: String,
    pub(crate) detail: String,
    pub(crate) target: String,
    pub(crate) connections: usize,
    /// Requests that succeeded.
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
    /// Images, matches or workflows of these requests.
    pub(crate) objects: u64,
    pub(crate) objects_per_second: f64,
    pub(crate) bytes: u64,
    pub(crate) mb_per_second: f64,
    pub(crate) latency_ms: Option<LatencyRow>,
    pub(crate) errors: BTreeMap<String, u64>,
    /// Requests per second, round by round.
    pub(crate) rounds: Vec<f64>,
    /// How often the first target's rate this is; the median over the rounds.
    pub(crate) of_first: Option<f64>,
    /// The middle time of each part, where a request has parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) steps_ms: BTreeMap<String, f64>,
}

pub(crate) type LatencyRow = Latency;

impl Row {
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// The same thing in two reports; targets by their place when `alone`.
    pub(crate) fn key(&self) -> (&str, &str, usize) {
        (&self.workload, &self.detail, self.connections)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NotOffered {
    pub(crate) workload: String,
    pub(crate) detail: String,
    pub(crate) target: String,
    pub(crate) reason: String,
}

/// When, and with what, a run was made.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) at: String,
    pub(crate) naming: Naming,
}

impl Report {
    pub(crate) fn new(
        run: &Run,
        sites: &[Ready],
        found: &[Option<u64>],
        results: &Results,
    ) -> Self {
        let name = |site: usize| sites.get(site).map_or("", |ready| ready.at.site.name.as_str());
        let not_offered = results.missing.iter().map(|missing| NotOffered {
            workload: missing.case.name().as_str().to_owned(),
            detail: missing.case.detail(),
            target: name(missing.site).to_owned(),
            reason: missing.reason.clone(),
        });
        let targets = sites.iter().zip(found).map(|(ready, found)| {
            let (site, written) = (&ready.at.site, &ready.at.written);
            TargetRow {
                name: site.name.clone(),
                http: site.server.as_ref().map(crate::http::Server::url),
                hl7: site.hl7.clone(),
                wrote: Wrote {
                    patients: run.naming.patients(),
                    objects: written.objects.load(Ordering::Relaxed),
                    bytes: written.bytes.load(Ordering::Relaxed),
                    orders: written.orders.load(Ordering::Relaxed),
                    found: *found,
                },
            }
        });
        let all = &results.measured;
        Self {
            pacslab_bench: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            at: run.at.clone(),
            seed: run.naming.seed.0,
            run: run.naming.run.clone(),
            client: Client::here(),
            targets: targets.collect(),
            measurements: all
                .iter()
                .map(|one| row(one, first_of(one, all), name(one.site)))
                .collect(),
            not_offered: not_offered.collect(),
            notes: sites.iter().filter_map(note).collect(),
        }
    }

    /// All measurements failed, or some requests did.
    pub(crate) fn failures(&self) -> u64 {
        self.measurements.iter().map(Row::failed).sum()
    }
}

/// A worklist was asked for what is not there.
fn note(ready: &Ready) -> Option<String> {
    let (name, why) = (&ready.at.site.name, ready.no_orders.as_ref()?);
    (!ready.at.site.is_sink).then(|| {
        format!("The worklist of {name} was asked for orders that nobody placed, because {why}")
    })
}

impl Client {
    fn here() -> Self {
        Self {
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            optimised: !cfg!(debug_assertions),
        }
    }
}

/// The same measurement of the first target, unless this is that.
fn first_of<'a>(one: &Measured, all: &'a [Measured]) -> Option<&'a Measured> {
    let same = |other: &&Measured| {
        other.site == 0 && other.case == one.case && other.connections == one.connections
    };
    all.iter().find(same).filter(|_| one.site != 0)
}

fn row(one: &Measured, first: Option<&Measured>, target: &str) -> Row {
    let samples = &one.samples;
    let steps = samples.steps.iter().filter_map(|(step, times)| {
        let times: Vec<f64> = times.iter().map(|time| millis(*time)).collect();
        Some(((*step).to_owned(), median(&times)?))
    });
    Row {
        workload: one.case.name().as_str().to_owned(),
        detail: one.case.detail(),
        target: target.to_owned(),
        connections: one.connections,
        requests: samples.times.len() as u64,
        seconds: samples.elapsed.as_secs_f64(),
        per_second: samples.rate(),
        objects: samples.objects,
        objects_per_second: samples.per_second(samples.objects as f64),
        bytes: samples.bytes,
        mb_per_second: samples.per_second(samples.bytes as f64 / 1e6),
        latency_ms: Latency::of(&samples.times),
        errors: samples.errors.clone(),
        rounds: one.rounds.clone(),
        of_first: first.and_then(|first| ratio(&one.rounds, &first.rounds)),
        steps_ms: steps.collect(),
    }
}
