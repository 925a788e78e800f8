//! Compaction: room that deleted objects took is given back while everything goes on.
//!
//! A pack of which little is left is written anew (`Blobs::rewrite`), the index is told where its
//! objects lie now, a record of the move goes into the log, and then the old pack goes. The record
//! comes before the removal: an index that lost its last transactions in a power failure hears of
//! the move again when it takes in the log. Who holds an old location finds the object by its UID.
//!
//! Of a deleted instance the note remains, because the resources above took values from it, and the
//! replayed index is to be the same. What belonged to levels that are gone themselves is taken out.

use std::collections::HashMap;
use std::sync::Arc;

use pacslab_model::{Event, Level, Uid};
use pacslab_store::{
    Blobs, Index, Keep, Kind, Location, PackInfo, ReplayRecord, Role, StoreError, Stored,
};

use crate::archive::{Archive, ArchiveError};
use crate::change::exists;
use crate::events;
use crate::ingest::{Note, Request};

/// What a compaction did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Compacted {
    /// Packs that were written anew.
    pub rewritten: u64,
    /// Packs that were removed.
    pub removed: u64,
    /// Bytes by which the folder is smaller.
    pub freed: u64,
    /// Packs that somebody is reading still; the next compaction removes them.
    pub waiting: u64,
    /// The room of an object is free once it is deleted: there is nothing to compact.
    pub needless: bool,
}

impl Archive {
    /// Rewrites packs of whose bytes less than `percent` are objects still, and removes those that
    /// hold none. One at a time: a second call waits.
    ///
    /// # Errors
    /// Storage fails, or a pack is damaged; what was done stays done.
    pub async fn compact(self: &Arc<Self>, percent: u8) -> Result<Compacted, ArchiveError> {
        let _one = self.compacting.lock().await;
        let needless = self.blobs.frees_at_once();
        let mut done = Compacted { needless, ..Compacted::default() };
        let before = self.used().await?;
        let packs = self.blocking(|archive| Ok(archive.blobs.packs())).await?;
        // all that these packs hold is in the index after this
        self.request(Request::Settle).await?;
        let held = self.blocking(|archive| Ok(archive.index.held()?)).await?;
        for pack in packs {
            let live = held.get(&pack.number).copied().unwrap_or_default();
            match pack.role {
                Role::Last { .. } | Role::Records { .. } => {}
                Role::Replaced { first } => {
                    self.move_over(pack.number, first).await?;
                    self.discard(pack, &mut done).await?;
                }
                Role::Single if live > 0 => {}
                Role::Single => self.discard(pack, &mut done).await?,
                Role::Log { first, bodies, .. } => {
                    if bodies <= live || live * 100 >= bodies * u64::from(percent) {
                        continue;
                    }
                    self.blocking(move |archive| archive.rewrite(pack.number)).await?;
                    done.rewritten += 1;
                    self.move_over(pack.number, first).await?;
                    self.discard(pack, &mut done).await?;
                }
            }
        }
        done.freed = before.saturating_sub(self.used().await?);
        if done.removed > 0 || done.rewritten > 0 {
            let text = format!(
                "compaction rewrote {} packs, removed {} and freed {} bytes",
                done.rewritten, done.removed, done.freed
            );
            self.emit.emit(
                Event::new(self.clock.now(), events::COMPACTED, text)
                    .field("rewritten", done.rewritten)
                    .field("removed", done.removed)
                    .field("freed", done.freed),
            );
        }
        Ok(done)
    }

    async fn used(self: &Arc<Self>) -> Result<u64, ArchiveError> {
        self.blocking(|archive| Ok(archive.blobs.usage().on_disk)).await
    }

    /// The index learns where the objects of a pack lie now, durably; then nobody needs the pack.
    async fn move_over(self: &Arc<Self>, from: u32, first: u64) -> Result<(), ArchiveError> {
        self.blocking(move |archive| Ok(relocate(&*archive.blobs, &*archive.index, from, first)?))
            .await?;
        self.request(Request::Moved { from, first }).await.map(drop)
    }

    async fn discard(
        self: &Arc<Self>,
        pack: PackInfo,
        done: &mut Compacted,
    ) -> Result<(), ArchiveError> {
        match self.blocking(move |archive| Ok(archive.blobs.discard(pack.number)?)).await? {
            Some(_) => done.removed += 1,
            None => done.waiting += 1,
        }
        Ok(())
    }

    fn rewrite(&self, pack: u32) -> Result<u32, ArchiveError> {
        let mut left = Left { index: &*self.index, there: HashMap::new() };
        Ok(self.blobs.rewrite(pack, &mut |record| left.keep(record))?)
    }

    /// The bytes of an instance, wherever they lie by now.
    pub(crate) fn body(&self, stored: &Stored) -> Result<Vec<u8>, StoreError> {
        let read = match self.blobs.read(&stored.location) {
            Err(error @ StoreError::NoSuchLocation(_)) => match self.whereabouts(stored)? {
                Some(at) => self.blobs.read(&at),
                None => Err(error),
            },
            other => other,
        };
        read.inspect_err(|error| self.tell_damage(stored, error))
    }

    /// Where an instance lies that has moved since it was found.
    pub(crate) fn whereabouts(&self, stored: &Stored) -> Result<Option<Location>, StoreError> {
        let known = self.index.known(std::slice::from_ref(&stored.sop_instance))?.pop().flatten();
        let same = known.filter(|known| known.digest == stored.digest);
        Ok(same.map(|known| known.location).filter(|at| *at != stored.location))
    }
}

/// Tells the index where the objects lie that pack `from` held, in the log that begins with
/// `first`. Done twice it is the same.
pub(crate) fn relocate(
    blobs: &dyn Blobs,
    index: &dyn Index,
    from: u32,
    first: u64,
) -> Result<(), StoreError> {
    const BATCH: usize = 1_000;
    let mut moved: Vec<(Uid, Location)> = Vec::new();
    blobs.walk(first, &mut |record| {
        if record.kind != Kind::Instance || record.location.len == 0 {
            return Ok(());
        }
        if let Ok(note) = Note::decode(&record.note) {
            moved.push((note.header.sop_instance, record.location));
        }
        if moved.len() == BATCH {
            index.relocate(from, &moved)?;
            moved.clear();
        }
        Ok(())
    })?;
    index.relocate(from, &moved)
}

/// What is left of records when their pack is rewritten.
struct Left<'a> {
    index: &'a dyn Index,
    /// Which resources are there still.
    there: HashMap<(Level, String), bool>,
}

impl Left<'_> {
    fn keep(&mut self, record: &ReplayRecord) -> Result<Keep, StoreError> {
        if record.kind != Kind::Instance {
            return Ok(Keep::Whole);
        }
        // what cannot be understood is not ours to remove
        let Ok(mut note) = Note::decode(&record.note) else { return Ok(Keep::Whole) };
        let known = self.index.known(std::slice::from_ref(&note.header.sop_instance))?;
        if known.first().and_then(Option::as_ref).is_some_and(|k| k.location == record.location) {
            return Ok(Keep::Whole);
        }
        let header = &mut note.header;
        for (level, key) in [
            (Level::Patient, header.patient_id.clone()),
            (Level::Study, header.study_uid.to_string()),
            (Level::Series, header.series_uid.to_string()),
        ] {
            if !self.there(level, key)? {
                header.attributes.retain(|(tag, _)| Level::of(*tag) != Some(level));
            }
        }
        // patient ID and UIDs stay: later records name what they make
        header.attributes.retain(|(tag, _)| Level::of(*tag) < Some(Level::Instance));
        Ok(Keep::Note(note.encode()))
    }

    fn there(&mut self, level: Level, key: String) -> Result<bool, StoreError> {
        if let Some(there) = self.there.get(&(level, key.clone())) {
            return Ok(*there);
        }
        let there = exists(self.index, level, &key)?;
        self.there.insert((level, key), there);
        Ok(there)
    }
}
