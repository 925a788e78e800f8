//! Storage commitment, both sides and both ways, with pynetdicom at the other end. PS3.4 J.

use serde_json::{Value, json};

use crate::support::lab::{Setup, cli};
use crate::support::process::{Finished, Running};
use crate::support::{Lab, dcmtk, fixtures, needs, peers, study, wait};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const MR: &str = "1.2.840.10008.5.1.4.1.1.4";
const MR_INSTANCE: &str = "2.25.134102768071370104284169018018163347015";

/// What the peer saw, in order: the answer and the reports.
fn lines(finished: Finished) -> Vec<Value> {
    let finished = finished.success();
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asks to commit, `CLASS=INSTANCE` each.
#[derive(Clone, Copy)]
struct Ask<'a> {
    /// Where it listens for reports; 0: nowhere.
    listen: u16,
    /// `hold` the association until the reports are there, or `close` it after the answer.
    way: &'a str,
    transaction: &'a str,
    /// How many to wait for.
    reports: u32,
}

const HOLD: Ask<'_> = Ask { listen: 0, way: "hold", transaction: "1.2.3.1", reports: 1 };
const LEAVE: Ask<'_> = Ask { way: "close", reports: 0, ..HOLD };

impl Ask<'_> {
    fn run(&self, lab: &Lab, references: &[String]) -> Vec<Value> {
        let (port, listen) = (lab.dicom.to_string(), self.listen.to_string());
        let reports = self.reports.to_string();
        let mut args = vec!["ask", "127.0.0.1", &port, "PACSLAB", &listen, self.way];
        args.extend([self.transaction, &reports]);
        args.extend(references.iter().map(String::as_str));
        lines(peers::python_script("commitment.py", &args))
    }
}

/// The status of the answer. On one association the peer's threads may print a report first.
fn answer(seen: &[Value]) -> &Value {
    &seen.iter().find(|line| line.get("answer").is_some()).unwrap()["answer"]
}

fn report(seen: &[Value]) -> &Value {
    seen.iter().rfind(|line| line.get("report").is_some()).unwrap()
}

fn listen(port: u16, reports: u32, refuse: u32) -> Vec<Value> {
    let args = [port.to_string(), reports.to_string(), refuse.to_string()];
    lines(peers::python_script("commitment.py", &["listen", &args[0], &args[1], &args[2]]))
}

fn both() -> [String; 2] {
    [format!("{CT}={}", study::CT_INSTANCE), format!("{MR}={MR_INSTANCE}")]
}

/// A lab whose peer listens on this port, and that loses no time.
fn setup(port: u16, more: &str) -> Setup {
    let commitment = format!("[commitment]\nretry_after = \"50ms\"\n{more}\n");
    Lab::setup().config(&commitment).peer("PYCOMMIT", port)
}

fn told(lab: &Lab, kind: &str) -> Vec<Value> {
    let lines = lab.get("/pacslab/events").ok().text();
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    events.filter(|event| event["kind"] == kind).collect()
}

fn wait_told(lab: &Lab, kind: &str) -> Value {
    wait::until(&format!("an event {kind}"), || told(lab, kind).into_iter().next())
}

#[test]
fn the_report_comes_on_the_association_that_is_held() {
    needs!("python");
    let lab = setup(wait::free_port(), "").start();
    lab.store_fixtures();
    let seen = HOLD.run(&lab, &both());
    assert_eq!(answer(&seen), "0000");
    let expected = json!({
        "report": "same", "type": 1, "transaction": "1.2.3.1", "failed": {}, "aet": "PACSLAB",
        "committed": [study::CT_INSTANCE, MR_INSTANCE], "status": 0,
    });
    assert_eq!(*report(&seen), expected);
    assert_eq!(seen.len(), 2);
    let event = wait_told(&lab, "commitment.reported");
    assert_eq!(event["ids"]["study_uid"], study::UID, "{event}");
}

/// Closed by then: the report comes to the address that is registered.
#[test]
fn the_report_follows_a_requestor_that_has_released() {
    needs!("python");
    let port = wait::free_port();
    // longer than it takes to release
    let lab = setup(port, "wait = \"1s\"").start();
    lab.store_fixtures();
    let seen = Ask { listen: port, way: "close", ..HOLD }.run(&lab, &both());
    assert_eq!(answer(&seen), "0000");
    let taken = report(&seen);
    assert_eq!((&taken["report"], &taken["status"]), (&json!("reverse"), &json!(0)));
    assert_eq!(taken["committed"].as_array().unwrap().len(), 2);
}

/// Some PACS report before they answer: the setting has ours do so.
#[test]
fn the_report_can_come_before_the_answer() {
    needs!("python");
    let port = wait::free_port();
    let lab = setup(port, "report = \"early\"").start();
    lab.store_fixtures();
    let seen = Ask { listen: port, ..HOLD }.run(&lab, &both());
    assert_eq!((&seen[0]["report"], &seen[1]["answer"]), (&json!("reverse"), &json!("0000")));
}

#[test]
fn each_failure_has_its_reason() {
    needs!("python");
    let lab = setup(wait::free_port(), "").start();
    lab.store_fixtures();
    let ct = format!("{CT}={}", study::CT_INSTANCE);
    let asked = [
        ct.clone(),
        format!("{CT}=1.2.3.4.5"),
        format!("{CT}={MR_INSTANCE}"),
        "1.2.840.10008.1.1=1.2.3.4.6".to_owned(),
    ];
    let seen = HOLD.run(&lab, &asked);
    assert_eq!(report(&seen)["type"], 2);
    assert_eq!(report(&seen)["committed"], json!([study::CT_INSTANCE]));
    let failed = json!({"1.2.3.4.5": "0112", MR_INSTANCE: "0119", "1.2.3.4.6": "0122"});
    assert_eq!(report(&seen)["failed"], failed);
    // a transaction UID is used once
    let again = HOLD.run(&lab, std::slice::from_ref(&ct));
    assert_eq!(answer(&again), "0000");
    assert_eq!(report(&again)["failed"], json!({study::CT_INSTANCE: "0131"}));
    // nothing to commit
    let nothing = Ask { transaction: "1.2.3.2", ..LEAVE }.run(&lab, &[]);
    assert_eq!(nothing[0]["answer"], "0115");
    assert!(nothing[0]["comment"].as_str().unwrap().contains("1199"), "{nothing:?}");
}

/// The requestor is down, or says no: tried again until it takes the report.
#[test]
fn a_requestor_that_is_down_has_its_report_later() {
    needs!("python");
    let port = wait::free_port();
    let lab = setup(port, "report = \"reverse\"").start();
    lab.store_fixtures();
    assert_eq!(LEAVE.run(&lab, &both())[0]["answer"], "0000");
    let delayed = wait_told(&lab, "commitment.delayed");
    assert_eq!(delayed["outcome"], "warning");
    let seen = listen(port, 1, 1);
    let statuses: Vec<_> = seen.iter().map(|report| report["status"].clone()).collect();
    assert_eq!(statuses, [json!(0x0110), json!(0)], "refused once, then taken");
    assert_eq!(seen[1]["transaction"], "1.2.3.1");
    wait_told(&lab, "commitment.reported");
}

/// Killed after the answer: the report is not lost, and it is not sent twice.
#[test]
fn what_was_asked_is_reported_once_after_sigkill() {
    needs!("python");
    let port = wait::free_port();
    let lab = setup(port, "report = \"reverse\"").start();
    lab.store_fixtures();
    assert_eq!(LEAVE.run(&lab, &both())[0]["answer"], "0000");
    let lab = lab.kill_and_restart();
    let seen = listen(port, 1, 0);
    assert_eq!((&seen[0]["transaction"], &seen[0]["type"]), (&json!("1.2.3.1"), &json!(1)));
    wait_told(&lab, "commitment.reported");
    // if the first came again, it would come before the second
    let lab = lab.kill_and_restart();
    let second = Ask { transaction: "1.2.3.2", listen: port, reports: 1, ..LEAVE };
    let seen = second.run(&lab, &both());
    let transactions = seen.iter().filter_map(|line| line.get("transaction"));
    assert_eq!(transactions.collect::<Vec<_>>(), ["1.2.3.2"]);
}

#[test]
fn a_requestor_that_nobody_knows_is_told_of_and_found_once_it_is_registered() {
    needs!("python");
    let lab =
        Lab::setup().config("[commitment]\nretry_after = \"50ms\"\nreport = \"reverse\"\n").start();
    lab.store_fixtures();
    assert_eq!(LEAVE.run(&lab, &both())[0]["answer"], "0000");
    let delayed = wait_told(&lab, "commitment.delayed");
    let message = delayed["message"].as_str().unwrap();
    assert!(message.contains("modality register PYCOMMIT@127.0.0.1"), "{message}");
    let port = wait::free_port();
    lab.run(&["modality", "register", &format!("PYCOMMIT@127.0.0.1:{port}")]).success();
    assert_eq!(listen(port, 1, 0)[0]["transaction"], "1.2.3.1");
}

/// A PACS of pynetdicom's that commits all but what is named.
fn pacs(way: &str, requestor: u16, missing: &[&str]) -> (Running, u16, tempfile::TempDir) {
    let (folder, port) = (tempfile::tempdir().unwrap(), wait::free_port());
    let ports = [port.to_string(), requestor.to_string()];
    let args = [&["serve", &ports[0], way, &ports[1]], missing].concat();
    let mut command = peers::python_command("commitment.py", &args);
    let log = folder.path().join("pacs.log");
    let pacs = Running::start("commitment.py serve", &mut command, log, false);
    wait::until_listening("the PACS", port);
    (pacs, port, folder)
}

fn commit(port: u16, more: &[&str]) -> Finished {
    let (peer, files) = (format!("PYPACS@127.0.0.1:{port}"), fixtures());
    let args = ["commit", files.to_str().unwrap(), "--pacs", &peer, "--json"];
    cli(&[&args, more].concat())
}

#[test]
fn the_command_takes_the_report_whichever_way_it_comes() {
    needs!("python");
    for way in ["same", "after", "before"] {
        let listen = wait::free_port();
        let (pacs, port, _folder) = pacs(way, listen, &[]);
        let (number, hold) = (listen.to_string(), "100ms");
        let more: &[&str] =
            if way == "same" { &[] } else { &["--listen", &number, "--hold", hold] };
        let answer = commit(port, more).success().json();
        assert_eq!(answer["committed"].as_array().unwrap().len(), study::INSTANCES, "{way}");
        drop(pacs);
    }
}

#[test]
fn the_command_names_what_is_not_committed() {
    needs!("python");
    let (_pacs, port, _folder) = pacs("same", 0, &[MR_INSTANCE]);
    let partly = commit(port, &[]);
    assert_eq!(partly.code(), Some(4), "{partly}");
    let failed = &partly.json()["failed"];
    assert_eq!(failed[0]["sop_instance"], MR_INSTANCE);
    assert_eq!(failed[0]["message"], "0x0112 (no such SOP instance)");
    assert_eq!(failed.as_array().unwrap().len(), 1);
}

/// No report, and no service at all: each says what to do.
#[test]
fn the_command_says_why_there_is_no_report() {
    needs!("python", "storescp");
    let (_pacs, port, _folder) = pacs("after", wait::free_port(), &[]);
    let silent = commit(port, &["--wait", "200ms"]).failure();
    assert!(silent.stderr.contains("--listen"), "{silent}");
    let receiver = dcmtk::StoreScp::start("PYPACS", &[]);
    let refused = commit(receiver.port, &[]).failure();
    assert!(refused.stderr.contains("Storage Commitment"), "{refused}");
}

/// Ours asks ours: on the association, and by a call.
#[test]
fn ours_commits_what_ours_sent() {
    let listen = wait::free_port();
    let setup = || {
        let peer = format!("[peers]\nPYMOD1 = \"PYMOD1@127.0.0.1:{listen}\"\n");
        Lab::setup().config(&peer)
    };
    let lab = setup().start();
    let none = commit(lab.dicom, &[]);
    assert_eq!(none.code(), Some(1), "{none}");
    lab.store_fixtures();
    let all = commit(lab.dicom, &[]).success().json();
    assert_eq!(all["committed"].as_array().unwrap().len(), study::INSTANCES);
    assert_eq!(all["retrieve_aet"], "PACSLAB");
    let lab = setup().config("[commitment]\nreport = \"reverse\"\n").start();
    lab.store_fixtures();
    let all = commit(lab.dicom, &["--listen", &listen.to_string()]).success().json();
    assert_eq!(all["committed"].as_array().unwrap().len(), study::INSTANCES);
}

/// The simulated scanner asks after its images, and says so where nobody keeps anything.
#[test]
fn a_scanner_asks_after_its_images() {
    let lab = Lab::start();
    lab.place("ACC2001", "P2001", "PYMOD1");
    let out = lab.folder.path().join("images");
    let (pacs, out) = (format!("PACSLAB@127.0.0.1:{}", lab.dicom), out.to_str().unwrap());
    let ran = cli(&["acquire", "--run", "--json", "--pacs", &pacs, "--out", out]).success();
    let (told, stored) = (ran.json()["commitment"].clone(), ran.json()["stored"].clone());
    assert_eq!(told, format!("{stored} images committed"));
}
