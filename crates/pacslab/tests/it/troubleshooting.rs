//! The things that go wrong for everybody, reproduced: what is printed, and that it says what to
//! do. The same texts stand in `docs/troubleshooting.md`.

use crate::support::lab::pacslab;
use crate::support::orthanc::Orthanc;
use crate::support::process::Finished;
use crate::support::{Lab, cli, dcmtk, needs, process, study, wait};

/// `pacslab serve` with variables as a compose file sets them; has to end by itself.
#[track_caller]
fn serve_with(variables: &[(&str, &str)]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let mut command = pacslab();
    command.args(["serve", "--ephemeral"]).current_dir(folder.path());
    command.envs(variables.iter().copied());
    process::run(&mut command).failure()
}

/// Events of one kind, as JSON.
#[track_caller]
fn events(lab: &Lab, kind: &str) -> Vec<serde_json::Value> {
    let lines = lab.get("/pacslab/events").ok().text();
    let all = lines.lines().map(|line| serde_json::from_str(line).expect("an event is JSON"));
    all.filter(|event: &serde_json::Value| event["kind"] == kind).collect()
}

/// The first event of a kind; events are written a moment after the answer has left.
#[track_caller]
fn event(lab: &Lab, kind: &str) -> serde_json::Value {
    wait::until(&format!("an event {kind}"), || events(lab, kind).into_iter().next())
}

#[track_caller]
fn field(event: &serde_json::Value, name: &str) -> String {
    let fields = event["fields"].as_array().cloned().unwrap_or_default();
    let found = fields.iter().find(|field| field[0] == name);
    found.map_or_else(|| panic!("no {name} in {event}"), |f| f[1].as_str().unwrap_or("").to_owned())
}

#[track_caller]
fn says(text: &str, wanted: &[&str]) {
    for part in wanted {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn port_zero_is_refused_with_the_known_sentence_and_the_fix() {
    let ended = serve_with(&[("ORTHANC__DICOM_MODALITIES", r#"{"PYMOD1":["PYMOD1","*",0]}"#)]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    says(
        &ended.stderr,
        &[
            "A TCP port number must be in range [1..65534], but found: 0",
            "environment ORTHANC__DICOM_MODALITIES",
            r#"hint: give the port on which PYMOD1 listens"#,
            r#"ORTHANC__DICOM_MODALITIES='{"PYMOD1":["PYMOD1","*",11112]}'"#,
        ],
    );
    let ended = serve_with(&[("ORTHANC__DICOM_PORT", "65535")]);
    says(&ended.stderr, &["range [1..65534], but found: 65535", "give a port such as 4242"]);
    let ended = serve_with(&[("PACSLAB__PEERS__X", "X@127.0.0.1:0")]);
    says(&ended.stderr, &["range [1..65534], but found: 0", "PACSLAB__PEERS__X"]);
}

const STRICT: &str = "[dicom]\npolicy = \"strict\"\n";
const FIX: &str = "list it: `pacslab modality register CT9@127.0.0.1:11112` at once";

#[test]
fn an_unlisted_title_is_told_by_status_comment_event_and_log() {
    needs!("findscu");
    let lab = Lab::setup().config(STRICT).start();
    let args = ["-W", "-d", "-aet", "CT9", "-k", "0008,0050"];
    let said = dcmtk::scu("findscu", lab.dicom, &args).said();
    says(&said, &["0x0124", "MWL C-FIND refused: CT9 is not in [peers]"]);
    let refused = event(&lab, "peer.refused");
    let message = refused["message"].as_str().unwrap();
    says(message, &["DICOM authorization rejected: CT9 at 127.0.0.1 asked for MWL C-FIND"]);
    says(message, &["dicom.policy = strict", FIX]);
    says(
        &field(&refused, "fix"),
        &[FIX, r#"ORTHANC__DICOM_MODALITIES='{"CT9":["CT9","127.0.0.1",11112]}'"#],
    );
    says(&field(&refused, "answer"), &["0x0124"]);
    says(&lab.log(), &["peer.refused", "DICOM authorization rejected: CT9", FIX]);
    // our own client says the same
    let found = cli::worklist_find("PACSLAB", lab.dicom, &[]).failure();
    says(&found.stderr, &["0x0124", "PYMOD1 is not in [peers]"]);
    lab.assert_alive();
}

#[test]
fn the_fix_works_without_a_restart() {
    needs!("findscu");
    let lab = Lab::setup().config(STRICT).start();
    let find = || dcmtk::scu("findscu", lab.dicom, &["-W", "-d", "-aet", "ct9", "-k", "0008,0050"]);
    says(&find().said(), &["0x0124"]);
    let url = format!("http://127.0.0.1:{}", lab.http);
    let register = ["modality", "register", "CT9@127.0.0.1:11112", "--url", &url];
    crate::support::lab::cli(&register).success();
    assert!(!find().success().said().contains("0x0124"));
}

#[test]
fn quirks_abort_without_a_response() {
    needs!("findscu", "movescu", "echoscu");
    let lab = Lab::setup().config("[dicom]\npolicy = \"orthanc-quirks\"\n").start();
    for args in [
        ["-W", "-d", "-aet", "CT9", "-k", "0008,0050"],
        ["-S", "-d", "-aet", "CT9", "-k", "0008,0052=STUDY"],
    ] {
        let said = dcmtk::scu("findscu", lab.dicom, &args).said();
        says(&said, &["Peer aborted Association"]);
        assert!(!said.contains("0x0124"), "{said}");
    }
    says(&field(&event(&lab, "peer.refused"), "answer"), &["A-ABORT without a response"]);
    // who is not listed may echo and store there, and so here
    dcmtk::scu("echoscu", lab.dicom, &["-aet", "CT9"]).success();
    dcmtk::store(lab.dicom, &[&crate::support::fixture("ct.dcm")]);
}

#[test]
fn quirks_answer_c000_for_an_unknown_destination() {
    needs!("movescu");
    let config = "[dicom]\npolicy = \"orthanc-quirks\"\n[peers]\nCT9 = \"CT9@*:104\"\n";
    let lab = Lab::setup().config(config).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    let args = ["-S", "-d", "-aet", "CT9", "-aem", "NOWHERE", "-k", "0008,0052=STUDY", "-k", &key];
    let said = dcmtk::scu("movescu", lab.dicom, &args).failure().said();
    says(&said.to_lowercase(), &["c000"]);
    says(event(&lab, "peer.refused")["message"].as_str().unwrap(), &["NOWHERE", "[peers]"]);
}

#[test]
fn a_stranger_on_this_computer_is_welcome_and_shown_as_new_once() {
    needs!("echoscu");
    let lab = Lab::start();
    for _ in 0..3 {
        dcmtk::scu("echoscu", lab.dicom, &["-aet", "CT9"]).success();
    }
    let new = event(&lab, "peer.new");
    says(
        new["message"].as_str().unwrap(),
        &["CT9 at 127.0.0.1 is new", "C-ECHO, C-STORE, C-FIND, MWL C-FIND, C-GET, C-MOVE", FIX],
    );
    assert_eq!(events(&lab, "peer.new").len(), 1);
}

#[test]
fn no_worklist_match_is_explained_by_its_key() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let keys = ["0008,0050", "(0040,0100)[0].0040,0001=pymod1"];
    assert!(dcmtk::find(lab.dicom, "-W", &keys).is_empty());
    let because = field(&event(&lab, "worklist.no-match"), "because");
    says(&because, &["ACC1001: ScheduledStationAETitle has 'PYMOD1'", "asked for 'pymod1'"]);
    let keys = ["--station", "CT2"];
    let found = cli::worklist_find("PACSLAB", lab.dicom, &keys).success();
    says(&found.said(), &["CT2"]);
}

#[test]
fn an_unreachable_destination_is_named_with_the_firewalls_command() {
    needs!("movescu");
    let port = wait::free_port();
    let lab = Lab::setup().peer("PYNETSCP", port).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    let args = ["-S", "-d", "-aem", "PYNETSCP", "-k", "0008,0052=STUDY", "-k", &key];
    let said = dcmtk::scu("movescu", lab.dicom, &args).failure().said();
    says(&said, &[&format!("127.0.0.1:{port}")]);
    let log = wait::until("the failure in the log", || {
        Some(lab.log()).filter(|log| log.contains("netsh advfirewall"))
    });
    says(
        &log,
        &[
            &format!("PYNETSCP@127.0.0.1:{port}"),
            &format!("cannot connect to 127.0.0.1:{port}"),
            "host.docker.internal",
            &format!(
                "netsh advfirewall firewall add rule name=\"DICOM-{port}\" dir=in action=allow \
                 protocol=TCP localport={port}"
            ),
        ],
    );
}

/// What an unlisted title, a listed one and its lower case get from us and from a real Orthanc with
/// the same configuration.
#[test]
fn one_orthanc_json_decides_alike_here_and_there() {
    needs!("Orthanc", "echoscu", "findscu", "storescu");
    let folder = tempfile::tempdir().unwrap();
    let peers = [("CT9", 104)];
    let orthanc = Orthanc::with(folder.path(), &peers, serde_json::json!({}));
    let config = serde_json::json!({
        "Name": "interop", "DicomAet": "ORTHANC", "RemoteAccessAllowed": false,
        "AuthenticationEnabled": true, "RegisteredUsers": { "orthanc": "orthanc" },
        "DicomModalities": { "CT9": ["CT9", "127.0.0.1", 104] },
        "Worklists": { "Enable": true, "Database": folder.path() },
    });
    let setup = Lab::setup().orthanc(&config);
    let quirks = setup.clone().variable("PACSLAB__DICOM__POLICY", "orthanc-quirks").start();
    let strict = setup.variable("PACSLAB__DICOM__POLICY", "strict").start();
    assert_eq!(strict.get("/system").json()["Name"], "interop");
    let ct = crate::support::fixture("ct.dcm");
    let asked = |port: u16, title: &str| {
        let ended = |tool: &str, more: &[&str]| {
            let said = dcmtk::scu(tool, port, &[&["-v", "-aet", title], more].concat()).said();
            let aborted = said.to_lowercase().contains("aborted association");
            (aborted, said.contains("0x0124") || said.contains("NotAuthorized"))
        };
        [
            ended("echoscu", &[]),
            ended("storescu", &["--", ct.to_str().unwrap()]),
            ended("findscu", &["-W", "-d", "-k", "0008,0050"]),
            ended("findscu", &["-S", "-d", "-k", "0008,0052=STUDY", "-k", "0020,000d"]),
        ]
    };
    let nothing = (false, false);
    for title in ["CT9", "ct9", "OTHER"] {
        let theirs = asked(orthanc.dicom, title);
        assert_eq!(asked(quirks.dicom, title), theirs, "{title}");
        // strict refuses the same and says so
        let ours = asked(strict.dicom, title);
        assert_eq!(ours.map(|(aborted, _)| aborted), [false; 4]);
        assert_eq!(ours.map(|(_, refused)| refused), theirs.map(|(aborted, _)| aborted), "{title}");
        assert_eq!(theirs == [nothing; 4], title != "OTHER", "{theirs:?}");
    }
}
