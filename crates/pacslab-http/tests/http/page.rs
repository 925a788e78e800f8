//! The page, its parts and the events.

use axum::http::header;
use pacslab_model::{Emit, Event, Identifiers};

use crate::support::{Lab, NOW, ct};

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lists_worklist_and_studies() {
    let lab = Lab::new();
    let empty = lab.get("/").await.ok().text();
    assert!(empty.contains("No images yet") && empty.contains("<code>pacslab acquire"));
    lab.store(&ct("1.2", 1)).await;
    let page = lab.get("/").await.ok();
    assert!(page.header(header::CONTENT_SECURITY_POLICY).starts_with("default-src 'none'"));
    let text = page.text();
    assert!(!text.contains("{{"), "everything is filled in");
    for part in [
        "<title>PACS Lab</title>",
        "PACSLAB",
        "DICOM 4242",
        "ACC1001",
        "Dö, Jane",
        "data-study=\"1.2\"",
        "CT &lt;chest&gt;",
        "CT CHEST &lt;W&gt; CONTRAST",
        "Not a medical device; synthetic data only.",
    ] {
        assert!(text.contains(part), "{part} is missing");
    }
    // what the page asks for is there
    for part in text.split(['"']).filter(|part| part.starts_with("/ui/")) {
        lab.get(part).await.ok();
    }
    let study = lab.get("/ui/study/1.2").await.ok().text();
    assert!(study.contains("data-series=\"1.2.1\"") && study.contains("1980-01-01"), "{study}");
    let worklist = lab.get("/pacslab/worklist").await.ok().json();
    assert_eq!(worklist[0]["accession"], "ACC1001");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_lines() {
    let lab = Lab::new();
    for accession in ["A1", "A2"] {
        let ids = Identifiers { accession: accession.into(), ..Identifiers::default() };
        lab.events.emit(Event::new(NOW, "ris.order", "an order came").ids(ids).raw(*b"MSH|x"));
    }
    lab.events.flush();
    let text = lab.get("/pacslab/events").await.ok().text();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["ids"]["accession"], "A1", "the oldest first");
    let id = lines[1]["id"].as_u64().unwrap();
    let count = async |query: &str| {
        lab.get(&format!("/pacslab/events?{query}")).await.ok().text().lines().count()
    };
    assert_eq!(count("accession=A2").await, 1);
    assert_eq!(count("kind=archive.").await, 0);
    assert_eq!(count(&format!("after={id}")).await, 0);
    let raw = lab.get(&format!("/pacslab/events/{id}/raw")).await.ok();
    assert_eq!(&raw.bytes[..], b"MSH|x");
    assert_eq!(lab.get("/pacslab/events/999/raw").await.status.as_u16(), 404);
}
