//! An association's end of the transport: buffers, the state machine, one PDU after the other.
//!
//! Nagle's algorithm together with delayed acknowledgements costs 40 ms per DIMSE message, so a
//! message leaves in one write, and what comes is acknowledged at once, which cures peers that
//! write a message in two parts: on Linux every read is preceded by a request for that, on
//! Windows it is said once. Other systems have no such request.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::association::Timeouts;
use crate::error::Error;
use crate::fsm::{self, Action, Event, Role, State};
use crate::message::{self, Command, MAX_COMMAND};
use crate::pace::Pace;
use crate::pdu::{
    self, Abort, AssociateAc, AssociateRj, AssociateRq, HEADER, Header, Limits, Pdu, PduError, Pdv,
};
use crate::spin::Spin;

/// What an association runs over: TCP, or TLS over it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// Called before every read.
    fn before_read(&self) {}

    /// The connection itself, where nothing stands between: what comes can be looked for past the
    /// runtime, which knows only what it was told when it asked last.
    fn bare(&self) -> Option<&TcpStream> {
        None
    }
}

impl Stream for TcpStream {
    /// The kernel falls back to delayed acknowledgements by itself, hence each time anew.
    #[cfg(target_os = "linux")]
    fn before_read(&self) {
        // an error costs speed, nothing else
        let _ = socket2::SockRef::from(self).set_tcp_quickack(true);
    }

    fn bare(&self) -> Option<&TcpStream> {
        Some(self)
    }
}

/// To be called once for each connection.
///
/// # Errors
/// What it sends may have to wait.
pub(crate) fn hasten(stream: &TcpStream) -> io::Result<()> {
    // each segment, not every second one; an error costs speed, nothing else
    #[cfg(windows)]
    let _ = socket2::SockRef::from(stream).set_tcp_ack_frequency(1);
    stream.set_nodelay(true)
}

impl Stream for tokio::io::DuplexStream {}

/// A PDU that the state machine let through.
#[derive(Debug)]
pub(crate) enum Incoming {
    Request(Box<AssociateRq>),
    Accepted(Box<AssociateAc>),
    Rejected(AssociateRj),
    Data(Vec<Pdv>),
    Release,
    Released,
}

pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    /// What is read at once.
    room: usize,
    output: Vec<u8>,
    state: State,
    role: Role,
    limits: Limits,
    /// How long the peer may take to accept what we write.
    patience: Duration,
    /// Whether a message of the peer's has begun and not ended.
    in_message: bool,
    /// How fast the peer sends, and how fast it takes what we send.
    incoming: Pace,
    outgoing: Pace,
    /// While we write, the C-CANCEL of this message, after which the peer has only so long.
    heeded: Option<(u16, Duration)>,
    /// A write was begun and not ended: nothing can follow it.
    cut: bool,
    /// We sent an A-ABORT or A-ASSOCIATE-RJ.
    hang_up: bool,
    spin: Spin,
}

/// What is read at once, and the room that a small message needs.
const READ: usize = 64 * 1024;
/// The same as long as no more has come at once: enough for who opens an association to verify it.
const FIRST: usize = 8 * 1024;
/// The most that is read past the runtime: an answer, or a small object.
const AT_ONCE: usize = 16 * 1024;
/// Below this, copying is cheaper than a vectored write.
const COPY: usize = 32 * 1024;
/// Fragments in one vectored write.
const BATCH: usize = 64;

impl Wire {
    pub(crate) fn new(
        stream: Box<dyn Stream>,
        role: Role,
        max_pdu: u32,
        timeouts: &Timeouts,
    ) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            room: FIRST,
            output: Vec::new(),
            state: State::Sta1,
            role,
            limits: Limits::new(max_pdu),
            patience: timeouts.idle,
            in_message: false,
            incoming: Pace::new(timeouts.slowest),
            outgoing: Pace::new(timeouts.slowest),
            heeded: None,
            cut: false,
            hang_up: false,
            spin: Spin::new(),
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// Moves the state machine by an event of this side.
    pub(crate) fn step(&mut self, event: Event) -> Result<Action, Error> {
        let (state, action) = fsm::step(self.state, event).map_err(|_| Error::Over)?;
        self.state = state;
        Ok(action)
    }

    /// What has been read and not been used: to say what garbage looks like.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input
    }

    /// A message of several PDUs has begun: what the peer sends is timed.
    pub(crate) fn message_begins(&mut self) {
        self.in_message = true;
    }

    /// The peer is between messages, and may be silent.
    pub(crate) fn message_ends(&mut self) {
        self.in_message = false;
        self.incoming.reset();
    }

    /// Whether nothing is left of a message of the peer's.
    pub(crate) fn is_between_messages(&self) -> bool {
        !self.in_message && self.input.is_empty()
    }

    /// While we write, the C-CANCEL of `message_id` is heard: a peer that takes nothing has only
    /// `grace` from then on.
    pub(crate) fn heed_cancel(&mut self, heeded: Option<(u16, Duration)>) {
        self.heeded = heeded;
    }

    /// The next PDU. Within `limit` something has to come; before an association stands, all of it.
    pub(crate) async fn receive(
        &mut self,
        during: &'static str,
        limit: Duration,
    ) -> Result<Incoming, Error> {
        let mut deadline = None;
        loop {
            match self.take_pdu() {
                Ok(Some(pdu)) => {
                    if let Some(incoming) = self.on_pdu(pdu, during).await? {
                        return Ok(incoming);
                    }
                    continue;
                }
                Ok(None) => {}
                Err(problem) => return Err(self.refuse(problem, during).await),
            }
            let now = Instant::now();
            let silent = *deadline.get_or_insert_with(|| now + limit);
            // ARTIM is for the whole of a PDU, and there is no message yet
            let timed = self.state == State::Sta6;
            let within = timed && (self.in_message || !self.input.is_empty());
            let slow = if within { self.incoming.waits(now) } else { None };
            let until = slow.map_or(silent, |slow| slow.min(silent));
            let filled = match self.fill_now() {
                Some(count) => {
                    // who never sleeps still lets others have their turn
                    tokio::task::coop::consume_budget().await;
                    Ok(Ok(count))
                }
                None => timeout_at(until, poll_fn(|cx| self.poll_fill(cx))).await,
            };
            if within {
                let count = filled.as_ref().map_or(0, |filled| *filled.as_ref().unwrap_or(&0));
                if let Err(how) = self.incoming.moved(count, Instant::now()) {
                    self.abort(Abort::USER).await;
                    return Err(Error::TooSlow { during, how });
                }
            }
            match filled {
                Err(_) if Instant::now() < silent => {}
                Err(_) => {
                    // Sta2 and Sta13 wait with ARTIM: no A-ABORT, the transport just closes
                    if self.step(Event::ArtimExpired).is_err() {
                        self.abort(Abort::USER).await;
                    }
                    return Err(Error::Timeout { during, after: limit });
                }
                Ok(Ok(0)) => {
                    let _ = self.step(Event::TransportClosed);
                    return Err(Error::Closed { during });
                }
                Ok(Ok(_)) if timed => deadline = None,
                Ok(Ok(_)) => {}
                Ok(Err(source)) => {
                    let _ = self.step(Event::TransportClosed);
                    return Err(Error::Io { during, source });
                }
            }
        }
    }

    /// Reads what comes within a moment, if that is worth a try. Ends and errors are left to the
    /// runtime's read, which meets them too.
    fn fill_now(&mut self) -> Option<usize> {
        let socket = socket2::SockRef::from(self.stream.bare()?);
        let held = self.input.len();
        self.input.resize(held + AT_ONCE, 0);
        let into = &mut self.input[held..];
        let look = || (&*socket).read(into).ok().filter(|count| *count > 0);
        let count = self.spin.look(look);
        self.input.truncate(held + count.unwrap_or(0));
        count
    }

    /// Reads what is there, with room for at least the PDU that has begun.
    pub(crate) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let begun = match Header::decode(&self.input, &self.limits) {
            Ok(Some(header)) => (HEADER + header.length as usize).saturating_sub(self.input.len()),
            _ => 0,
        };
        if begun > FIRST {
            self.room = READ;
        }
        self.input.reserve(begun.max(self.room));
        self.stream.before_read();
        // a fresh future each time: `read_buf` keeps nothing between polls
        let filled = std::pin::pin!(self.stream.read_buf(&mut self.input)).poll(cx);
        if matches!(filled, Poll::Ready(Ok(FIRST..))) {
            self.room = READ;
        }
        filled
    }

    /// The next PDU if all of it has been read: its type and its body.
    fn take_pdu(&mut self) -> Result<Option<(u8, Bytes)>, PduError> {
        let Some(header) = Header::decode(&self.input, &self.limits)? else { return Ok(None) };
        let length = HEADER + header.length as usize;
        if self.input.len() < length {
            return Ok(None);
        }
        let mut pdu = self.input.split_to(length).freeze();
        Ok(Some((header.kind, pdu.split_off(HEADER))))
    }

    /// The body of the next PDU without taking it, if it is a P-DATA-TF and all of it is there.
    pub(crate) fn peek_data(&self) -> Option<&[u8]> {
        let header = Header::decode(&self.input, &self.limits).ok().flatten()?;
        let body = self.input.get(HEADER..HEADER + header.length as usize)?;
        (header.kind == pdu::kind::P_DATA).then_some(body)
    }

    /// Whether the next PDU is an A-ABORT.
    pub(crate) fn abort_is_next(&self) -> bool {
        self.input.first() == Some(&pdu::kind::ABORT)
    }

    /// `None`: the PDU was to be ignored.
    async fn on_pdu(
        &mut self,
        (kind, body): (u8, Bytes),
        during: &'static str,
    ) -> Result<Option<Incoming>, Error> {
        let pdu = match pdu::decode(kind, body) {
            Ok(pdu) => pdu,
            Err(problem) => return Err(self.refuse(problem, during).await),
        };
        let event = match &pdu {
            Pdu::AssociateRq(rq) => {
                Event::AssociateRqPdu { acceptable: rq.protocol_version & 1 == 1 }
            }
            Pdu::AssociateAc(_) => Event::AssociateAcPdu,
            Pdu::AssociateRj(_) => Event::AssociateRjPdu,
            Pdu::Data(_) => Event::DataPdu,
            Pdu::ReleaseRq => Event::ReleaseRqPdu { role: self.role },
            Pdu::ReleaseRp => Event::ReleaseRpPdu,
            Pdu::Abort(_) => Event::AbortPdu,
        };
        let action = self.step(event)?;
        Ok(Some(match (action, pdu) {
            (Action::AE3, Pdu::AssociateAc(ac)) => Incoming::Accepted(Box::new(ac)),
            (Action::AE4, Pdu::AssociateRj(rj)) => Incoming::Rejected(rj),
            (Action::AE6, Pdu::AssociateRq(rq)) => {
                if self.state == State::Sta13 {
                    self.send(&Pdu::AssociateRj(AssociateRj::PROTOCOL_VERSION)).await?;
                    let what = format!("protocol version 0x{:04x}", rq.protocol_version);
                    return Err(Error::Protocol { what, during });
                }
                Incoming::Request(Box::new(rq))
            }
            (Action::DT2 | Action::AR6, Pdu::Data(pdvs)) => Incoming::Data(pdvs),
            (Action::AR2 | Action::AR8, _) => Incoming::Release,
            (Action::AR3 | Action::AR10, _) => Incoming::Released,
            (Action::AA2 | Action::AA3, Pdu::Abort(abort)) => {
                return Err(Error::Aborted { abort, during });
            }
            (Action::AA6, _) => return Ok(None),
            // AA-1, AA-7, AA-8
            (_, _) => {
                let _ = self.send(&Pdu::Abort(Abort::UNEXPECTED_PDU)).await;
                let what = format!("an unexpected {}", pdu::kind::name(kind));
                return Err(Error::Protocol { what, during });
            }
        }))
    }

    /// Answers bytes that are no PDU.
    async fn refuse(&mut self, problem: PduError, during: &'static str) -> Error {
        if self.step(Event::InvalidPdu).is_ok() {
            let _ = self.send(&Pdu::Abort(problem.abort())).await;
        }
        Error::Pdu { problem, during }
    }

    /// Sends an A-ABORT, if the state has room for one.
    pub(crate) async fn abort(&mut self, abort: Abort) {
        if let Ok(Action::AA1) = self.step(Event::AbortRequest) {
            let _ = self.send(&Pdu::Abort(abort)).await;
        }
    }

    /// Sends one PDU at once.
    pub(crate) async fn send(&mut self, pdu: &Pdu) -> Result<(), Error> {
        let during = "sending";
        self.hang_up |= matches!(pdu, Pdu::Abort(_) | Pdu::AssociateRj(_));
        pdu::encode(pdu, &mut self.output).map_err(|problem| Error::Pdu { problem, during })?;
        self.flush().await
    }

    /// Puts a command set or a data set that is in memory behind what waits to be sent.
    pub(crate) fn queue(&mut self, context: u8, command: bool, bytes: &[u8], payload: usize) {
        self.queue_part(context, command, bytes, true, payload);
    }

    fn queue_part(&mut self, context: u8, command: bool, bytes: &[u8], end: bool, payload: usize) {
        let mut rest = bytes;
        while !rest.is_empty() || (end && bytes.is_empty()) {
            let (fragment, more) = rest.split_at(rest.len().min(payload));
            let last = end && more.is_empty();
            self.output.extend(pdu::data_header(context, command, last, fragment.len()));
            self.output.extend_from_slice(fragment);
            if more.is_empty() {
                return;
            }
            rest = more;
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.output.len()
    }

    /// Sends what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), Error> {
        if self.output.is_empty() {
            return Ok(());
        }
        let output = std::mem::take(&mut self.output);
        let sent = self.write(&mut [IoSlice::new(&output)]).await;
        self.output = output;
        self.output.clear();
        if self.output.capacity() > 4 * READ {
            self.output = Vec::new();
        }
        sent
    }

    /// Sends what waits, and behind it a part of a data set; large ones without copying them.
    pub(crate) async fn flush_with(
        &mut self,
        context: u8,
        bytes: &[u8],
        last: bool,
        payload: usize,
    ) -> Result<(), Error> {
        if bytes.len() <= COPY {
            self.queue_part(context, false, bytes, last, payload);
            return self.flush().await;
        }
        let mut output = std::mem::take(&mut self.output);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (batch, more) = rest.split_at(rest.len().min(payload * BATCH));
            let end = last && more.is_empty();
            let count = batch.len().div_ceil(payload);
            let header = |(at, fragment): (usize, &[u8])| {
                pdu::data_header(context, false, end && at + 1 == count, fragment.len())
            };
            let headers: Vec<[u8; 12]> = batch.chunks(payload).enumerate().map(header).collect();
            let mut slices = Vec::with_capacity(2 * count + 1);
            slices.push(IoSlice::new(&output));
            for (header, fragment) in headers.iter().zip(batch.chunks(payload)) {
                slices.push(IoSlice::new(header));
                slices.push(IoSlice::new(fragment));
            }
            self.write(&mut slices).await?;
            output.clear();
            rest = more;
        }
        self.output = output;
        Ok(())
    }

    async fn write(&mut self, mut slices: &mut [IoSlice<'_>]) -> Result<(), Error> {
        let during = "sending";
        if self.cut {
            return Err(Error::Over);
        }
        self.cut = true;
        self.outgoing.reset();
        // since when a C-CANCEL is there, and how long the peer has
        let mut cancelled: Option<(Instant, Duration)> = None;
        let mut silent = Instant::now() + self.patience;
        IoSlice::advance_slices(&mut slices, 0);
        while !slices.is_empty() {
            let now = Instant::now();
            let last = cancelled.map(|(since, grace)| since + grace);
            let limits = [last, self.outgoing.waits(now)];
            let until = limits.into_iter().flatten().fold(silent, Instant::min);
            let listening = cancelled.is_none();
            let wrote = timeout_at(until, poll_fn(|cx| self.poll_write(cx, slices, listening)));
            let count = match wrote.await {
                Ok(Wrote::Bytes(0)) => {
                    return Err(self.why_cut(io::ErrorKind::WriteZero.into(), during).await);
                }
                Ok(Wrote::Bytes(count)) => count,
                Ok(Wrote::Failed(source)) => return Err(self.why_cut(source, during).await),
                Ok(Wrote::Cancelled(grace)) => {
                    cancelled = Some((Instant::now(), grace));
                    continue;
                }
                Err(_) => 0,
            };
            let now = Instant::now();
            self.outgoing.moved(count, now).map_err(Error::TakesTooSlowly)?;
            match cancelled {
                Some((since, grace)) if now >= since + grace => {
                    return Err(Error::Stalled { after: grace });
                }
                _ if now >= silent => return Err(Error::Stalled { after: self.patience }),
                _ => {}
            }
            if count > 0 {
                silent = now + self.patience;
                IoSlice::advance_slices(&mut slices, count);
            }
        }
        match timeout(self.patience, self.stream.flush()).await {
            Ok(Ok(())) => {
                self.cut = false;
                Ok(())
            }
            Ok(Err(source)) => Err(self.why_cut(source, during).await),
            Err(_) => Err(Error::Stalled { after: self.patience }),
        }
    }

    /// Writes what the peer takes; while it takes nothing, reads on until its C-CANCEL is there.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        mut listening: bool,
    ) -> Poll<Wrote> {
        match std::pin::Pin::new(&mut self.stream).poll_write_vectored(cx, slices) {
            Poll::Ready(Ok(count)) => return Poll::Ready(Wrote::Bytes(count)),
            Poll::Ready(Err(source)) => return Poll::Ready(Wrote::Failed(source)),
            Poll::Pending => {}
        }
        while let (true, Some((message_id, grace))) = (listening, self.heeded) {
            if self.holds_cancel(message_id) {
                return Poll::Ready(Wrote::Cancelled(grace));
            }
            // the end of what comes is seen by who writes
            listening = self.input.len() <= MAX_COMMAND
                && matches!(self.poll_fill(cx), Poll::Ready(Ok(1..)));
        }
        Poll::Pending
    }

    /// Whether the C-CANCEL of `message_id` is among what has been read and not been used.
    fn holds_cancel(&self, message_id: u16) -> bool {
        let mut rest = &self.input[..];
        while let Ok(Some(header)) = Header::decode(rest, &self.limits) {
            let length = HEADER + header.length as usize;
            let Some(body) = rest.get(HEADER..length) else { break };
            if header.kind == pdu::kind::P_DATA && is_cancel(body, message_id) {
                return true;
            }
            rest = &rest[length..];
        }
        false
    }

    /// A peer that aborts while we write leaves its A-ABORT behind: it tells more than `EPIPE`.
    async fn why_cut(&mut self, source: io::Error, during: &'static str) -> Error {
        let filled = timeout(Duration::from_millis(50), poll_fn(|cx| self.poll_fill(cx))).await;
        // TLS tells why the peer does not want us
        if let Ok(Err(told)) = filled
            && told.kind() == io::ErrorKind::InvalidData
        {
            let _ = self.step(Event::TransportClosed);
            return Error::Io { during, source: told };
        }
        while let Ok(Some((kind, body))) = self.take_pdu() {
            if let Ok(Pdu::Abort(abort)) = pdu::decode(kind, body) {
                let _ = self.step(Event::AbortPdu);
                return Error::Aborted { abort, during };
            }
        }
        let _ = self.step(Event::TransportClosed);
        match source.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Error::Closed { during },
            _ => Error::Io { during, source },
        }
    }

    /// Closes the transport after a release of ours; TLS says good-bye first.
    pub(crate) async fn leave(&mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    /// Sta13: waits for the peer to close, reading what still comes so that the last PDU that
    /// was sent is not lost in a reset; then closes.
    pub(crate) async fn close(mut self, artim: Duration) {
        if self.state != State::Sta13 || self.cut {
            return;
        }
        let _ = timeout(artim, async {
            if self.hang_up {
                // the peer did not ask for this end: let it see one at once
                let _ = self.stream.shutdown().await;
            }
            let mut left = 16 * READ;
            self.input.clear();
            self.input.reserve(FIRST);
            while let Ok(count @ 1..) = self.stream.read_buf(&mut self.input).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
                self.input.clear();
            }
        })
        .await;
        let _ = self.step(Event::TransportClosed);
    }
}

enum Wrote {
    Bytes(usize),
    Failed(io::Error),
    /// Nothing can be written and the peer cancelled; it has so long.
    Cancelled(Duration),
}

/// Whether the body of a P-DATA-TF is the C-CANCEL of a message, in one fragment.
pub(crate) fn is_cancel(body: &[u8], message_id: u16) -> bool {
    match body {
        [a, b, c, d, _, 3, command @ ..]
            if u32::from_be_bytes([*a, *b, *c, *d]) as usize == command.len() + 2 =>
        {
            message::decode(command) == Ok(Command::Cancel { message_id })
        }
        _ => false,
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wire")
            .field("state", &self.state)
            .field("role", &self.role)
            .field("unread", &self.input.len())
            .finish_non_exhaustive()
    }
}
