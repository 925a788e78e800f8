//! What the department learns of patients reaches the archive. IHE RAD TF-2 4.12 (RAD-12).
//!
//! The RIS leaves on its desk what the archive has to do, the archive keeps each as a record of its
//! own, and only then it is taken off the desk. After a crash between the two it is done again,
//! which changes nothing.

use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::{Archive, ArchiveError, Change, Origin};
use pacslab_model::order::Patient;
use pacslab_model::{Key, Level, Query, Tag, Test, Uid, Vr, tags};
use pacslab_ris::{Refile, Ris};

/// How long after a failure it is tried again.
const RETRY: Duration = Duration::from_secs(1);

const BATCH: usize = 100;

/// Does what is to be done, as it comes, without end.
pub(crate) async fn follow(archive: Arc<Archive>, ris: Arc<Ris>) {
    loop {
        match catch_up(&archive, &ris).await {
            Ok(()) => ris.to_refile().await,
            Err(error) => {
                tracing::error!("what is known of patients cannot be told to the archive: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn catch_up(archive: &Arc<Archive>, ris: &Arc<Ris>) -> Result<(), ArchiveError> {
    loop {
        let desk = ris.clone();
        let todo = blocking(move || desk.refiles(BATCH)).await?;
        if todo.is_empty() {
            return Ok(());
        }
        for (key, what) in todo {
            refile(archive, what).await?;
            let desk = ris.clone();
            blocking(move || desk.refiled(&key)).await?;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, pacslab_store::StoreError> + Send + 'static,
) -> Result<T, ArchiveError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(pacslab_store::StoreError::Other("stopped".to_owned()).into()),
    }
}

async fn refile(archive: &Arc<Archive>, what: Refile) -> Result<(), ArchiveError> {
    let by = Origin { calling_ae: String::new(), remote: "RIS".to_owned() };
    match what {
        Refile::Merge { from, patient } => {
            let values = values(&patient);
            let into = patient.id.id;
            archive.change(Change::Merge { from: from.id, into, values }, by).await?;
        }
        Refile::Describe { patient } => {
            let id = Test::Value(patient.id.id.clone());
            let query =
                Query::new(Level::Study).key(Key { tag: tags::PATIENT_ID, vr: Vr::LO, test: id });
            for study in archive.find(query).await? {
                let study = Uid::new(study.str(tags::STUDY_INSTANCE_UID));
                let values = values(&patient);
                archive.change(Change::Relabel { study, values }, by.clone()).await?;
            }
        }
    }
    Ok(())
}

/// What the index says of a patient; what nobody told stays.
fn values(patient: &Patient) -> Vec<(Tag, String)> {
    let told = [
        (tags::PATIENT_NAME, patient.name.to_string()),
        (tags::PATIENT_BIRTH_DATE, patient.birth_date.clone()),
        (tags::PATIENT_SEX, patient.sex.clone()),
    ];
    told.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}
