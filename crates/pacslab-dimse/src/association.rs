//! An established association, from either side: messages in, messages out, and its end.
//! PS3.7 8 and 9, PS3.8 7 and 9.2.
//!
//! Nothing here is read into memory whole: a data set comes as [`Association::data_chunk`]s, each
//! a part of a PDU; what has to be whole is read by [`Association::read_data`] with a limit.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pacslab_model::{Clock, Emit, Uid};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::context::{Context, Contexts};
use crate::error::Error;
use crate::events::{Journal, Told, kinds};
use crate::fsm::{Action, Event, Role, State};
use crate::message::{self, Command, MAX_COMMAND, Request, Response};
use crate::pdu::{Abort, AssociateAc, AssociateRq, Pdu, Pdv, RoleSelection, UserIdentity};
use crate::status::StatusReply;
use crate::wire::{Incoming, Wire};

/// How long an association waits for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timeouts {
    /// For the transport connection.
    pub connect: Duration,
    /// ARTIM (PS3.8 9.1.5): for the A-ASSOCIATE-RQ or its answer, and for the peer to close.
    pub artim: Duration,
    /// For the response to a request of ours.
    pub response: Duration,
    /// For the next request, the rest of a PDU or a message, or a peer that takes no data.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(10), artim: seconds(30), response: seconds(120), idle: seconds(60) }
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

/// What follows a request: nothing, bytes in memory, or a stream.
pub enum Data<'a> {
    None,
    Bytes(&'a [u8]),
    Reader(&'a mut (dyn AsyncRead + Send + Unpin)),
}

impl std::fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Reader(_) => f.write_str("Reader"),
        }
    }
}

/// An established association.
#[derive(Debug)]
pub struct Association {
    wire: Wire,
    info: Arc<AssociationInfo>,
    contexts: Contexts,
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
    scratch: Vec<u8>,
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
        let contexts = Contexts::new(&rq.contexts, ac);
        let journal = Journal::begin(
            telling.emit,
            telling.clock,
            info.clone(),
            telling.begun,
            contexts.accepted().len(),
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

    /// The context for an abstract syntax, and for a transfer syntax if one is needed.
    pub fn context_for(
        &self,
        abstract_syntax: &str,
        transfer_syntax: Option<&str>,
    ) -> Result<Arc<Context>, Error> {
        self.contexts.find(abstract_syntax, transfer_syntax).cloned().map_err(|reason| {
            Error::ContextRefused { abstract_syntax: abstract_syntax.into(), reason }
        })
    }

    /// An id for the next request; never 0.
    pub fn next_message_id(&mut self) -> u16 {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        self.last_id
    }

    /// The next command set. What is left of the data set before it is skipped.
    /// `None`: the peer released the association.
    pub async fn next_command(&mut self) -> Result<Option<(Arc<Context>, Command)>, Error> {
        self.command("waiting for a request", self.timeouts.idle).await
    }

    /// The next part of the data set that follows the last command; `None` at its end.
    pub async fn data_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let during = "receiving a data set";
        loop {
            let Some(context) = self.open_data else { return Ok(None) };
            let Some(pdv) = self.next_fragment(during, self.timeouts.idle).await? else {
                return Err(self.protocol("an A-RELEASE-RQ", during).await);
            };
            if pdv.command {
                return Err(self.protocol("a command", during).await);
            }
            if pdv.context != context {
                let what = format!("data of presentation context {}", pdv.context);
                return Err(self.protocol(&what, during).await);
            }
            if pdv.last {
                self.open_data = None;
            }
            if !pdv.data.is_empty() {
                return Ok(Some(pdv.data));
            }
        }
    }

    /// The data set that follows the last command, if it is not longer than `limit`; if it is,
    /// the rest is skipped, and the outer result is still good for the association.
    pub async fn read_data(&mut self, limit: usize) -> Result<Result<Bytes, TooLong>, Error> {
        let Some(first) = self.data_chunk().await? else { return Ok(Ok(Bytes::new())) };
        if self.open_data.is_none() && first.len() <= limit {
            return Ok(Ok(first));
        }
        let mut all = first.to_vec();
        while all.len() <= limit {
            match self.data_chunk().await? {
                Some(chunk) => all.extend_from_slice(&chunk),
                None => return Ok(Ok(all.into())),
            }
        }
        self.skip_data().await?;
        Ok(Err(TooLong { limit }))
    }

    /// Reads the rest of a data set and forgets it.
    pub async fn skip_data(&mut self) -> Result<(), Error> {
        while self.data_chunk().await?.is_some() {}
        Ok(())
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

    /// Sends a request and its data set; in memory, both leave in one write.
    pub async fn send_request(
        &mut self,
        context: &Context,
        mut request: Request,
        data: Data<'_>,
    ) -> Result<(), Error> {
        self.may_send()?;
        request.has_data = !matches!(data, Data::None);
        self.queue_command(context.id, &Command::Request(request));
        let sent = match data {
            Data::None => self.wire.flush().await,
            Data::Bytes(bytes) => self.wire.flush_with(context.id, bytes, true, self.payload).await,
            Data::Reader(reader) => return self.send_stream(context.id, reader).await,
        };
        self.noted(sent)
    }

    /// The end of a stream is known one read late, so a part waits until the next is there.
    async fn send_stream(
        &mut self,
        context: u8,
        reader: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<(), Error> {
        let mut part = Vec::with_capacity(STREAM);
        let mut next = Vec::with_capacity(STREAM);
        loop {
            next.clear();
            let mut limited = (&mut *reader).take(STREAM as u64);
            if let Err(source) = limited.read_to_end(&mut next).await {
                // half a data set cannot be taken back
                self.abort_now(Abort::USER, "what was to be sent could not be read").await;
                return Err(Error::Source(source));
            }
            let last = next.is_empty();
            if !part.is_empty() || last {
                let sent = self.wire.flush_with(context, &part, last, self.payload).await;
                self.noted(sent)?;
            }
            if last {
                return Ok(());
            }
            std::mem::swap(&mut part, &mut next);
        }
    }

    /// Asks the peer to end the operation that a request of ours began.
    pub async fn send_cancel(&mut self, context: &Context, message_id: u16) -> Result<(), Error> {
        self.may_send()?;
        self.queue_command(context.id, &Command::Cancel { message_id });
        self.flush().await
    }

    /// The response to a request of ours.
    pub async fn response(
        &mut self,
        message_id: u16,
        during: &'static str,
    ) -> Result<Response, Error> {
        let deadline = Instant::now() + self.timeouts.response;
        loop {
            let command = self.command(during, self.timeouts.response).await?;
            // what comes late for a request that was let go of
            if let Some((_, Command::Response(late))) = &command
                && late.message_id != message_id
                && self.abandoned.contains(&late.message_id)
                && Instant::now() < deadline
            {
                if !late.reply.status.is_pending() {
                    self.abandoned.retain(|id| *id != late.message_id);
                }
                continue;
            }
            return self.expected(command, message_id, during).await;
        }
    }

    /// Forgets a request: its responses are skipped when they come.
    pub(crate) fn abandon(&mut self, message_id: u16) {
        self.abandoned.push(message_id);
    }

    async fn expected(
        &mut self,
        command: Option<(Arc<Context>, Command)>,
        message_id: u16,
        during: &'static str,
    ) -> Result<Response, Error> {
        match command {
            Some((_, Command::Response(response))) if response.message_id == message_id => {
                Ok(response)
            }
            Some((_, Command::Response(other))) => {
                let what =
                    format!("a response to message {} instead of {message_id}", other.message_id);
                Err(self.protocol(&what, during).await)
            }
            Some((_, Command::Request(request))) => {
                let what = format!("a {} request", request.operation.field());
                Err(self.protocol(&what, during).await)
            }
            Some((_, Command::Cancel { .. })) => Err(self.protocol("a C-CANCEL", during).await),
            None => Err(Error::Protocol { what: "an A-RELEASE-RQ".into(), during }),
        }
    }

    /// Runs `work` while watching for the C-CANCEL of `message_id` and for a peer that goes away.
    /// With `Ok(None)` the peer cancelled; `work` can be awaited again.
    pub async fn unless_cancelled<F: Future + Unpin>(
        &mut self,
        message_id: u16,
        work: &mut F,
    ) -> Result<Option<F::Output>, Error> {
        let mut watching = true;
        let seen = std::future::poll_fn(|cx| {
            if let Poll::Ready(output) = pin!(&mut *work).poll(cx) {
                return Poll::Ready(Seen::Done(output));
            }
            match self.watch(cx, message_id, &mut watching) {
                Some(Watched::Cancel) => Poll::Ready(Seen::Cancel),
                Some(Watched::End) => Poll::Ready(Seen::End),
                None => Poll::Pending,
            }
        })
        .await;
        match seen {
            Seen::Done(output) => Ok(Some(output)),
            Seen::Cancel => {
                let during = "receiving a C-CANCEL";
                self.next_fragment(during, self.timeouts.idle).await?;
                Ok(None)
            }
            Seen::End => self.ended().await.map(|never| match never {}),
        }
    }

    /// Whether the C-CANCEL of an operation has come already; reads without waiting.
    pub async fn cancelled(&mut self, message_id: u16) -> Result<bool, Error> {
        let watched =
            std::future::poll_fn(|cx| Poll::Ready(self.watch(cx, message_id, &mut true))).await;
        match watched {
            None => Ok(false),
            Some(Watched::Cancel) => {
                self.next_fragment("receiving a C-CANCEL", self.timeouts.idle).await?;
                Ok(true)
            }
            Some(Watched::End) => self.ended().await.map(|never| match never {}),
        }
    }

    /// Reads what is there and looks at what is next, without taking it. Once something that
    /// waits for its turn is next, there is nothing more to watch for.
    fn watch(
        &mut self,
        cx: &mut std::task::Context<'_>,
        message_id: u16,
        watching: &mut bool,
    ) -> Option<Watched> {
        while *watching {
            if self.cancel_is_next(message_id) {
                return Some(Watched::Cancel);
            }
            if self.wire.abort_is_next() {
                return Some(Watched::End);
            }
            if !self.fragments.is_empty() || self.wire.peek_data().is_some() {
                *watching = false;
                break;
            }
            match self.wire.poll_fill(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => *watching = self.wire.unread().len() <= MAX_COMMAND,
                Poll::Ready(_) => return Some(Watched::End),
            }
        }
        None
    }

    /// The error with which the association ended while an operation was under way.
    async fn ended(&mut self) -> Result<std::convert::Infallible, Error> {
        let during = "an operation was under way";
        match self.next_fragment(during, self.timeouts.idle).await {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Closed { during }),
        }
    }

    fn cancel_is_next(&self, message_id: u16) -> bool {
        let command = match self.fragments.front() {
            Some(pdv) if pdv.command && pdv.last => &pdv.data[..],
            Some(_) => return false,
            // the only fragment of a P-DATA-TF
            None => match self.wire.peek_data() {
                Some([a, b, c, d, _, 3, rest @ ..])
                    if u32::from_be_bytes([*a, *b, *c, *d]) as usize == rest.len() + 2 =>
                {
                    rest
                }
                _ => return false,
            },
        };
        message::decode(command) == Ok(Command::Cancel { message_id })
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
        Ok(())
    }

    /// Ends the association at once.
    pub async fn abort(mut self) {
        self.abort_now(Abort::USER, "we aborted the association").await;
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
        let Self { wire, timeouts, .. } = self;
        wire.close(timeouts.artim).await;
    }

    /// Tells of an operation that a service performed.
    pub fn tell(&mut self, told: Told<'_>) {
        self.journal.told(told);
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

    async fn command(
        &mut self,
        during: &'static str,
        limit: Duration,
    ) -> Result<Option<(Arc<Context>, Command)>, Error> {
        self.skip_data().await?;
        let mut gathered: Option<(u8, Vec<u8>)> = None;
        loop {
            let Some(pdv) = self.next_fragment(during, limit).await? else {
                return match gathered {
                    None => Ok(None),
                    Some(_) => Err(self.protocol("an A-RELEASE-RQ", "receiving a command").await),
                };
            };
            if !pdv.command {
                return Err(self.protocol("data without a command", during).await);
            }
            if gathered.as_ref().is_some_and(|(context, _)| *context != pdv.context) {
                let what = "a command in fragments of several presentation contexts";
                return Err(self.protocol(what, during).await);
            }
            let Some(context) = self.contexts.by_id(pdv.context).cloned() else {
                let what = format!(
                    "a command on presentation context {}, which was not agreed on",
                    pdv.context
                );
                return Err(self.protocol(&what, during).await);
            };
            let decoded = match (&mut gathered, pdv.last) {
                (None, true) => message::decode(&pdv.data),
                (None, false) => {
                    gathered = Some((pdv.context, pdv.data.to_vec()));
                    continue;
                }
                (Some((_, bytes)), last) => {
                    if bytes.len() + pdv.data.len() > MAX_COMMAND {
                        Err(message::CommandError::TooLong)
                    } else {
                        bytes.extend_from_slice(&pdv.data);
                        if !last {
                            continue;
                        }
                        message::decode(bytes)
                    }
                }
            };
            let command = match decoded {
                Ok(command) => command,
                Err(problem) => {
                    self.wire.abort(Abort::USER).await;
                    return self.noted(Err(Error::Command(problem)));
                }
            };
            let has_data = match &command {
                Command::Request(request) => request.has_data,
                Command::Response(response) => response.has_data,
                Command::Cancel { .. } => false,
            };
            self.open_data = has_data.then_some(context.id);
            return Ok(Some((context, command)));
        }
    }

    /// `None`: the peer released, and was answered.
    async fn next_fragment(
        &mut self,
        during: &'static str,
        limit: Duration,
    ) -> Result<Option<Pdv>, Error> {
        loop {
            if let Some(pdv) = self.fragments.pop_front() {
                return Ok(Some(pdv));
            }
            let received = self.wire.receive(during, limit).await;
            match self.noted(received)? {
                Incoming::Data(pdvs) => self.fragments.extend(pdvs),
                Incoming::Release => {
                    self.answer_release().await?;
                    self.journal.end(kinds::RELEASED, "the peer released the association");
                    return Ok(None);
                }
                _ => return Err(Error::Over),
            }
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

enum Seen<T> {
    Done(T),
    Cancel,
    End,
}

enum Watched {
    Cancel,
    End,
}

/// A data set was longer than its reader allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong {
    pub limit: usize,
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
