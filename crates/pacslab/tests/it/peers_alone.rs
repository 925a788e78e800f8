//! The harness against the peers alone. When one of these fails, what the other themes say
//! about the lab means nothing.

use crate::support::raw_dimse::Association;
use crate::support::{dcmtk, files, fixture, fixtures, needs, orthanc::Orthanc, peers, study};

#[test]
fn the_raw_client_speaks_dimse() {
    needs!("storescp");
    let peer = dcmtk::StoreScp::start("PEER", &[]);
    let mut association = Association::request(peer.port);
    association.echo();
    let ct = std::fs::read(fixture("ct.dcm")).unwrap();
    let length = u32::from_le_bytes([ct[140], ct[141], ct[142], ct[143]]) as usize;
    assert_eq!(association.store(5, study::CT_INSTANCE, &ct[144 + length..]), Some(0x0000));
    assert_eq!(peer.received().len(), 1);
}

#[test]
fn answers_of_findscu_are_understood() {
    needs!("Orthanc", "storescu", "findscu");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::start(folder.path(), &[]);
    let all = files(&fixtures(), "dcm");
    dcmtk::store(orthanc.dicom, &all.iter().map(|file| file.as_path()).collect::<Vec<_>>());
    assert_eq!(orthanc.instances(), study::INSTANCES);
    let keys = ["0008,0052=STUDY", "0010,0020=PL000001", "0020,000d", "0020,1208"];
    let found = dcmtk::find(orthanc.dicom, "-S", &keys);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(dcmtk::value(&found[0], "(0020,000d)").as_deref(), Some(study::UID));
    assert_eq!(dcmtk::value(&found[0], "(0020,1208)"), Some(study::INSTANCES.to_string()));
    let nobody = ["0008,0052=STUDY", "0010,0020=NOBODY", "0020,000d"];
    assert!(dcmtk::find(orthanc.dicom, "-S", &nobody).is_empty());
}

#[test]
fn fixtures_are_valid() {
    needs!("dciodvfy", "dcentvfy");
    dcmtk::assert_valid(&files(&fixtures(), "dcm"));
}

#[test]
fn the_python_clients_work_against_orthanc() {
    needs!("Orthanc", "python", "storescu");
    let folder = tempfile::tempdir().unwrap();
    let receiver = crate::support::wait::free_port();
    let orthanc = Orthanc::start(folder.path(), &[("PYNETSCP", receiver)]);
    let all = files(&fixtures(), "dcm");
    dcmtk::store(orthanc.dicom, &all.iter().map(|file| file.as_path()).collect::<Vec<_>>());
    let (dicom, receiver) = (orthanc.dicom.to_string(), receiver.to_string());
    let address = ["127.0.0.1", &dicom, "ORTHANC"];
    let with = |script: &str, more: &[&str]| {
        peers::python_script(script, &[&address, more].concat()).success();
    };
    with("echo.py", &[]);
    with("find.py", &[study::UID, study::ACCESSION]);
    with("move.py", &[study::UID, "PYNETSCP", &receiver, &study::INSTANCES.to_string()]);
    let url = format!("http://127.0.0.1:{}", orthanc.http);
    peers::python_script("rest.py", &[&url, study::UID, study::ACCESSION]).success();
}
