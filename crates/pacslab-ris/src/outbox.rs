//! HL7 messages on their way out: a queue for each destination, and dead letters.
//!
//! A message is put into its queue in the transaction of the effect that it tells of, and taken off
//! when the receiver has acknowledged it: at least once, with the same MSH-10 (HL7 v2.5.1 2.9), by
//! which the receiver recognises a repetition. Messages of a destination go one after the other, in
//! the order of what happened. One that the receiver refuses becomes a dead letter, which somebody
//! may look at and send again; it keeps its number, so that it goes before what is younger.

mod tell;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pacslab_hl7::Charset;
use pacslab_hl7::write::OrderForm;
use pacslab_model::{Event, Identifiers, Moment, Outcome};
use pacslab_store::{Papers, StoreError};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::drawer::Drawer;
use crate::events;
use crate::orders::Ris;

/// Who is told, of what, and how it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Destination {
    /// What people call it; the name of its queue.
    pub name: String,
    /// Orders as an image manager wants them: NW, XO, CA, DC.
    pub orders: bool,
    /// How they go on, as whoever placed them wants it: SC, OC, DC.
    pub status: bool,
    /// ORU^R01.
    pub reports: bool,
    /// ADT, as it came.
    pub patients: bool,
    pub form: OrderForm,
    /// MSH-12
    pub version: String,
    pub charset: Charset,
    /// MSH-3 and MSH-4, MSH-5 and MSH-6.
    pub application: String,
    pub facility: String,
    pub receiving_application: String,
    pub receiving_facility: String,
}

/// A message on its way, or a dead letter.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Of all messages out: those of a destination go in this order.
    pub number: u64,
    pub destination: String,
    /// MSH-10
    pub control_id: String,
    /// `ORM^O01 NW`
    pub kind: String,
    pub accession: String,
    pub patient_id: String,
    pub study_uid: String,
    pub queued_at: Moment,
    /// Since when it is tried: it may have been a dead letter before.
    pub since: Moment,
    /// How often it has been tried in vain.
    pub tries: u32,
    /// What came of the last try.
    pub problem: String,
    /// The message, and the character set in which it leaves.
    pub text: String,
    pub charset: String,
}

impl Letter {
    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let charset = Charset::by_name(&self.charset);
        let bytes = charset.and_then(|charset| charset.encode(&self.text));
        bytes.unwrap_or_else(|| self.text.clone().into_bytes())
    }

    pub fn identifiers(&self) -> Identifiers {
        Identifiers {
            accession: self.accession.clone(),
            patient_id: self.patient_id.clone(),
            study_uid: self.study_uid.clone(),
            ..Identifiers::default()
        }
    }

    fn key(&self) -> String {
        key(&self.destination, self.number)
    }
}

/// How many there are of a destination.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Tally {
    pub destination: String,
    /// Whether it is configured: nobody sends what is queued for another.
    pub known: bool,
    pub waiting: u64,
    pub dead: u64,
    /// When the first of those that wait was queued.
    pub oldest: Option<Moment>,
}

/// Which letters are meant.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LetterFilter {
    pub destination: Option<String>,
    /// Dead letters, or those that wait.
    pub dead: bool,
    /// Only from this number on, after it.
    pub after: u64,
    pub limit: usize,
}

const WAITING: Drawer<Letter> = Drawer::new("hl7.out");
const DEAD: Drawer<Letter> = Drawer::new("hl7.dead");

/// Letters read at once: one with a document is megabytes.
const BATCH: usize = 50;

/// (waiting, dead). Whoever delivers may be faster than whoever queued: below zero for a moment.
type Counts = BTreeMap<String, (i64, i64)>;

/// What a RIS holds beside the desk.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Each with what wakes its sender.
    pub(crate) destinations: Vec<(Destination, Notify)>,
    /// By name, so that nobody has to count on the desk.
    counts: Mutex<Counts>,
}

impl Outbox {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, destination: &str, waiting: i64, dead: i64) {
        let mut counts = self.counts();
        let of = counts.entry(destination.to_owned()).or_default();
        (of.0, of.1) = (of.0 + waiting, of.1 + dead);
    }

    fn wake(&self, destination: &str) {
        for (known, wakes) in &self.destinations {
            if known.name == destination {
                wakes.notify_one();
            }
        }
    }

    /// A transaction that queued a message for this destination is durable.
    pub(crate) fn queued(&self, destination: &str) {
        self.count(destination, 1, 0);
        self.wake(destination);
    }
}

impl Ris {
    /// Tells these destinations what happens from now on; what is queued already stays.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn telling(mut self, destinations: Vec<Destination>) -> Result<Self, StoreError> {
        let mut counts = Counts::new();
        for dead in [false, true] {
            let mut after = String::new();
            loop {
                let batch = drawer(dead).after(&*self.desk, &after, BATCH)?;
                let Some((last, _)) = batch.last() else { break };
                after.clone_from(last);
                for (_, letter) in batch {
                    let of = counts.entry(letter.destination).or_default();
                    *(if dead { &mut of.1 } else { &mut of.0 }) += 1;
                }
            }
        }
        for (name, (waiting, _)) in &counts {
            if *waiting > 0 && !destinations.iter().any(|known| known.name == *name) {
                let text = format!(
                    "{waiting} HL7 messages are queued for {name}, which is no longer among \
                     [hl7.destinations]; configure it, or drop them (`pacslab hl7 queue`)"
                );
                let event = Event::new(self.clock.now(), events::HL7_OUT, text);
                self.emit.emit(event.outcome(Outcome::Warning));
            }
        }
        let destinations = destinations.into_iter().map(|one| (one, Notify::new())).collect();
        self.outbox = Outbox { destinations, counts: Mutex::new(counts) };
        Ok(self)
    }

    /// The message that is next for a destination.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn next_letter(&self, destination: &str) -> Result<Option<Letter>, StoreError> {
        let first = WAITING.beginning(&*self.desk, &format!("{destination}/"), 1)?;
        Ok(first.into_iter().next().map(|(_, letter)| letter))
    }

    /// Answers when there may be something for a destination, and at once when something came
    /// since the last time; never for one that is not known.
    pub async fn to_send(&self, destination: &str) {
        match self.outbox.destinations.iter().find(|(known, _)| known.name == destination) {
            Some((_, wakes)) => wakes.notified().await,
            None => std::future::pending().await,
        }
    }

    /// The receiver has it.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn delivered(&self, letter: &Letter) -> Result<(), StoreError> {
        if WAITING.remove(&*self.desk, &letter.key())? {
            self.outbox.count(&letter.destination, -1, 0);
        }
        Ok(())
    }

    /// A try was in vain; it stays the next one of its destination.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn put_off(&self, letter: &Letter) -> Result<(), StoreError> {
        let now = self.clock.now();
        pacslab_store::together(&*self.desk, |papers| {
            // somebody may have dropped it meanwhile
            match WAITING.get(papers, &letter.key())? {
                Some(_) => WAITING.put(papers, &letter.key(), letter, now),
                None => Ok(()),
            }
        })
    }

    /// It will not be sent unless somebody says so.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn bury(&self, letter: &Letter) -> Result<(), StoreError> {
        if self.moved(letter, false)? {
            self.outbox.count(&letter.destination, -1, 1);
        }
        Ok(())
    }

    /// Sends a dead letter again, under its own control id; `None`: there is none of this number.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn resend(&self, number: u64) -> Result<Option<Letter>, StoreError> {
        let Some((letter, true)) = self.letter(number)? else { return Ok(None) };
        let letter = Letter { since: self.clock.now(), tries: 0, ..letter };
        if !self.moved(&letter, true)? {
            return Ok(None);
        }
        self.outbox.count(&letter.destination, 1, -1);
        self.outbox.wake(&letter.destination);
        self.tell_letter(&letter, "is sent again", Outcome::Ok);
        Ok(Some(letter))
    }

    /// Takes a letter away, dead or waiting; nobody will be told of it.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn drop_letter(&self, number: u64) -> Result<Option<Letter>, StoreError> {
        let Some((letter, dead)) = self.letter(number)? else { return Ok(None) };
        if !drawer(dead).remove(&*self.desk, &letter.key())? {
            return Ok(None);
        }
        let (waiting, buried) = if dead { (0, -1) } else { (-1, 0) };
        self.outbox.count(&letter.destination, waiting, buried);
        self.tell_letter(&letter, "was dropped, unsent", Outcome::Warning);
        Ok(Some(letter))
    }

    /// A letter, and whether it is dead.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn letter(&self, number: u64) -> Result<Option<(Letter, bool)>, StoreError> {
        let names: Vec<String> = self.outbox.counts().keys().cloned().collect();
        for name in names {
            for dead in [true, false] {
                if let Some(letter) = drawer(dead).get(&*self.desk, &key(&name, number))? {
                    return Ok(Some((letter, dead)));
                }
            }
        }
        Ok(None)
    }

    /// Letters by destination, then by number.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn letters(&self, filter: &LetterFilter) -> Result<Vec<Letter>, StoreError> {
        let names: Vec<String> = match &filter.destination {
            Some(name) => vec![name.clone()],
            None => self.outbox.counts().keys().cloned().collect(),
        };
        let mut found = Vec::new();
        for name in names {
            let after = key(&name, filter.after);
            let left = filter.limit.saturating_sub(found.len());
            let batch = drawer(filter.dead).after(&*self.desk, &after, left)?;
            let mine = batch.into_iter().map(|(_, letter)| letter);
            found.extend(mine.filter(|letter| letter.destination == name));
        }
        Ok(found)
    }

    /// How many wait for each destination, and have died.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn tallies(&self) -> Result<Vec<Tally>, StoreError> {
        let mut counts = self.outbox.counts().clone();
        for (destination, _) in &self.outbox.destinations {
            counts.entry(destination.name.clone()).or_default();
        }
        let tally = |(destination, (waiting, dead)): (String, (i64, i64))| {
            let (waiting, dead) = (waiting.max(0).unsigned_abs(), dead.max(0).unsigned_abs());
            let known = self.outbox.destinations.iter().any(|(one, _)| one.name == destination);
            let oldest = match waiting {
                0 => None,
                _ => self.next_letter(&destination)?.map(|letter| letter.queued_at),
            };
            Ok(Tally { destination, known, waiting, dead, oldest })
        };
        counts.into_iter().map(tally).collect()
    }

    /// Between the queue and the dead letters; whether it was there.
    fn moved(&self, letter: &Letter, was_dead: bool) -> Result<bool, StoreError> {
        let (now, key) = (self.clock.now(), letter.key());
        pacslab_store::together(&*self.desk, |papers: &dyn Papers| {
            let there = drawer(was_dead).remove(papers, &key)?;
            if there {
                drawer(!was_dead).put(papers, &key, letter, now)?;
            }
            Ok(there)
        })
    }

    fn tell_letter(&self, letter: &Letter, what: &str, outcome: Outcome) {
        let Letter { kind, control_id, destination, .. } = letter;
        let text = format!("{kind} {control_id} to {destination} {what}");
        let event = Event::new(self.clock.now(), events::HL7_OUT, text).outcome(outcome);
        self.emit.emit(event.ids(letter.identifiers()));
    }
}

fn drawer(dead: bool) -> Drawer<Letter> {
    if dead { DEAD } else { WAITING }
}

/// Names have no slash: the binary sees to that.
fn key(destination: &str, number: u64) -> String {
    format!("{destination}/{number:020}")
}
