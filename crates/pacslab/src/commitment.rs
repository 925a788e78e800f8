//! The settings of what the archive tells peers by itself: storage commitment, and which instances
//! are available.

use std::sync::Arc;

use pacslab_archive::{
    Archive, Availability, AvailabilitySettings, Caller, CommitmentSettings, Commitments, Peers,
    Retries,
};
use pacslab_model::{AeTitle, Clock, Uid};
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

/// Who is told which instances are there.
pub(crate) fn availability(
    config: &Config,
    archive: &Arc<Archive>,
    desk: Arc<dyn Desk>,
    peers: &Arc<Peers>,
    caller: Caller,
) -> Availability {
    let of = &config.availability;
    let retries = Retries { attempts: of.attempts, first: of.retry_after };
    let settings = AvailabilitySettings { peers: of.peers.0.clone(), quiet: of.quiet, retries };
    let (archive, peers, aet) = (archive.clone(), peers.clone(), config.dicom.aet.clone());
    Availability { archive, desk, peers, caller, aet, settings }
}

/// A transaction UID for a request of ours: never the same again.
pub(crate) fn transaction(us: &AeTitle, clock: &dyn Clock, of: &Uid) -> Uid {
    let (now, process) = (clock.now().micros.to_string(), std::process::id().to_string());
    Uid::from_parts(&["commitment", us.as_str(), &now, &process, of.as_str()])
}
