//! The system that placed the order, as far as the demonstration needs one: it takes what the RIS
//! sends it over MLLP, and remembers the reports among it. HL7 v2.5.1 2.9, 7.3.1.

use std::time::Duration;

use pacslab_hl7::mllp::{Decoder, encode};
use pacslab_hl7::{Message, ack};
use pacslab_model::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::clock::SystemClock;
use crate::exit::{Failure, Result};

/// Ends when it is dropped.
pub(crate) struct OrderEntry {
    pub(crate) port: u16,
    pub(crate) reports: Reports,
    serving: tokio::task::JoinHandle<()>,
}

/// The reports that have come so far.
#[derive(Debug, Clone)]
pub(crate) struct Reports(watch::Receiver<Vec<Received>>);

/// A report, as its message tells it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    accession: String,
    /// OBR-25
    status: String,
    /// How many OBX.
    pub(crate) observations: usize,
    /// MSH-10
    pub(crate) control_id: String,
}

impl OrderEntry {
    /// # Errors
    /// There is no free port on this computer.
    pub(crate) async fn start() -> Result<Self> {
        let failed = |error| Failure::network(format!("the order entry cannot listen: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let (told, reports) = watch::channel(Vec::new());
        let serving = tokio::spawn(async move {
            let told = std::sync::Arc::new(told);
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(talk(stream, told.clone()))),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { port, reports: Reports(reports), serving })
    }
}

impl Drop for OrderEntry {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Reports {
    /// The final report of an order, when it has come; `None`: not in time.
    pub(crate) async fn of(&self, accession: &str, within: Duration) -> Option<Received> {
        let wanted = |one: &&Received| one.accession == accession && one.status == "F";
        let mut reports = self.0.clone();
        let coming = reports.wait_for(|all| all.iter().any(|one| wanted(&one)));
        let all = tokio::time::timeout(within, coming).await.ok()?.ok()?;
        all.iter().find(wanted).cloned()
    }
}

async fn talk(mut stream: TcpStream, told: std::sync::Arc<watch::Sender<Vec<Received>>>) {
    let _ = stream.set_nodelay(true);
    let (mut decoder, mut buffer) = (Decoder::default(), vec![0; 16 * 1024]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        decoder.push(&buffer[..read]);
        for frame in decoder.by_ref() {
            let Ok(frame) = frame else { return };
            let Ok(message) = Message::parse(&frame.bytes) else { return };
            let at = SystemClock.now();
            let control_id = format!("E{}", at.micros);
            let answer = ack::accept(&message, &ack::Reply::plain(&control_id, at));
            if stream.write_all(&encode(&answer.to_bytes())).await.is_err() {
                return;
            }
            told.send_modify(|all| all.push(received(&message)));
        }
    }
}

fn received(message: &Message) -> Received {
    Received {
        accession: message.text("OBR-18.1"),
        status: message.text("OBR-25.1"),
        observations: message.segments().filter(|segment| segment.name() == "OBX").count(),
        control_id: message.control_id(),
    }
}
