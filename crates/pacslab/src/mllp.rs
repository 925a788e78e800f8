//! Sending HL7 messages over MLLP and reading their answers.

use std::time::Duration;

use pacslab_hl7::mllp::{self, Decoder};
use pacslab_hl7::{Message, ack};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::exit::{Failure, Result};

/// A connection to an HL7 receiver.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: TcpStream,
    decoder: Decoder,
    peer: String,
    timeout: Duration,
}

/// What the receiver answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) ack: ack::Ack,
    /// The message as it came, one segment a line.
    pub(crate) text: String,
}

impl Sender {
    pub(crate) async fn connect(host: &str, port: u16, wait: Duration) -> Result<Self> {
        let peer = format!("{host}:{port}");
        let stream = match timeout(wait, TcpStream::connect((host, port))).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                return Err(Failure::network(format!("cannot connect to {peer}: {error}"))
                    .hint("start `pacslab serve`, or name the receiver: --to host:port"));
            }
            Err(_) => {
                return Err(Failure::network(format!("{peer} does not answer"))
                    .hint("check address, network and firewall"));
            }
        };
        // a message is one small write that somebody waits for
        let _ = stream.set_nodelay(true);
        Ok(Self { stream, decoder: Decoder::default(), peer, timeout: wait })
    }

    /// Sends one message and waits for its acknowledgement.
    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<Answer> {
        let broken = |peer: &str, error: std::io::Error| {
            Failure::network(format!("the connection to {peer} failed: {error}"))
        };
        let frame = mllp::encode(message);
        timeout(self.timeout, self.stream.write_all(&frame))
            .await
            .map_err(|_| Failure::network(format!("{} takes no data", self.peer)))?
            .map_err(|error| broken(&self.peer, error))?;
        let bytes = loop {
            match self.decoder.next() {
                Some(Ok(frame)) => break frame.bytes,
                Some(Err(error)) => {
                    return Err(Failure::network(format!("{} answered {error}", self.peer)));
                }
                None => {}
            }
            let mut buffer = [0; 8192];
            let n = timeout(self.timeout, self.stream.read(&mut buffer))
                .await
                .map_err(|_| {
                    let seconds = self.timeout.as_secs_f32();
                    Failure::network(format!("{} sent no answer for {seconds} s", self.peer))
                        .hint("wait longer with --timeout, e.g. --timeout 2m")
                })?
                .map_err(|error| broken(&self.peer, error))?;
            if n == 0 {
                return Err(Failure::network(format!(
                    "{} closed the connection without an answer",
                    self.peer
                )));
            }
            self.decoder.push(&buffer[..n]);
        };
        let message = Message::parse(&bytes).map_err(|error| {
            Failure::failed(format!("the answer of {} cannot be read: {error}", self.peer))
        })?;
        let ack = ack::parse(&message).ok_or_else(|| {
            let (kind, _) = message.kind();
            Failure::failed(format!("{} answered with {kind}, not with an ACK", self.peer))
        })?;
        Ok(Answer { ack, text: lines(&message.to_text()) })
    }
}

/// A message for people: one segment a line.
pub(crate) fn lines(text: &str) -> String {
    text.trim_end_matches('\r').replace('\r', "\n")
}
