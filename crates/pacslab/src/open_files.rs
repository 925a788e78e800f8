//! How many files and connections the system lets this process have open. Many systems say 1,024
//! at first and allow far more to who asks; Windows knows no such limit.

use crate::config::Config;

/// What the doors and the archive may need at most: a connection and a segment file for each
/// association, connections of HTTP, packs, databases.
fn wanted(config: &Config) -> u64 {
    2 * config.dicom.max_associations as u64 + 1024
}

/// Asks the system for as many as are needed. What to say if it does not give them.
pub(crate) fn allow(config: &Config) -> Option<String> {
    let wanted = wanted(config);
    let given = raise(wanted).filter(|given| *given < wanted)?;
    Some(format!(
        "this system lets a process open {given} files and connections at a time; {} associations \
         (dicom.max_associations) with the rest may need {wanted}, and those beyond the limit fail: \
         raise it (ulimit -n, LimitNOFILE= of a systemd service, --ulimit nofile= of a container) \
         or lower dicom.max_associations",
        config.dicom.max_associations
    ))
}

/// The limit after it was raised as far as is allowed and needed; `None`: there is none.
#[cfg(unix)]
fn raise(wanted: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    if current >= wanted {
        return Some(current);
    }
    let more = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    match setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum: limit.maximum }) {
        Ok(()) => Some(more),
        Err(_) => Some(current),
    }
}

#[cfg(not(unix))]
fn raise(_wanted: u64) -> Option<u64> {
    None
}
