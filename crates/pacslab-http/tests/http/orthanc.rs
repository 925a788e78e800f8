//! Orthanc's routes.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use pacslab_dicom::TransferSyntax;
use pacslab_model::{Vr, tags};
use serde_json::json;

use crate::support::{Lab, ct, orthanc_user, part_10};

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_in_and_is_found_on_every_level() {
    let lab = Lab::new();
    let file = part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe);
    let first = lab.post("/instances", file.clone()).await.ok().json();
    assert_eq!(first["Status"], "Success");
    assert_eq!(first["Path"], format!("/instances/{}", first["ID"].as_str().unwrap()));
    // printf '%s' 'P12345|1.2' | sha1sum
    assert_eq!(first["ParentStudy"], "aa67d2a0-6c673b03-83efc1eb-8b733c81-5cfac3a0");
    let again = lab.post("/instances", file.clone()).await.ok().json();
    assert_eq!(again["Status"], "AlreadyStored");
    assert_eq!(again["ID"], first["ID"]);

    let id = |name: &str| first[name].as_str().unwrap().to_owned();
    for (list, name) in [
        ("patients", "ParentPatient"),
        ("studies", "ParentStudy"),
        ("series", "ParentSeries"),
        ("instances", "ID"),
    ] {
        assert_eq!(lab.get(&format!("/{list}")).await.ok().json(), json!([first[name]]));
        let one = lab.get(&format!("/{list}/{}", id(name))).await.ok().json();
        assert_eq!(one["ID"], first[name]);
        assert_eq!(lab.get(&format!("/{list}?expand")).await.ok().json(), json!([one]));
    }
    let study = lab.get(&format!("/studies/{}", id("ParentStudy"))).await.json();
    assert_eq!(study["Type"], "Study");
    assert_eq!(study["ParentPatient"], first["ParentPatient"]);
    assert_eq!(study["Series"], json!([first["ParentSeries"]]));
    assert_eq!(study["MainDicomTags"]["AccessionNumber"], "ACC1001");
    assert_eq!(study["PatientMainDicomTags"]["PatientName"], "Dö^Jane");
    assert_eq!(study["LastUpdate"], "20260105T080000");
    assert_eq!(study["IsStable"], false);
    let instance = lab.get(&format!("/instances/{}", id("ID"))).await.json();
    assert_eq!(instance["IndexInSeries"], 1);
    assert_eq!(instance["FileSize"], file.len());
    let back = lab.get(&format!("/instances/{}/study", id("ID"))).await.ok().json();
    assert_eq!(back, study);
    let below = lab.get(&format!("/studies/{}/instances", id("ParentStudy"))).await.ok().json();
    assert_eq!(below, json!([instance]));

    let sent = lab.get(&format!("/instances/{}/file", id("ID"))).await.ok();
    assert_eq!(sent.bytes, file);
    let tags = lab.get(&format!("/instances/{}/simplified-tags", id("ID"))).await.ok().json();
    assert_eq!(tags["PatientName"], "Dö^Jane");
    assert_eq!(tags["Rows"], "4");
    assert_eq!(tags["PixelData"], json!(null));
    let png = lab.get(&format!("/instances/{}/preview", id("ID"))).await.ok();
    assert_eq!(png.header(header::CONTENT_TYPE), "image/png");
    assert!(png.bytes.starts_with(b"\x89PNG"));
    let none = lab.get(&format!("/instances/{}/frames/1/preview", id("ID"))).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);
    let counts = lab.get("/statistics").await.ok().json();
    assert_eq!(counts["CountInstances"], 1);
    assert_eq!(counts["TotalDiskSize"], file.len().to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn later_arrivals_are_known_by_their_identifiers() {
    let lab = Lab::new();
    let mut ids = Vec::new();
    for number in 1..=3 {
        let file = part_10(&ct("1.2", number), TransferSyntax::ImplicitLe);
        let id = lab.post("/instances", file).await.ok().json()["ID"].as_str().unwrap().to_owned();
        lab.get(&format!("/instances/{id}")).await.ok();
        ids.push(id);
    }
    let page = lab.get("/instances?since=1&limit=1").await.ok().json();
    assert_eq!(page, json!([ids[1]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn junk_is_refused_with_its_reason() {
    let lab = Lab::new();
    for (body, reason) in [
        (b"MSH|^~\\&|".to_vec(), "HL7"),
        (b"".to_vec(), "empty"),
        (vec![7; 300_000], "DICM"),
        (part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe)[..600].to_vec(), ""),
    ] {
        let answer = lab.post("/instances", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let error = answer.json();
        assert_eq!(error["OrthancStatus"], 15);
        assert_eq!(error["HttpStatus"], 400);
        assert_eq!((&error["Method"], &error["Uri"]), (&json!("POST"), &json!("/instances")));
        let details = error["Details"].as_str().unwrap();
        assert!(details.contains(reason) && !details.is_empty(), "{details}");
    }
    let mut no_study = ct("1.2", 1);
    no_study.remove(tags::STUDY_INSTANCE_UID);
    let answer = lab.post("/instances", part_10(&no_study, TransferSyntax::ExplicitLe)).await;
    assert!(answer.text().contains("StudyInstanceUID (0020,000d)"), "{}", answer.text());
    assert_eq!(lab.get("/statistics").await.json()["CountInstances"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded() {
    let lab = Lab::with(|state| {
        state.limits.upload = 1_000;
        state.limits.question = 100;
    });
    let large = lab.post("/instances", vec![0; 1_001]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let large = lab.post("/tools/find", vec![b' '; 101]).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test(flavor = "multi_thread")]
async fn find_and_lookup() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    lab.store(&ct("1.2", 2)).await;
    let mut other = ct("1.3", 1);
    other.put_str(tags::PATIENT_ID, Vr::LO, "Q1");
    other.put_str(tags::PATIENT_NAME, Vr::PN, "ROE^RICHARD");
    other.put_str(tags::ACCESSION_NUMBER, Vr::SH, "acc2");
    lab.store(&other).await;
    let count = async |body: serde_json::Value| {
        let found = lab.post("/tools/find", body.to_string()).await.ok().json();
        found.as_array().unwrap().len()
    };
    assert_eq!(count(json!({"Level": "Study", "Query": {}})).await, 2);
    assert_eq!(count(json!({"Level": "Study", "Query": {"PatientID": "p12345"}})).await, 1);
    assert_eq!(
        count(json!({"Level": "Study", "CaseSensitive": true, "Query": {"PatientID": "p12345"}}))
            .await,
        0
    );
    assert_eq!(count(json!({"Level": "Instance", "Query": {"PatientID": "p1*"}})).await, 2);
    assert_eq!(count(json!({"Level": "Instance", "Query": {"PatientID": "nobody"}})).await, 0);
    assert_eq!(count(json!({"Level": "Studies", "Query": {"0008,0050": "ACC2"}})).await, 1);
    assert_eq!(count(json!({"Level": "Study", "Query": {"PatientName": "dö*"}})).await, 1);
    assert_eq!(count(json!({"Level": "Instance", "Query": {}, "Limit": 1, "Since": 2})).await, 1);
    assert_eq!(count(json!({"Level": "Study", "Query": {"StudyDate": "20260101-"}})).await, 2);

    let body = json!({"Level": "Study", "Query": {"PatientID": "Q1"}, "Expand": true,
                      "RequestedTags": ["PatientName"]});
    let found = lab.post("/tools/find", body.to_string()).await.ok().json();
    assert_eq!(found[0]["RequestedTags"]["PatientName"], "ROE^RICHARD");
    assert_eq!(found[0]["Type"], "Study");

    for (body, status, word) in [
        (json!({"Query": {}}), 8, "Level"),
        (json!({"Level": "Room", "Query": {}}), 8, "Room"),
        (json!({"Level": "Study", "Query": {"Nonsense": "1"}}), 8, "Nonsense"),
        (json!({"Level": "Study", "Query": {"Modality": "CT"}}), 8, "Modality"),
        (json!({"Level": "Study", "Query": {"StudyDate": "today"}}), 8, "today"),
        (json!([]), 28, ""),
    ] {
        let error = lab.post("/tools/find", body.to_string()).await;
        assert_eq!(error.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(error.json()["OrthancStatus"], status, "{body}");
        assert!(error.text().contains(word), "{}", error.text());
    }

    let found = lab.post("/tools/lookup", "p12345").await.ok().json();
    assert_eq!(found[0]["Type"], "Patient");
    let found = lab.post("/tools/lookup", "1.2.1.2").await.ok().json();
    assert_eq!(found[0]["Type"], "Instance");
    assert_eq!(lab.post("/tools/lookup", "acc1001").await.json()[0]["Type"], "Study");
    // `*` is a letter here, as in Orthanc: once this found every patient
    assert_eq!(lab.post("/tools/lookup", "p123*").await.ok().json(), json!([]));
    assert_eq!(lab.post("/tools/lookup", "nothing").await.ok().json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_addresses_and_unknown_resources() {
    let lab = Lab::new();
    let route = lab.get("/modalities/x/unheard-of").await;
    assert_eq!(route.status, StatusCode::NOT_FOUND);
    assert_eq!(route.json()["OrthancStatus"], 17);
    assert_eq!(route.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    for id in ["da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709", "..%2F..%2Fetc%2Fpasswd", "x"] {
        for part in ["", "/file", "/tags", "/preview"] {
            let answer = lab.get(&format!("/instances/{id}{part}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
            assert!(answer.bytes.is_empty(), "{}", answer.text());
        }
    }
    let parameter = lab.get("/studies?limit=many").await;
    assert_eq!(parameter.status, StatusCode::BAD_REQUEST);
    assert!(parameter.json()["Details"].as_str().unwrap().contains("limit"));
    let method = lab.send(Request::delete("/system").body(Body::empty()).unwrap()).await;
    assert_eq!(method.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.json()["Method"], "DELETE");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_users_come_in_and_no_foreign_page_writes() {
    let lab = Lab::with(|state| state.auth = Some(orthanc_user()));
    let refused = lab.get("/system").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.header(header::WWW_AUTHENTICATE).starts_with("Basic realm="));
    assert!(refused.bytes.is_empty());
    assert_eq!(lab.get("/health").await.ok().text(), "ok\n");
    assert_eq!(lab.get("/ui/app.js").await.status, StatusCode::UNAUTHORIZED);
    let login = "Basic b3J0aGFuYzpvcnRoYW5j";
    let request = Request::get("/system").header(header::AUTHORIZATION, login);
    let system = lab.send(request.body(Body::empty()).unwrap()).await.ok().json();
    assert_eq!(system["DicomAet"], "PACSLAB");
    let foreign = Request::post("/instances")
        .header(header::AUTHORIZATION, login)
        .header(header::HOST, "localhost:8042")
        .header(header::ORIGIN, "http://evil.example");
    let answer = lab.send(foreign.body(Body::from("x")).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
