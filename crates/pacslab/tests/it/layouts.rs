//! How objects are kept makes no difference at the doors: what a department takes in, finds, sends,
//! deletes and brings back with each `storage.layout`.

use serde_json::json;

use crate::support::lab::cli as run;
use crate::support::{Lab, dcmtk, files, fixtures, http, needs, study};

const ON_DISK: [&str; 2] = ["pack", "files"];

fn start(layout: &str) -> Lab {
    Lab::setup().config(&format!("[storage]\nlayout = \"{layout}\"\n")).start()
}

fn ask(lab: &Lab, method: &str, path: &str) -> http::Response {
    http::request(lab.http, method, path, Some("orthanc:orthanc"), &[], b"")
}

fn ids(lab: &Lab, list: &str) -> Vec<String> {
    let all = lab.get(list).ok().json();
    let mut all: Vec<String> =
        all.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

/// Every object as it is given out, by its identifier.
fn objects(lab: &Lab) -> Vec<(String, Vec<u8>)> {
    let all = ids(lab, "/instances").into_iter();
    all.map(|id| (id.clone(), lab.get(&format!("/instances/{id}/file")).ok().body)).collect()
}

#[test]
fn each_layout_stores_finds_sends_and_deletes() {
    needs!("storescu", "findscu", "getscu");
    let mut seen = None;
    for layout in ["pack", "files", "memory"] {
        let lab = start(layout);
        let sent = files(&fixtures(), "dcm");
        let sent: Vec<&std::path::Path> = sent.iter().map(|file| file.as_path()).collect();
        dcmtk::store(lab.dicom, &sent);
        let found = dcmtk::find(
            lab.dicom,
            "-S",
            &[
                "QueryRetrieveLevel=STUDY",
                &format!("AccessionNumber={}", study::ACCESSION),
                "StudyInstanceUID",
            ],
        );
        assert_eq!(found.len(), 1, "{layout}: {found:?}");
        let out = tempfile::tempdir().unwrap();
        let key = format!("StudyInstanceUID={}", study::UID);
        let at = out.path().display().to_string();
        let args = ["-S", "-od", &at, "-k", "QueryRetrieveLevel=STUDY", "-k", &key];
        dcmtk::scu("getscu", lab.dicom, &args).success();
        assert!(std::fs::read_dir(out.path()).unwrap().count() > 1, "{layout}");
        let all = objects(&lab);
        assert_eq!(all.len(), study::INSTANCES, "{layout}");
        assert!(*seen.get_or_insert_with(|| all.clone()) == all, "{layout}: other bytes");
        let data = lab.data.display().to_string();
        assert_eq!(layout != "memory", lab.data.join("packs").is_dir(), "{data}");
        let study = ids(&lab, "/studies").remove(0);
        ask(&lab, "DELETE", &format!("/studies/{study}")).ok();
        assert_eq!(ids(&lab, "/instances"), [""; 0], "{layout}");
        let left = files(&lab.data.join("objects"), "dcm");
        assert_eq!(left, [] as [std::path::PathBuf; 0], "{layout}: the room is free at once");
        let compacted = lab.run(&["compact"]).success();
        assert_eq!(layout != "pack", compacted.stdout.contains("nothing to do"), "{compacted}");
        // the same object is new again
        dcmtk::store(lab.dicom, &sent);
        assert!(objects(&lab) == all, "{layout}: other bytes the second time");
    }
}

/// Killed, without its index, checked, copied and brought back: with all that was done.
#[test]
fn each_layout_on_disk_comes_back_as_it_was() {
    for layout in ON_DISK {
        let lab = start(layout);
        lab.store_fixtures();
        let all = ids(&lab, "/instances");
        ask(&lab, "DELETE", &format!("/instances/{}", all[3])).ok();
        let study = ids(&lab, "/studies").remove(0);
        ask(&lab, "PUT", &format!("/studies/{study}/labels/kept")).ok();
        let before = objects(&lab);
        assert_eq!(before.len(), all.len() - 1);
        let lab = lab.kill_and_restart_without("index.db");
        assert!(objects(&lab) == before, "{layout}: not as before");

        let copies = tempfile::tempdir().unwrap();
        let at = |name: &str| copies.path().join(name).display().to_string();
        let data = lab.data.display().to_string();
        run(&["backup", &at("saved"), "--data", &data]).success();
        ask(&lab, "DELETE", &format!("/instances/{}", before[0].0)).ok();
        run(&["backup", &at("saved"), "--data", &data]).success();
        let folder = lab.stop();
        let checked = run(&["check", "--data", &data, "--rebuild", "--json"]).success().json();
        assert_eq!(checked["objects"], before.len() - 1, "{checked}");
        run(&["restore", &at("saved"), "--data", &at("restored")]).success();
        run(&["check", "--data", &at("restored"), "--rebuild"]).success();
        drop(folder);

        let config = format!("[storage]\nlayout = \"{layout}\"\n");
        let lab = Lab::setup().config(&config).data(&copies.path().join("restored")).start();
        assert!(objects(&lab) == before[1..], "{layout}: not as before");
        assert_eq!(lab.get(&format!("/studies/{study}/labels")).ok().json(), json!(["kept"]));
    }
}

/// Other programs read the folder itself; what they do to a file is told by its name.
#[test]
fn the_files_are_dicom_files() {
    needs!("dcmdump");
    let lab = start("files");
    lab.store_fixtures();
    let data = lab.data.clone();
    let kept = files(&data.join("objects"), "dcm");
    assert_eq!(kept.len(), study::INSTANCES);
    dcmtk::assert_valid(&kept);
    let _folder = lab.stop();
    std::fs::write(&kept[2], "somebody was here").unwrap();
    let told = run(&["check", "--data", &data.display().to_string()]);
    assert_eq!(told.code(), Some(1), "{told}");
    let name = kept[2].file_name().unwrap().to_str().unwrap();
    assert!(told.said().contains(name), "{told}");
    // and another archive takes them in as they are
    let other = tempfile::tempdir().unwrap();
    std::fs::remove_file(&kept[2]).unwrap();
    let into = other.path().join("packs-again").display().to_string();
    let taken =
        run(&["import", &data.join("objects").display().to_string(), "--data", &into, "--json"]);
    assert_eq!(taken.code(), Some(0), "{taken}");
    let checked = run(&["check", "--data", &into, "--json"]).success().json();
    assert_eq!(checked["objects"], study::INSTANCES - 1, "{checked}");
}

/// Not an empty archive, but what to do.
#[test]
fn a_folder_of_another_layout_is_refused() {
    for (layout, other) in [("pack", "files"), ("files", "pack")] {
        let lab = start(layout);
        lab.store_fixtures();
        let data = lab.data.display().to_string();
        let folder = lab.stop();
        let config = folder.path().join("other.toml");
        std::fs::write(&config, format!("[storage]\nlayout = \"{other}\"\n")).unwrap();
        let config = config.display().to_string();
        let refused = run(&["serve", "--ephemeral", "--config", &config, "--data", &data]);
        assert_eq!(refused.code(), Some(1), "{refused}");
        let advice = format!("storage.layout = \"{layout}\"");
        assert!(refused.said().contains(&advice), "{refused}");
    }
}

/// One file instead of a folder: nothing has its name before it is complete, and what is not is refused.
#[test]
fn a_backup_may_be_one_file() {
    for layout in ON_DISK {
        let lab = start(layout);
        lab.store_fixtures();
        let before = objects(&lab);
        let data = lab.data.display().to_string();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        run(&["backup", &at("saved.zip"), "--data", &data]).success();
        ask(&lab, "DELETE", &format!("/instances/{}", before[0].0)).ok();
        // over the first one
        run(&["backup", &at("saved.zip"), "--data", &data]).success();
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["saved.zip"], "{layout}: nothing else is left");
        drop(lab);
        run(&["restore", &at("saved.zip"), "--data", &at("restored")]).success();
        let twice = run(&["restore", &at("saved.zip"), "--data", &at("restored")]);
        assert_eq!(twice.code(), Some(1), "{twice}");
        run(&["check", "--data", &at("restored")]).success();
        let config = format!("[storage]\nlayout = \"{layout}\"\n");
        let lab = Lab::setup().config(&config).data(&folder.path().join("restored")).start();
        assert!(objects(&lab) == before[1..], "{layout}: not as before");

        let whole = std::fs::read(folder.path().join("saved.zip")).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 3] ^= 1;
        for (name, bytes) in [("cut.zip", &whole[..whole.len() - 100]), ("bad.zip", &flipped)] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let refused = run(&["restore", &at(name), "--data", &at("broken")]);
            assert_eq!(refused.code(), Some(1), "{layout} {name}: {refused}");
            let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let left = left.filter(|path| path.display().to_string().contains("broken")).count();
            assert_eq!(left, 0, "{layout} {name}");
        }
    }
}
