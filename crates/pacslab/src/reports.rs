//! The report creator: a signed report becomes a Basic Text SR in the study that was read, its PDF
//! an Encapsulated PDF, sent by C-STORE like anybody's. IHE RAD TF-2 4.24 (RAD-24); PS3.4 B.
//!
//! The RIS leaves on its desk what is to be sent. What the PACS knows of the study (its date, the
//! images that were there to be looked at) is asked with C-FIND; then the object is made, kept, and
//! sent until it is taken. After a crash it is the same object that is sent again, which a PACS
//! recognises by its UID.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::{Peers, Retries};
use pacslab_dicom::{Dataset, file};
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{
    Association, Error as Dimse, Proposal, Remote, Requestor, SecureConnector, Status,
};
use pacslab_modality::pdf;
use pacslab_modality::sr::{self, Reading};
use pacslab_model::order::Order;
use pacslab_model::{Clock, Direction, Emit, Event, Identifiers, Level, Outcome, Tag, Uid, Vr};
use pacslab_model::{tags, uids};
use pacslab_ris::reports::{Parcel, ParcelKind};
use pacslab_ris::{Ris, events};
use pacslab_store::StoreError;
use tokio::time::sleep;

use crate::client::reachable;
use crate::config::Config;
use crate::tls::{Caller, Files};

/// How long to wait when the desk cannot be read.
const DESK: Duration = Duration::from_secs(1);

/// Sends what is to be sent.
pub(crate) struct Creator {
    ris: Arc<Ris>,
    to: To,
    /// Who it is that calls.
    us: Requestor,
    retries: Retries,
    clock: Arc<dyn Clock>,
    emit: Arc<dyn Emit>,
}

/// The PACS that gets the objects.
pub(crate) enum To {
    /// The embedded one, at its own door.
    Own(Remote),
    At(Remote),
    /// A name of `[peers]`, which may change while the department runs.
    Peer(String, Arc<Peers>),
}

impl To {
    /// As configured: a peer, or the embedded PACS at its own door.
    pub(crate) fn told(config: &Config, own: SocketAddr, peers: &Arc<Peers>) -> Self {
        let name = config.reports.send_to.trim();
        if !name.is_empty() {
            return Self::Peer(name.to_owned(), peers.clone());
        }
        let dicom = &config.dicom;
        let (aet, host) = (dicom.aet.clone(), reachable(own.ip()));
        Self::Own(Remote { aet, host, port: own.port(), tls: dicom.tls })
    }

    fn name(&self) -> String {
        match self {
            Self::Own(remote) | Self::At(remote) => remote.aet.to_string(),
            Self::Peer(name, _) => name.clone(),
        }
    }

    fn remote(&self) -> Result<Remote, Failed> {
        match self {
            Self::Own(remote) | Self::At(remote) => Ok(remote.clone()),
            Self::Peer(name, peers) => match peers.get(name) {
                Some(peer) if peer.is_reachable() => Ok(peer.remote()),
                _ => Err(Failed::Later(format!(
                    "{name} is not in [peers] with an address; register it, or change \
                     reports.send_to: `pacslab modality register {name}@HOST:PORT`"
                ))),
            },
        }
    }
}

/// Why an object did not arrive.
enum Failed {
    /// Another time it may.
    Later(String),
    /// The PACS does not want it.
    Refused(String),
}

impl From<Dimse> for Failed {
    fn from(error: Dimse) -> Self {
        match error {
            Dimse::ContextRefused { .. } => Self::Refused(error.to_string()),
            error => Self::Later(error.to_string()),
        }
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Later(error.to_string())
    }
}

impl Creator {
    /// `us` is who else of the department calls: events, clock and TLS are the same.
    pub(crate) fn new(config: &Config, ris: Arc<Ris>, to: To, us: Requestor) -> Self {
        let of = &config.reports;
        let files = Files::of(&config.tls);
        let secure: Option<Arc<dyn SecureConnector>> = match &to {
            // our own certificate may be for a name by which nobody calls from here
            To::Own(_) => Some(Arc::new(Caller::new(Files { ca: files.cert.clone(), ..files }))),
            To::At(_) | To::Peer(..) => us.secure,
        };
        Self {
            ris,
            to,
            retries: Retries { attempts: of.attempts, first: of.retry_after },
            clock: us.clock.clone(),
            emit: us.events.clone(),
            us: Requestor { aet: of.aet.clone(), secure, ..us },
        }
    }

    /// Sends as it comes, without end.
    pub(crate) async fn follow(self) {
        loop {
            let ris = self.ris.clone();
            let (mut parcel, order) = match blocking(move || ris.next_parcel()).await {
                Ok(Some(next)) => next,
                Ok(None) => {
                    self.ris.to_send_parcels().await;
                    continue;
                }
                Err(error) => {
                    tracing::error!("the reports to be sent cannot be read: {error}");
                    sleep(DESK).await;
                    continue;
                }
            };
            let sent = self.send(&mut parcel, &order).await;
            match self.settle(parcel, sent).await {
                Ok(pause) if pause.is_zero() => {}
                Ok(pause) => {
                    tokio::select! {
                        () = sleep(pause) => {}
                        // another report, or somebody who cannot wait
                        () = self.ris.to_send_parcels() => {}
                    }
                }
                Err(error) => {
                    tracing::error!("what came of a report cannot be kept: {error}");
                    sleep(DESK).await;
                }
            }
        }
    }

    /// One try.
    async fn send(&self, parcel: &mut Parcel, order: &Order) -> Result<(), Failed> {
        let remote = self.to.remote()?;
        if parcel.object().is_none() {
            let known = self.study(&remote, &order.procedure.study_uid).await?;
            let (reading, now) = (reading(parcel, known), self.clock.now());
            let object = match parcel.what {
                ParcelKind::Text => sr::basic_text(order, &reading, now),
                ParcelKind::Document => {
                    pdf::encapsulated(order, &reading, parcel.document, &parcel.content(), now)
                }
            };
            let (uid, bytes) = (object.meta.sop_instance.clone(), object.bytes());
            let (ris, mut made) = (self.ris.clone(), parcel.clone());
            *parcel =
                blocking(move || ris.parcel_made(&mut made, &uid, &bytes).map(|()| made)).await?;
        }
        let unreadable = || Failed::Refused("the object on the desk is damaged".to_owned());
        let bytes = parcel.object().ok_or_else(unreadable)?;
        let (meta, start) = file::read_meta(&bytes).map_err(|_| unreadable())?;
        let syntax = Uid::new(meta.transfer_syntax.uid());
        let proposal = proposing(&meta.sop_class, vec![syntax.clone()]);
        let mut association = Association::connect(&self.us, &remote, proposal).await?;
        let request =
            StoreRequest::new(&meta.sop_class, &meta.sop_instance, &syntax, &bytes[start..]);
        let reply = association.store(request).await?;
        // the answer is there; how the peer says goodbye changes nothing
        let _ = association.release().await;
        match reply.status {
            status if status.is_done() => Ok(()),
            Status::OUT_OF_RESOURCES => Err(Failed::Later(format!("{remote} answered {reply}"))),
            _ => Err(Failed::Refused(format!("{remote} answered {reply}"))),
        }
    }

    /// What the PACS tells of a study; nothing where it answers no queries.
    async fn study(&self, remote: &Remote, study: &Uid) -> Result<Known, Failed> {
        let mut known = Known::default();
        let plain = [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE].map(Uid::from);
        let proposal = proposing(&Uid::new(uids::STUDY_ROOT_FIND), plain.to_vec());
        let mut association = Association::connect(&self.us, remote, proposal).await?;
        let of = [(tags::STUDY_INSTANCE_UID, study.as_str())];
        match find(&mut association, Level::Study, &of, OF_STUDY).await {
            Ok(found) => known.study = found.into_iter().next().unwrap_or_default(),
            // some abort the queries of strangers, whom they let store
            Err(_) => return Ok(known),
        }
        let series =
            find(&mut association, Level::Series, &of, &[tags::SERIES_INSTANCE_UID]).await?;
        for one in series {
            let series = one.str(tags::SERIES_INSTANCE_UID);
            let of = [of[0], (tags::SERIES_INSTANCE_UID, series)];
            let asked = [tags::SOP_CLASS_UID, tags::SOP_INSTANCE_UID];
            let uid = |of: &Dataset, tag| Uid::new(of.str(tag));
            known.seen.extend(
                find(&mut association, Level::Instance, &of, &asked).await?.iter().map(|object| {
                    let class = uid(object, tags::SOP_CLASS_UID);
                    (
                        uid(&one, tags::SERIES_INSTANCE_UID),
                        class,
                        uid(object, tags::SOP_INSTANCE_UID),
                    )
                }),
            );
        }
        let _ = association.release().await;
        known.seen.retain(|(_, class, object)| !class.is_empty() && !object.is_empty());
        Ok(known)
    }

    /// Does what follows from a try, and tells it; how long to wait before the next one.
    async fn settle(
        &self,
        parcel: Parcel,
        sent: Result<(), Failed>,
    ) -> Result<Duration, StoreError> {
        let peer = self.to.name();
        let accession = parcel.report.accession.clone();
        let what = match parcel.what {
            ParcelKind::Text => format!("the structured report of order {accession}"),
            ParcelKind::Document => format!("the PDF of the report of order {accession}"),
        };
        let again = format!("`pacslab report send {accession}` tries it again");
        let ids = Identifiers {
            accession,
            patient_id: parcel.report.patient_id.clone(),
            study_uid: parcel.report.study_uid.to_string(),
            ..Identifiers::default()
        };
        let (ris, to) = (self.ris.clone(), peer.clone());
        let wait = self.retries.after(parcel.tries.saturating_add(1));
        let (text, outcome, pause) = match (sent, wait) {
            (Ok(()), _) => {
                blocking(move || ris.parcel_sent(&parcel, &to)).await?;
                (format!("{what} was stored at {peer}"), Outcome::Ok, Duration::ZERO)
            }
            (Err(Failed::Later(why)), Some(pause)) => {
                let text = format!("{what} was not sent to {peer}: {why}; again in {pause:.1?}");
                blocking(move || ris.parcel_put_off(&parcel, &to, &why)).await?;
                (text, Outcome::Warning, pause)
            }
            (Err(Failed::Later(why)), None) => {
                let tries = self.retries.attempts;
                let text =
                    format!("{what} was not sent to {peer} in {tries} tries: {why}; {again}");
                blocking(move || ris.parcel_refused(&parcel, &to, &why)).await?;
                (text, Outcome::Failed, Duration::ZERO)
            }
            (Err(Failed::Refused(why)), _) => {
                let text = format!("{peer} does not take {what}: {why}; {again}");
                blocking(move || ris.parcel_refused(&parcel, &to, &why)).await?;
                (text, Outcome::Failed, Duration::ZERO)
            }
        };
        let event = Event::new(self.clock.now(), events::REPORT_SENT, text).outcome(outcome);
        self.emit.emit(event.ids(ids).peer(peer, Direction::Out));
        Ok(pause)
    }
}

/// With verification beside it, which everybody takes: some reject associations of which they take
/// nothing, and then it is not told what they do not take.
fn proposing(class: &Uid, transfer_syntaxes: Vec<Uid>) -> Proposal {
    let context = |id, class: &Uid, transfer_syntaxes| ProposedContext {
        id,
        abstract_syntax: class.clone(),
        transfer_syntaxes,
    };
    let echo = context(3, &Uid::new(uids::VERIFICATION), vec![Uid::new(uids::IMPLICIT_VR_LE)]);
    Proposal::from(vec![context(1, class, transfer_syntaxes), echo])
}

/// A study as the PACS has it.
#[derive(Default)]
struct Known {
    study: Dataset,
    /// Series, SOP class, object.
    seen: Vec<(Uid, Uid, Uid)>,
}

const OF_STUDY: &[Tag] =
    &[tags::STUDY_DATE, tags::STUDY_TIME, tags::STUDY_ID, tags::STUDY_DESCRIPTION];

/// What the object says, beside what the order tells.
fn reading(parcel: &Parcel, known: Known) -> Reading {
    let record = &parcel.report;
    let own = |class: &Uid| crate::export::DOCUMENTS.contains(&class.as_str());
    let text = |tag| known.study.str(tag).to_owned();
    Reading {
        sections: record.sections.iter().map(|one| (one.code.clone(), one.text.clone())).collect(),
        reader: record.interpreter.clone(),
        reader_id: record.interpreter_id.clone(),
        version: record.version,
        corrects: record.corrects,
        complete: record.state.is_signed(),
        verified: record.state.is_signed(),
        date: record.date.clone(),
        time: record.time.clone(),
        study_date: text(tags::STUDY_DATE),
        study_time: text(tags::STUDY_TIME),
        study_id: text(tags::STUDY_ID),
        study_description: text(tags::STUDY_DESCRIPTION),
        evidence: known.seen.into_iter().filter(|(_, class, _)| !own(class)).collect(),
    }
}

/// What a PACS answers; a query that it refuses finds nothing.
async fn find(
    association: &mut Association,
    level: Level,
    keys: &[(Tag, &str)],
    returned: &[Tag],
) -> Result<Vec<Dataset>, Dimse> {
    let vr = |tag| pacslab_dicom::dict::vr(tag).unwrap_or(Vr::LO);
    let asked = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str());
    let asked = returned.iter().fold(asked, |set, tag| set.with_str(*tag, vr(*tag), ""));
    let asked = keys.iter().fold(asked, |set, (tag, value)| set.with_str(*tag, Vr::UI, *value));
    let (found, _) = association.find_all(uids::STUDY_ROOT_FIND, &asked, usize::MAX).await?;
    Ok(found)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let stopped = |_| Err(StoreError::Other("stopped".to_owned()));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(stopped)
}
