//! Every service of the embedded PACS, asked over a real socket. What is expected stands here a
//! second time, on purpose: a row that is lost from `SERVICES` fails negotiation and dispatch.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pacslab_archive::{Archive, Caller, CommitmentSettings, Commitments, Parts, Peer, Peers};
use pacslab_dicom::{Dataset, TransferSyntax, encode};
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::commitment::{CommitmentReport, CommitmentRequest, Reference};
use pacslab_dimse::service::store::{StoreBegin, StoreHandler, StoreRequest, StoreSink, Stored};
use pacslab_dimse::{
    Acceptance, Acceptor, Association, BoxFuture, Context, Decision, Error, Handler, Offer,
    Proposal, Remote, Requestor, ServerConfig, Status, StatusReply, negotiate, serve,
};
use pacslab_model::event::Collect;
use pacslab_model::order::{Order, ScheduledStep, StepStatus};
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Moment, PersonName, Uid, Vr, tags, uids};
use pacslab_ris::{Ris, RisSettings, Worklist, WorklistSettings};
use pacslab_scp::{Door, Gate, SERVICES};
use pacslab_store::{MemoryBlobs, SqliteDesk, SqliteIndex};
use tokio::net::TcpListener;

const CT: &str = uids::CT_IMAGE_STORAGE;

/// SOP instance, transfer syntax, data set.
type Objects = Arc<Mutex<Vec<(Uid, Uid, Vec<u8>)>>>;

struct Lab {
    remote: Remote,
    us: Requestor,
    events: Arc<Collect>,
    received: Objects,
    folder: tempfile::TempDir,
}

async fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let worklists = folder.path().join("worklists");
    std::fs::create_dir(&worklists).unwrap();
    let events = Arc::new(Collect::default());
    let clock = Arc::new(FixedClock(Moment::parse("2026-01-05T08:00", 0).unwrap()));
    let archive = Archive::open(Parts {
        blobs: Arc::new(MemoryBlobs::default()),
        index: Arc::new(SqliteIndex::open(&folder.path().join("index.db")).unwrap()),
        clock: clock.clone(),
        emit: events.clone(),
    })
    .unwrap();
    let worklist =
        Worklist::open(&worklists, WorklistSettings::default(), clock.clone(), events.clone())
            .unwrap();
    let worklist = Arc::new(worklist);
    let desk = Arc::new(SqliteDesk::memory().unwrap());
    let settings = RisSettings::default();
    let ris = Ris::open(desk, worklist.clone(), settings, clock.clone(), events.clone()).unwrap();
    let (receiver, received) = receiver().await;
    let aet = AeTitle::new("PACSLAB").unwrap();
    let peers = Arc::new(Peers::new(
        [receiver, remote("NOBODY", 1)]
            .map(|at| Peer::new(at.aet.to_string(), at.aet, at.host, at.port)),
    ));
    let requestor = Requestor::new(aet.clone(), events.clone(), clock.clone());
    let commitments = Commitments::open(
        archive.clone(),
        Arc::new(SqliteDesk::memory().unwrap()),
        peers.clone(),
        Caller::new(archive.clone(), requestor.clone()),
        aet.clone(),
        CommitmentSettings::default(),
    )
    .unwrap();
    tokio::spawn(commitments.clone().run(std::future::pending()));
    let door = Arc::new(Door {
        archive,
        worklist,
        ris: Arc::new(ris),
        commitments,
        aet,
        peers,
        gate: Gate::default(),
        requestor,
        events: events.clone(),
        clock: clock.clone(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = ServerConfig::new(door.clone(), events.clone(), clock);
    tokio::spawn(serve(listener, config, door, std::future::pending()));
    let us = Requestor::silent(AeTitle::new("PYMOD1").unwrap());
    Lab { remote: remote("ANYTHING", port), us, events, received, folder }
}

fn remote(aet: &str, port: u16) -> Remote {
    Remote { aet: AeTitle::new(aet).unwrap(), host: "127.0.0.1".into(), port, tls: false }
}

impl Lab {
    async fn associate(&self, abstract_syntax: &str) -> Association {
        let proposal = Proposal::of(abstract_syntax);
        Association::connect(&self.us, &self.remote, proposal).await.unwrap()
    }

    async fn store(&self, study: &str, number: u32, name: &str) -> StatusReply {
        let (sop, bytes) = image(study, number, name, &TransferSyntax::ExplicitLe);
        let mut association = self.associate(CT).await;
        let syntax = Uid::from(uids::EXPLICIT_VR_LE);
        let class = Uid::from(CT);
        let reply =
            association.store(StoreRequest::new(&class, &sop, &syntax, &bytes)).await.unwrap();
        association.release().await.unwrap();
        reply
    }

    async fn find(&self, model: &str, identifier: &Dataset) -> (Vec<Dataset>, StatusReply) {
        let mut association = self.associate(model).await;
        let found = association.find_all(model, identifier, 1_000).await.unwrap();
        association.release().await.unwrap();
        found
    }

    async fn retrieve(&self, model: &str, to: &str, identifier: &Dataset) -> StatusReply {
        let mut association = self.associate(model).await;
        let reply = {
            let mut answers = association.move_(model, to, identifier).await.unwrap();
            while answers.next().await.unwrap().is_some() {}
            answers.reply().unwrap().clone()
        };
        association.release().await.unwrap();
        reply
    }

    fn schedule(&self, accession: &str, station: &str) {
        let order = Order {
            accession: accession.into(),
            patient: pacslab_model::order::Patient {
                id: pacslab_model::order::Identifier::new("P12345", "PACSLAB"),
                name: PersonName::new("DOE^JANE"),
                ..Default::default()
            },
            procedure: pacslab_model::order::RequestedProcedure {
                id: "RP1001".into(),
                description: "CT CHEST W CONTRAST".into(),
                study_uid: Uid::from_parts(&["study", accession]),
                ..Default::default()
            },
            steps: vec![ScheduledStep {
                id: "SPS1".into(),
                description: "CT CHEST".into(),
                protocol: Default::default(),
                modality: "CT".into(),
                station: AeTitle::new(station).unwrap(),
                station_name: String::new(),
                location: String::new(),
                start_date: "20260105".into(),
                start_time: "081000".into(),
                performing_physician: PersonName::default(),
                status: StepStatus::Scheduled,
            }],
            ..Default::default()
        };
        let bytes =
            pacslab_ris::worklist::file::bytes(&order, &order.steps[0], StepStatus::Scheduled);
        write(&self.folder.path().join("worklists"), &format!("{accession}.wl"), &bytes);
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let beside = folder.join(format!("{name}.tmp"));
    std::fs::write(&beside, bytes).unwrap();
    std::fs::rename(beside, folder.join(name)).unwrap();
}

fn image(study: &str, number: u32, name: &str, syntax: &TransferSyntax) -> (Uid, Vec<u8>) {
    let sop = format!("{study}.1.{number}");
    let mut set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::SOP_CLASS_UID, Vr::UI, CT)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, sop.as_str())
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, format!("{study}.1"))
        .with_str(tags::PATIENT_ID, Vr::LO, format!("P{study}"))
        .with_str(tags::PATIENT_NAME, Vr::PN, name)
        .with_str(tags::STUDY_DATE, Vr::DA, "20260105")
        .with_str(tags::MODALITY, Vr::CS, "CT");
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![1; 64]);
    (Uid::new(sop), encode(&set, syntax))
}

/// A receiver that takes Implicit VR only, so that the archive has to recode.
struct ImplicitReceiver(Objects);

async fn receiver() -> (Remote, Objects) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let handler = Arc::new(ImplicitReceiver(received.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Arc::new(pacslab_model::event::Silent);
    let clock = Arc::new(FixedClock(Moment::new(0, 0)));
    let config = ServerConfig::new(handler.clone(), silent, clock);
    tokio::spawn(serve(listener, config, handler, std::future::pending()));
    (remote("PYNETSCP", port), received)
}

impl Acceptor for ImplicitReceiver {
    fn decide(&self, rq: &pacslab_dimse::pdu::AssociateRq, _: std::net::SocketAddr) -> Decision {
        let implicit = Offer {
            syntaxes: pacslab_dimse::Syntaxes::Preferred(&[uids::IMPLICIT_VR_LE]),
            ..Offer::SERVICE
        };
        let acceptance: Acceptance = negotiate(rq, &|_| Some(implicit));
        Decision::Accept(acceptance)
    }
}

impl Handler for ImplicitReceiver {
    fn handle<'a>(
        &'a self,
        association: &'a mut Association,
        context: Arc<Context>,
        request: pacslab_dimse::message::Request,
    ) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            pacslab_dimse::service::store::scp(association, &context, &request, self).await
        })
    }
}

impl StoreHandler for ImplicitReceiver {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        struct Sink(Objects, Uid, Uid, Vec<u8>);
        impl StoreSink for Sink {
            fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
                self.3.extend_from_slice(chunk);
                Ok(())
            }
            fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
                self.0.lock().unwrap().push((self.1, self.2, self.3));
                Box::pin(std::future::ready(StatusReply::SUCCESS.into()))
            }
        }
        let (sop, syntax) = (store.sop_instance.clone(), store.transfer_syntax.clone());
        Ok(Box::new(Sink(self.0.clone(), sop, syntax, Vec::new())))
    }
}

/// What the embedded PACS has to offer.
const EXPECTED: [&str; 13] = [
    uids::VERIFICATION,
    CT,
    uids::PATIENT_ROOT_FIND,
    uids::STUDY_ROOT_FIND,
    uids::PATIENT_ROOT_MOVE,
    uids::STUDY_ROOT_MOVE,
    uids::PATIENT_ROOT_GET,
    uids::STUDY_ROOT_GET,
    uids::MODALITY_WORKLIST_FIND,
    uids::MPPS,
    uids::MPPS_RETRIEVE,
    uids::STORAGE_COMMITMENT_PUSH,
    uids::INSTANCE_AVAILABILITY,
];

#[tokio::test(flavor = "multi_thread")]
async fn everything_expected_is_negotiated_and_nothing_else() {
    let lab = lab().await;
    let contexts = EXPECTED
        .iter()
        // MPPS Notification, and nothing that anybody knows
        .chain([&"1.2.840.10008.3.1.2.3.5", &"1.2.3.4"])
        .enumerate()
        .map(|(at, uid)| ProposedContext {
            id: (2 * at + 1) as u8,
            abstract_syntax: Uid::from(*uid),
            transfer_syntaxes: vec![uids::IMPLICIT_VR_LE.into(), uids::EXPLICIT_VR_LE.into()],
        })
        .collect::<Vec<_>>();
    let association = Association::connect(&lab.us, &lab.remote, contexts).await.unwrap();
    let accepted: Vec<&str> =
        association.contexts().iter().map(|c| c.abstract_syntax.as_str()).collect();
    assert_eq!(accepted, EXPECTED);
    // several commands of one class have a row each, one after the other
    let mut classes: Vec<String> =
        SERVICES.iter().map(|row| format!("{:?}", row.abstract_syntax)).collect();
    classes.dedup();
    assert_eq!(classes.len(), EXPECTED.len(), "a new row needs its place in this test");
    for uid in pacslab_dicom::dict::storage_classes() {
        assert!(pacslab_scp::offer(&Uid::from(*uid)).is_some(), "{uid}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_service_performs_its_command() {
    let lab = lab().await;
    let mut echo = lab.associate(uids::VERIFICATION).await;
    assert_eq!(echo.echo().await.unwrap().status, Status::SUCCESS);
    echo.release().await.unwrap();

    assert_eq!(lab.store("1.2", 1, "DOE^JANE").await.status, Status::SUCCESS);
    assert_eq!(lab.store("1.2", 2, "DOE^JANE").await.status, Status::SUCCESS);
    assert_eq!(lab.store("1.3", 1, "Buc^J\u{e9}r\u{f4}me").await.status, Status::SUCCESS);

    for (model, level, key) in [
        (uids::STUDY_ROOT_FIND, "STUDY", tags::STUDY_INSTANCE_UID),
        (uids::PATIENT_ROOT_FIND, "PATIENT", tags::PATIENT_ID),
    ] {
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level)
            .with_str(tags::PATIENT_NAME, Vr::PN, "buc*")
            .with_str(key, if level == "STUDY" { Vr::UI } else { Vr::LO }, "")
            .with_str(tags::STUDY_DESCRIPTION, Vr::LO, "");
        let (found, reply) = lab.find(model, &identifier).await;
        assert_eq!((found.len(), reply.status), (1, Status::SUCCESS), "{level}");
        assert_eq!(found[0].str(tags::PATIENT_NAME), "Buc^J\u{e9}r\u{f4}me");
        assert_eq!(found[0].str(key), if level == "STUDY" { "1.3" } else { "P1.3" });
        assert!(found[0].contains(tags::STUDY_DESCRIPTION), "absent keys are answered empty");
        assert_eq!(found[0].str(tags::RETRIEVE_AE_TITLE), "PACSLAB");
    }

    let mut asking = lab.associate(uids::STORAGE_COMMITMENT_PUSH).await;
    let missing = Reference { sop_class: CT.into(), sop_instance: "1.2.9".into() };
    let asked = CommitmentRequest { transaction: "1.9".into(), references: vec![missing.clone()] };
    let accept = |_: &CommitmentReport| StatusReply::SUCCESS;
    let (reply, early) = asking.ask_commitment(&asked, &accept).await.unwrap();
    assert_eq!((reply.status, early.len()), (Status::SUCCESS, 0));
    let report = asking.next_commitment(Duration::from_secs(20), &accept).await.unwrap().unwrap();
    assert_eq!(report.failed, [(missing, Status::NO_SUCH_INSTANCE)]);
    asking.release().await.unwrap();

    lab.schedule("ACC1001", "PYMOD1");
    lab.schedule("ACC1002", "OTHER");
    let step = Dataset::new().with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "PYMOD1");
    let identifier = Dataset::new()
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "")
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let (found, reply) = lab.find(uids::MODALITY_WORKLIST_FIND, &identifier).await;
    assert_eq!((found.len(), reply.status), (1, Status::SUCCESS));
    assert_eq!(found[0].str(tags::ACCESSION_NUMBER), "ACC1001");

    for (model, level, key, value) in [
        (uids::STUDY_ROOT_MOVE, "STUDY", tags::STUDY_INSTANCE_UID, "1.2"),
        (uids::PATIENT_ROOT_MOVE, "PATIENT", tags::PATIENT_ID, "P1.3"),
    ] {
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level)
            .with_str(key, if level == "STUDY" { Vr::UI } else { Vr::LO }, value);
        let reply = lab.retrieve(model, "PYNETSCP", &identifier).await;
        assert_eq!(reply.status, Status::SUCCESS, "{reply}");
    }
    let received = lab.received.lock().unwrap();
    let sops: Vec<&str> = received.iter().map(|(sop, ..)| sop.as_str()).collect();
    assert_eq!(sops, ["1.2.1.1", "1.2.1.2", "1.3.1.1"]);
    for (_, syntax, bytes) in received.iter() {
        assert_eq!(syntax.as_str(), uids::IMPLICIT_VR_LE);
        let set = pacslab_dicom::parse(bytes, &TransferSyntax::ImplicitLe).unwrap();
        assert_eq!(set.str(tags::MODALITY), "CT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_requestor_gets_objects_as_they_are_or_recoded() {
    let lab = lab().await;
    for (study, number) in [("1.2", 1), ("1.2", 2), ("1.3", 1)] {
        assert_eq!(lab.store(study, number, "DOE^JANE").await.status, Status::SUCCESS);
    }
    for (model, level, (key, vr), value, syntax, sops) in [
        (
            uids::STUDY_ROOT_GET,
            "STUDY",
            (tags::STUDY_INSTANCE_UID, Vr::UI),
            "1.2",
            TransferSyntax::ExplicitLe,
            &["1.2.1.1", "1.2.1.2"][..],
        ),
        (
            uids::PATIENT_ROOT_GET,
            "PATIENT",
            (tags::PATIENT_ID, Vr::LO),
            "P1.3",
            TransferSyntax::ImplicitLe,
            &["1.3.1.1"][..],
        ),
    ] {
        let sink = ImplicitReceiver(Objects::default());
        let storage = [(Uid::from(CT), vec![Uid::from(syntax.uid())])];
        let proposal = Proposal::to_get(model, &storage);
        let mut association = Association::connect(&lab.us, &lab.remote, proposal).await.unwrap();
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level)
            .with_str(key, vr, value);
        let getting = association.get(model, &identifier, &sink).await.unwrap();
        let (reply, counts, _) = getting.finish().await.unwrap();
        association.release().await.unwrap();
        assert_eq!((reply.status, usize::from(counts.completed)), (Status::SUCCESS, sops.len()));
        let received = sink.0.lock().unwrap();
        let got: Vec<&str> = received.iter().map(|(sop, ..)| sop.as_str()).collect();
        assert_eq!(got, sops);
        for (_, as_sent, bytes) in received.iter() {
            assert_eq!(as_sent.as_str(), syntax.uid());
            assert_eq!(pacslab_dicom::parse(bytes, &syntax).unwrap().str(tags::MODALITY), "CT");
        }
    }
}

/// The reason stands in the answer and, whole, in the event.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_requestor_does_not_take_is_explained() {
    let lab = lab().await;
    lab.store("1.2", 1, "DOE^JANE").await;
    let study = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY").with_str(
        tags::STUDY_INSTANCE_UID,
        Vr::UI,
        "1.2",
    );
    let model = uids::STUDY_ROOT_GET;
    let explicit = vec![Uid::from(uids::EXPLICIT_VR_LE)];
    let jpeg = vec![Uid::from("1.2.840.10008.1.2.4.50")];
    let mut no_roles = Proposal::to_get(model, &[(Uid::from(CT), explicit)]);
    no_roles.roles.clear();
    let only_jpeg = Proposal::to_get(model, &[(Uid::from(CT), jpeg)]);
    let nothing = Proposal::to_get(model, &[]);
    for (proposal, said) in [
        (no_roles, "CT Image Storage: SCP role not negotiated (role selection)"),
        (only_jpeg, "CT Image Storage: Explicit VR Little Endian"),
        (nothing, "CT Image Storage: it was not proposed on this association"),
    ] {
        let sink = ImplicitReceiver(Objects::default());
        let mut association = Association::connect(&lab.us, &lab.remote, proposal).await.unwrap();
        let getting = association.get(model, &study, &sink).await.unwrap();
        let (reply, _, failed) = getting.finish().await.unwrap();
        association.release().await.unwrap();
        assert_eq!(reply.status, Status::CANNOT_PERFORM_SUBOPERATIONS);
        assert!(reply.comment.as_ref().unwrap().starts_with(said), "{reply}");
        assert_eq!(failed, [Uid::from("1.2.1.1")]);
        let told = wait_for(&lab, 1, |event| event.kind == "dimse.get").await;
        assert!(told[0].message.contains(said), "{}", told[0].message);
        assert_eq!(told[0].ids.study_uid, "1.2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worklist_query_without_matches_is_explained() {
    let lab = lab().await;
    lab.schedule("ACC1001", "CT1");
    let step = Dataset::new().with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "PYMOD1");
    let identifier = Dataset::new().with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    let (found, _) = lab.find(uids::MODALITY_WORKLIST_FIND, &identifier).await;
    assert!(found.is_empty());
    let events = lab.events.take();
    let why = events.iter().find(|e| e.kind == "worklist.no-match").unwrap();
    assert_eq!(why.fields[0].1, "ACC1001: ScheduledStationAETitle has 'CT1', asked for 'PYMOD1'");
}

/// The timeline of a study tells its images, not only that some association stored some.
#[tokio::test(flavor = "multi_thread")]
async fn stores_are_told_by_study() {
    let lab = lab().await;
    let mut association = lab.associate(CT).await;
    let (class, syntax) = (Uid::from(CT), Uid::from(uids::EXPLICIT_VR_LE));
    for (study, number) in [("1.2", 1), ("1.3", 1), ("1.2", 2)] {
        let (sop, bytes) = image(study, number, "DOE^JANE", &TransferSyntax::ExplicitLe);
        let request = StoreRequest::new(&class, &sop, &syntax, &bytes);
        assert_eq!(association.store(request).await.unwrap().status, Status::SUCCESS);
    }
    let other = Uid::from("9.9");
    let refused = association.store(StoreRequest::new(&class, &other, &syntax, b"junk")).await;
    assert!(!refused.unwrap().status.is_success());
    association.release().await.unwrap();
    let stores = wait_for(&lab, 3, |event| event.kind == "dimse.store").await;
    let told: Vec<(&str, &str)> =
        stores.iter().map(|e| (e.ids.study_uid.as_str(), e.fields[0].1.as_str())).collect();
    assert_eq!(told, [("1.2", "2"), ("1.3", "1"), ("", "1")], "{stores:?}");
}

/// Events of the end of an association come after its last answer.
async fn wait_for(
    lab: &Lab,
    count: usize,
    wanted: impl Fn(&pacslab_model::Event) -> bool,
) -> Vec<pacslab_model::Event> {
    let mut found = Vec::new();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(10);
    while found.len() < count && tokio::time::Instant::now() < deadline {
        found.extend(lab.events.take().into_iter().filter(&wanted));
        tokio::task::yield_now().await;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_is_wrong() {
    let lab = lab().await;
    lab.store("1.2", 1, "DOE^JANE").await;
    let study = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY").with_str(
        tags::STUDY_INSTANCE_UID,
        Vr::UI,
        "1.2",
    );
    let reply = lab.retrieve(uids::STUDY_ROOT_MOVE, "STRANGER", &study).await;
    assert_eq!(reply.status, Status::MOVE_DESTINATION_UNKNOWN);
    assert_eq!(
        reply.comment.as_deref(),
        Some("destination STRANGER is not known; add it to [peers]")
    );
    let reply = lab.retrieve(uids::STUDY_ROOT_MOVE, "NOBODY", &study).await;
    assert_eq!(reply.status, Status::CANNOT_PERFORM_SUBOPERATIONS, "{reply}");
    let reply = lab.find(uids::STUDY_ROOT_FIND, &Dataset::new()).await.1;
    assert_eq!(reply.status, Status::DATA_SET_MISMATCH);
    assert!(reply.comment.unwrap().contains("QueryRetrieveLevel"));
    // a data set that is another object than the command says
    let (_, bytes) = image("1.2", 7, "DOE^JANE", &TransferSyntax::ExplicitLe);
    let mut association = lab.associate(CT).await;
    let (class, other, syntax) = (Uid::from(CT), Uid::from("9.9"), Uid::from(uids::EXPLICIT_VR_LE));
    let reply =
        association.store(StoreRequest::new(&class, &other, &syntax, &bytes)).await.unwrap();
    assert_eq!(reply.status, Status::DATA_SET_MISMATCH, "{reply}");
    let reply =
        association.store(StoreRequest::new(&class, &other, &syntax, b"junk")).await.unwrap();
    assert_eq!(reply.status, Status::CANNOT_UNDERSTAND, "{reply}");
    // the association goes on
    assert_eq!(lab.store("1.2", 8, "DOE^JANE").await.status, Status::SUCCESS);
}
