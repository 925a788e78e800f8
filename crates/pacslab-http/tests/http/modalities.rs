//! Peers over HTTP, without a network.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;

use crate::support::{Answer, Lab, ct};

async fn put(lab: &Lab, name: &str, body: &str) -> Answer {
    let request = Request::put(format!("/modalities/{name}"));
    lab.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_come_and_go_and_are_told_of() {
    let lab = Lab::new();
    assert_eq!(lab.get("/modalities").await.ok().json(), json!([]));
    put(&lab, "inbox", r#"["PYNETSCP", "127.0.0.1", 11112]"#).await.ok();
    put(&lab, "inbox", r#"["PYNETSCP", "127.0.0.1", 11112]"#).await.ok();
    put(&lab, "inbox", r#"["PYNETSCP", "127.0.0.1", "104"]"#).await.ok();
    assert_eq!(lab.get("/modalities").await.json(), json!(["inbox"]));
    let all = lab.get("/modalities?expand").await.ok().json();
    assert_eq!((&all["inbox"]["AET"], &all["inbox"]["Port"]), (&json!("PYNETSCP"), &json!(104)));
    assert!(lab.get("/modalities/inbox").await.text().contains("store"));

    let zero = put(&lab, "inbox", r#"["PYNETSCP", "127.0.0.1", 0]"#).await;
    assert_eq!((zero.status, &zero.json()["OrthancStatus"]), (StatusCode::BAD_REQUEST, &json!(3)));
    let delete = || Request::delete("/modalities/inbox").body(Body::empty()).unwrap();
    lab.send(delete()).await.ok();
    let gone = lab.send(delete()).await;
    assert_eq!((gone.status, &gone.json()["OrthancStatus"]), (StatusCode::NOT_FOUND, &json!(7)));

    lab.events.flush();
    let told = lab.get("/pacslab/events?kind=peer.").await.ok().text();
    let kinds: Vec<&str> = told
        .lines()
        .map(|line| if line.contains("peer.registered") { "registered" } else { "forgotten" })
        .collect();
    assert_eq!(kinds, ["registered", "registered", "forgotten"], "{told}");
    assert!(told.contains("before as inbox (PYNETSCP@127.0.0.1:11112)"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_that_listen_nowhere_are_not_called() {
    let lab = Lab::new();
    put(&lab, "scanner", r#"["PYMOD1", "*", 11112]"#).await.ok();
    lab.store(&ct("1.2", 1)).await;
    let study = lab.get("/studies").await.json()[0].as_str().unwrap().to_owned();
    for (path, body) in [
        ("echo", String::new()),
        ("store", study.clone()),
        ("query", json!({"Level": "Study"}).to_string()),
        ("find-worklist", "{}".to_owned()),
    ] {
        let refused = lab.post(&format!("/modalities/scanner/{path}"), body).await;
        assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        let said = refused.json();
        assert_eq!(said["OrthancStatus"], 9, "{said}");
        assert!(said["Details"].as_str().unwrap().contains("modality register"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_fail_are_told_of() {
    let lab = Lab::new();
    // port 9 (discard) has nobody on a loopback interface
    put(&lab, "dead", r#"["DEAD", "127.0.0.1", 9]"#).await.ok();
    lab.store(&ct("1.2", 1)).await;
    let study = lab.get("/studies").await.json()[0].as_str().unwrap().to_owned();
    lab.post("/modalities/dead/store", study.clone()).await;
    let jobs = lab.get("/jobs?expand").await.ok().json();
    let job = &jobs[0];
    assert_eq!((&job["State"], &job["ErrorCode"]), (&json!("Failure"), &json!(9)), "{job}");
    assert_eq!(job["CreationTime"], "20260105T080000.000000", "{job}");
    let id = job["ID"].as_str().unwrap();
    assert_eq!(lab.get(&format!("/jobs/{id}")).await.ok().json()["ID"], id);
    assert_eq!(lab.get("/jobs/nope").await.status, StatusCode::NOT_FOUND);
    let commitment = json!({"Resources": [study], "StorageCommitment": true}).to_string();
    let refused = lab.post("/modalities/dead/store", commitment).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.get("/jobs").await.json().as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_is_counted() {
    let lab = Lab::new();
    for number in 1..=3 {
        lab.store(&ct("1.2", number)).await;
    }
    let study = lab.get("/studies").await.json()[0].as_str().unwrap().to_owned();
    let counted = lab.get(&format!("/studies/{study}/statistics")).await.ok().json();
    assert_eq!((&counted["CountSeries"], &counted["CountInstances"]), (&json!(1), &json!(3)));
    assert!(counted["DiskSize"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert!(counted.get("CountStudies").is_none());
}
