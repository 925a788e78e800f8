//! C-MOVE, both ways. PS3.4 C.4.2; statuses in table C.4-2.

use crate::support::{
    Lab, cli, dcmtk, files, fixture, fixtures, needs, orthanc::Orthanc, peers, study, wait,
};

fn move_args<'a>(to: &'a str, study_key: &'a str) -> Vec<&'a str> {
    vec!["-S", "-v", "-aem", to, "-k", "0008,0052=STUDY", "-k", study_key]
}

#[test]
fn dcmtk_moves_a_study_to_dcmtk_unchanged() {
    needs!("movescu", "storescp", "dcmdump");
    let receiver = dcmtk::StoreScp::start("PYNETSCP", &["-pm"]);
    let lab = Lab::setup().peer("PYNETSCP", receiver.port).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    dcmtk::scu("movescu", lab.dicom, &move_args("PYNETSCP", &key)).success();
    assert_eq!(receiver.received().len(), study::INSTANCES);
    let arrived = receiver.file_of(study::CT_INSTANCE);
    assert_eq!(dcmtk::dump(&arrived), dcmtk::dump(&fixture("ct.dcm")));
}

#[test]
fn one_series_and_one_instance_can_be_moved() {
    needs!("movescu", "storescp");
    let receiver = dcmtk::StoreScp::start("PYNETSCP", &["-pm"]);
    let lab = Lab::setup().peer("PYNETSCP", receiver.port).start();
    lab.store_fixtures();
    let study = format!("0020,000d={}", study::UID);
    let series = format!("0020,000e={}", study::CT_SERIES);
    let args = ["-S", "-aem", "PYNETSCP", "-k", "0008,0052=SERIES", "-k", &study, "-k", &series];
    dcmtk::scu("movescu", lab.dicom, &args).success();
    assert_eq!(receiver.received().len(), 1);
}

#[test]
fn pynetdicom_moves_and_sees_the_counts() {
    needs!("python");
    let port = wait::free_port();
    let lab = Lab::setup().peer("PYNETSCP", port).start();
    lab.store_fixtures();
    let (dicom, port) = (lab.dicom.to_string(), port.to_string());
    let count = study::INSTANCES.to_string();
    // receives on the port itself and checks completed, failed and remaining of each response
    let args = ["127.0.0.1", &dicom, "PACSLAB", study::UID, "PYNETSCP", &port, &count];
    peers::python_script("move.py", &args).success();
}

#[test]
fn an_unknown_destination_is_a801_with_a_comment() {
    needs!("movescu");
    let lab = Lab::start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    let mut args = move_args("NOWHERE", &key);
    args.push("-d");
    let moved = dcmtk::scu("movescu", lab.dicom, &args).failure();
    let said = moved.said().to_lowercase();
    assert!(said.contains("a801"), "{moved}");
    assert!(said.contains("nowhere"), "the comment names the destination: {moved}");
    lab.assert_alive();
}

#[test]
fn a_destination_that_does_not_listen_fails_each_and_says_so() {
    needs!("movescu");
    let lab = Lab::setup().peer("GONE", wait::free_port()).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    dcmtk::scu("movescu", lab.dicom, &move_args("GONE", &key)).failure();
    lab.assert_alive();
}

#[test]
fn ours_moves_from_orthanc_to_ours() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let (receiver, port) = cli::receive("PYNETSCP", &inbox, &folder.path().join("log"));
    let orthanc = Orthanc::start(folder.path(), &[("PYNETSCP", port)]);
    cli::send("ORTHANC", orthanc.dicom, &[&fixtures()]).success();
    cli::move_study("ORTHANC", orthanc.dicom, study::UID, "PYNETSCP").success();
    assert_eq!(files(&inbox, "dcm").len(), study::INSTANCES);
    drop(receiver);
}

#[test]
fn ours_receives_what_ours_moves() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let (receiver, port) = cli::receive("PYNETSCP", &inbox, &folder.path().join("log"));
    let lab = Lab::setup().peer("PYNETSCP", port).start();
    lab.store_fixtures();
    cli::move_study("PACSLAB", lab.dicom, study::UID, "PYNETSCP").success();
    assert_eq!(files(&inbox, "dcm").len(), study::INSTANCES);
    drop(receiver);
}

#[test]
fn dcmtk_stores_into_our_receiver() {
    needs!("storescu", "dcmftest");
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("inbox");
    let (receiver, port) = cli::receive("PYNETSCP", &inbox, &folder.path().join("log"));
    dcmtk::store(port, &[&fixture("ct.dcm")]);
    let received = files(&inbox, "dcm");
    assert_eq!(received.len(), 1);
    peers::run("dcmftest", &[received[0].to_str().unwrap()]).success();
    drop(receiver);
}
