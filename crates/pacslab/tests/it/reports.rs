//! What follows from a report: DiagnosticReport, objects in the study, messages; asserted from
//! outside.

use std::path::Path;

use base64::Engine;
use serde_json::Value;

use crate::support::lab::cli;
use crate::support::{Lab, cli as spelled, dcmtk, files, http, mllp, needs, peers, wait};

/// Signs the report of an order.
#[track_caller]
fn sign(lab: &Lab, accession: &str, findings: &str, impression: &str) {
    let said = ["--findings", findings, "--impression", impression, "--by", "READER^RAY"];
    lab.run(&[&["report", "sign", accession][..], &said].concat()).success();
}

/// The objects of a study that are no images, as C-FIND tells them.
fn documents(port: u16, study: &str) -> Vec<String> {
    let study = format!("0020,000d={study}");
    let keys = ["0008,0052=IMAGE", "0008,0016", "0008,0018", "0020,0013", "0020,000e", &study];
    let mut found = dcmtk::find(port, "-S", &keys);
    found.retain(|dump| !dump.contains("=CTImageStorage"));
    found
}

/// Places an order and brings its images: its study, and how many they are.
#[track_caller]
fn scan(lab: &Lab, folder: &Path) -> (String, usize) {
    lab.place("ACC1001", "P12345", "PYMOD1");
    let out = folder.join("images");
    spelled::acquire("PACSLAB", lab.dicom, "ACC1001", &out, &["--seed", "7"]);
    spelled::send("PACSLAB", lab.dicom, &[&out]).success();
    (study_of(lab, "ACC1001"), files(&out, "dcm").len())
}

/// Waits until the event log says something; it is written a moment later.
#[track_caller]
fn until_told(lab: &Lab, which: &str, said: &str) -> String {
    wait::until(said, || {
        let events = lab.get(&format!("/pacslab/events?{which}&limit=1000")).ok().text();
        events.lines().find(|event| event.contains(said)).map(str::to_owned)
    })
}

/// The study UID of an order.
fn study_of(lab: &Lab, accession: &str) -> String {
    let order = lab.get(&format!("/ris/orders/{accession}")).ok().json();
    order["procedure"]["study_uid"].as_str().unwrap().to_owned()
}

/// The DiagnosticReport of an export into a folder, which the models of others have read.
#[track_caller]
fn exported(folder: &Path, study: &str, count: usize) -> Value {
    let written = files(folder, "json");
    let count = count.to_string();
    let mut args = vec![study, count.as_str()];
    args.extend(written.iter().filter_map(|path| path.to_str()));
    peers::python_script("fhir_r4.py", &args).success();
    let report =
        written.iter().find(|path| path.ends_with("FHIR_P12345_ACC1001_DiagnosticReport.json"));
    let report = report.unwrap_or_else(|| panic!("no report among {written:?}"));
    serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap()
}

#[test]
fn a_signed_report_is_exported_as_a_diagnostic_report_and_so_is_its_correction() {
    needs!("python", "findscu");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let (uid, images) = scan(&lab, folder.path());
    let out = |name: &str| folder.path().join(name);
    // no report, no DiagnosticReport
    spelled::fhir_export(lab.http, &uid, &out("before")).success();
    assert!(
        files(&out("before"), "json").iter().all(|path| !path.ends_with("DiagnosticReport.json"))
    );
    sign(&lab, "ACC1001", "8 mm nodule, größer.\\nNo effusion.", "Benign.");
    wait::until_true("the SR", || documents(lab.dicom, &uid).len() == 1);
    spelled::fhir_export(lab.http, &uid, &out("final")).success();
    let report = exported(&out("final"), &uid, images + 1);
    assert_eq!((&report["status"], &report["conclusion"]), (&"final".into(), &"Benign.".into()));
    assert_eq!(report["resultsInterpreter"][0]["display"], "RAY READER");
    assert_eq!(report["code"]["coding"][0]["code"], "18748-4");
    assert_eq!(report["category"][0]["coding"][0]["code"], "RAD");
    assert!(report["issued"].as_str().unwrap().contains('T'), "{report}");
    let imaging =
        std::fs::read(out("final").join("FHIR_P12345_ACC1001_ImagingStudy.json")).unwrap();
    let imaging: Value = serde_json::from_slice(&imaging).unwrap();
    let named = format!("ImagingStudy/{}", imaging["id"].as_str().unwrap());
    assert_eq!(report["imagingStudy"][0]["reference"], named);
    // said anew: the same resource, corrected; asked with C-FIND and C-GET, and read from files
    sign(&lab, "ACC1001", "10 mm nodule.", "Suspicious.");
    wait::until_true("the second SR", || documents(lab.dicom, &uid).len() == 2);
    let peer = format!("PACSLAB@127.0.0.1:{}", lab.dicom);
    let text = |name: &str| out(name).to_str().unwrap().to_owned();
    let asked =
        ["fhir", "export", "--accession", "ACC1001", "--pacs", &peer, "--out", &text("find")];
    let told = cli(&asked).success();
    assert!(told.stdout.contains("corrected, by RAY READER"), "{told}");
    cli(&["get", "--accession", "ACC1001", "--pacs", &peer, "--out", &text("files")]).success();
    cli(&["fhir", "export", "--from", &text("files"), "--out", &text("read")]).success();
    for name in ["find", "read"] {
        let corrected = exported(&out(name), &uid, images + 2);
        assert_eq!(corrected["status"], "corrected", "{name}");
        assert_eq!(corrected["conclusion"], "Suspicious.", "{name}");
        assert_eq!(corrected["id"], report["id"], "{name}: it is the same report");
    }
}

/// The objects of a report, as the RIS knows them.
fn objects(lab: &Lab, accession: &str) -> Vec<Value> {
    let report = lab.get(&format!("/ris/reports/{accession}")).ok().json();
    report["objects"].as_array().unwrap().clone()
}

/// A lab that sends its reports to `port`, soon again where nobody takes them.
fn sending(name: &str, port: u16) -> Lab {
    let config = "[reports]\nsend_to = \"PACS2\"\nretry_after = \"50ms\"\nattempts = 1000000\n";
    let peers = format!("[peers]\nPACS2 = \"{name}@127.0.0.1:{port}\"\n");
    Lab::setup().config(&(config.to_owned() + &peers)).start()
}

#[test]
fn the_report_creator_calls_the_embedded_pacs_however_strict_that_is() {
    needs!("findscu");
    let strict = "[dicom]\npolicy = \"strict\"\nalways_allow_store = false\ncheck_called_aet = true\n\
                  always_allow_find = true\n";
    let lab = Lab::setup().config(strict).start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    sign(&lab, "ACC1001", "Nothing seen.", "Normal.");
    let uid = study_of(&lab, "ACC1001");
    let stored = wait::until("the SR", || documents(lab.dicom, &uid).pop());
    let object = wait::until("the RIS to know", || {
        objects(&lab, "ACC1001").pop().filter(|object| object["state"] == "sent")
    });
    assert!(stored.contains(object["sop_instance"].as_str().unwrap()), "{stored} {object}");
    let stored = "the structured report of order ACC1001 was stored at PACSLAB";
    until_told(&lab, "accession=ACC1001", stored);
    until_told(&lab, "kind=dimse", "REPORTS@");
    // nobody took images
    assert_eq!(lab.get("/ris/orders/ACC1001").json()["steps"][0]["status"], "SCHEDULED");
    let shown = lab.run(&["report", "show", "ACC1001"]).success().stdout;
    assert!(shown.contains("stored at PACSLAB"), "{shown}");
}

#[test]
fn reports_wait_for_a_pacs_that_is_away_and_arrive_once_each() {
    needs!("storescp", "dciodvfy", "dcmdump");
    let port = wait::free_port();
    let lab = sending("AWAY", port);
    lab.place("ACC1001", "P12345", "PYMOD1");
    sign(&lab, "ACC1001", "First.", "First.");
    sign(&lab, "ACC1001", "First.", "First.");
    sign(&lab, "ACC1001", "Second.", "Second.");
    wait::until_true("a try", || {
        objects(&lab, "ACC1001")
            .iter()
            .any(|one| one["problem"].as_str().unwrap().contains("connect"))
    });
    let shown = lab.run(&["report", "show", "ACC1001"]).success().stdout;
    assert!(shown.contains("not sent to PACS2 yet: cannot connect"), "{shown}");
    let lab = lab.kill_and_restart();
    let pacs = dcmtk::StoreScp::at("AWAY", port, &[]);
    wait::until_true("both", || {
        let known = objects(&lab, "ACC1001");
        !known.is_empty() && known.iter().all(|one| one["state"] == "sent")
    });
    // signed twice with the same words is one signature
    let received = pacs.received();
    assert_eq!(received.len(), 2, "{received:?}");
    dcmtk::assert_valid(&received);
    let dumps: Vec<String> = received.iter().map(|file| dcmtk::dump(file)).collect();
    let of = |said: &str| dumps.iter().find(|dump| dump.contains(said)).unwrap();
    let first = dcmtk::value(of("[First.]"), "(0008,0018)").unwrap();
    assert!(of("[Second.]").contains(&first), "the second names what it corrects");
    // and it stays so
    let lab = lab.kill_and_restart();
    lab.run(&["report", "send", "ACC1001"]).success();
    sign(&lab, "ACC1001", "Third.", "Third.");
    wait::until_true("the third", || pacs.received().len() == 3);
}

/// Killed between the object and its answer, the lab cannot know that it has arrived.
#[test]
fn what_was_on_its_way_at_sigkill_is_sent_again_as_the_same_object() {
    needs!("storescp");
    let port = wait::free_port();
    let pacs = dcmtk::StoreScp::at("SLOW", port, &["--sleep-after", "1"]);
    let lab = sending("SLOW", port);
    lab.place("ACC1001", "P12345", "PYMOD1");
    sign(&lab, "ACC1001", "Nothing seen.", "Normal.");
    let first = wait::until("the object", || pacs.received().pop());
    let lab = lab.kill_and_restart();
    let object = wait::until("its answer", || {
        objects(&lab, "ACC1001").pop().filter(|object| object["state"] == "sent")
    });
    assert!(
        first.to_string_lossy().ends_with(object["sop_instance"].as_str().unwrap()),
        "{object}"
    );
    assert_eq!(pacs.received(), [first]);
}

#[test]
fn a_pacs_that_takes_no_reports_is_named_and_what_it_refused_is_sent_again() {
    needs!("wlmscpfs", "storescp");
    let deaf = dcmtk::WlmScp::start("DEAF", &[]);
    let lab = sending("DEAF", deaf.port);
    lab.place("ACC1001", "P12345", "PYMOD1");
    sign(&lab, "ACC1001", "Nothing seen.", "Normal.");
    let refused = wait::until("the refusal", || {
        objects(&lab, "ACC1001").pop().filter(|object| object["state"] == "refused")
    });
    let uid = refused["sop_instance"].as_str().unwrap().to_owned();
    assert!(uid.len() > 10, "{refused}");
    let shown = lab.run(&["report", "show", "ACC1001"]).success().stdout;
    assert!(
        shown.contains("not taken by PACS2: the peer does not accept Basic Text SR"),
        "{shown}"
    );
    let refusal = "PACS2 does not take the structured report of order ACC1001";
    let event = until_told(&lab, "kind=ris.report.sent", refusal);
    assert!(event.contains("pacslab report send ACC1001"), "{event}");
    let lab = lab.kill_and_restart();
    let pacs = dcmtk::StoreScp::start("TAKES", &[]);
    let peer = format!("TAKES@127.0.0.1:{}", pacs.port);
    lab.run(&["modality", "register", &peer, "--name", "PACS2"]).success();
    let told = lab.run(&["report", "send", "ACC1001"]).success();
    assert!(told.stdout.contains("1 sent again"), "{told}");
    wait::until_true("the RIS to know", || objects(&lab, "ACC1001")[0]["state"] == "sent");
    assert_eq!(pacs.received(), [pacs.file_of(&uid)], "the same object");
    let told = lab.run(&["report", "send", "ACC1001"]).success();
    assert!(told.stdout.contains("nothing that was refused"), "{told}");
}

/// A PDF of an odd length.
const PDF: &[u8] = b"%PDF-1.4\n% SYNTHETIC REPORT\ntrailer <<>>\n%%EOF";

/// ORU^R01 with a document, alone or with a text.
fn oru(accession: &str, control_id: &str, text: &str, document: &str) -> String {
    let narrative = "OBX|1|TX|18782-3^Radiology Study observation (narrative)^LN|1|";
    let text = match text {
        "" => String::new(),
        text => format!("{narrative}{text}||||||F\r"),
    };
    format!(
        "MSH|^~\\&|RIS|HOSP|PACSLAB|LAB|20260105100000||ORU^R01^ORU_R01|{control_id}|P|2.5.1\r\
         PID|1||P12345^^^HOSP||DOE^JANE||19800101|F\r\
         OBR|1|{accession}|{accession}|CTCHW^CT CHEST W CONTRAST^99PACSLAB|||20260105090000|||||||\
         ||||{accession}|RP{accession}|||20260105100000||CT|F|||||||4001&READER&RAY\r{text}\
         OBX|2|ED|18748-4^Diagnostic imaging study^LN|1|RIS^AP^PDF^Base64^{document}||||||F\r"
    )
}

#[test]
fn a_pdf_that_comes_with_a_report_is_an_object_of_the_study() {
    needs!("python", "findscu", "dciodvfy", "dcmdump");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let (uid, images) = scan(&lab, folder.path());
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let packed = base64::engine::general_purpose::STANDARD.encode(PDF);
    let answer = lab.order(&oru("ACC1001", "1", "Nothing seen.", &packed));
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    wait::until_true("text and document", || documents(lab.dicom, &uid).len() == 2);
    // said again it is the same
    lab.order(&oru("ACC1001", "2", "Nothing seen.", &packed));
    let peer = format!("PACSLAB@127.0.0.1:{}", lab.dicom);
    cli(&["get", "--accession", "ACC1001", "--pacs", &peer, "--out", &text("got")]).success();
    let got = files(&folder.path().join("got"), "dcm");
    dcmtk::assert_valid(&got);
    let dumps: Vec<String> = got.iter().map(|file| dcmtk::dump(file)).collect();
    let pdf = dumps.iter().find(|dump| dump.contains("=EncapsulatedPDFStorage")).expect("a PDF");
    assert_eq!(dcmtk::value(pdf, "(0042,0010)").as_deref(), Some("SYNTHETIC report ACC1001"));
    assert_eq!(dcmtk::value(pdf, "(0042,0012)").as_deref(), Some("application/pdf"));
    assert_eq!(dcmtk::value(pdf, "(0008,0050)").as_deref(), Some("ACC1001"));
    // it is in the report as FHIR has it, byte by byte, and so it is at its address
    cli(&["fhir", "export", "--from", &text("got"), "--out", &text("read")]).success();
    let report = exported(&folder.path().join("read"), &uid, images + 2);
    let form = &report["presentedForm"][1];
    assert_eq!((&form["contentType"], &form["data"]), (&"application/pdf".into(), &packed.into()));
    spelled::fhir_export(lab.http, &uid, &folder.path().join("asked")).success();
    let report = exported(&folder.path().join("asked"), &uid, images + 2);
    let url = report["presentedForm"][1]["url"].as_str().unwrap();
    let path = &url[url.find("/dicom-web").unwrap()..];
    let rendered = http::get_accepting(lab.http, path, "application/pdf").ok();
    assert_eq!(rendered.header("content-type"), Some("application/pdf"));
    assert_eq!(rendered.body, PDF);
}

#[test]
fn a_document_alone_is_a_report_and_a_damaged_one_is_told_where_it_is() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let uid = study_of(&lab, "ACC1001");
    for (damaged, component) in [("JVBERi0xLjQK*", "5"), ("", "5")] {
        let answer = lab.order(&oru("ACC1001", "1", "", damaged));
        assert_eq!(mllp::field(&answer, "MSA", 1), "AE", "{answer}");
        assert!(answer.contains(&format!("ERR||OBX^1^5^1^{component}|10")), "{answer}");
    }
    assert_eq!(lab.get("/ris/reports/ACC1001").status, 404, "nothing is kept of it");
    let packed = base64::engine::general_purpose::STANDARD.encode(PDF);
    let answer = lab.order(&oru("ACC1001", "2", "", &packed));
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    let stored = wait::until("the PDF", || documents(lab.dicom, &uid).pop());
    assert!(stored.contains("=EncapsulatedPDFStorage"), "{stored}");
    // as long, and another one
    let other = base64::engine::general_purpose::STANDARD.encode(PDF.to_ascii_uppercase());
    let answer = lab.order(&oru("ACC1001", "3", "", &other));
    assert!(answer.contains("read as a correction"), "{answer}");
    wait::until_true("the other PDF", || documents(lab.dicom, &uid).len() == 2);
}

/// Events of reports of an order.
fn told(lab: &Lab, accession: &str) -> Vec<String> {
    let lines = lab.get(&format!("/pacslab/events?accession={accession}&limit=1000")).ok().text();
    let lines = lines.lines().filter(|line| line.contains("it had come before its order"));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_report_that_came_before_its_order_is_attached_when_that_comes() {
    needs!("findscu");
    let lab = Lab::start();
    let packed = base64::engine::general_purpose::STANDARD.encode(PDF);
    let answer = lab.order(&oru("ACC1001", "1", "Nothing seen.", &packed));
    assert!(
        answer.contains("order ACC1001 is not known; the report is kept unmatched"),
        "{answer}"
    );
    let listed = lab.run(&["report", "list"]).success().stdout;
    assert!(listed.contains("no such order"), "{listed}");
    // an order of somebody else does not get it
    lab.order(&oru("ACC1002", "2", "Nothing seen.", &packed));
    lab.place("ACC1002", "P77777", "PYMOD1");
    assert_eq!(lab.get("/ris/orders/ACC1002").ok().json()["state"], "SCHEDULED");
    let other = "a report of patient 'P12345' came with the number ACC1002";
    until_told(&lab, "kind=ris.unmatched", other);
    // its own gets all of it, over a crash
    let lab = lab.kill_and_restart();
    lab.place("ACC1001", "P12345", "PYMOD1");
    assert_eq!(lab.get("/ris/orders/ACC1001").ok().json()["state"], "FINAL");
    let report = lab.get("/ris/reports/ACC1001").ok().json();
    assert_eq!(
        (&report["unmatched"], &report["state"]),
        (&false.into(), &"FINAL".into()),
        "{report}"
    );
    let path = report["documents"][0]["path"].as_str().unwrap();
    assert_eq!(lab.get(path).ok().body, PDF);
    let uid = study_of(&lab, "ACC1001");
    wait::until_true("text and document in the study", || documents(lab.dicom, &uid).len() == 2);
    // told once, and what is said again changes nothing
    lab.order(&oru("ACC1001", "3", "Nothing seen.", &packed));
    lab.run(&["order", "change", "ACC1001", "--priority", "stat"]).success();
    wait::until_true("the event", || !told(&lab, "ACC1001").is_empty());
    assert_eq!(told(&lab, "ACC1001").len(), 1, "{:?}", told(&lab, "ACC1001"));
    let listed = lab.get("/ris/reports").ok().json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "it is no longer kept twice: {listed}");
    // by command as well as by message, and by the placer's number
    let placed = oru("ACC1003", "4", "Nothing seen.", &packed).replace("||||ACC1003|RP", "|||||RP");
    lab.order(&placed);
    let order = ["order", "new", "--exam", "CTCHW", "--patient-id", "P12345", "--name", "DOE^JANE"];
    lab.run(&[&order[..], &["--accession", "ACC1003"]].concat()).success();
    let shown = lab.run(&["report", "show", "ACC1003"]).success().stdout;
    assert!(shown.contains("FINAL") && shown.contains("READER^RAY"), "{shown}");
}
