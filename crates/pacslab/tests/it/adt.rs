//! Patients: what ADT says reaches the worklist and the archive. IHE RAD TF-2 4.1 and 4.12.

use crate::support::{Lab, dcmtk, mllp, needs, wait};

/// `ADT^A08`, its PID-3 and PID-5, and what follows PID.
fn adt(event: &str, control_id: &str, id: &str, name: &str, more: &str) -> String {
    let structure = match event {
        "A40" => "ADT_A39",
        "A47" => "ADT_A30",
        "A03" => "ADT_A03",
        _ => "ADT_A01",
    };
    format!(
        "MSH|^~\\&|ADT|HOSP|RIS|PACSLAB|20260105080000||ADT^{event}^{structure}|{control_id}|P|2.5\r\
         EVN|{event}|20260105080000\r\
         PID|1||{id}||{name}||19800101|F\r{more}"
    )
}

fn send(lab: &Lab, message: &str) -> String {
    mllp::exchange(lab.mllp, message.as_bytes())
}

#[track_caller]
fn accepted(lab: &Lab, message: &str) -> String {
    let answer = send(lab, message);
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    answer
}

/// What findscu is told of the worklist item: patient ID, patient's name, status.
fn item(lab: &Lab, accession: &str) -> Option<(String, String, String)> {
    let accession = format!("0008,0050={accession}");
    let keys = [&*accession, "0010,0010", "0010,0020", "(0040,0100)[0].0040,0020"];
    let found = dcmtk::find(lab.dicom, "-W", &keys);
    let value = |tag| dcmtk::value(found.first()?, tag);
    Some((value("(0010,0020)")?, value("(0010,0010)")?, value("(0040,0020)").unwrap_or_default()))
}

fn study_patients(lab: &Lab, name: &str) -> Vec<String> {
    let name = format!("0010,0010={name}");
    let found = dcmtk::find(lab.dicom, "-S", &["0008,0052=STUDY", &name, "0010,0020"]);
    found.iter().filter_map(|answer| dcmtk::value(answer, "(0010,0020)")).collect()
}

#[test]
fn a_changed_name_is_on_the_worklist_when_it_is_acknowledged() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    accepted(&lab, &adt("A08", "1", "P12345", "ROE^MARY", ""));
    let (id, name, _) = item(&lab, "ACC1001").expect("it is still offered");
    assert_eq!((&*id, &*name), ("P12345", "ROE^MARY"));
    // and after a restart it still is
    let lab = lab.kill_and_restart();
    assert_eq!(item(&lab, "ACC1001").map(|item| item.1).as_deref(), Some("ROE^MARY"));
}

#[test]
fn whoever_has_come_is_arrived_and_whoever_has_not_is_scheduled_again() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let status = || item(&lab, "ACC1001").map(|item| item.2);
    assert_eq!(status().as_deref(), Some("SCHEDULED"));
    let visit = "PV1|1|O|CT^^^HOSP\r";
    accepted(&lab, &adt("A04", "1", "P12345", "DOE^JANE", visit));
    assert_eq!(status().as_deref(), Some("ARRIVED"));
    accepted(&lab, &adt("A11", "2", "P12345", "DOE^JANE", visit));
    assert_eq!(status().as_deref(), Some("SCHEDULED"));
}

#[test]
fn a_merge_moves_orders_and_studies_and_the_retired_identifier_is_told() {
    needs!("findscu", "storescu");
    let lab = Lab::start();
    lab.store_fixtures();
    let before = study_patients(&lab, "*");
    let old = before.first().expect("the fixtures have a patient").clone();
    lab.place("ACC1001", &old, "PYMOD1");
    let merge = adt("A40", "1", "P777", "ROE^MARY", &format!("MRG|{old}\r"));
    accepted(&lab, &merge);
    let (id, name, _) = item(&lab, "ACC1001").expect("it is still offered");
    assert_eq!((&*id, &*name), ("P777", "ROE^MARY"), "orders at once");
    wait::until_true("the archive to follow", || {
        study_patients(&lab, "*").iter().all(|id| *id != old)
            && study_patients(&lab, "ROE^MARY").contains(&"P777".to_owned())
    });

    let again = send(&lab, &adt("A08", "2", &old, "DOE^JANE", ""));
    assert_eq!(mllp::field(&again, "MSA", 1), "AE", "{again}");
    assert!(again.contains(&format!("patient {old} was replaced by P777")), "{again}");
    assert_eq!(mllp::field(&again, "ERR", 2), "PID^1^3^1^1", "{again}");
    assert!(mllp::field(&again, "ERR", 3).starts_with("204"), "{again}");
    // the same merge again, as after a lost answer, is answered as before
    accepted(&lab, &merge);
}

#[test]
fn a_new_identifier_leaves_the_old_one_as_an_alias_that_is_told() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    accepted(&lab, &adt("A47", "1", "P999", "DOE^JANE", "MRG|P12345\r"));
    assert_eq!(item(&lab, "ACC1001").map(|item| item.0).as_deref(), Some("P999"));
    let order = mllp::orm("ACC1002", "P12345", "PYMOD1", "20260105090000");
    let refused = lab.order(&order);
    assert!(refused.contains("patient P12345 of HOSP was replaced by P999"), "{refused}");
    assert_eq!(item(&lab, "ACC1002"), None, "and the order has had no effect");
}
