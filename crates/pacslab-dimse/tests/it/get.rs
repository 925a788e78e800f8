//! C-GET: objects over the association of the request, roles, cancel, peers that break rules.

use pacslab_dicom::Dataset;
use pacslab_dimse::message::SubOperations;
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::get::Got;
use pacslab_dimse::{Error, Proposal, Status};
use pacslab_model::{Outcome, Uid, Vr, tags, uids};

use crate::lab::{FULL, Lab, MR, Memory, REFUSED, within};

const GET: &str = uids::STUDY_ROOT_GET;
const CT: &str = uids::CT_IMAGE_STORAGE;

fn named(name: &str) -> Dataset {
    Dataset::new()
        .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
        .with_str(tags::PATIENT_NAME, Vr::PN, name)
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1")
}

/// The request, and storage contexts for these classes.
fn proposal(classes: &[&str]) -> Proposal {
    let plain = || vec![Uid::from(uids::EXPLICIT_VR_LE), Uid::from(uids::IMPLICIT_VR_LE)];
    let storage: Vec<_> = classes.iter().map(|class| (Uid::from(*class), plain())).collect();
    Proposal::to_get(GET, &storage)
}

fn counts(completed: u16, failed: u16, remaining: Option<u16>) -> SubOperations {
    SubOperations { remaining, completed, failed, warning: 0 }
}

#[tokio::test]
async fn objects_come_over_the_same_association() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    let mut association = lab.connect(proposal(&[CT, MR])).await.unwrap();
    for (what, status, last, failed, comment) in [
        ("cbm", Status::SUCCESS, counts(3, 0, None), "", None),
        ("", Status::SUCCESS, counts(0, 0, None), "", None),
        ("cfc", Status::SUBOPERATIONS_WARNING, counts(2, 1, None), "1.2.2", Some("broken")),
        ("ff", Status::CANNOT_PERFORM_SUBOPERATIONS, counts(0, 2, None), "1.2.1 1.2.2", Some("")),
        ("cr", Status::SUBOPERATIONS_WARNING, counts(1, 1, None), REFUSED, Some("it answered")),
    ] {
        memory.stored.lock().unwrap().clear();
        let mut getting = association.get(GET, &named(what), &memory).await.unwrap();
        let (mut objects, mut pending) = (0, 0);
        while let Some(got) = within(getting.next()).await.unwrap() {
            match got {
                Got::Object { bytes, .. } => objects += usize::from(bytes > 0),
                Got::Progress(progress) => {
                    pending += 1;
                    assert_eq!(usize::from(progress.remaining.unwrap()), what.len() - pending);
                }
            }
        }
        let reply = getting.reply().unwrap();
        assert_eq!(reply.status, status, "{what}: {reply}");
        match comment {
            Some(part) => assert!(reply.comment.as_ref().unwrap().contains(part), "{reply}"),
            None => assert_eq!(reply.comment, None),
        }
        assert_eq!(getting.counts(), last, "{what}");
        let uids: Vec<&str> = getting.failed().iter().map(Uid::as_str).collect();
        assert_eq!(uids.join(" "), failed, "{what}");
        let stored = memory.stored.lock().unwrap();
        assert_eq!(stored.len(), usize::from(last.completed), "{what}");
        assert!(objects >= stored.len() && stored.iter().all(|object| object.2[0] == 7));
        assert_eq!(stored.iter().any(|object| object.2.len() == 3 << 20), what.contains('b'));
    }
    association.release().await.unwrap();
    let told = lab.event("dimse.get").await;
    assert_eq!(told.message, "C-GET to the requestor: 3 of 3 objects sent, 0 failed");
    assert_eq!(told.ids.accession, "ACC1");
    lab.stop().await;
}

#[tokio::test]
async fn nothing_is_sent_to_a_requestor_that_is_not_scp() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    // contexts without roles: the requestor stays SCU of storage
    let roles_forgotten = Proposal { roles: Vec::new(), ..proposal(&[CT]) };
    let only_mr = proposal(&[MR]);
    for (proposal, said) in [
        (roles_forgotten, "SCP role not negotiated"),
        (only_mr, "it was not proposed on this association"),
    ] {
        let mut association = lab.connect(proposal).await.unwrap();
        let getting = association.get(GET, &named("cc"), &memory).await.unwrap();
        let (reply, counts, failed) = within(getting.finish()).await.unwrap();
        assert_eq!(reply.status, Status::CANNOT_PERFORM_SUBOPERATIONS);
        assert_eq!((counts.completed, counts.failed, failed.len()), (0, 2, 2));
        association.release().await.unwrap();
        let told = lab.event("dimse.get").await;
        assert_eq!(told.outcome, Outcome::Failed);
        assert!(told.message.contains(said), "{}", told.message);
    }
    assert!(memory.stored.lock().unwrap().is_empty());
    lab.stop().await;
}

#[tokio::test]
async fn a_cancel_is_heard_between_and_within_sub_operations() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    let mut association = lab.connect(proposal(&[CT])).await.unwrap();
    for what in ["cccccccccc", "dddddddddd", "bbbbbbbbbb"] {
        memory.stored.lock().unwrap().clear();
        let mut getting = association.get(GET, &named(what), &memory).await.unwrap();
        within(getting.next()).await.unwrap().unwrap();
        getting.cancel().await.unwrap();
        let (reply, counts, _) = within(getting.finish()).await.unwrap();
        assert_eq!(reply.status, Status::CANCEL, "{what}");
        assert_eq!(counts.completed + counts.remaining.unwrap(), 10);
        assert!(counts.remaining.unwrap() > 0);
        assert_eq!(memory.stored.lock().unwrap().len(), usize::from(counts.completed));
    }
    // and the association goes on
    let getting = association.get(GET, &named("c"), &memory).await.unwrap();
    assert_eq!(within(getting.finish()).await.unwrap().0.status, Status::SUCCESS);
    association.release().await.unwrap();
    lab.stop().await;
}

/// Half an object cannot be taken back, and must not pass for a whole one.
#[tokio::test]
async fn an_object_that_breaks_off_ends_the_association() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    let mut association = lab.connect(proposal(&[CT])).await.unwrap();
    let getting = association.get(GET, &named("bxb"), &memory).await.unwrap();
    let error = within(getting.finish()).await.unwrap_err();
    assert!(matches!(error, Error::Aborted { .. }), "{error}");
    drop(association);
    assert_eq!(memory.stored.lock().unwrap().len(), 1);
    let told = lab.event("dimse.aborted").await;
    assert!(told.message.contains("the checksum is wrong"), "{}", told.message);
    lab.stop().await;
}

#[tokio::test]
async fn a_refusal_is_the_final_response() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    let mut association = lab.connect(proposal(&[CT])).await.unwrap();
    let getting = association.get(GET, &named("REFUSE"), &memory).await.unwrap();
    let (reply, counts, _) = within(getting.finish()).await.unwrap();
    assert_eq!(reply.status, Status::OUT_OF_RESOURCES);
    assert_eq!(counts, SubOperations::default());
    association.release().await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn a_requestor_that_leaves_ends_the_retrieve() {
    let lab = Lab::start().await;
    let memory = Memory::default();
    let mut association = lab.connect(proposal(&[CT])).await.unwrap();
    let mut getting = association.get(GET, &named("bbbb"), &memory).await.unwrap();
    within(getting.next()).await.unwrap().unwrap();
    drop(getting);
    association.abort().await;
    lab.event("dimse.aborted").await;
    assert!(lab.echo().await.is_ok());
    lab.stop().await;
}

#[tokio::test]
async fn a_requestor_that_is_scp_only_stores_nothing() {
    let lab = Lab::start().await;
    let mut association = lab.connect(proposal(&[CT])).await.unwrap();
    let (class, uid, syntax) = (Uid::from(CT), Uid::from(FULL), Uid::from(uids::EXPLICIT_VR_LE));
    let request = pacslab_dimse::service::store::StoreRequest::new(&class, &uid, &syntax, b"xx");
    let refused = association.store(request).await.unwrap_err();
    assert!(matches!(refused, Error::ContextRefused { .. }), "{refused}");
    association.release().await.unwrap();
    lab.stop().await;
}

#[test]
fn a_proposal_has_each_role_once() {
    let syntaxes = |uid: &str| vec![Uid::from(uid)];
    let storage =
        [(Uid::from(CT), syntaxes("1.2")), (Uid::from(CT), syntaxes("1.3")), (MR.into(), vec![])];
    let proposal = Proposal::to_get(GET, &storage);
    let ids: Vec<u8> =
        proposal.contexts.iter().map(|context: &ProposedContext| context.id).collect();
    assert_eq!(ids, [1, 3, 5, 7]);
    assert_eq!(proposal.roles.len(), 2);
    assert!(proposal.roles.iter().all(|roles| roles.scp && !roles.scu));
}
