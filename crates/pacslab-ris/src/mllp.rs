//! The HL7 door: MLLP over TCP. HL7 v2.5.1 appendix C.4. It holds no rules.
//!
//! A connection is one task: bytes in, frames to [`Hl7Inbox`] on a blocking thread, answers out in
//! order. A peer that sends anything but MLLP is told nothing and disconnected.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pacslab_hl7::mllp::{Decoder, Frame, MllpError, encode};
use pacslab_hl7::{Message, ack};
use pacslab_model::{Clock, Direction, Emit, Event, Outcome};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};

use crate::events;
use crate::hl7::Hl7Inbox;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MllpSettings {
    /// The longest message, in bytes.
    pub max_message: usize,
    /// For one connection more than this, the one that has waited longest without a message is
    /// closed: first of those that never sent any.
    pub max_connections: usize,
    /// A connection is closed when nothing comes for so long, in seconds. 0: never.
    pub idle_seconds: u64,
    /// The rest of a message that has begun must come within this time, in seconds.
    pub message_seconds: u64,
}

impl Default for MllpSettings {
    fn default() -> Self {
        Self { max_message: 4 << 20, max_connections: 200, idle_seconds: 3600, message_seconds: 30 }
    }
}

/// What messages come over.
pub trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Wire for T {}

pub type Opening<'a> = Pin<Box<dyn Future<Output = Option<Box<dyn Wire>>> + Send + 'a>>;

/// What a TCP connection has to pass before it is heard: TLS.
pub trait Gate: Send + Sync {
    /// `None`: it came to nothing, and the gate has told why. It ends by itself, however silent
    /// the other side is.
    fn open(&self, tcp: TcpStream, from: SocketAddr) -> Opening<'_>;
}

/// Serves connections until `shutdown` comes true, then lets messages in work be answered.
///
/// Returns when the last connection has ended.
pub async fn serve(
    listener: TcpListener,
    inbox: Arc<Hl7Inbox>,
    settings: MllpSettings,
    shutdown: impl Future<Output = ()>,
) {
    serve_behind(None, listener, inbox, settings, shutdown).await;
}

/// The same for connections that pass the gate first.
pub async fn serve_behind(
    gate: Option<Arc<dyn Gate>>,
    listener: TcpListener,
    inbox: Arc<Hl7Inbox>,
    settings: MllpSettings,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(false);
    let door = Arc::new(Door {
        gate,
        inbox,
        settings,
        stopped,
        waiting: Mutex::default(),
        turn: AtomicU64::new(0),
        large: Semaphore::new(LARGE_AT_ONCE),
        work: Semaphore::new(AT_WORK),
    });
    let mut connections = tokio::task::JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let most = door.settings.max_connections;
                while connections.try_join_next().is_some() {}
                if connections.len() >= most && !door.shed() {
                    door.tell(peer, &format!("refused: {most} connections are at work already"));
                    continue;
                }
                let (closing, door) = (Arc::new(Notify::new()), door.clone());
                // it waits from now on, whenever its task begins
                let place = enlist(&door, false, &closing);
                connections
                    .spawn(async move { door.connection(stream, peer, place, closing).await });
            }
            Err(error) => {
                // out of descriptors, for example: others have to end first
                tracing::warn!(%error, "HL7 door cannot accept");
                door.shed();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let _ = stop.send(true);
    while connections.join_next().await.is_some() {}
}

struct Door {
    gate: Option<Arc<dyn Gate>>,
    inbox: Arc<Hl7Inbox>,
    settings: MllpSettings,
    stopped: watch::Receiver<bool>,
    /// Connections between two messages, the first to be closed first.
    waiting: Mutex<BTreeMap<Turn, Arc<Notify>>>,
    turn: AtomicU64,
    /// Room for messages of more than [`LARGE`] bytes.
    large: Semaphore,
    /// Room for messages that are worked on.
    work: Semaphore,
}

/// Whether a connection has sent a message before, and since when it waits.
type Turn = (bool, u64);

/// Longer messages than this come in a few at a time; the others wait for their turn.
const LARGE: usize = 64 << 10;
const LARGE_AT_ONCE: usize = 16;

/// Messages worked on at once, which share their sync; one of more than [`LARGE`] bytes counts as
/// four: its tree takes many times its bytes.
const AT_WORK: usize = 16;
const WEIGHT_OF_LARGE: u32 = 4;

/// A connection's entry among those that wait.
struct Waiting(Arc<Door>, Turn);

fn enlist(door: &Arc<Door>, spoken: bool, closing: &Arc<Notify>) -> Waiting {
    let turn = (spoken, door.turn.fetch_add(1, Ordering::Relaxed));
    let mut waiting = door.waiting.lock().unwrap_or_else(PoisonError::into_inner);
    waiting.insert(turn, closing.clone());
    Waiting(door.clone(), turn)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl Door {
    /// Closes the connection that can be missed most, if there is one.
    fn shed(&self) -> bool {
        let first = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
        first.map(|(_, closing)| closing.notify_one()).is_some()
    }

    async fn connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        place: Waiting,
        closing: Arc<Notify>,
    ) {
        let _ = stream.set_nodelay(true);
        let mut stream: Box<dyn Wire> = match &self.gate {
            None => Box::new(stream),
            Some(gate) => match gate.open(stream, peer).await {
                Some(stream) => stream,
                None => return,
            },
        };
        match self.talk(&mut *stream, peer, place, &closing).await {
            Ok(()) => {}
            Err(Ended::Mllp(error)) => self.tell(peer, &format!("closed: {error}")),
            Err(Ended::Hopeless) => self.tell(peer, "closed: what came is no HL7 message"),
            Err(Ended::Late) => {
                let limit = self.settings.message_seconds;
                self.tell(
                    peer,
                    &format!("closed: the rest of a message did not come in {limit} s"),
                );
            }
            Err(Ended::Shed) => self.tell(peer, "closed: others need its place"),
            // peers come and go as they like
            Err(Ended::Io(error)) => tracing::debug!(%peer, %error, "HL7 connection ended"),
        }
        let _ = stream.shutdown().await;
    }

    async fn talk(
        self: &Arc<Self>,
        stream: &mut dyn Wire,
        peer: SocketAddr,
        place: Waiting,
        closing: &Arc<Notify>,
    ) -> Result<(), Ended> {
        let mut decoder = Decoder::new(self.settings.max_message);
        let mut buffer = vec![0; 16 * 1024];
        let mut stopped = self.stopped.clone();
        let mut begun: Option<Instant> = None;
        let (mut spoken, mut large, mut place) = (false, None, Some(place));
        loop {
            for frame in decoder.by_ref() {
                let frame = frame?;
                (begun, spoken) = (None, true);
                if !frame.ended {
                    self.cut_off(peer, &frame);
                    continue;
                }
                let heard = self.hear(frame, peer).await;
                for answer in [&heard.answer, &heard.application].into_iter().flatten() {
                    let limit = Duration::from_secs(self.settings.message_seconds.max(1));
                    let answer = encode(answer);
                    let written = tokio::time::timeout(limit, stream.write_all(&answer));
                    written.await.map_err(|_| Ended::Late)??;
                }
                if heard.hopeless {
                    return Err(Ended::Hopeless);
                }
            }
            if decoder.pending() == 0 && *stopped.borrow() {
                return Ok(());
            }
            let wait = self.patience(decoder.pending() > 0, &mut begun).ok_or(Ended::Late)?;
            if decoder.pending() <= LARGE {
                large = None;
            } else if large.is_none() {
                let room = tokio::time::timeout(wait, self.large.acquire()).await;
                large = room.map_err(|_| Ended::Late)?.ok();
            }
            if decoder.pending() == 0 && place.is_none() {
                place = Some(enlist(self, spoken, closing));
            }
            let read = tokio::select! {
                read = tokio::time::timeout(wait, stream.read(&mut buffer)) => read,
                _ = stopped.changed() => continue,
                () = closing.notified(), if place.is_some() => return Err(Ended::Shed),
            };
            place = None;
            match read {
                Err(_) if decoder.pending() > 0 => return Err(Ended::Late),
                Err(_) => return Ok(()),
                Ok(Ok(0)) => break,
                Ok(read) => decoder.push(&buffer[..read?]),
            }
        }
        if let Some(frame) = decoder.finish() {
            self.cut_off(peer, &frame);
        }
        Ok(())
    }

    /// How long to wait for the next bytes; `None`: the time of the message is up.
    fn patience(&self, within: bool, begun: &mut Option<Instant>) -> Option<Duration> {
        if !within {
            *begun = None;
            // a day is as good as never, and no overflow
            let idle = self.settings.idle_seconds;
            return Some(Duration::from_secs(if idle == 0 { 86_400 * 365 } else { idle }));
        }
        let begun = begun.get_or_insert_with(Instant::now);
        let limit = Duration::from_secs(self.settings.message_seconds.max(1));
        limit.checked_sub(begun.elapsed())
    }

    async fn hear(&self, frame: Frame, peer: SocketAddr) -> crate::hl7::Heard {
        let weight = if frame.bytes.len() > LARGE { WEIGHT_OF_LARGE } else { 1 };
        // never closed
        let _turn = self.work.acquire_many(weight).await;
        let inbox = self.inbox.clone();
        let heard =
            tokio::task::spawn_blocking(move || inbox.receive(&frame.bytes, &peer.to_string()));
        heard.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an HL7 message could not be worked on");
            crate::hl7::Heard { answer: None, application: None, accepted: false, hopeless: true }
        })
    }

    /// A message without its end may lack segments: it is not acted on, and the sender, who gets
    /// no answer, sends it again.
    fn cut_off(&self, peer: SocketAddr, frame: &Frame) {
        let what = format!(
            "sent a message of {} bytes without its end (0x1C); it is not acted on",
            frame.bytes.len()
        );
        let event = self.event(peer, &what).raw(frame.bytes.as_slice());
        self.inbox.ris().emit.emit(event);
    }

    fn tell(&self, peer: SocketAddr, what: &str) {
        self.inbox.ris().emit.emit(self.event(peer, what));
    }

    fn event(&self, peer: SocketAddr, what: &str) -> Event {
        let text = format!("HL7 connection from {peer} {what}");
        Event::new(self.inbox.ris().clock.now(), events::HL7_CONNECTION, text)
            .outcome(Outcome::Warning)
            .peer(peer.to_string(), Direction::In)
    }
}

/// Why a connection ends before the peer closes it.
enum Ended {
    Mllp(MllpError),
    Io(io::Error),
    Hopeless,
    Late,
    Shed,
}

impl From<MllpError> for Ended {
    fn from(error: MllpError) -> Self {
        Self::Mllp(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Why a message could not be sent, or its answer not be had.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("cannot connect to {to}: {source}; is an HL7 listener running there?")]
    Connect { to: String, source: io::Error },
    #[error("connection to {to} broke: {source}")]
    Io { to: String, source: io::Error },
    #[error("{to} closed the connection without an answer")]
    Closed { to: String },
    #[error("{to} did not answer within {seconds} s")]
    Timeout { to: String, seconds: f64 },
    #[error("{to} answered what is no acknowledgement: {what}")]
    Answer { to: String, what: String },
}

/// A connection to an HL7 listener, for one message after another.
pub struct MllpClient {
    to: String,
    stream: Box<dyn Wire>,
    decoder: Decoder,
    timeout: Duration,
    /// MSH-10 of the message before: its application acknowledgement may still come.
    before: String,
}

/// The answer to a message that was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answered {
    pub ack: ack::Ack,
    /// As it came.
    pub bytes: Vec<u8>,
}

impl MllpClient {
    /// `to` is `host:port`; `timeout` is for connecting and for each answer.
    ///
    /// # Errors
    /// Nobody listens, or not within the time.
    pub async fn connect(to: &str, timeout: Duration) -> Result<Self, SendError> {
        let connected = tokio::time::timeout(timeout, TcpStream::connect(to)).await;
        let stream = connected
            .map_err(|_| late(to, timeout))?
            .map_err(|source| SendError::Connect { to: to.to_owned(), source })?;
        let _ = stream.set_nodelay(true);
        Ok(Self::over(to, Box::new(stream), timeout))
    }

    /// Over a connection that was made before; `to` is what it is called in messages.
    pub fn over(to: &str, stream: Box<dyn Wire>, timeout: Duration) -> Self {
        let decoder = Decoder::default();
        Self { to: to.to_owned(), stream, decoder, timeout, before: String::new() }
    }

    /// Whether the other side has closed it, or sent what nobody asked for. Does not wait.
    pub async fn is_over(&mut self) -> bool {
        let mut byte = [0];
        let now = std::future::poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut byte);
            let read = Pin::new(&mut self.stream).poll_read(context, &mut buffer);
            std::task::Poll::Ready(read.is_ready())
        });
        now.await
    }

    /// Sends one message and waits for its acknowledgement.
    ///
    /// # Errors
    /// See [`SendError`]. An AE or AR is an answer, not an error.
    pub async fn send(&mut self, message: &[u8]) -> Result<Answered, SendError> {
        let timeout = self.timeout;
        tokio::time::timeout(timeout, self.exchange(message))
            .await
            .unwrap_or_else(|_| Err(late(&self.to, timeout)))
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<Answered, SendError> {
        let broke = |source| SendError::Io { to: self.to.clone(), source };
        self.stream.write_all(&encode(message)).await.map_err(broke)?;
        self.stream.flush().await.map_err(broke)?;
        let ours = Message::parse(message).map(|message| message.control_id()).unwrap_or_default();
        loop {
            let bytes = self.frame().await?;
            let answer =
                Message::parse(&bytes).map_err(|error| self.unusable(error.to_string()))?;
            let Some(ack) = ack::parse(&answer) else {
                return Err(self.unusable("it has no MSA segment with a known code".to_owned()));
            };
            // enhanced mode: the last word on the message before
            if ack.control_id != ours && !ack.control_id.is_empty() && ack.control_id == self.before
            {
                continue;
            }
            self.before = ours;
            return Ok(Answered { ack, bytes });
        }
    }

    async fn frame(&mut self) -> Result<Vec<u8>, SendError> {
        let mut buffer = vec![0; 4096];
        loop {
            match self.decoder.next() {
                Some(Ok(frame)) => return Ok(frame.bytes),
                Some(Err(error)) => return Err(self.unusable(error.to_string())),
                None => {}
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(SendError::Closed { to: self.to.clone() }),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(source) => return Err(SendError::Io { to: self.to.clone(), source }),
            }
        }
    }

    fn unusable(&self, what: String) -> SendError {
        SendError::Answer { to: self.to.clone(), what }
    }
}

impl std::fmt::Debug for MllpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MllpClient").field("to", &self.to).finish_non_exhaustive()
    }
}

/// Sends one message over a connection of its own and tells the event.
///
/// # Errors
/// See [`SendError`]. An AE or AR is an answer, not an error.
pub async fn send(
    to: &str,
    message: &[u8],
    timeout: Duration,
    clock: &dyn Clock,
    emit: &dyn Emit,
) -> Result<Answered, SendError> {
    let begun = Instant::now();
    let result = async { MllpClient::connect(to, timeout).await?.send(message).await }.await;
    let (outcome, text) = match &result {
        Ok(answered) if answered.ack.code.is_accepted() => {
            (Outcome::Ok, format!("HL7 message sent to {to}: {}", answered.ack.code.as_str()))
        }
        Ok(Answered { ack, .. }) => (
            Outcome::Failed,
            format!("HL7 message sent to {to}: {} {}", ack.code.as_str(), ack.text),
        ),
        Err(error) => (Outcome::Failed, format!("HL7 message not delivered: {error}")),
    };
    let event = Event::new(clock.now(), events::HL7_OUT, text).outcome(outcome);
    emit.emit(event.peer(to, Direction::Out).took(begun.elapsed()).raw(message));
    result
}

fn late(to: &str, timeout: Duration) -> SendError {
    SendError::Timeout { to: to.to_owned(), seconds: timeout.as_secs_f64() }
}
