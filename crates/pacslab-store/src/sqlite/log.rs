use crate::error::{Result, StoreError};
use crate::log::{EventFilter, Kept, LogLimits, LogStats, Subscription};
use pacslab_model::{Emit, Event};
use std::path::Path;
#[derive(Debug)]
pub struct EventLog;
impl EventLog {
    pub fn open(_path: &Path, _limits: LogLimits) -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
    pub fn memory(_limits: LogLimits) -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
    /// Newest first.
    pub fn recent(&self, _filter: &EventFilter) -> Result<Vec<Kept>> {
        Ok(Vec::new())
    }
    pub fn raw(&self, _id: u64) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
    pub fn subscribe(&self, _capacity: usize) -> Subscription {
        Subscription { receiver: std::sync::mpsc::channel().1 }
    }
    /// `listener` is called for each event on the log's own thread and must not block; it is
    /// forgotten when it answers `false`.
    pub fn listen(&self, _listener: Box<dyn FnMut(&std::sync::Arc<Kept>) -> bool + Send>) {}
    /// Waits until everything emitted before is written.
    pub fn flush(&self) {}
    pub fn stats(&self) -> LogStats {
        LogStats::default()
    }
}
impl Emit for EventLog {
    fn emit(&self, _event: Event) {}
}
