//! stub
use crate::error::{Result, StoreError};
/// Notes are small by contract.
pub(super) const MAX_NOTE: usize = 64 << 10;

pub(super) fn check_notes<'a>(notes: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    match notes.into_iter().find(|note| note.len() > MAX_NOTE) {
        None => Ok(()),
        Some(note) => Err(StoreError::Other(format!(
            "the note of a record has {} bytes, {MAX_NOTE} are allowed",
            note.len()
        ))),
    }
}

pub(super) fn foreign() -> StoreError {
    StoreError::Other("a segment can only be adopted by the store that began it".to_owned())
}
