//! Sending to destinations that do not behave.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_archive::{Archive, Delivered, Delivery, Origin, Parts};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file};
use pacslab_dimse::pdu::{self, Pdu};
use pacslab_dimse::{Remote, Requestor};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Moment, Uid, Vr, tags, uids};
use pacslab_store::{MemoryBlobs, Scope, SqliteIndex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn archive(instances: u32) -> Arc<Archive> {
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
        // more than the buffers of a connection hold
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![0; 16 << 20]);
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
    let archive = archive(5).await;
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
