//! Bringing the index up to date with the packs: after a crash, or when `index.db` was removed.

use pacslab_model::{Clock, Emit, Event};
use pacslab_store::{Blobs, Index, Kind, NewInstance, Position, ReplayRecord, StoreError};

use crate::archive::ArchiveError;
use crate::change::Prepared;
use crate::events;
use crate::ingest::{Note, index_entry};

/// Entries of one index transaction.
const BATCH: usize = 1_000;

/// Takes in the records that the index has not seen yet.
pub(crate) fn replay(
    blobs: &dyn Blobs,
    index: &dyn Index,
    clock: &dyn Clock,
    emit: &dyn Emit,
) -> Result<(), ArchiveError> {
    let from = index.position()?;
    if from.sequence == blobs.position().sequence {
        return Ok(());
    }
    let mut replay =
        Replay { blobs, index, batch: Vec::new(), end: from, instances: 0, changes: 0 };
    let mut failed = None;
    let end = blobs.replay(from, &mut |record| {
        replay.take(record).map_err(|error| match error {
            ArchiveError::Store(error) => error,
            other => {
                failed = Some(other);
                StoreError::Other("a record cannot be understood".into())
            }
        })
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let end = end?;
    replay.flush()?;
    index.set_position(end)?;
    let Replay { instances, changes, .. } = replay;
    let text = match changes {
        0 => format!("brought {instances} instances from the packs into the index"),
        _ => format!(
            "brought {instances} instances and {changes} changes from the packs into the index"
        ),
    };
    let event = Event::new(clock.now(), events::REPLAYED, text);
    emit.emit(event.field("instances", instances).field("changes", changes));
    Ok(())
}

struct Replay<'a> {
    blobs: &'a dyn Blobs,
    index: &'a dyn Index,
    batch: Vec<NewInstance>,
    /// After the last record of the batch.
    end: Position,
    instances: u64,
    changes: u64,
}

impl Replay<'_> {
    fn take(&mut self, record: &ReplayRecord) -> Result<(), ArchiveError> {
        if record.kind == Kind::Instance {
            let note = Note::decode(&record.note)
                .map_err(|why| ArchiveError::Note { at: record.location, why })?;
            self.batch.push(index_entry(note, record.location));
            self.end = record.end;
            self.instances += 1;
            if self.batch.len() == BATCH {
                self.flush()?;
            }
            return Ok(());
        }
        self.flush()?;
        let change = Prepared::read(self.blobs, &record.note, record.location)?;
        change.apply(self.blobs, self.index, record.end)?;
        self.changes += u64::from(record.kind != Kind::Moved);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        if !self.batch.is_empty() {
            self.index.ingest(&self.batch, self.end)?;
            self.batch.clear();
        }
        Ok(())
    }
}
