//! C-ECHO, C-STORE, negotiation, release.

use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{
    Association, Data, Error, Proposal, Refusal, Requestor, Status, choose_contexts,
};
use pacslab_model::{Outcome, Uid, uids};

use crate::lab::{FULL, Lab, REFUSED, ae, us, within};

const CT: &str = uids::CT_IMAGE_STORAGE;
const JPEG: &str = "1.2.840.10008.1.2.4.50";

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 % 251) as u8).collect()
}

#[tokio::test]
async fn an_echo_is_answered_and_told() {
    let lab = Lab::start().await;
    let reply = within(lab.echo()).await.unwrap();
    assert_eq!(reply.status, Status::SUCCESS);
    let opened = lab.event("dimse.associated").await;
    assert!(opened.message.contains("TESTER"), "{}", opened.message);
    assert!(opened.peer.starts_with("TESTER@127.0.0.1:"), "{}", opened.peer);
    assert_eq!(lab.event("dimse.echo").await.outcome, Outcome::Ok);
    let released = lab.event("dimse.released").await;
    assert!(released.message.ends_with("after 1 C-ECHO"), "{}", released.message);
    lab.stop().await;
}

#[tokio::test]
async fn objects_arrive_whole_in_their_transfer_syntax() {
    let lab = Lab::start().await;
    let proposal = choose_contexts([(CT, JPEG), (CT, uids::IMPLICIT_VR_LE)]).remove(0);
    // small PDUs from us, and objects around the limits of fragments and buffers
    for max_pdu in [0, 16_384, 131_072] {
        let lab = Lab::with(|config| config.max_pdu = max_pdu).await;
        let mut association = within(lab.connect(proposal.clone())).await.unwrap();
        for (n, length) in [2, 16_378, 16_380, 40_000, 3_000_002].into_iter().enumerate() {
            let (class, instance) = (Uid::from(CT), Uid::new(format!("1.2.{n}")));
            let syntax = Uid::from(if n % 2 == 0 { JPEG } else { uids::IMPLICIT_VR_LE });
            let data = bytes(length);
            let mut request = StoreRequest::new(&class, &instance, &syntax, &data);
            let mut reader = &data[..];
            if n == 4 {
                request.data = Data::Reader(&mut reader);
            }
            let reply = within(association.store(request)).await.unwrap();
            assert_eq!(reply.status, Status::SUCCESS);
            let (uid, stored_as, stored) = lab.memory.stored.lock().unwrap().pop().unwrap();
            assert_eq!((&uid, &stored_as), (&instance, &syntax));
            assert!(stored == data, "{length} bytes with PDUs of {max_pdu}");
        }
        within(association.release()).await.unwrap();
        lab.stop().await;
    }
    lab.stop().await;
}

#[tokio::test]
async fn a_refused_object_leaves_the_association_usable() {
    let lab = Lab::start().await;
    let mut association = lab.connect(choose_contexts([(CT, JPEG)]).remove(0)).await.unwrap();
    let (class, syntax, data) = (Uid::from(CT), Uid::from(JPEG), bytes(300_000));
    for (instance, status) in [
        (REFUSED, Status::DATA_SET_MISMATCH),
        (FULL, Status::OUT_OF_RESOURCES),
        ("1.2.9", Status::SUCCESS),
    ] {
        let instance = Uid::from(instance);
        let request = StoreRequest::new(&class, &instance, &syntax, &data);
        let reply = within(association.store(request)).await.unwrap();
        assert_eq!(reply.status, status, "{reply}");
    }
    assert_eq!(lab.memory.stored.lock().unwrap().len(), 1);
    within(association.release()).await.unwrap();
    let told = lab.event("dimse.store").await;
    assert_eq!(told.outcome, Outcome::Warning);
    assert!(told.message.starts_with("C-STORE of 3 objects"), "{}", told.message);
    assert!(told.message.contains("2 failed, the first with 0xA900"), "{}", told.message);
    lab.stop().await;
}

#[tokio::test]
async fn what_was_not_agreed_on_is_named() {
    let lab = Lab::start().await;
    let proposal = vec![
        ProposedContext {
            id: 1,
            abstract_syntax: "1.2.840.10008.5.1.1.1".into(),
            transfer_syntaxes: vec![uids::IMPLICIT_VR_LE.into()],
        },
        ProposedContext {
            id: 3,
            abstract_syntax: CT.into(),
            transfer_syntaxes: vec![uids::IMPLICIT_VR_LE.into()],
        },
    ];
    let association = lab.connect(proposal).await.unwrap();
    let refused = association.context_for("1.2.840.10008.5.1.1.1", None).unwrap_err();
    assert!(refused.to_string().ends_with("abstract syntax not supported"), "{refused}");
    // who looks at the acceptor's log sees it, too: a count alone left people guessing
    let told = lab.event("dimse.associated").await.message;
    let (_, reasons) = told.split_once("; refused: ").unwrap();
    assert!(reasons.contains("(1.2.840.10008.5.1.1.1): abstract syntax not supported"), "{told}");
    let other = association.context_for(CT, Some(JPEG)).unwrap_err();
    assert!(other.to_string().contains("CT Image Storage"), "{other}");
    assert!(other.to_string().contains("JPEG Baseline"), "{other}");
    let Error::ContextRefused { reason, .. } =
        association.context_for(uids::VERIFICATION, None).unwrap_err()
    else {
        panic!("another error")
    };
    assert_eq!(reason, Refusal::NotProposed);
    association.abort().await;
    let aborted = lab.event("dimse.aborted").await;
    assert!(aborted.message.contains("by the service user"), "{}", aborted.message);
    lab.stop().await;
}

#[tokio::test]
async fn a_rejection_says_what_to_do() {
    let lab = Lab::start().await;
    let mut remote = lab.remote();
    remote.aet = ae("NOBODY");
    let proposal = Proposal::of(uids::VERIFICATION);
    let error = Association::connect(&us(), &remote, proposal.clone()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("NOBODY at 127.0.0.1:"), "{text}");
    assert!(text.contains("called AE title not recognized"), "{text}");
    assert!(text.contains("the peer answers to another one"), "{text}");
    assert!(lab.event("dimse.rejected").await.message.contains("NOBODY"));
    lab.stop().await;
    let refused = Association::connect(&us(), &remote, proposal).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("127.0.0.1:{}", remote.port)), "{refused}");
    assert!(refused.contains("nothing listens there"), "{refused}");
}

#[tokio::test]
async fn both_ends_tell_the_same_story() {
    let lab = Lab::start().await;
    let events = std::sync::Arc::<pacslab_model::event::Collect>::default();
    let us = Requestor::new(ae("CT1"), events.clone(), crate::lab::clock());
    let proposal = Proposal::of(uids::VERIFICATION);
    let mut association = Association::connect(&us, &lab.remote(), proposal).await.unwrap();
    association.echo().await.unwrap();
    association.release().await.unwrap();
    let kinds: Vec<String> = events.take().into_iter().map(|e| e.kind.into_owned()).collect();
    assert_eq!(kinds, ["dimse.associated", "dimse.echo", "dimse.released"]);
    lab.stop().await;
}
