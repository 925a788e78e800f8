use super::*;

/// The sample of that name; those with an event are made from `A08`.
fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r").as_bytes()).unwrap()
}

fn fixture(name: &str) -> Message {
    let path = format!("{}/tests/fixtures/{name}.hl7", env!("CARGO_MANIFEST_DIR"));
    Message::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn patient(text: &str) -> PatientChange {
    match read(&message(text), &Options::default()).unwrap().what {
        What::Patients(mut changes) => changes.remove(0),
        other => panic!("{other:?}"),
    }
}

const HEAD: &str = "MSH|^~\\&|ADT|H|PACS|H|20250115083000||ADT^";

fn adt(event: &str, rest: &str) -> String {
    format!("{HEAD}{event}|M1|P|2.5.1\nEVN||20250115083000\n{rest}\n")
}

const PID: &str = "PID|1||PL1^^^LAB||DOE^JANE||19800101|F";

#[test]
fn a_change_tells_what_it_tells_and_deletes_what_it_deletes() {
    let change = patient(&adt("A08", "PID|1||PL1^^^LAB||DOE^JANET||\"\"|\nPV1|1|I|W2^1^1"));
    assert_eq!(change.action, PatientAction::Update);
    assert_eq!(change.cleared, [crate::map::Attribute::PatientBirthDate]);
    let before = patient(&adt("A01", &format!("{PID}\nPV1|1|O|W1||||||||||||||||V1^^^LAB")));
    assert_eq!(before.action, PatientAction::Visit { arrived: true });
    let (after, visit) = change.onto(&before.patient, &before.visit);
    assert_eq!((after.name.as_str(), after.birth_date.as_str()), ("DOE^JANET", ""));
    assert_eq!((after.sex.as_str(), visit.location.as_str()), ("F", "W2^1^1"));
    assert_eq!(visit.admission.id, "V1");
}

#[test]
fn a_merge_names_who_survives_and_who_is_retired() {
    let change = patient(&adt("A40", &format!("{PID}\nMRG|T1^^^LAB~OLD7^^^CITY||||||DOE^UNKNOWN")));
    assert_eq!(change.patient.id.id, "PL1");
    let PatientAction::Merge { retired, name } = change.action else { panic!() };
    assert_eq!(retired.iter().map(|id| id.id.as_str()).collect::<Vec<_>>(), ["T1", "OLD7"]);
    assert_eq!(name.as_str(), "DOE^UNKNOWN");
}

#[test]
fn a_report_is_text_and_a_document() {
    let read = |message: &Message| match super::read(message, &Options::default()).unwrap().what {
        What::Reports(mut reports) => reports.remove(0),
        other => panic!("{other:?}"),
    };
    let report = read(&fixture("oru_r01_251"));
    assert_eq!((report.status, report.order.accession.as_str()), (ReportStatus::Final, "A2500001"));
    assert_eq!(report.interpreter.name.as_str(), "READER^RAY");
    assert_eq!(report.sections[0].kind, SectionKind::Findings);
    assert!(report.sections[0].text.ends_with("lobe.\nNo effusion."), "{report:?}");
    assert!(report.order.procedure.study_uid.is_valid());
}
