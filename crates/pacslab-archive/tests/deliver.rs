//! Sending to destinations that do not behave.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pacslab_archive::{Archive, Delivered, Delivery, Origin, Parts};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file};
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::pdu::{self, Pdu};
use pacslab_dimse::service::store::{self, StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer, Remote, Requestor,
    ServerConfig, StatusReply, negotiate, serve,
};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Moment, Uid, Vr, tags, uids};
use pacslab_store::{MemoryBlobs, Scope, SqliteIndex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn archive(instances: u32, pixels: usize) -> Arc<Archive> {
    let archive = Archive::open(Parts {
        blobs: Arc::new(MemoryBlobs::default()),
        index: Arc::new(SqliteIndex::memory().unwrap()),
        clock: Arc::new(FixedClock(Moment::new(1_700_000_000_000_000, 0))),
        emit: Arc::new(Collect::default()),
    })
    .unwrap();
    for number in 0..instances {
        let sop = format!("1.2.1.{number}");
        let mut set = Dataset::new()
            .with_str(tags::SOP_CLASS_UID, Vr::UI, uids::CT_IMAGE_STORAGE)
            .with_str(tags::SOP_INSTANCE_UID, Vr::UI, sop.as_str())
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2")
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.1");
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![0; pixels]);
        let meta = FileMeta {
            sop_class: uids::CT_IMAGE_STORAGE.into(),
            sop_instance: Uid::new(sop),
            transfer_syntax: TransferSyntax::ImplicitLe,
            source_aet: None,
        };
        archive.ingest_file(&file::write(&meta, &set), Origin::default()).await.unwrap();
    }
    archive
}

/// Accepts an association and never reads again.
async fn accept_and_be_deaf(mut stream: TcpStream) -> Option<TcpStream> {
    let mut header = [0; 6];
    stream.read_exact(&mut header).await.ok()?;
    let mut body = vec![0; u32::from_be_bytes(*header[2..].first_chunk()?) as usize];
    stream.read_exact(&mut body).await.ok()?;
    let Ok(Pdu::AssociateRq(rq)) = pdu::decode(header[0], body.into()) else { return None };
    let contexts = rq.contexts.iter().map(|context| pdu::ContextResult {
        id: context.id,
        result: pdu::ContextOutcome::Accepted,
        transfer_syntax: context.transfer_syntaxes[0].clone(),
    });
    let ac = pdu::AssociateAc {
        protocol_version: 1,
        called: rq.called,
        calling: rq.calling,
        application_context: uids::APPLICATION_CONTEXT.into(),
        contexts: contexts.collect(),
        user: pdu::UserInformation::default(),
    };
    let mut bytes = Vec::new();
    pdu::encode(&Pdu::AssociateAc(ac), &mut bytes).ok()?;
    stream.write_all(&bytes).await.ok()?;
    Some(stream)
}

/// A destination that accepts and never reads was waited for a minute with each of the images: a
/// study of five hundred took eight hours to fail.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_is_waited_for_once() {
    // more than the buffers of a connection hold
    let archive = archive(5, 16 << 20).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(accept_and_be_deaf(stream).await);
        }
    });
    let mut requestor = Requestor::silent(AeTitle::new("PACSLAB").unwrap());
    requestor.timeouts.idle = Duration::from_secs(1);
    requestor.timeouts.response = Duration::from_secs(1);
    let aet = AeTitle::new("DEAF").unwrap();
    let remote = Remote { aet, host: "127.0.0.1".into(), port, tls: false };
    let instances = archive.instances(Scope::study("1.2")).await.unwrap();
    let mut delivery = Delivery::new(archive, requestor, remote, instances, None);
    let begun = Instant::now();
    let mut failed = 0;
    while let Some(delivered) = delivery.next().await {
        assert!(matches!(delivered, Delivered::Failed { .. }), "{delivered:?}");
        failed += 1;
    }
    assert_eq!(failed, 5);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    delivery.finish().await;
}

/// A retrieval that was cancelled does not wait for such a destination at all.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_stopped_waits_for_nobody() {
    let archive = archive(1, 16 << 20).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepted = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let held = accept_and_be_deaf(stream).await;
        std::future::pending::<()>().await;
        drop(held);
    });
    let requestor = Requestor::silent(AeTitle::new("PACSLAB").unwrap());
    let aet = AeTitle::new("DEAF").unwrap();
    let remote = Remote { aet, host: "127.0.0.1".into(), port, tls: false };
    let instances = archive.instances(Scope::study("1.2")).await.unwrap();
    let mut delivery = Delivery::new(archive, requestor, remote, instances, None);
    let sending = tokio::time::timeout(Duration::from_secs(1), delivery.next()).await;
    assert!(sending.is_err(), "{sending:?}");
    let begun = Instant::now();
    delivery.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    accepted.abort();
}

/// A destination that takes several objects at a time, answers none of them before two are there,
/// and breaks the association over one of them.
#[derive(Default)]
struct Overlapping {
    stored: Mutex<Vec<String>>,
    /// At most so many at a time.
    together: AtomicUsize,
    under_way: Arc<AtomicUsize>,
}

const POISON: &str = "1.2.1.5";

impl Acceptor for Overlapping {
    fn decide(&self, request: &pdu::AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|_| Some(Offer::STORAGE)))
    }
}

impl Handler for Overlapping {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if let Operation::Store { sop_instance, .. } = &request.operation
                && sop_instance.as_str() == POISON
            {
                return Err(Error::Denied("it cannot be had".into()));
            }
            store::scp(association, &context, &request, self).await
        })
    }
}

impl StoreHandler for Overlapping {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.together.fetch_max(now, Ordering::SeqCst);
        self.stored.lock().unwrap().push(store.sop_instance.to_string());
        Ok(Box::new(Counted(self.under_way.clone())))
    }
}

struct Counted(Arc<AtomicUsize>);

impl StoreSink for Counted {
    fn write(&mut self, _: &[u8]) -> Result<(), StatusReply> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        Box::pin(async move {
            // the next one comes meanwhile
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.0.fetch_sub(1, Ordering::SeqCst);
            StatusReply::SUCCESS.into()
        })
    }
}

/// With several on their way a broken association says nothing of which of them did it.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_breaks_the_association_does_not_take_others_with_it() {
    let archive = archive(12, 64).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let destination = Arc::new(Overlapping::default());
    let clock = Arc::new(FixedClock(Moment::new(0, 0)));
    let config = ServerConfig::new(destination.clone(), Arc::new(Collect::default()), clock);
    tokio::spawn(serve(listener, config, destination.clone(), std::future::pending()));
    let requestor = Requestor::silent(AeTitle::new("PACSLAB").unwrap());
    let aet = AeTitle::new("WS").unwrap();
    let remote = Remote { aet, host: "127.0.0.1".into(), port, tls: false };
    let instances = archive.instances(Scope::study("1.2")).await.unwrap();
    let mut delivery = Delivery::new(archive, requestor, remote, instances, None);
    let (mut completed, mut failed) = (0, Vec::new());
    while let Some(delivered) = delivery.next().await {
        match delivered {
            Delivered::Completed => completed += 1,
            Delivered::Failed { sop_instance, .. } => failed.push(sop_instance),
            other @ Delivered::Warning(_) => panic!("{other:?}"),
        }
    }
    assert_eq!((completed, failed), (11, vec![Uid::from(POISON)]));
    assert!(destination.together.load(Ordering::SeqCst) > 1);
    let mut stored = destination.stored.lock().unwrap().clone();
    stored.sort_unstable();
    stored.dedup();
    assert_eq!(stored.len(), 11);
    delivery.finish().await;
}
