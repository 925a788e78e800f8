//! Round trips, limits, and the deviations of real peers.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn uid() -> impl Strategy<Value = Uid> {
    "[0-9.]{1,64}".prop_map(Uid::new)
}

fn title() -> impl Strategy<Value = String> {
    "[!-~]([ -~]{0,14}[!-~])?"
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

fn user() -> impl Strategy<Value = UserInformation> {
    let roles = (uid(), any::<bool>(), any::<bool>())
        .prop_map(|(sop_class, scu, scp)| RoleSelection { sop_class, scu, scp });
    let extended = (uid(), bytes())
        .prop_map(|(sop_class, information)| ExtendedNegotiation { sop_class, information });
    let common =
        (uid(), uid(), vec(uid(), 0..3)).prop_map(|(sop_class, service_class, related)| {
            CommonExtendedNegotiation { version: 0, sop_class, service_class, related }
        });
    let identity = (1u8..6, any::<bool>(), bytes(), bytes()).prop_map(
        |(kind, response_requested, primary, secondary)| UserIdentity {
            kind,
            response_requested,
            primary,
            secondary,
        },
    );
    let unknown = (0x60u8..0x70, bytes()).prop_map(|(kind, data)| SubItem { kind, data });
    (
        (any::<u32>(), uid(), title(), option::of((any::<u16>(), any::<u16>()))),
        (vec(roles, 0..3), vec(extended, 0..3), vec(common, 0..3)),
        (option::of(identity), option::of(bytes()), vec(unknown, 0..3)),
    )
        .prop_map(|(one, two, three)| UserInformation {
            max_length: one.0,
            implementation_class: one.1,
            implementation_version: one.2,
            async_window: one.3,
            roles: two.0,
            extended: two.1,
            common_extended: two.2,
            identity: three.0,
            identity_answer: three.1,
            unknown: three.2,
        })
}

fn pdu() -> impl Strategy<Value = Pdu> {
    let proposed = vec((uid(), vec(uid(), 1..4)), 0..9).prop_map(|all| {
        let context = |(at, (abstract_syntax, transfer_syntaxes))| ProposedContext {
            id: 2 * at as u8 + 1,
            abstract_syntax,
            transfer_syntaxes,
        };
        all.into_iter().enumerate().map(context).collect::<Vec<_>>()
    });
    let results = vec((uid(), 0u8..5), 0..9).prop_map(|all| {
        let context = |(at, (uid, code))| {
            let result = ContextOutcome::from_code(code);
            let accepted = result == ContextOutcome::Accepted;
            let transfer_syntax = if accepted { uid } else { Uid::default() };
            ContextResult { id: 2 * at as u8 + 1, result, transfer_syntax }
        };
        all.into_iter().enumerate().map(context).collect::<Vec<_>>()
    });
    let pdv = (any::<u8>(), any::<bool>(), any::<bool>(), vec(any::<u8>(), 0..50)).prop_map(
        |(context, command, last, data)| Pdv { context, command, last, data: data.into() },
    );
    prop_oneof![
        (any::<u16>(), title(), title(), uid(), proposed, user()).prop_map(
            |(protocol_version, called, calling, application_context, contexts, user)| {
                Pdu::AssociateRq(AssociateRq {
                    protocol_version,
                    called,
                    calling,
                    application_context,
                    contexts,
                    user,
                })
            }
        ),
        (any::<u16>(), title(), title(), uid(), results, user()).prop_map(
            |(protocol_version, called, calling, application_context, contexts, user)| {
                Pdu::AssociateAc(AssociateAc {
                    protocol_version,
                    called,
                    calling,
                    application_context,
                    contexts,
                    user,
                })
            }
        ),
        any::<(u8, u8, u8)>().prop_map(|(result, source, reason)| Pdu::AssociateRj(AssociateRj {
            result,
            source,
            reason
        })),
        vec(pdv, 1..4).prop_map(Pdu::Data),
        Just(Pdu::ReleaseRq),
        Just(Pdu::ReleaseRp),
        any::<(u8, u8)>().prop_map(|(source, reason)| Pdu::Abort(Abort { source, reason })),
    ]
}

fn encoded(pdu: &Pdu) -> Vec<u8> {
    let mut out = Vec::new();
    encode(pdu, &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn every_pdu_goes_there_and_back(pdu in pdu()) {
        let bytes = encoded(&pdu);
        let header = Header::decode(&bytes, &Limits::new(0)).unwrap().unwrap();
        prop_assert_eq!(header.length as usize, bytes.len() - HEADER);
        prop_assert_eq!(decode(header.kind, bytes[HEADER..].to_vec().into()), Ok(pdu));
    }

    #[test]
    fn nothing_makes_it_panic(kind: u8, body in vec(any::<u8>(), 0..300)) {
        let _ = Header::decode(&body, &Limits::new(0));
        let _ = decode(kind, body.into());
    }

    #[test]
    fn damage_makes_no_panic(pdu in pdu(), at: usize, byte: u8) {
        let mut bytes = encoded(&pdu);
        let kind = bytes[0];
        let at = HEADER + at % (bytes.len() - HEADER);
        let _ = decode(kind, bytes[HEADER..at].to_vec().into());
        bytes[at] = byte;
        let _ = decode(kind, bytes[HEADER..].to_vec().into());
    }
}

#[test]
fn limits_differ_by_type() {
    let limits = Limits::new(16_384);
    let header = |kind: u8, length: u32| {
        let mut bytes = vec![kind, 0];
        bytes.extend(length.to_be_bytes());
        Header::decode(&bytes, &limits)
    };
    assert!(header(kind::ASSOCIATE_RQ, 500_000).is_ok());
    assert!(header(kind::ASSOCIATE_RQ, (1 << 20) + 1).is_err());
    assert!(header(kind::P_DATA, 16_384).is_ok());
    assert!(header(kind::P_DATA, 16_385).is_err());
    assert!(header(kind::RELEASE_RQ, 5).is_err());
    assert_eq!(Header::decode(b"GE", &limits), Err(PduError::UnknownType(b'G')));
    assert_eq!(Header::decode(&[4, 0, 0], &limits), Ok(None));
}

/// An AC as some peers send it: the refused context has no transfer syntax item.
#[test]
fn a_refused_context_needs_no_transfer_syntax() {
    let user = UserInformation::default();
    let (called, calling) = ("A".to_owned(), "B".to_owned());
    let ac = AssociateAc {
        protocol_version: 1,
        called,
        calling,
        application_context: uids::APPLICATION_CONTEXT.into(),
        contexts: vec![],
        user,
    };
    let mut bytes = encoded(&Pdu::AssociateAc(ac));
    bytes.extend([0x21, 0, 0, 4, 5, 0, 3, 0]);
    let Ok(Pdu::AssociateAc(ac)) = decode(2, bytes[HEADER..].to_vec().into()) else {
        panic!("refused")
    };
    assert_eq!(ac.contexts[0].id, 5);
    assert_eq!(ac.contexts[0].result, ContextOutcome::AbstractSyntaxNotSupported);
}

#[test]
fn context_ids_are_odd_and_used_once() {
    let context = |id| ProposedContext {
        id,
        abstract_syntax: "1.2".into(),
        transfer_syntaxes: vec!["1.3".into()],
    };
    for (ids, told) in [([1, 2], "ids are odd"), ([3, 3], "it is used twice")] {
        let rq = AssociateRq {
            protocol_version: 1,
            called: String::new(),
            calling: String::new(),
            application_context: Uid::default(),
            contexts: ids.map(context).to_vec(),
            user: UserInformation::default(),
        };
        let bytes = encoded(&Pdu::AssociateRq(rq));
        let problem = decode(1, bytes[HEADER..].to_vec().into()).unwrap_err();
        assert!(problem.to_string().ends_with(told), "{problem}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let user = UserInformation {
        unknown: vec![SubItem { kind: 0x60, data: vec![0; 70_000] }],
        ..UserInformation::default()
    };
    let rq = AssociateRq {
        protocol_version: 1,
        called: String::new(),
        calling: String::new(),
        application_context: Uid::default(),
        contexts: vec![],
        user,
    };
    let problem = encode(&Pdu::AssociateRq(rq), &mut Vec::new()).unwrap_err();
    assert!(matches!(problem, PduError::DoesNotFit { length: 70_000, .. }), "{problem}");
}

#[test]
fn rejections_and_aborts_speak_plainly() {
    assert_eq!(
        AssociateRj::LOCAL_LIMIT.to_string(),
        "for the moment by the service provider (presentation): local limit exceeded (2/3/2)"
    );
    assert_eq!(Abort::UNEXPECTED_PDU.to_string(), "by the service provider: unexpected PDU");
    let identity = UserIdentity {
        kind: 2,
        response_requested: false,
        primary: b"jane".to_vec(),
        secondary: b"secret".to_vec(),
    };
    let shown = format!("{identity:?}");
    assert!(shown.contains("jane") && !shown.contains("secret"), "{shown}");
}
