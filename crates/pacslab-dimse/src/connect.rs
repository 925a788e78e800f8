//! The requestor's half of association establishment. PS3.8 7.1, 9.2.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pacslab_model::event::Silent;
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Clock, Direction, Emit, Event as Happening, Moment, Outcome, uids};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::association::{Association, AssociationInfo, Telling, Timeouts};
use crate::context::Proposal;
use crate::error::Error;
use crate::events::{answers_like, kinds};
use crate::fsm::{Event, Role};
use crate::pdu::{AssociateRq, DEFAULT_MAX_PDU, Pdu, UserInformation};
use crate::secure::SecureConnector;
use crate::wire::{Incoming, Stream, Wire, hasten};

/// Who we are when we call: shared by all associations of an application entity.
#[derive(Clone)]
pub struct Requestor {
    pub aet: AeTitle,
    /// Longest P-DATA-TF that we take.
    pub max_pdu: u32,
    pub timeouts: Timeouts,
    pub events: Arc<dyn Emit>,
    pub clock: Arc<dyn Clock>,
    /// How peers are called that want TLS.
    pub secure: Option<Arc<dyn SecureConnector>>,
}

impl Requestor {
    pub fn new(aet: AeTitle, events: Arc<dyn Emit>, clock: Arc<dyn Clock>) -> Self {
        let (max_pdu, timeouts) = (DEFAULT_MAX_PDU, Timeouts::default());
        Self { aet, max_pdu, timeouts, events, clock, secure: None }
    }

    /// Tells nobody: for tests and scratch programs.
    pub fn silent(aet: AeTitle) -> Self {
        Self::new(aet, Arc::new(Silent), Arc::new(FixedClock(Moment::new(0, 0))))
    }
}

impl std::fmt::Debug for Requestor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requestor").field("aet", &self.aet).finish_non_exhaustive()
    }
}

/// Whom we call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remote {
    pub aet: AeTitle,
    pub host: String,
    pub port: u16,
    /// Whether it is called with TLS.
    pub tls: bool,
}

impl std::fmt::Display for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}:{}", self.aet, self.host, self.port)
    }
}

impl Association {
    /// Opens an association. This is the only place where a name is resolved.
    pub async fn connect(
        us: &Requestor,
        remote: &Remote,
        proposal: impl Into<Proposal>,
    ) -> Result<Self, Error> {
        let failed =
            |source| Error::Connect { host: remote.host.clone(), port: remote.port, source };
        let untold = |error| {
            us.tell(kinds::NO_ASSOCIATION, &error, remote.to_string());
            error
        };
        let connecting = TcpStream::connect((remote.host.as_str(), remote.port));
        let result = match timeout(us.timeouts.connect, connecting).await {
            Ok(Ok(stream)) => hasten(&stream).and_then(|()| Ok((stream.peer_addr()?, stream))),
            Ok(Err(source)) => Err(source),
            Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
        };
        match result {
            Ok((peer, stream)) => {
                let stream = secured(us, remote, stream).await.map_err(untold)?;
                Self::request(stream, peer, us, &remote.aet, proposal).await
            }
            Err(source) => Err(untold(failed(source))),
        }
    }

    /// Opens an association over a transport that stands already.
    pub async fn request(
        stream: Box<dyn Stream>,
        peer: SocketAddr,
        us: &Requestor,
        called: &AeTitle,
        proposal: impl Into<Proposal>,
    ) -> Result<Self, Error> {
        let begun = Instant::now();
        let proposal = proposal.into();
        let rq = AssociateRq {
            protocol_version: 1,
            called: called.to_string(),
            calling: us.aet.to_string(),
            application_context: uids::APPLICATION_CONTEXT.into(),
            contexts: proposal.contexts,
            user: UserInformation {
                max_length: us.max_pdu,
                roles: proposal.roles,
                extended: proposal.extended,
                identity: proposal.identity,
                async_window: proposal.window,
                ..UserInformation::default()
            },
        };
        let mut wire = Wire::new(stream, Role::Requestor, us.max_pdu, &us.timeouts);
        match establish(&mut wire, &rq, us, peer).await {
            Ok(ac) => {
                let info = AssociationInfo::new(Role::Requestor, &rq, &ac, peer);
                let telling = Telling { emit: us.events.clone(), clock: us.clock.clone(), begun };
                Ok(Self::established(wire, info, &rq, &ac, us.timeouts, telling))
            }
            Err(error) => {
                let rejected = matches!(error, Error::Rejected { .. });
                let kind = if rejected { kinds::REJECTED } else { kinds::NO_ASSOCIATION };
                us.tell(kind, &error, format!("{called}@{peer}"));
                Err(error)
            }
        }
    }
}

/// TLS over the connection, if the peer is called so.
async fn secured(
    us: &Requestor,
    remote: &Remote,
    tcp: TcpStream,
) -> Result<Box<dyn Stream>, Error> {
    if !remote.tls {
        return Ok(Box::new(tcp));
    }
    let limit = us.timeouts.connect;
    let stream = match &us.secure {
        Some(secure) => timeout(limit, secure.connect(tcp, &remote.host)).await,
        None => Ok(Err("we know no certificates".to_owned())),
    };
    let waited = |_| format!("the handshake took longer than {} s", limit.as_secs_f32());
    let Remote { host, port, .. } = remote.clone();
    stream.map_err(waited).flatten().map_err(|why| Error::Tls { host, port, why })
}

async fn establish(
    wire: &mut Wire,
    rq: &AssociateRq,
    us: &Requestor,
    peer: SocketAddr,
) -> Result<crate::pdu::AssociateAc, Error> {
    wire.step(Event::AssociateRequest)?;
    wire.step(Event::TransportOpened)?;
    wire.send(&Pdu::AssociateRq(rq.clone())).await?;
    let during = "waiting for the answer to the A-ASSOCIATE-RQ";
    let answer = wire.receive(during, us.timeouts.artim).await;
    if matches!(answer, Err(Error::Pdu { .. }))
        && let Some(speaks) = answers_like(wire.unread())
    {
        return Err(Error::NotDicom { peer: peer.to_string(), speaks });
    }
    match answer? {
        Incoming::Accepted(ac) => Ok(*ac),
        Incoming::Rejected(answer) => Err(Error::Rejected {
            peer: peer.to_string(),
            called: rq.called.clone(),
            calling: rq.calling.clone(),
            answer,
        }),
        _ => Err(Error::Over),
    }
}

impl Requestor {
    fn tell(&self, kind: &'static str, error: &Error, peer: String) {
        let event = Happening::new(self.clock.now(), kind, error.to_string())
            .outcome(Outcome::Failed)
            .peer(peer, Direction::Out);
        self.events.emit(event);
    }
}
