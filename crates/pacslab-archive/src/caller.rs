//! What the department asks of its peers: C-ECHO, C-FIND, C-MOVE, and sending. One association
//! each; who asks for it (HTTP, a command) knows peers by name and nothing of associations.

use std::sync::Arc;
use std::time::Duration;

use pacslab_dicom::Dataset;
use pacslab_dimse::message::MoveOriginator;
use pacslab_dimse::{Association, Error, Proposal, Requestor, Status, StatusReply};
use pacslab_model::{AeTitle, Clock, Emit, uids};
use pacslab_store::Stored;

use crate::archive::Archive;
use crate::peers::Peer;
use crate::send::{Delivery, Tally};

/// Calls peers in the name of the department.
#[derive(Clone, Debug)]
pub struct Caller {
    archive: Arc<Archive>,
    requestor: Requestor,
}

/// A peer that was called and did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("calling {peer}: {source}")]
    Network { peer: String, source: Error },
    #[error("{peer} answered {what} with {reply}")]
    Refused { peer: String, what: &'static str, reply: StatusReply },
    #[error(
        "{peer} has the host * and cannot be called; register the address it listens at, e.g. \
         `pacslab modality register AET@127.0.0.1:11112 --name {peer}`"
    )]
    Nowhere { peer: String },
}

/// How a retrieval ended: its sub-operations, as the peer counts them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retrieved {
    pub completed: u16,
    pub failed: u16,
    pub warnings: u16,
}

impl Caller {
    pub fn new(archive: Arc<Archive>, requestor: Requestor) -> Self {
        Self { archive, requestor }
    }

    /// For those who have no other business with the network layer.
    pub fn titled(
        archive: Arc<Archive>,
        aet: AeTitle,
        events: Arc<dyn Emit>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::new(archive, Requestor::new(aet, events, clock))
    }

    /// The title that a peer sees.
    pub fn aet<'a>(&'a self, peer: &'a Peer) -> &'a AeTitle {
        peer.local_aet.as_ref().unwrap_or(&self.requestor.aet)
    }

    /// # Errors
    /// The peer does not answer, or not with success.
    pub async fn echo(&self, peer: &Peer) -> Result<(), CallError> {
        let mut association = self.associate(peer, Proposal::of(uids::VERIFICATION)).await?;
        let reply = association.echo().await.map_err(|source| network(peer, source))?;
        let _ = association.release().await;
        if reply.status == Status::SUCCESS {
            return Ok(());
        }
        Err(CallError::Refused { peer: peer.name.clone(), what: "C-ECHO", reply })
    }

    /// The matches, `limit` of them at most.
    ///
    /// # Errors
    /// The peer does not answer, or refuses the query.
    pub async fn find(
        &self,
        peer: &Peer,
        sop_class: &str,
        identifier: &Dataset,
        limit: usize,
    ) -> Result<Vec<Dataset>, CallError> {
        let mut association = self.associate(peer, Proposal::of(sop_class)).await?;
        let answered = association.find_all(sop_class, identifier, limit).await;
        let (found, reply) = answered.map_err(|source| network(peer, source))?;
        let _ = association.release().await;
        // a query that was cut off at the limit has done its work
        let enough = reply.status == Status::CANCEL && found.len() == limit;
        if reply.status.is_success() || enough {
            return Ok(found);
        }
        Err(CallError::Refused { peer: peer.name.clone(), what: "C-FIND", reply })
    }

    /// Asks a peer to send something to the application entity called `target`.
    ///
    /// # Errors
    /// The peer does not answer, refuses, or has failed with some of it.
    pub async fn retrieve(
        &self,
        peer: &Peer,
        sop_class: &str,
        target: &str,
        identifier: &Dataset,
    ) -> Result<Retrieved, CallError> {
        let failed = |source| network(peer, source);
        let mut association = self.associate(peer, Proposal::of(sop_class)).await?;
        let answers = association.move_(sop_class, target, identifier).await.map_err(failed)?;
        let (reply, counts, _) = answers.finish().await.map_err(failed)?;
        let _ = association.release().await;
        if !reply.status.is_success() {
            return Err(CallError::Refused { peer: peer.name.clone(), what: "C-MOVE", reply });
        }
        Ok(Retrieved {
            completed: counts.completed,
            failed: counts.failed,
            warnings: counts.warning,
        })
    }

    /// Sends instances; the caller goes on until there are no more. The originator of a retrieval
    /// that this is part of is its title and message number.
    ///
    /// # Errors
    /// The peer cannot be called.
    pub fn delivery(
        &self,
        peer: &Peer,
        instances: Vec<Stored>,
        originator: Option<(String, u16)>,
    ) -> Result<Delivery, CallError> {
        let originator = originator.map(|(aet, message_id)| MoveOriginator { aet, message_id });
        let remote = reachable(peer)?.remote();
        let requestor = self.requestor(peer);
        Ok(Delivery::new(self.archive.clone(), requestor, remote, instances, originator))
    }

    /// Sends all of them.
    ///
    /// # Errors
    /// The peer cannot be called.
    pub async fn send(&self, peer: &Peer, instances: Vec<Stored>) -> Result<Tally, CallError> {
        let mut delivery = self.delivery(peer, instances, None)?;
        while delivery.next().await.is_some() {}
        Ok(delivery.finish().await)
    }

    pub(crate) async fn associate(
        &self,
        peer: &Peer,
        proposal: Proposal,
    ) -> Result<Association, CallError> {
        let remote = reachable(peer)?.remote();
        Association::connect(&self.requestor(peer), &remote, proposal)
            .await
            .map_err(|source| network(peer, source))
    }

    fn requestor(&self, peer: &Peer) -> Requestor {
        let mut requestor = self.requestor.clone();
        requestor.aet = self.aet(peer).clone();
        if peer.timeout > 0 {
            let wait = Duration::from_secs(peer.timeout.into());
            let timeouts = &mut requestor.timeouts;
            timeouts.connect = timeouts.connect.min(wait);
            (timeouts.artim, timeouts.response) = (wait, wait);
        }
        requestor
    }
}

fn reachable(peer: &Peer) -> Result<&Peer, CallError> {
    match peer.is_reachable() {
        true => Ok(peer),
        false => Err(CallError::Nowhere { peer: peer.name.clone() }),
    }
}

pub(crate) fn network(peer: &Peer, source: Error) -> CallError {
    CallError::Network { peer: peer.to_string(), source }
}
