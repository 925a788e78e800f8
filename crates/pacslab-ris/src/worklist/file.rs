//! Our own `.wl` files: Part 10 files that Orthanc and DCMTK serve as well.
//!
//! `<accession>.wl`, or `<accession>_<step id>.wl` when the order has several steps; a further
//! requested procedure has its id between. A name that
//! some file system would not take is changed, and carries a hash of what it stands for. A file is
//! ours when its SOP instance UID is the one that we derive for the step; others are not touched.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file as part10};
use pacslab_model::order::{Order, ScheduledStep, StepStatus};
use pacslab_model::{Tag, Uid, tags, uids};
use pacslab_store::disk::patiently;
use sha2::{Digest, Sha256};

use super::item::dataset;

/// What [`write()`] did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Written {
    /// Name in the folder.
    pub name: String,
    /// `false`: the file was there with the very same content.
    pub changed: bool,
    /// The name it should have had, which a file that is not ours has taken.
    pub instead_of: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("both {0} and {1} in {2} belong to somebody else; move one of them away")]
    Taken(String, String, PathBuf),
}

/// Writes the file of one step, beside and renamed, so that nobody reads half of it.
///
/// # Errors
/// The folder cannot be written, or both names that the file may have are taken.
pub fn write(
    folder: &Path,
    order: &Order,
    step: &ScheduledStep,
    status: StepStatus,
) -> Result<Written, FileError> {
    let bytes = bytes(order, step, status);
    let uid = instance_uid(&order.accession, &order.key(), &step.id);
    let [name, second] = names(order, step, order.steps.len() > 1);
    let mut written = Written { name: name.clone(), changed: true, instead_of: None };
    match occupant(&folder.join(&name))? {
        Occupant::Other => {
            written = Written { name: second.clone(), instead_of: Some(name.clone()), ..written };
            if matches!(occupant(&folder.join(&second))?, Occupant::Is(found) if found != uid) {
                return Err(FileError::Taken(name, second, folder.to_owned()));
            }
        }
        Occupant::Is(found) if found != uid => {
            written = Written { name: second, instead_of: Some(name), ..written };
        }
        Occupant::Is(_) | Occupant::Nobody => {}
    }
    let path = folder.join(&written.name);
    if fs::read(&path).is_ok_and(|there| there == bytes) {
        written.changed = false;
    } else {
        replace(folder, &path, &bytes)?;
    }
    // an order that got another step has other names
    for old in all_names(order, step).filter(|old| *old != written.name) {
        remove_if_ours(folder, &old, &uid)?;
    }
    Ok(written)
}

/// Removes the file of one step under whichever name it has; names what was removed.
///
/// # Errors
/// The folder cannot be written.
pub fn remove(
    folder: &Path,
    order: &Order,
    step: &ScheduledStep,
) -> Result<Vec<String>, FileError> {
    let uid = instance_uid(&order.accession, &order.key(), &step.id);
    let mut removed = Vec::new();
    for name in all_names(order, step) {
        if remove_if_ours(folder, &name, &uid)? {
            removed.push(name);
        }
    }
    Ok(removed)
}

/// The bytes of the file of one step.
pub fn bytes(order: &Order, step: &ScheduledStep, status: StepStatus) -> Vec<u8> {
    let meta = FileMeta {
        sop_class: Uid::new(uids::WORKLIST_FILE),
        sop_instance: instance_uid(&order.accession, &order.key(), &step.id),
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: None,
    };
    part10::write(&meta, &dataset(order, step, status))
}

/// By which we know our files again.
pub fn instance_uid(accession: &str, key: &str, step_id: &str) -> Uid {
    Uid::from_parts(&["pacslab", "worklist item", accession, key, step_id])
}

/// The accession number, [`Order::key`] and step id of a file of ours; `None`: somebody else's.
pub(crate) fn ours(sop_instance: &Uid, set: &Dataset) -> Option<(String, String, String)> {
    let filler = set.items(Tag::new(0x0040, 0x0027)).first();
    let issuer = filler.map_or("", |item| item.str(Tag::new(0x0040, 0x0031)));
    let step = set.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first()?;
    let (accession, id) =
        (set.str(tags::ACCESSION_NUMBER), step.str(tags::SCHEDULED_PROCEDURE_STEP_ID));
    let procedure = set.str(tags::REQUESTED_PROCEDURE_ID);
    // as the first of its accession number, or as a further one
    let keys = [issuer.to_owned(), format!("{issuer}\u{1f}{procedure}")];
    let key = keys.into_iter().find(|key| instance_uid(accession, key, id) == *sop_instance)?;
    Some((accession.to_owned(), key, id.to_owned()))
}

/// The name that the file of a step has, and the one it has when that is taken.
#[doc(hidden)]
pub fn names(order: &Order, step: &ScheduledStep, several: bool) -> [String; 2] {
    let mut parts = vec![order.accession.as_str()];
    parts.extend(order.further.then_some(order.procedure.id.as_str()));
    parts.extend(several.then_some(step.id.as_str()));
    let wanted = parts.join("_");
    let hash = hash(&[&order.accession, &order.key(), &step.id]);
    let (safe, changed) = safe(&wanted);
    let hashed = format!("{safe}~{hash}.wl");
    if changed { [hashed.clone(), hashed] } else { [format!("{safe}.wl"), hashed] }
}

fn all_names(order: &Order, step: &ScheduledStep) -> impl Iterator<Item = String> {
    let mut all: Vec<String> =
        [true, false].into_iter().flat_map(|several| names(order, step, several)).collect();
    all.sort();
    all.dedup();
    all.into_iter()
}

const MAX_NAME: usize = 80;

/// A file name that every file system takes, and whether it had to be changed for that.
fn safe(wanted: &str) -> (String, bool) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut name: String =
        wanted.chars().map(|c| if plain(c) { c } else { '-' }).take(MAX_NAME).collect();
    if name.is_empty() || name.starts_with('.') {
        name.insert(0, '-');
    }
    // Windows knows devices by these names whatever follows the first dot
    let stem = name.split('.').next().unwrap_or("").to_ascii_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest: &str| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    if matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
    {
        name.insert(0, '-');
    }
    let changed = name != wanted;
    (name, changed)
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

enum Occupant {
    Nobody,
    /// A Part 10 file with this SOP instance UID.
    Is(Uid),
    Other,
}

fn occupant(path: &Path) -> Result<Occupant, FileError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4096).read_to_end(&mut head));
    match read {
        // nobody's work: a power failure took what was in it
        Ok(_) if head.iter().all(|byte| *byte == 0) => Ok(Occupant::Nobody),
        Ok(_) => Ok(part10::read_meta(&head)
            .map_or(Occupant::Other, |(meta, _)| Occupant::Is(meta.sop_instance))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Occupant::Nobody),
        Err(source) => Err(FileError::Io { what: "read", path: path.to_owned(), source }),
    }
}

fn remove_if_ours(folder: &Path, name: &str, uid: &Uid) -> Result<bool, FileError> {
    let path = folder.join(name);
    if !matches!(occupant(&path)?, Occupant::Is(found) if found == *uid) {
        return Ok(false);
    }
    match patiently(|| fs::remove_file(&path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FileError::Io { what: "remove", path, source }),
    }
}

/// Files that are being written have this ending, so that no worklist server takes them up.
pub(crate) const UNFINISHED: &str = ".pacslab-tmp";

/// Whole or not at all to whoever reads the folder. Not synced: the desk is what lasts, and what a
/// power failure leaves here is compared with it when the RIS is opened ([`Ris::reconcile`]).
///
/// [`Ris::reconcile`]: crate::Ris::reconcile
fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = folder.join(format!(".{}-{number}{UNFINISHED}", std::process::id()));
    let fail = |path: &Path, source| FileError::Io { what: "write", path: path.to_owned(), source };
    let moved = fs::write(&beside, bytes)
        .map_err(|source| fail(&beside, source))
        .and_then(|()| patiently(|| fs::rename(&beside, path)).map_err(|e| fail(path, e)));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}
