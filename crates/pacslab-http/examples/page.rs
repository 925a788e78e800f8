//! Serves the page over an archive in memory, for looking at it:
//! `cargo run -p pacslab-http --example page -- 8042 FILES`, then http://localhost:8042.

use std::sync::Arc;

use pacslab_archive::{Archive, Caller, Origin, Parts};
use pacslab_http::{Auth, Limits, Listening, Site, State, WorklistView, app, serve};
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Clock, Emit, Event, Moment, Outcome};
use pacslab_ris::WorklistEntry;
use pacslab_store::{EventLog, LogLimits, MemoryBlobs, SqliteIndex};

struct Sample;

impl WorklistView for Sample {
    fn entries(&self) -> Vec<WorklistEntry> {
        let entry =
            |accession: &str, name: &str, time: &str, status: &str, what: &str| WorklistEntry {
                accession: accession.into(),
                patient_id: "P12345".into(),
                patient_name: name.into(),
                modality: "CT".into(),
                station: "PYMOD1".into(),
                start_date: "20260105".into(),
                start_time: time.into(),
                status: status.into(),
                description: what.into(),
                ..WorklistEntry::default()
            };
        vec![
            entry("ACC1001", "DOE^JANE", "0810", "SCHEDULED", "CT CHEST W CONTRAST"),
            entry("ACC1002", "Müller^Jörg", "0830", "STARTED", "CT ABDOMEN"),
        ]
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().unwrap_or_default().parse().unwrap_or(8042);
    let folder = tempfile::tempdir()?;
    let events = Arc::new(EventLog::memory(LogLimits::default())?);
    let now = Moment::new(1_767_600_000_000_000, 0);
    let clock: Arc<dyn Clock> = Arc::new(FixedClock(now));
    let archive = Archive::open(Parts {
        blobs: Arc::new(MemoryBlobs::default()),
        index: Arc::new(SqliteIndex::open(&folder.path().join("index.db"))?),
        clock: clock.clone(),
        emit: events.clone(),
    })?;
    for path in arguments {
        let stored = archive.ingest_file(&std::fs::read(&path)?, Origin::default()).await;
        let event = match stored {
            Ok(_) => Event::new(now, "archive.stored", format!("took in {path}")),
            Err(why) => Event::new(now, "archive.refused", format!("{path}: {why}"))
                .outcome(Outcome::Failed),
        };
        events.emit(event);
    }
    let aet = AeTitle::new("PACSLAB")?;
    let state = State {
        caller: Caller::titled(archive.clone(), aet.clone(), events.clone(), clock.clone()),
        peers: Arc::default(),
        archive,
        worklist: Arc::new(Sample),
        ris: None,
        events,
        clock,
        auth: Some(Auth::new([0; 32]).user("orthanc", "orthanc")),
        host: pacslab_http::Host::default(),
        site: Site {
            http_port: port,
            mllp_port: Some(2575),
            ..Site::new(aet, env!("CARGO_PKG_VERSION"))
        },
        limits: Limits::default(),
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    serve(listener, app(state), Listening::default(), std::future::pending()).await;
    Ok(())
}
