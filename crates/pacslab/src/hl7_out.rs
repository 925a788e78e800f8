//! HL7 messages leave: one task a destination, so that none waits for another. HL7 v2.5.1 2.9, 2.10.
//!
//! The queue is the RIS's ([`pacslab_ris::outbox`]), durable; here it is emptied, oldest first, over
//! a connection that stays. What the receiver acknowledges is taken off, what it refuses becomes a
//! dead letter at once (a repetition would be answered the same), anything else is tried again,
//! later each time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_hl7::ack::Ack;
use pacslab_model::{Clock, Direction, Emit, Event, Outcome, Seed};
use pacslab_ris::mllp::{MllpClient, SendError};
use pacslab_ris::{Letter, Ris, events};
use pacslab_store::StoreError;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::client::bracketed;
use crate::config::Destination;
use crate::exit::Failure;
use crate::tls::{Caller, Files};

/// After how long without a message a connection is given up.
const IDLE: Duration = Duration::from_secs(60);
/// How long a message that is on its way has when the department closes.
const GRACE: Duration = Duration::from_secs(3);
/// How long after a failure of the desk it is asked again.
const DESK: Duration = Duration::from_secs(1);

/// Whoever sends to one destination.
pub(crate) struct Sender {
    pub(crate) ris: Arc<Ris>,
    pub(crate) to: Destination,
    pub(crate) files: Files,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) emit: Arc<dyn Emit>,
}

/// What came of one try.
enum Came {
    /// AA or CA.
    Acknowledged(Ack),
    /// AE, AR, CE or CR.
    Refused(Ack),
    /// Nobody, nothing, or nothing that can be understood.
    Nothing(String),
}

impl Sender {
    /// Sends what is queued, as it comes, until `closed`.
    pub(crate) async fn follow(self, closed: impl Future<Output = ()>) {
        let mut closed = pin!(closed);
        let mut line = None;
        loop {
            let (ris, name) = (self.ris.clone(), self.to.name.clone());
            let letter = match blocking(move || ris.next_letter(&name)).await {
                Ok(Some(letter)) => letter,
                Ok(None) => {
                    tokio::select! {
                        () = self.ris.to_send(&self.to.name) => {}
                        () = sleep(IDLE), if line.is_some() => line = None,
                        () = &mut closed => return,
                    }
                    continue;
                }
                Err(error) => {
                    tracing::error!("the HL7 queue of {} cannot be read: {error}", self.to.name);
                    tokio::select! {
                        () = sleep(DESK) => continue,
                        () = &mut closed => return,
                    }
                }
            };
            let begun = Instant::now();
            let (came, closing) = {
                let mut sending = pin!(self.send(&mut line, &letter));
                tokio::select! {
                    came = &mut sending => (came, false),
                    () = &mut closed => match timeout(GRACE, sending).await {
                        Ok(came) => (came, true),
                        // it is sent again when the department opens
                        Err(_) => return,
                    },
                }
            };
            let pause = match self.settle(letter, came, begun.elapsed()).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!("the HL7 queue of {} cannot be written: {error}", self.to.name);
                    DESK
                }
            };
            if closing {
                return;
            }
            if !pause.is_zero() {
                tokio::select! {
                    () = sleep(pause) => {}
                    () = &mut closed => return,
                }
            }
        }
    }

    /// One try.
    async fn send(&self, line: &mut Option<MllpClient>, letter: &Letter) -> Came {
        if let Some(mut open) = line.take()
            && !open.is_over().await
        {
            match self.exchange(line, open, letter).await {
                Ok(came) => return came,
                // it was closed when our message was on its way already
                Err(SendError::Closed { .. } | SendError::Io { .. }) => {}
                Err(error) => return Came::Nothing(error.to_string()),
            }
        }
        let client = match self.connect().await {
            Ok(client) => client,
            Err(why) => return Came::Nothing(why),
        };
        let came = self.exchange(line, client, letter).await;
        came.unwrap_or_else(|error| Came::Nothing(error.to_string()))
    }

    async fn exchange(
        &self,
        line: &mut Option<MllpClient>,
        mut client: MllpClient,
        letter: &Letter,
    ) -> Result<Came, SendError> {
        let ack = client.send(&letter.bytes()).await?.ack;
        if self.to.strict && ack.control_id != letter.control_id {
            let what = format!("MSA-2 is '{}', not '{}'", ack.control_id, letter.control_id);
            return Err(SendError::Answer { to: self.address(), what });
        }
        *line = Some(client);
        Ok(match ack.code.is_accepted() {
            true => Came::Acknowledged(ack),
            false => Came::Refused(ack),
        })
    }

    async fn connect(&self) -> Result<MllpClient, String> {
        let (to, limit) = (self.address(), self.to.timeout);
        let connecting = async {
            let host = self.to.host.0.as_str();
            let tcp = TcpStream::connect((host, self.to.port));
            let tcp = tcp
                .await
                .map_err(|source| SendError::Connect { to: to.clone(), source }.to_string())?;
            let _ = tcp.set_nodelay(true);
            if !self.to.tls {
                return Ok(MllpClient::over(&to, Box::new(tcp), limit));
            }
            match Caller::new(self.files.clone()).call(host, tcp).await {
                Ok(secured) => Ok(MllpClient::over(&to, Box::new(secured), limit)),
                Err(Failure { message, hint: Some(hint), .. }) => Err(format!("{message}; {hint}")),
                Err(Failure { message, .. }) => Err(message),
            }
        };
        timeout(limit, connecting).await.unwrap_or_else(|_| {
            let seconds = limit.as_secs_f64();
            Err(SendError::Timeout { to: to.clone(), seconds }.to_string())
        })
    }

    /// Does what follows from a try, and tells it; how long to wait before the next one.
    async fn settle(
        &self,
        letter: Letter,
        came: Came,
        took: Duration,
    ) -> Result<Duration, StoreError> {
        let ris = self.ris.clone();
        let now = self.clock.now();
        let name = format!("{} {} to {}", letter.kind, letter.control_id, self.to.name);
        let bytes = letter.bytes();
        let event = Event::new(now, events::HL7_OUT, String::new())
            .ids(letter.identifiers())
            .peer(self.address(), Direction::Out)
            .took(took)
            .raw(bytes.as_slice());
        let tell = |text: String, outcome| {
            self.emit.emit(Event { message: text, ..event.clone() }.outcome(outcome));
        };
        let number = letter.number;
        let again = format!("`pacslab hl7 queue resend {number}` sends it again");
        match came {
            Came::Acknowledged(ack) => {
                blocking(move || ris.delivered(&letter)).await?;
                tell(format!("{name}: {}", ack.code.as_str()), Outcome::Ok);
                Ok(Duration::ZERO)
            }
            Came::Refused(ack) => {
                let problem = format!("{} {}", ack.code.as_str(), said(&ack));
                let letter = Letter { tries: letter.tries + 1, problem: problem.clone(), ..letter };
                blocking(move || ris.bury(&letter)).await?;
                let text = format!("{name} refused: {problem}; it is a dead letter now; {again}");
                tell(text, Outcome::Failed);
                Ok(Duration::ZERO)
            }
            Came::Nothing(problem) => {
                let tries = letter.tries.saturating_add(1);
                let letter = Letter { tries, problem: problem.clone(), ..letter };
                let micros = now.micros.saturating_sub(letter.since.micros).max(0).unsigned_abs();
                let most = self.to.give_up_tries;
                let old = !self.to.give_up_after.is_zero()
                    && Duration::from_micros(micros) >= self.to.give_up_after;
                if old || (most > 0 && tries >= most) {
                    blocking(move || ris.bury(&letter)).await?;
                    let text = format!(
                        "{name} not delivered after {tries} tries: {problem}; it is a dead letter \
                         now; {again}"
                    );
                    tell(text, Outcome::Failed);
                    return Ok(Duration::ZERO);
                }
                let pause = self.pause(&letter);
                blocking(move || ris.put_off(&letter)).await?;
                let text = format!("{name} not delivered: {problem}; again in {pause:.1?}");
                tell(text, Outcome::Warning);
                Ok(pause)
            }
        }
    }

    /// Twice as long each time, up to the longest; of that a part between half and all, which
    /// differs from message to message, so that not all who wait for a receiver come at once.
    fn pause(&self, letter: &Letter) -> Duration {
        let doubled = self.to.retry.saturating_mul(1 << letter.tries.saturating_sub(1).min(20));
        let whole = doubled.min(self.to.retry_at_most);
        let tries = letter.tries.to_string();
        let purpose = ["hl7.out", &self.to.name, &letter.control_id, &tries];
        let stream = Seed(0).stream(&purpose);
        whole.mul_f64(0.5 + f64::from(stream[0]) / 512.0)
    }

    fn address(&self) -> String {
        format!("{}:{}", bracketed(&self.to.host.0), self.to.port)
    }
}

/// What an acknowledgement says is wrong, with the places.
fn said(ack: &Ack) -> String {
    let each = ack.errors.iter().map(|error| {
        let place =
            if error.place.is_empty() { String::new() } else { format!("{}: ", error.place) };
        let code = if error.code.is_empty() { String::new() } else { format!(" ({})", error.code) };
        format!("{place}{}{code}", error.text)
    });
    match ack.errors.is_empty() {
        true if ack.text.is_empty() => "without a reason".to_owned(),
        true => ack.text.clone(),
        false => each.collect::<Vec<_>>().join("; "),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |_| Err(StoreError::Other("stopped".to_owned()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(stopped)
}
