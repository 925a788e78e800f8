//! The RIS and its HL7 door alone: orders come in, worklist files go to a folder that another
//! PACS serves. What is left of the department when the PACS is somebody else's.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pacslab_dimse::{Remote, Requestor};
use pacslab_model::{Clock, Emit, Uid};
use pacslab_ris::mllp::{self, MllpSettings};
use pacslab_ris::{Hl7Inbox, Images, Ris, RisSettings, Worklist, WorklistSettings};
use pacslab_store::{Arrival, DataDir, SqliteDesk, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::SystemClock;
use crate::config::{Config, Destination};
use crate::department::hl7_options;
use crate::exit::{Failure, Result};
use crate::hl7_out::Sender;
use crate::listen::Door;
use crate::logging::Logged;
use crate::reports::{Creator, To};
use crate::tls::{Caller, Files};

pub(crate) struct Reception {
    pub(crate) mllp: SocketAddr,
    pub(crate) ris: Arc<Ris>,
    closing: watch::Sender<bool>,
    serving: JoinSet<()>,
    /// Holds the lock of the data folder.
    _folder: DataDir,
}

/// A study that a PACS has taken in, of an order.
#[derive(Debug, Clone)]
pub(crate) struct TakenIn {
    pub(crate) accession: String,
    pub(crate) patient_id: String,
    pub(crate) study_uid: Uid,
    pub(crate) sop_class: Uid,
    pub(crate) scanner: String,
}

impl Reception {
    /// # Errors
    /// A busy port, a data folder in use, a worklist folder that cannot be written.
    pub(crate) async fn start(
        config: &Config,
        data: &Path,
        worklists: &Path,
        pacs: Remote,
        telling: Vec<Destination>,
    ) -> Result<Self> {
        let (bind, port) = (config.mllp.bind, config.mllp.port);
        let door = Door { name: "HL7", bind, port, flag: "--mllp-port", key: "mllp.port" };
        let listener = door.open().await?;
        let at = listener
            .local_addr()
            .map_err(|error| Failure::network(format!("no address: {error}")))?;
        let (data, worklists, poll) = (data.to_owned(), worklists.to_owned(), config.worklist.poll);
        let site = config.dicom.aet.to_string();
        let told = telling.iter().map(Destination::told).collect();
        let (folder, ris) =
            tokio::task::spawn_blocking(move || open(&data, &worklists, poll, site, told))
                .await
                .map_err(|_| Failure::failed("the RIS could not be opened"))??;
        let inbox = Arc::new(Hl7Inbox::new(ris.clone(), hl7_options(config)));
        let (closing, closed) = watch::channel(false);
        let until_closed = || {
            let mut closed = closed.clone();
            async move {
                // the sender outlives the doors
                let _ = closed.wait_for(|closed| *closed).await;
            }
        };
        let (clock, emit): (Arc<dyn Clock>, Arc<dyn Emit>) =
            (Arc::new(SystemClock), Arc::new(Logged));
        let files = Files::of(&config.tls);
        let us = Requestor::new(config.reports.aet.clone(), emit.clone(), clock.clone());
        let us = Requestor { secure: Some(Arc::new(Caller::new(files.clone()))), ..us };
        let creator = Creator::new(config, ris.clone(), To::At(pacs), us);
        let mut serving = JoinSet::new();
        let stop = until_closed();
        serving.spawn(async move {
            tokio::select! {
                () = creator.follow() => {}
                () = stop => {}
            }
        });
        for to in telling {
            let (ris, clock, emit) = (ris.clone(), clock.clone(), emit.clone());
            let sender = Sender { ris, to, files: files.clone(), clock, emit };
            serving.spawn(sender.follow(until_closed()));
        }
        serving.spawn(mllp::serve(listener, inbox, MllpSettings::default(), until_closed()));
        Ok(Self { mllp: at, ris, closing, serving, _folder: folder })
    }

    /// Tells the RIS that images of these orders have been made: nobody else does, because they
    /// arrive at a PACS that does not know it.
    pub(crate) async fn images(&self, taken_in: Vec<TakenIn>) -> Result<()> {
        let ris = self.ris.clone();
        let told = tokio::task::spawn_blocking(move || ris.arrivals(&Elsewhere(taken_in)));
        let told = told.await.map_err(|_| Failure::failed("stopped"))?;
        told.map(drop).map_err(|error| Failure::failed(error.to_string()))
    }

    /// Lets what is in flight end, then closes.
    pub(crate) async fn stop(mut self) {
        let _ = self.closing.send(true);
        while self.serving.join_next().await.is_some() {}
    }
}

fn open(
    data: &Path,
    worklists: &Path,
    poll: pacslab_ris::worklist::Poll,
    site: String,
    told: Vec<pacslab_ris::Destination>,
) -> Result<(DataDir, Arc<Ris>)> {
    let failed = |error: StoreError| Failure::failed(error.to_string());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sink: Arc<dyn Emit> = Arc::new(Logged);
    let folder = DataDir::open(data).map_err(failed)?;
    let desk = Arc::new(SqliteDesk::open(&folder.lab_db()).map_err(failed)?);
    let settings = WorklistSettings { poll, ..WorklistSettings::default() };
    let worklist = Worklist::open(worklists, settings, clock.clone(), sink.clone())
        .map_err(|error| Failure::failed(error.to_string()))?;
    let settings = RisSettings { site, ..RisSettings::default() };
    let ris = Ris::open(desk, Arc::new(worklist), settings, clock, sink)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let ris = ris.telling(told).map_err(failed)?;
    Ok((folder, Arc::new(ris)))
}

/// Studies that arrived where the RIS has no eyes.
struct Elsewhere(Vec<TakenIn>);

impl Images for Elsewhere {
    fn arrivals_after(
        &self,
        cursor: u64,
        limit: usize,
    ) -> std::result::Result<Vec<Arrival>, StoreError> {
        let at = SystemClock.now();
        let arrival = |(number, one): (u64, &TakenIn)| Arrival {
            number,
            at,
            accession: one.accession.clone(),
            patient_id: one.patient_id.clone(),
            study_uid: one.study_uid.clone(),
            series_uid: Uid::default(),
            sop_instance: Uid::default(),
            sop_class: one.sop_class.clone(),
            calling_ae: one.scanner.clone(),
        };
        Ok((cursor + 1..).zip(&self.0).take(limit).map(arrival).collect())
    }

    /// Nobody looks here for what a step lists: reports come to the PACS.
    fn missing(&self, _: &[Uid]) -> std::result::Result<Vec<Uid>, StoreError> {
        Ok(Vec::new())
    }
}
