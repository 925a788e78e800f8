//! ORU: text, documents, and what belongs to neither.

use pacslab_model::order::Code as Concept;

use super::*;

fn report(message: &Message) -> Report {
    match lenient(message) {
        What::Reports(mut reports) => reports.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_report_in_words() {
    for name in ["oru_r01_231", "oru_r01_251"] {
        let report = report(&fixture(name));
        assert_eq!(report.status, ReportStatus::Final);
        let order = &report.order;
        assert_eq!(
            (order.accession.as_str(), order.procedure.id.as_str()),
            ("A2500001", "RP000001")
        );
        assert_eq!((order.placer.id.as_str(), order.filler.id.as_str()), ("PON0001", "FON0001"));
        assert_eq!(order.patient.id.id, "PL000001");
        assert_eq!(order.procedure.code.value, "CTCHW");
        assert_eq!(report.interpreter.id, "4001");
        assert_eq!(report.interpreter.name.as_str(), "READER^RAY");
        assert_eq!(report.at.time, "113000", "OBR-22");
        assert_eq!(report.exam_start.time, "101000", "OBR-7");
        let kinds: Vec<SectionKind> = report.sections.iter().map(|section| section.kind).collect();
        assert_eq!(kinds, [SectionKind::Findings, SectionKind::Impression]);
        assert!(report.sections[0].text.ends_with("lobe.\nNo effusion."), "{report:?}");
        assert_eq!(report.studies.first(), Some(&order.procedure.study_uid));
        assert!(order.procedure.study_uid.is_valid());
    }
}

#[test]
fn a_report_as_a_document() {
    let report_of = |message: &Message| report(message);
    let whole = report_of(&fixture("oru_r01_pdf_251"));
    assert_eq!(whole.documents.len(), 1);
    assert_eq!(whole.documents[0].media_type, "application/pdf");
    assert_eq!(whole.documents[0].bytes, b"%PDF-1.4\n");
    let edit = |from: &str, to: &str| edited("oru_r01_pdf_251", from, to);
    // wrapped by an editor, and without padding
    let wrapped = report_of(&edit("JVBERi0xLjQK", "JVBE\\.br\\Ri0x LjQ"));
    assert_eq!(wrapped.documents[0].bytes, b"%PDF-1.4");
    let jpeg = report_of(&edit("AP^PDF^Base64^JVBERi0xLjQK", "IM^JPEG^Base64^/9j/"));
    assert_eq!(jpeg.documents[0].media_type, "image/jpeg");
    for (from, to, place) in [
        ("^JVBERi0xLjQK", "", "OBX-5.5 101"),
        ("JVBERi0xLjQK", "????", "OBX-5.5 102"),
        ("^Base64^", "^Hex^", "OBX-5.4 103"),
    ] {
        assert_eq!(refused(&edit(from, to), &Options::default()), [place]);
    }
}

#[test]
fn an_observation_a_line_is_one_section() {
    let text = "MSH|^~\\&|A|B|C|D|20250115||ORU^R01|1|P|2.3.1\nPID|1||P1\nOBR|1|||X^CT HEAD||||||||||||||A1|||||||P\n\
                OBX|1|TX|F^FINDINGS||first||||||P\nOBX|2|TX|F^FINDINGS||second~third||||||P\n\
                OBX|3|TX|I^Conclusions||none||||||P\nOBX|4|HD|^Study Instance UID||2.25.9||||||P\n\
                OBX|5|HD|SR Instance UID||2.25.8||||||P\nOBX|6|NM|D^Dose^L||3.5|mGy|||||P\n\
                OBX|7|RP|L^Link||https://x/y||||||P\nOBX|8|TX|G^Gone||deleted||||||D\n";
    let report = report(&message(text));
    let told: Vec<_> =
        report.sections.iter().map(|section| (section.kind, section.text.as_str())).collect();
    assert_eq!(
        told,
        [(SectionKind::Findings, "first\nsecond\nthird"), (SectionKind::Impression, "none")]
    );
    assert_eq!((report.studies[0].as_str(), report.sr_instance.as_str()), ("2.25.9", "2.25.8"));
    assert_eq!(report.observations[0].code, Concept::new("D", "L", "Dose"));
    assert_eq!((&*report.observations[0].value, &*report.observations[0].units), ("3.5", "mGy"));
    assert_eq!(report.links, ["https://x/y"]);
    assert_eq!(report.order.procedure.study_uid.as_str(), "2.25.9");
    assert_eq!(report.status, ReportStatus::Preliminary);
}

#[test]
fn each_result_of_a_message_is_a_report_of_its_own() {
    let sample = fixture("oru_r01_231").to_text();
    let obr = &sample[sample.find("OBR|").unwrap()..];
    let second =
        obr.replace("A2500001", "A2500002").replace("FON0001", "FON0002").replace("|F|", "|P|");
    let What::Reports(reports) = lenient(&message(&format!("{sample}{second}"))) else { panic!() };
    let numbers: Vec<_> =
        reports.iter().map(|report| (&*report.order.accession, &*report.order.filler.id)).collect();
    assert_eq!(numbers, [("A2500001", "FON0001"), ("A2500002", "FON0002")]);
}

#[test]
fn a_report_says_of_what_and_something() {
    let name = "oru_r01_pdf_251";
    let text = fixture(name).to_text();
    let obx = &text[text.find("OBX|").unwrap()..];
    assert_eq!(refused(&edited(name, obx, ""), &Options::default()), ["OBX-5 101"]);
    // a cancelled one needs no text
    let cancelled = text.replace(obx, "").replace("|||F|", "|||X|");
    assert_eq!(report(&message(&cancelled)).status, ReportStatus::Cancelled);
    let nameless = text.replace("PON0001^PACSLABOP|FON0001^PACSLABOF", "|").replace("A2500001", "");
    assert_eq!(refused(&message(&nameless), &Options::default()), ["OBR-18.1 101"]);
    assert_eq!(refused(&edited(name, "PL000001", ""), &Options::default()), ["PID-3.1 101"]);
    // a status that nobody knows: strict refuses, lenient reads that of OBX
    let odd = edited(name, "|||F|", "|||Q|");
    assert_eq!(refused(&odd, &strict()), ["OBR-25.1 103"]);
    assert_eq!(report(&odd).status, ReportStatus::Final);
    for status in ReportStatus::ALL {
        assert_eq!(ReportStatus::by_code(status.as_str()), Some(status));
    }
}
