//! Messages in: commands, the data sets behind them, the responses to requests of ours.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Association;
use super::deferred::{Deferred, poll_done};
use crate::context::Context;
use crate::error::Error;
use crate::events::kinds;
use crate::message::{self, Command, MAX_COMMAND, Request, Response};
use crate::pdu::{Abort, Pdv};
use crate::service::store::Stored;
use crate::wire::Incoming;

/// A data set was longer than its reader allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong {
    pub limit: usize,
}

/// What a peer may say while a response is due.
pub(crate) enum Heard {
    Response(Response),
    /// In a C-GET of ours, its sub-operations.
    Request(Arc<Context>, Request),
    /// In a sub-operation of a C-GET of the peer's.
    Cancel(u16),
    /// And it was answered.
    Release,
}

impl Association {
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
                self.wire.message_ends();
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

    /// The response to a request of ours.
    pub async fn response(
        &mut self,
        message_id: u16,
        during: &'static str,
    ) -> Result<Response, Error> {
        match self.heard(&[message_id], during).await? {
            Heard::Response(response) => Ok(response),
            other => Err(self.unexpected(other, during).await),
        }
    }

    /// What the peer says next while responses to requests of ours are due.
    pub(crate) async fn heard(
        &mut self,
        due: &[u16],
        during: &'static str,
    ) -> Result<Heard, Error> {
        let deadline = Instant::now() + self.timeouts.response;
        loop {
            return Ok(match self.command(during, self.timeouts.response).await? {
                // what comes late for a request that was let go of
                Some((_, Command::Response(late)))
                    if !due.contains(&late.message_id)
                        && self.abandoned.contains(&late.message_id)
                        && Instant::now() < deadline =>
                {
                    if !late.reply.status.is_pending() {
                        self.abandoned.retain(|id| *id != late.message_id);
                    }
                    continue;
                }
                // the peer answers a report in its own time
                Some((_, Command::Response(response)))
                    if !due.contains(&response.message_id) && self.reported(&response) =>
                {
                    continue;
                }
                Some((_, Command::Response(response))) if !due.contains(&response.message_id) => {
                    let due: Vec<String> = due.iter().map(u16::to_string).collect();
                    let what = format!(
                        "a response to message {} instead of {}",
                        response.message_id,
                        due.join(" or ")
                    );
                    return Err(self.protocol(&what, during).await);
                }
                Some((_, Command::Response(response))) => Heard::Response(response),
                Some((context, Command::Request(request))) => Heard::Request(context, request),
                Some((_, Command::Cancel { message_id })) => Heard::Cancel(message_id),
                None => Heard::Release,
            });
        }
    }

    /// The error about something that has no place while a response is due.
    pub(crate) async fn unexpected(&mut self, heard: Heard, during: &'static str) -> Error {
        let what = match heard {
            Heard::Response(response) => format!("a response to message {}", response.message_id),
            Heard::Request(_, request) => format!("a {} request", request.operation.field()),
            Heard::Cancel(_) => "a C-CANCEL".into(),
            // the association ended in good order: there is nothing to abort
            Heard::Release => return Error::Protocol { what: "an A-RELEASE-RQ".into(), during },
        };
        self.protocol(&what, during).await
    }

    /// Whether nothing is left of a message that the peer began.
    pub(crate) fn is_between_messages(&self) -> bool {
        self.open_data.is_none() && self.fragments.is_empty() && self.wire.is_between_messages()
    }

    /// Forgets a request: its responses are skipped when they come.
    pub(crate) fn abandon(&mut self, message_id: u16) {
        self.abandoned.push(message_id);
    }

    async fn command(
        &mut self,
        during: &'static str,
        limit: Duration,
    ) -> Result<Option<(Arc<Context>, Command)>, Error> {
        self.skip_data().await?;
        let mut gathered: Option<(u8, Vec<u8>)> = None;
        self.wire.message_ends();
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
                    self.wire.message_begins();
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
            match has_data {
                true => self.wire.message_begins(),
                false => self.wire.message_ends(),
            }
            return Ok(Some((context, command)));
        }
    }

    /// `None`: the peer released, and was answered.
    pub(super) async fn next_fragment(
        &mut self,
        during: &'static str,
        limit: Duration,
    ) -> Result<Option<Pdv>, Error> {
        loop {
            if let Some(pdv) = self.fragments.pop_front() {
                return Ok(Some(pdv));
            }
            self.answer_done().await?;
            let received = match self.receive_or_done(during, limit).await {
                Either::Received(received) => received,
                Either::Done(done) => {
                    self.answer(done).await?;
                    continue;
                }
            };
            match self.noted(received)? {
                Incoming::Data(pdvs) => self.fragments.extend(pdvs),
                Incoming::Release => {
                    // Sta8 still sends data: what is being stored gets its answer
                    self.settle(0).await?;
                    self.answer_release().await?;
                    self.journal.end(kinds::RELEASED, "the peer released the association");
                    return Ok(None);
                }
                _ => return Err(Error::Over),
            }
        }
    }

    /// What comes first: a PDU, or the end of something that was deferred.
    async fn receive_or_done(&mut self, during: &'static str, limit: Duration) -> Either {
        if self.deferred.is_empty() {
            return Either::Received(self.wire.receive(during, limit).await);
        }
        let Self { wire, deferred, .. } = self;
        let mut receiving = std::pin::pin!(wire.receive(during, limit));
        std::future::poll_fn(|cx| {
            let done = poll_done(deferred, cx);
            if !done.is_empty() {
                return Poll::Ready(Either::Done(done));
            }
            receiving.as_mut().poll(cx).map(Either::Received)
        })
        .await
    }
}

enum Either {
    Received(Result<Incoming, Error>),
    Done(Vec<(Deferred, Stored)>),
}
