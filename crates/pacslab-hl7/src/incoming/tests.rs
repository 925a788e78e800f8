use super::*;

mod appointments;
mod odd;
mod patients;
mod reports;

fn message(text: &str) -> Message {
    Message::parse(text.replace('\n', "\r").as_bytes()).unwrap()
}

fn fixture(name: &str) -> Message {
    let path = format!("{}/tests/fixtures/{name}.hl7", env!("CARGO_MANIFEST_DIR"));
    Message::parse(&std::fs::read(path).unwrap()).unwrap()
}

fn strict() -> Options {
    Options { strict: true, ..Options::default() }
}

fn lenient(message: &Message) -> What {
    read(message, &Options::default()).unwrap_or_else(|refusal| panic!("{refusal:?}")).what
}

/// `OBR-18.1 101`, for each finding.
#[track_caller]
fn refused(message: &Message, options: &Options) -> Vec<String> {
    let findings = read(message, options).unwrap_err().findings;
    findings.iter().map(|f| format!("{} {}", f.place(), f.code.number())).collect()
}

/// A sample with one text in place of another.
#[track_caller]
fn edited(name: &str, from: &str, to: &str) -> Message {
    let text = fixture(name).to_text();
    assert!(text.contains(from), "{from} is not in {name}");
    message(&text.replacen(from, to, 1))
}

#[test]
fn what_is_not_read_is_rejected_by_type_or_event() {
    let options = Options::default();
    let kind =
        |kind: &str| message(&format!("MSH|^~\\&|A|B|C|D|2025||{kind}|1|P|2.5\nPID|1||P1\n"));
    for (sent, place) in [
        ("DFT^P03", "MSH-9.1 200"),
        ("ADT^A99", "MSH-9.2 201"),
        ("ORU^R30", "MSH-9.2 201"),
        ("SIU^S17", "MSH-9.2 201"),
        ("OMI^O19", "MSH-9.2 201"),
        ("ADT", "MSH-9.2 201"),
        ("", "MSH-9.1 101"),
    ] {
        assert_eq!(refused(&kind(sent), &options), [place], "{sent}");
    }
    let unknown = read(&kind("ADT^A99"), &options).unwrap_err();
    assert!(unknown.findings[0].code.rejects() && unknown.findings[0].text.contains("A47"));
}

#[test]
fn every_version_from_2_1_to_2_8_is_read_alike() {
    let sample = fixture("orm_o01_nw_231").to_text();
    let wanted = lenient(&message(&sample));
    for version in ["2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.7", "2.7.1", "2.8", "2.8.2"] {
        let text = sample.replacen("|P|2.3.1|", &format!("|P|{version}|"), 1);
        assert_eq!(lenient(&message(&text)), wanted, "{version}");
    }
    assert_eq!(
        refused(&edited("orm_o01_nw_231", "|2.3.1|", "|3.0|"), &strict())[0],
        "MSH-12.1 203"
    );
}

#[test]
fn strict_names_the_header_field_that_is_missing() {
    for (from, to, place) in [
        ("|RIS|", "||", "MSH-3 101"),
        ("|20250115083000+0000|", "||", "MSH-7 101"),
        ("|MOMI251|", "||", "MSH-10 101"),
    ] {
        let message = edited("omi_o23_251", from, to);
        assert_eq!(refused(&message, &strict())[0], place);
        assert!(read(&message, &Options { default_station: None, ..Options::default() }).is_ok());
    }
}

#[test]
fn orders_say_what_the_lab_has_to_fill() {
    use crate::order::Fill;
    let requests = |message: &Message| match lenient(message) {
        What::Orders(requests) => requests,
        other => panic!("{other:?}"),
    };
    let whole = requests(&fixture("omi_o23_251")).remove(0);
    assert_eq!((whole.fill, whole.warnings, whole.code.as_str()), (vec![], vec![], "NW"));
    let bare = "MSH|^~\\&|A|B|C|D|20250115||ORM^O01|1|P|2.3.1\nPID|1||P1\n\
                ORC|NW|P1^PLACER\nOBR|1|||X^CT HEAD||||||||||||||||||CT1\n";
    let bare =
        bare.replace("||||||||||||||||||CT1", "|||||||||||||||||CT1").replace("P1^PLACER", "");
    let asked = requests(&message(&bare)).remove(0);
    assert_eq!(
        asked.fill,
        [
            Fill::AccessionNumber,
            Fill::PatientName,
            Fill::RequestedProcedureId,
            Fill::StudyInstanceUid,
            Fill::StepId(0),
            Fill::StepStart(0),
        ]
    );
    let told: Vec<String> = asked.warnings.iter().map(Finding::place).collect();
    for place in ["OBR-18.1", "PID-5.1", "OBR-19.1", "ZDS-1.1", "OBR-20.1", "OBR-24.1", "ORC-7.4"] {
        assert!(told.contains(&place.to_owned()), "{place} is not in {told:?}");
    }
    let missing = refused(&message(&bare), &strict());
    for place in ["OBR-18.1 101", "PID-5.1 101", "OBR-19.1 101", "ZDS-1.1 101", "OBR-24.1 101"] {
        assert!(missing.contains(&place.to_owned()), "{place} is not in {missing:?}");
    }
    let moved = requests(&edited("orm_o01_xo_25", "|A2500001|", "||")).remove(0);
    assert_eq!(moved.order.accession, "FON0001");
}

/// As the best-known archive answers them.
#[test]
fn omi_without_its_identifiers_is_refused_at_ipc() {
    for (from, to, place) in [
        ("IPC|A2500001^PACSLAB|", "IPC||", "IPC-1.1 101"),
        ("|2.25.329800735698586629295641978511506172918|", "||", "IPC-3.1 101"),
        ("|20250115100000||", "|tomorrow||", "TQ1-7.1 102"),
        ("PL000001^^^", "^^^", "PID-3.1 101"),
    ] {
        assert_eq!(refused(&edited("omi_o23_251", from, to), &strict()), [place]);
    }
    // OBR-18 is no place for it in an OMI
    let elsewhere = edited("omi_o23_251", "IPC|A2500001^PACSLAB|", "IPC||");
    let What::Orders(requests) = lenient(&elsewhere) else { panic!() };
    assert_eq!(requests[0].order.accession, "FON0001");
}

#[test]
fn each_order_control_is_what_it_is_here() {
    use pacslab_model::order::OrderControl as Control;
    let control = |code: &str| {
        let message = edited("orm_o01_nw_25", "ORC|NW", &format!("ORC|{code}"));
        match read(&message, &Options::default()) {
            Ok(Incoming { what: What::Orders(requests), .. }) => {
                Ok(requests.first().map(|request| request.control))
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => Err(refused(&message, &Options::default())),
        }
    };
    for (codes, wanted) in [
        (&["NW", "SN", "RO", "CH"][..], Control::New),
        (&["XO", "XX", "NA"], Control::Change),
        (&["CA", "OC", "RP", "RU", "oc"], Control::Cancel),
        (&["DC", "OD"], Control::Discontinue),
        (&["SC"], Control::StatusChange),
    ] {
        for code in codes {
            assert_eq!(control(code), Ok(Some(wanted)), "{code}");
        }
    }
    for reply in ["OK", "DR", "CR", "UA", "UC", "UX"] {
        assert_eq!(control(reply), Ok(None), "{reply}");
    }
    for other in ["HD", "RL", "ZZ"] {
        assert_eq!(control(other), Err(vec!["ORC-1 103".to_owned()]), "{other}");
    }
}

#[test]
fn a_configured_path_may_name_a_subcomponent_or_a_repetition() {
    let number = |line: &str| {
        let mut options = Options {
            default_station: pacslab_model::AeTitle::new("ANY").ok(),
            ..Options::default()
        };
        options.sources.set_line(line).unwrap();
        let message = edited("orm_o01_nw_231", "ZDS|", "ZAC|a~b^c&d\nAL1|1||^Nuts\nZDS|");
        let What::Orders(requests) = read(&message, &options).unwrap().what else { panic!() };
        (requests[0].order.accession.clone(), requests[0].order.patient.allergies.clone())
    };
    assert_eq!(number("AccessionNumber=ZAC-1[2].2.2").0, "d");
    assert_eq!(number("AccessionNumber=ZAC-1[2].2").0, "c");
    assert_eq!(number("AccessionNumber=ZAC-9,ZAC-1").0, "a");
    assert_eq!(number("Allergies=ZAC-1.2").1, "c");
    assert_eq!(number("Allergies=AL1-3").1, "Nuts");
}

/// Each row of the table, from a message that has the value in one place only.
#[test]
fn every_source_of_the_table_is_read() {
    use crate::map::{Attribute, Kind, TABLE};
    for row in TABLE {
        for source in row.standard.iter().chain(row.practice) {
            let path: crate::Path = source.parse().unwrap();
            let (value, wanted) = match (row.attribute, row.kind) {
                (Attribute::StudyInstanceUID, _) => ("2.25.77", "2.25.77"),
                (Attribute::RequestedProcedurePriority, _) => ("S", "priority: Stat"),
                (Attribute::PatientSex, _) => ("F", "F"),
                (Attribute::PregnancyStatus, _) => ("B6", "pregnancy: Some(3)"),
                (Attribute::PatientBirthDate, _) => ("19770707", "19770707"),
                (Attribute::Modality, _) => ("XC", "XC"),
                (_, Kind::Time) => ("20310101020304", "20310101"),
                (_, Kind::Observed(_)) => continue,
                (_, Kind::Identifier) => ("ID77", "ID77"),
                _ => ("VALUE77", "VALUE77"),
            };
            // as the first component, subcomponent or, of names, after the number
            let mut written = "^".repeat(path.component.unwrap_or(1) - 1);
            if row.kind == Kind::Name && !matches!(path.segment.as_str(), "PID") {
                written.push('^');
            }
            written += value;
            let siu = matches!(path.segment.as_str(), "SCH" | "AIS" | "AIG" | "AIL");
            let (kind, base) = match path.segment.as_str() {
                _ if siu => ("SIU^S12", "PID|1||P1\nSCH|A1\nAIS|1\nAIG|1\nAIL|1"),
                "IPC" => ("OMI^O23", "PID|1||P1\nPV1|1\nORC|NW\nTQ1|1\nOBR|1\nNTE|1\nIPC|"),
                "TQ1" => ("OMG^O19", "PID|1||P1\nPV1|1\nORC|NW\nTQ1|1\nOBR|1"),
                _ => ("ORM^O01", "PID|1||P1\nPV1|1\nAL1|1\nORC|NW\nOBR|1\nNTE|1\nZDS|"),
            };
            // no PID-3 where it is looked for elsewhere
            let base =
                if *source == "PID-2" { base.replace("P1\n", "\n") } else { base.to_owned() };
            let mut text = format!("MSH|^~\\&|A|B|C|D|20250115||{kind}|1|P|2.5.1\n");
            for line in base.lines() {
                let mut fields: Vec<String> = line.split('|').map(str::to_owned).collect();
                if fields[0] == path.segment {
                    fields.resize(fields.len().max(path.field + 1), String::new());
                    fields[path.field] = written.clone();
                }
                text += &format!("{}\n", fields.join("|"));
            }
            // what every order needs, where it is not the value that is looked for
            let options = Options {
                default_station: pacslab_model::AeTitle::new("ANY").ok(),
                ..Options::default()
            };
            let message = message(&text);
            let mut findings = Vec::new();
            let found = match kind {
                "SIU^S12" => {
                    let mut warnings = Vec::new();
                    let action = AppointmentAction::Book;
                    let read = crate::incoming::schedule::read;
                    format!("{:?}", read(&message, action, &options, &mut findings, &mut warnings))
                }
                _ => format!("{:?}", order::requests(&message, &options, &mut findings)),
            };
            assert!(found.contains(wanted), "{} from {source}: {found}\n{text}", row.keyword);
        }
    }
}
