//! Deletion, protection and what is known of arrivals, side by side with a real Orthanc.

use serde_json::{Value, json};

use crate::support::lab::cli as run;
use crate::support::{Lab, cli, files, fixture, fixtures, http, needs, orthanc::Orthanc, study};

fn ask(port: u16, method: &str, path: &str, body: &str) -> http::Response {
    let headers = [("Content-Type", "application/json")];
    http::request(port, method, path, Some("orthanc:orthanc"), &headers, body.as_bytes())
}

fn store_all(port: u16) {
    for file in files(&fixtures(), "dcm") {
        let bytes = std::fs::read(file).unwrap();
        http::post(port, "/instances", "application/dicom", &bytes).ok();
    }
}

fn ids(port: u16, list: &str) -> Vec<String> {
    let all = http::get(port, list).ok().json();
    let mut all: Vec<String> =
        all.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// Both, with the same objects.
fn two() -> (Lab, Orthanc, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (lab, orthanc) = (Lab::start(), Orthanc::start(folder.path(), &[]));
    store_all(lab.http);
    store_all(orthanc.http);
    (lab, orthanc, folder)
}

#[test]
fn deletion_answers_as_orthanc_does() {
    needs!("Orthanc");
    let (lab, orthanc, _folder) = two();
    let instances = ids(lab.http, "/instances");
    assert_eq!(instances, ids(orthanc.http, "/instances"));
    let patient = ids(lab.http, "/patients").remove(0);
    let bulk = json!({"Resources": [instances[1], "nonsense"]}).to_string();
    let one = format!("/instances/{}", instances[0]);
    let protected = format!("/patients/{patient}/protected");
    let whole = format!("/patients/{patient}");
    for (method, path, body) in [
        ("GET", protected.as_str(), ""),
        ("PUT", &protected, "1"),
        ("GET", &protected, ""),
        ("PUT", &protected, "maybe"),
        ("DELETE", &one, ""),
        ("DELETE", &one, ""),
        ("GET", &one, ""),
        ("POST", "/tools/bulk-delete", &bulk),
        ("POST", "/tools/bulk-delete", "[]"),
        ("GET", "/statistics", ""),
        ("DELETE", &whole, ""),
        ("GET", "/patients", ""),
    ] {
        let (ours, theirs) =
            (ask(lab.http, method, path, body), ask(orthanc.http, method, path, body));
        let what = format!("{method} {path} {body}");
        assert_eq!(ours.status, theirs.status, "{what}: {}", ours.text());
        let mut answers = [ours, theirs].map(|answer| {
            serde_json::from_slice::<Value>(&answer.body).unwrap_or(answer.text().into())
        });
        for answer in &mut answers {
            if let Some(members) = answer.as_object_mut() {
                // its words, and sizes of files that Orthanc writes anew
                members.retain(|name, _| !name.starts_with("Total") && name != "Details");
            }
        }
        assert_eq!(answers[0], answers[1], "{what}");
    }
}

#[test]
fn file_meta_and_metadata_are_shown_as_orthanc_does() {
    needs!("Orthanc");
    let (lab, orthanc, _folder) = two();
    for id in ids(lab.http, "/instances") {
        let header = format!("/instances/{id}/header");
        let [ours, theirs] = [lab.get(&header), orthanc.get(&header)].map(|answer| {
            let mut header = answer.ok().json();
            // who wrote the file, and so how long the group is
            for own in ["0002,0000", "0002,0012", "0002,0013"] {
                header[own]["Value"] = Value::Null;
            }
            header
        });
        assert_eq!(ours, theirs);
        let path = format!("/instances/{id}/metadata?expand");
        let (ours, theirs) = (lab.get(&path).ok().json(), orthanc.get(&path).ok().json());
        for name in
            ["IndexInSeries", "RemoteAET", "Origin", "TransferSyntax", "SopClassUid", "RemoteIP"]
        {
            assert_eq!(ours[name], theirs[name], "{name} of {id}");
            let one = format!("/instances/{id}/metadata/{name}");
            assert_eq!(lab.get(&one).status, orthanc.get(&one).status, "{one}");
            assert_eq!(lab.get(&one).text(), orthanc.get(&one).text(), "{one}");
        }
        let none = format!("/instances/{id}/metadata/Nonsense");
        let (ours, theirs) = (lab.get(&none), orthanc.get(&none));
        assert_eq!(ours.status, theirs.status);
        assert_eq!(ours.json()["OrthancStatus"], theirs.json()["OrthancStatus"]);
    }
}

/// Killed right after the answer: what was deleted stays deleted, what was not is there.
#[test]
fn a_deletion_that_was_answered_survives_sigkill() {
    let lab = Lab::start();
    lab.store_fixtures();
    let all = ids(lab.http, "/instances");
    ask(lab.http, "DELETE", &format!("/instances/{}", all[0]), "").ok();
    let study = ids(lab.http, "/studies").remove(0);
    ask(lab.http, "PUT", &format!("/studies/{study}/labels/kept"), "").ok();
    let lab = lab.kill_and_restart();
    assert_eq!(ids(lab.http, "/instances"), all[1..]);
    assert_eq!(lab.get(&format!("/studies/{study}/labels")).ok().json(), json!(["kept"]));
    // and when the index is made again
    let lab = lab.kill_and_restart_without("index.db");
    assert_eq!(ids(lab.http, "/instances"), all[1..]);
    assert_eq!(lab.get("/tools/labels").ok().json(), json!(["kept"]));
    // the same object may come again
    let found = files(&fixtures(), "dcm").len();
    store_all(lab.http);
    assert_eq!(ids(lab.http, "/instances").len(), found);
}

#[test]
fn the_command_deletes_what_is_named_and_asks_first() {
    let lab = Lab::start();
    lab.store_fixtures();
    // nobody is there to say yes
    let refused = lab.run(&["delete", study::ACCESSION]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(refused.stderr.contains("--yes"), "{refused:?}");
    assert!(!ids(lab.http, "/studies").is_empty());
    let one = lab.run(&["delete", study::CT_INSTANCE, "--yes", "--json"]);
    assert_eq!(one.status.code(), Some(0), "{one:?}");
    assert!(one.stdout.contains("\"instances\":1"), "{one:?}");
    let patient = lab.run(&["delete", "--patient", study::PATIENT_ID, "--yes"]);
    assert_eq!(patient.status.code(), Some(0), "{patient:?}");
    assert!(ids(lab.http, "/instances").is_empty());
    let nothing = lab.run(&["delete", study::ACCESSION, "--yes"]);
    assert_eq!(nothing.status.code(), Some(1), "{nothing:?}");
}

/// The same files in the same folders, by Orthanc's names; `unzip` finds nothing wrong with ours.
#[test]
fn archives_are_what_orthanc_makes() {
    needs!("Orthanc");
    let (lab, orthanc, folder) = two();
    let series = ids(lab.http, "/series");
    let patient = ids(lab.http, "/patients").remove(0);
    let study = ids(lab.http, "/studies").remove(0);
    let two_of_them = json!([series[0], series[1], series[0]]).to_string();
    let named = json!({"Resources": [series[2], study]}).to_string();
    for (method, path, body) in [
        ("GET", format!("/patients/{patient}/archive"), ""),
        ("GET", format!("/studies/{study}/archive"), ""),
        ("GET", format!("/series/{}/archive", series[0]), ""),
        ("POST", format!("/studies/{study}/archive"), "{}"),
        ("POST", "/tools/create-archive".to_owned(), &two_of_them),
        ("POST", "/tools/create-archive".to_owned(), &named),
        ("POST", "/tools/create-archive".to_owned(), "[\"nonsense\"]"),
        ("POST", format!("/studies/{study}/archive"), ""),
    ] {
        let ours = ask(lab.http, method, &path, body);
        let theirs = ask(orthanc.http, method, &path, body);
        assert_eq!(ours.status, theirs.status, "{path} {body}: {}", ours.text());
        if ours.status != 200 {
            continue;
        }
        assert_eq!(ours.header("Content-Type"), theirs.header("Content-Type"));
        assert_eq!(ours.header("Content-Disposition"), theirs.header("Content-Disposition"));
        assert_eq!(members(folder.path(), &ours.body), members(folder.path(), &theirs.body));
    }
}

/// Names of the files in a ZIP file, which Python has checked.
fn members(folder: &std::path::Path, zip: &[u8]) -> Vec<String> {
    let path = folder.join("archive.zip");
    std::fs::write(&path, zip).unwrap();
    let script = "import sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\n\
                  print('\\n'.join(sorted(z.namelist())))";
    let listed = std::process::Command::new("python3").arg("-c").arg(script).arg(&path).output();
    let listed = listed.unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Killed while it compacts over and over: what was not deleted is there, and the folder is whole.
#[test]
fn compaction_survives_sigkill() {
    let mut lab = Lab::start();
    for round in 0..4 {
        lab.store_fixtures();
        let all = ids(lab.http, "/instances");
        ask(lab.http, "DELETE", &format!("/instances/{}", all[round]), "").ok();
        let port = lab.http;
        let compacting = std::thread::spawn(move || {
            // the last answer does not come
            let _ = std::panic::catch_unwind(|| {
                for _ in 0..50 {
                    ask(port, "POST", "/pacslab/compact?below=100", "");
                }
            });
        });
        lab = lab.kill_and_restart();
        compacting.join().unwrap();
        let left = ids(lab.http, "/instances");
        assert_eq!(left.len(), all.len() - 1);
        for id in left {
            lab.get(&format!("/instances/{id}/file")).ok();
        }
    }
    let told = lab.run(&["compact", "--below", "100", "--json"]);
    assert_eq!(told.code(), Some(0), "{told}");
    let data = lab.data.display().to_string();
    let in_use = run(&["check", "--data", &data]);
    assert_eq!(in_use.code(), Some(1), "{in_use}");
    let folder = lab.stop();
    let whole = run(&["check", "--data", &data, "--json"]);
    assert_eq!(whole.code(), Some(0), "{whole}");
    let rebuilt = run(&["check", "--data", &data, "--rebuild"]).success();
    assert!(rebuilt.stdout.contains("objects"), "{rebuilt}");
    let compacted = run(&["compact", "--data", &data]).success();
    assert!(!compacted.stdout.is_empty(), "{compacted}");
    drop(folder);
}

#[test]
fn a_damaged_object_is_named() {
    let lab = Lab::start();
    lab.store_fixtures();
    let data = lab.data.clone();
    let _folder = lab.stop();
    let pack = data.join("packs/000001.pack");
    let mut bytes = std::fs::read(&pack).unwrap();
    // the last byte of the last object
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    let begin = bytes[..end].windows(4).rposition(|word| word == b"PLR1").unwrap();
    bytes[begin - 3] ^= 4;
    std::fs::write(&pack, bytes).unwrap();
    let told = run(&["check", "--data", &data.display().to_string()]);
    assert_eq!(told.code(), Some(1), "{told}");
    assert!(told.said().contains("damaged") || told.said().contains("CRC"), "{told}");
}

/// The peer sees the status and the name of the setting, an HTTP client 507 and the sentence.
#[test]
fn a_quota_is_told_at_both_doors() {
    needs!("storescu");
    let lab = Lab::setup().config("[storage]\nquota = \"20 KiB\"\n").start();
    let ct = fixture("ct.dcm");
    http::post(lab.http, "/instances", "application/dicom", &std::fs::read(&ct).unwrap()).ok();
    let mr = std::fs::read(fixture("mr.dcm")).unwrap();
    let full = http::post(lab.http, "/instances", "application/dicom", &mr);
    assert_eq!(full.status, 507, "{}", full.text());
    assert!(full.text().contains("storage.quota"), "{}", full.text());
    let sent = cli::send("PACSLAB", lab.dicom, &[&fixture("mr.dcm")]);
    assert!(sent.said().contains("A700") && sent.said().contains("storage.quota"), "{sent}");
    assert_eq!(ids(lab.http, "/instances").len(), 1);
}

/// Orthanc's settings, and what Orthanc does with them: of two patients the older one goes.
#[test]
fn orthancs_limits_mean_the_same_here() {
    needs!("Orthanc");
    let limit = json!({"MaximumPatientCount": 1});
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::setup().orthanc(&limit).start();
    let orthanc = Orthanc::with(folder.path(), &[], limit);
    let bytes = std::fs::read(fixture("ct.dcm")).unwrap();
    let (mut meta, mut set) = pacslab_dicom::file::read(&bytes).unwrap();
    for (tag, vr, value) in [
        (pacslab_model::tags::PATIENT_ID, pacslab_model::Vr::LO, "SECOND"),
        (pacslab_model::tags::STUDY_INSTANCE_UID, pacslab_model::Vr::UI, "1.2.7"),
        (pacslab_model::tags::SERIES_INSTANCE_UID, pacslab_model::Vr::UI, "1.2.7.1"),
        (pacslab_model::tags::SOP_INSTANCE_UID, pacslab_model::Vr::UI, "1.2.7.1.1"),
    ] {
        set.put_str(tag, vr, value);
    }
    meta.sop_instance = "1.2.7.1.1".into();
    let second = pacslab_dicom::file::write(&meta, &set);
    for port in [lab.http, orthanc.http] {
        http::post(port, "/instances", "application/dicom", &bytes).ok();
        http::post(port, "/instances", "application/dicom", &second).ok();
    }
    assert_eq!(ids(lab.http, "/instances"), ids(orthanc.http, "/instances"));
    assert_eq!(ids(lab.http, "/instances").len(), 1);
    // and none goes that is protected
    let patient = ids(lab.http, "/patients").remove(0);
    let mut answers = Vec::new();
    for port in [lab.http, orthanc.http] {
        ask(port, "PUT", &format!("/patients/{patient}/protected"), "1").ok();
        answers.push(http::post(port, "/instances", "application/dicom", &bytes).status);
    }
    assert_eq!(answers[0], 507);
    assert!(answers[1] >= 400, "Orthanc refuses as well: {}", answers[1]);
    assert_eq!(ids(lab.http, "/instances"), ids(orthanc.http, "/instances"));
}

/// What has arrived, in order; what is deleted leaves the list. Our numbers have gaps.
#[test]
fn changes_are_listed_as_orthanc_does() {
    needs!("Orthanc");
    let (lab, orthanc, _folder) = two();
    let list = |port: u16, path: &str| -> (Vec<[String; 4]>, bool, Vec<u64>) {
        let all = http::get(port, path).ok().json();
        let text = |change: &Value, key: &str| change[key].as_str().unwrap().to_owned();
        let changes = all["Changes"].as_array().unwrap();
        let rows = changes.iter().filter(|c| !text(c, "ChangeType").starts_with("Stable"));
        let rows = rows.map(|c| ["ChangeType", "ID", "Path", "ResourceType"].map(|k| text(c, k)));
        let numbers: Vec<u64> = changes.iter().map(|c| c["Seq"].as_u64().unwrap()).collect();
        assert_eq!(all["Last"].as_u64(), numbers.last().copied().or(all["Last"].as_u64()));
        (rows.collect(), all["Done"].as_bool().unwrap(), numbers)
    };
    let (ours, done, numbers) = list(lab.http, "/changes");
    let (theirs, also, _) = list(orthanc.http, "/changes");
    assert_eq!((&ours, done), (&theirs, also));
    assert!(numbers.is_sorted());
    // page by page it is the same list
    let (mut since, mut paged) = (0, Vec::new());
    loop {
        let (rows, done, numbers) = list(lab.http, &format!("/changes?since={since}&limit=3"));
        assert!(rows.len() <= 3);
        paged.extend(rows);
        since = numbers.last().copied().unwrap_or(since);
        if done {
            break;
        }
    }
    assert_eq!(paged, ours);
    assert_eq!(list(lab.http, "/changes?last").0, list(orthanc.http, "/changes?last").0);
    assert!(list(lab.http, &format!("/changes?since={since}")).0.is_empty());
    let last = ours.iter().rfind(|change| change[0] == "NewInstance").unwrap()[1].clone();
    for port in [lab.http, orthanc.http] {
        ask(port, "DELETE", &format!("/instances/{last}"), "").ok();
    }
    let (ours, theirs) = (list(lab.http, "/changes").0, list(orthanc.http, "/changes").0);
    assert_eq!(ours, theirs);
}

/// Taken while it serves; images and orders are there afterwards, elsewhere.
#[test]
fn a_backup_comes_back_as_a_department() {
    let lab = Lab::start();
    lab.store_fixtures();
    lab.place("ACC77", "P77", "PYMOD1");
    let data = lab.data.display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let first = run(&["backup", &at("saved"), "--data", &data, "--json"]).success().json();
    assert!(first["new"].as_u64() >= Some(1), "{first}");
    let study = ids(lab.http, "/studies").remove(0);
    ask(lab.http, "PUT", &format!("/studies/{study}/labels/kept"), "").ok();
    let second = run(&["backup", &at("saved"), "--data", &data, "--json"]).success().json();
    assert_eq!(second["new"], 1, "{second}");
    let all = ids(lab.http, "/instances");
    let refused = run(&["restore", &at("saved"), "--data", &data]);
    assert_eq!(refused.code(), Some(1), "{refused}");
    run(&["restore", &at("saved"), "--data", &at("restored")]).success();
    run(&["check", "--data", &at("restored")]).success();
    drop(lab);
    let lab = Lab::setup().data(&folder.path().join("restored")).start();
    assert_eq!(ids(lab.http, "/instances"), all);
    assert_eq!(lab.get(&format!("/studies/{study}/labels")).ok().json(), json!(["kept"]));
    assert!(lab.get("/pacslab/worklist").ok().text().contains("ACC77"));
}
