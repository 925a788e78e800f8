//! C-ECHO, both ways. PS3.4 Annex A, PS3.7 9.1.5.

use crate::support::{Lab, cli, dcmtk, needs, orthanc::Orthanc, peers};

#[test]
fn raw_echo_is_answered() {
    Lab::start().assert_alive();
}

#[test]
fn dcmtk_echoes() {
    needs!("echoscu");
    let lab = Lab::start();
    dcmtk::scu("echoscu", lab.dicom, &["-v"]).success();
}

#[test]
fn any_called_title_is_accepted() {
    needs!("echoscu");
    let lab = Lab::start();
    dcmtk::scu("echoscu", lab.dicom, &["-aec", "SOMEBODY_ELSE"]).success();
}

#[test]
fn one_association_carries_many_echoes() {
    needs!("echoscu");
    let lab = Lab::start();
    let echoes = dcmtk::scu("echoscu", lab.dicom, &["--repeat", "200"]).success();
    // Nagle against delayed acknowledgements would cost 40 ms for each
    assert!(echoes.took.as_secs() < 5, "{echoes}");
}

#[test]
fn as_many_contexts_as_there_can_be() {
    needs!("echoscu");
    let lab = Lab::start();
    dcmtk::scu("echoscu", lab.dicom, &["-ppc", "128"]).success();
}

#[test]
fn pynetdicom_echoes() {
    needs!("python");
    let lab = Lab::start();
    let port = lab.dicom.to_string();
    peers::python_script("echo.py", &["127.0.0.1", &port, "PACSLAB"]).success();
}

#[test]
fn ours_echoes_dcmtk() {
    needs!("storescp");
    let peer = dcmtk::StoreScp::start("PEER", &[]);
    cli::echo("PEER", peer.port).success();
}

#[test]
fn ours_echoes_orthanc() {
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(folder.path(), &[]);
    cli::echo("ORTHANC", orthanc.dicom).success();
}

#[test]
fn nobody_there_is_said_with_address_and_advice() {
    let port = crate::support::wait::free_port();
    let echo = cli::echo("PACSLAB", port).failure();
    assert!(echo.stderr.contains(&format!("127.0.0.1:{port}")), "{echo}");
}
