//! Performed procedure steps: what a scanner reports reaches orders and worklist. PS3.4 F.7.

use crate::support::{Lab, needs, peers, wait};

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
