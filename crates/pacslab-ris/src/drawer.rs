//! Things of one kind on the desk: JSON under a key.

use std::marker::PhantomData;

use pacslab_model::Moment;
use pacslab_store::{DeskEntry, Expect, Papers, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A drawer of the desk and what lies in it.
pub(crate) struct Drawer<T> {
    name: &'static str,
    kind: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Drawer<T> {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, kind: PhantomData }
    }

    pub(crate) fn get(&self, papers: &dyn Papers, key: &str) -> Result<Option<T>, StoreError> {
        papers.entry(self.name, key)?.map(|entry| self.read(&entry)).transpose()
    }

    /// Whatever lay there is replaced: who reads and writes does both in one transaction.
    pub(crate) fn put(
        &self,
        papers: &dyn Papers,
        key: &str,
        value: &T,
        at: Moment,
    ) -> Result<(), StoreError> {
        let body = serde_json::to_string(value)
            .map_err(|error| StoreError::Other(format!("{} {key}: {error}", self.name)))?;
        papers.put_entry(self.name, key, &body, Expect::Any, at).map(drop)
    }

    /// By key, those after `after` (`""`: from the first).
    pub(crate) fn after(
        &self,
        papers: &dyn Papers,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let entries = papers.entries(self.name, after, limit)?;
        entries.into_iter().map(|entry| Ok((entry.key.clone(), self.read(&entry)?))).collect()
    }

    /// Those whose key begins so.
    pub(crate) fn beginning(
        &self,
        papers: &dyn Papers,
        prefix: &str,
        limit: usize,
    ) -> Result<Vec<(String, T)>, StoreError> {
        // what comes after the prefix leaves out the key that is the prefix itself
        let mut found: Vec<_> =
            self.get(papers, prefix)?.map(|value| (prefix.to_owned(), value)).into_iter().collect();
        let rest = self.after(papers, prefix, limit.saturating_sub(found.len()))?;
        found.extend(rest.into_iter().filter(|(key, _)| key.starts_with(prefix)));
        Ok(found)
    }

    pub(crate) fn remove(&self, papers: &dyn Papers, key: &str) -> Result<bool, StoreError> {
        papers.remove_entry(self.name, key)
    }

    fn read(&self, entry: &DeskEntry) -> Result<T, StoreError> {
        serde_json::from_str(&entry.body).map_err(|error| {
            StoreError::Other(format!(
                "{} {} on the desk cannot be read ({error}); use the version that wrote it",
                self.name, entry.key
            ))
        })
    }
}
