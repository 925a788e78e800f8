//! Objects in memory, for runs that keep nothing: CI, demos, unit tests.

use std::any::Any;
use std::sync::{Arc, RwLock};

use super::*;
use crate::error::StoreError;

#[derive(Debug, Default)]
pub struct MemoryBlobs(RwLock<Vec<Held>>);

#[derive(Debug)]
struct Held {
    kind: Kind,
    note: Vec<u8>,
    /// `None`: released.
    body: Option<Arc<[u8]>>,
    len: u64,
    crc: u32,
}

impl MemoryBlobs {
    pub fn new() -> Self {
        Self::default()
    }

    fn push(&self, held: impl IntoIterator<Item = Held>) -> Appended {
        let mut all = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let locations = held
            .into_iter()
            .map(|held| {
                let location = held.location(all.len());
                all.push(held);
                location
            })
            .collect();
        Appended { locations, end: position(all.len()) }
    }

    fn body(&self, at: &Location) -> Result<Arc<[u8]>> {
        let all = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        usize::try_from(at.offset)
            .ok()
            .and_then(|index| all.get(index).filter(|held| held.location(index) == *at))
            .and_then(|held| held.body.clone())
            .ok_or(StoreError::NoSuchLocation(*at))
    }
}

impl Held {
    fn new(kind: Kind, note: &[u8], body: Vec<u8>) -> Self {
        let (len, crc) = (body.len() as u64, crc32fast::hash(&body));
        Self { kind, note: note.to_owned(), body: Some(body.into()), len, crc }
    }

    fn location(&self, index: usize) -> Location {
        Location { pack: 1, offset: index as u64, len: self.len, crc: self.crc }
    }
}

fn position(records: usize) -> Position {
    Position { sequence: records as u64, pack: 1, offset: records as u64 }
}

impl Blobs for MemoryBlobs {
    fn append(&self, batch: &[Record<'_>]) -> Result<Appended> {
        record::check_notes(batch.iter().map(|r| r.note))?;
        Ok(self.push(batch.iter().map(|r| Held::new(r.kind, r.note, [r.head, r.body].concat()))))
    }

    fn read(&self, at: &Location) -> Result<Vec<u8>> {
        Ok(self.body(at)?.to_vec())
    }

    fn read_range(&self, at: &Location, offset: u64, len: usize) -> Result<Vec<u8>> {
        let body = self.body(at)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(body.len());
        Ok(body[from..from.saturating_add(len).min(body.len())].to_vec())
    }

    fn read_into(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let body = self.body(at)?;
        let rest = &body[usize::try_from(offset).unwrap_or(usize::MAX).min(body.len())..];
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn read_into_now(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> bool {
        self.read_into(at, offset, buffer).is_ok_and(|read| read == buffer.len())
    }

    fn begin_segment(&self) -> Result<Box<dyn Segment>> {
        Ok(Box::new(Buffer(Vec::new())))
    }

    fn adopt(&self, sealed: Sealed, kind: Kind, note: &[u8]) -> Result<Appended> {
        record::check_notes([note])?;
        let body = sealed.0.into_any().downcast::<Buffer>().map_err(|_| record::foreign())?;
        Ok(self.push([Held::new(kind, note, body.0)]))
    }

    fn replay(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>,
    ) -> Result<Position> {
        let mut at = usize::try_from(from.sequence).unwrap_or(usize::MAX);
        loop {
            let record = {
                let all = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
                let Some(held) = all.get(at) else { return Ok(position(all.len())) };
                ReplayRecord {
                    kind: held.kind,
                    note: held.note.clone(),
                    location: held.location(at),
                    sequence: at as u64,
                    end: position(at + 1),
                }
            };
            visit(&record)?;
            at += 1;
        }
    }

    fn position(&self) -> Position {
        position(self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner).len())
    }

    fn usage(&self) -> Usage {
        let all = self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let held = all.iter().filter(|held| held.body.is_some());
        Usage { packs: 1, on_disk: held.map(|held| held.len).sum() }
    }

    fn release(&self, gone: &[Location]) -> Result<()> {
        let mut all = self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for at in gone {
            let index = usize::try_from(at.offset).unwrap_or(usize::MAX);
            if let Some(held) = all.get_mut(index).filter(|held| held.location(index) == *at) {
                held.body = None;
            }
        }
        Ok(())
    }

    fn frees_at_once(&self) -> bool {
        true
    }
}

struct Buffer(Vec<u8>);

impl Segment for Buffer {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn written(&self) -> u64 {
        self.0.len() as u64
    }

    fn seal(self: Box<Self>) -> Result<Sealed> {
        Ok(Sealed(self))
    }
}

impl SealedBody for Buffer {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_keeps_the_contract() {
        crate::suite::blobs(&|| Arc::new(MemoryBlobs::new()));
    }
}
