//! Performed procedure steps: what a scanner reports reaches orders and worklist. PS3.4 F.7.

use serde_json::{Value, json};

use crate::support::lab::cli;
use crate::support::process::{Finished, Running};
use crate::support::{Lab, dcmtk, files, needs, peers, wait};

/// Runs `what` of the script, a scanner of pynetdicom, for an order.
#[track_caller]
fn scanner(lab: &Lab, accession: &str, what: &str) -> String {
    let args = ["127.0.0.1", &lab.dicom.to_string(), "PACSLAB", accession, what];
    peers::python_script("mpps.py", &args).success().stdout
}

/// Waits until an event of this kind tells that.
#[track_caller]
fn told(lab: &Lab, kind: &str, what: &str) {
    wait::until_true(what, || {
        let said = lab.run(&["watch", "--no-follow", "--last", "1000", "--json"]).success().stdout;
        said.lines().any(|line| line.contains(kind) && line.contains(what))
    });
}

#[test]
fn every_rule_of_the_service_holds() {
    needs!("python");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    scanner(&lab, "ACC1001", "rules");
    told(
        &lab,
        "ris.performed",
        "performed step PPS1 of order ACC1001 on PYMOD1 is COMPLETED with 1 objects",
    );
    // the image that it lists was never sent
    told(&lab, "ris.missing", "PYMOD1 reported 1 objects, and 1 of them have not come");
    // more images after the end: the step stays as it ended
    told(&lab, "ris.performed", "a step that is COMPLETED cannot start");
}

#[test]
fn what_was_answered_is_there_after_a_kill() {
    needs!("python");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    scanner(&lab, "ACC1001", "begin");
    let lab = lab.kill_and_restart();
    scanner(&lab, "ACC1001", "again");
    let lab = lab.kill_and_restart();
    scanner(&lab, "ACC1001", "ended");
}

#[test]
fn one_scan_for_two_orders_moves_both() {
    needs!("python");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    lab.place("ACC1002", "P12345", "PYMOD1");
    scanner(&lab, "ACC1001", "group");
}

#[test]
fn work_without_an_order_is_kept_and_told() {
    needs!("python");
    let lab = Lab::start();
    scanner(&lab, "-", "unscheduled");
    told(&lab, "ris.unmatched", "no scheduled step fits what PYMOD1 reports");
}

/// A department of pynetdicom: a worklist, an archive, and who is told of performed steps.
struct Department {
    running: Running,
    port: u16,
    folder: tempfile::TempDir,
}

impl Department {
    #[track_caller]
    fn start(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = peers::python_command("mpps_scp.py", &[mode]);
        let log = folder.path().join("log");
        let running = Running::start("mpps_scp.py", &mut command, log, false);
        let port = wait::until("the department to open", || {
            let told = lines(&running).into_iter().find(|told| told["what"] == "ready")?;
            told["port"].as_u64().and_then(|port| u16::try_from(port).ok())
        });
        Self { running, port, folder }
    }

    /// The scanner does what there is to do.
    fn scan(&self, more: &[&str]) -> Finished {
        let pacs = format!("DEPARTMENT@127.0.0.1:{}", self.port);
        let out = self.folder.path().join("images").display().to_string();
        let mut args = vec!["acquire", "--run", "--seed", "7", "--pacs", &pacs, "--out", &out];
        args.extend(more);
        cli(&args)
    }

    /// What it was told: which message, with how many images by then, and how it ended.
    #[track_caller]
    fn told(&self) -> Vec<(String, u64, Value, Value)> {
        let reports = lines(&self.running).into_iter().filter(|told| told["what"] != "ready");
        reports
            .map(|told| {
                assert!(told["what"] != "wrong", "{told}");
                let what = told["what"].as_str().unwrap_or_default().to_owned();
                let images = told["images"].as_u64().unwrap_or_default();
                (what, images, told["status"].clone(), told["reasons"].clone())
            })
            .collect()
    }
}

fn lines(running: &Running) -> Vec<Value> {
    running.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn our_scanner_reports_its_step_before_and_after_the_images() {
    needs!("python");
    let department = Department::start("whole");
    let ran = department.scan(&["--json"]).success().json();
    assert_eq!(
        (&ran["mpps"]["status"], &ran["stored"]),
        (&json!("COMPLETED"), &json!(16)),
        "{ran}"
    );
    let told = department.told();
    let expected = [
        ("create".to_owned(), 0, Value::Null, Value::Null),
        ("set".to_owned(), 16, json!("COMPLETED"), json!([])),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_step_whose_images_are_not_taken_is_discontinued() {
    needs!("python");
    let department = Department::start("full");
    let failed = department.scan(&[]).failure();
    assert!(failed.stderr.contains("the step was reported as DISCONTINUED"), "{failed}");
    let told = department.told();
    let expected = [
        ("create".to_owned(), 0, Value::Null, Value::Null),
        ("set".to_owned(), 3, json!("DISCONTINUED"), json!(["110513"])),
    ];
    assert_eq!(told, expected);
}

#[test]
fn where_nobody_takes_reports_the_images_go_without_and_that_is_said() {
    needs!("python");
    let department = Department::start("without");
    let ran = department.scan(&[]).success();
    let said = "DEPARTMENT takes no reports of performed steps (MPPS)";
    assert!(ran.stdout.contains(said), "{ran}");
    assert!(ran.stdout.contains("16 images stored"), "{ran}");
    assert!(department.told().is_empty());
}

#[test]
fn a_scan_takes_its_item_off_the_worklist() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let pacs = format!("PACSLAB@127.0.0.1:{}", lab.dicom);
    let out = lab.folder.path().join("images").display().to_string();
    let args = ["acquire", "--run", "--seed", "7", "--pacs", &pacs, "--out", &out];
    let ran = cli(&args).success();
    for word in ["IN PROGRESS", "16 images stored", "COMPLETED with 16 images"] {
        assert!(ran.stdout.contains(word), "{word}: {ran}");
    }
    let keys = ["0008,0050=ACC1001", "0020,000d"];
    assert!(dcmtk::find(lab.dicom, "-W", &keys).is_empty());
    assert!(files(&lab.worklists, "wl").is_empty());
    told(&lab, "ris.performed", "is COMPLETED with 16 objects");
    // and there is nothing left to do
    let again = cli(&args).failure();
    assert!(again.stderr.contains("nothing on its worklist"), "{again}");
}
