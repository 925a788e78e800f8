//! Orthanc's identifiers: SHA-1 of patient ID and UIDs, joined by `|`, as five groups of eight
//! hexadecimal digits.
//!
//! They cannot be turned back, and the index knows nothing of them. So what arrives is read from
//! the index's arrivals, from where the last reading ended, whenever an identifier is asked for
//! that is not known yet. Held are the identifiers of patients, studies and series with their
//! keys, and of an instance only the number of its series: some 50 bytes each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pacslab_archive::Archive;
use pacslab_model::{Key, Level, Query, Test, Vr, tags};
use pacslab_store::{Arrival, Row, Scope};
use sha1::{Digest, Sha1};

use crate::error::Result;

type Hash = [u8; 20];

/// Arrivals read at once.
const PAGE: usize = 2_000;

pub(crate) fn instance(patient: &str, study: &str, series: &str, sop: &str) -> String {
    text(&hash(&[patient, study, series, sop]))
}

/// The identifier of what these keys name, from the patient down.
pub(crate) fn made_of<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    text(&hash(&keys.collect::<Vec<_>>()))
}

/// The identifier of a row, at its level or above.
pub(crate) fn of(row: &Row, level: Level) -> String {
    let keys = Level::ALL.map(|level| row.str(level.key()));
    let depth = Level::ALL.iter().position(|l| *l == level).unwrap_or(0);
    text(&hash(&keys[..=depth]))
}

fn hash(parts: &[&str]) -> Hash {
    let mut sha = Sha1::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            sha.update(b"|");
        }
        sha.update(part.as_bytes());
    }
    sha.finalize().into()
}

fn text(hash: &Hash) -> String {
    let groups: Vec<String> = hash
        .as_chunks::<4>()
        .0
        .iter()
        .map(|group| format!("{:08x}", u32::from_be_bytes(*group)))
        .collect();
    groups.join("-")
}

/// Whether a text has the form of an identifier.
pub(crate) fn is_id(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(id: &str) -> Option<Hash> {
    let mut hash = [0; 20];
    let mut groups = id.split('-');
    for place in hash.as_chunks_mut::<4>().0 {
        let group = groups.next().filter(|g| g.len() == 8 && g.bytes().all(is_lower_hex))?;
        *place = u32::from_str_radix(group, 16).ok()?.to_be_bytes();
    }
    groups.next().is_none().then_some(hash)
}

fn is_lower_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

/// From identifiers to keys.
pub(crate) struct Ids {
    archive: Arc<Archive>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The last arrival taken in.
    cursor: u64,
    /// As the archive counted when this was begun: studies that move have other identifiers.
    moves: u64,
    upper: HashMap<Hash, (Level, Arc<str>)>,
    series: Vec<Series>,
    series_numbers: HashMap<Arc<str>, u32>,
    instances: HashMap<Hash, u32>,
}

#[derive(Clone)]
struct Series {
    patient: Arc<str>,
    study: Arc<str>,
    uid: Arc<str>,
}

impl Ids {
    pub(crate) fn new(archive: Arc<Archive>) -> Self {
        Self { archive, known: Mutex::default() }
    }

    /// The key (patient ID or UID) of the resource of this level. `None`: there is none.
    pub(crate) async fn resolve(&self, level: Level, id: &str) -> Result<Option<Arc<str>>> {
        let Some(hash) = parse(id) else { return Ok(None) };
        self.forget_what_moved();
        if !self.holds(level, &hash) {
            self.catch_up().await?;
        }
        if level < Level::Instance {
            let key = self.lock().upper.get(&hash).filter(|(found, _)| *found == level).cloned();
            return Ok(key.map(|(_, key)| key));
        }
        let found = {
            let known = self.lock();
            known.instances.get(&hash).and_then(|n| known.series.get(*n as usize)).cloned()
        };
        let Some(Series { patient, study, uid }) = found else { return Ok(None) };
        let within = self.archive.instances(Scope::series(&*uid)).await?;
        Ok(within
            .iter()
            .map(|stored| stored.sop_instance.as_str())
            .find(|sop| self::hash(&[&patient, &study, &uid, sop]) == hash)
            .map(Arc::from))
    }

    fn forget_what_moved(&self) {
        let moves = self.archive.moves();
        let mut known = self.lock();
        if known.moves != moves {
            *known = Known { moves, ..Known::default() };
        }
    }

    fn holds(&self, level: Level, hash: &Hash) -> bool {
        let known = self.lock();
        match level {
            Level::Instance => known.instances.contains_key(hash),
            _ => known.upper.contains_key(hash),
        }
    }

    /// Takes in what arrived since the last time. Two at once do the same work twice, no harm.
    async fn catch_up(&self) -> Result<()> {
        loop {
            let cursor = self.lock().cursor;
            let index = self.archive.index().clone();
            let arrivals = blocking(move || index.arrivals_after(cursor, PAGE)).await??;
            if arrivals.is_empty() {
                return Ok(());
            }
            let new: HashSet<String> = {
                let known = self.lock();
                arrivals
                    .iter()
                    .map(|arrival| arrival.series_uid.as_str())
                    .filter(|uid| !known.series_numbers.contains_key(*uid))
                    .map(str::to_owned)
                    .collect()
            };
            // A series knows what patient the index files it under; the arrival only says what
            // the object said.
            let rows = if new.is_empty() {
                Vec::new()
            } else {
                let test = Test::List(new.into_iter().collect());
                let key = Key { tag: tags::SERIES_INSTANCE_UID, vr: Vr::UI, test };
                self.archive.find(Query::new(Level::Series).key(key)).await?
            };
            self.lock().take(&rows, &arrivals);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self, rows: &[Row], arrivals: &[Arrival]) {
        for row in rows {
            let keys = Level::ALL.map(|level| Arc::<str>::from(row.str(level.key())));
            let [patient, study, uid, _] = &keys;
            if self.series_numbers.contains_key(uid) {
                continue;
            }
            self.upper.insert(hash(&[patient]), (Level::Patient, patient.clone()));
            self.upper.insert(hash(&[patient, study]), (Level::Study, study.clone()));
            self.upper.insert(hash(&[patient, study, uid]), (Level::Series, uid.clone()));
            self.series_numbers.insert(uid.clone(), self.series.len() as u32);
            let (patient, study, uid) = (patient.clone(), study.clone(), uid.clone());
            self.series.push(Series { patient, study, uid });
        }
        for arrival in arrivals {
            self.cursor = self.cursor.max(arrival.number);
            // a series that is gone again has no number
            let Some(number) = self.series_numbers.get(arrival.series_uid.as_str()) else {
                continue;
            };
            let Some(Series { patient, study, uid }) = self.series.get(*number as usize) else {
                continue;
            };
            let sop = arrival.sop_instance.as_str();
            self.instances.insert(hash(&[patient, study, uid, sop]), *number);
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| crate::error::Error::Closing("the server is shutting down".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values computed with `printf '%s' 'P12345|1.2' | sha1sum`.
    #[test]
    fn identifiers_are_sha1_in_groups() {
        assert_eq!(text(&hash(&[""])), "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709");
        let study = hash(&["P12345", "1.2"]);
        assert_eq!(text(&study), "aa67d2a0-6c673b03-83efc1eb-8b733c81-5cfac3a0");
        assert_eq!(parse(&text(&study)), Some(study));
    }

    #[test]
    fn what_is_no_identifier_is_told() {
        for bad in [
            "",
            "da39a3ee",
            "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709-00000000",
            "DA39A3EE-5E6B4B0D-3255BFEF-95601890-AFD80709",
            "+a39a3ee-5e6b4b0d-3255bfef-95601890-afd80709",
            "../../../etc/passwd",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
