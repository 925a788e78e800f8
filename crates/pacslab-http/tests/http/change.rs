//! Deletion, labels, protection and metadata by Orthanc's routes.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use pacslab_model::{Vr, tags};
use serde_json::{Value, json};

use crate::support::{Answer, Lab, ct};

async fn ask(lab: &Lab, method: Method, uri: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(uri);
    lab.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn first(lab: &Lab, list: &str) -> String {
    lab.get(&format!("/{list}")).await.ok().json()[0].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_above_is_named() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    lab.store(&ct("1.2", 2)).await;
    let (instance, study) = (first(&lab, "instances").await, first(&lab, "studies").await);
    let gone = ask(&lab, Method::DELETE, &format!("/instances/{instance}"), "").await.ok().json();
    assert_eq!(gone["RemainingAncestor"]["Type"], "Series");
    let again = ask(&lab, Method::DELETE, &format!("/instances/{instance}"), "").await;
    assert_eq!((again.status, again.bytes.len()), (StatusCode::NOT_FOUND, 0));
    let gone = ask(&lab, Method::DELETE, &format!("/studies/{study}"), "").await.ok().json();
    assert_eq!(gone, json!({"RemainingAncestor": null}));
    assert_eq!(lab.get("/statistics").await.json()["CountPatients"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_are_deleted_at_once_and_what_is_not_there_does_no_harm() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    lab.store(&ct("1.3", 1)).await;
    let (study, series) = (first(&lab, "studies").await, lab.get("/series").await.json());
    let body = json!({"Resources": [study, "nonsense", series[1], study]}).to_string();
    let answer = lab.post("/tools/bulk-delete", body).await.ok();
    assert!(answer.bytes.is_empty());
    assert_eq!(lab.get("/statistics").await.json()["CountInstances"], 0);
    let list = lab.post("/tools/bulk-delete", "[]").await;
    assert_eq!(list.status, StatusCode::BAD_REQUEST);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_put_found_and_taken_off() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    lab.store(&ct("1.3", 1)).await;
    let study = first(&lab, "studies").await;
    let at = |label: &str| format!("/studies/{study}/labels/{label}");
    for label in ["teaching", "b"] {
        assert!(ask(&lab, Method::PUT, &at(label), "").await.ok().bytes.is_empty());
    }
    assert_eq!(lab.get(&at("b")).await.ok().text(), "");
    assert_eq!(lab.get(&at("c")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(&lab, Method::PUT, &at("no%20label"), "").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.get("/tools/labels").await.ok().json(), json!(["b", "teaching"]));
    let shown = lab.get(&format!("/studies/{study}")).await.json();
    assert_eq!(shown["Labels"], json!(["b", "teaching"]));
    let found = async |labels: Value, constraint: &str| {
        let body = json!({"Level": "Study", "Query": {}, "Labels": labels,
                          "LabelsConstraint": constraint});
        lab.post("/tools/find", body.to_string()).await.ok().json().as_array().unwrap().len()
    };
    assert_eq!(found(json!(["b", "teaching"]), "All").await, 1);
    assert_eq!(found(json!(["b", "c"]), "All").await, 0);
    assert_eq!(found(json!(["b", "c"]), "Any").await, 1);
    assert_eq!(found(json!(["b"]), "None").await, 1);
    assert_eq!(found(json!([]), "None").await, 2);
    ask(&lab, Method::DELETE, &at("b"), "").await.ok();
    assert_eq!(lab.get(&format!("/studies/{study}/labels")).await.json(), json!(["teaching"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_protected() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    let at = format!("/patients/{}/protected", first(&lab, "patients").await);
    assert_eq!(lab.get(&at).await.ok().text(), "0");
    ask(&lab, Method::PUT, &at, "1").await.ok();
    assert_eq!(lab.get(&at).await.ok().text(), "1");
    assert_eq!(ask(&lab, Method::PUT, &at, "x").await.json()["OrthancStatus"], 15);
    ask(&lab, Method::PUT, &at, "0").await.ok();
    assert_eq!(lab.get(&at).await.ok().text(), "0");
}

/// Identifiers are made of patient IDs: those of a study that moved are others.
#[tokio::test(flavor = "multi_thread")]
async fn a_study_that_moved_has_another_identifier() {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    let before = first(&lab, "studies").await;
    lab.get(&format!("/studies/{before}")).await.ok();
    let change = pacslab_archive::Change::Relabel {
        study: "1.2".into(),
        values: vec![(tags::PATIENT_ID, "Q7".to_owned())],
    };
    lab.archive.change(change, Default::default()).await.unwrap();
    let after = first(&lab, "studies").await;
    assert_ne!(after, before);
    lab.get(&format!("/studies/{after}")).await.ok();
    assert_eq!(lab.get(&format!("/studies/{before}")).await.status, StatusCode::NOT_FOUND);
    // what comes later is filed under the patient that the study has now
    let mut second = ct("1.2", 2);
    second.put_str(tags::PATIENT_ID, Vr::LO, "P12345");
    lab.store(&second).await;
    let instances = lab.get(&format!("/studies/{after}/instances?expand=false")).await.ok().json();
    for id in instances.as_array().unwrap() {
        lab.get(&format!("/instances/{}/file", id.as_str().unwrap())).await.ok();
    }
    assert_eq!(instances.as_array().unwrap().len(), 2);
}
