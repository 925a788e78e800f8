//! An established association, from either side: messages in, messages out, and its end.
//! PS3.7 8 and 9, PS3.8 7 and 9.2.
//!
//! Nothing here is read into memory whole: a data set comes as [`Association::data_chunk`]s, each
//! a part of a PDU; what has to be whole is read by [`Association::read_data`] with a limit.

mod cancel;
mod deferred;
mod receive;
mod reports;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_model::{Clock, Emit, Identifiers, Uid};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::context::{Context, Contexts};
use crate::error::Error;
use crate::events::{Journal, Told, kinds};
use crate::fsm::{Action, Event, Role, State};
use crate::message::{self, Command, Request, Response};
use crate::pace::Slowest;
use crate::pdu::{Abort, AssociateAc, AssociateRq, Pdu, Pdv, RoleSelection, UserIdentity};
use crate::source::{Piece, Source};
use crate::status::StatusReply;
use crate::window::Window;
use crate::wire::{Incoming, Wire};

pub(crate) use deferred::Deferred;
pub(crate) use receive::Heard;
pub use receive::TooLong;
pub use reports::{EventReport, Reporter};

/// How long an association waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For the transport connection.
    pub connect: Duration,
    /// ARTIM (PS3.8 9.1.5): for the A-ASSOCIATE-RQ or its answer, and for the peer to close.
    pub artim: Duration,
    /// For the response to a request of ours.
    pub response: Duration,
    /// For the next request, the rest of a message, or a peer that takes no data.
    pub idle: Duration,
    /// Within a message.
    pub slowest: Slowest,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            artim: seconds(30),
            response: seconds(120),
            idle: seconds(60),
            slowest: Slowest::default(),
        }
    }
}

/// Who is at the two ends, and what was agreed on beside the contexts.
#[derive(Clone, Debug)]
pub struct AssociationInfo {
    /// Ours.
    pub role: Role,
    pub calling: String,
    pub called: String,
    pub peer: SocketAddr,
    pub implementation_class: Uid,
    pub implementation_version: String,
    /// As the peer announced it; 0: unlimited.
    pub peer_max_pdu: u32,
    /// The roles that were agreed on.
    pub roles: Vec<RoleSelection>,
    /// Who the requestor says it is (user name; of other kinds the kind only).
    pub user: Option<String>,
    /// How many operations may be under way at a time.
    pub window: Window,
}

impl AssociationInfo {
    /// The title of the other end.
    pub fn peer_title(&self) -> &str {
        match self.role {
            Role::Acceptor => &self.calling,
            Role::Requestor => &self.called,
        }
    }

    /// `PYMOD1@127.0.0.1:50112`
    pub fn peer_name(&self) -> String {
        format!("{}@{}", self.peer_title(), self.peer)
    }

    pub(crate) fn new(role: Role, rq: &AssociateRq, ac: &AssociateAc, peer: SocketAddr) -> Self {
        let theirs = if role == Role::Acceptor { &rq.user } else { &ac.user };
        Self {
            role,
            calling: rq.calling.clone(),
            called: rq.called.clone(),
            peer,
            implementation_class: theirs.implementation_class.clone(),
            implementation_version: theirs.implementation_version.clone(),
            peer_max_pdu: theirs.max_length,
            roles: ac.user.roles.clone(),
            user: rq.user.identity.as_ref().map(who),
            window: Window::agreed(role, rq, ac),
        }
    }
}

fn who(identity: &UserIdentity) -> String {
    match identity.kind {
        1 | 2 => {
            let name = String::from_utf8_lossy(&identity.primary);
            name.chars().filter(|c| !c.is_control()).take(64).collect()
        }
        3 => "a Kerberos ticket".into(),
        4 => "a SAML assertion".into(),
        5 => "a JSON web token".into(),
        kind => format!("an identity of kind {kind}"),
    }
}

/// What follows a request: nothing, bytes in memory, or a stream. A source knows its last piece.
pub enum Data<'a> {
    None,
    Bytes(&'a [u8]),
    Reader(&'a mut (dyn AsyncRead + Send + Unpin)),
    Source(&'a mut dyn Source),
}

impl std::fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Reader(_) => f.write_str("Reader"),
            Self::Source(_) => f.write_str("Source"),
        }
    }
}

/// An established association.
#[derive(Debug)]
pub struct Association {
    wire: Wire,
    info: Arc<AssociationInfo>,
    contexts: Arc<Contexts>,
    timeouts: Timeouts,
    journal: Journal,
    /// Bytes of a message in one P-DATA-TF to the peer.
    payload: usize,
    /// What came in the last P-DATA-TF and has not been looked at.
    fragments: VecDeque<Pdv>,
    /// The context on which a data set is under way to us.
    open_data: Option<u8>,
    last_id: u16,
    /// Requests of ours whose responses nobody waits for any more.
    abandoned: Vec<u16>,
    /// C-STORE requests of ours that are not answered yet.
    pub(crate) outstanding: Vec<Outstanding>,
    /// Requests of the peer's that are answered when they are done.
    deferred: Vec<Deferred>,
    /// What we tell the peer between its requests.
    reports: reports::Reports,
    scratch: Vec<u8>,
}

/// A C-STORE of ours on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outstanding {
    pub(crate) message_id: u16,
    pub(crate) bytes: u64,
    pub(crate) begun: Instant,
}

/// What an association needs from outside to tell what happens.
pub(crate) struct Telling {
    pub(crate) emit: Arc<dyn Emit>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) begun: Instant,
}

impl Association {
    /// Both PDUs have been exchanged.
    pub(crate) fn established(
        wire: Wire,
        info: AssociationInfo,
        rq: &AssociateRq,
        ac: &AssociateAc,
        timeouts: Timeouts,
        telling: Telling,
    ) -> Self {
        let info = Arc::new(info);
        let contexts = Arc::new(Contexts::new(info.role, &rq.contexts, ac));
        let journal = Journal::begin(
            telling.emit,
            telling.clock,
            info.clone(),
            telling.begun,
            &contexts,
            rq.contexts.len(),
        );
        Self {
            wire,
            payload: payload(info.peer_max_pdu),
            info,
            contexts,
            timeouts,
            journal,
            fragments: VecDeque::new(),
            open_data: None,
            last_id: 0,
            abandoned: Vec::new(),
            outstanding: Vec::new(),
            deferred: Vec::new(),
            reports: reports::Reports::default(),
            scratch: Vec::new(),
        }
    }

    pub fn info(&self) -> &Arc<AssociationInfo> {
        &self.info
    }

    pub fn timeouts(&self) -> &Timeouts {
        &self.timeouts
    }

    /// The accepted presentation contexts.
    pub fn contexts(&self) -> &[Arc<Context>] {
        self.contexts.accepted()
    }

    /// The contexts and roles as a value of their own, for those who choose what to send.
    pub fn agreed(&self) -> &Arc<Contexts> {
        &self.contexts
    }

    /// The context for a request of ours: [`Contexts::request`].
    pub fn context_for(
        &self,
        abstract_syntax: &str,
        transfer_syntax: Option<&str>,
    ) -> Result<Arc<Context>, Error> {
        self.contexts.request(abstract_syntax, transfer_syntax).cloned()
    }

    /// Requests of ours that may be under way at a time.
    pub fn window(&self) -> usize {
        self.info.window.ours
    }

    /// An id for the next request; never 0, nor that of one that is under way.
    pub fn next_message_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.outstanding.iter().all(|one| one.message_id != self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Sends a response without data set, in one write.
    pub async fn respond(&mut self, context: &Context, response: Response) -> Result<(), Error> {
        self.queue_response(context, response, None);
        self.flush().await
    }

    /// Puts a response into the buffer; [`Self::flush`] sends all that is in it with one write.
    pub fn queue_response(
        &mut self,
        context: &Context,
        mut response: Response,
        data: Option<&[u8]>,
    ) {
        response.has_data = data.is_some();
        self.queue_command(context.id, &Command::Response(response));
        if let Some(data) = data {
            self.wire.queue(context.id, false, data, self.payload);
        }
    }

    /// Bytes that wait for a flush.
    pub fn queued(&self) -> usize {
        self.wire.queued()
    }

    pub async fn flush(&mut self) -> Result<(), Error> {
        self.may_send()?;
        let sent = self.wire.flush().await;
        self.noted(sent)
    }

    /// Sends a request and its data set, whose length it gives; in memory, both leave in one write.
    pub async fn send_request(
        &mut self,
        context: &Context,
        mut request: Request,
        data: Data<'_>,
    ) -> Result<u64, Error> {
        self.may_send()?;
        request.has_data = !matches!(data, Data::None);
        self.queue_command(context.id, &Command::Request(request));
        let sent = match data {
            Data::None => self.wire.flush().await.map(|()| 0),
            Data::Bytes(bytes) => {
                let sent = self.wire.flush_with(context.id, bytes, true, self.payload).await;
                sent.map(|()| bytes.len() as u64)
            }
            Data::Reader(reader) => return self.send_stream(context.id, reader).await,
            Data::Source(source) => return self.send_pieces(context.id, source).await,
        };
        self.noted(sent)
    }

    /// The end of a stream is known one read late, so a part waits until the next is there.
    async fn send_stream(
        &mut self,
        context: u8,
        reader: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<u64, Error> {
        let mut total = 0;
        let mut part = Vec::with_capacity(STREAM);
        let mut next = Vec::with_capacity(STREAM);
        loop {
            next.clear();
            let mut limited = (&mut *reader).take(STREAM as u64);
            if let Err(source) = limited.read_to_end(&mut next).await {
                return Err(self.source_failed(source).await);
            }
            let last = next.is_empty();
            if !part.is_empty() || last {
                let sent = self.wire.flush_with(context, &part, last, self.payload).await;
                self.noted(sent)?;
            }
            if last {
                return Ok(total);
            }
            total += next.len() as u64;
            std::mem::swap(&mut part, &mut next);
        }
    }

    async fn send_pieces(&mut self, context: u8, source: &mut dyn Source) -> Result<u64, Error> {
        let mut total = 0;
        loop {
            let Piece { bytes, last } = match source.next().await {
                Ok(piece) => piece,
                Err(source) => return Err(self.source_failed(source).await),
            };
            if bytes.is_empty() && !last {
                continue;
            }
            total += bytes.len() as u64;
            let sent = self.wire.flush_with(context, &bytes, last, self.payload).await;
            self.noted(sent)?;
            if last {
                return Ok(total);
            }
        }
    }

    /// Half a data set cannot be taken back.
    async fn source_failed(&mut self, source: std::io::Error) -> Error {
        let error = Error::Source(source);
        self.abort_now(Abort::USER, &error.to_string()).await;
        error
    }

    /// Asks the peer to end the operation that a request of ours began.
    pub async fn send_cancel(&mut self, context: &Context, message_id: u16) -> Result<(), Error> {
        self.may_send()?;
        self.queue_command(context.id, &Command::Cancel { message_id });
        self.flush().await
    }

    /// Ends the association in good order.
    pub async fn release(mut self) -> Result<(), Error> {
        let during = "waiting for the A-RELEASE-RP";
        let Ok(Action::AR1) = self.wire.step(Event::ReleaseRequest) else {
            return Err(Error::Over);
        };
        let sent = self.wire.send(&Pdu::ReleaseRq).await;
        self.noted(sent)?;
        loop {
            let received = self.wire.receive(during, self.timeouts.response).await;
            match self.noted(received)? {
                Incoming::Released if self.wire.state() == State::Sta1 => break,
                // both sides released at once: AR-9 or AR-4
                Incoming::Release if self.wire.state() == State::Sta9 => {
                    self.answer_release().await?
                }
                Incoming::Released => {
                    self.answer_release().await?;
                    break;
                }
                _ => {}
            }
        }
        self.journal.end(kinds::RELEASED, "we released the association");
        self.wire.leave().await;
        Ok(())
    }

    /// Ends the association at once.
    pub async fn abort(mut self) {
        self.abort_now(Abort::USER, "we aborted the association").await;
        // what the peer still sends is read, or a reset would overtake the A-ABORT
        self.wire.close(self.timeouts.artim.min(Duration::from_secs(1))).await;
    }

    /// While we send, the C-CANCEL of `message_id` is heard: see [`Wire::heed_cancel`].
    pub(crate) fn heed_cancel(&mut self, message_id: Option<u16>) {
        self.wire.heed_cancel(message_id.map(|id| (id, self.timeouts.artim)));
    }

    /// Ends it for a reason that the event tells.
    pub(crate) async fn abort_for(mut self, why: &str) {
        self.abort_now(Abort::USER, why).await;
        self.close().await;
    }

    async fn abort_now(&mut self, abort: Abort, why: &str) {
        self.wire.abort(abort).await;
        self.journal.end(kinds::ABORTED, why);
    }

    /// Waits for the peer to close after a release or an abort, as long as ARTIM runs.
    pub(crate) async fn close(self) {
        let Self { wire, timeouts, reports, .. } = self;
        // who wants to tell something finds another way at once
        drop(reports);
        wire.close(timeouts.artim).await;
    }

    /// Tells of an operation that a service performed.
    pub fn tell(&mut self, told: Told<'_>) {
        self.journal.told(told);
    }

    /// The study of the object that was received last, by whoever looked into it: the event of
    /// C-STORE then tells each study by itself.
    pub fn stored_in(&mut self, ids: Identifiers) {
        self.journal.stored_in(ids);
    }

    /// Counts a C-STORE.
    pub fn tell_stored(&mut self, bytes: u64, begun: Instant, reply: &StatusReply) {
        self.journal.stored(bytes, begun, reply);
    }

    /// Whether it is over, for whatever reason.
    pub fn is_over(&self) -> bool {
        self.journal.ended()
    }

    fn queue_command(&mut self, context: u8, command: &Command) {
        self.scratch.clear();
        message::encode(command, &mut self.scratch);
        self.wire.queue(context, true, &self.scratch, self.payload);
    }

    fn may_send(&mut self) -> Result<(), Error> {
        match self.wire.step(Event::DataRequest)? {
            Action::DT1 | Action::AR7 => Ok(()),
            _ => Err(Error::Over),
        }
    }

    async fn answer_release(&mut self) -> Result<(), Error> {
        self.wire.step(Event::ReleaseResponse)?;
        let sent = self.wire.send(&Pdu::ReleaseRp).await;
        self.noted(sent)
    }

    /// The peer broke the rules of DIMSE, not of the upper layer: our user aborts.
    async fn protocol(&mut self, what: &str, during: &'static str) -> Error {
        self.wire.abort(Abort::USER).await;
        let error = Error::Protocol { what: what.to_owned(), during };
        self.journal.end(kinds::ABORTED, &error.to_string());
        error
    }

    /// An error of the wire is the end of the association.
    fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.journal.end(kinds::ABORTED, &error.to_string());
        }
        result
    }
}

/// What is read at once from a stream that is sent.
const STREAM: usize = 256 * 1024;

/// Bytes of a message in one P-DATA-TF. A peer without a limit gets 256 KiB; one whose limit has
/// room for nothing gets the two bytes that fragments, which are even, have at least.
fn payload(peer_max_pdu: u32) -> usize {
    match peer_max_pdu {
        0 => 256 * 1024,
        max => (max.saturating_sub(6).clamp(2, 4 << 20) & !1) as usize,
    }
}
