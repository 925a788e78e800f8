//! The modality worklist: orders become items, items are files, and everybody's worklist server
//! can serve them. PS3.4 Annex K.

use crate::support::{Lab, cli, dcmtk, files, needs, orthanc::Orthanc, peers, wait};
use std::path::{Path, PathBuf};

/// Accession numbers that findscu gets for keys inside the Scheduled Procedure Step Sequence.
fn accessions(port: u16, keys: &[&str]) -> Vec<String> {
    let wanted = ["0008,0050", "(0040,0100)[0].0040,0001", "(0040,0100)[0].0040,0002"];
    let mut found: Vec<String> = dcmtk::find(port, "-W", &[&wanted, keys].concat())
        .iter()
        .filter_map(|answer| dcmtk::value(answer, "(0008,0050)"))
        .collect();
    found.sort();
    found
}

/// Writes the order's item by the lab's own hand and returns the file.
fn item(lab: &Lab, accession: &str) -> PathBuf {
    lab.place(accession, "P12345", "PYMOD1");
    let named = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(accession))
    };
    wait::until("the .wl file", || files(&lab.worklists, "wl").into_iter().find(named))
}

#[test]
fn an_order_is_on_the_worklist_when_it_is_acknowledged() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let found = dcmtk::find(
        lab.dicom,
        "-W",
        &[
            "0008,0050",
            "0010,0010",
            "0010,0020",
            "0020,000d",
            "0032,1060",
            "(0040,0100)[0].0040,0001=PYMOD1",
            "(0040,0100)[0].0040,0002",
            "(0040,0100)[0].0040,0003",
            "(0040,0100)[0].0008,0060",
        ],
    );
    assert_eq!(found.len(), 1, "{found:?}");
    let value = |tag| dcmtk::value(&found[0], tag).unwrap_or_default();
    assert_eq!(value("(0008,0050)"), "ACC1001");
    assert_eq!(value("(0010,0010)"), "DOE^JANE");
    assert_eq!(value("(0010,0020)"), "P12345");
    assert_eq!(value("(0032,1060)"), "CT CHEST W CONTRAST");
    assert_eq!(value("(0040,0001)"), "PYMOD1");
    assert_eq!(value("(0040,0002)"), "20260105");
    assert_eq!(value("(0008,0060)"), "CT");
    assert!(!value("(0020,000d)").is_empty(), "a study UID is fixed when it is scheduled");
}

#[test]
fn the_station_is_one_value_and_not_a_pattern() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("A1", "P1", "PYMOD1");
    lab.place("A2", "P2", "CT2");
    let station = |aet| accessions(lab.dicom, &[&format!("(0040,0100)[0].0040,0001={aet}")]);
    assert_eq!(station("PYMOD1"), ["A1"]);
    assert_eq!(station("CT2"), ["A2"]);
    assert!(station("NOBODY").is_empty());
}

#[test]
fn date_and_time_ranges_are_one_interval() {
    needs!("findscu");
    let lab = Lab::start();
    for (accession, start) in
        [("A1", "20260105180000"), ("A2", "20260106093000"), ("A3", "20260106180000")]
    {
        let order = crate::support::mllp::orm(accession, "P1", "PYMOD1", start);
        assert!(lab.order(&order).contains("MSA|AA|"));
    }
    // from the 5th 09:00 to the 6th 10:00: an item at 18:00 on the 5th lies inside, though its
    // time alone does not (Orthanc drops it)
    let keys =
        ["(0040,0100)[0].0040,0002=20260105-20260106", "(0040,0100)[0].0040,0003=090000-100000"];
    assert_eq!(accessions(lab.dicom, &keys), ["A1", "A2"]);
}

#[test]
fn cancelling_the_order_empties_the_worklist() {
    needs!("findscu");
    let lab = Lab::start();
    let order = crate::support::mllp::orm("ACC1", "P1", "PYMOD1", "20260105090000");
    assert!(lab.order(&order).contains("MSA|AA|"));
    assert_eq!(accessions(lab.dicom, &[]), ["ACC1"]);
    let cancel = order.replace("ORC|NW", "ORC|CA").replace("|MACC1|", "|MACC1C|");
    assert!(lab.order(&cancel).contains("MSA|AA|"));
    assert!(accessions(lab.dicom, &[]).is_empty());
    assert!(files(&lab.worklists, "wl").is_empty());
}

#[test]
fn the_file_is_dicom_to_others() {
    needs!("dcmftest", "dcmdump");
    let lab = Lab::start();
    let file = item(&lab, "ACC1001");
    assert_eq!(file.file_name().and_then(|name| name.to_str()), Some("ACC1001.wl"));
    peers::run("dcmftest", &[file.to_str().unwrap()]).success();
    assert!(dcmtk::dump(&file).contains("[DOE^JANE]"));
}

#[test]
fn dcmtk_serves_our_items() {
    needs!("wlmscpfs", "findscu");
    let lab = Lab::start();
    let server = dcmtk::WlmScp::start("PACSLAB", &[item(&lab, "ACC1001")]);
    assert_eq!(accessions(server.port, &["(0040,0100)[0].0040,0001=PYMOD1"]), ["ACC1001"]);
}

#[test]
fn orthanc_serves_our_items() {
    needs!("Orthanc", "findscu");
    let lab = Lab::start();
    item(&lab, "ACC1001");
    let orthanc = Orthanc::start(&lab.worklists, &[]);
    assert_eq!(accessions(orthanc.dicom, &["(0040,0100)[0].0040,0001=PYMOD1"]), ["ACC1001"]);
}

#[test]
fn pynetdicom_queries_as_the_scanner() {
    needs!("python");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let args = ["127.0.0.1", &lab.dicom.to_string(), "PACSLAB", "PYMOD1", "ACC1001"];
    let said = peers::python_script("mwl.py", &args).success();
    assert!(said.stdout.contains("Status: 0xff00") && said.stdout.contains("Matches: 1"), "{said}");
}

#[test]
fn ours_queries_any_server() {
    needs!("Orthanc", "wlmscpfs");
    let lab = Lab::start();
    let file = item(&lab, "ACC1001");
    let orthanc = Orthanc::start(&lab.worklists, &[]);
    let wlm = dcmtk::WlmScp::start("WLM", &[file]);
    for (called, port) in [("PACSLAB", lab.dicom), ("ORTHANC", orthanc.dicom), ("WLM", wlm.port)] {
        let found = cli::worklist_find(called, port, &["-v"]).success();
        assert!(found.stdout.contains("ACC1001"), "{called}: {found}");
        let said = found.said().to_lowercase();
        assert!(said.contains("0xff00") && said.contains("matches: 1"), "{called}: {found}");
    }
}

/// Others write files into the folder too; one that is complete is in the very next answer.
#[test]
fn a_file_is_answered_as_soon_as_it_is_complete() {
    needs!("findscu");
    let source = Lab::start();
    let file = item(&source, "ACC7");
    let lab = Lab::start();
    assert!(accessions(lab.dicom, &[]).is_empty());
    for round in 0..5 {
        let target = lab.worklists.join(format!("foreign{round}.WL"));
        std::fs::copy(&file, &target).unwrap();
        assert_eq!(accessions(lab.dicom, &[]), ["ACC7"], "round {round}");
        std::fs::remove_file(&target).unwrap();
        assert!(accessions(lab.dicom, &[]).is_empty(), "round {round}");
    }
}

#[test]
fn corrupt_and_half_written_files_are_skipped_and_named() {
    needs!("findscu");
    let lab = Lab::start();
    let good = std::fs::read(item(&lab, "ACC1")).unwrap();
    let put = |name: &str, bytes: &[u8]| std::fs::write(lab.worklists.join(name), bytes).unwrap();
    put("empty.wl", &[]);
    put("text.wl", b"this is no worklist item");
    put("half.wl", &good[..good.len() / 2]);
    assert_eq!(accessions(lab.dicom, &[]), ["ACC1"]);
    wait::until_true("the corrupt file to be named", || lab.log().contains("text.wl"));
    // the rest of the half-written one arrives under another accession
    put("half.wl", &good);
    wait::until_true("the completed file", || accessions(lab.dicom, &[]).len() == 2);
}

#[test]
fn items_created_by_hand_are_served() {
    needs!("wlmscpfs", "findscu");
    let folder = tempfile::tempdir().unwrap();
    let created = crate::support::lab::cli(&[
        "worklist",
        "create",
        "--worklists",
        folder.path().to_str().unwrap(),
    ])
    .success();
    let made = files(folder.path(), "wl");
    assert_eq!(made.len(), 1, "{created}");
    assert_eq!(made[0].file_name(), Some(Path::new("ACC1001.wl").as_os_str()));
    let server = dcmtk::WlmScp::start("PACSLAB", &made);
    assert_eq!(accessions(server.port, &["(0040,0100)[0].0040,0001=PYMOD1"]), ["ACC1001"]);
}
