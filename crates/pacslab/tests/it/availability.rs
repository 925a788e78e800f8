//! Instance Availability Notification, both sides. PS3.4 R.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::process::Running;
use crate::support::{Lab, needs, peers, study, wait};

fn told(lab: &Lab, kind: &str) -> Vec<Value> {
    let lines = lab.get("/pacslab/events").ok().text();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["kind"] == kind).collect()
}

fn wait_told(lab: &Lab, kind: &str) -> Value {
    wait::until(&format!("an event {kind}"), || told(lab, kind).into_iter().next())
}

const SETTINGS: &str =
    "[availability]\npeers = \"RIS\"\nquiet = \"100ms\"\nretry_after = \"50ms\"\n";

/// The peer is down when the study is quiet, and ours is killed: it is told all the same.
#[test]
fn a_peer_is_told_what_arrived_though_it_was_down_and_we_were_killed() {
    needs!("python");
    let port = wait::free_port();
    let lab = Lab::setup().peer("RIS", port).config(SETTINGS).start();
    lab.store_fixtures();
    wait_told(&lab, "availability.failed");
    let lab = lab.kill_and_restart();
    let log = lab.folder.path().join("ris.log");
    let mut command = peers::python_command("availability.py", &[&port.to_string()]);
    let _ris = Running::start("availability.py", &mut command, log.clone(), false);
    wait_told(&lab, "availability.sent");
    let notices = std::fs::read_to_string(&log).unwrap();
    let notices: Vec<Value> =
        notices.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    // all of it, whether it was quiet in between or not
    let last = notices.last().unwrap();
    assert_eq!(last["study"], study::UID);
    let instances: BTreeSet<&str> =
        last["instances"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(instances.len(), study::INSTANCES);
    assert!(instances.contains(study::CT_INSTANCE));
    assert_eq!(last["availability"], serde_json::json!(["ONLINE"]));
    assert_eq!(last["retrieve"], serde_json::json!(["PACSLAB"]));
}

#[test]
fn ours_tells_ours() {
    let other = Lab::start();
    let lab = Lab::setup().peer("RIS", other.dicom).config(SETTINGS).start();
    lab.store_fixtures();
    wait_told(&lab, "availability.sent");
    let event = wait_told(&other, "availability.told");
    assert_eq!(event["ids"]["study_uid"], study::UID, "{event}");
}
