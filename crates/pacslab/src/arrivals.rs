//! Images that arrive in the archive are told to the RIS.

use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::Archive;
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

struct Arrivals(Arc<dyn Index>);

impl Images for Arrivals {
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        self.0.arrivals_after(cursor, limit)
    }
}
