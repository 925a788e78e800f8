//! Hearing the peer while an operation is under way: its C-CANCEL, its A-ABORT, its silence.
//! PS3.7 9.3.2.3.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;

use super::Association;
use crate::error::Error;
use crate::message::{self, Command, MAX_COMMAND};
use crate::wire::is_cancel;

impl Association {
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
        match self.fragments.front() {
            Some(pdv) if pdv.command && pdv.last => {
                message::decode(&pdv.data) == Ok(Command::Cancel { message_id })
            }
            Some(_) => false,
            None => self.wire.peek_data().is_some_and(|body| is_cancel(body, message_id)),
        }
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
