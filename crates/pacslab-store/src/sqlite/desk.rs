use crate::error::{Result, StoreError};
use std::path::Path;
#[derive(Debug)]
pub struct SqliteDesk;
impl SqliteDesk {
    pub fn open(_path: &Path) -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
    pub fn memory() -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
}
