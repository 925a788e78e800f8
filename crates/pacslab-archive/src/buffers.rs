//! Buffers that are used again: one C-STORE after the other needs no allocation.

use std::sync::{Mutex, PoisonError};

/// So many are kept, of at most this size each: what is idle stays under 16 MiB.
const KEEP: usize = 16;
const KEEP_CAPACITY: usize = 1 << 20;

#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > KEEP_CAPACITY {
            return;
        }
        buffer.clear();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEEP {
            kept.push(buffer);
        }
    }
}
