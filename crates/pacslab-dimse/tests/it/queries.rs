//! C-FIND and C-MOVE: answers, cancel, failures.

use std::time::Duration;

use pacslab_dicom::Dataset;
use pacslab_dimse::message::SubOperations;
use pacslab_dimse::{Error, Proposal, Status};
use pacslab_model::{Outcome, Vr, tags, uids};

use crate::lab::{Lab, within};

const FIND: &str = uids::STUDY_ROOT_FIND;
const MOVE: &str = uids::STUDY_ROOT_MOVE;

fn named(name: &str) -> Dataset {
    Dataset::new()
        .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
        .with_str(tags::PATIENT_NAME, Vr::PN, name)
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1")
}

#[tokio::test]
async fn all_matches_come_then_the_final_status() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    for count in [0, 1, 1000] {
        let key = named(&format!("MANY{count}"));
        let (found, reply) = within(association.find_all(FIND, &key, 5000)).await.unwrap();
        assert_eq!(reply.status, Status::SUCCESS);
        assert_eq!(found.len(), count);
        let last = found.last().map(|dataset| dataset.str(tags::PATIENT_ID).to_owned());
        assert_eq!(last, count.checked_sub(1).map(|n| n.to_string()));
    }
    association.release().await.unwrap();
    let told = lab.event("dimse.find").await;
    assert!(told.message.ends_with(": 0 matches"), "{}", told.message);
    assert_eq!(told.ids.accession, "ACC1");
    assert!(told.raw.is_some());
    lab.stop().await;
}

#[tokio::test]
async fn a_failure_of_the_handler_is_the_final_status() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    for (name, matches) in [("REFUSE", 0), ("BREAK", 2)] {
        let (found, reply) = within(association.find_all(FIND, &named(name), 100)).await.unwrap();
        assert_eq!((reply.status, found.len()), (Status::OUT_OF_RESOURCES, matches));
        assert_eq!(reply.comment.as_deref(), Some("out of order"));
    }
    association.release().await.unwrap();
    assert_eq!(lab.event("dimse.find").await.outcome, Outcome::Failed);
    lab.stop().await;
}

#[tokio::test]
async fn a_query_is_cancelled_while_its_matches_trickle() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    for name in ["TRICKLE", "ENDLESS", "HANG"] {
        let mut answers = association.find(FIND, &named(name)).await.unwrap();
        if name != "HANG" {
            within(answers.next()).await.unwrap().unwrap();
        }
        answers.cancel().await.unwrap();
        while within(answers.next()).await.unwrap().is_some() {}
        assert_eq!(answers.reply().unwrap().status, Status::CANCEL, "{name}");
    }
    association.release().await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn answers_nobody_waits_for_are_skipped() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    let mut answers = association.find(FIND, &named("MANY100")).await.unwrap();
    answers.next().await.unwrap().unwrap();
    drop(answers);
    let (found, _) = within(association.find_all(FIND, &named("MANY3"), 100)).await.unwrap();
    assert_eq!(found.len(), 3);
    within(association.release()).await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn a_peer_that_leaves_ends_the_query() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    let answers = association.find(FIND, &named("HANG")).await.unwrap();
    drop(answers);
    association.abort().await;
    let told = lab.event("dimse.aborted").await;
    assert!(told.message.contains("an operation was under way"), "{}", told.message);
    lab.stop().await;
}

#[tokio::test]
async fn unreadable_identifiers_are_answered() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(FIND)).await.unwrap();
    // 2 MiB of a single key
    let big = named(&"X".repeat(2 << 20));
    let (_, reply) = within(association.find_all(FIND, &big, 1)).await.unwrap();
    assert_eq!(reply.status, Status::OUT_OF_RESOURCES);
    let reply = within(association.echo()).await;
    assert!(matches!(reply, Err(Error::ContextRefused { .. })));
    association.release().await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn a_retrieve_counts_its_sub_operations() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(MOVE)).await.unwrap();
    let counts = |completed, failed, warning, remaining| SubOperations {
        remaining,
        completed,
        failed,
        warning,
    };
    for (what, status, last, failed) in [
        ("ccc", Status::SUCCESS, counts(3, 0, 0, None), ""),
        ("cwf", Status::SUBOPERATIONS_WARNING, counts(1, 1, 1, None), "1.2.2"),
        ("ff", Status::CANNOT_PERFORM_SUBOPERATIONS, counts(0, 2, 0, None), "1.2.0 1.2.1"),
        ("cs", Status::OUT_OF_RESOURCES, counts(1, 1, 0, None), "1.2.1"),
        ("", Status::SUCCESS, counts(0, 0, 0, None), ""),
    ] {
        let mut moving = association.move_(MOVE, "WS", &named(what)).await.unwrap();
        let mut pending = 0;
        while let Some(progress) = within(moving.next()).await.unwrap() {
            pending += 1;
            assert_eq!(usize::from(progress.remaining.unwrap()), what.len() - pending);
        }
        let reply = moving.reply().unwrap();
        assert_eq!(reply.status, status, "{what}: {reply}");
        assert_eq!(moving.counts(), last, "{what}");
        let uids: Vec<&str> = moving.failed().iter().map(|uid| uid.as_str()).collect();
        assert_eq!(uids.join(" "), failed);
    }
    association.release().await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn an_unknown_destination_is_refused_with_a_comment() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(MOVE)).await.unwrap();
    let moving = association.move_(MOVE, "NOWHERE", &named("c")).await.unwrap();
    let (reply, _, _) = within(moving.finish()).await.unwrap();
    assert_eq!(reply.status, Status::MOVE_DESTINATION_UNKNOWN);
    assert_eq!(reply.comment.as_deref(), Some("NOWHERE is not a destination we know"));
    association.release().await.unwrap();
    let told = lab.event("dimse.move").await;
    assert!(told.message.contains("NOWHERE"), "{}", told.message);
    lab.stop().await;
}

#[tokio::test]
async fn a_cancelled_retrieve_tells_what_remains() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(MOVE)).await.unwrap();
    // each sub-operation `d` takes 30 ms
    let mut moving = association.move_(MOVE, "WS", &named("dddddddddd")).await.unwrap();
    within(moving.next()).await.unwrap().unwrap();
    moving.cancel().await.unwrap();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (reply, counts, _) = within(moving.finish()).await.unwrap();
    assert_eq!(reply.status, Status::CANCEL);
    assert_eq!(counts.completed + counts.remaining.unwrap(), 10);
    assert!(counts.remaining.unwrap() > 0);
    association.release().await.unwrap();
    lab.stop().await;
}

/// It ended when the receiver's time to answer was over: after two minutes.
#[tokio::test]
async fn a_cancel_does_not_wait_for_a_receiver_that_is_silent() {
    let lab = Lab::start().await;
    let mut association = lab.connect(Proposal::of(MOVE)).await.unwrap();
    // `h` never ends
    let mut moving = association.move_(MOVE, "WS", &named("chc")).await.unwrap();
    within(moving.next()).await.unwrap().unwrap();
    moving.cancel().await.unwrap();
    let (reply, counts, _) = within(moving.finish()).await.unwrap();
    assert_eq!(reply.status, Status::CANCEL);
    assert_eq!((counts.completed, counts.remaining), (1, Some(2)));
    association.release().await.unwrap();
    lab.stop().await;
}
