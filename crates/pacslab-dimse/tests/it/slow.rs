//! Peers that are slow within a message, or take and answer nothing: how long they may hold what
//! they hold.

use std::time::Duration;

use pacslab_dicom::{Dataset, TransferSyntax, encode};
use pacslab_dimse::message::{self, Command, Field, Operation, Priority, Request, Response};
use pacslab_dimse::pdu::{AssociateRq, Pdu, UserInformation};
use pacslab_dimse::{Proposal, Slowest, Status, StatusReply, Timeouts};
use pacslab_model::{Vr, tags, uids};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;

use crate::bad_input::{Raw, bytes, data, echo_command, request};
use crate::lab::{Lab, within};

const GET: &str = uids::STUDY_ROOT_GET;
const CT: &str = uids::CT_IMAGE_STORAGE;

/// An association for C-GET, on which nothing is read beyond what the test asks for.
async fn getting(lab: &Lab) -> Raw {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut raw = Raw(socket.connect(lab.address).await.unwrap());
    let proposal = Proposal::to_get(GET, &[(CT.into(), vec![uids::EXPLICIT_VR_LE.into()])]);
    let user = UserInformation { roles: proposal.roles, ..UserInformation::default() };
    let rq = AssociateRq { contexts: proposal.contexts, user, ..request() };
    raw.send(&bytes(Pdu::AssociateRq(rq))).await;
    assert!(matches!(raw.receive().await, Some(Pdu::AssociateAc(_))));
    raw
}

fn command(command: &Command) -> Vec<u8> {
    let mut out = Vec::new();
    message::encode(command, &mut out);
    out
}

/// The C-GET of the objects that the letters stand for.
async fn get(raw: &mut Raw, message_id: u16, letters: &str) {
    let operation = Operation::Get { sop_class: GET.into(), priority: Priority::Medium };
    let request = Request { message_id, has_data: true, operation };
    let identifier = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY").with_str(
        tags::PATIENT_NAME,
        Vr::PN,
        letters,
    );
    let identifier = encode(&identifier, &TransferSyntax::from_uid(uids::EXPLICIT_VR_LE));
    let mut both = data(1, true, true, &command(&Command::Request(request)));
    both.extend(data(1, false, true, &identifier));
    raw.send(&both).await;
}

async fn cancel(raw: &mut Raw, message_id: u16) {
    raw.send(&data(1, true, true, &command(&Command::Cancel { message_id }))).await;
}

/// The next command; data sets are skipped.
async fn heard(raw: &mut Raw) -> (u8, Command) {
    loop {
        match raw.receive().await {
            Some(Pdu::Data(pdvs)) => {
                if let Some(pdv) = pdvs.iter().find(|pdv| pdv.command) {
                    return (pdv.context, message::decode(&pdv.data).unwrap());
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The C-STORE request that comes next.
async fn stored(raw: &mut Raw) -> (u8, Request) {
    match heard(raw).await {
        (context, Command::Request(request)) => (context, request),
        other => panic!("{other:?}"),
    }
}

async fn answered(raw: &mut Raw) -> Response {
    match heard(raw).await {
        (_, Command::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

fn impatient() -> Timeouts {
    Timeouts { artim: Duration::from_millis(200), ..Timeouts::default() }
}

#[tokio::test]
async fn a_cancelled_get_does_not_wait_for_answers_that_never_come() {
    let lab = Lab::with(|config| config.timeouts = impatient()).await;
    let mut raw = getting(&lab).await;
    get(&mut raw, 1, "ccc").await;
    let (context, request) = stored(&mut raw).await;
    // the object is there, its answer is not given
    cancel(&mut raw, 1).await;
    let response = within(answered(&mut raw)).await;
    assert_eq!((response.field, response.reply.status), (Field::Get, Status::CANCEL));
    let counts = response.counts.unwrap();
    assert_eq!((counts.completed, counts.remaining), (0, Some(3)));
    let told = lab.event("dimse.get").await.message;
    assert!(told.contains("0 of 3 objects sent, 0 failed"), "{told}");
    // it comes late after all, and the association goes on
    let late = request.response(StatusReply::SUCCESS);
    raw.send(&data(context, true, true, &command(&Command::Response(late)))).await;
    get(&mut raw, 2, "").await;
    assert_eq!(within(answered(&mut raw)).await.reply.status, Status::SUCCESS);
    raw.send(&bytes(Pdu::ReleaseRq)).await;
    assert_eq!(raw.receive().await, Some(Pdu::ReleaseRp));
    drop(raw);
    lab.stop().await;
}

#[tokio::test]
async fn a_cancelled_get_is_aborted_within_a_message() {
    let lab = Lab::with(|config| config.timeouts = impatient()).await;
    let mut raw = getting(&lab).await;
    get(&mut raw, 1, "ccc").await;
    let (context, request) = stored(&mut raw).await;
    cancel(&mut raw, 1).await;
    let answer = command(&Command::Response(request.response(StatusReply::SUCCESS)));
    raw.send(&data(context, true, false, &answer[..20])).await;
    let Some(Pdu::Abort(_)) = within(async {
        loop {
            match raw.receive().await {
                Some(Pdu::Data(_)) => {}
                other => return other,
            }
        }
    })
    .await
    else {
        panic!("not aborted")
    };
    let told = lab.event("dimse.aborted").await.message;
    assert!(told.contains("the C-GET was cancelled") && told.contains("200 ms"), "{told}");
    drop(raw);
    lab.stop().await;
}

#[tokio::test]
async fn a_cancel_is_heard_from_who_takes_nothing() {
    let lab = Lab::with(|config| config.timeouts = impatient()).await;
    let mut raw = getting(&lab).await;
    get(&mut raw, 1, "g").await;
    // the object has begun; of its 32 MiB no buffer takes all
    raw.0.read_exact(&mut [0; 64]).await.unwrap();
    cancel(&mut raw, 1).await;
    let told = lab.event("dimse.aborted").await.message;
    assert!(told.contains("took no data for 200 ms"), "{told}");
    drop(raw);
    lab.stop().await;
}

/// A megabyte a second is more than these tests send.
fn demanding() -> Timeouts {
    let slowest = Slowest { bytes_per_second: 1 << 20, over: Duration::from_millis(100) };
    Timeouts { slowest, ..Timeouts::default() }
}

#[tokio::test]
async fn who_sends_a_message_too_slowly_is_aborted() {
    let lab = Lab::with(|config| config.timeouts = demanding()).await;
    let store = Operation::Store {
        sop_class: CT.into(),
        sop_instance: "1.2".into(),
        priority: Priority::Medium,
        originator: None,
    };
    let store =
        command(&Command::Request(Request { message_id: 1, has_data: true, operation: store }));
    let huge = data(1, false, true, &[0; 8000]);
    for (first, again, during) in [
        // a byte of the data set in each PDU
        (data(1, true, true, &store), data(1, false, false, &[0]), "receiving a data set"),
        // a byte of a command
        (vec![], data(1, true, false, &[8]), "waiting for a request"),
        // a byte of a PDU
        (huge[..7].to_vec(), vec![0], "waiting for a request"),
    ] {
        let mut raw = Raw::associated(&lab).await;
        raw.send(&first).await;
        let aborted = within(async {
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                tokio::select! {
                    received = raw.receive() => return received,
                    _ = ticks.tick() => {}
                }
                raw.send(&again).await;
            }
        });
        assert!(matches!(aborted.await, Some(Pdu::Abort(_))), "{during}");
        let told = lab.event("dimse.aborted").await.message;
        assert!(told.contains("1048576 a second of dicom.slowest_rate"), "{told}");
        assert!(told.contains(during), "{told}");
    }
    assert!(lab.memory.stored.lock().unwrap().is_empty());
    lab.stop().await;
}

#[tokio::test]
async fn who_takes_a_message_too_slowly_is_cut() {
    let lab = Lab::with(|config| config.timeouts = demanding()).await;
    let mut raw = getting(&lab).await;
    get(&mut raw, 1, "g").await;
    let told = within(async {
        let mut ticks = tokio::time::interval(Duration::from_millis(5));
        let told = lab.event("dimse.aborted");
        tokio::pin!(told);
        loop {
            tokio::select! {
                told = &mut told => return told.message,
                _ = ticks.tick() => {}
            }
            let _ = raw.0.read(&mut [0; 16]).await;
        }
    })
    .await;
    assert!(told.contains("the peer took") && told.contains("dicom.slowest_rate"), "{told}");
    drop(raw);
    lab.stop().await;
}

#[tokio::test]
async fn silence_between_messages_is_not_slow() {
    let lab = Lab::with(|config| config.timeouts = demanding()).await;
    let mut raw = Raw::associated(&lab).await;
    for _ in 0..3 {
        raw.send(&data(1, true, true, &echo_command())).await;
        assert_eq!(within(answered(&mut raw)).await.reply.status, Status::SUCCESS);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    raw.send(&bytes(Pdu::ReleaseRq)).await;
    assert_eq!(raw.receive().await, Some(Pdu::ReleaseRp));
    drop(raw);
    lab.stop().await;
}
