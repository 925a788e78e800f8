//! Reports: what ORU says is kept with its order. HL7 v2.5.1 7.3.1.

use crate::support::{Lab, mllp};

/// ORU^R01 of an order with one text, and its status.
fn oru(accession: &str, control_id: &str, status: &str, text: &str) -> String {
    format!(
        "MSH|^~\\&|RIS|HOSP|PACSLAB|LAB|20260105100000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||P12345^^^HOSP||DOE^JANE||19800101|F\r\
         OBR|1|{accession}|{accession}|CTCHW^CT CHEST W CONTRAST^99PACSLAB|||20260105090000|||||||\
         ||||{accession}|RP{accession}|||20260105100000||CT|{status}|||||||4001&READER&RAY\r\
         OBX|1|TX|18782-3^Radiology Study observation (narrative)^LN||{text}||||||{status}\r"
    )
}

fn send(lab: &Lab, message: &str) -> String {
    mllp::exchange(lab.mllp, message.as_bytes())
}

#[test]
fn a_report_goes_from_draft_to_final_and_not_back() {
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    for (control_id, status) in [("1", "P"), ("2", "F")] {
        let answer = send(&lab, &oru("ACC1001", control_id, status, "Nothing seen."));
        assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
        assert!(!answer.contains("ERR|"), "{answer}");
    }
    // late, and told so
    let answer = send(&lab, &oru("ACC1001", "3", "P", "Something seen?"));
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    assert!(answer.contains("the report of order ACC1001 is FINAL"), "{answer}");
    assert!(answer.contains("nothing is changed"), "{answer}");
    // a final one that says something else was meant as a correction
    let answer = send(&lab, &oru("ACC1001", "4", "F", "Something seen."));
    assert!(answer.contains("read as a correction"), "{answer}");
    let lab = lab.kill_and_restart();
    let answer = send(&lab, &oru("ACC1001", "5", "P", "Nothing seen."));
    assert!(answer.contains("the report of order ACC1001 is CORRECTED"), "{answer}");
}

#[test]
fn a_report_of_no_order_is_kept_leniently_and_refused_strictly() {
    let lab = Lab::start();
    let answer = send(&lab, &oru("NOWHERE1", "1", "F", "Nothing seen."));
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    assert!(answer.contains("order NOWHERE1 is not known; the report is kept unmatched"));
    let strict = Lab::setup().config("[hl7]\nstrict = true\n").start();
    let answer = send(&strict, &oru("NOWHERE1", "1", "F", "Nothing seen."));
    assert_eq!(mllp::field(&answer, "MSA", 1), "AE", "{answer}");
    assert!(answer.contains("ERR||OBR^1^18^1^1|204^"), "{answer}");
}
