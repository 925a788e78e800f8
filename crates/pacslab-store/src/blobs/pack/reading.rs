//! Bytes of bodies out of the packs, by any thread.

use super::*;

/// Packs kept open.
const OPEN: usize = 64;

impl PackBlobs {
    pub(in crate::blobs) fn file(&self, number: u32) -> Result<Arc<dyn DiskFile>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&number) {
            return Ok(file.clone());
        }
        let path = self.folder.pack(number);
        let file = self.folder.disk.open(&path).map_err(|e| StoreError::io("open", &path, 0, e))?;
        if files.len() >= OPEN {
            files.clear();
        }
        files.insert(number, file.clone());
        Ok(file)
    }

    /// The file of a body, if the body lies within it.
    pub(in crate::blobs) fn holder(&self, at: &Location) -> Result<Arc<dyn DiskFile>> {
        let file = match self.file(at.pack) {
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(StoreError::NoSuchLocation(*at));
            }
            other => other?,
        };
        let len =
            file.len().map_err(|e| StoreError::io("read", &self.folder.pack(at.pack), 0, e))?;
        match at.offset.checked_add(at.len) {
            Some(end) if end <= len => Ok(file),
            _ => Err(StoreError::NoSuchLocation(*at)),
        }
    }

    pub(in crate::blobs) fn read_at(
        &self,
        at: &Location,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>> {
        let file = self.holder(at)?;
        let len = (at.len.saturating_sub(offset)).min(len as u64) as usize;
        let mut bytes = vec![0; len];
        let read = self.fill(&*file, at, offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(in crate::blobs) fn fill(
        &self,
        file: &dyn DiskFile,
        at: &Location,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        file.read_at(buffer, at.offset.saturating_add(offset))
            .map_err(|e| StoreError::io("read", &self.folder.pack(at.pack), 0, e))
    }

    /// Fills the buffer from a pack that is open, if nothing has to be waited for. What lies within
    /// the pack is not asked: a body that ends behind it is not filled.
    pub(in crate::blobs) fn fill_now(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> bool {
        // whoever holds it may be opening one
        let Ok(files) = self.files.try_lock() else { return false };
        let Some(file) = files.get(&at.pack).cloned() else { return false };
        drop(files);
        let from = at.offset.checked_add(offset);
        from.is_some_and(|from| file.read_now(buffer, from))
    }
}
