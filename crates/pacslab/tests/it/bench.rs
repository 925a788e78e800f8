//! `pacslab bench`: what it claims to have done has been done. Never how fast it was.

use crate::support::dcmtk::StoreScp;
use crate::support::lab::cli;
use crate::support::orthanc::Orthanc;
use crate::support::{Lab, needs, wait};
use serde_json::Value;

/// Everything, in tiny counts.
const TINY: [&str; 10] =
    ["--count", "6", "--connections", "1,2", "--studies", "6", "--images", "2", "--timeout", "20s"];

fn bench(args: &[&str]) -> Value {
    let all = [&["bench", "--json"], args, &TINY].concat();
    cli(&all).success().json()
}

fn rows(report: &Value) -> &Vec<Value> {
    report["measurements"].as_array().expect("a list")
}

/// Each row made what it was asked for, nothing failed, and its figures fit together.
#[track_caller]
fn assert_sound(report: &Value) {
    for row in rows(report) {
        assert_eq!(row["errors"], serde_json::json!({}), "{row}");
        let (requests, rounds) = (row["requests"].as_u64(), row["rounds"].as_array());
        assert_eq!(requests, rounds.map(|rounds| 6 * rounds.len() as u64), "{row}");
        let latency = |name: &str| row["latency_ms"][name].as_f64().expect("a time");
        assert!(latency("p50") > 0.0, "{row}");
        assert!(latency("p50") <= latency("p95") && latency("p95") <= latency("p99"), "{row}");
        assert!(latency("p99") <= latency("max") && latency("mean") <= latency("max"), "{row}");
        let (seconds, rate) = (row["seconds"].as_f64(), row["per_second"].as_f64());
        let product = seconds.unwrap_or(0.0) * rate.unwrap_or(0.0);
        let count = requests.unwrap_or(0) as f64;
        assert!((product - count).abs() < 0.01, "{row}");
    }
}

fn workloads(report: &Value) -> Vec<String> {
    let mut names: Vec<String> =
        rows(report).iter().map(|row| row["workload"].as_str().unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn everything_is_measured_on_ours_and_what_was_written_is_there() {
    let lab = Lab::start();
    let (pacs, http, hl7) = addresses(&lab);
    let report = bench(&[
        "--pacs", &pacs, "--http", &http, "--hl7", &hl7, "--size", "8KB,20KB", "--seed", "7",
    ]);
    assert_sound(&report);
    let all = [
        "echo", "store", "find", "worklist", "move", "get", "qido", "wado", "stow", "order",
        "workflow",
    ];
    assert_eq!(workloads(&report), all);
    assert_eq!(report["not_offered"].as_array().map(Vec::len), Some(0), "{report}");
    // 6 to be found and 4 of 2 images of each size to be fetched; of each of 2 numbers of
    // connections 6 and as many as there are connections before the clock; one to see that it works
    let sent = 2 * (2 * 6 + 3 + 1);
    let images = 6 + 2 * 8 + sent + sent + (2 * 6 + 3 + 1);
    let wrote = &report["targets"][0]["wrote"];
    assert_eq!(wrote["objects"], images, "{wrote}");
    assert_eq!(wrote["found"], images, "C-FIND agrees: {wrote}");
    assert_eq!(wrote["orders"], 50 + 2 * (2 * 6 + 3 + 1), "{wrote}");
    let run = report["run"].as_str().unwrap();
    assert_eq!(wrote["patients"], format!("PLBENCH-{run}-*"));
    // QIDO agrees, and others have nothing of it
    let query = format!("/dicom-web/instances?PatientID=PLBENCH-{run}-*&limit=1000");
    let found = lab.get(&query).ok().json();
    assert_eq!(found.as_array().map(Vec::len), Some(images), "{query}");
    let get = rows(&report).iter().find(|row| row["workload"] == "get").unwrap();
    assert_eq!(get["objects"].as_u64().unwrap(), 2 * get["requests"].as_u64().unwrap());
    assert!(get["bytes"].as_u64().unwrap() > 12 * 8192, "{get}");
    let left = lab.get("/modalities").ok().json();
    assert!(!left.to_string().contains("PLBENCH"), "the destination was taken back: {left}");
    lab.assert_alive();
}

#[test]
fn one_seed_sends_one_set_of_objects() {
    let lab = Lab::start();
    let (pacs, ..) = addresses(&lab);
    let objects = || {
        // of one connection: several share out the images as it comes
        let args = ["bench", "store", "--pacs", &pacs, "--seed", "42", "--connections", "1"];
        cli(&[&args[..], &["--count", "6", "--size", "8KB"]].concat()).success();
        lab.get("/statistics").ok().json()["CountInstances"].as_u64().unwrap()
    };
    let once = objects();
    assert!(once > 0);
    assert_eq!(objects(), once, "the same objects again are no others");
}

#[test]
fn two_are_played_side_by_side_and_an_earlier_run_is_compared() {
    let (one, two) = (Lab::start(), Lab::start());
    let ((first, ..), (second, ..)) = (addresses(&one), addresses(&two));
    let folder = tempfile::tempdir().unwrap();
    let (earlier, page) = (folder.path().join("earlier.json"), folder.path().join("report.html"));
    let args = ["echo", "store", "--pacs", &first, "--pacs", &second, "--sink", "--size", "8KB"];
    let report = bench(&args);
    assert_sound(&report);
    // three workloads, two numbers of connections, three targets
    assert_eq!(rows(&report).len(), 3 * 2 * 3);
    for row in rows(&report) {
        let is_first = row["target"] == first.as_str();
        assert_eq!(row["of_first"].is_null(), is_first, "{row}");
        assert_eq!(row["rounds"].as_array().map(Vec::len), Some(3), "{row}");
    }
    // each has its own: nothing was sent to one and asked of the other
    for target in &report["targets"].as_array().unwrap()[..2] {
        assert_eq!(target["wrote"]["objects"], target["wrote"]["found"], "{target}");
        assert!(target["wrote"]["objects"].as_u64() > Some(0), "{target}");
    }
    std::fs::write(&earlier, report.to_string()).unwrap();
    let (earlier, page) = (earlier.to_str().unwrap(), page.to_str().unwrap());
    let again = bench(&[&args[..], &["--compare", earlier, "--html", page]].concat());
    for row in rows(&again) {
        assert!(row["of_earlier"].as_f64() > Some(0.0), "{row}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    for word in ["<svg", "C-FIND", &first, &second, "p99", "PLBENCH-"] {
        assert!(page.contains(word), "{word}");
    }
    // one file: nothing is fetched from anywhere
    for loads in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
}

#[test]
fn orthanc_is_measured_like_ours() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(folder.path(), &[]);
    let pacs = format!("ORTHANC@127.0.0.1:{}", orthanc.dicom);
    let http = format!("http://127.0.0.1:{}", orthanc.http);
    let report = bench(&["--pacs", &pacs, "--http", &http, "--login", "orthanc:orthanc"]);
    assert_sound(&report);
    let all = ["echo", "store", "find", "worklist", "move", "get", "qido", "wado", "stow"];
    assert_eq!(workloads(&report), all, "{}", report["not_offered"]);
    let missing = &report["not_offered"];
    for (at, workload) in ["order", "workflow"].into_iter().enumerate() {
        assert_eq!(missing[at]["workload"], workload, "{missing}");
        assert!(missing[at]["reason"].as_str().unwrap().contains("--hl7"), "{missing}");
    }
    let wrote = &report["targets"][0]["wrote"];
    assert_eq!(wrote["objects"], wrote["found"], "C-FIND agrees: {wrote}");
    assert_eq!(wrote["objects"], orthanc.instances(), "REST agrees: {wrote}");
    let left = orthanc.get("/modalities").ok().text();
    assert!(!left.contains("PLBENCH"), "the destination was taken back: {left}");
}

#[test]
fn what_a_storage_scp_lacks_is_not_offered_and_no_failure() {
    needs!("storescp");
    let storescp = StoreScp::start("STORESCP", &["--fork"]);
    let pacs = format!("STORESCP@127.0.0.1:{}", storescp.port);
    let report = bench(&["--pacs", &pacs, "--size", "8KB", "echo", "store", "find", "get", "qido"]);
    assert_sound(&report);
    assert_eq!(workloads(&report), ["echo", "store"]);
    let reason = |workload: &str| {
        let missing = report["not_offered"].as_array().unwrap();
        let one = missing.iter().find(|one| one["workload"] == workload).unwrap();
        one["reason"].as_str().unwrap().to_owned()
    };
    assert!(reason("find").contains("Study Root"), "{}", reason("find"));
    assert!(reason("qido").contains("--http"), "{}", reason("qido"));
    let objects = report["targets"][0]["wrote"]["objects"].as_u64().unwrap();
    assert_eq!(storescp.received().len() as u64, objects, "{report}");
}

#[test]
fn other_computers_are_asked_for_and_errors_are_told() {
    let refused = cli(&["bench", "store", "--pacs", "PACS@192.0.2.1:104"]).failure();
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(refused.stderr.contains("--yes"), "{refused}");
    // nobody there: failures, no success, and no endless run
    let nobody = format!("PACS@127.0.0.1:{}", wait::free_port());
    let args = ["bench", "echo", "--pacs", &nobody, "--json", "--count", "4", "--connections", "1"];
    let failed = cli(&args).failure();
    assert_eq!(failed.code(), Some(1), "{failed}");
    let report = failed.json();
    for row in rows(&report) {
        assert_eq!((&row["requests"], &row["latency_ms"]), (&0.into(), &Value::Null), "{row}");
        assert_eq!(row["errors"]["no connection"], 4, "{row}");
    }
}

fn addresses(lab: &Lab) -> (String, String, String) {
    (
        format!("PACSLAB@127.0.0.1:{}", lab.dicom),
        format!("http://127.0.0.1:{}", lab.http),
        format!("127.0.0.1:{}", lab.mllp),
    )
}
