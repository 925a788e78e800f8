//! Storage commitment: requests that are kept until their requestor has the report. PS3.4 J.3.
//!
//! A request is on the desk before its N-ACTION is answered. What is committed is looked up in the
//! index when the report is made. The report goes over the association of the request while that
//! is open, else over one to the address that the requestor is registered with, again and again
//! until it is taken: after a restart as well.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pacslab_dicom::dict;
use pacslab_dimse::service::commitment::{CommitmentReport, CommitmentRequest, Reference};
use pacslab_dimse::{Proposal, Reporter, Status};
use pacslab_model::{AeTitle, Direction, Event, Identifiers, Moment, Outcome, Uid, uids};
use pacslab_store::{Desk, DeskEntry, Expect, Put, Scope, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::archive::{Archive, ArchiveError};
use crate::caller::Caller;
use crate::events;
use crate::peers::{Peer, Peers};
use crate::retries::Retries;

/// How reports reach who asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommitmentSettings {
    pub way: ReportWay,
    /// Between a request and its report: longer than requestors keep their association open, and
    /// all reports come over new ones.
    pub wait: Duration,
    pub retries: Retries,
}

impl Default for CommitmentSettings {
    fn default() -> Self {
        Self { way: ReportWay::SameFirst, wait: Duration::ZERO, retries: Retries::default() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportWay {
    /// Over the association of the request while it is open.
    SameFirst,
    /// Always over a new one.
    Reverse,
    /// Over a new one, before the request is answered.
    Early,
}

impl ReportWay {
    pub const WORDS: [(&'static str, Self); 3] =
        [("same-first", Self::SameFirst), ("reverse", Self::Reverse), ("early", Self::Early)];
}

/// All requests of the department.
pub struct Commitments {
    archive: Arc<Archive>,
    desk: Arc<dyn Desk>,
    peers: Arc<Peers>,
    caller: Caller,
    /// Where what is committed can be retrieved.
    aet: AeTitle,
    settings: CommitmentSettings,
    pending: AtomicUsize,
    /// Those with an end, oldest first: their transaction UIDs are not to be used again.
    ended: Mutex<VecDeque<(Moment, String)>>,
    /// Associations to requestors at a time.
    calls: Semaphore,
    queue: mpsc::UnboundedSender<Carried>,
    queued: Mutex<Option<mpsc::UnboundedReceiver<Carried>>>,
}

/// A request on its way through the department.
struct Carried {
    key: String,
    /// Of a request of this run.
    reporter: Option<Reporter>,
    /// Before anything is done about it.
    wait: Duration,
}

/// Why a request was not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    #[error("{MOST} requests wait for their reports already; ask again later")]
    TooMany,
    #[error("{0}")]
    Store(#[from] StoreError),
}

const DRAWER: &str = "commitment";

/// Requests without a report at a time.
const MOST: usize = 10_000;

/// For so long a transaction UID is not to be used again, and so many are remembered.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
const MOST_REMEMBERED: usize = 100_000;

/// How long a requestor may take to answer a report on its own association; and at the end of the
/// department.
const ANSWER: Duration = Duration::from_secs(30);
const END: Duration = Duration::from_secs(5);

/// What lies on the desk.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Kept {
    transaction: Uid,
    /// Its AE title, and where it called from.
    requestor: String,
    from: String,
    /// SOP class and instance. Empty when it is over.
    references: Vec<(Uid, Uid)>,
    /// The transaction UID had been used before.
    #[serde(default)]
    duplicate: bool,
    attempts: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    Pending,
    Reported,
    GivenUp,
}

impl std::fmt::Debug for Commitments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commitments").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Commitments {
    /// Takes up what was left when the department closed. Blocks.
    ///
    /// # Errors
    /// The desk fails, or holds what this version cannot read.
    pub fn open(
        archive: Arc<Archive>,
        desk: Arc<dyn Desk>,
        peers: Arc<Peers>,
        caller: Caller,
        aet: AeTitle,
        settings: CommitmentSettings,
    ) -> Result<Arc<Self>, StoreError> {
        const PAGE: usize = 1_000;
        let (queue, queued) = mpsc::unbounded_channel();
        let (mut ended, mut pending) = (Vec::new(), 0);
        let mut after = String::new();
        loop {
            let page = desk.entries(DRAWER, &after, PAGE)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            for entry in page {
                match read(&entry)?.state {
                    State::Pending => {
                        pending += 1;
                        // the receiver is at hand
                        let (key, reporter, wait) = (entry.key, None, Duration::ZERO);
                        let _ = queue.send(Carried { key, reporter, wait });
                    }
                    State::Reported | State::GivenUp => ended.push((entry.changed_at, entry.key)),
                }
            }
        }
        ended.sort();
        Ok(Arc::new(Self {
            archive,
            desk,
            peers,
            caller,
            aet,
            settings,
            pending: AtomicUsize::new(pending),
            ended: Mutex::new(ended.into()),
            calls: Semaphore::new(16),
            queue,
            queued: Mutex::new(Some(queued)),
        }))
    }

    /// Keeps a request: it is durable when this answers, and its report follows.
    ///
    /// # Errors
    /// There are too many, or the desk fails: nothing will come of it.
    pub async fn keep(
        self: &Arc<Self>,
        asked: CommitmentRequest,
        requestor: &str,
        from: String,
        reporter: Reporter,
    ) -> Result<(), NotKept> {
        if self.pending.fetch_add(1, Ordering::AcqRel) >= MOST {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            return Err(NotKept::TooMany);
        }
        let count = asked.references.len();
        let pair = |one: Reference| (one.sop_class, one.sop_instance);
        let kept = Kept {
            transaction: asked.transaction,
            requestor: requestor.trim_matches(' ').to_owned(),
            from,
            references: asked.references.into_iter().map(pair).collect(),
            duplicate: false,
            attempts: 0,
            state: State::Pending,
        };
        let (this, entry) = (self.clone(), kept.clone());
        let put = blocking(move || this.put_new(entry)).await;
        let (key, duplicate) = put.inspect_err(|_| {
            self.pending.fetch_sub(1, Ordering::AcqRel);
        })?;
        let again = if duplicate { "; its transaction UID has been used before" } else { "" };
        let text = format!("{} asked to commit {count} instances{again}", kept.requestor);
        self.tell(&kept, events::COMMITMENT_ASKED, Outcome::Ok, text, Identifiers::default());
        let mut carried = Carried { key, reporter: Some(reporter), wait: self.settings.wait };
        match self.settings.way {
            ReportWay::SameFirst => {}
            ReportWay::Reverse => carried.reporter = None,
            ReportWay::Early => {
                carried.reporter = None;
                let kept = Kept { duplicate, ..kept };
                let early = timeout(ANSWER, self.attempt(&carried.key, kept, None)).await;
                match early {
                    Ok(Ok(None)) => return Ok(()),
                    Ok(Ok(Some(next))) => carried.wait = next,
                    _ => carried.wait = self.settings.retries.first,
                }
            }
        }
        // the department may be closing: then it is taken up at the next start
        let _ = self.queue.send(carried);
        Ok(())
    }

    /// Delivers reports until `closed`; what is under way then may end.
    pub async fn run(self: Arc<Self>, closed: impl Future<Output = ()>) {
        let queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut queued) = queued else { return };
        let (closing, is_closing) = tokio::sync::watch::channel(false);
        let mut under_way = JoinSet::new();
        let mut closed = std::pin::pin!(closed);
        loop {
            tokio::select! {
                () = &mut closed => break,
                Some(carried) = queued.recv() => {
                    let mut is_closing = is_closing.clone();
                    under_way.spawn(self.clone().carry(carried, async move {
                        let _ = is_closing.wait_for(|closing| *closing).await;
                    }));
                }
                Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
            }
        }
        let _ = closing.send(true);
        let ending = async { while under_way.join_next().await.is_some() {} };
        let _ = timeout(END, ending).await;
    }

    /// One request to its end, or to that of the department.
    async fn carry(self: Arc<Self>, carried: Carried, closing: impl Future<Output = ()>) {
        let Carried { key, mut reporter, mut wait } = carried;
        let mut closing = std::pin::pin!(closing);
        loop {
            tokio::select! {
                biased;
                () = &mut closing => return,
                () = sleep(wait) => {}
            }
            let kept = match self.look(&key).await {
                Ok(Some(kept)) if kept.state == State::Pending => kept,
                Ok(_) => return,
                Err(error) => {
                    tracing::error!("commitment {key}: {error}");
                    wait = self.settings.retries.first;
                    continue;
                }
            };
            match self.attempt(&key, kept, reporter.take()).await {
                Ok(None) => return,
                Ok(Some(next)) => wait = next,
                Err(error) => {
                    tracing::error!("commitment {key}: {error}");
                    wait = self.settings.retries.first;
                }
            }
        }
    }

    /// Tries to deliver; how long to wait before the next attempt, or `None`: it is over.
    async fn attempt(
        &self,
        key: &str,
        mut kept: Kept,
        reporter: Option<Reporter>,
    ) -> Result<Option<Duration>, StoreError> {
        let (report, ids) = self.report(&kept).await;
        let failed = match self.deliver(&kept, &report, reporter).await {
            Ok(way) => {
                let (committed, failed) = (report.committed.len(), report.failed.len());
                let mut text = format!(
                    "{} was told {way} that {committed} instances are committed",
                    kept.requestor
                );
                let mut outcome = Outcome::Ok;
                if failed > 0 {
                    text += &format!(" and {failed} are not: {}", reasons(&report));
                    outcome = Outcome::Warning;
                }
                // told when a restart would not do it again
                self.end(key, &kept, State::Reported).await?;
                self.tell(&kept, events::COMMITMENT_REPORTED, outcome, text, ids);
                return Ok(None);
            }
            Err(why) => why,
        };
        kept.attempts += 1;
        let number = kept.attempts;
        let Some(wait) = self.settings.retries.after(number) else {
            let text = format!(
                "the report of a commitment did not reach {} in {number} attempts and is given up: \
                 {failed}; it may ask again, and commitment.retries says how often we try",
                kept.requestor
            );
            self.end(key, &kept, State::GivenUp).await?;
            self.tell(&kept, events::COMMITMENT_GIVEN_UP, Outcome::Failed, text, ids);
            return Ok(None);
        };
        let text = format!(
            "the report of a commitment did not reach {}: {failed}; attempt {} follows in {} s",
            kept.requestor,
            number + 1,
            wait.as_secs_f32()
        );
        self.tell(&kept, events::COMMITMENT_DELAYED, Outcome::Warning, text, ids);
        self.put(key, kept).await?;
        Ok(Some(wait))
    }

    /// By the first way that works, and which; or why there is none.
    async fn deliver(
        &self,
        kept: &Kept,
        report: &CommitmentReport,
        reporter: Option<Reporter>,
    ) -> Result<&'static str, String> {
        let event = report.event();
        if let Some(reporter) = reporter
            && let Some(reply) = reporter.report(event.clone(), ANSWER).await
        {
            return match reply.status.is_done() {
                true => Ok("on its association"),
                false => Err(format!("it answered N-EVENT-REPORT with {reply}")),
            };
        }
        let Some(peer) = self.address(kept) else {
            let title = &kept.requestor;
            let host = kept.from.rsplit_once(':').map_or(kept.from.as_str(), |(host, _)| host);
            return Err(format!(
                "its association is closed and nobody knows where it listens: {title} = \
                 \"{title}@{host}:PORT\" under [peers] of pacslab.toml, or `pacslab modality \
                 register {title}@{host}:PORT` at once"
            ));
        };
        // nobody closes it
        let _call = self.calls.acquire().await;
        let told = async {
            let proposal = Proposal::as_scp(uids::STORAGE_COMMITMENT_PUSH);
            let mut association = self.caller.associate(&peer, proposal).await?;
            let reply = association.report(&event).await;
            let reply = reply.map_err(|source| crate::caller::network(&peer, source))?;
            let _ = association.release().await;
            Ok::<_, crate::caller::CallError>(reply)
        };
        match told.await {
            Ok(reply) if reply.status.is_done() => Ok("on an association of our own"),
            Ok(reply) => Err(format!("{peer} answered N-EVENT-REPORT with {reply}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Where the requestor listens: of several places with its title the computer it called from.
    fn address(&self, kept: &Kept) -> Option<Peer> {
        let mut titled = self.peers.titled(&kept.requestor);
        titled.retain(Peer::is_reachable);
        let host = kept.from.rsplit_once(':').map_or("", |(host, _)| host);
        let at = titled.iter().position(|peer| peer.host == host).unwrap_or(0);
        (!titled.is_empty()).then(|| titled.swap_remove(at))
    }

    /// What is stored of it as of now, and the study it belongs to.
    async fn report(&self, kept: &Kept) -> (CommitmentReport, Identifiers) {
        let mut report = CommitmentReport {
            transaction: kept.transaction.clone(),
            retrieve_aet: self.aet.to_string(),
            ..CommitmentReport::default()
        };
        let mut ids = Identifiers::default();
        for part in kept.references.chunks(1_000) {
            let sop_instances = part.iter().map(|(_, instance)| instance.clone()).collect();
            let scope = Scope { sop_instances, ..Scope::default() };
            let found = match kept.duplicate {
                true => Ok(Vec::new()),
                false => self.archive.instances(scope).await,
            };
            let classes = found.map(|found| {
                if let Some(first) = found.first() {
                    ids.patient_id.clone_from(&first.patient_id);
                    ids.study_uid = first.study_uid.to_string();
                }
                let class = |stored: pacslab_store::Stored| (stored.sop_instance, stored.sop_class);
                found.into_iter().map(class).collect()
            });
            for (sop_class, sop_instance) in part.iter().cloned() {
                let failure = match kept.duplicate {
                    true => Some(Status::DUPLICATE_TRANSACTION),
                    false => failure(&classes, &sop_class, &sop_instance),
                };
                let reference = Reference { sop_class, sop_instance };
                match failure {
                    None => report.committed.push(reference),
                    Some(reason) => report.failed.push((reference, reason)),
                }
            }
        }
        (report, ids)
    }

    /// The key it lies under, and whether its transaction UID is in use.
    fn put_new(&self, mut kept: Kept) -> Result<(String, bool), StoreError> {
        let now = self.archive.clock.now();
        self.forget(now)?;
        let key = kept.transaction.to_string();
        let put = |key: &str, kept: &Kept, expect| {
            self.desk.put_entry(DRAWER, key, &serde_json::json!(kept).to_string(), expect, now)
        };
        match put(&key, &kept, Expect::New)? {
            Put::Stored { .. } => return Ok((key, false)),
            Put::Unchanged { .. } | Put::Conflict(_) | Put::Gone => {}
        }
        kept.duplicate = true;
        let key = format!("{key} {}", self.desk.next_number(DRAWER)?);
        put(&key, &kept, Expect::Any)?;
        Ok((key, true))
    }

    /// Takes what is long over off the desk.
    fn forget(&self, now: Moment) -> Result<(), StoreError> {
        loop {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            let many = ended.len() > MOST_REMEMBERED;
            let Some((at, _)) = ended.front() else { return Ok(()) };
            if !many && at.plus(REMEMBERED).micros > now.micros {
                return Ok(());
            }
            let Some((_, key)) = ended.pop_front() else { return Ok(()) };
            drop(ended);
            self.desk.remove_entry(DRAWER, &key)?;
        }
    }

    async fn end(&self, key: &str, kept: &Kept, state: State) -> Result<(), StoreError> {
        self.put(key, Kept { state, references: Vec::new(), ..kept.clone() }).await?;
        self.pending.fetch_sub(1, Ordering::AcqRel);
        let ended = (self.archive.clock.now(), key.to_owned());
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push_back(ended);
        Ok(())
    }

    async fn put(&self, key: &str, kept: Kept) -> Result<(), StoreError> {
        let (desk, key, now) = (self.desk.clone(), key.to_owned(), self.archive.clock.now());
        let body = serde_json::json!(kept).to_string();
        blocking(move || desk.put_entry(DRAWER, &key, &body, Expect::Any, now)).await.map(drop)
    }

    async fn look(&self, key: &str) -> Result<Option<Kept>, StoreError> {
        let (desk, key) = (self.desk.clone(), key.to_owned());
        let entry = blocking(move || desk.entry(DRAWER, &key)).await?;
        entry.map(|entry| read(&entry)).transpose()
    }

    fn tell(
        &self,
        kept: &Kept,
        kind: &'static str,
        outcome: Outcome,
        text: String,
        ids: Identifiers,
    ) {
        let direction =
            if kind == events::COMMITMENT_ASKED { Direction::In } else { Direction::Out };
        let event = Event::new(self.archive.clock.now(), kind, text)
            .outcome(outcome)
            .peer(format!("{}@{}", kept.requestor, kept.from), direction)
            .ids(ids)
            .field("transaction", &kept.transaction);
        self.archive.emit.emit(event);
    }
}

/// Why an instance is not committed. PS3.3 C.14.
fn failure(
    classes: &Result<BTreeMap<Uid, Uid>, ArchiveError>,
    sop_class: &Uid,
    sop_instance: &Uid,
) -> Option<Status> {
    match classes.as_ref().map(|classes| classes.get(sop_instance)) {
        Err(_) => Some(Status::PROCESSING_FAILURE),
        Ok(Some(stored)) if stored == sop_class => None,
        Ok(Some(_)) => Some(Status::CLASS_INSTANCE_CONFLICT),
        Ok(None) if !dict::is_storage(sop_class.as_str()) => Some(Status::SOP_CLASS_NOT_SUPPORTED),
        Ok(None) => Some(Status::NO_SUCH_INSTANCE),
    }
}

/// `3 × 0x0112 (no such SOP instance)`
fn reasons(report: &CommitmentReport) -> String {
    let mut counts = BTreeMap::<Status, usize>::new();
    for (_, reason) in &report.failed {
        *counts.entry(*reason).or_default() += 1;
    }
    let counts = counts.iter().map(|(reason, count)| format!("{count} × {reason}"));
    counts.collect::<Vec<_>>().join(", ")
}

fn read(entry: &DeskEntry) -> Result<Kept, StoreError> {
    serde_json::from_str(&entry.body).map_err(|error| {
        StoreError::Other(format!(
            "the commitment {} on the desk cannot be read ({error}); use the version that wrote it",
            entry.key
        ))
    })
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |_| StoreError::Other("the department is closing".to_owned());
    tokio::task::spawn_blocking(work).await.map_err(stopped)?
}
