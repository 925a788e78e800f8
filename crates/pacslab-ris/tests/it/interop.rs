//! Our `.wl` files served by DCMTK's worklist server. Says so where it is not installed.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use pacslab_model::order::OrderControl;
use tempfile::TempDir;

use super::support::*;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With the server's checks on: an incomplete file would be rejected.
#[test]
fn dcmtk_serves_our_files() {
    let installed = |tool| Command::new(tool).arg("--version").output().is_ok();
    if !installed("wlmscpfs") || !installed("findscu") {
        println!("skipped: DCMTK's wlmscpfs and findscu are not installed");
        return;
    }
    let lab = Lab::new();
    let mut second = order("A2");
    second.patient.name = "Müller^Jörg=山田^太郎".into();
    second.steps.push(step("SPS2", "20260106", "090000"));
    lab.apply(OrderControl::New, &order("A1")).unwrap();
    lab.apply(OrderControl::New, &second).unwrap();

    // one folder for each called AE title, with a lock file in it
    let root = TempDir::new().unwrap();
    let served = root.path().join("RIS");
    std::fs::create_dir(&served).unwrap();
    std::fs::write(served.join("lockfile"), b"").unwrap();
    for name in lab.files() {
        std::fs::copy(lab.folder.path().join(&name), served.join(&name)).unwrap();
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut command = Command::new("wlmscpfs");
    command.arg("-dfp").arg(root.path()).arg(&port);
    let _server = Server(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let out = TempDir::new().unwrap();
    let ask = || {
        let mut findscu = Command::new("findscu");
        findscu.args(["-W", "-X", "-od"]).arg(out.path()).args(["-aet", "PYMOD1", "-aec", "RIS"]);
        for key in [
            "PatientName",
            "PatientID",
            "AccessionNumber",
            "StudyInstanceUID",
            "SpecificCharacterSet",
            "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=PYMOD1",
            "ScheduledProcedureStepSequence[0].ScheduledProcedureStepStartDate=20260105-20260106",
            "ScheduledProcedureStepSequence[0].Modality=CT",
            "ScheduledProcedureStepSequence[0].ScheduledProcedureStepID",
        ] {
            findscu.args(["-k", key]);
        }
        findscu.args(["127.0.0.1", &port]).output().unwrap().status.success()
    };
    eventually("wlmscpfs answers", || ask().then_some(()));
    let mut told: Vec<(String, String)> = names(out.path())
        .into_iter()
        .map(|name| {
            let bytes = std::fs::read(out.path().join(name)).unwrap();
            let (_, set) = pacslab_dicom::file::read(&bytes).unwrap();
            let text = |tag| set.str(tag).to_owned();
            use pacslab_model::tags;
            (text(tags::ACCESSION_NUMBER), text(tags::PATIENT_NAME))
        })
        .collect();
    told.sort();
    let name = "Müller^Jörg=山田^太郎".to_owned();
    let expected = [
        ("A1".to_owned(), "DOE^JANE".to_owned()),
        ("A2".to_owned(), name.clone()),
        ("A2".to_owned(), name),
    ];
    assert_eq!(told, expected);
}
