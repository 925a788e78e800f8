//! `pacslab check`: whether everything that was stored can be read, and whether index and packs
//! belong together. For an archive that nobody is working with.

use std::collections::{HashMap, HashSet};

use pacslab_model::Uid;
use pacslab_store::{Blobs, Index, Kind, ReplayRecord, Role, StoreError};

use crate::archive::ArchiveError;
use crate::change::Prepared;
use crate::ingest::Note;

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Checked {
    pub packs: u64,
    pub records: u64,
    /// Objects that are there, all of whose bytes were read.
    pub objects: u64,
    pub bytes: u64,
    /// Records that the index takes in at the next start: no damage.
    pub behind: u64,
    pub findings: Vec<Finding>,
    /// Findings beyond those that are listed.
    pub more: u64,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Finding {
    pub what: String,
    /// What to do about it.
    pub advice: &'static str,
}

const LISTED: usize = 1_000;
const FROM_BACKUP: &str =
    "restore the pack from a backup, or send the study again after deleting it";
const REBUILD: &str = "`pacslab check --rebuild` makes the index again from the packs";

/// Reads everything. `progress` is told how many bytes of objects were read so far.
///
/// # Errors
/// The index fails, or holds what this version cannot read. Damage is no error but a finding.
pub fn check(
    blobs: &dyn Blobs,
    index: &dyn Index,
    progress: &mut dyn FnMut(u64),
) -> Result<Checked, ArchiveError> {
    let mut checked = Checked::default();
    let mut logs = Vec::new();
    for pack in blobs.packs() {
        checked.packs += 1;
        if let Role::Log { first, .. } | Role::Last { first } | Role::Records { first } = pack.role
        {
            logs.push(first);
        }
    }
    logs.sort_unstable();
    let upto = index.position()?.sequence;
    checked.behind = blobs.position().sequence.saturating_sub(upto);
    let gone = deletions(blobs, &logs, &mut checked)?;

    let mut there = HashSet::new();
    for first in &logs {
        let mut failed = None;
        // what cannot be walked was told when the deletions were looked for
        let _ = blobs.walk(*first, &mut |record| {
            let fresh = record.sequence >= upto;
            object(blobs, index, record, &gone, fresh, &mut there, &mut checked)
                .inspect(|()| progress(checked.bytes))
                .map_err(|error| {
                    failed = Some(error);
                    StoreError::Other("the index cannot be read".into())
                })
        });
        if let Some(error) = failed {
            return Err(error);
        }
    }
    unrecorded(blobs, index, &there, &mut checked)?;
    Ok(checked)
}

/// When each instance was deleted last. A UID is told by a part of its digest: there may be many.
fn deletions(
    blobs: &dyn Blobs,
    logs: &[u64],
    checked: &mut Checked,
) -> Result<HashMap<u128, u64>, ArchiveError> {
    let mut gone = HashMap::new();
    for first in logs {
        let mut failed = None;
        let walked = blobs.walk(*first, &mut |record| {
            checked.records += 1;
            if record.kind != Kind::Delete {
                return Ok(());
            }
            match Prepared::read(blobs, &record.note, record.location) {
                Ok(change) => {
                    gone.extend(change.gone().iter().map(|uid| (short(uid), record.sequence)));
                }
                Err(ArchiveError::Store(error)) => checked.find(error.to_string(), FROM_BACKUP),
                Err(error) => failed = Some(error),
            }
            Ok(())
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if let Err(error) = walked {
            checked.find(error.to_string(), FROM_BACKUP);
        }
    }
    Ok(gone)
}

fn object(
    blobs: &dyn Blobs,
    index: &dyn Index,
    record: &ReplayRecord,
    gone: &HashMap<u128, u64>,
    fresh: bool,
    there: &mut HashSet<u128>,
    checked: &mut Checked,
) -> Result<(), ArchiveError> {
    if record.kind != Kind::Instance {
        return Ok(());
    }
    let at = record.location;
    let Ok(note) = Note::decode(&record.note) else {
        checked.find(format!("the record at {at} cannot be understood"), FROM_BACKUP);
        return Ok(());
    };
    let uid = note.header.sop_instance;
    if gone.get(&short(&uid)).is_some_and(|deleted| *deleted > record.sequence) {
        return Ok(());
    }
    there.insert(short(&uid));
    if let Err(error) = blobs.verify(&at) {
        checked.find(format!("instance {uid}: {error}"), FROM_BACKUP);
    } else {
        checked.objects += 1;
        checked.bytes += at.len;
    }
    if fresh {
        return Ok(());
    }
    match index.known(std::slice::from_ref(&uid))?.pop().flatten() {
        Some(known) if known.location == at => {}
        Some(known) => checked
            .find(format!("instance {uid} is at {at}, the index says {}", known.location), REBUILD),
        None => checked.find(format!("instance {uid} at {at} is not in the index"), REBUILD),
    }
    Ok(())
}

/// What the index has that no record tells of.
fn unrecorded(
    blobs: &dyn Blobs,
    index: &dyn Index,
    there: &HashSet<u128>,
    checked: &mut Checked,
) -> Result<(), ArchiveError> {
    const PAGE: usize = 1_000;
    let mut cursor = 0;
    loop {
        let page = index.arrivals_after(cursor, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        cursor = last.number;
        let missing: Vec<Uid> = page
            .into_iter()
            .map(|arrival| arrival.sop_instance)
            .filter(|uid| !there.contains(&short(uid)))
            .collect();
        for (uid, known) in missing.iter().zip(index.known(&missing)?) {
            let Some(known) = known else { continue };
            let at = known.location;
            match blobs.verify(&at) {
                Ok(()) => checked.find(
                    format!("instance {uid} at {at} has no record that can be read, but is whole"),
                    "retrieve it and send it again after the pack was restored or removed",
                ),
                Err(error) => checked
                    .find(format!("instance {uid} is in the index only: {error}"), FROM_BACKUP),
            }
        }
    }
}

impl Checked {
    fn find(&mut self, what: String, advice: &'static str) {
        if self.findings.len() < LISTED {
            self.findings.push(Finding { what, advice });
        } else {
            self.more += 1;
        }
    }

    pub fn is_whole(&self) -> bool {
        self.findings.is_empty()
    }
}

fn short(uid: &Uid) -> u128 {
    twox_hash::XxHash3_128::oneshot(uid.as_str().as_bytes())
}
