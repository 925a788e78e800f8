//! What peers should not send, over a real socket; after each the server still answers.

use std::time::{Duration, Instant};

use pacslab_dimse::pdu::{self, Abort, AssociateRj, AssociateRq, Pdu, Pdv, UserInformation, kind};
use pacslab_dimse::{Error, Proposal, Remote, Requestor, Status, Timeouts, message};
use pacslab_model::uids;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::lab::{Lab, ae, within};

pub(crate) fn request() -> AssociateRq {
    AssociateRq {
        protocol_version: 1,
        called: "PACS".into(),
        calling: "BAD".into(),
        application_context: uids::APPLICATION_CONTEXT.into(),
        contexts: Proposal::of(uids::VERIFICATION).contexts,
        user: UserInformation::default(),
    }
}

pub(crate) fn bytes(pdu: Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    pdu::encode(&pdu, &mut out).unwrap();
    out
}

pub(crate) fn data(context: u8, command: bool, last: bool, value: &[u8]) -> Vec<u8> {
    let data = value.to_vec().into();
    bytes(Pdu::Data(vec![Pdv { context, command, last, data }]))
}

pub(crate) fn echo_command() -> Vec<u8> {
    let operation = message::Operation::Echo { sop_class: uids::VERIFICATION.into() };
    let request = message::Request { message_id: 7, has_data: false, operation };
    let mut out = Vec::new();
    message::encode(&message::Command::Request(request), &mut out);
    out
}

/// A peer that sends what it likes.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    pub(crate) async fn connect(lab: &Lab) -> Self {
        Self(TcpStream::connect(lab.address).await.unwrap())
    }

    pub(crate) async fn associated(lab: &Lab) -> Self {
        let mut raw = Self::connect(lab).await;
        raw.send(&bytes(Pdu::AssociateRq(request()))).await;
        assert!(matches!(raw.receive().await, Some(Pdu::AssociateAc(_))));
        raw
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn receive(&mut self) -> Option<Pdu> {
        within(async {
            let mut header = [0; 6];
            self.0.read_exact(&mut header).await.ok()?;
            let mut body =
                vec![0; u32::from_be_bytes(*header[2..].first_chunk().unwrap()) as usize];
            self.0.read_exact(&mut body).await.ok()?;
            Some(pdu::decode(header[0], body.into()).unwrap())
        })
        .await
    }

    /// The server aborts so, and closes.
    pub(crate) async fn expect_abort(mut self, abort: Abort) {
        assert_eq!(self.receive().await, Some(Pdu::Abort(abort)));
        assert_eq!(self.receive().await, None);
    }
}

async fn still_answers(lab: Lab) {
    assert_eq!(within(lab.echo()).await.unwrap().status, Status::SUCCESS);
    lab.stop().await;
}

#[tokio::test]
async fn other_protocols_are_named() {
    let lab = Lab::start().await;
    for (first, looks) in [
        (&b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n"[..], "an HTTP request"),
        (&[0x16, 3, 1, 0, 200, 1, 0, 0, 196], "a TLS handshake"),
        (b"\x0bMSH|^~\\&|", "an MLLP frame"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "an SSH client"),
        (&[0x99; 40], "no DICOM"),
    ] {
        let mut raw = Raw::connect(&lab).await;
        raw.send(first).await;
        raw.expect_abort(Abort::UNRECOGNIZED_PDU).await;
        let told = lab.event("dimse.no-association").await;
        assert!(told.message.contains(looks), "{}", told.message);
    }
    still_answers(lab).await;
}

#[tokio::test]
async fn a_proposal_of_128_contexts_is_taken_whatever_our_maximum_length() {
    let lab = Lab::with(|config| config.max_pdu = 4096).await;
    let syntaxes = |n: u8| (0..20).map(move |ts| format!("1.2.840.{n}.{ts}").as_str().into());
    let mut rq = request();
    rq.contexts = (0..128)
        .map(|n| pdu::ProposedContext {
            id: 2 * n + 1,
            abstract_syntax: uids::CT_IMAGE_STORAGE.into(),
            transfer_syntaxes: syntaxes(n).collect(),
        })
        .collect();
    let mut raw = Raw::connect(&lab).await;
    let rq = bytes(Pdu::AssociateRq(rq));
    assert!(rq.len() > 30_000);
    raw.send(&rq).await;
    let Some(Pdu::AssociateAc(ac)) = raw.receive().await else { panic!("not accepted") };
    assert_eq!(ac.contexts.len(), 128);
    assert_eq!(ac.contexts[127].transfer_syntax.as_str(), "1.2.840.127.0");
    assert_eq!(ac.user.max_length, 4096);
    drop(raw);
    still_answers(lab).await;
}

#[tokio::test]
async fn only_bit_0_of_the_protocol_version_counts() {
    let lab = Lab::start().await;
    for version in [1, 3, 0xFFFF] {
        let mut raw = Raw::connect(&lab).await;
        raw.send(&bytes(Pdu::AssociateRq(AssociateRq { protocol_version: version, ..request() })))
            .await;
        assert!(matches!(raw.receive().await, Some(Pdu::AssociateAc(_))), "{version}");
    }
    let mut raw = Raw::connect(&lab).await;
    raw.send(&bytes(Pdu::AssociateRq(AssociateRq { protocol_version: 2, ..request() }))).await;
    assert_eq!(raw.receive().await, Some(Pdu::AssociateRj(AssociateRj::PROTOCOL_VERSION)));
    let told = lab.event("dimse.no-association").await;
    assert!(told.message.contains("protocol version 0x0002"), "{}", told.message);
    still_answers(lab).await;
}

#[tokio::test]
async fn another_application_context_is_rejected() {
    let lab = Lab::start().await;
    let mut raw = Raw::connect(&lab).await;
    let rq = AssociateRq { application_context: "1.2.3".into(), ..request() };
    raw.send(&bytes(Pdu::AssociateRq(rq))).await;
    assert_eq!(raw.receive().await, Some(Pdu::AssociateRj(AssociateRj::APPLICATION_CONTEXT)));
    still_answers(lab).await;
}

#[tokio::test]
async fn malformed_pdus_are_aborted() {
    let lab = Lab::with(|config| config.max_pdu = 16_384).await;
    let invalid = Abort::INVALID_PARAMETER;
    // before the association
    let mut broken = bytes(Pdu::AssociateRq(request()));
    let at = broken.len() - 3;
    broken.truncate(at);
    let length = (at - 6) as u32;
    broken[2..6].copy_from_slice(&length.to_be_bytes());
    let huge = [kind::ASSOCIATE_RQ, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    for (bad, abort) in [
        (&broken[..], invalid),
        (&huge, invalid),
        (&[kind::P_DATA, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3], Abort::UNEXPECTED_PDU),
        (&[kind::RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0], Abort::UNEXPECTED_PDU),
    ] {
        let mut raw = Raw::connect(&lab).await;
        raw.send(bad).await;
        raw.expect_abort(abort).await;
    }
    // and on it
    for (bad, abort) in [
        // longer than we announced
        (&[kind::P_DATA, 0, 0, 0, 0x40, 1][..], invalid),
        (&[kind::P_DATA, 0, 0xFF, 0xFF, 0xFF, 0xFF], invalid),
        // without a fragment; a fragment beyond the end; one too short for its own header
        (&[kind::P_DATA, 0, 0, 0, 0, 0], invalid),
        (&[kind::P_DATA, 0, 0, 0, 0, 6, 0, 0, 0, 9, 1, 3], invalid),
        (&[kind::P_DATA, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3], invalid),
        (&[kind::P_DATA, 0, 0, 0, 0, 3, 0, 0, 0], invalid),
        (&[kind::RELEASE_RQ, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0], invalid),
        (&[9, 0, 0, 0, 0, 0], Abort::UNRECOGNIZED_PDU),
        (&[kind::RELEASE_RP, 0, 0, 0, 0, 4, 0, 0, 0, 0], Abort::UNEXPECTED_PDU),
        (&bytes(Pdu::AssociateRq(request())), Abort::UNEXPECTED_PDU),
    ] {
        let mut raw = Raw::associated(&lab).await;
        raw.send(bad).await;
        raw.expect_abort(abort).await;
        lab.event("dimse.aborted").await;
    }
    still_answers(lab).await;
}

#[tokio::test]
async fn messages_that_break_the_rules_are_aborted() {
    let lab = Lab::start().await;
    let mut claims_4_gib = echo_command();
    claims_4_gib[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
    let endless = data(1, true, false, &[0; 20_000]);
    for (bad, told) in [
        (data(99, true, true, &echo_command()), "presentation context 99"),
        (data(1, false, true, b"data"), "data without a command"),
        (data(1, true, true, &claims_4_gib), "claims 4294967295 bytes"),
        (data(1, true, true, &[8, 0, 0x16, 0, 0, 0, 0, 0]), "(0008,0016)"),
        (data(1, true, true, &[]), "(0000,0100) command field is missing"),
        (data(1, true, true, &[1, 2, 3]), "no valid command set"),
        (endless.repeat(4), "more than 65536 bytes"),
    ] {
        let mut raw = Raw::associated(&lab).await;
        raw.send(&bad).await;
        raw.expect_abort(Abort::USER).await;
        let event = lab.event("dimse.aborted").await;
        assert!(event.message.contains(told), "{}", event.message);
    }
    still_answers(lab).await;
}

#[tokio::test]
async fn odd_and_empty_fragments_are_taken() {
    let lab = Lab::start().await;
    let mut raw = Raw::associated(&lab).await;
    let command = echo_command();
    let (first, second) = command.split_at(13);
    let mut all = data(1, true, false, first);
    all.extend(data(1, true, false, &[]));
    all.extend(data(1, true, true, second));
    // byte by byte, so that every PDU comes in pieces
    for byte in all {
        raw.send(&[byte]).await;
    }
    let Some(Pdu::Data(pdvs)) = raw.receive().await else { panic!("no answer") };
    let Ok(message::Command::Response(response)) = message::decode(&pdvs[0].data) else {
        panic!("no response")
    };
    assert_eq!((response.message_id, response.reply.status), (7, Status::SUCCESS));
    raw.send(&bytes(Pdu::ReleaseRq)).await;
    assert_eq!(raw.receive().await, Some(Pdu::ReleaseRp));
    drop(raw);
    still_answers(lab).await;
}

#[tokio::test]
async fn operations_without_a_service_are_answered() {
    let lab = Lab::start().await;
    let mut raw = Raw::associated(&lab).await;
    for (class, status) in [
        (uids::VERIFICATION, Status::UNRECOGNIZED_OPERATION),
        ("1.2.3", Status::SOP_CLASS_NOT_SUPPORTED),
    ] {
        let operation = message::Operation::NCreate { sop_class: class.into(), sop_instance: None };
        let request = message::Request { message_id: 1, has_data: true, operation };
        let mut command = Vec::new();
        message::encode(&message::Command::Request(request), &mut command);
        raw.send(&data(1, true, true, &command)).await;
        raw.send(&data(1, false, true, &[0; 100])).await;
        let Some(Pdu::Data(pdvs)) = raw.receive().await else { panic!("no answer") };
        let Ok(message::Command::Response(response)) = message::decode(&pdvs[0].data) else {
            panic!("no response")
        };
        assert_eq!(response.reply.status, status);
    }
    drop(raw);
    still_answers(lab).await;
}

fn hasty() -> Timeouts {
    let limit = Duration::from_millis(200);
    Timeouts { artim: limit, idle: limit, response: limit, ..Timeouts::default() }
}

#[tokio::test]
async fn peers_that_stop_talking_are_cut() {
    let lab = Lab::with(|config| config.timeouts = hasty()).await;
    // no A-ASSOCIATE-RQ, or half of one: ARTIM closes without a word
    for part in [0, 50] {
        let mut raw = Raw::connect(&lab).await;
        raw.send(&bytes(Pdu::AssociateRq(request()))[..part]).await;
        assert_eq!(raw.receive().await, None);
        let told = lab.event("dimse.no-association").await;
        assert!(told.message.contains("nothing came for 200 ms"), "{}", told.message);
    }
    // silence on the association, in a PDU, and between command and data set
    let store = message::Operation::Store {
        sop_class: uids::CT_IMAGE_STORAGE.into(),
        sop_instance: "1.2".into(),
        priority: message::Priority::Medium,
        originator: None,
    };
    let mut command = Vec::new();
    let request = message::Request { message_id: 1, has_data: true, operation: store };
    message::encode(&message::Command::Request(request), &mut command);
    for (part, during) in [
        (vec![], "waiting for a request"),
        (data(1, true, true, &echo_command())[..30].to_vec(), "waiting for a request"),
        (data(1, true, true, &command), "receiving a data set"),
    ] {
        let mut raw = Raw::associated(&lab).await;
        raw.send(&part).await;
        raw.expect_abort(Abort::USER).await;
        let told = lab.event("dimse.aborted").await;
        assert!(told.message.contains(during), "{}", told.message);
    }
    assert!(lab.memory.stored.lock().unwrap().is_empty());
    still_answers(lab).await;
}

#[tokio::test]
async fn silent_connections_block_nobody() {
    let lab = Lab::with(|config| config.limits.pending = 400).await;
    let mut established = lab.connect(Proposal::of(uids::VERIFICATION)).await.unwrap();
    let mut silent = Vec::new();
    for _ in 0..500 {
        silent.push(Raw::connect(&lab).await);
    }
    assert_eq!(within(lab.echo()).await.unwrap().status, Status::SUCCESS);
    // the oldest were shed, the youngest stay
    assert_eq!(silent[0].receive().await, None);
    assert!(lab.event("dimse.listener").await.message.contains("more than 400 connections"));
    let mut last = silent.pop().unwrap();
    last.send(&bytes(Pdu::AssociateRq(request()))).await;
    assert!(matches!(last.receive().await, Some(Pdu::AssociateAc(_))));
    // an association is none of them, however old
    assert_eq!(within(established.echo()).await.unwrap().status, Status::SUCCESS);
    drop((silent, last, established));
    still_answers(lab).await;
}

#[tokio::test]
async fn associations_beyond_the_limit_are_rejected_for_the_moment() {
    let lab = Lab::with(|config| config.limits.associations = 2).await;
    let proposal = Proposal::of(uids::VERIFICATION);
    let first = lab.connect(proposal.clone()).await.unwrap();
    let second = lab.connect(proposal.clone()).await.unwrap();
    let Err(Error::Rejected { answer, .. }) = lab.connect(proposal.clone()).await else {
        panic!("not rejected")
    };
    assert_eq!(answer, AssociateRj::LOCAL_LIMIT);
    assert!(answer.is_transient());
    first.release().await.unwrap();
    lab.event("dimse.released").await;
    within(async {
        while lab.connect(proposal.clone()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    drop(second);
    lab.stop().await;
}

/// An SCP that answers the association, then whatever it is given.
async fn hostile(answer: Vec<u8>) -> Remote {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut raw = Raw(listener.accept().await.unwrap().0);
        let Some(Pdu::AssociateRq(rq)) = raw.receive().await else { return };
        let ac = pdu::AssociateAc {
            protocol_version: 1,
            called: rq.called,
            calling: rq.calling,
            application_context: uids::APPLICATION_CONTEXT.into(),
            contexts: vec![pdu::ContextResult {
                id: 1,
                result: pdu::ContextOutcome::Accepted,
                transfer_syntax: uids::IMPLICIT_VR_LE.into(),
            }],
            user: UserInformation { max_length: 0, ..UserInformation::default() },
        };
        raw.send(&bytes(Pdu::AssociateAc(ac))).await;
        raw.receive().await;
        raw.send(&answer).await;
        while raw.receive().await.is_some() {}
    });
    Remote { aet: ae("HOSTILE"), host: "127.0.0.1".into(), port, tls: false }
}

#[tokio::test]
async fn hostile_answers_are_errors() {
    let mut us = Requestor::silent(ae("TESTER"));
    us.timeouts = hasty();
    for (answer, told) in [
        (vec![], "nothing came for 200 ms while waiting for the response to C-ECHO"),
        (b"HTTP/1.1 400 Bad Request".to_vec(), "0x48 is not a PDU type"),
        (vec![4, 0, 0xFF, 0xFF, 0xFF, 0xFF], "P-DATA-TF of 4294967295 bytes"),
        (data(1, true, true, &echo_command()), "a C-ECHO request"),
        (bytes(Pdu::ReleaseRq), "an A-RELEASE-RQ"),
        (bytes(Pdu::Abort(Abort::UNEXPECTED_PDU)), "by the service provider: unexpected PDU"),
    ] {
        let remote = hostile(answer).await;
        let proposal = Proposal::of(uids::VERIFICATION);
        let mut association =
            pacslab_dimse::Association::connect(&us, &remote, proposal).await.unwrap();
        let error = within(association.echo()).await.unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[tokio::test]
async fn a_shutdown_lets_operations_end_and_cuts_what_does_not() {
    use crate::lab::SLOW;
    use pacslab_dimse::choose_contexts;
    use pacslab_dimse::service::store::StoreRequest;
    use pacslab_model::Uid;

    let mut lab = Lab::start().await;
    let pair = (uids::CT_IMAGE_STORAGE, uids::IMPLICIT_VR_LE);
    let mut association = lab.connect(choose_contexts([pair]).remove(0)).await.unwrap();
    let idle = lab.connect(Proposal::of(uids::VERIFICATION)).await.unwrap();
    let silent = Raw::connect(&lab).await;
    let (class, instance, syntax) = (Uid::from(pair.0), Uid::from(SLOW), Uid::from(pair.1));
    let storing =
        async { association.store(StoreRequest::new(&class, &instance, &syntax, b"data")).await };
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        lab.begin_stop();
    };
    let (reply, ()) = within(async { tokio::join!(storing, stopping) }).await;
    assert_eq!(reply.unwrap().status, Status::SUCCESS);
    assert!(association.echo().await.is_err());
    drop((association, idle, silent));
    lab.stop().await;

    let mut lab = Lab::with(|config| config.limits.grace = Duration::from_millis(100)).await;
    let mut association = lab.connect(Proposal::of(uids::STUDY_ROOT_FIND)).await.unwrap();
    let key = pacslab_dicom::Dataset::new().with_str(
        pacslab_model::tags::PATIENT_NAME,
        pacslab_model::Vr::PN,
        "HANG",
    );
    let mut answers = association.find(uids::STUDY_ROOT_FIND, &key).await.unwrap();
    // the request has to be there before the end begins
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = Instant::now();
    lab.begin_stop();
    let error = within(answers.next()).await.unwrap_err();
    assert!(matches!(error, Error::Aborted { .. }), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    drop(answers);
    drop(association);
    lab.stop().await;
}
