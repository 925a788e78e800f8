//! Several operations under way at a time: the asynchronous operations window, from both ends.

use std::sync::Arc;

use pacslab_dicom::Dataset;
use pacslab_dimse::message::{Command, Operation, Priority};
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{
    Association, Context, Data, Proposal, Status, StatusReply, choose_contexts, message,
};
use pacslab_model::{Uid, Vr, tags, uids};

use crate::lab::{Lab, REFUSED, SLOW, within};

const CT: &str = uids::CT_IMAGE_STORAGE;

fn contexts() -> Vec<ProposedContext> {
    choose_contexts([(CT, uids::EXPLICIT_VR_LE)]).remove(0)
}

async fn begin(association: &mut Association, instance: &str) -> u16 {
    let (class, instance) = (Uid::from(CT), Uid::from(instance));
    let syntax = Uid::from(uids::EXPLICIT_VR_LE);
    let request = StoreRequest::new(&class, &instance, &syntax, b"data");
    within(association.begin_store(request)).await.unwrap()
}

#[tokio::test]
async fn answers_come_as_they_are_ready_where_a_window_was_agreed_on() {
    let lab = Lab::start().await;
    for (window, agreed) in [(None, 1), (Some((1, 1)), 1), (Some((4, 1)), 4), (Some((0, 0)), 16)] {
        let proposal = Proposal { window, ..contexts().into() };
        let mut association = within(lab.connect(proposal)).await.unwrap();
        assert_eq!(association.window(), agreed, "asked for {window:?}");
        let slow = begin(&mut association, SLOW).await;
        let refused = begin(&mut association, REFUSED).await;
        let quick = begin(&mut association, "1.2.9").await;
        let mut answers = Vec::new();
        for _ in 0..3 {
            let (id, reply) = within(association.next_stored()).await.unwrap();
            answers.push((id, reply.status));
        }
        let (ok, mismatch) = (Status::SUCCESS, Status::DATA_SET_MISMATCH);
        // a peer that agreed on nothing and still does not wait gets its answers in order
        let expected = match agreed {
            1 => [(slow, ok), (refused, mismatch), (quick, ok)],
            _ => [(refused, mismatch), (quick, ok), (slow, ok)],
        };
        assert_eq!(answers, expected, "asked for {window:?}");
        within(association.release()).await.unwrap();
        let told = lab.event("dimse.store").await;
        assert!(told.message.starts_with("C-STORE of 3 objects"), "{}", told.message);
    }
    lab.stop().await;
}

#[tokio::test]
async fn no_more_is_read_than_the_window_takes() {
    let lab = Lab::start().await;
    let proposal = Proposal { window: Some((2, 1)), ..contexts().into() };
    let mut association = within(lab.connect(proposal)).await.unwrap();
    begin(&mut association, SLOW).await;
    begin(&mut association, SLOW).await;
    // one too many: it waits for its turn, although it would be done at once
    let third = begin(&mut association, "1.2.9").await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(within(association.next_stored()).await.unwrap().0);
    }
    assert_ne!(answers[0], third);
    within(association.release()).await.unwrap();
    lab.stop().await;
}

#[tokio::test]
async fn what_is_being_stored_is_stored_before_anything_else_is_done() {
    let lab = Lab::start().await;
    let mut proposal: Proposal = contexts().into();
    proposal
        .contexts
        .push(ProposedContext { id: 9, ..Proposal::of(uids::VERIFICATION).contexts.remove(0) });
    let mut association = within(lab.connect(proposal.windowed())).await.unwrap();
    let slow = begin(&mut association, SLOW).await;
    let context = association.context_for(uids::VERIFICATION, None).unwrap();
    let echo = message::Request {
        message_id: association.next_message_id(),
        has_data: false,
        operation: Operation::Echo { sop_class: uids::VERIFICATION.into() },
    };
    within(association.send_request(&context, echo, Data::None)).await.unwrap();
    let (id, _) = within(association.next_stored()).await.unwrap();
    assert_eq!((id, lab.memory.stored.lock().unwrap().len()), (slow, 1));
    // a release does not overtake it either
    begin(&mut association, SLOW).await;
    within(association.release()).await.unwrap();
    assert_eq!(lab.memory.stored.lock().unwrap().len(), 2);
    lab.stop().await;
}

#[tokio::test]
async fn sub_operations_of_a_get_overlap_where_the_requestor_performs_several() {
    let lab = Lab::start().await;
    for (window, at_once) in [(None, 1), (Some((1, 3)), 3)] {
        let storage = [(Uid::from(CT), vec![Uid::from(uids::EXPLICIT_VR_LE)])];
        let proposal = Proposal { window, ..Proposal::to_get(uids::STUDY_ROOT_GET, &storage) };
        let mut association = within(lab.connect(proposal)).await.unwrap();
        let context = association.context_for(uids::STUDY_ROOT_GET, None).unwrap();
        let sop_class = Uid::from(uids::STUDY_ROOT_GET);
        let get = message::Request {
            message_id: association.next_message_id(),
            has_data: true,
            operation: Operation::Get { sop_class, priority: Priority::Medium },
        };
        let id = get.message_id;
        let identifier = Dataset::new().with_str(tags::PATIENT_NAME, Vr::PN, "ccccc");
        let syntax = pacslab_dicom::TransferSyntax::from_uid(context.transfer_syntax.as_str());
        let data = pacslab_dicom::encode(&identifier, &syntax);
        within(association.send_request(&context, get, Data::Bytes(&data))).await.unwrap();
        let mut done = 0;
        let mut unanswered: Vec<(Arc<Context>, message::Request)> = Vec::new();
        let reply = loop {
            // the last of the answers comes first
            let enough = unanswered.len() == at_once || done + unanswered.len() == 5;
            if let Some((context, request)) = unanswered.pop_if(|_| enough) {
                let response = request.response(StatusReply::SUCCESS);
                within(association.respond(&context, response)).await.unwrap();
                done += 1;
                continue;
            }
            match within(association.next_command()).await.unwrap().unwrap() {
                (context, Command::Request(request)) => unanswered.push((context, request)),
                (_, Command::Response(response)) if response.reply.status.is_pending() => {}
                (_, Command::Response(response)) => break response,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((reply.message_id, reply.reply.status), (id, Status::SUCCESS));
        assert_eq!(reply.counts.unwrap().completed, 5);
        within(association.release()).await.unwrap();
    }
    lab.stop().await;
}
