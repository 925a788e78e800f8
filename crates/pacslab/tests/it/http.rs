//! The HTTP doors: the page, Orthanc's routes, DICOMweb (PS3.18).

use crate::support::lab::cli;
use crate::support::{Lab, fixture, http, needs, peers, study, wait};

#[test]
fn without_a_login_there_is_nothing() {
    let lab = Lab::start();
    for path in ["/", "/studies", "/dicom-web/studies"] {
        let answer = http::get_as(lab.http, path, None);
        assert_eq!(answer.status, 401, "{path}");
        assert!(answer.header("WWW-Authenticate").is_some_and(|h| h.starts_with("Basic")));
        assert_eq!(http::get_as(lab.http, path, Some("orthanc:wrong")).status, 401, "{path}");
    }
}

#[test]
fn the_page_lists_worklist_and_studies() {
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    lab.store_fixtures();
    let page = lab.get("/").ok();
    assert!(page.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")));
    let text = page.text().to_lowercase();
    assert!(text.contains("not a medical device"), "the page says what it is not");
    assert!(text.contains("synthetic"), "{text}");
}

#[test]
fn an_instance_that_is_posted_is_answered_as_orthanc_does() {
    let lab = Lab::start();
    let ct = std::fs::read(fixture("ct.dcm")).unwrap();
    let first = lab.post("/instances", &ct).ok().json();
    assert_eq!(first["Status"], "Success", "{first}");
    for key in ["ID", "ParentPatient", "ParentStudy", "ParentSeries"] {
        // Orthanc's identifiers: five groups of eight hexadecimal digits (SHA-1 of the UIDs)
        assert_eq!(first[key].as_str().map(str::len), Some(44), "{key} of {first}");
    }
    let second = lab.post("/instances", &ct).ok().json();
    assert_eq!(second["Status"], "AlreadyStored", "{second}");
    assert_eq!(second["ID"], first["ID"]);
}

#[test]
fn junk_is_a_bad_request_with_the_reason() {
    let lab = Lab::start();
    let answer = lab.post("/instances", b"this is not DICOM");
    assert_eq!(answer.status, 400);
    assert!(!answer.text().is_empty(), "a reason is given");
    assert_eq!(lab.get("/instances").ok().json().as_array().map(Vec::len), Some(0));
}

#[test]
fn studies_have_orthancs_shape() {
    let lab = Lab::start();
    lab.store_fixtures();
    let studies = lab.get("/studies").ok().json();
    let id = studies[0].as_str().expect("a list of identifiers").to_string();
    assert_eq!(studies.as_array().map(Vec::len), Some(1));
    let detail = lab.get(&format!("/studies/{id}")).ok().json();
    assert_eq!(detail["ID"], id.as_str());
    assert_eq!(detail["Type"], "Study");
    assert_eq!(detail["MainDicomTags"]["StudyInstanceUID"], study::UID);
    assert_eq!(detail["MainDicomTags"]["AccessionNumber"], study::ACCESSION);
    assert_eq!(detail["PatientMainDicomTags"]["PatientID"], study::PATIENT_ID);
    assert!(detail["Series"].as_array().is_some_and(|series| series.len() >= 6), "{detail}");
    assert_eq!(lab.get("/studies/no-such-study").status, 404);
}

#[test]
fn qido_finds_studies() {
    let lab = Lab::start();
    lab.store_fixtures();
    let path = |query: &str| format!("/dicom-web/studies?{query}");
    let found = lab.get(&path("PatientID=PL000001")).ok();
    assert!(found.header("Content-Type").is_some_and(|h| h.starts_with("application/dicom+json")));
    let found = found.json();
    assert_eq!(found[0]["0020000D"]["Value"][0], study::UID, "{found}");
    assert_eq!(found[0]["00201208"]["Value"][0], study::INSTANCES, "{found}");
    let nothing = lab.get(&path("PatientID=NOBODY"));
    assert!(nothing.status == 204 || nothing.json().as_array().is_some_and(Vec::is_empty));
    assert_eq!(lab.get(&path("StudyDate=notadate")).status, 400);
}

#[test]
fn wado_returns_the_instance_as_it_came() {
    let lab = Lab::start();
    lab.store_fixtures();
    let path = format!(
        "/dicom-web/studies/{}/series/{}/instances/{}",
        study::UID,
        study::CT_SERIES,
        study::CT_INSTANCE
    );
    let accept = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    let answer = http::get_accepting(lab.http, &path, accept).ok();
    let kind = answer.header("Content-Type").unwrap_or_default().to_string();
    assert!(kind.starts_with("multipart/related"), "{kind}");
    let ct = std::fs::read(fixture("ct.dcm")).unwrap();
    let pixels = &ct[ct.len() - 4096..];
    let whole = answer.body.windows(pixels.len()).any(|window| window == pixels);
    assert!(whole, "the pixels are in the answer");
}

#[test]
fn a_frame_is_rendered() {
    let lab = Lab::start();
    lab.store_fixtures();
    let path = format!(
        "/dicom-web/studies/{}/series/{}/instances/{}/frames/1/rendered",
        study::UID,
        study::CT_SERIES,
        study::CT_INSTANCE
    );
    let image = http::get_accepting(lab.http, &path, "image/png").ok();
    assert_eq!(image.header("Content-Type"), Some("image/png"));
    assert!(image.body.starts_with(b"\x89PNG\r\n"));
}

#[test]
fn pythons_requests_reads_what_it_needs() {
    needs!("python");
    let lab = Lab::start();
    lab.store_fixtures();
    let url = format!("http://127.0.0.1:{}", lab.http);
    peers::python_script("rest.py", &[&url, study::UID, study::ACCESSION]).success();
}

#[test]
fn a_request_that_is_no_http_and_one_without_end_do_no_harm() {
    use std::io::Write;
    let lab = Lab::start();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", lab.http)).unwrap();
    stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n").unwrap();
    let mut slow = std::net::TcpStream::connect(("127.0.0.1", lab.http)).unwrap();
    slow.write_all(b"GET /studies HTTP/1.1\r\nHost: lab\r\n").unwrap();
    lab.get("/studies").ok();
}

#[test]
fn metrics_are_read_by_prometheus_and_count_what_happened() {
    let lab = Lab::start();
    lab.place("ACC-M", "P-M", "PYMOD1");
    cli(&["echo", &format!("PACSLAB@127.0.0.1:{}", lab.dicom)]).success();
    let (port, image) = (lab.dicom.to_string(), fixture("ct.dcm"));
    cli(&["send", "--port", &port, image.to_str().unwrap()]).success();
    assert_eq!(http::get_as(lab.http, "/metrics", None).status, 401);
    let answer = lab.get("/metrics").ok();
    assert_eq!(answer.header("Content-Type"), Some("text/plain; version=0.0.4"));
    let text = answer.text();
    for line in [
        "pacslab_associations_open 0",
        "pacslab_associations_accepted_total 2",
        r#"pacslab_dimse_operations_total{service="C-ECHO",status="success"} 1"#,
        r#"pacslab_dimse_operations_total{service="C-STORE",status="success"} 1"#,
        r#"pacslab_dimse_operations_total{service="C-FIND",status="failure"} 0"#,
        "pacslab_store_duration_seconds_count 1",
        "pacslab_commit_batch_instances_sum 1",
        "pacslab_commit_waiting 0",
        r#"pacslab_index_resources{level="instance"} 1"#,
        r#"pacslab_http_requests_total{route="metrics",status="4xx"} 1"#,
        r#"pacslab_hl7_messages_total{type="ORM",ack="AA"} 1"#,
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    let value = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or(-1.0)
    };
    assert!(value("pacslab_store_bytes_total") > 1000.0, "{text}");
    assert!(value("pacslab_uptime_seconds") > 0.0, "{text}");
    #[cfg(target_os = "linux")]
    assert!(value("process_resident_memory_bytes") > 1e6, "{text}");
    #[cfg(unix)]
    assert!(value("pacslab_disk_free_bytes") > 0.0, "{text}");
}

/// Prometheus' own client reads all of it, before anything has happened and after.
#[test]
fn metrics_are_what_prometheus_expects() {
    needs!("python");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    for busy in [false, true] {
        if busy {
            lab.place("ACC-M", "P-M", "PYMOD1");
            lab.store_fixtures();
            assert_eq!(lab.get("/no/such/route").status, 404);
        }
        for route in ["/metrics", "/tools/metrics-prometheus"] {
            let file = folder.path().join("metrics.txt");
            std::fs::write(&file, lab.get(route).ok().text()).unwrap();
            let read = peers::python_script("metrics.py", &[file.to_str().unwrap()]).success();
            let read = read.json();
            let faults = read["faults"].as_array().unwrap().iter().filter_map(|f| f.as_str());
            // Orthanc's text has neither HELP nor TYPE, and ours at its route is as its
            let as_orthanc = |fault: &&str| route != "/metrics" && fault.contains(": no ");
            let faults: Vec<&str> = faults.filter(|fault| !as_orthanc(fault)).collect();
            assert!(faults.is_empty(), "{route} {faults:?}");
            assert!(read["families"].as_array().unwrap().len() > 10, "{read}");
        }
    }
}

#[test]
fn metrics_of_ours_have_orthancs_names() {
    let lab = Lab::start();
    lab.store_fixtures();
    let text = lab.get("/tools/metrics-prometheus").ok().text();
    let names = |text: &str| -> Vec<String> {
        text.lines().filter_map(|line| Some(line.split(' ').next()?.to_owned())).collect()
    };
    let ours = names(&text);
    assert!(text.contains(&format!("orthanc_count_instances {} ", study::INSTANCES)), "{text}");
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words.len(), 3, "name, value, time: {line}");
        assert!(words[1..].iter().all(|word| word.parse::<u64>().is_ok()), "{line}");
    }
    needs!("Orthanc");
    let folder = tempfile::tempdir().unwrap();
    let orthanc = crate::support::orthanc::Orthanc::start(folder.path(), &[]);
    let theirs = names(&orthanc.get("/tools/metrics-prometheus").ok().text());
    let lacking: Vec<&String> = theirs
        .iter()
        .filter(|name| !ours.contains(name) && !name.contains("rest_api") && !name.contains("_ms"))
        .collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

/// Who is connected just now, and what it did: what `pacslab top` shows.
#[test]
fn open_associations_are_listed_while_they_are_open() {
    let lab = Lab::start();
    let listed = || lab.get("/pacslab/associations").ok().json();
    assert_eq!(listed(), serde_json::json!([]));
    let mut association = crate::support::raw_dimse::Association::request(lab.dicom);
    association.echo();
    let open = listed();
    assert_eq!(open.as_array().map(Vec::len), Some(1), "{open}");
    assert_eq!((&open[0]["messages"], &open[0]["last"]), (&1.into(), &"C-ECHO".into()));
    assert_eq!(open[0]["direction"], "in");
    let url = format!("http://127.0.0.1:{}", lab.http);
    let top = cli(&["top", "--once", "--every", "100ms", "--url", &url]).success();
    let peer = open[0]["peer"].as_str().unwrap();
    assert!(top.stdout.contains(peer) && top.stdout.contains("C-ECHO"), "{top}");
    drop(association);
    wait::until_true("the association is off the list", || listed() == serde_json::json!([]));
}
