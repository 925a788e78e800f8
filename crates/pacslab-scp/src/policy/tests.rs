use super::*;

const HERE: &str = "127.0.0.1";
const ELSEWHERE: &str = "192.168.1.20";
const LONGEST: &str = "SIXTEEN_LETTERS_";

fn ask(policy: &Policy, operation: Operation, caller: Caller, from: &str) -> Verdict {
    let from = from.parse().unwrap();
    let destination = (operation == Operation::Move).then_some((LONGEST, true));
    decide(policy, &Question { operation, calling: LONGEST, from, caller, destination })
}

/// One character for each operation: allowed, refused with a status, aborted.
fn row(policy: &Policy, caller: Caller, from: &str) -> String {
    let cell = |operation| match ask(policy, operation, caller, from) {
        Verdict::Allow => '+',
        Verdict::Refuse(refusal) => match refusal.answer {
            Answer::Status(Status::NOT_AUTHORIZED) => '-',
            Answer::Abort => 'A',
            Answer::Status(_) => '?',
        },
    };
    Operation::ALL.into_iter().map(cell).collect()
}

/// Every cell: mode, open, who, from where; then echo, store, find, worklist, get, move,
/// commitment, step.
#[test]
fn the_table() {
    use Caller::{Allowed, Denied, Stranger};
    use Mode::{Lab, OrthancQuirks, Strict};
    #[rustfmt::skip]
    let table = [
        (Lab, false, Stranger, HERE,      "++++++++"),
        (Lab, false, Stranger, "::1",     "++++++++"),
        (Lab, false, Stranger, "::ffff:127.0.0.1", "++++++++"),
        (Lab, false, Stranger, ELSEWHERE, "+-------"),
        (Lab, false, Allowed,  HERE,      "++++++++"),
        (Lab, false, Allowed,  ELSEWHERE, "++++++++"),
        (Lab, false, Denied,   HERE,      "--------"),
        (Lab, false, Denied,   ELSEWHERE, "--------"),
        (Lab, true,  Stranger, HERE,      "++++++++"),
        (Lab, true,  Stranger, ELSEWHERE, "++++++++"),
        (Lab, true,  Allowed,  ELSEWHERE, "++++++++"),
        (Lab, true,  Denied,   ELSEWHERE, "--------"),
        (Strict, false, Stranger, HERE,      "++------"),
        (Strict, false, Stranger, ELSEWHERE, "++------"),
        (Strict, false, Allowed,  HERE,      "++++++++"),
        (Strict, false, Allowed,  ELSEWHERE, "++++++++"),
        (Strict, false, Denied,   ELSEWHERE, "++------"),
        (Strict, true,  Stranger, ELSEWHERE, "++++++++"),
        (Strict, true,  Denied,   ELSEWHERE, "++------"),
        (OrthancQuirks, false, Stranger, HERE,      "++AAAAAA"),
        (OrthancQuirks, false, Stranger, ELSEWHERE, "++AAAAAA"),
        (OrthancQuirks, false, Allowed,  HERE,      "++++++++"),
        (OrthancQuirks, false, Allowed,  ELSEWHERE, "++++++++"),
        (OrthancQuirks, false, Denied,   ELSEWHERE, "++AAAAAA"),
        (OrthancQuirks, true,  Stranger, ELSEWHERE, "++++++++"),
    ];
    for (mode, open, caller, from, expected) in table {
        let policy = Policy { mode, open, ..Policy::default() };
        assert_eq!(row(&policy, caller, from), expected, "{mode} {open} {caller:?} {from}");
    }
}

#[test]
fn always_allow_is_stronger_than_mode_and_peer() {
    use Caller::{Allowed, Denied, Stranger};
    let all = |value| Always {
        echo: value,
        store: value,
        find: value,
        find_worklist: value,
        get: value,
        move_: value,
    };
    for mode in [Mode::Lab, Mode::Strict, Mode::OrthancQuirks] {
        let no = if mode == Mode::OrthancQuirks { "AAAAAA" } else { "------" };
        let yes = Policy { mode, always: all(Some(true)), ..Policy::default() };
        let only = Policy { mode, always: all(Some(false)), ..Policy::default() };
        for from in [HERE, ELSEWHERE] {
            assert_eq!(&row(&yes, Stranger, from)[..6], "++++++", "{mode} {from}");
            assert_eq!(&row(&yes, Denied, from)[..6], "++++++", "{mode} {from}");
            assert_eq!(&row(&only, Stranger, from)[..6], no, "{mode} {from}");
            assert_eq!(&row(&only, Denied, from)[..6], no, "{mode} {from}");
            assert_eq!(&row(&only, Allowed, from)[..6], "++++++", "{mode} {from}");
        }
    }
}

#[test]
fn every_refusal_fits_the_wire_and_tells_rule_and_fix() {
    for mode in [Mode::Lab, Mode::Strict, Mode::OrthancQuirks] {
        let policy = Policy { mode, ..Policy::default() };
        for caller in [Caller::Stranger, Caller::Denied] {
            for operation in Operation::ALL {
                let Verdict::Refuse(refusal) = ask(&policy, operation, caller, ELSEWHERE) else {
                    continue;
                };
                let told = format!("{refusal:?}");
                assert!(refusal.comment.len() <= 64, "{told}");
                assert!(refusal.comment.contains(LONGEST), "cut short: {told}");
                assert!(refusal.explanation.contains(ELSEWHERE), "{told}");
                assert!(!refusal.rule.is_empty() && !refusal.fix.is_empty(), "{told}");
                if caller == Caller::Stranger {
                    assert!(refusal.rule.contains(&mode.to_string()), "{told}");
                    assert!(refusal.fix.contains("pacslab modality register"), "{told}");
                    assert!(refusal.fix.contains("ORTHANC__DICOM_MODALITIES='{"), "{told}");
                }
            }
        }
    }
}

#[test]
fn c_move_goes_to_known_places_only() {
    for (mode, status) in [
        (Mode::Lab, Status::MOVE_DESTINATION_UNKNOWN),
        (Mode::Strict, Status::MOVE_DESTINATION_UNKNOWN),
        (Mode::OrthancQuirks, Status::CANNOT_UNDERSTAND),
    ] {
        let policy = Policy { mode, ..Policy::default() };
        let question = Question {
            operation: Operation::Move,
            calling: "CT",
            from: HERE.parse().unwrap(),
            caller: Caller::Allowed,
            destination: Some((LONGEST, false)),
        };
        let Verdict::Refuse(refusal) = decide(&policy, &question) else { panic!("{mode}") };
        let reply = refusal.reply().unwrap();
        assert_eq!(reply.status, status);
        assert_eq!(reply.comment.is_some(), mode != Mode::OrthancQuirks);
        assert!(refusal.comment.len() <= 64 && refusal.fix.contains(LONGEST));
    }
}

#[test]
fn associations_are_turned_away_by_title_only() {
    let ours = AeTitle::new("PACSLAB").unwrap();
    let ask = |policy: &Policy, called: &str, calling: &str, caller| {
        admit(policy, &ours, called, calling, ELSEWHERE.parse().unwrap(), |_| caller)
            .map_err(|turned| turned.answer)
    };
    let lab = Policy::default();
    assert_eq!(ask(&lab, "ANY", "CT", Caller::Stranger), Ok(()));
    assert_eq!(ask(&lab, "ANY", "CT", Caller::Denied), Err(AssociateRj::CALLING_AE));
    assert_eq!(ask(&lab, "ANY", "", Caller::Stranger), Ok(()));
    let strict = Policy { mode: Mode::Strict, ..lab };
    assert_eq!(ask(&strict, "ANY", "", Caller::Stranger), Err(AssociateRj::CALLING_AE));
    assert_eq!(ask(&strict, "ANY", "CT", Caller::Stranger), Ok(()));
    let called = Policy { check_called: true, ..lab };
    assert_eq!(ask(&called, "ANY", "CT", Caller::Allowed), Err(AssociateRj::CALLED_AE));
    assert_eq!(ask(&called, "pacslab ", "CT", Caller::Allowed), Ok(()));
    let exact = Policy { strict_aet: true, ..called };
    assert_eq!(ask(&exact, "pacslab", "CT", Caller::Allowed), Err(AssociateRj::CALLED_AE));
    let closed = Always { echo: Some(false), store: Some(false), ..Always::default() };
    let closed = Policy { mode: Mode::Strict, always: closed, ..lab };
    assert_eq!(ask(&closed, "X", "CT", Caller::Stranger), Err(AssociateRj::CALLING_AE));
}
