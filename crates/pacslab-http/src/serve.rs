//! The listener: how many connections, how long they may be silent, how they end.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::gate::{Gate, Open};
use crate::patience::Patience;
use crate::silent::Silent;

/// How the listener treats connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listening {
    /// Open connections. For one more, the one that has been silent longest since it was opened
    /// is closed; when all have asked for something, it waits until one of them ends.
    pub connections: usize,
    /// From the opening of a connection, or the end of the last answer on it, to the end of the
    /// next request's headers.
    pub header_timeout: Duration,
    /// How long the other side may read nothing of an answer.
    pub write_timeout: Duration,
    /// What is in flight at shutdown may take this long to end.
    pub drain: Duration,
}

impl Default for Listening {
    fn default() -> Self {
        Self {
            connections: 512,
            header_timeout: Duration::from_secs(15),
            write_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Who a request came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client(pub(crate) SocketAddr);

/// Turns true at shutdown: answers without end then end.
#[derive(Clone, Debug)]
pub(crate) struct Closing(pub(crate) watch::Receiver<bool>);

/// Serves until `shutdown` is ready, then lets what is in flight end.
///
/// Answers how many connections had to be cut.
pub async fn serve(
    listener: TcpListener,
    app: Router,
    listening: Listening,
    shutdown: impl Future<Output = ()>,
) -> usize {
    serve_behind(Arc::new(Open), listener, app, listening, shutdown).await
}

/// As [`serve`], behind a gate that each connection has to pass.
pub async fn serve_behind(
    gate: Arc<dyn Gate>,
    listener: TcpListener,
    app: Router,
    listening: Listening,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let slots = Arc::new(Semaphore::new(listening.connections));
    let (closing, closed) = watch::channel(false);
    let app = app.layer(Extension(Closing(closed.clone())));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let silent = Arc::new(Silent::default());
    let mut shutdown = pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = async {
            let accepted = listener.accept().await;
            if accepted.is_ok() && slots.available_permits() == 0 {
                silent.make_room();
            }
            (accepted, slots.clone().acquire_owned().await)
        };
        let (accepted, slot) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accepted => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // out of file handles, most likely: some connection has to end first
                tracing::warn!(%error, "cannot accept a connection");
                silent.make_room();
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let (gate, watcher, app) = (gate.clone(), graceful.watcher(), app.clone());
        let mut closed = closed.clone();
        let visitor = Arc::new(silent.visitor());
        connections.spawn(async move {
            let conversation = async {
                let stream = tokio::select! {
                    stream = gate.open(stream, from) => stream,
                    // nothing is in flight on it
                    _ = closed.wait_for(|closed| *closed) => None,
                };
                let Some(stream) = stream else { return };
                let stream = Patience::new(stream, listening.write_timeout);
                let app = TowerToHyperService::new(app.layer(Extension(Client(from))));
                let guest = visitor.clone();
                let service = service_fn(move |request| {
                    guest.speaks();
                    app.call(request)
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(listening.header_timeout)
                    .serve_connection(TokioIo::new(stream), service);
                if let Err(error) = watcher.watch(connection).await {
                    tracing::debug!(%from, %error, "a connection ended early");
                }
            };
            tokio::select! {
                () = conversation => {}
                () = visitor.told_to_leave() => {
                    tracing::debug!(%from, "a silent connection had to make room");
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = closing.send(true);
    if tokio::time::timeout(listening.drain, graceful.shutdown()).await.is_ok() {
        // the tasks end with their connections
        while connections.join_next().await.is_some() {}
    }
    while connections.try_join_next().is_some() {}
    let cut = connections.len();
    connections.shutdown().await;
    cut
}
