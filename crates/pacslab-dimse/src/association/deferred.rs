//! Requests of the peer's that are answered when they are done, while the next is read: what an
//! asynchronous operations window allows. PS3.7 D.3.3.3.

use std::sync::Arc;
use std::task::{Context as Polling, Poll};
use std::time::Instant;

use super::Association;
use crate::context::Context;
use crate::error::Error;
use crate::message::Request;
use crate::server::BoxFuture;
use crate::service::store::Stored;

/// A C-STORE whose object is here and is being stored.
pub(crate) struct Deferred {
    pub(crate) context: Arc<Context>,
    pub(crate) request: Request,
    pub(crate) bytes: u64,
    pub(crate) begun: Instant,
    pub(crate) storing: BoxFuture<'static, Stored>,
}

impl std::fmt::Debug for Deferred {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Deferred(message {}, {} bytes)", self.request.message_id, self.bytes)
    }
}

impl Association {
    /// Leaves an operation to itself; it is begun here and answered when it is done.
    pub(crate) async fn defer(&mut self, deferred: Deferred) -> Result<(), Error> {
        self.deferred.push(deferred);
        self.answer_done().await
    }

    /// Answers what is done by now, with one write.
    pub(crate) async fn answer_done(&mut self) -> Result<(), Error> {
        if self.deferred.is_empty() {
            return Ok(());
        }
        let done = std::future::poll_fn(|cx| Poll::Ready(poll_done(&mut self.deferred, cx))).await;
        self.answer(done).await
    }

    /// Waits until no more than `most` are under way.
    pub(crate) async fn settle(&mut self, most: usize) -> Result<(), Error> {
        while self.deferred.len() > most {
            let done = std::future::poll_fn(|cx| match poll_done(&mut self.deferred, cx) {
                done if done.is_empty() => Poll::Pending,
                done => Poll::Ready(done),
            })
            .await;
            self.answer(done).await?;
        }
        Ok(())
    }

    /// Waits for something that has nothing to do with the peer, and answers what is done meanwhile.
    pub(crate) async fn meanwhile(
        &mut self,
        mut waiting: BoxFuture<'static, ()>,
    ) -> Result<(), Error> {
        loop {
            let done = std::future::poll_fn(|cx| match poll_done(&mut self.deferred, cx) {
                done if done.is_empty() => waiting.as_mut().poll(cx).map(|()| None),
                done => Poll::Ready(Some(done)),
            })
            .await;
            match done {
                Some(done) => self.answer(done).await?,
                None => return Ok(()),
            }
        }
    }

    pub(super) async fn answer(&mut self, done: Vec<(Deferred, Stored)>) -> Result<(), Error> {
        if done.is_empty() {
            return Ok(());
        }
        for (Deferred { context, request, bytes, begun, .. }, stored) in done {
            self.queue_response(&context, request.response(stored.reply.clone()), None);
            self.tell_stored(bytes, begun, &stored.reply);
            if let Some(ids) = stored.filed {
                self.stored_in(ids);
            }
        }
        self.flush().await
    }
}

/// Takes those that are done out of the others.
pub(super) fn poll_done(
    deferred: &mut Vec<Deferred>,
    cx: &mut Polling<'_>,
) -> Vec<(Deferred, Stored)> {
    let mut done = Vec::new();
    let mut at = 0;
    while at < deferred.len() {
        match deferred[at].storing.as_mut().poll(cx) {
            Poll::Ready(stored) => done.push((deferred.remove(at), stored)),
            Poll::Pending => at += 1,
        }
    }
    done
}
