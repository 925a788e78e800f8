//! C-STORE, both ways. PS3.4 Annex B. What was answered with success has to stay.

use crate::support::raw_dimse::Association;
use crate::support::{
    Lab, cli, dcmtk, files, fixture, fixtures, needs, orthanc::Orthanc, peers, study, wait,
};
use std::path::PathBuf;

/// Instances of the fixtures' study that the lab answers for.
fn stored(lab: &Lab) -> usize {
    let keys = [
        "0008,0052=IMAGE".to_string(),
        format!("0020,000d={}", study::UID),
        "0020,000e".into(),
        "0008,0018".into(),
    ];
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    dcmtk::find(lab.dicom, "-S", &keys).len()
}

#[test]
fn dcmtk_stores_every_kind() {
    needs!("storescu", "findscu");
    let lab = Lab::start();
    let all = files(&fixtures(), "dcm");
    dcmtk::store(lab.dicom, &all.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    assert_eq!(stored(&lab), study::INSTANCES);
}

#[test]
fn every_uncompressed_transfer_syntax_is_taken_as_it_comes() {
    needs!("storescu", "dcmconv", "findscu", "movescu");
    let folder = tempfile::tempdir().unwrap();
    let ct = fixture("ct.dcm");
    for (option, proposal) in [("+ti", "-xi"), ("+te", "-xe"), ("+tb", "-xb"), ("+td", "-xd")] {
        let lab = Lab::start();
        let file = folder.path().join(format!("ct{option}.dcm"));
        let (from, to) = (ct.to_str().unwrap(), file.to_str().unwrap());
        peers::run("dcmconv", &[option, from, to]).success();
        dcmtk::scu("storescu", lab.dicom, &["-R", proposal, "--", to]).success();
        let keys = ["0008,0052=STUDY", "0010,0020=PL000001", "0008,1030"];
        let found = dcmtk::find(lab.dicom, "-S", &keys);
        assert_eq!(found.len(), 1, "{option}");
        assert!(found[0].contains("CT CHEST W CONTRAST"), "{option}: {}", found[0]);
    }
}

#[test]
fn compressed_images_are_taken_as_they_come() {
    needs!("storescu", "dcmcrle", "dcmcjpeg", "findscu");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    for (tool, fixture_name, proposal) in
        [("dcmcrle", "ct.dcm", "-xr"), ("dcmcjpeg", "mr.dcm", "-xs")]
    {
        let from = fixture(fixture_name);
        let to = folder.path().join(fixture_name);
        let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
        peers::run(tool, &[from, to]).success();
        dcmtk::scu("storescu", lab.dicom, &["-R", proposal, "--", to]).success();
    }
    assert_eq!(stored(&lab), 2);
}

#[test]
fn pynetdicom_stores_a_large_object_and_many_small_ones() {
    needs!("python");
    let lab = Lab::start();
    let ct = fixture("ct.dcm");
    let args = ["127.0.0.1", &lab.dicom.to_string(), "PACSLAB", ct.to_str().unwrap()];
    // 48 MB in one, then 200 on one association; then all are found
    let said = peers::python_script("store.py", &args).success();
    assert!(said.stdout.contains("stored 201"), "{said}");
}

#[test]
fn pynetdicom_negotiates_the_asynchronous_window() {
    needs!("python");
    let lab = Lab::start();
    let ct = fixture("ct.dcm");
    let args = ["127.0.0.1", &lab.dicom.to_string(), "PACSLAB", ct.to_str().unwrap()];
    let said = peers::python_script("window.py", &args).success();
    assert!(said.stdout.contains("window negotiated"), "{said}");
}

#[test]
fn four_associations_store_at_once() {
    needs!("storescu", "findscu");
    let lab = Lab::start();
    let ct = fixture("ct.dcm");
    let ct = ct.to_str().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let args = ["-R", "+II", "--repeat", "25", "--", ct];
                dcmtk::scu("storescu", lab.dicom, &args).success();
            });
        }
    });
    let keys = ["0008,0052=STUDY", "0020,000d", "0020,1208"];
    let studies = dcmtk::find(lab.dicom, "-S", &keys);
    let count: usize = studies
        .iter()
        .filter_map(|answer| dcmtk::value(answer, "(0020,1208)")?.parse::<usize>().ok())
        .sum();
    assert_eq!(count, 100, "{studies:?}");
}

#[test]
fn the_same_instance_twice_is_one_and_success() {
    needs!("storescu", "findscu");
    let lab = Lab::start();
    let ct = fixture("ct.dcm");
    dcmtk::store(lab.dicom, &[&ct, &ct]);
    dcmtk::store(lab.dicom, &[&ct]);
    assert_eq!(stored(&lab), 1);
}

#[test]
fn what_was_answered_with_success_is_there_after_a_kill() {
    needs!("storescu", "findscu");
    let lab = Lab::start();
    let all = files(&fixtures(), "dcm");
    dcmtk::store(lab.dicom, &all.iter().map(PathBuf::as_path).collect::<Vec<_>>());
    let lab = lab.kill_and_restart();
    assert_eq!(stored(&lab), study::INSTANCES);
}

#[test]
fn a_data_set_of_another_class_than_its_command_is_refused() {
    let lab = Lab::start();
    let mr = std::fs::read(fixture("mr.dcm")).unwrap();
    // the data set of a Part 10 file starts behind group 2, whose length comes first
    let length = u32::from_le_bytes([mr[140], mr[141], mr[142], mr[143]]) as usize;
    let status = Association::request(lab.dicom).store(5, "2.25.1", &mr[144 + length..]);
    assert!(matches!(status, Some(0xa900..=0xa9ff)), "{status:04x?}");
    lab.assert_alive();
}

#[test]
fn ours_sends_to_dcmtk() {
    needs!("storescp", "dcmdump");
    let peer = dcmtk::StoreScp::start("PEER", &["-pm"]);
    cli::send("PEER", peer.port, &[&fixtures()]).success();
    assert_eq!(peer.received().len(), study::INSTANCES);
    let arrived = peer.file_of(study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

#[test]
fn ours_sends_compressed_files_in_their_own_syntax() {
    needs!("storescp", "dcmcrle", "dcmdump");
    let folder = tempfile::tempdir().unwrap();
    let rle = folder.path().join("rle.dcm");
    let (from, to) = (fixture("ct.dcm"), rle.to_str().unwrap());
    peers::run("dcmcrle", &[from.to_str().unwrap(), to]).success();
    let peer = dcmtk::StoreScp::start("PEER", &["+xa"]);
    cli::send("PEER", peer.port, &[&rle]).success();
    wait::until_true("one file", || peer.received().len() == 1);
    let arrived = peers::run("dcmdump", &["+P", "0002,0010", peer.received()[0].to_str().unwrap()]);
    assert!(arrived.stdout.contains("RLELossless"), "{arrived}");
}

#[test]
fn ours_sends_to_orthanc() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(folder.path(), &[]);
    cli::send("ORTHANC", orthanc.dicom, &[&fixtures()]).success();
    assert_eq!(orthanc.instances(), study::INSTANCES);
}

#[test]
fn a_file_that_is_not_dicom_is_named_and_the_rest_is_sent() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.dcm"), "not an image").unwrap();
    std::fs::copy(fixture("ct.dcm"), folder.path().join("ct.dcm")).unwrap();
    let sent = cli::send("PACSLAB", lab.dicom, &[folder.path()]).failure();
    assert!(sent.said().contains("notes.dcm"), "{sent}");
    assert_eq!(lab.get("/instances").ok().json().as_array().map(Vec::len), Some(1));
}
