//! How much is kept, and what happens when that is reached: refuse, or let the oldest patients go.

use std::sync::Arc;

use pacslab_store::{Blobs, Index, StoreError};

use crate::archive::Archive;

/// Limits of an archive; 0 is none.
#[derive(Clone, Default)]
pub struct Quota {
    /// Bytes of all objects.
    pub bytes: u64,
    pub patients: u64,
    /// Bytes of the disk that stay free.
    pub keep_free: u64,
    /// How much of the disk is free, where the system tells.
    pub free: Option<Arc<dyn Fn() -> Option<u64> + Send + Sync>>,
    /// Patients that nothing came of for the longest time are deleted, unless they are protected;
    /// otherwise what comes is refused.
    pub delete_oldest: bool,
}

impl std::fmt::Debug for Quota {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { bytes, patients, keep_free, delete_oldest, .. } = self;
        f.debug_struct("Quota")
            .field("bytes", bytes)
            .field("patients", patients)
            .field("keep_free", keep_free)
            .field("delete_oldest", delete_oldest)
            .finish_non_exhaustive()
    }
}

impl Quota {
    pub(crate) fn is_none(&self) -> bool {
        self.bytes == 0 && self.patients == 0 && self.keep_free == 0
    }

    /// The limit that would be exceeded by so many bytes and new patients more.
    pub(crate) fn exceeded(
        &self,
        blobs: &dyn Blobs,
        index: &dyn Index,
        bytes: u64,
        patients: u64,
    ) -> Result<Option<StoreError>, StoreError> {
        let counts = index.counts()?;
        if self.bytes > 0 && counts.size.saturating_add(bytes) > self.bytes {
            let limit = format!("{} bytes", self.bytes);
            return Ok(Some(StoreError::Quota { setting: "storage.quota", limit }));
        }
        if self.patients > 0 && patients > 0 && counts.patients + patients > self.patients {
            let limit = format!("{} patients", self.patients);
            return Ok(Some(StoreError::Quota { setting: "storage.max_patients", limit }));
        }
        let free = self.free.as_ref().filter(|_| self.keep_free > 0).and_then(|free| free());
        if let Some(free) = free {
            // what is deleted already comes back with the next compaction
            let coming = match self.delete_oldest {
                true => blobs.usage().on_disk.saturating_sub(counts.size),
                false => 0,
            };
            if free.saturating_add(coming) < self.keep_free.saturating_add(bytes) {
                let limit = format!("{} bytes", self.keep_free);
                return Ok(Some(StoreError::Quota { setting: "storage.keep_free", limit }));
            }
        }
        Ok(None)
    }
}

impl Archive {
    /// From now on; until then there is no limit.
    pub fn set_quota(&self, quota: Quota) {
        *self.quota.write().unwrap_or_else(std::sync::PoisonError::into_inner) = quota;
    }

    pub fn quota(&self) -> Quota {
        self.quota.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Waits until patients were deleted to make room: compaction gives it back.
    pub async fn room_wanted(&self) {
        self.room.notified().await;
    }
}
