//! One `.wl` file: whose it looks to be, whether it changed, what is in it.

use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::time::SystemTime;

use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file as part10, inflated, parse_until};
use pacslab_model::tags;

pub(super) enum Loaded {
    /// No file of that name.
    Nothing,
    File(Stamp, Result<(u64, FileMeta, Dataset), String>),
}

/// Reads one file of the folder.
pub(super) fn load(folder: &Path, name: &str, limit: u64) -> Loaded {
    let path = folder.join(name);
    let meta = match fs::metadata(&path) {
        Ok(meta) if meta.is_file() => meta,
        _ => return Loaded::Nothing,
    };
    let stamp = Stamp::of(&meta);
    if stamp.length > limit {
        let reason = format!("it has {} bytes; up to {limit} are read", stamp.length);
        return Loaded::File(stamp, Err(reason));
    }
    let mut bytes = Vec::with_capacity(stamp.length as usize);
    let read = File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded::Nothing,
        Err(error) => return Loaded::File(stamp, Err(error.to_string())),
    }
    let parsed = parse(&bytes, limit as usize);
    Loaded::File(stamp, parsed.map(|(meta, dataset)| (digest(&bytes), meta, dataset)))
}

/// A step becomes an item with everything of the file in it: what a file may multiply to.
const MAX_STEPS: usize = 100;

pub(super) fn parse(bytes: &[u8], limit: usize) -> Result<(FileMeta, Dataset), String> {
    let text = |error: pacslab_dicom::ParseError| error.to_string();
    let (meta, start) = part10::read_meta(bytes).map_err(text)?;
    let body = &bytes[start..];
    let dataset = match &meta.transfer_syntax {
        syntax @ TransferSyntax::DeflatedLe => {
            let plain = inflated(body, syntax, limit).map_err(text)?;
            parse_until(&plain, &TransferSyntax::ExplicitLe, tags::PIXEL_DATA)
        }
        syntax => parse_until(body, syntax, tags::PIXEL_DATA),
    }
    .map_err(text)?;
    let steps = dataset.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).len();
    if steps > MAX_STEPS {
        return Err(format!(
            "it has {steps} scheduled procedure steps; up to {MAX_STEPS} are read"
        ));
    }
    Ok((meta, dataset))
}

/// What tells whether a file is another one than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stamp {
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
    /// Inode and time of change, where there are any.
    more: (u64, i64, i64),
}

impl Stamp {
    pub(super) fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        let more = {
            use std::os::unix::fs::MetadataExt;
            (meta.ino(), meta.ctime(), meta.ctime_nsec())
        };
        #[cfg(not(unix))]
        let more = (0, 0, 0);
        Self { length: meta.len(), modified: meta.modified().ok(), more }
    }
}

/// Of the file itself, not of a link to it. Windows brings it along with the listing.
pub(super) fn metadata(entry: &fs::DirEntry) -> Option<Metadata> {
    if cfg!(windows) && !entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
        return entry.metadata().ok();
    }
    fs::metadata(entry.path()).ok()
}

/// `.wl` in any case: what worklist servers take for theirs.
pub(super) fn is_worklist_name(name: &str) -> bool {
    name.len() > 3 && name.get(name.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case(".wl"))
}

/// To see whether bytes have changed; never kept.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}
