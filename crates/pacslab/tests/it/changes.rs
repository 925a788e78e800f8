//! Deletion, protection and what is known of arrivals, side by side with a real Orthanc.

use serde_json::{Value, json};

use crate::support::{Lab, files, fixtures, http, needs, orthanc::Orthanc, study};

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
