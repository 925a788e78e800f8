//! `/jobs`: work that may outlast the request that asked for it, and what came of it.
//!
//! As in Orthanc every job is listed, also those whose caller waited. Jobs live in memory: the last
//! hundred that have ended, and a bounded number that run.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Path, Query as Params, State};
use pacslab_model::Moment;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::resource::ListParams;
use super::styled;
use crate::door::{At, Door};
use crate::error::{Error, Result};

/// Jobs that may run at a time; further ones are refused.
const RUNNING: usize = 64;
/// Jobs that have ended and are still told of.
const ENDED: usize = 100;

/// What is to be done, as it is shown.
#[derive(Debug)]
pub(crate) struct Plan {
    /// `DicomModalityStore`
    pub(crate) kind: &'static str,
    pub(crate) priority: i64,
    /// What the caller gets, filled in as the work goes on.
    pub(crate) content: Value,
    /// The caller does not wait.
    pub(crate) asynchronous: bool,
}

#[derive(Default)]
pub(crate) struct Jobs {
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    made: u64,
    jobs: VecDeque<Arc<Job>>,
}

pub(crate) struct Job {
    id: String,
    kind: &'static str,
    priority: i64,
    created: Moment,
    begun: Instant,
    cancelled: AtomicBool,
    progress: Mutex<Progress>,
}

struct Progress {
    content: Value,
    percent: u64,
    ended: Option<Ended>,
}

struct Ended {
    at: Moment,
    took: Duration,
    failed: Option<Error>,
}

impl Jobs {
    fn begin(&self, plan: Plan, now: Moment) -> Result<Arc<Job>> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let running = shelf.jobs.iter().filter(|job| !job.has_ended()).count();
        if running >= RUNNING {
            return Err(Error::Closing(format!(
                "{running} jobs are running already; wait for one of them, or cancel it with \
                 POST /jobs/{{id}}/cancel"
            )));
        }
        shelf.made += 1;
        let job = Arc::new(Job {
            id: uuid(&[&now.micros.to_be_bytes(), &shelf.made.to_be_bytes()]),
            kind: plan.kind,
            priority: plan.priority,
            created: now,
            begun: Instant::now(),
            cancelled: AtomicBool::new(false),
            progress: Mutex::new(Progress { content: plan.content, percent: 0, ended: None }),
        });
        shelf.jobs.push_back(job.clone());
        let surplus = (shelf.jobs.len() - running).saturating_sub(ENDED);
        for _ in 0..surplus {
            if let Some(oldest) = shelf.jobs.iter().position(|job| job.has_ended()) {
                shelf.jobs.remove(oldest);
            }
        }
        Ok(job)
    }

    /// A name that no other moment and no other caller gets.
    pub(crate) fn next_name(&self, now: Moment) -> String {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.made += 1;
        uuid(&[&now.micros.to_be_bytes(), &shelf.made.to_be_bytes()])
    }

    fn all(&self) -> Vec<Arc<Job>> {
        let shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.jobs.iter().cloned().collect()
    }

    /// Jobs that have ended, how many of them failed, and those that run.
    pub(crate) fn tally(&self) -> (u64, u64, u64) {
        let (mut ended, mut failed, mut running) = (0, 0, 0);
        for job in self.all() {
            match &job.lock().ended {
                Some(end) => {
                    ended += 1;
                    failed += u64::from(end.failed.is_some());
                }
                None => running += 1,
            }
        }
        (ended, failed, running)
    }

    fn get(&self, id: &str) -> Option<Arc<Job>> {
        self.all().into_iter().find(|job| job.id == id)
    }
}

/// Does the work as a job. It goes on when the caller leaves.
pub(crate) async fn run<F>(door: &Arc<Door>, plan: Plan, work: impl FnOnce(Arc<Job>) -> F) -> Result
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let asynchronous = plan.asynchronous;
    let job = door.jobs.begin(plan, door.clock.now())?;
    let working = tokio::spawn(work(job.clone()));
    let (clock, done) = (door.clock.clone(), job.clone());
    let ended = tokio::spawn(async move {
        let broken = |_| Err(Error::Internal("the job broke off".to_owned()));
        let result = working.await.unwrap_or_else(broken);
        done.end(result.err(), clock.now());
    });
    if asynchronous {
        return Ok(styled(&json!({"ID": job.id, "Path": format!("/jobs/{}", job.id)})));
    }
    ended.await.map_err(|_| Error::Internal("the job broke off".to_owned()))?;
    let progress = job.lock();
    match progress.ended.as_ref().and_then(|ended| ended.failed.clone()) {
        Some(error) => Err(error),
        None => Ok(styled(&progress.content)),
    }
}

impl Job {
    /// Whether somebody wants it to stop.
    pub(crate) fn check(&self) -> Result<()> {
        match self.cancelled.load(Ordering::Relaxed) {
            true => Err(Error::Cancelled),
            false => Ok(()),
        }
    }

    /// What is done of how much.
    pub(crate) fn progress(&self, done: usize, of: usize) {
        self.lock().percent = (done * 100).checked_div(of).unwrap_or(100) as u64;
    }

    /// Changes what is shown.
    pub(crate) fn show(&self, field: &str, value: Value) {
        self.lock().content[field] = value;
    }

    fn end(&self, failed: Option<Error>, at: Moment) {
        let mut progress = self.lock();
        if failed.is_none() {
            progress.percent = 100;
        }
        progress.ended = Some(Ended { at, took: self.begun.elapsed(), failed });
    }

    fn has_ended(&self) -> bool {
        self.lock().ended.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn json(&self, now: Moment) -> Value {
        let progress = self.lock();
        let ended = progress.ended.as_ref();
        let failed = ended.and_then(|ended| ended.failed.as_ref());
        let (code, words) = failed.map_or((0, "Success"), Error::number);
        let took = ended.map_or_else(|| self.begun.elapsed(), |ended| ended.took);
        let mut object = json!({
            "Content": progress.content,
            "CreationTime": timestamp(self.created),
            "EffectiveRuntime": took.as_millis() as f64 / 1000.0,
            "ErrorCode": code,
            "ErrorDescription": words,
            "ErrorDetails": failed.map(Error::to_string).unwrap_or_default(),
            "ID": self.id,
            "Priority": self.priority,
            "Progress": progress.percent,
            "State": match (ended, failed) {
                (None, _) => "Running",
                (Some(_), None) => "Success",
                (Some(_), Some(_)) => "Failure",
            },
            "Timestamp": timestamp(now),
            "Type": self.kind,
        });
        if let Some(ended) = ended {
            object["CompletionTime"] = timestamp(ended.at).into();
        }
        object
    }
}

pub(crate) async fn list(State(door): At, Params(params): Params<ListParams>) -> Result {
    let jobs = door.jobs.all();
    let now = door.clock.now();
    Ok(styled(&match params.expands(false) {
        true => jobs.iter().map(|job| job.json(now)).collect(),
        false => jobs.iter().map(|job| Value::from(job.id.as_str())).collect(),
    }))
}

pub(crate) async fn one(State(door): At, Path(id): Path<String>) -> Result {
    let job = door.jobs.get(&id).ok_or(Error::Unknown)?;
    Ok(styled(&job.json(door.clock.now())))
}

/// Takes effect between two images; one that is under way arrives.
pub(crate) async fn cancel(State(door): At, Path(id): Path<String>) -> Result {
    let job = door.jobs.get(&id).ok_or(Error::Unknown)?;
    job.cancelled.store(true, Ordering::Relaxed);
    Ok(styled(&json!({})))
}

/// `20260105T080000.000000`, in UTC.
fn timestamp(at: Moment) -> String {
    let utc = Moment::new(at.micros, 0);
    format!("{}.{:06}", super::resource::timestamp(utc), at.micros.rem_euclid(1_000_000))
}

/// A name in the form of a UUID that is made of these parts.
pub(crate) fn uuid(parts: &[&[u8]]) -> String {
    let mut sha = Sha1::new();
    for part in parts {
        sha.update(part);
    }
    let hash = sha.finalize();
    // RFC 9562 5.8: made by a rule of our own
    let octet = |(at, byte): (usize, &u8)| match at {
        6 => format!("{:02x}", byte & 0x0f | 0x80),
        8 => format!("{:02x}", byte & 0x3f | 0x80),
        _ => format!("{byte:02x}"),
    };
    let hex: String = hash.iter().take(16).enumerate().map(octet).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
