//! The DIMSE door of the department: who may come in, and which row of the table serves them.

use std::net::SocketAddr;
use std::sync::Arc;

use pacslab_archive::{Archive, Commitments, Peers};
use pacslab_dimse::message::Request;
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Requestor, negotiate,
    refuse,
};
use pacslab_model::{AeTitle, Clock, Emit};
use pacslab_ris::{Ris, Worklist};

use crate::gate::Gate;
use crate::services;

/// What the services work on.
pub struct Door {
    pub archive: Arc<Archive>,
    pub worklist: Arc<Worklist>,
    /// Who is told what scanners report.
    pub ris: Arc<Ris>,
    pub commitments: Arc<Commitments>,
    /// Our AE title; other called titles are accepted as well, unless the policy forbids it.
    pub aet: AeTitle,
    /// Who is known: C-MOVE goes to no others. Changes while the department runs.
    pub peers: Arc<Peers>,
    /// What who may do.
    pub gate: Gate,
    /// Who we are when we call a destination.
    pub requestor: Requestor,
    pub events: Arc<dyn Emit>,
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("aet", &self.aet)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

impl Acceptor for Door {
    fn decide(&self, request: &AssociateRq, from: SocketAddr) -> Decision {
        match self.admit(request, from) {
            Ok(()) => Decision::Accept(negotiate(request, &services::offer)),
            Err(turned) => Decision::Reject(turned.answer),
        }
    }
}

impl Handler for Door {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        match services::performer(&context, &request) {
            Some(service) => match self.objection(association, &request.operation) {
                None => (service.perform)(self, association, context, request),
                Some(no) => {
                    Box::pin(async move { self.say_no(association, context, request, &no).await })
                }
            },
            None => Box::pin(async move { refuse(association, &context, &request).await }),
        }
    }
}
