//! `pacslab import`: folders, ZIP files and DICOMDIRs, into a server and into its folder.

use crate::support::lab::{Lab, cli, pacslab};
use crate::support::orthanc::Orthanc;
use crate::support::process::{self, Finished, Running};
use crate::support::{dcmtk, files, fixture, fixtures, needs, peers, study, wait};
use pacslab_dicom::file;
use pacslab_model::{Uid, Vr, tags};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// New, already there, no DICOM, refused.
#[track_caller]
fn counts(ended: &Finished) -> [u64; 4] {
    let told = ended.json();
    ["new", "already_there", "not_dicom", "refused"]
        .map(|key| told[key].as_u64().unwrap_or_else(|| panic!("no {key}: {ended}")))
}

fn instances(lab: &Lab) -> usize {
    lab.get("/instances").ok().json().as_array().map_or(0, Vec::len)
}

/// The fixtures two folders down, and a file that is no DICOM.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");
    std::fs::create_dir_all(&below).unwrap();
    for from in files(&fixtures(), "dcm") {
        std::fs::copy(&from, below.join(from.file_stem().unwrap())).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "nothing to see").unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_folder_goes_into_the_server_once() {
    let (lab, folder) = (Lab::start(), folder());
    let all = study::INSTANCES as u64;
    let args = ["import", text(folder.path()), "--json"];
    assert_eq!(counts(&lab.run(&args).success()), [all, 0, 1, 0]);
    assert_eq!(instances(&lab), study::INSTANCES);
    assert_eq!(counts(&lab.run(&args).success()), [0, all, 1, 0]);
    let stored = lab.get(&format!("/instances/{}/file", first(&lab)));
    assert!(files(&fixtures(), "dcm").iter().any(|path| {
        let (_, ours) = file::read(&stored.body).unwrap();
        file::read(&std::fs::read(path).unwrap()).unwrap().1 == ours
    }));
}

fn first(lab: &Lab) -> String {
    lab.get("/instances").ok().json()[0].as_str().unwrap().to_owned()
}

#[test]
fn a_stopped_folder_is_used_directly_and_its_server_when_it_runs() {
    let (folder, home) = (folder(), tempfile::tempdir().unwrap());
    let (data, all) = (home.path().join("data"), study::INSTANCES as u64);
    let args = ["import", text(folder.path()), "--json", "--data", text(&data)];
    assert_eq!(counts(&cli(&args).success()), [all, 0, 1, 0]);
    assert_eq!(counts(&cli(&args).success()), [0, all, 1, 0]);
    let lab = Lab::setup().data(&data).start();
    assert_eq!(instances(&lab), study::INSTANCES);
    let mut asked = pacslab();
    asked.args(args).env("PACSLAB__HTTP__PORT", lab.http.to_string());
    let ended = process::run(&mut asked).success();
    assert_eq!(counts(&ended), [0, all, 1, 0]);
    assert!(ended.json()["into"].as_str().unwrap().starts_with("http://"), "{ended}");
}

#[test]
fn what_is_named_and_cannot_be_imported_is_partly_done() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let (ct, missing) = (fixture("ct.dcm"), home.path().join("missing"));
    let args = ["import", text(&ct), text(&missing), "--data", text(&data)];
    let ended = cli(&args).failure();
    assert_eq!(ended.code(), Some(4), "{ended}");
    assert!(ended.stderr.contains("missing"), "{ended}");
    let nothing = home.path().join("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let ended = cli(&["import", text(&nothing), "--data", text(&data)]).failure();
    assert_eq!(ended.code(), Some(1), "{ended}");
    // cut off in its data set: DICOM, but not whole
    let half = home.path().join("half.dcm");
    let bytes = std::fs::read(&ct).unwrap();
    std::fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    let other = home.path().join("other");
    let ended = cli(&["import", text(&half), "--data", text(&other), "--json"]).failure();
    assert_eq!((ended.code(), counts(&ended)), (Some(1), [0, 0, 0, 1]), "{ended}");
}

fn zip(kind: &str, to: &Path, files: &[PathBuf]) {
    let files = files.iter().map(|file| text(file));
    let args: Vec<&str> = [kind, text(to)].into_iter().chain(files).collect();
    peers::python_script("make_zip.py", &args).success();
}

#[test]
fn zip_files_of_every_kind_are_read() {
    needs!("python");
    let home = tempfile::tempdir().unwrap();
    let notes = home.path().join("notes.txt");
    std::fs::write(&notes, "nothing to see").unwrap();
    let all = [files(&fixtures(), "dcm"), vec![notes]].concat();
    for kind in ["deflated", "stored", "stream"] {
        let file = home.path().join(format!("{kind}.zip"));
        zip(kind, &file, &all);
        let data = home.path().join(kind);
        let args = ["import", text(&file), "--data", text(&data), "--json"];
        let ended = cli(&args).success();
        assert_eq!(counts(&ended), [study::INSTANCES as u64, 0, 1, 0], "{kind}");
    }
    let lab = Lab::start();
    let ended = lab.run(&["import", text(&home.path().join("stream.zip")), "--json"]).success();
    assert_eq!(counts(&ended), [study::INSTANCES as u64, 0, 1, 0]);
}

#[test]
fn a_zip_bomb_is_refused_and_named() {
    needs!("python");
    let home = tempfile::tempdir().unwrap();
    let (file, ct) = (home.path().join("bomb.zip"), fixture("ct.dcm"));
    zip("deflated", &file, std::slice::from_ref(&ct));
    // the directory says that nearly 4 GB come of it
    let mut bytes = std::fs::read(&file).unwrap();
    let entry = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    bytes[entry + 24..entry + 28].copy_from_slice(&0xFFFF_FF00_u32.to_le_bytes());
    std::fs::write(&file, bytes).unwrap();
    let data = home.path().join("data");
    let ended = cli(&["import", text(&file), "--data", text(&data), "--json"]).failure();
    assert_eq!((ended.code(), counts(&ended)), (Some(1), [0, 0, 0, 1]), "{ended}");
    assert!(ended.stdout.contains("4294967040"), "{ended}");
    let ended = cli(&["import", text(&file), text(&ct), "--data", text(&data), "--json"]).failure();
    assert_eq!((ended.code(), counts(&ended)), (Some(4), [1, 0, 0, 1]), "{ended}");
}

#[test]
fn a_dicomdir_is_followed_in_any_case_and_what_is_missing_is_named() {
    needs!("dcmgpdir");
    let medium = tempfile::tempdir().unwrap();
    let images = medium.path().join("IMAGES");
    std::fs::create_dir(&images).unwrap();
    for (name, from) in [("CT1", "ct.dcm"), ("MR1", "mr.dcm"), ("CR1", "cr.dcm")] {
        std::fs::copy(fixture(from), images.join(name)).unwrap();
    }
    // what no DICOMDIR names
    std::fs::copy(fixture("us_rgb.dcm"), medium.path().join("US1")).unwrap();
    let dicomdir = medium.path().join("DICOMDIR");
    let folder = text(medium.path());
    let names = ["IMAGES/CT1", "IMAGES/MR1", "IMAGES/CR1"];
    let args = ["+id", folder, "+D", text(&dicomdir), "+I", "-W"];
    peers::run("dcmgpdir", &[&args[..], &names].concat()).success();
    // as a file system without capitals shows it
    std::fs::rename(&images, medium.path().join("images")).unwrap();
    let images = medium.path().join("images");
    std::fs::rename(images.join("CT1"), images.join("ct1")).unwrap();
    std::fs::remove_file(images.join("MR1")).unwrap();
    let data = medium.path().join("data");
    let ended = cli(&["import", text(&dicomdir), "--data", text(&data), "--json"]).failure();
    assert_eq!((ended.code(), counts(&ended)), (Some(4), [2, 0, 0, 1]), "{ended}");
    assert!(ended.stdout.contains("IMAGES/MR1"), "{ended}");
    // with its folder the rest comes, too
    std::fs::remove_dir_all(&data).unwrap();
    let lab = Lab::start();
    let ended = lab.run(&["import", folder, "--json"]).failure();
    assert_eq!((ended.code(), counts(&ended)), (Some(4), [3, 0, 0, 1]), "{ended}");
}

#[test]
fn a_pacs_takes_them_by_c_store() {
    let (lab, folder) = (Lab::start(), folder());
    let peer = format!("PACSLAB@127.0.0.1:{}", lab.dicom);
    let args = ["import", text(folder.path()), "--pacs", &peer, "--json"];
    let all = study::INSTANCES as u64;
    assert_eq!(counts(&cli(&args).success()), [all, 0, 1, 0]);
    assert_eq!(counts(&cli(&args).success()), [0, all, 1, 0]);
    assert_eq!(instances(&lab), study::INSTANCES);
    let nobody = format!("PACSLAB@127.0.0.1:{}", wait::free_port());
    let ended = cli(&["import", text(folder.path()), "--pacs", &nobody]).failure();
    assert_eq!(ended.code(), Some(3), "{ended}");
}

#[test]
fn dcmtk_takes_what_is_in_a_zip_file() {
    needs!("python", "storescp", "dcmdump");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("all.zip");
    zip("deflated", &file, &files(&fixtures(), "dcm"));
    let scp = dcmtk::StoreScp::start("PEER", &["-pm"]);
    let peer = format!("PEER@127.0.0.1:{}", scp.port);
    // it knows no C-FIND, and gets everything
    let ended = cli(&["import", text(&file), "--pacs", &peer, "--json"]).success();
    assert_eq!(counts(&ended), [study::INSTANCES as u64, 0, 0, 0], "{ended}");
    let arrived = scp.file_of(study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

#[test]
fn an_orthanc_takes_them_over_http_and_says_what_it_has() {
    needs!("Orthanc");
    let (home, folder) = (tempfile::tempdir().unwrap(), folder());
    let orthanc = Orthanc::start(home.path(), &[]);
    let url = format!("http://127.0.0.1:{}", orthanc.http);
    let args = ["import", text(folder.path()), "--url", &url, "--json"];
    let all = study::INSTANCES as u64;
    assert_eq!(counts(&cli(&args).success()), [all, 0, 1, 0]);
    assert_eq!(counts(&cli(&args).success()), [0, all, 1, 0]);
    assert_eq!(orthanc.instances(), study::INSTANCES);
}

#[test]
fn an_upload_may_be_a_zip_file() {
    needs!("python");
    let home = tempfile::tempdir().unwrap();
    let notes = home.path().join("notes.txt");
    std::fs::write(&notes, "nothing to see").unwrap();
    let all = [files(&fixtures(), "dcm"), vec![notes]].concat();
    for kind in ["deflated", "stored", "stream"] {
        let (lab, file) = (Lab::start(), home.path().join(format!("{kind}.zip")));
        zip(kind, &file, &all);
        let body = std::fs::read(&file).unwrap();
        let status = |at: usize| {
            let told = lab.post("/instances", &body).ok().json();
            let rows = told.as_array().unwrap_or_else(|| panic!("{told}")).clone();
            assert_eq!(rows.len(), study::INSTANCES, "{kind}, {at}: {told}");
            rows[0]["Status"].as_str().unwrap().to_owned()
        };
        assert_eq!([status(1), status(2)], ["Success", "AlreadyStored"], "{kind}");
        // cut off: said so, and what was whole is stored
        let cut = lab.post("/instances", &body[..body.len() / 2]);
        assert_eq!(cut.status, 400, "{}", cut.text());
        // our own archive comes back as one
        let study = lab.get("/studies").ok().json()[0].as_str().unwrap().to_owned();
        let archive = lab.get(&format!("/studies/{study}/archive"));
        let told = lab.post("/instances", &archive.body).ok().json();
        assert_eq!(told.as_array().map(Vec::len), Some(study::INSTANCES), "{kind}: {told}");
    }
}

/// Small images of one series.
fn many(folder: &Path, count: usize) {
    let (mut meta, mut set) = file::read(&std::fs::read(fixture("ct.dcm")).unwrap()).unwrap();
    for number in 0..count {
        let uid = format!("2.25.77.{number}");
        set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, uid.as_str());
        meta.sop_instance = Uid::new(uid);
        std::fs::write(folder.join(format!("{number}.dcm")), file::write(&meta, &set)).unwrap();
    }
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_was() {
    const ALL: usize = 1_500;
    let (lab, folder) = (Lab::start(), tempfile::tempdir().unwrap());
    many(folder.path(), ALL);
    let url = format!("http://127.0.0.1:{}", lab.http);
    let args = ["import", text(folder.path()), "--url", &url, "--login", "orthanc:orthanc"];
    let mut command = pacslab();
    command.args(args);
    let log = lab.folder.path().join("import.log");
    let mut running = Running::start("pacslab import", &mut command, log, false);
    wait::until_true("the first images", || instances(&lab) > 0);
    running.kill();
    let begun = instances(&lab);
    assert!(begun < ALL, "it was done before it could be killed");
    let [new, there, ..] = counts(&lab.run(&["import", text(folder.path()), "--json"]).success());
    assert_eq!(new + there, ALL as u64);
    assert!(there >= begun as u64, "{there} of {begun}");
    assert_eq!(instances(&lab), ALL);
}

#[test]
fn an_import_into_a_folder_survives_a_kill() {
    const ALL: usize = 1_500;
    let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    many(folder.path(), ALL);
    let data = home.path().join("data");
    let args = ["import", text(folder.path()), "--data", text(&data), "--json"];
    let mut command = pacslab();
    command.args(args);
    let log = home.path().join("import.log");
    let mut running = Running::start("pacslab import", &mut command, log, false);
    let written = || {
        let packs = files(&data.join("packs"), "pack");
        packs.iter().any(|pack| {
            let bytes = std::fs::read(pack).unwrap_or_default();
            bytes.windows(9).any(|nine| nine == b"2.25.77.3")
        })
    };
    wait::until_true("the first images", written);
    running.kill();
    let [new, there, ..] = counts(&cli(&args).success());
    assert_eq!(new + there, ALL as u64);
    assert!(new > 0 && there > 0, "{new} new, {there} there");
    cli(&["check", "--data", text(&data)]).success();
}
