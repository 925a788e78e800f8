//! The settings of storage commitment, and its opening.

use std::sync::Arc;

use pacslab_archive::{Archive, Caller, CommitmentSettings, Commitments, Peers, Retries};
use pacslab_store::Desk;

use crate::config::Config;
use crate::exit::{Failure, Result};

/// Takes up what was asked for before the last end.
pub(crate) async fn open(
    config: &Config,
    archive: &Arc<Archive>,
    desk: Arc<dyn Desk>,
    peers: &Arc<Peers>,
    caller: Caller,
) -> Result<Arc<Commitments>> {
    let of = &config.commitment;
    let retries = Retries { attempts: of.attempts, first: of.retry_after };
    let settings = CommitmentSettings { way: of.report, wait: of.wait, retries };
    let (archive, peers, aet) = (archive.clone(), peers.clone(), config.dicom.aet.clone());
    let opening = tokio::task::spawn_blocking(move || {
        Commitments::open(archive, desk, peers, caller, aet, settings)
    });
    let opened = opening.await.map_err(|_| Failure::failed("stopped"))?;
    opened.map_err(|error| Failure::failed(error.to_string()))
}
