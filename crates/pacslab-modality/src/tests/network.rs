//! The scanner's sequence against a department of a few lines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use pacslab_dicom::{Dataset, TransferSyntax, parse};
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::pdu::AssociateRq;
use pacslab_dimse::service::find::{self, FindHandler, FindRequest, FindResults};
use pacslab_dimse::service::store::{self, StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::{
    Acceptor, Association, BoxFuture, Context, Decision, Handler, Offer, Remote, Requestor,
    ServerConfig, Status, StatusReply, negotiate, serve,
};
use pacslab_model::event::Silent;
use pacslab_model::matching::{self, Rules};
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Uid, Vr, tags, uids};

use super::{answer, at, item, options};
use crate::scanner::{Error, Scanner, WorklistKeys};
use crate::{BadItem, acquire};

/// A worklist and an archive in memory.
#[derive(Default)]
struct Department {
    items: Vec<Dataset>,
    stored: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Answers this instead of success after so many images.
    full_after: Option<usize>,
}

impl Acceptor for Department {
    fn decide(&self, request: &AssociateRq, _: SocketAddr) -> Decision {
        Decision::Accept(negotiate(request, &|uid: &Uid| {
            Some(if uid.as_str() == uids::MODALITY_WORKLIST_FIND {
                Offer::SERVICE
            } else {
                Offer::STORAGE
            })
        }))
    }
}

impl Handler for Department {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: Request,
    ) -> BoxFuture<'a, Result<(), pacslab_dimse::Error>> {
        Box::pin(async move {
            match request.operation {
                Operation::Find { .. } => find::scp(association, &context, &request, self).await,
                _ => store::scp(association, &context, &request, self).await,
            }
        })
    }
}

impl FindHandler for Department {
    fn find(
        &self,
        request: FindRequest,
    ) -> BoxFuture<'_, Result<Box<dyn FindResults>, StatusReply>> {
        let keys = pacslab_dicom::query_keys(&request.identifier).unwrap();
        let found: Vec<Dataset> = self
            .items
            .iter()
            .filter(|item| matching::matches(&keys, *item, &Rules::WORKLIST).is_match())
            .cloned()
            .collect();
        Box::pin(async move { Ok(Box::new(found.into_iter()) as Box<dyn FindResults>) })
    }
}

impl StoreHandler for Department {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        let stored = self.stored.clone();
        if self.full_after.is_some_and(|full| stored.lock().unwrap().len() >= full) {
            return Err(Status(0xA700).into());
        }
        Ok(Box::new(Sink { stored, uid: store.sop_instance.to_string(), bytes: Vec::new() }))
    }
}

struct Sink {
    stored: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    uid: String,
    bytes: Vec<u8>,
}

impl StoreSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        Box::pin(async move {
            self.stored.lock().unwrap().insert(self.uid, self.bytes);
            StatusReply::SUCCESS.into()
        })
    }
}

async fn start(department: Department) -> (Scanner, Arc<Mutex<BTreeMap<String, Vec<u8>>>>) {
    let stored = department.stored.clone();
    let department = Arc::new(department);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config =
        ServerConfig::new(department.clone(), Arc::new(Silent), Arc::new(FixedClock(at())));
    tokio::spawn(serve(listener, config, department, std::future::pending()));
    let remote = Remote {
        aet: AeTitle::new("ARCHIVE").unwrap(),
        host: "127.0.0.1".to_owned(),
        port,
        tls: false,
    };
    let requestor = Requestor::silent(options().station);
    (Scanner { requestor, worklist: remote.clone(), archive: remote }, stored)
}

#[tokio::test]
async fn a_scanner_finds_its_order_and_delivers_the_images() {
    let mut later = answer().with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1002");
    later.items_mut(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap()[0].put_str(
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        Vr::TM,
        "091000",
    );
    let mut elsewhere = answer();
    elsewhere.items_mut(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap()[0].put_str(
        tags::SCHEDULED_STATION_AE_TITLE,
        Vr::AE,
        "OTHER",
    );
    // of no use without a patient, but no reason to stop
    let broken = answer().with_str(tags::PATIENT_ID, Vr::LO, "");
    let items = vec![later, broken, elsewhere, answer()];
    let (scanner, stored) = start(Department { items, ..Department::default() }).await;

    let keys = WorklistKeys { station: "PYMOD1".to_owned(), ..WorklistKeys::default() };
    let found = scanner.query(&keys).await.unwrap();
    assert!(matches!(found.unusable[..], [BadItem::Missing { tag: tags::PATIENT_ID, .. }]));
    let found = found.items;
    let accessions: Vec<&str> = found.iter().map(|item| item.accession()).collect();
    assert_eq!(accessions, ["ACC1001", "ACC1002"], "only ours, the earliest first");
    let one = WorklistKeys { accession: "ACC1002".to_owned(), ..WorklistKeys::default() };
    assert_eq!(scanner.query(&one).await.unwrap().items.len(), 1);

    let acquisition = acquire(&found[0], &options()).unwrap();
    let sent = scanner.send(&acquisition).await.unwrap();
    assert_eq!((sent.stored, sent.warnings.len()), (16, 0));
    let stored = stored.lock().unwrap();
    for instance in acquisition.instances() {
        let bytes = &stored[instance.meta.sop_instance.as_str()];
        let dataset = parse(bytes, &TransferSyntax::ExplicitLe).unwrap();
        assert_eq!(dataset, instance.dataset);
    }
}

#[tokio::test]
async fn an_archive_that_is_full_is_reported_with_what_it_took() {
    let full = Department { full_after: Some(3), ..Department::default() };
    let (scanner, stored) = start(full).await;
    let acquisition = acquire(&item(), &options()).unwrap();
    let error = scanner.send(&acquisition).await.unwrap_err();
    let Error::NotStored { stored: count, reply, .. } = &error else { panic!("{error}") };
    assert_eq!((*count, reply.status, stored.lock().unwrap().len()), (3, Status(0xA700), 3));
    assert!(error.to_string().contains("after 3 images"), "{error}");
}
