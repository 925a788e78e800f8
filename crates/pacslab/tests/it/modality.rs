//! Orthanc's routes about other application entities, asked of us and of an Orthanc with the same
//! requests; and the commands that ask them.

use crate::support::lab::{Setup, cli};
use crate::support::orthanc::Orthanc;
use crate::support::process::Finished;
use crate::support::{Lab, cli as spelled, files, fixtures, http, needs, study, wait};
use serde_json::{Value, json};
use std::path::Path;

const LOGIN: Option<&str> = Some("orthanc:orthanc");

/// Somebody with these routes.
#[derive(Clone, Copy)]
struct Door(u16);

impl Door {
    fn ask(self, method: &str, path: &str, body: &str) -> http::Response {
        let kind = [("Content-Type", "application/json")];
        // the small client counts the body of a POST only
        let length = body.len().to_string();
        let counted = [kind[0], ("Content-Length", length.as_str())];
        let headers: &[(&str, &str)] =
            if method == "POST" || !body.is_empty() { &kind } else { &counted };
        http::request(self.0, method, path, LOGIN, headers, body.as_bytes())
    }

    #[track_caller]
    fn json(self, method: &str, path: &str, body: &Value) -> Value {
        self.ask(method, path, &body.to_string()).ok().json()
    }

    fn put(self, name: &str, aet: &str, port: u16) {
        let body = json!({"AET": aet, "Host": "127.0.0.1", "Port": port}).to_string();
        let answer = self.ask("PUT", &format!("/modalities/{name}"), &body).ok();
        assert!(answer.body.is_empty());
    }

    fn store_fixtures(self) -> String {
        for file in files(&fixtures(), "dcm") {
            let bytes = std::fs::read(file).unwrap();
            http::post(self.0, "/instances", "application/dicom", &bytes).ok();
        }
        let studies = self.ask("GET", "/studies", "").ok().json();
        studies[0].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn ended(self, job: &str) -> Value {
        wait::until("the job to end", || {
            let job = self.ask("GET", &format!("/jobs/{job}"), "").ok().json();
            ["Success", "Failure"].iter().any(|end| job["State"] == *end).then_some(job)
        })
    }
}

/// A client of ours, that asks a door.
#[track_caller]
fn ask(door: Door, words: &[&str]) -> Finished {
    let url = format!("http://127.0.0.1:{}", door.0);
    cli(&[words, &["--url", &url, "--login", "orthanc:orthanc"]].concat())
}

/// All that Orthanc says has to be there, of the same kind; more is allowed.
#[track_caller]
fn assert_has_all(ours: &Value, orthancs: &Value, at: &str) {
    match (ours, orthancs) {
        (Value::Object(ours), Value::Object(theirs)) => {
            for (key, value) in theirs {
                let at = format!("{at}.{key}");
                let own = ours.get(key).unwrap_or_else(|| panic!("no {at}; Orthanc has {value}"));
                assert_has_all(own, value, &at);
            }
        }
        (Value::Array(ours), Value::Array(theirs)) => {
            assert_eq!(ours.len(), theirs.len(), "{at}: {ours:?}, Orthanc {theirs:?}");
            for (own, their) in ours.iter().zip(theirs) {
                assert_has_all(own, their, &format!("{at}[]"));
            }
        }
        _ => {
            let kind = |value: &Value| std::mem::discriminant(value);
            assert!(kind(ours) == kind(orthancs), "{at}: {ours}, Orthanc {orthancs}");
        }
    }
}

/// A department and an Orthanc with the same study, the same peers, and somebody who receives.
struct Pair {
    lab: Lab,
    orthanc: Orthanc,
    receiver: u16,
    _folder: tempfile::TempDir,
    _receiving: crate::support::process::Running,
}

impl Pair {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let worklists = folder.path().join("worklists");
        std::fs::create_dir(&worklists).unwrap();
        let (receiving, receiver) =
            spelled::receive("PYNETSCP", &folder.path().join("in"), &folder.path().join("log"));
        let orthanc = Orthanc::start(&worklists, &[]);
        let pair =
            Self { lab: Lab::start(), orthanc, receiver, _folder: folder, _receiving: receiving };
        for door in pair.doors() {
            door.store_fixtures();
            door.put("PYNETSCP", "PYNETSCP", receiver);
            door.put("DEAD", "DEAD", wait::free_port());
            door.put(
                "SELF",
                "SELF",
                if door.0 == pair.lab.http { pair.lab.dicom } else { pair.orthanc.dicom },
            );
        }
        pair
    }

    /// Ours, then Orthanc's.
    fn doors(&self) -> [Door; 2] {
        [Door(self.lab.http), Door(self.orthanc.http)]
    }

    /// The same request to both: same status, same error number, same shape.
    #[track_caller]
    fn same(&self, method: &str, path: &str, body: &str) -> [http::Response; 2] {
        let answers = self.doors().map(|door| door.ask(method, path, body));
        let [ours, orthancs] = &answers;
        let at = format!("{method} {path} {body}");
        assert_eq!(ours.status, orthancs.status, "{at}\n{}\n{}", ours.text(), orthancs.text());
        assert_eq!(ours.body.is_empty(), orthancs.body.is_empty(), "{at}\n{}", ours.text());
        if let Ok(theirs) = serde_json::from_slice::<Value>(&orthancs.body) {
            let own = ours.json();
            if theirs["OrthancStatus"].is_i64() {
                for key in ["OrthancStatus", "HttpStatus", "HttpError", "Message", "Method", "Uri"]
                {
                    assert_eq!(own[key], theirs[key], "{key} of {at}\n{}", ours.text());
                }
                assert!(own["Details"].as_str().is_some_and(|text| !text.is_empty()), "{own}");
            } else {
                assert_has_all(&own, &theirs, &at);
            }
        }
        answers
    }
}

#[test]
fn modalities_are_described_and_refused_as_orthanc_does() {
    needs!("Orthanc");
    let pair = Pair::start();
    pair.same("GET", "/modalities", "");
    pair.same("GET", "/modalities?expand", "");
    pair.same("GET", "/modalities/nope", "");
    pair.same("DELETE", "/modalities/nope", "");
    for body in [
        r#"["A","h",104]"#,
        r#"["A","h","104"]"#,
        r#"["A","*",104,"GE"]"#,
        r#"["A","h",104,"SyngoVia"]"#,
        r#"{"AET":"A","Host":"h","Port":104,"AllowFind":false,"AllowStorageCommitment":false}"#,
        r#"{"AET":"A","Host":"h","Port":"104","LocalAet":"B","Timeout":7,"Manufacturer":"Vitrea"}"#,
    ] {
        pair.same("PUT", "/modalities/a_b", body);
        let [ours, theirs] = pair.same("GET", "/modalities/a_b/configuration", "");
        let (ours, theirs) = (ours.json(), theirs.json());
        for (key, value) in theirs.as_object().unwrap() {
            assert_eq!(&ours[key], value, "{key} after {body}");
        }
    }
    for body in [
        r#"["A","h",0]"#,
        r#"["A","h",-1]"#,
        r#"["A","h",65535]"#,
        r#"["A","h"]"#,
        r#"["A","h",104,"Acme"]"#,
        r#"{"AET":"A","Port":104}"#,
        r#"{"AET":"A","Host":"h","Port":104,"AllowEcho":1}"#,
        r#""A""#,
        "junk",
    ] {
        let [ours, theirs] = pair.same("PUT", "/modalities/a_b", body);
        if theirs.text().contains("TCP port number") {
            let said = theirs.json()["Details"].as_str().unwrap().to_owned();
            let details = ours.json()["Details"].as_str().unwrap().to_owned();
            // Orthanc's sentence, and what to do
            assert!(details.starts_with(&said) && details.contains("e.g. 11112"), "{details}");
        }
    }
    pair.same("DELETE", "/modalities/a_b", "");
    pair.same("GET", "/modalities/a_b/configuration", "");
}

#[test]
fn echo_and_store_answer_as_orthanc_does() {
    needs!("Orthanc");
    let pair = Pair::start();
    let [study, same] = pair.doors().map(|door| door.ask("GET", "/studies", "").json()[0].clone());
    assert_eq!(study, same);
    let study = study.as_str().unwrap();
    for body in ["", "{}", r#"{"Timeout":5}"#, "x"] {
        pair.same("POST", "/modalities/PYNETSCP/echo", body);
    }
    pair.same("POST", "/modalities/nope/echo", "{}");
    pair.same("POST", "/modalities/DEAD/echo", "{}");
    for body in [
        study.to_owned(),
        json!(study).to_string(),
        json!([study]).to_string(),
        json!({"Resources": [study], "Permissive": true, "LocalAet": "OTHER"}).to_string(),
        json!([]).to_string(),
    ] {
        pair.same("POST", "/modalities/PYNETSCP/store", &body);
    }
    let unknown = format!("{}0", &study[..study.len() - 1]);
    for body in ["", "nope", "{}", study::UID, &json!([unknown]).to_string(), r#"["nope"]"#] {
        pair.same("POST", "/modalities/PYNETSCP/store", body);
    }
    pair.same("POST", "/modalities/DEAD/store", study);
    pair.same("POST", "/modalities/nope/store", study);

    for (peer, state) in [("PYNETSCP", "Success"), ("DEAD", "Failure")] {
        let body = json!({"Resources": [study], "Synchronous": false}).to_string();
        let begun = pair.same("POST", &format!("/modalities/{peer}/store"), &body);
        let jobs: Vec<Value> = pair
            .doors()
            .iter()
            .zip(&begun)
            .map(|(door, begun)| door.ended(begun.json()["ID"].as_str().unwrap()))
            .collect();
        assert_has_all(&jobs[0], &jobs[1], "job");
        for job in &jobs {
            assert_eq!(job["State"], state, "{job}");
        }
        for key in ["ErrorCode", "ErrorDescription", "Progress", "Type"] {
            assert_eq!(jobs[0][key], jobs[1][key], "{key} of {}", jobs[0]);
        }
    }
    pair.same("GET", "/jobs/nope", "");
    assert!(pair.receiver > 0);
}

#[test]
fn queries_of_others_answer_as_orthanc_does() {
    needs!("Orthanc");
    let pair = Pair::start();
    // both ask the same Orthanc, which knows the receiver
    Door(pair.lab.http).put("SELF", "ORTHANC", pair.orthanc.dicom);
    for body in [
        r#"{"Query":{"PatientID":""}}"#,
        r#"{"Level":"Room","Query":{}}"#,
        r#"{"Level":"Study","Query":{"Nonsense":""}}"#,
        "",
    ] {
        pair.same("POST", "/modalities/SELF/query", body);
    }
    pair.same("POST", "/modalities/DEAD/query", r#"{"Level":"Study","Query":{}}"#);
    let body =
        json!({"Level": "Study", "Query": {"PatientID": study::PATIENT_ID, "StudyDate": ""}});
    let begun = pair.same("POST", "/modalities/SELF/query", &body.to_string());
    let path: Vec<String> =
        begun.iter().map(|answer| answer.json()["Path"].as_str().unwrap().to_owned()).collect();
    for part in [
        "",
        "/answers",
        "/answers?expand",
        "/answers?expand&simplify",
        "/answers/0/content",
        "/answers/0/content?simplify",
        "/answers/0/content?short",
        "/query?simplify",
        "/answers/7/content",
    ] {
        let [ours, theirs] = [0, 1].map(|at| {
            let answer = pair.doors()[at].ask("GET", &format!("{}{part}", path[at]), "");
            (answer.status, answer.json())
        });
        assert_eq!(ours.0, theirs.0, "{part}");
        if ours.0 == 200 {
            assert_has_all(&ours.1, &theirs.1, part);
        } else {
            assert_eq!(ours.1["OrthancStatus"], theirs.1["OrthancStatus"], "{part}");
        }
    }
    for (part, text) in [("/level", "Study"), ("/modality", "SELF")] {
        for (door, path) in pair.doors().iter().zip(&path) {
            assert_eq!(door.ask("GET", &format!("{path}{part}"), "").ok().text(), text);
        }
    }
    for (part, body) in [
        ("/answers/0/retrieve", "PYNETSCP".to_owned()),
        ("/retrieve", json!({"TargetAet": "PYNETSCP"}).to_string()),
        ("/retrieve", json!({"TargetAet": "NOWHERE"}).to_string()),
    ] {
        let [ours, theirs] =
            [0, 1].map(|at| pair.doors()[at].ask("POST", &format!("{}{part}", path[at]), &body));
        assert_eq!(ours.status, theirs.status, "{part} {body}: {}", ours.text());
        if ours.status == 200 {
            let (mut own, mut their) = (ours.json(), theirs.json());
            // Orthanc sends what it was answered beside the key, which PS3.4 does not provide for
            for query in [&mut own["Query"], &mut their["Query"]] {
                assert_eq!(query[0]["0020,000d"], study::UID);
                *query = Value::Null;
            }
            assert_has_all(&own, &their, part);
        } else {
            assert_eq!(ours.json()["OrthancStatus"], 9, "{}", ours.text());
        }
    }
    let nobody = pair.same("GET", "/queries/nope", "");
    assert_eq!(nobody[0].status, 404);
    for (door, path) in pair.doors().iter().zip(&path) {
        assert_eq!(door.ask("DELETE", path, "").status, 200);
        assert_eq!(door.ask("GET", path, "").status, 404);
    }
}

#[test]
fn a_worklist_is_asked_and_a_study_fetched_over_rest() {
    needs!("Orthanc");
    let pair = Pair::start();
    let [ours, _] = pair.doors();
    pair.lab.place("B1", "Q1", "PYMOD1");
    let keys = json!({"PatientID": "", "AccessionNumber": "", "ScheduledProcedureStepSequence":
                      [{"ScheduledStationAETitle": "PYMOD1"}]});
    let items = ours.json("POST", "/modalities/SELF/find-worklist", &keys);
    assert_eq!(
        (&items[0]["PatientID"], &items[0]["AccessionNumber"]),
        (&json!("Q1"), &json!("B1"))
    );
    let short = json!({"Query": keys, "Short": true});
    let items = ours.json("POST", "/modalities/SELF/find-worklist", &short);
    assert_eq!(items[0]["0010,0020"], "Q1");

    // into our own archive: the target is ours when none is named
    let lab = Lab::start();
    let empty = Door(lab.http);
    empty.put("ORTHANC", "ORTHANC", pair.orthanc.dicom);
    Door(pair.orthanc.http).put("PACSLAB", "PACSLAB", lab.dicom);
    let wanted = json!({"Level": "Study", "Resources": [{"StudyInstanceUID": study::UID}]});
    let moved = empty.json("POST", "/modalities/ORTHANC/move", &wanted);
    assert_eq!(moved["TargetAet"], "PACSLAB", "{moved}");
    assert_eq!(lab.get("/statistics").ok().json()["CountInstances"], study::INSTANCES);
    // and what Orthanc was told of us works, too
    let answer = Door(pair.orthanc.http).ask("POST", "/modalities/PACSLAB/echo", "{}");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn what_is_registered_is_a_destination_at_once_and_after_a_crash() {
    let lab = Lab::start();
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let receive =
        |name: &str| spelled::receive(name, &folder.path().join(name), &folder.path().join("log"));
    let (_one, port) = receive("INBOX1");
    let refused = spelled::move_study("PACSLAB", lab.dicom, study::UID, "INBOX1").failure();
    assert!(refused.said().contains("A801"), "{refused}");
    let peer = format!("INBOX1@127.0.0.1:{port}");
    let told = ask(Door(lab.http), &["modality", "register", &peer, "--check"]).success();
    assert!(told.stdout.contains("INBOX1 answers"), "{told}");
    let arrived = || files(&folder.path().join("INBOX1"), "dcm");
    spelled::move_study("PACSLAB", lab.dicom, study::UID, "INBOX1").success();
    assert_eq!(arrived().len(), study::INSTANCES);

    let lab = lab.kill_and_restart();
    for file in arrived() {
        std::fs::remove_file(file).unwrap();
    }
    spelled::move_study("PACSLAB", lab.dicom, study::UID, "INBOX1").success();
    assert_eq!(arrived().len(), study::INSTANCES);
    ask(Door(lab.http), &["modality", "remove", "INBOX1"]).success();
    spelled::move_study("PACSLAB", lab.dicom, study::UID, "INBOX1").failure();
    let lab = lab.kill_and_restart();
    assert_eq!(lab.get("/modalities/INBOX1").status, 404);
}

/// `modality`, `push` and `verify`, with any server that has the routes.
#[track_caller]
fn the_commands_work(door: Door, folder: &Path) {
    let study_id = door.store_fixtures();
    let inbox = folder.join("in");
    let (_receiving, port) = spelled::receive("PYNETSCP", &inbox, &folder.join("log"));
    let ask = |words: &[&str]| self::ask(door, words);

    let count = study::INSTANCES.to_string();
    for word in [study::UID, study::ACCESSION] {
        let counted = ask(&["verify", word, "--images", &count, "--json"]).success().json();
        assert_eq!(counted[0]["instances"], study::INSTANCES, "{counted}");
        assert_eq!(counted[0]["id"], study_id.as_str(), "{counted}");
        let series = counted[0]["series"].as_array().unwrap();
        let below: u64 = series.iter().map(|one| one["instances"].as_u64().unwrap()).sum();
        assert_eq!(below, study::INSTANCES as u64, "{counted}");
    }
    let one = ask(&["verify", study::CT_SERIES, "--json"]).success().json();
    assert_eq!((&one[0]["level"], &one[0]["instances"]), (&json!("Series"), &json!(1)));
    let wrong = ask(&["verify", study::UID, "--images", "1"]).failure();
    assert_eq!(wrong.code(), Some(1), "{wrong}");
    assert!(wrong.stderr.contains("1 were expected"), "{wrong}");
    assert!(ask(&["verify", "1.2.3.4"]).failure().stderr.contains("nothing of 1.2.3.4"));

    let zero = ask(&["modality", "register", "PYNETSCP@127.0.0.1:0"]).failure();
    let sentence = "A TCP port number must be in range [1..65534], but found: 0";
    assert!(zero.stderr.contains(sentence) && zero.stderr.contains("11112"), "{zero}");
    let peer = format!("PYNETSCP@127.0.0.1:{port}");
    ask(&["modality", "register", &peer]).success();
    let listed = ask(&["modality", "list"]).success();
    assert!(listed.stdout.contains("PYNETSCP") && listed.stdout.contains(&port.to_string()));
    let shown = ask(&["modality", "show", "PYNETSCP", "--json"]).success().json();
    assert_eq!((&shown["AET"], &shown["Port"]), (&json!("PYNETSCP"), &json!(port)));
    ask(&["modality", "echo", "PYNETSCP"]).success();

    for what in [["--study", study::UID], ["--accession", study::ACCESSION], ["--id", &study_id]] {
        let _ = std::fs::remove_dir_all(&inbox);
        std::fs::create_dir(&inbox).unwrap();
        let sent = ask(&["push", "PYNETSCP", what[0], what[1], "--json"]).success().json();
        assert_eq!(sent["InstancesCount"], study::INSTANCES, "{sent}");
        assert_eq!(files(&inbox, "dcm").len(), study::INSTANCES, "{what:?}");
    }
    let nobody = format!("DEAD@127.0.0.1:{}", wait::free_port());
    ask(&["modality", "register", &nobody]).success();
    let failed = ask(&["push", "DEAD", "--study", study::UID]).failure();
    assert!(failed.stderr.contains("pacslab modality echo DEAD"), "{failed}");
    assert_eq!(ask(&["modality", "echo", "DEAD"]).failure().code(), Some(1));
    ask(&["modality", "remove", "DEAD"]).success();
    for words in [["modality", "show", "DEAD"], ["modality", "remove", "DEAD"]] {
        let gone = ask(&words).failure();
        assert!(gone.stderr.contains("knows no modality DEAD"), "{gone}");
    }
    let stranger = ["--login", "orthanc:wrong"];
    let url = format!("http://127.0.0.1:{}", door.0);
    let refused = cli(&[&["modality", "list", "--url", &url], &stranger[..]].concat()).failure();
    assert!(refused.stderr.contains("does not accept the login"), "{refused}");
    assert!(refused.stderr.contains("--login"), "{refused}");
}

#[test]
fn the_commands_work_with_our_server() {
    let folder = tempfile::tempdir().unwrap();
    // a title that the configuration does not have
    let lab = Setup::default().start();
    the_commands_work(Door(lab.http), folder.path());
}

#[test]
fn the_commands_work_with_orthanc() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(folder.path(), &[]);
    the_commands_work(Door(orthanc.http), folder.path());
}
