//! The demo: the whole workflow through sockets, and what it leaves behind.

use crate::support::lab::{cli, pacslab};
use crate::support::orthanc::Orthanc;
use crate::support::process::{self, Finished};
use crate::support::{Lab, cli as spelled, dcmtk, files, needs, peers, wait};
use std::path::Path;

fn demo(data: &Path, more: &[&str]) -> Finished {
    let mut command = pacslab();
    command.args(["demo", "--exit", "--ephemeral"]).args(more);
    command.arg("--data").arg(data.join("data"));
    command.arg("--worklists").arg(data.join("worklists"));
    process::run(&mut command)
}

#[test]
fn the_workflow_plays_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let played = demo(folder.path(), &[]).success();
    for word in [
        "ACC1001",
        "P12345",
        "AA",
        "C-FIND",
        "IN PROGRESS",
        "C-STORE",
        "COMPLETED",
        "images committed",
        "C-MOVE",
        "report dictated, and signed by READER^RAY",
        "structured report stored, found by C-FIND",
        "RIS → order entry",
        "5 resources, 16 images, 1 report",
    ] {
        assert!(played.stdout.contains(word), "{word} in {played}");
    }
    let samples = files(&folder.path().join("data/samples"), "dcm");
    assert!(!samples.is_empty(), "no acquired file: {played}");
    let name = samples[0].file_name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("CT_P12345_ACC1001"), "{name}");
    assert_eq!(files(&folder.path().join("data/inbox"), "dcm").len(), samples.len());
    assert!(!files(&folder.path().join("data/samples"), "json").is_empty(), "no FHIR export");
}

#[test]
fn what_it_acquires_is_valid() {
    needs!("dciodvfy", "dcentvfy");
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path(), &[]).success();
    dcmtk::assert_valid(&files(&folder.path().join("data/samples"), "dcm"));
    dcmtk::assert_valid(&files(&folder.path().join("data/inbox"), "dcm"));
}

#[test]
fn what_it_exports_is_valid() {
    needs!("python", "dcmdump");
    let folder = tempfile::tempdir().unwrap();
    demo(folder.path(), &[]).success();
    let samples = folder.path().join("data/samples");
    let images = files(&samples, "dcm");
    let uid = dcmtk::value(&dcmtk::dump(&images[0]), "(0020,000d)").expect("a study UID");
    // the images and their report
    let count = (images.len() + 1).to_string();
    let exported = files(&samples, "json");
    assert!(exported.iter().any(|path| path.to_string_lossy().ends_with("DiagnosticReport.json")));
    let mut args = vec![uid.as_str(), count.as_str()];
    args.extend(exported.iter().filter_map(|path| path.to_str()));
    peers::python_script("fhir_r4.py", &args).success();
}

#[test]
fn a_busy_port_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let folder = tempfile::tempdir().unwrap();
    let mut command = pacslab();
    command.args(["demo", "--exit", "--dicom-port", &port, "--http-port", "0"]);
    command.args(["--mllp-port", "0"]).arg("--data").arg(folder.path().join("data"));
    command.arg("--worklists").arg(folder.path().join("worklists"));
    let refused = process::run(&mut command).failure();
    assert!(refused.stderr.contains(&port), "{refused}");
    assert!(refused.stderr.contains("--dicom-port"), "{refused}");
}

/// A second double-click once ended with a busy port, and the page of the first stayed unseen.
#[cfg(target_os = "linux")]
#[test]
fn opened_a_second_time_it_shows_the_page_that_is_there() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let (browser, asked) = (folder.path().join("xdg-open"), folder.path().join("asked"));
    let script = format!(
        "#!/bin/sh\nprintf %s \"$1\" >'{0}.part' && mv '{0}.part' '{0}'\n",
        asked.display()
    );
    std::fs::write(&browser, script).unwrap();
    std::fs::set_permissions(&browser, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let port = lab.http.to_string();
    let mut command = pacslab();
    command.args(["demo", "--browser", "--http-port", &port]).env("PATH", path);
    command.current_dir(folder.path());
    let page = format!("http://localhost:{port}");
    let opened = process::run(&mut command).success();
    assert!(opened.stdout.contains(&format!("open already: {page}")), "{opened}");
    let asked = wait::until("the browser is asked", || std::fs::read_to_string(&asked).ok());
    assert_eq!(asked, page);
    assert!(!folder.path().join("data").exists(), "nothing was begun beside it");
}

/// The same steps with other people, played against `serve` in a second process: nothing in
/// them is wired to the demo's names.
#[test]
fn two_other_orders_at_once_against_a_department_next_door() {
    needs!("findscu", "dciodvfy", "dcentvfy");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for (accession, patient) in [("B77", "Q1"), ("B78", "Q2")] {
            let (lab, out) = (&lab, folder.path().join(accession));
            scope.spawn(move || {
                lab.place(accession, patient, "PYMOD1");
                spelled::acquire("PACSLAB", lab.dicom, accession, &out, &["--seed", "7"]);
                spelled::send("PACSLAB", lab.dicom, &[&out]).success();
            });
        }
    });
    for (accession, patient) in [("B77", "Q1"), ("B78", "Q2")] {
        let images = files(&folder.path().join(accession), "dcm");
        dcmtk::assert_valid(&images);
        let keys = ["0008,0052=STUDY", "0020,000d", &format!("0008,0050={accession}"), "0010,0020"];
        let found = dcmtk::find(lab.dicom, "-S", &keys);
        assert_eq!(found.len(), 1, "{accession}");
        assert_eq!(dcmtk::value(&found[0], "(0010,0020)").as_deref(), Some(patient));
    }
}

/// A profile that says only what it must, beside ports that are free here.
fn profile(
    folder: &Path,
    pacs: &str,
    dicom: u16,
    http: u16,
    worklists: &Path,
    more: &str,
) -> String {
    let path = folder.join("profile.toml");
    let text = format!(
        "pacs = \"{pacs}@127.0.0.1:{dicom}\"\nhttp = \"http://127.0.0.1:{http}\"\n\
         worklists = '{}'\n{more}",
        worklists.display()
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Plays a profile with free ports, in a folder of its own.
fn play(folder: &Path, profile: &str, more: &[&str]) -> Finished {
    let mut command = pacslab();
    command.args(["demo", "--pacs", profile, "--mllp-port", "0", "--receiver-port", "0"]);
    process::run(command.args(more).current_dir(folder))
}

#[test]
fn the_workflow_plays_with_orthanc() {
    needs!("Orthanc", "dciodvfy", "python");
    let folder = tempfile::tempdir().unwrap();
    let worklists = folder.path().join("worklists");
    std::fs::create_dir(&worklists).unwrap();
    // knows nobody but the scanner: the receiver introduces itself
    let orthanc = Orthanc::start(&worklists, &[("PYMOD1", 11112)]);
    let file = profile(folder.path(), "ORTHANC", orthanc.dicom, orthanc.http, &worklists, "");
    let played = play(folder.path(), &file, &["--json"]).success();
    let steps: Vec<serde_json::Value> =
        played.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(steps.iter().filter(|step| step["step"].is_u64()).count(), 13, "{played}");
    let without = "ORTHANC takes no reports of performed steps (MPPS)";
    assert!(played.stdout.contains(without), "{played}");
    let images = files(&folder.path().join("data/samples"), "dcm");
    assert_eq!(orthanc.instances(), images.len() + 1, "the report is in the Orthanc: {played}");
    assert_eq!(files(&folder.path().join("data/inbox"), "dcm").len(), images.len(), "{played}");
    dcmtk::assert_valid(&images);
    let known = orthanc.get("/modalities/PYNETSCP/configuration").ok().json();
    assert_eq!(known["Host"], "127.0.0.1", "{known}");

    let uid = orthanc.get("/studies?expand").ok().json()[0]["MainDicomTags"]["StudyInstanceUID"]
        .as_str()
        .unwrap()
        .to_owned();
    let count = (images.len() + 1).to_string();
    let exported = files(&folder.path().join("data/samples"), "json");
    let mut args = vec![uid.as_str(), count.as_str()];
    args.extend(exported.iter().filter_map(|path| path.to_str()));
    peers::python_script("fhir_r4.py", &args).success();

    // the RIS remembers: a second time is another order
    let again = play(folder.path(), &file, &[]).success();
    assert!(again.stdout.contains("ACC1002"), "{again}");
    assert_eq!(orthanc.get("/studies").ok().json().as_array().unwrap().len(), 2);
}

#[test]
fn a_pacs_that_does_not_want_the_report_is_named_and_the_rest_goes_on() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let worklists = folder.path().join("worklists");
    std::fs::create_dir(&worklists).unwrap();
    // only whoever is listed may store, and the report creator is not
    let more = serde_json::json!({
        "DicomAlwaysAllowStore": false, "DicomAlwaysAllowFind": true,
        "DicomAlwaysAllowFindWorklist": true, "DicomAlwaysAllowMove": true,
    });
    let orthanc = Orthanc::with(&worklists, &[("PYMOD1", 11112)], more);
    let file = profile(folder.path(), "ORTHANC", orthanc.dicom, orthanc.http, &worklists, "");
    let played = play(folder.path(), &file, &["--exit"]).success();
    assert!(played.stdout.contains("ORTHANC has no structured report: the peer"), "{played}");
    assert!(played.stdout.contains("RIS → order entry"), "{played}");
    assert!(played.stdout.contains("4 resources, 16 images: "), "{played}");
}

#[test]
fn the_workflow_plays_with_a_department_next_door() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let more = format!(
        "hl7 = \"127.0.0.1:{}\"\n[[orders]]\naccession = \"B77\"\npatient-id = \"Q1\"\n\
         [[orders]]\naccession = \"B78\"\npatient-id = \"Q2\"\n",
        lab.mllp
    );
    let file = profile(folder.path(), "PACSLAB", lab.dicom, lab.http, &lab.worklists, &more);
    let played = play(folder.path(), &file, &[]).success();
    assert!(played.stdout.contains("B77") && played.stdout.contains("B78"), "{played}");
    let studies = lab.get("/studies").ok().json();
    assert_eq!(studies.as_array().unwrap().len(), 2, "{studies}");
    assert!(!folder.path().join("data/ris").exists(), "there was a RIS already");
}

#[test]
fn a_receiver_out_of_reach_is_said_before_anything_is_played() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let more = format!("hl7 = \"127.0.0.1:{}\"\nadvertise_host = \"127.0.0.9\"\n", lab.mllp);
    let file = profile(folder.path(), "PACSLAB", lab.dicom, lab.http, &lab.worklists, &more);
    let refused = play(folder.path(), &file, &[]).failure();
    for word in ["PYNETSCP", "127.0.0.9", "advertise_host", "receiver.bind"] {
        assert!(refused.stderr.contains(word), "{word}: {refused}");
    }
    assert!(files(&lab.worklists, "wl").is_empty());
}

#[test]
fn the_study_uid_of_the_order_is_that_of_the_images() {
    needs!("findscu", "dcmdump");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    lab.place("B1", "Q1", "PYMOD1");
    let keys = ["0008,0050=B1", "0020,000d", "(0040,0100)[0].0040,0009"];
    let item = dcmtk::find(lab.dicom, "-W", &keys).pop().expect("one item");
    spelled::acquire("PACSLAB", lab.dicom, "B1", folder.path(), &[]);
    let image = dcmtk::dump(&files(folder.path(), "dcm")[0]);
    for tag in ["(0020,000d)", "(0008,0050)", "(0040,0009)"] {
        let wanted = dcmtk::value(&item, tag);
        assert!(wanted.is_some(), "{tag} in {item}");
        assert_eq!(dcmtk::value(&image, tag), wanted, "{tag}");
    }
}

#[test]
fn the_same_seed_and_time_give_the_same_bytes() {
    let lab = Lab::start();
    lab.place("B1", "Q1", "PYMOD1");
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<Vec<Vec<u8>>> = ["one", "two"]
        .iter()
        .map(|name| {
            let out = folder.path().join(name);
            let more = ["--seed", "7", "--at", "2026-01-05T08:00"];
            spelled::acquire("PACSLAB", lab.dicom, "B1", &out, &more);
            files(&out, "dcm").iter().map(|path| std::fs::read(path).unwrap()).collect()
        })
        .collect();
    assert!(!made[0].is_empty());
    assert!(made[0] == made[1], "two runs with one seed differ");
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_in_order() {
    let lab = Lab::start();
    lab.store_fixtures();
    lab.interrupt();
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let lab = Lab::start();
    let data = lab.data.to_str().unwrap();
    let second = cli(&["serve", "--ephemeral", "--data", data]).failure();
    assert!(second.stderr.contains(data), "{second}");
    wait::until_true("the first to live on", || lab.get("/studies").status == 200);
}
