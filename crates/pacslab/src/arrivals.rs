//! Images that arrive in the archive are told to the RIS.

use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::Archive;
use pacslab_model::Uid;
use pacslab_ris::{Images, Ris};
use pacslab_store::{Arrival, Index, StoreError};

/// How long after a failure the arrivals are looked at again.
const RETRY: Duration = Duration::from_secs(1);

/// Arrivals are told in batches: each costs the desk a sync, which senders would wait behind.
const BETWEEN: Duration = Duration::from_millis(250);

/// Tells the RIS what has arrived, and at start what it has not seen before the end of last time.
pub(crate) async fn follow(archive: Arc<Archive>, ris: Arc<Ris>) {
    loop {
        let (index, desk) = (archive.index().clone(), ris.clone());
        let taken = tokio::task::spawn_blocking(move || desk.arrivals(&Arrivals(index))).await;
        match taken {
            Ok(Ok(0)) => archive.arrived().await,
            Ok(Ok(_)) => tokio::time::sleep(BETWEEN).await,
            Ok(Err(error)) => {
                tracing::error!("arrivals cannot be told to the RIS: {error}");
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => return,
        }
    }
}

/// How often what a step lists is looked for.
const LOOKS: Duration = Duration::from_secs(2);

/// Compares what steps list with what has arrived, as long as something is missing.
pub(crate) async fn compare(archive: Arc<Archive>, ris: Arc<Ris>) {
    loop {
        let (index, desk) = (archive.index().clone(), ris.clone());
        let compared =
            tokio::task::spawn_blocking(move || desk.compare_listed(&Arrivals(index))).await;
        match compared {
            Ok(Ok(false)) => ris.to_compare().await,
            Ok(Ok(true)) => tokio::time::sleep(LOOKS).await,
            Ok(Err(error)) => {
                tracing::error!("what steps list cannot be compared with what is there: {error}");
                tokio::time::sleep(RETRY).await;
            }
            Err(_) => return,
        }
    }
}

struct Arrivals(Arc<dyn Index>);

impl Images for Arrivals {
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        self.0.arrivals_after(cursor, limit)
    }

    fn missing(&self, sop_instances: &[Uid]) -> Result<Vec<Uid>, StoreError> {
        Images::missing(&*self.0, sop_instances)
    }
}
