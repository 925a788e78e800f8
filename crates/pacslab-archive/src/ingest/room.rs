//! Room for what comes, within the limits of the archive.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use pacslab_model::{Emit, Level, Moment};
use pacslab_store::{Blobs, Index, Scope, StoreError};
use tokio::sync::Notify;

use super::Origin;
use super::committer::{Body, Job};
use crate::change::{Change, Prepared, exists};
use crate::quota::Quota;

/// The limits, and who is to be told when deletions have made room on paper only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    pub(crate) quota: Arc<RwLock<Quota>>,
    pub(crate) room: Arc<Notify>,
}

impl Limits {
    fn quota(&self) -> Option<Quota> {
        let quota = self.quota.read().unwrap_or_else(PoisonError::into_inner);
        (!quota.is_none()).then(|| quota.clone())
    }

    /// Whether these together would exceed a limit: some of them may fit by themselves.
    pub(crate) fn are_tight<'a>(
        &self,
        blobs: &dyn Blobs,
        index: &dyn Index,
        jobs: impl Iterator<Item = &'a Job>,
    ) -> bool {
        let Some(quota) = self.quota() else { return false };
        let (bytes, patients) = wanted(jobs);
        !matches!(quota.exceeded(blobs, index, bytes, patients.len() as u64), Ok(None))
    }

    /// Deletes the oldest patients until there is room, or refuses. Those whose objects come are
    /// not among them.
    pub(crate) fn make_room<'a>(
        &self,
        blobs: &dyn Blobs,
        index: &dyn Index,
        emit: &dyn Emit,
        jobs: impl Iterator<Item = &'a Job>,
        at: Moment,
    ) -> Result<(), StoreError> {
        let Some(quota) = self.quota() else { return Ok(()) };
        let (bytes, patients) = wanted(jobs);
        let mut new = 0;
        for patient in &patients {
            new += u64::from(!exists(index, Level::Patient, patient)?);
        }
        while let Some(error) = quota.exceeded(blobs, index, bytes, new)? {
            if !quota.delete_oldest {
                return Err(error);
            }
            let oldest = index.oldest_unprotected(patients.len() + 1)?;
            let Some(victim) = oldest.into_iter().find(|id| !patients.contains(id.as_str())) else {
                return Err(error);
            };
            let StoreError::Quota { setting, .. } = error else { return Err(error) };
            let by = Origin { calling_ae: String::new(), remote: setting.to_owned() };
            let change = Change::Delete(Scope::patient(victim));
            let Some(deletion) = Prepared::new(change, &by, at, index)? else {
                // without instances there is nothing to gain, and the next would be the same
                return Err(StoreError::Quota { setting, limit: "nothing is left".into() });
            };
            let end = deletion.record(blobs)?;
            let gone = deletion.apply(blobs, index, end)?;
            if let Some(event) = deletion.event(&gone) {
                emit.emit(event);
            }
            self.room.notify_one();
        }
        Ok(())
    }
}

/// Bytes and patients of what comes.
fn wanted<'a>(jobs: impl Iterator<Item = &'a Job>) -> (u64, BTreeSet<&'a str>) {
    let (mut bytes, mut patients) = (0, BTreeSet::new());
    for job in jobs {
        bytes += match &job.body {
            Body::Memory { head, dataset } => (head.len() + dataset.len()) as u64,
            Body::Segment(sealed) => sealed.len(),
        };
        patients.insert(job.note.header.patient_id.as_str());
    }
    (bytes, patients)
}
