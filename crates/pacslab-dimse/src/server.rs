//! Listening: connections, associations, their limits, and the end of it all.
//!
//! A connection costs a task and a socket until its A-ASSOCIATE-RQ is there, so any number of
//! silent ones leaves the others alone; when there are too many, the oldest is shed. The limit of
//! associations is answered on the protocol's level, with an A-ASSOCIATE-RJ that says so.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pacslab_model::{Clock, Direction, Emit, Event as Happening, METRICS, Outcome, uids};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::association::{Association, AssociationInfo, Telling, Timeouts};
use crate::context::Context;
use crate::error::Error;
use crate::events::{Told, kinds, looks_like};
use crate::fsm::{Event, Role};
use crate::message::{Command, Field, Request};
use crate::negotiate::{Acceptance, Acceptor, Decision};
use crate::pdu::{AssociateAc, AssociateRj, AssociateRq, DEFAULT_MAX_PDU, Pdu, UserInformation};
use crate::secure::SecureAcceptor;
use crate::status::{Status, StatusReply};
use crate::window;
use crate::wire::{Incoming, Stream, Wire, hasten};

/// A boxed future: the seams between crates are not generic.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a door does with the requests of an association.
pub trait Handler: Send + Sync {
    /// Performs one request and answers it. The service functions in [`crate::service`] do that;
    /// a request that no service is for goes to [`refuse`]. An error ends the association.
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>>;
}

/// How a server behaves.
#[derive(Clone)]
pub struct ServerConfig {
    pub acceptor: Arc<dyn Acceptor>,
    pub limits: ServerLimits,
    pub timeouts: Timeouts,
    /// Longest P-DATA-TF that we take.
    pub max_pdu: u32,
    pub events: Arc<dyn Emit>,
    pub clock: Arc<dyn Clock>,
    /// What comes before the association: TLS.
    pub secure: Option<Arc<dyn SecureAcceptor>>,
}

impl ServerConfig {
    pub fn new(acceptor: Arc<dyn Acceptor>, events: Arc<dyn Emit>, clock: Arc<dyn Clock>) -> Self {
        Self {
            acceptor,
            limits: ServerLimits::default(),
            timeouts: Timeouts::default(),
            max_pdu: DEFAULT_MAX_PDU,
            events,
            clock,
            secure: None,
        }
    }
}

impl std::fmt::Debug for ServerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerConfig")
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .field("max_pdu", &self.max_pdu)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ServerLimits {
    /// Associations at a time; more are rejected for the moment (local limit exceeded).
    pub associations: usize,
    /// Connections that have sent no A-ASSOCIATE-RQ yet; of more, the oldest is closed.
    pub pending: usize,
    /// How long operations may go on after a shutdown was asked for.
    pub grace: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { associations: 200, pending: 2000, grace: Duration::from_secs(10) }
    }
}

/// Accepts associations until `shutdown` is ready, then lets what is in flight end within the
/// grace time. Returns when every connection is closed.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    handler: Arc<dyn Handler>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let (phase, phases) = watch::channel(Phase::Serving);
    let server = Arc::new(Server {
        config,
        handler,
        associations: AtomicUsize::new(0),
        pending: Mutex::default(),
        phases,
    });
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let mut number = 0u64;
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            // finished tasks are only collected here
            Some(_) = tasks.join_next(), if !tasks.is_empty() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                number += 1;
                let connection = server.clone().connection(stream, peer, number);
                server.enroll(number, || tasks.spawn(connection));
            }
            Err(error) => {
                // out of file descriptors, most likely: who says nothing has to make room
                server.tell_listener(format!("cannot accept connections: {error}"));
                server.shed();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = phase.send(Phase::Draining);
    let drained = tokio::time::timeout(server.config.limits.grace, join_all(&mut tasks)).await;
    if drained.is_err() {
        let _ = phase.send(Phase::Ending);
        // long enough for an A-ABORT
        let _ = tokio::time::timeout(Duration::from_secs(1), join_all(&mut tasks)).await;
    }
    tasks.shutdown().await;
}

async fn join_all(tasks: &mut JoinSet<()>) {
    while tasks.join_next().await.is_some() {}
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
enum Phase {
    Serving,
    /// Operations end, nothing new begins.
    Draining,
    /// Operations are cut.
    Ending,
}

struct Server {
    config: ServerConfig,
    handler: Arc<dyn Handler>,
    associations: AtomicUsize,
    /// Connections without an A-ASSOCIATE-RQ, oldest first.
    pending: Mutex<BTreeMap<u64, AbortHandle>>,
    phases: watch::Receiver<Phase>,
}

impl Server {
    /// Remembers a new connection, and sheds the oldest silent one if there are too many.
    fn enroll(&self, number: u64, spawn: impl FnOnce() -> AbortHandle) {
        let limit = self.config.limits.pending;
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // spawned under the lock, so that the task cannot strike itself off before it is on
        pending.insert(number, spawn());
        let too_many = pending.len() > limit;
        drop(pending);
        if too_many && self.shed() {
            self.tell_listener(format!(
                "more than {limit} connections without an A-ASSOCIATE-RQ: the oldest was closed"
            ));
        }
    }

    /// Closes the oldest connection that has said nothing yet, if there is one.
    fn shed(&self) -> bool {
        let oldest = self.pending.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        oldest.map(|(_, oldest)| oldest.abort()).is_some()
    }

    fn strike(&self, number: u64) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, number: u64) {
        let _ = hasten(&stream);
        if let Some(stream) = self.secured(stream, peer).await {
            self.clone().converse(stream, peer, number).await;
        }
        self.strike(number);
    }

    async fn secured(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Box<dyn Stream>> {
        let Some(secure) = &self.config.secure else { return Some(Box::new(tcp)) };
        let mut phases = self.phases.clone();
        tokio::select! {
            stream = secure.accept(tcp, peer) => stream,
            _ = phases.wait_for(|phase| *phase > Phase::Serving) => None,
        }
    }

    /// A connection from its first byte to its last.
    async fn converse(self: Arc<Self>, stream: Box<dyn Stream>, peer: SocketAddr, number: u64) {
        let begun = Instant::now();
        let artim = self.config.timeouts.artim;
        let mut wire =
            Wire::new(stream, Role::Acceptor, self.config.max_pdu, &self.config.timeouts);
        let mut phases = self.phases.clone();
        let requested = tokio::select! {
            requested = self.request(&mut wire) => requested,
            _ = phases.wait_for(|phase| *phase > Phase::Serving) => Err(Error::Shutdown),
        };
        self.strike(number);
        let rq = match requested {
            Ok(rq) => rq,
            Err(error) => {
                self.tell_no_association(&error, &wire, peer);
                return wire.close(artim.min(LINGER)).await;
            }
        };
        let seat = Seat::take(&self.associations, self.config.limits.associations);
        let decision = match (&seat, rq.application_context.as_str()) {
            (_, context) if context != uids::APPLICATION_CONTEXT => {
                Decision::Reject(AssociateRj::APPLICATION_CONTEXT)
            }
            (None, _) => Decision::Reject(AssociateRj::LOCAL_LIMIT),
            (Some(_), _) => self.config.acceptor.decide(&rq, peer),
        };
        match decision {
            Decision::Reject(rj) => {
                self.tell_rejected(&rq, rj, peer);
                if wire.step(Event::Reject).is_ok()
                    && wire.send(&Pdu::AssociateRj(rj)).await.is_ok()
                {
                    drop(seat);
                    wire.close(artim.min(LINGER)).await;
                }
            }
            Decision::Accept(acceptance) => {
                let ac = self.answer(&rq, acceptance);
                if wire.step(Event::Accept).is_err() {
                    return;
                }
                if let Err(error) = wire.send(&Pdu::AssociateAc(ac.clone())).await {
                    return self.tell_no_association(&error, &wire, peer);
                }
                let info = AssociationInfo::new(Role::Acceptor, &rq, &ac, peer);
                let emit = self.config.events.clone();
                let telling = Telling { emit, clock: self.config.clock.clone(), begun };
                let timeouts = self.config.timeouts;
                let association = Association::established(wire, info, &rq, &ac, timeouts, telling);
                self.associated(association, phases, seat).await;
            }
        }
    }

    async fn request(&self, wire: &mut Wire) -> Result<Box<AssociateRq>, Error> {
        wire.step(Event::TransportAccepted)?;
        let during = "waiting for the A-ASSOCIATE-RQ";
        match wire.receive(during, self.config.timeouts.artim).await? {
            Incoming::Request(rq) => Ok(rq),
            _ => Err(Error::Over),
        }
    }

    fn answer(&self, rq: &AssociateRq, acceptance: Acceptance) -> AssociateAc {
        let Acceptance { contexts, roles, extended, identity_answer } = acceptance;
        AssociateAc {
            protocol_version: 1,
            called: rq.called.clone(),
            calling: rq.calling.clone(),
            application_context: uids::APPLICATION_CONTEXT.into(),
            contexts,
            user: UserInformation {
                max_length: self.config.max_pdu,
                async_window: rq.user.async_window.map(window::answer),
                roles,
                extended,
                identity_answer,
                ..UserInformation::default()
            },
        }
    }

    /// Requests one after the other, until one of the two sides ends it.
    async fn associated(
        &self,
        mut association: Association,
        mut phases: watch::Receiver<Phase>,
        seat: Option<Seat<'_>>,
    ) {
        let ended = loop {
            let next = tokio::select! {
                biased;
                next = association.next_between_reports() => next,
                _ = phases.wait_for(|phase| *phase > Phase::Serving) => {
                    break Err(Error::Shutdown);
                }
            };
            let work = match next {
                Ok(None) => break Ok(()),
                Ok(Some((context, Command::Request(request)))) => {
                    // only stores overlap: whoever asks sees what was sent before
                    if request.operation.field() != Field::Store
                        && let Err(error) = association.settle(0).await
                    {
                        break Err(error);
                    }
                    self.handler.handle(&mut association, context, request)
                }
                // a C-CANCEL that came too late
                Ok(Some((_, Command::Cancel { .. }))) => continue,
                Ok(Some((_, Command::Response(_)))) => continue,
                Err(error) => break Err(error),
            };
            let done = tokio::select! {
                biased;
                done = work => done,
                _ = phases.wait_for(|phase| *phase == Phase::Ending) => Err(Error::Shutdown),
            };
            if let Err(error) = done {
                break Err(error);
            }
        };
        drop(seat);
        match ended {
            Err(error) if !association.is_over() => {
                association.abort_for(&format!("we aborted the association: {error}")).await;
            }
            _ => association.close().await,
        }
    }

    fn event(&self, kind: &'static str, message: String) -> Happening {
        Happening::new(self.config.clock.now(), kind, message).outcome(Outcome::Warning)
    }

    fn tell_listener(&self, message: String) {
        self.config.events.emit(self.event(kinds::LISTENER, message));
    }

    fn tell_rejected(&self, rq: &AssociateRq, rj: AssociateRj, peer: SocketAddr) {
        METRICS.associations_rejected.add(1);
        let message =
            format!("the association of {} to {} was rejected {rj}", rq.calling, rq.called);
        let event = self
            .event(kinds::REJECTED, message)
            .peer(format!("{}@{peer}", rq.calling), Direction::In)
            .field("calling", &rq.calling)
            .field("called", &rq.called);
        self.config.events.emit(event);
    }

    fn tell_no_association(&self, error: &Error, wire: &Wire, peer: SocketAddr) {
        let mut message = error.to_string();
        if matches!(error, Error::Closed { .. }) && wire.unread().is_empty() {
            // health checks and port scans connect and say nothing: no reason to worry
            message = "connected and closed without a word".into();
        }
        let mut event = self.event(kinds::NO_ASSOCIATION, message);
        if matches!(error, Error::Pdu { .. }) {
            let looks = looks_like(wire.unread());
            event.message += &format!("; it looks like {looks}");
            event = event.field(
                "first_bytes",
                wire.unread().get(..64).unwrap_or(wire.unread()).escape_ascii(),
            );
        }
        self.config.events.emit(event.peer(peer.to_string(), Direction::In));
    }
}

/// How long a connection that we ended may stay open.
const LINGER: Duration = Duration::from_secs(2);

/// One of the associations that may be open at a time.
struct Seat<'a>(&'a AtomicUsize);

impl<'a> Seat<'a> {
    fn take(count: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let seat = Self(count);
        // over the limit, dropping the seat gives it back
        (count.fetch_add(1, Ordering::AcqRel) < limit).then_some(seat)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Answers a request that no service of this context is for.
pub async fn refuse(
    association: &mut Association,
    context: &Context,
    request: &Request,
) -> Result<(), Error> {
    let field = request.operation.field();
    let same = request.operation.sop_class() == &context.abstract_syntax;
    let reply = match same {
        true => StatusReply::new(Status::UNRECOGNIZED_OPERATION, format!("no {field} here")),
        false => StatusReply::of(Status::SOP_CLASS_NOT_SUPPORTED),
    };
    answer_only(association, context, request, &reply).await
}

/// Answers a request without performing it.
pub async fn answer_only(
    association: &mut Association,
    context: &Context,
    request: &Request,
    reply: &StatusReply,
) -> Result<(), Error> {
    let begun = Instant::now();
    association.skip_data().await?;
    association.respond(context, request.response(reply.clone())).await?;
    let summary = format!("of {}", crate::error::named(request.operation.sop_class()));
    association.tell(Told::new(request.operation.field(), summary, reply, begun.elapsed()));
    Ok(())
}
