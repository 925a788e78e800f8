//! What the doors ask about labels and protection.

use std::sync::Arc;

use pacslab_model::Level;

use crate::archive::{Archive, ArchiveError};

impl Archive {
    /// The labels of a resource, known by the unique key of its level.
    ///
    /// # Errors
    /// The index fails; so for all here.
    pub async fn labels_of(
        self: &Arc<Self>,
        level: Level,
        resource: &str,
    ) -> Result<Vec<String>, ArchiveError> {
        let resource = resource.to_owned();
        self.blocking(move |archive| Ok(archive.index.labels_of(level, &resource)?)).await
    }

    /// The unique keys of the resources that have this label.
    pub async fn labelled(
        self: &Arc<Self>,
        level: Level,
        label: &str,
    ) -> Result<Vec<String>, ArchiveError> {
        let label = label.to_owned();
        self.blocking(move |archive| Ok(archive.index.labelled(level, &label)?)).await
    }

    /// All labels in use.
    pub async fn labels(self: &Arc<Self>) -> Result<Vec<String>, ArchiveError> {
        self.blocking(|archive| Ok(archive.index.labels()?)).await
    }

    pub async fn is_protected(self: &Arc<Self>, patient_id: &str) -> Result<bool, ArchiveError> {
        let patient_id = patient_id.to_owned();
        self.blocking(move |archive| Ok(archive.index.is_protected(&patient_id)?)).await
    }
}
