//! FHIR R4 export, read by a strict model of others.

use crate::support::{Lab, cli, files, fixtures, needs, peers, study};

#[test]
fn the_export_is_valid_r4_and_counts_right() {
    needs!("python");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    lab.store_fixtures();
    let folder = tempfile::tempdir().unwrap();
    cli::fhir_export(lab.http, study::UID, folder.path()).success();
    let written = files(folder.path(), "json");
    assert!(!written.is_empty(), "nothing was written");
    let count = study::INSTANCES.to_string();
    let mut args = vec![study::UID, count.as_str()];
    args.extend(written.iter().filter_map(|path| path.to_str()));
    peers::python_script("fhir_r4.py", &args).success();
}

#[test]
fn a_study_that_is_not_there_is_named() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let export = cli::fhir_export(lab.http, "1.2.3.4.5", folder.path()).failure();
    assert!(export.stderr.contains("1.2.3.4.5"), "{export}");
    assert!(files(folder.path(), "json").is_empty(), "nothing half-written");
}

#[test]
fn fixtures_are_what_the_counts_say() {
    assert_eq!(files(&fixtures(), "dcm").len(), study::INSTANCES);
}
