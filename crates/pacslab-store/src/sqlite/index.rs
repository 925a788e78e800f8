use crate::error::{Result, StoreError};
use std::path::Path;
#[derive(Debug)]
pub struct SqliteIndex;
impl SqliteIndex {
    pub fn open(_path: &Path) -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
    pub fn memory() -> Result<Self> {
        Err(StoreError::Other("not yet".into()))
    }
}
