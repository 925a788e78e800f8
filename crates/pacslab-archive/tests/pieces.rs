//! Large objects leave in pieces, and none that is damaged leaves as a whole.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pacslab_archive::{Change, Delivered, Delivery, Scope};
use pacslab_dicom::{Dataset, Element, FileMeta, TransferSyntax, Value, encode, parse};
use pacslab_dimse::message::Request;
use pacslab_dimse::service::store::{self, StoreBegin, StoreHandler, StoreSink};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer, Remote, Requestor,
    ServerConfig, StatusReply, Syntaxes, negotiate, pdu, serve,
};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Moment, Tag, Vr, tags, uids};
use support::{Lab, object};
use tokio::net::TcpListener;

/// What came whole, by SOP instance.
type Arrived = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Takes storage in what this offers.
struct Destination(Arrived, Offer);

impl Acceptor for Destination {
    fn decide(&self, request: &pdu::AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|_| Some(self.1)))
    }
}

impl Handler for Destination {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move { store::scp(association, &context, &request, self).await })
    }
}

impl StoreHandler for Destination {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        let name = store.sop_instance.to_string();
        Ok(Box::new(Sink { name, bytes: Vec::new(), arrived: self.0.clone() }))
    }
}

struct Sink {
    name: String,
    bytes: Vec<u8>,
    arrived: Arrived,
}

impl StoreSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StatusReply> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, store::Stored> {
        self.arrived.lock().unwrap().insert(self.name, self.bytes);
        Box::pin(std::future::ready(StatusReply::SUCCESS.into()))
    }
}

/// Sends a study; gives what arrived, and what failed why.
async fn deliver(lab: &Lab) -> (BTreeMap<String, Vec<u8>>, Vec<(String, String)>) {
    deliver_in(lab, Offer::STORAGE).await
}

async fn deliver_in(lab: &Lab, offer: Offer) -> (BTreeMap<String, Vec<u8>>, Vec<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let destination = Arc::new(Destination(Arrived::default(), offer));
    let clock = Arc::new(FixedClock(Moment::new(0, 0)));
    let config = ServerConfig::new(destination.clone(), Arc::new(Collect::default()), clock);
    tokio::spawn(serve(listener, config, destination.clone(), std::future::pending()));
    let requestor = Requestor::silent(AeTitle::new("PACSLAB").unwrap());
    let aet = AeTitle::new("WS").unwrap();
    let remote = Remote { aet, host: "127.0.0.1".into(), port, tls: false };
    let instances = lab.archive.instances(Scope::study("1.2")).await.unwrap();
    let mut delivery = Delivery::new(lab.archive.clone(), requestor, remote, instances, None);
    let mut failed = Vec::new();
    while let Some(delivered) = delivery.next().await {
        match delivered {
            Delivered::Completed => {}
            Delivered::Failed { sop_instance, why } => failed.push((sop_instance.to_string(), why)),
            other @ Delivered::Warning(_) => panic!("{other:?}"),
        }
    }
    delivery.finish().await;
    let arrived = destination.0.lock().unwrap().clone();
    (arrived, failed)
}

/// Around the size of a piece, and of several.
const SIZES: [usize; 6] = [100, (1 << 20) - 2000, (1 << 20) - 100, 1 << 20, 3 << 20, 5_000_000];

async fn filled() -> (Lab, BTreeMap<String, Vec<u8>>) {
    let lab = Lab::new();
    let mut all = BTreeMap::new();
    for (number, size) in (1..).zip(SIZES) {
        let (meta, bytes) = object("P1", "1.2", 1, number, size);
        lab.store(&(meta.clone(), bytes.clone())).await;
        all.insert(meta.sop_instance.to_string(), bytes);
    }
    (lab, all)
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_all_sizes_arrive_as_they_are_stored() {
    let (lab, all) = filled().await;
    let (arrived, failed) = deliver(&lab).await;
    assert_eq!(failed, []);
    assert!(arrived == all, "{:?}", arrived.keys());
    for stored in lab.archive.instances(Scope::study("1.2")).await.unwrap() {
        let whole = lab.archive.object(&stored).await.unwrap();
        let (mut pieces, mut joined) = (lab.archive.pieces(&stored), Vec::new());
        while let Some(piece) = pieces.next().await.unwrap() {
            joined.extend_from_slice(&piece);
        }
        assert!(joined == whole.file[..] && pieces.is_over());
    }
}

/// What is damaged in the packs does not arrive, and the others do.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_never_arrives_as_a_whole() {
    for (number, from_end) in [(5, 7), (5, (3 << 20) - 9), (6, 2_000_000), (1, 7)] {
        let (lab, mut all) = filled().await;
        let uid = format!("1.2.1.{number}");
        let stored = lab.archive.instances(Scope::instance(&*uid)).await.unwrap().remove(0);
        let at = stored.location;
        let path = lab.folder.path().join(format!("packs/{:06}.pack", at.pack));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(at.offset + at.len - from_end) as usize] ^= 1;
        std::fs::write(path, bytes).unwrap();
        let (arrived, failed) = deliver(&lab).await;
        all.remove(&uid);
        assert_eq!(arrived.keys().collect::<Vec<_>>(), all.keys().collect::<Vec<_>>());
        assert!(arrived == all);
        assert_eq!(failed.len(), 1);
        assert!(failed[0].0 == uid && failed[0].1.contains("the CRC of an object is wrong"));
        let told = lab.events.take();
        let damaged = told.iter().find(|event| event.kind == "archive.damaged").unwrap();
        assert_eq!(damaged.ids.sop_uid, uid);
        let mut pieces = lab.archive.pieces(&stored);
        let mut seen = 0;
        while let Ok(piece) = pieces.next().await {
            seen += piece.expect("the end is no end").len() as u64;
        }
        assert!(seen < at.len, "{seen}");
    }
}

/// A multi-frame object in runs, each frame 1 MiB and a row, and odd at that.
fn runs(number: u32, frames: usize) -> (FileMeta, Dataset) {
    let (mut meta, bytes) = object("P1", "1.2", 1, number, 10);
    let mut set = parse(&bytes, &meta.transfer_syntax).unwrap();
    meta.transfer_syntax = TransferSyntax::from_uid("1.2.840.10008.1.2.5");
    let (rows, columns) = (1025_usize, 1023_usize);
    let frame = |value: usize| {
        let mut frame = vec![0; 64];
        (frame[0], frame[4]) = (1, 64);
        let mut left = rows * columns;
        while left > 0 {
            let run = left.min(128);
            let header = if run == 1 { 0 } else { (257 - run) as u8 };
            frame.extend([header, value as u8]);
            left -= run;
        }
        frame
    };
    let items = std::iter::once(Vec::new()).chain((0..frames).map(frame)).collect();
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows as u16),
        (tags::COLUMNS, columns as u16),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.put_u16(tag, value);
    }
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_str(tags::NUMBER_OF_FRAMES, Vr::IS, frames.to_string());
    set.put(Element { tag: tags::PIXEL_DATA, vr: Vr::OB, value: Value::Fragments(items) });
    set.put_bytes(Tag::new(0xFFFC, 0xFFFC), Vr::OB, vec![0; 6]);
    (meta, set)
}

/// Frame by frame it is the same bytes as decoded whole, and half of it is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decoded_while_it_is_sent_is_the_same() {
    const NATIVE: [(&[&str], TransferSyntax); 2] = [
        (&[uids::EXPLICIT_VR_LE], TransferSyntax::ExplicitLe),
        (&[uids::IMPLICIT_VR_LE], TransferSyntax::ImplicitLe),
    ];
    let lab = Lab::new();
    let mut all = BTreeMap::new();
    // small, odd in all, even in all
    for (number, frames) in [(1, 3), (2, 13), (3, 20)] {
        let (meta, set) = runs(number, frames);
        lab.store(&(meta.clone(), encode(&set, &meta.transfer_syntax))).await;
        all.insert(meta.sop_instance.to_string(), (meta, set));
    }
    for (accepted, syntax) in NATIVE {
        let offer = Offer { syntaxes: Syntaxes::Preferred(accepted), ..Offer::STORAGE };
        let (arrived, failed) = deliver_in(&lab, offer).await;
        assert_eq!((failed, arrived.len()), (Vec::new(), 3));
        for (uid, (meta, set)) in &all {
            let plain = pacslab_codec::decompress(set, &meta.transfer_syntax, 1 << 30).unwrap();
            assert!(arrived[uid] == encode(&plain, &syntax), "{uid} as {syntax:?}");
        }
    }
    let (meta, mut set) = runs(4, 15);
    let mut pixels = set.remove(tags::PIXEL_DATA).unwrap();
    if let Value::Fragments(items) = &mut pixels.value {
        items[13].truncate(1000);
    }
    set.put(pixels);
    lab.store(&(meta.clone(), encode(&set, &meta.transfer_syntax))).await;
    let offer = Offer { syntaxes: Syntaxes::Preferred(NATIVE[0].0), ..Offer::STORAGE };
    let (arrived, failed) = deliver_in(&lab, offer).await;
    assert_eq!((arrived.len(), failed.len()), (3, 1));
    assert!(failed[0].0 == "1.2.1.4" && failed[0].1.contains("frame 13"), "{failed:?}");
}

/// Whoever compacts takes nothing away from whoever reads.
#[tokio::test(flavor = "multi_thread")]
async fn what_moves_while_it_is_read_is_read_on() {
    let lab = Lab::new();
    for number in 1..40 {
        lab.store(&object("P1", "1.2", 1, number, 5_000)).await;
    }
    let stored = lab.archive.instances(Scope::instance("1.2.1.2")).await.unwrap().remove(0);
    let whole = lab.archive.object(&stored).await.unwrap();
    for number in (1..30).filter(|number| *number != 2) {
        let scope = Scope::instance(format!("1.2.1.{number}"));
        lab.change(Change::Delete(scope)).await;
    }
    lab.archive.compact(100).await.unwrap();
    let now = lab.archive.instances(Scope::instance("1.2.1.2")).await.unwrap().remove(0);
    assert_ne!(now.location, stored.location);
    let mut pieces = lab.archive.pieces(&stored);
    assert!(pieces.next().await.unwrap().unwrap() == whole.file[..]);
    assert!(pieces.next().await.unwrap().is_none());
}
