//! A storage SCP that counts and forgets: where C-MOVE sends to, and what shows how fast the
//! client itself is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pacslab_dicom::dict;
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::service::store::{StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::service::{store, verification};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer, ServerConfig,
    StatusReply, negotiate, refuse,
};
use pacslab_model::event::Silent;
use pacslab_model::{Uid, uids};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::clock::SystemClock;

/// What came in.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) objects: AtomicU64,
    pub(crate) bytes: AtomicU64,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) port: u16,
    pub(crate) counted: Arc<Counted>,
    serving: JoinHandle<()>,
}

impl Sink {
    pub(crate) fn start(listener: TcpListener) -> std::io::Result<Self> {
        let port = listener.local_addr()?.port();
        let counted = Arc::new(Counted::default());
        let handler = Arc::new(Taker(counted.clone()));
        let config = ServerConfig::new(Arc::new(All), Arc::new(Silent), Arc::new(SystemClock));
        let serving = tokio::spawn(async move {
            pacslab_dimse::serve(listener, config, handler, std::future::pending()).await;
        });
        Ok(Self { port, counted, serving })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[derive(Debug)]
struct All;

impl Acceptor for All {
    fn decide(&self, request: &AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|uid: &Uid| {
            if uid.as_str() == uids::VERIFICATION {
                return Some(Offer::SERVICE);
            }
            dict::is_storage(uid.as_str()).then_some(Offer::STORAGE)
        }))
    }
}

/// Takes objects and counts them: of C-STORE, and of the sub-operations of a C-GET.
#[derive(Debug, Default)]
pub(crate) struct Taker(pub(crate) Arc<Counted>);

impl Handler for Taker {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            match request.operation {
                Operation::Echo { .. } => verification::scp(association, &context, &request).await,
                Operation::Store { .. } => store::scp(association, &context, &request, self).await,
                _ => refuse(association, &context, &request).await,
            }
        })
    }
}

impl StoreHandler for Taker {
    fn begin(&self, _: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        Ok(Box::new(One { counted: self.0.clone(), bytes: 0 }))
    }
}

struct One {
    counted: Arc<Counted>,
    bytes: u64,
}

impl StoreSink for One {
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.bytes += chunk.len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        self.counted.objects.fetch_add(1, Ordering::Relaxed);
        self.counted.bytes.fetch_add(self.bytes, Ordering::Relaxed);
        Box::pin(std::future::ready(StatusReply::SUCCESS.into()))
    }
}
