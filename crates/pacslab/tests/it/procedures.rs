//! Several requested procedures of one accession number: each with a study, steps and states of its
//! own, however the messages bring them. IHE RAD TF-1 3.4, TF-2 4.4 and 4.13.

use serde_json::Value;

use crate::support::lab::cli;
use crate::support::mllp::{exchange, field};
use crate::support::{Lab, dcmtk, files, needs, peers, wait};

const ACCESSION: &str = "A2500001";

/// A group of an ORM: requested procedure (may be empty), exam, start.
fn group(procedure: &str, placer: &str, exam: &str, start: &str) -> String {
    format!(
        "ORC|NW|{placer}^HIS|||SC||1^Once^^{start}^^R\r\
         OBR|1|{placer}^HIS||{exam}^{exam}^99PACSLAB||||||||||||||{ACCESSION}|{procedure}|1|CT1|||\
         CT|||1^Once^^{start}^^R\r"
    )
}

fn orm(id: &str, patient: &str, groups: &[String]) -> String {
    format!(
        "MSH|^~\\&|HIS|HOSP|RIS|LAB|20260105080000||ORM^O01^ORM_O01|{id}|P|2.5\r\
         PID|1||{patient}^^^HOSP||DOE^JANE||19800101|F\rPV1|1|O\r{}",
        groups.concat()
    )
}

/// One OMI with two requested procedures, whose steps are both called 1.
fn omi(id: &str, control: &str) -> String {
    let group = |procedure: &str, exam: &str, study: &str| {
        format!(
            "ORC|{control}|PON0001^HIS|||SC\rTQ1|1||||||20260105090000||R^Routine^HL70485\r\
             OBR|1|PON0001^HIS||{exam}^{exam}^99PACSLAB\r\
             IPC|{ACCESSION}|{procedure}|{study}|1|CT^Computed Tomography^DCM||||CT1\r"
        )
    };
    format!(
        "MSH|^~\\&|HIS|HOSP|RIS|LAB|20260105080000||OMI^O23^OMI_O23|{id}|P|2.5.1\r\
         PID|1||P1^^^HOSP||DOE^JANE||19800101|F\rPV1|1|O\r{}{}",
        group("RP1", "CTCHW", "1.2.3.1"),
        group("RP2", "CTSINUS", "1.2.3.2"),
    )
}

#[track_caller]
fn accepted(lab: &Lab, message: &str) {
    let ack = exchange(lab.mllp, message.as_bytes());
    assert_eq!(field(&ack, "MSA", 1), "AA", "{ack}");
}

/// Requested procedure, study, exam and step of each item that findscu is told of.
fn items(lab: &Lab) -> Vec<[String; 4]> {
    let number = format!("0008,0050={ACCESSION}");
    let keys = [&*number, "0040,1001", "0020,000d", "0032,1060", "(0040,0100)[0].0040,0009"];
    let mut found: Vec<[String; 4]> = dcmtk::find(lab.dicom, "-W", &keys)
        .iter()
        .map(|item| {
            ["(0040,1001)", "(0020,000d)", "(0032,1060)", "(0040,0009)"]
                .map(|tag| dcmtk::value(item, tag).unwrap_or_default())
        })
        .collect();
    found.sort();
    found
}

fn procedures(lab: &Lab) -> Vec<String> {
    items(lab).into_iter().map(|[procedure, ..]| procedure).collect()
}

fn shown(lab: &Lab, procedure: &str) -> Value {
    let args = ["order", "show", ACCESSION, "--procedure", procedure, "--json"];
    lab.run(&args).success().json()
}

#[test]
fn one_message_with_two_procedures_is_two_studies_of_one_order() {
    needs!("findscu");
    let lab = Lab::start();
    accepted(&lab, &omi("M1", "NW"));
    let expected = [["RP1", "1.2.3.1", "CTCHW", "1"], ["RP2", "1.2.3.2", "CTSINUS", "1"]];
    assert_eq!(items(&lab), expected);
    // the same again changes nothing; nor does a restart
    accepted(&lab, &omi("M2", "NW"));
    assert_eq!(files(&lab.worklists, "wl").len(), 2);
    let lab = lab.kill_and_restart();
    assert_eq!(items(&lab), expected);
    // of another patient is what is refused
    let ack = exchange(lab.mllp, omi("M3", "NW").replace("P1^^^HOSP", "P2^^^HOSP").as_bytes());
    assert!(ack.contains("|AE|M3") && ack.contains("|205^"), "{ack}");
    // a change is of the one that it names
    let change = orm("M4", "P1", &[group("RP2", "PON0001", "CTSINUS", "20260105140000")]);
    accepted(&lab, &change.replace("ORC|NW", "ORC|XO"));
    let start = |procedure| shown(&lab, procedure)["steps"][0]["start_time"].clone();
    assert_eq!((start("RP1"), start("RP2")), ("090000".into(), "140000".into()));
    assert_eq!(items(&lab), expected);
    let unknown = change.replace("ORC|NW", "ORC|XO").replace("|RP2|", "|RP9|").replace("M4", "M5");
    let ack = exchange(lab.mllp, unknown.as_bytes());
    assert!(ack.contains("ERR||OBR^1^19^1^1|204^") && ack.contains("RP1, RP2"), "{ack}");
}

#[test]
fn a_later_message_adds_one_and_a_cancellation_leaves_the_others() {
    needs!("findscu");
    let lab = Lab::start();
    accepted(&lab, &orm("M1", "P1", &[group("RP1", "PON1", "CTCHW", "20260105090000")]));
    accepted(&lab, &orm("M2", "P1", &[group("RP2", "PON1", "CTSINUS", "20260105093000")]));
    // who names no requested procedure has another number and another exam
    accepted(&lab, &orm("M3", "P1", &[group("", "PON3", "CTHEADW", "20260105100000")]));
    let found = items(&lab);
    let exams: Vec<&str> = found.iter().map(|item| &*item[2]).collect();
    assert_eq!(exams, ["CTHEADW", "CTCHW", "CTSINUS"], "the first has its id from the lab");
    let mut studies: Vec<&str> = found.iter().map(|item| &*item[1]).collect();
    studies.sort_unstable();
    studies.dedup();
    assert_eq!(studies.len(), 3, "each has a study of its own");
    // another exam under the same numbers says not that it is a further one
    let other = orm("M4", "P1", &[group("", "PON1", "CTSPW", "20260105110000")]);
    let ack = exchange(lab.mllp, other.as_bytes());
    assert!(ack.contains("|AE|M4") && ack.contains("another requested procedure id"), "{ack}");

    let cancel = |id: &str, group: String| orm(id, "P1", &[group]).replace("ORC|NW", "ORC|CA");
    // by the number of its order, by the requested procedure
    let third = group("", "PON3", "CTHEADW", "20260105100000");
    accepted(&lab, &cancel("M5", third.replace("|1|CT1|", "||CT1|")));
    assert_eq!(procedures(&lab), ["RP1", "RP2"]);
    // the others wait, wherever somebody looks
    assert_eq!(files(&lab.worklists, "wl").len(), 2);
    accepted(&lab, &cancel("M6", group("RP1", "PON1", "CTCHW", "20260105090000")));
    assert_eq!(procedures(&lab), ["RP2"]);
    let state = |procedure| shown(&lab, procedure)["state"].clone();
    assert_eq!((state("RP1"), state("RP2")), ("CANCELLED".into(), "SCHEDULED".into()));
    // what names none of them is about all that is left
    let whole = format!("ORC|CA\rOBR|1{}{ACCESSION}\r", "|".repeat(17));
    accepted(&lab, &cancel("M7", whole));
    assert!(items(&lab).is_empty() && files(&lab.worklists, "wl").is_empty());
    assert_eq!(state("RP2"), "CANCELLED");
}

#[test]
fn groups_without_ids_are_told_apart_by_what_is_to_be_done() {
    needs!("findscu");
    let lab = Lab::start();
    let start = "20260105090000";
    let two = [group("", "PON1", "CTCHW", start), group("", "PON1", "CTSINUS", start)];
    accepted(&lab, &orm("M1", "P1", &two));
    let found = items(&lab);
    assert_eq!(found.iter().map(|item| &*item[2]).collect::<Vec<_>>(), ["CTCHW", "CTSINUS"]);
    // once more, in another order, and with one that was not there
    let more = [two[1].clone(), group("", "PON1", "CTHEADW", start), two[0].clone()];
    accepted(&lab, &orm("M2", "P1", &more));
    let now = items(&lab);
    assert_eq!((now.len(), &now[..2]), (3, &found[..]), "{now:?}");
}

#[test]
fn a_scanners_report_and_images_go_to_the_procedure_that_they_are_of() {
    needs!("python", "storescu");
    let lab = Lab::start();
    accepted(&lab, &omi("M1", "NW"));
    accepted(&lab, &orm("M2", "P1", &[group("RP3", "PON1", "CTHEADW", "20260105110000")]));
    let folder = tempfile::tempdir().unwrap();
    let wl = files(&lab.worklists, "wl");
    let third = wl.iter().find(|path| path.to_string_lossy().contains("RP3")).unwrap();
    let out = folder.path().display().to_string();
    let wl = third.display().to_string();
    cli(&["acquire", "--wl", &wl, "--seed", "7", "--out", &out]).success();
    let made = files(folder.path(), "dcm");
    dcmtk::store(lab.dicom, &[&made[0]]);
    let state = |procedure| shown(&lab, procedure)["state"].clone();
    wait::until_true("the images' step to begin", || state("RP3") == "IN_PROGRESS");
    assert_eq!((state("RP1"), state("RP2")), ("SCHEDULED".into(), "SCHEDULED".into()));
    // the steps of RP1 and RP2 are both called 1
    let args = ["127.0.0.1", &lab.dicom.to_string(), "PACSLAB", ACCESSION, "procedure"];
    peers::python_script("mpps.py", &args).success();
    assert_eq!((state("RP1"), state("RP3")), ("SCHEDULED".into(), "IN_PROGRESS".into()));
    assert_eq!(shown(&lab, "RP2")["steps"][0]["status"], "COMPLETED");
}

#[test]
fn each_procedure_is_changed_ended_and_reported_on_by_its_id() {
    needs!("findscu");
    let lab = Lab::start();
    let new = ["order", "new", "--accession", ACCESSION, "--patient-id", "P1"];
    let order = |more: &[&str]| lab.run(&[&new[..], more].concat());
    order(&["--exam", "CTCHW", "--procedure", "RP1", "--name", "DOE^JANE"]).success();
    let told = order(&["--exam", "CTSINUS", "--procedure", "RP2"]).success();
    assert!(told.stdout.contains("order A2500001, procedure RP2 placed"), "{told}");
    assert_eq!(procedures(&lab), ["RP1", "RP2"]);
    let all = lab.run(&["order", "show", ACCESSION]).success().stdout;
    assert!(all.contains("RP1") && all.contains("RP2"), "{all}");
    // which one, has to be said
    let change = ["order", "change", ACCESSION, "--station", "CT9"];
    let told = lab.run(&change).failure();
    assert!(told.stderr.contains("RP1, RP2; say which is meant"), "{told}");
    lab.run(&[&change[..], &["--procedure", "RP2"]].concat()).success();
    let station = |procedure| shown(&lab, procedure)["steps"][0]["station"].clone();
    assert_ne!(station("RP1"), "CT9");
    assert_eq!(station("RP2"), "CT9");
    let sign = ["report", "sign", ACCESSION, "--impression", "Normal", "--by", "READER^RAY"];
    let told = lab.run(&sign).failure();
    assert!(told.stderr.contains("say which is meant"), "{told}");
    lab.run(&[&sign[..], &["--procedure", "RP2"]].concat()).success();
    let report = |procedure| shown(&lab, procedure)["report"].clone();
    assert_eq!((report("RP1"), report("RP2")), ("NONE".into(), "FINAL".into()));
    let read = ["report", "show", ACCESSION, "--procedure", "RP2", "--json"];
    let read = lab.run(&read).success().json();
    assert_eq!(read["study_uid"], shown(&lab, "RP2")["procedure"]["study_uid"]);
    lab.run(&["order", "cancel", ACCESSION, "--procedure", "RP1"]).success();
    assert_eq!(procedures(&lab), ["RP2"]);
}
