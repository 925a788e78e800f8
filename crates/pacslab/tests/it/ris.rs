//! The department by command and REST: orders, patients, signed reports, asserted from outside.

use serde_json::json;

use crate::support::lab::cli;
use crate::support::{Lab, dcmtk, http, mllp, needs, wait};

/// What findscu is told of the order's item: station, room, start date, description, patient.
fn item(lab: &Lab, accession: &str) -> Option<[String; 5]> {
    let accession = format!("0008,0050={accession}");
    let step = "(0040,0100)[0]";
    let keys = ["0001", "0011", "0002", "0007"].map(|tag| format!("{step}.0040,{tag}"));
    let mut asked = vec![&*accession, "0010,0020"];
    asked.extend(keys.iter().map(String::as_str));
    let found = dcmtk::find(lab.dicom, "-W", &asked);
    let value = |tag| dcmtk::value(found.first()?, tag);
    let step = |tag| value(tag).unwrap_or_default();
    let patient = value("(0010,0020)")?;
    let at = [step("(0040,0001)"), step("(0040,0011)"), step("(0040,0002)"), step("(0040,0007)")];
    let [station, room, date, what] = at;
    Some([station, room, date, what, patient])
}

fn request(lab: &Lab, method: &str, path: &str, body: &serde_json::Value) -> http::Response {
    let login = Some("orthanc:orthanc");
    let kind = [("Content-Type", "application/json")];
    http::request(lab.http, method, path, login, &kind, body.to_string().as_bytes())
}

#[test]
fn an_exam_is_ordered_by_its_code_and_goes_to_its_room() {
    needs!("findscu");
    let rules = "[worklist]\nstations = \"CT=CT1@Room 1; CT/CTHEADW=CT2@Room 2; MR=MR1\"\n";
    let lab = Lab::setup().config(rules).start();
    let made = lab.run(&[
        "order",
        "new",
        "--exam",
        "ctchw",
        "--patient-id",
        "P1",
        "--name",
        "DOE^JANE",
        "--at",
        "2026-01-05T09:00",
        "--json",
    ]);
    let made = made.success().json();
    let accession = made["accession"].as_str().unwrap().to_owned();
    assert!(accession.len() <= 16, "{accession}");
    let found = item(&lab, &accession).expect("it is on the worklist");
    assert_eq!(found, ["CT1", "Room 1", "20260105", "CT CHEST W CONTRAST", "P1"]);
    // the rule of an exam comes before that of its modality; who is known needs no name
    let head = ["order", "new", "--exam", "CTHEADW", "--patient-id", "P1", "--accession", "A2"];
    let told = lab.run(&head).success();
    assert!(told.stdout.contains("order A2 placed"), "{told}");
    assert_eq!(item(&lab, "A2").expect("it is there")[..2], ["CT2", "Room 2"]);
    let changed =
        lab.run(&["order", "change", "A2", "--at", "2026-01-06T10:00", "--station", "CT9"]);
    changed.success();
    let moved = item(&lab, "A2").expect("it is still there");
    assert_eq!((&*moved[0], &*moved[2]), ("CT9", "20260106"));
    let listed = lab.run(&["order", "list", "--patient-id", "P1"]).success().stdout;
    assert!(listed.contains("A2") && listed.contains(&accession), "{listed}");
    lab.run(&["order", "cancel", "A2"]).success();
    assert_eq!(item(&lab, "A2"), None);
    let shown = lab.run(&["order", "show", "A2"]).success().stdout;
    assert!(shown.contains("CANCELLED"), "{shown}");
    let told = lab.run(&["order", "new", "--exam", "CTXXX", "--patient-id", "P1"]).failure();
    assert!(told.stderr.contains("'CTXXX' is not in the catalogue; near it are CT"), "{told}");
    // HL7 orders that name no station follow the same rules
    let orm = mllp::orm("A3", "P1", "", "20260105100000");
    assert!(lab.order(&orm).contains("MSA|AA"));
    assert_eq!(item(&lab, "A3").expect("it is there")[..2], ["CT1", "Room 1"]);
}

#[test]
fn numbers_have_sixteen_characters_and_not_one_more() {
    needs!("findscu");
    let lab = Lab::start();
    let order = |accession: &str| {
        let body = json!({"exam": "CTCHW", "accession": accession,
            "patient": {"id": "P1", "name": "DOE^JANE"}, "date": "20260105", "time": "090000"});
        request(&lab, "POST", "/ris/orders", &body)
    };
    let fits = "ABCDEFGHIJ123456";
    assert_eq!(order(fits).status, 201);
    assert!(item(&lab, fits).is_some());
    let long = order("ABCDEFGHIJ1234567");
    assert_eq!(long.status, 400);
    assert!(long.text().contains("has 17 characters; DICOM allows 16"), "{}", long.text());
    assert!(item(&lab, "ABCDEFGHIJ1234567").is_none() && item(&lab, "ABCDEFGHIJ123456*").is_some());
    // the same again is the same, another one with its number is refused
    assert_eq!(order(fits).json()["done"], "repeated");
    let body =
        json!({"exam": "CTCHW", "accession": fits, "patient": {"id": "P2", "name": "ROE^R"}});
    let other = request(&lab, "POST", "/ris/orders", &body);
    assert_eq!(other.status, 409, "{}", other.text());
    for (body, why) in [
        (json!({"exam": "CTCHW"}), "patient identifier"),
        (json!({"exam": "CTCHW", "patient": {"id": "P1"}, "colour": 1}), "colour"),
        (json!({"patient": {"id": "P1"}}), "what is to be done"),
    ] {
        let answer = request(&lab, "POST", "/ris/orders", &body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains(why), "{}", answer.text());
    }
    let foreign = [("Origin", "http://evil.example"), ("Content-Type", "application/json")];
    let answer =
        http::request(lab.http, "POST", "/ris/orders", Some("orthanc:orthanc"), &foreign, b"{}");
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert_eq!(lab.get("/ris/orders/NOWHERE").status, 404);
}

#[test]
fn patients_are_registered_changed_and_merged_and_their_orders_follow() {
    needs!("findscu");
    let lab = Lab::start();
    lab.store_fixtures();
    for (id, name) in [("P1", "DOE^JANE"), ("P2", "DOE^JANET")] {
        lab.run(&["patient", "new", id, "--name", name, "--birth-date", "19800101"]).success();
        lab.run(&[
            "order",
            "new",
            "--exam",
            "CTCHW",
            "--patient-id",
            id,
            "--accession",
            &format!("A{id}"),
        ])
        .success();
    }
    let told = lab.run(&["patient", "new", "P1", "--name", "ROE^R"]).failure();
    assert!(told.stderr.contains("P1 belongs to another patient (DOE^JANE)"), "{told}");
    let told = lab.run(&["patient", "new", "P3", "--birth-date", "1980"]).failure();
    assert!(told.stderr.contains("birth date '1980' is no date"), "{told}");
    lab.run(&["patient", "update", "P1", "--name", "ROE^MARY"]).success();
    let shown = lab.run(&["patient", "show", "P1"]).success().stdout;
    assert!(shown.contains("ROE^MARY"), "{shown}");
    assert!(lab.run(&["patient", "list"]).success().stdout.contains("DOE^JANET"));
    assert_eq!(item(&lab, "AP2").expect("it is there")[4], "P2");
    lab.run(&["patient", "merge", "P2", "--into", "P1"]).success();
    assert_eq!(item(&lab, "AP2").expect("it is still there")[4], "P1");
    let told = lab.run(&["order", "new", "--exam", "CTCHW", "--patient-id", "P2"]).failure();
    assert!(told.stderr.contains("P2 was replaced by P1"), "{told}");
    let told = lab.run(&["patient", "merge", "P9", "--into", "P1"]).failure();
    assert!(told.stderr.contains("P9"), "{told}");
}

#[test]
fn a_signed_report_is_final_and_an_object_in_the_study() {
    needs!("findscu", "dciodvfy", "dcmdump");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let sign = |impression: &str| {
        lab.run(&[
            "report",
            "sign",
            "ACC1001",
            "--findings",
            "Nöthing seen.\\nNo effusion.",
            "--impression",
            impression,
            "--by",
            "READER^RAY",
        ])
    };
    let told = sign("Normal").success();
    assert!(told.stdout.contains("report of order ACC1001 is FINAL"), "{told}");
    let order = lab.get("/ris/orders/ACC1001").json();
    assert_eq!((&order["state"], &order["report"]), (&json!("FINAL"), &json!("FINAL")));
    let keys = ["0008,0052=IMAGE", "0008,0018", "0008,0016", "0020,0013"];
    let study = format!("0020,000d={}", order["procedure"]["study_uid"].as_str().unwrap());
    let images = || {
        let mut keys = keys.to_vec();
        keys.push(&study);
        dcmtk::find(lab.dicom, "-S", &keys)
    };
    let filed = wait::until("the SR", || (images().len() == 1).then(images)).remove(0);
    assert!(filed.contains("BasicTextSRStorage"), "{filed}");
    // a second signature is a correction, and another object
    sign("Not normal").success();
    assert_eq!(lab.get("/ris/orders/ACC1001").json()["state"], "AMENDED");
    wait::until_true("the second SR", || images().len() == 2);
    let lab = lab.kill_and_restart();
    let shown = lab.run(&["report", "show", "ACC1001"]).success().stdout;
    assert!(shown.contains("CORRECTED") && shown.contains("Not normal"), "{shown}");
    assert!(lab.run(&["report", "list"]).success().stdout.contains("READER^RAY"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let peer = format!("PACSLAB@127.0.0.1:{}", lab.dicom);
    cli(&["get", "--accession", "ACC1001", "--pacs", &peer, "--out", out]).success();
    let objects = crate::support::files(folder.path(), "dcm");
    assert_eq!(objects.len(), 2);
    dcmtk::assert_valid(&objects);
    let dumps: Vec<String> = objects.iter().map(|file| dcmtk::dump(file)).collect();
    for said in ["VERIFIED", "COMPLETE", "READER^RAY", "121073", "ACC1001"] {
        assert!(dumps.iter().all(|dump| dump.contains(said)), "{said}");
    }
    let told = lab.run(&["report", "sign", "NOWHERE", "--findings", "x", "--by", "A"]).failure();
    assert!(told.stderr.contains("there is no order NOWHERE"), "{told}");
}

#[test]
fn a_report_that_came_as_a_document_is_handed_out_as_it_was() {
    let lab = Lab::start();
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../pacslab-hl7/tests/fixtures");
    let oru = std::fs::read_to_string(format!("{fixtures}/oru_r01_pdf_251.hl7")).unwrap();
    let answer = lab.order(&oru);
    assert!(answer.contains("MSA|AA"), "{answer}");
    let reports = lab.get("/ris/reports").json();
    assert_eq!(reports[0]["unmatched"], true, "{reports}");
    let path = reports[0]["documents"][0]["path"].as_str().unwrap();
    let document = lab.get(path).ok();
    assert_eq!(document.header("content-type"), Some("application/pdf"));
    assert!(document.text().starts_with("%PDF-"));
}
