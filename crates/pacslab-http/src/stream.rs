//! Bodies that are made while they are sent: one piece waits at most, so that memory stays small
//! however long the whole is.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;

/// What a body ends with when it cannot be completed: the client sees it cut short.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) String);

/// The end that pieces are put into.
#[derive(Debug)]
pub(crate) struct Pipe {
    sender: mpsc::Sender<Result<Bytes, Broken>>,
    patience: Duration,
}

/// The receiver is gone, or has taken nothing for too long.
#[derive(Debug)]
pub(crate) struct Gone;

struct Pieces(mpsc::Receiver<Result<Bytes, Broken>>);

impl Stream for Pieces {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A body and the pipe that fills it. A receiver that takes nothing for `patience` is given up.
pub(crate) fn pipe(patience: Duration) -> (Pipe, Body) {
    let (sender, receiver) = mpsc::channel(1);
    (Pipe { sender, patience }, Body::from_stream(Pieces(receiver)))
}

impl Pipe {
    pub(crate) async fn send(&self, piece: impl Into<Bytes>) -> Result<(), Gone> {
        self.sender.send_timeout(Ok(piece.into()), self.patience).await.map_err(|_| Gone)
    }

    /// Cuts the body short.
    pub(crate) async fn fail(self, why: impl ToString) {
        let why = why.to_string();
        tracing::error!(%why, "an answer had to be cut short");
        let _ = self.sender.send_timeout(Err(Broken(why)), self.patience).await;
    }

    /// Nobody reads any more.
    pub(crate) async fn gone(&self) {
        self.sender.closed().await;
    }
}
