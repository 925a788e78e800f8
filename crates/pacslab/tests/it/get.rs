//! C-GET, both ways. PS3.4 C.4.3; role selection PS3.7 D.3.3.4.

use crate::support::{
    Lab, cli, dcmtk, files, fixture, fixtures, needs, orthanc::Orthanc, peers, study,
};
use std::path::Path;

/// The file that getscu or we wrote for an instance.
fn file_of(folder: &Path, instance: &str) -> std::path::PathBuf {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.into_iter()
        .find(|path| path.to_string_lossy().contains(instance))
        .unwrap_or_else(|| panic!("no file of {instance} in {}", folder.display()))
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// The SOP classes of the fixtures, as the archive tells them.
fn classes(lab: &Lab) -> Vec<String> {
    let found = cli::find("PACSLAB", lab.dicom, &["-r", "SOPClassesInStudy"]).success().json();
    let told = &found[0]["SOPClassesInStudy"];
    let one = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    match told.as_array() {
        Some(values) => values.iter().filter_map(one).collect(),
        None => one(told).unwrap_or_default().split('\\').map(str::to_owned).collect(),
    }
}

#[test]
fn dcmtk_gets_a_study_unchanged() {
    needs!("getscu", "dcmdump");
    let lab = Lab::start();
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let key = format!("0020,000d={}", study::UID);
    let out = folder.path().to_str().unwrap();
    let args = ["-v", "-S", "+B", "-od", out, "-k", "0008,0052=STUDY", "-k", &key];
    dcmtk::scu("getscu", lab.dicom, &args).success();
    assert_eq!(count(folder.path()), study::INSTANCES);
    let arrived = file_of(folder.path(), study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

#[test]
fn dcmtk_gets_one_series_and_everything_of_a_patient() {
    needs!("getscu");
    let lab = Lab::start();
    lab.store_fixtures();
    let study = format!("0020,000d={}", study::UID);
    let series = format!("0020,000e={}", study::CT_SERIES);
    let patient = format!("0010,0020={}", study::PATIENT_ID);
    for (model, level, keys, wanted) in [
        ("-S", "0008,0052=SERIES", vec![&study, &series], 1),
        ("-P", "0008,0052=PATIENT", vec![&patient], study::INSTANCES),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().to_str().unwrap();
        let mut args = vec![model, "-od", out, "-k", level];
        keys.iter().for_each(|key| args.extend(["-k", key.as_str()]));
        dcmtk::scu("getscu", lab.dicom, &args).success();
        assert_eq!(count(folder.path()), wanted, "{level}");
    }
}

#[test]
fn pynetdicom_gets_with_roles_and_is_told_without() {
    needs!("python");
    let lab = Lab::start();
    lab.store_fixtures();
    let classes = classes(&lab);
    let (dicom, count) = (lab.dicom.to_string(), study::INSTANCES.to_string());
    let (all, one) = (classes.join(","), &classes[0]);
    let args = ["127.0.0.1", &dicom, "PACSLAB", study::UID, &count, &all, one];
    let said = peers::python_script("get.py", &args).success();
    assert!(said.stdout.contains("got 8"), "{said}");
    let why = "SCP role not negotiated (role selection)";
    let log = lab.log();
    assert!(log.contains(why), "the reason is in the log: {log}");
}

#[test]
fn ours_gets_from_ours_with_every_key() {
    let lab = Lab::start();
    lab.store_fixtures();
    let series = ["--study", study::UID, "--series", study::CT_SERIES];
    let instance = [&series[..], &["--instance", study::CT_INSTANCE]].concat();
    for (keys, wanted) in [
        (&["--study", study::UID][..], study::INSTANCES),
        (&["--accession", study::ACCESSION], study::INSTANCES),
        (&["--patient-id", study::PATIENT_ID], study::INSTANCES),
        (&series, 1),
        (&instance, 1),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let got = cli::get("PACSLAB", lab.dicom, keys, folder.path()).success().json();
        assert_eq!((&got["received"], &got["failed"]), (&wanted.into(), &0.into()), "{got}");
        assert_eq!(files(folder.path(), "dcm").len(), wanted, "{keys:?}");
        assert_eq!(count(folder.path()), wanted, "nothing unfinished stays");
    }
}

#[test]
fn what_ours_gets_is_what_was_stored() {
    needs!("dcmdump");
    let lab = Lab::start();
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    cli::get("PACSLAB", lab.dicom, &["--study", study::UID], folder.path()).success();
    let arrived = file_of(folder.path(), study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

/// A context for each compressed syntax lets such images come as they are.
#[test]
fn compressed_images_come_in_their_own_syntax() {
    needs!("dcmcrle", "dcmcjpeg", "dcmdump");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (tool, fixture_name) in [("dcmcrle", "ct.dcm"), ("dcmcjpeg", "mr.dcm")] {
        let from = fixture(fixture_name);
        let to = folder.path().join(fixture_name);
        peers::run(tool, &[from.to_str().unwrap(), to.to_str().unwrap()]).success();
    }
    cli::send("PACSLAB", lab.dicom, &[folder.path()]).success();
    let got = cli::get("PACSLAB", lab.dicom, &["--study", study::UID], &out).success().json();
    assert_eq!(got["received"], 2, "{got}");
    let syntaxes: Vec<&str> = got["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|file| file["transfer_syntax"].as_str())
        .collect();
    for syntax in ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"] {
        assert!(syntaxes.contains(&syntax), "{got}");
    }
    let arrived = file_of(&out, study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&folder.path().join("ct.dcm")));
}

#[test]
fn ours_gets_from_orthanc() {
    needs!("Orthanc", "dcmdump");
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let orthanc = Orthanc::start(folder.path(), &[]);
    cli::send("ORTHANC", orthanc.dicom, &[&fixtures()]).success();
    for keys in [["--study", study::UID], ["--patient-id", study::PATIENT_ID]] {
        let got = cli::get("ORTHANC", orthanc.dicom, &keys, &inbox).success().json();
        assert_eq!(got["received"], study::INSTANCES, "{got}");
    }
    assert_eq!(files(&inbox, "dcm").len(), study::INSTANCES);
    let arrived = file_of(&inbox, study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

/// No C-FIND, no knowledge: every storage class there is is proposed, on several associations.
#[test]
fn without_c_find_more_than_128_contexts_are_tried() {
    needs!("dcmodify", "dcmdump");
    let lab = Lab::setup().config("[dicom]\nalways_allow_find = \"false\"\n").start();
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let all = ["--study", study::UID];
    let got = cli::get("PACSLAB", lab.dicom, &all, &out).success().json();
    assert_eq!(got["received"], study::INSTANCES, "{got}");
    // parametric maps are not among what most archives hold
    let map = folder.path().join("map.dcm");
    std::fs::copy(fixture("ct.dcm"), &map).unwrap();
    let class = "1.2.840.10008.5.1.4.1.1.30";
    let (class_key, uid_key) = (format!("0008,0016={class}"), "0008,0018=2.25.4711");
    let args = ["-nb", "-m", &class_key, "-m", uid_key, map.to_str().unwrap()];
    peers::run("dcmodify", &args).success();
    cli::send("PACSLAB", lab.dicom, &[&map]).success();
    let got = cli::get("PACSLAB", lab.dicom, &all, &out).success().json();
    assert_eq!((&got["received"], &got["failed"]), (&9.into(), &0.into()), "{got}");
    let arrived = file_of(&out, "2.25.4711");
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&map));
}

#[test]
fn a_peer_that_forbids_it_is_told_with_its_reason() {
    let lab = Lab::setup().config("[dicom]\nalways_allow_get = \"false\"\n").start();
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    let got = cli::get("PACSLAB", lab.dicom, &["--study", study::UID], folder.path()).failure();
    assert!(got.said().contains("0x0124"), "{got}");
    assert_eq!((got.code(), count(folder.path())), (Some(1), 0));
}

#[test]
fn what_is_not_there_is_said() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let got = cli::get("PACSLAB", lab.dicom, &["--study", "1.2.3"], folder.path()).success();
    assert_eq!(got.json()["received"], 0, "{got}");
    let got = cli::get("PACSLAB", lab.dicom, &["--accession", "NONE"], folder.path()).failure();
    assert!(got.said().contains("accession number NONE"), "{got}");
    assert_eq!(count(folder.path()), 0);
}
