//! Instance Availability Notification: peers are told what has arrived, study by study. PS3.4 R.
//!
//! A study that nothing came of for a while is told to each peer that is named, with all that is
//! there of it. What is still to be told is on the desk: it goes on after a restart, and is tried
//! again until it is taken.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pacslab_dicom::Dataset;
use pacslab_dimse::Proposal;
use pacslab_model::{AeTitle, Direction, Event, Identifiers, Outcome, Uid, Vr, tags, uids};
use pacslab_store::{Desk, Expect, Scope, StoreError, Stored, together};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::archive::Archive;
use crate::caller::Caller;
use crate::commitment::blocking;
use crate::events;
use crate::peers::Peers;
use crate::retries::Retries;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AvailabilitySettings {
    /// Names of peers; none: nobody is told.
    pub peers: Vec<String>,
    /// A study is told when nothing came of it for so long.
    pub quiet: Duration,
    pub retries: Retries,
}

/// Tells peers what has arrived.
#[derive(Debug)]
pub struct Availability {
    pub archive: Arc<Archive>,
    pub desk: Arc<dyn Desk>,
    pub peers: Arc<Peers>,
    pub caller: Caller,
    /// Where it can be retrieved.
    pub aet: AeTitle,
    pub settings: AvailabilitySettings,
}

/// Studies that are not quiet yet, and notices that no peer has taken yet (`STUDY PEER`).
const STUDIES: &str = "availability";
const NOTICES: &str = "availability-notices";

/// The number of the arrival that is looked at next; 0: it has never been looked.
const CURSOR: &str = "availability";

const BATCH: usize = 1_000;

/// How often arrivals are looked at.
const OFTEN: Duration = Duration::from_secs(1);

/// Notices on their way at a time.
const AT_ONCE: usize = 16;

/// A peer that takes longer is tried again.
const ANSWER: Duration = Duration::from_secs(60);

/// When something is due, and how often it has failed.
type Due = BTreeMap<String, (Instant, u32)>;

impl Availability {
    /// Follows what arrives until `closed`.
    pub async fn run(self, closed: impl Future<Output = ()>) {
        let mut closed = std::pin::pin!(closed);
        let this = Arc::new(self);
        if this.settings.peers.is_empty() {
            return;
        }
        let (mut studies, mut notices) = match this.begin().await {
            Ok(begun) => begun,
            Err(error) => return tracing::error!("availability: {error}"),
        };
        let often = OFTEN.min(this.settings.quiet).max(Duration::from_millis(20));
        loop {
            if let Err(error) = this.step(&mut studies, &mut notices).await {
                tracing::error!("availability: {error}");
            }
            tokio::select! {
                () = &mut closed => return,
                () = sleep(often) => {}
            }
        }
    }

    /// What was left at the end of last time. What arrived before the first time is not told.
    async fn begin(self: &Arc<Self>) -> Result<(Due, Due), StoreError> {
        let this = self.clone();
        blocking(move || {
            if this.desk.cursor(CURSOR)? == 0 {
                this.desk.set_cursor(CURSOR, this.archive.index.last_arrival()? + 1)?;
            }
            let kept = |drawer, due| {
                let mut all = Due::new();
                loop {
                    let after = all.last_key_value().map_or("", |(key, _): (&String, _)| key);
                    let page = this.desk.entries(drawer, after, BATCH)?;
                    if page.is_empty() {
                        return Ok::<_, StoreError>(all);
                    }
                    all.extend(page.into_iter().map(|entry| (entry.key, (due, 0))));
                }
            };
            let now = Instant::now();
            Ok((kept(STUDIES, now + this.settings.quiet)?, kept(NOTICES, now)?))
        })
        .await
    }

    async fn step(
        self: &Arc<Self>,
        studies: &mut Due,
        notices: &mut Due,
    ) -> Result<(), StoreError> {
        let this = self.clone();
        for study in blocking(move || this.arrivals()).await? {
            studies.insert(study, (Instant::now() + self.settings.quiet, 0));
        }
        for study in due(studies) {
            let (this, of) = (self.clone(), study.clone());
            let made = blocking(move || this.notices_of(&of)).await?;
            studies.remove(&study);
            notices.extend(made.into_iter().map(|key| (key, (Instant::now(), 0))));
        }
        let mut trying = JoinSet::new();
        for key in due(notices).into_iter().take(AT_ONCE) {
            let number = notices.get(&key).map_or(0, |(_, failed)| *failed) + 1;
            let this = self.clone();
            trying.spawn(async move {
                let tried = this.attempt(&key, number).await;
                (key, number, tried)
            });
        }
        while let Some(tried) = trying.join_next().await {
            let Ok((key, number, tried)) = tried else { continue };
            match tried? {
                Some(wait) => notices.insert(key, (Instant::now() + wait, number)),
                None => notices.remove(&key),
            };
        }
        Ok(())
    }

    /// The studies of new arrivals: on the desk before the arrivals count as looked at.
    fn arrivals(&self) -> Result<Vec<String>, StoreError> {
        let next = self.desk.cursor(CURSOR)?;
        let arrived = self.archive.index.arrivals_after(next.saturating_sub(1), BATCH)?;
        let Some(last) = arrived.last() else { return Ok(Vec::new()) };
        let last = last.number;
        let mut found: Vec<String> = arrived.iter().map(|one| one.study_uid.to_string()).collect();
        found.sort();
        found.dedup();
        let now = self.archive.clock.now();
        together(&*self.desk, |papers| {
            for study in &found {
                papers.put_entry(STUDIES, study, &json!({}).to_string(), Expect::Any, now)?;
            }
            papers.set_cursor(CURSOR, last + 1)
        })?;
        Ok(found)
    }

    /// A quiet study becomes a notice for each peer.
    fn notices_of(&self, study: &str) -> Result<Vec<String>, StoreError> {
        let now = self.archive.clock.now();
        let keys: Vec<String> =
            self.settings.peers.iter().map(|peer| format!("{study} {peer}")).collect();
        together(&*self.desk, |papers| {
            for key in &keys {
                papers.put_entry(NOTICES, key, &json!({}).to_string(), Expect::Any, now)?;
            }
            papers.remove_entry(STUDIES, study)
        })?;
        Ok(keys)
    }

    /// Tells a peer; how long to wait before the next attempt, or `None`: it is over.
    async fn attempt(&self, key: &str, number: u32) -> Result<Option<Duration>, StoreError> {
        let (study, name) = key.split_once(' ').unwrap_or((key, ""));
        let told = match timeout(ANSWER, self.tell(study, name)).await {
            Ok(told) => told,
            Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
        };
        let (kind, outcome, text, wait) = match told {
            Ok(0) => return self.forget(key).await.map(|()| None),
            Ok(count) => {
                let text = format!("{name} was told that {count} instances are available");
                (events::AVAILABILITY_SENT, Outcome::Ok, text, None)
            }
            Err(why) => {
                let wait = self.settings.retries.after(number);
                let then = match wait {
                    Some(wait) => {
                        format!("attempt {} follows in {} s", number + 1, wait.as_secs_f32())
                    }
                    None => "it is given up".to_owned(),
                };
                let text = format!("{name} could not be told what is available: {why}; {then}");
                (events::AVAILABILITY_FAILED, Outcome::Warning, text, wait)
            }
        };
        if wait.is_none() {
            self.forget(key).await?;
        }
        let ids = Identifiers { study_uid: study.to_owned(), ..Identifiers::default() };
        let event = Event::new(self.archive.clock.now(), kind, text)
            .outcome(outcome)
            .peer(name, Direction::Out)
            .ids(ids);
        self.archive.emit.emit(event);
        Ok(wait)
    }

    async fn forget(&self, key: &str) -> Result<(), StoreError> {
        let (desk, key) = (self.desk.clone(), key.to_owned());
        blocking(move || desk.remove_entry(NOTICES, &key)).await.map(drop)
    }

    /// How many instances the peer knows of now; 0: there are none any more.
    async fn tell(&self, study: &str, name: &str) -> Result<usize, String> {
        let stored = self.archive.instances(Scope::study(study)).await;
        let stored = stored.map_err(|error| error.to_string())?;
        if stored.is_empty() {
            return Ok(0);
        }
        let Some(peer) = self.peers.get(name) else {
            return Err(format!(
                "it is not in [peers]; register it, or take it out of availability.peers: `pacslab \
                 modality register {name}@HOST:PORT`"
            ));
        };
        let now = self.archive.clock.now().micros.to_string();
        let uid = Uid::from_parts(&["availability", study, name, &now]);
        let notice = notice(study, &stored, &self.aet);
        let proposal = Proposal::of(uids::INSTANCE_AVAILABILITY);
        let association = self.caller.associate(&peer, proposal).await;
        let mut association = association.map_err(|error| error.to_string())?;
        let answer = association.n_create(uids::INSTANCE_AVAILABILITY, Some(&uid), &notice).await;
        if !association.is_over() {
            let _ = association.release().await;
        }
        let reply = answer.map_err(|error| error.to_string())?.reply;
        match reply.status.is_done() {
            true => Ok(stored.len()),
            false => Err(format!("it answered N-CREATE with {reply}")),
        }
    }
}

/// The keys whose time has come.
fn due(all: &Due) -> Vec<String> {
    let now = Instant::now();
    all.iter().filter(|(_, (at, _))| *at <= now).map(|(key, _)| key.clone()).collect()
}

/// PS3.4 table R.3-1. Which step they belong to is the RIS's business.
fn notice(study: &str, stored: &[Stored], aet: &AeTitle) -> Dataset {
    let mut series = BTreeMap::<&Uid, Vec<Dataset>>::new();
    for one in stored {
        let item = Dataset::new()
            .with_str(tags::RETRIEVE_AE_TITLE, Vr::AE, aet.as_str())
            .with_str(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE")
            .with_str(tags::REFERENCED_SOP_CLASS_UID, Vr::UI, one.sop_class.as_str())
            .with_str(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, one.sop_instance.as_str());
        series.entry(&one.series_uid).or_default().push(item);
    }
    let series = series.into_iter().map(|(uid, items)| {
        Dataset::new().with_items(tags::REFERENCED_SOP_SEQUENCE, items).with_str(
            tags::SERIES_INSTANCE_UID,
            Vr::UI,
            uid.as_str(),
        )
    });
    Dataset::new()
        .with_items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new())
        .with_items(tags::REFERENCED_SERIES_SEQUENCE, series.collect())
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
}
