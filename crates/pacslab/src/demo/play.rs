//! One order through the department, step by step.

mod reading;
mod report;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Proposal, Remote, Requestor, Timeouts};
use pacslab_hl7::Charset;
use pacslab_hl7::order::{Sending, build_orm};
use pacslab_modality::{Acquisition, Commitment, Scanner, Sent, WorklistItem, WorklistKeys};
use pacslab_model::order::{Order, OrderControl};
use pacslab_model::{AeTitle, Clock, Seed, Uid, Vr, tags, uids};
use pacslab_ris::mllp::MllpClient;
use serde::Serialize;

use self::report::Begun;
use super::Profile;
use crate::config::Peer;
use crate::exit::{Failure, Result};
use crate::export::export;
use crate::logging::Logged;
use crate::reception::TakenIn;

/// A step that has been played.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Told {
    pub(crate) step: u8,
    pub(crate) accession: String,
    /// `HL7 ORM^O01`
    pub(crate) protocol: &'static str,
    /// `PYMOD1 -> PACSLAB@127.0.0.1:4242`
    pub(crate) peer: String,
    /// The same by its names alone: `PYMOD1 -> PACSLAB`.
    #[serde(skip)]
    pub(crate) names: String,
    /// What happened.
    pub(crate) text: String,
    /// The file or folder to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<PathBuf>,
    pub(crate) ms: f64,
}

/// How many accession numbers are tried when the first was played before.
const ATTEMPTS: usize = 1_000;

/// How often, and how far apart, the worklist is asked for a new item: a folder that is shared
/// with a container or over a network shows its files a moment later.
const FILE_SHOWS: (u32, Duration) = (10, Duration::from_millis(200));

/// Plays one order; answers what the PACS has taken in.
///
/// # Errors
/// The step that failed, who refused it, and what to do.
pub(crate) async fn play(
    profile: &Profile,
    order: Order,
    clock: Arc<dyn Clock>,
    tell: &(dyn Fn(Told) + Sync),
) -> Result<TakenIn> {
    let scanner = order.steps.first().map(|step| step.station.clone()).ok_or_else(|| {
        Failure::usage(format!("order {} has no scheduled procedure step", order.accession))
    })?;
    let mut play = Play { profile, order, scanner, clock, tell, step: 0, begun: Instant::now() };
    play.order().await?;
    play.worklist_file().await?;
    let item = play.worklist().await?;
    let begun = play.begin_step(item).await?;
    let acquisition = play.acquire(&begun).await?;
    let sent = play.store(&begun, &acquisition).await?;
    play.end_step(&begun, &acquisition, &sent).await?;
    play.commit(&acquisition).await?;
    play.query(&acquisition).await?;
    play.retrieve(&acquisition).await?;
    play.report(&acquisition.study_uid).await?;
    let read = play.structured(&acquisition.study_uid).await?;
    play.reported().await?;
    play.export(&acquisition, read).await?;
    let sop_class = acquisition.instances().next().map(|one| one.meta.sop_class.clone());
    Ok(TakenIn {
        accession: play.order.accession,
        patient_id: play.order.patient.id.id,
        sop_class: sop_class.unwrap_or_default(),
        study_uid: acquisition.study_uid,
        scanner: play.scanner.to_string(),
    })
}

struct Play<'a> {
    profile: &'a Profile,
    order: Order,
    scanner: AeTitle,
    clock: Arc<dyn Clock>,
    tell: &'a (dyn Fn(Told) + Sync),
    step: u8,
    begun: Instant,
}

impl Play<'_> {
    /// The order goes to the RIS.
    async fn order(&mut self) -> Result<()> {
        self.begin();
        let (host, port) = &self.profile.hl7;
        let mut ris = MllpClient::connect(&format!("{host}:{port}"), self.profile.timeout)
            .await
            .map_err(|error| self.failed(Failure::network(error.to_string())))?;
        for _ in 0..ATTEMPTS {
            let answer = ris
                .send(&self.message())
                .await
                .map_err(|error| self.failed(Failure::network(error.to_string())))?;
            let ack = &answer.ack;
            if ack.code.is_accepted() {
                let patient = &self.order.patient;
                let text = format!(
                    "order {} for {} {}: ACK {}",
                    self.order.accession,
                    patient.id.id,
                    patient.name,
                    ack.code.as_str()
                );
                let between = Between {
                    peer: format!("order entry -> RIS {host}:{port}"),
                    names: "order entry -> RIS".into(),
                };
                self.done("HL7 ORM^O01", between, text, None);
                return Ok(());
            }
            if !ack.errors.iter().any(|error| error.code == DUPLICATE_KEY) {
                let why: Vec<String> = ack
                    .errors
                    .iter()
                    .map(|error| format!("{} {}", error.place, error.text))
                    .collect();
                return Err(self.failed(Failure::failed(format!(
                    "the RIS answered {} {}",
                    ack.code.as_str(),
                    if why.is_empty() { ack.text.clone() } else { why.join("; ") }
                ))));
            }
            // played before in this data folder: the next number is another order
            renumber(&mut self.order);
        }
        Err(self.failed(
            Failure::failed(format!("{ATTEMPTS} accession numbers are taken already"))
                .hint("use --ephemeral, or another data folder with --data"),
        ))
    }

    fn message(&self) -> Vec<u8> {
        build_orm(&self.order, OrderControl::New, &self.sending("")).to_bytes()
    }

    fn sending(&self, which: &str) -> Sending {
        let now = self.clock.now();
        let number = now.micros.rem_euclid(1_000_000);
        Sending {
            app: "PACSLAB-DEMO".into(),
            facility: "PACSLAB".into(),
            receiving_app: "RIS".into(),
            receiving_facility: "PACSLAB".into(),
            control_id: format!("{}-{number}{which}", self.order.accession),
            at: now,
            version: "2.5".into(),
            charset: Charset::UTF_8,
        }
    }

    /// The RIS has written the worklist file before it acknowledged.
    async fn worklist_file(&mut self) -> Result<()> {
        self.begin();
        let folder = self.profile.worklists.clone();
        let accession = self.order.accession.clone();
        let found = tokio::task::spawn_blocking(move || file_of(&folder, &accession))
            .await
            .map_err(|_| Failure::failed("stopped"))?;
        let Some((path, item)) = found else {
            let folder = self.profile.worklists.display();
            return Err(self.failed(Failure::failed(format!(
                "there is no worklist file for {} in {folder}",
                self.order.accession
            ))));
        };
        let study = item.str(tags::STUDY_INSTANCE_UID);
        let text = format!("written, study {}", short(study));
        self.done("worklist item", Between::one("RIS"), text, Some(path));
        Ok(())
    }

    /// The scanner asks for its worklist.
    async fn worklist(&mut self) -> Result<WorklistItem> {
        self.begin();
        let keys = WorklistKeys { station: self.scanner.to_string(), ..WorklistKeys::default() };
        let mut tried = 0;
        let (item, found) = loop {
            let items = self.scanner().query(&keys).await.map_err(|e| self.refused(&e))?.items;
            let found = items.len();
            let ours = items.into_iter().find(|item| item.accession() == self.order.accession);
            if let Some(item) = ours {
                break (item, found);
            }
            tried += 1;
            if tried == FILE_SHOWS.0 {
                return Err(self.failed(
                    Failure::failed(format!(
                        "the worklist of {} has {found} items for {}, and {} is none of them",
                        self.profile.pacs, self.scanner, self.order.accession
                    ))
                    .hint(format!(
                        "does the PACS serve {}? `pacslab worklist find -v` tells which key kept \
                         an item back",
                        self.profile.worklists.display()
                    )),
                ));
            }
            tokio::time::sleep(FILE_SHOWS.1).await;
        };
        let text = format!(
            "{found} item{} for {}: {} {}",
            if found == 1 { "" } else { "s" },
            self.scanner,
            item.accession(),
            item.procedure_description()
        );
        self.done("C-FIND worklist", self.associates(), text, None);
        Ok(item)
    }

    /// Images from the item.
    async fn acquire(&mut self, begun: &Begun) -> Result<Acquisition> {
        self.begin();
        let (item, options) = (begun.item.clone(), begun.options.clone());
        let folder = self.profile.samples.clone();
        let made = tokio::task::spawn_blocking(move || {
            let acquisition = pacslab_modality::acquire(&item, &options)
                .map_err(|error| Failure::failed(error.to_string()))?;
            let files = acquisition
                .write(&folder)
                .map_err(|error| Failure::file("write", &error.path, &error.source))?;
            Ok::<_, Failure>((acquisition, files))
        })
        .await
        .map_err(|_| Failure::failed("stopped"))?;
        let (acquisition, files) = match made {
            Ok(made) => made,
            Err(failure) => {
                self.discontinue(begun, None, &Sent::default()).await;
                return Err(self.failed(failure));
            }
        };
        let modality = acquisition.series.first().map_or("", |series| series.modality.as_str());
        let text = format!("{} {modality} images of {}", files.len(), self.order.patient.name);
        self.done("acquire", Between::one(&self.scanner), text, files.into_iter().next());
        Ok(acquisition)
    }

    /// The images go to the PACS.
    async fn store(&mut self, begun: &Begun, acquisition: &Acquisition) -> Result<Sent> {
        self.begin();
        let mut sent = Sent::default();
        if let Err(error) = self.scanner().send_into(acquisition, &mut sent).await {
            self.discontinue(begun, Some(acquisition), &sent).await;
            return Err(self.refused(&error));
        }
        let text = format!("{} images stored", sent.stored);
        self.done("C-STORE", self.associates(), text, None);
        Ok(sent)
    }

    /// The scanner asks whether it may forget them.
    async fn commit(&mut self, acquisition: &Acquisition) -> Result<()> {
        self.begin();
        let transaction =
            crate::commitment::transaction(&self.scanner, &*self.clock, &acquisition.study_uid);
        let said = self
            .scanner()
            .commit(acquisition, transaction, REPORT)
            .await
            .map_err(|error| self.refused(&error))?;
        let text = said.in_words(self.profile.pacs.aet.as_str());
        if matches!(&said, Commitment::Reported(report) if !report.failed.is_empty()) {
            return Err(self.failed(Failure::failed(text)));
        }
        self.done("commitment", self.associates(), text, None);
        Ok(())
    }

    /// The study is found, over DICOM and over HTTP.
    async fn query(&mut self, acquisition: &Acquisition) -> Result<()> {
        self.begin();
        let expected = acquisition.instances().count();
        let over_dicom = self.count_by_find(&acquisition.study_uid).await?;
        let over_http = self.count_by_qido(&acquisition.study_uid).await?;
        for (how, found) in [("C-FIND", over_dicom), ("QIDO-RS", over_http)] {
            if found != Some(expected) {
                let said = match found {
                    None => "does not find the study".to_owned(),
                    Some(found) => format!("finds {found} instances"),
                };
                return Err(self.failed(Failure::failed(format!(
                    "{expected} images were stored, but {how} {said}"
                ))));
            }
        }
        let http = self.profile.http.url();
        let text = format!("study found by C-FIND and at {http}, {expected} images");
        let dicom = self.associates();
        let between = Between { peer: format!("{} and {http}", dicom.peer), ..dicom };
        self.done("C-FIND, HTTP", between, text, None);
        Ok(())
    }

    async fn count_by_find(&self, study: &Uid) -> Result<Option<usize>> {
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
            .with_str(tags::ACCESSION_NUMBER, Vr::SH, self.order.accession.as_str())
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study.as_str())
            .with_str(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, Vr::IS, "");
        let mut association = self.associate(uids::STUDY_ROOT_FIND).await?;
        let (found, reply) = association
            .find_all(uids::STUDY_ROOT_FIND, &identifier, 10)
            .await
            .map_err(|error| self.failed(error.into()))?;
        let _ = association.release().await;
        if !reply.status.is_success() {
            let text = format!("{} answered C-FIND with {reply}", self.profile.pacs);
            return Err(self.failed(Failure::failed(text)));
        }
        Ok(found.first().and_then(|study| {
            study.number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).map(|n| n as usize)
        }))
    }

    async fn count_by_qido(&self, study: &Uid) -> Result<Option<usize>> {
        let root = self.profile.http.dicom_web();
        let path = format!("{root}/studies/{study}/instances?limit=100000");
        let body = self
            .profile
            .http
            .get(&path, "application/dicom+json")
            .await
            .map_err(|failure| self.failed(failure))?;
        let rows: Vec<serde_json::Value> = serde_json::from_slice(&body)
            .map_err(|error| self.failed(Failure::failed(format!("{path}: {error}"))))?;
        Ok((!rows.is_empty()).then_some(rows.len()))
    }

    /// The PACS sends the study to the receiver.
    async fn retrieve(&mut self, acquisition: &Acquisition) -> Result<()> {
        self.begin();
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY")
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, acquisition.study_uid.as_str());
        let to = self.profile.receiver.to_string();
        let mut association = self.associate(uids::STUDY_ROOT_MOVE).await?;
        let answers = association
            .move_(uids::STUDY_ROOT_MOVE, &to, &identifier)
            .await
            .map_err(|error| self.failed(error.into()))?;
        let (reply, ..) = answers.finish().await.map_err(|error| self.failed(error.into()))?;
        let _ = association.release().await;
        if !reply.status.is_success() {
            return Err(self.failed(
                Failure::failed(format!(
                    "{} answered the C-MOVE to {to} with {reply}",
                    self.profile.pacs
                ))
                .hint(format!("the PACS must know {to} and reach the receiver at its address")),
            ));
        }
        let missing: Vec<PathBuf> = acquisition
            .instances()
            .map(|one| self.profile.inbox.join(format!("{}.dcm", one.meta.sop_instance)))
            .filter(|path| !path.is_file())
            .collect();
        if let Some(first) = missing.first() {
            return Err(self.failed(Failure::failed(format!(
                "the C-MOVE ended with success, but {} images did not arrive, {} for one",
                missing.len(),
                first.display()
            ))));
        }
        let arrived = acquisition.instances().count();
        let between = Between {
            peer: format!("{} -> {to}", self.profile.pacs),
            names: format!("{} -> {to}", self.profile.pacs.aet),
        };
        let inbox = Some(self.profile.inbox.clone());
        self.done("C-MOVE", between, format!("{arrived} images arrived"), inbox);
        Ok(())
    }

    /// FHIR resources of what the PACS holds.
    async fn export(&mut self, acquisition: &Acquisition, read: bool) -> Result<()> {
        self.begin();
        let exported = export(
            &self.profile.http,
            &acquisition.study_uid,
            Some(&self.order),
            self.clock.now().offset,
            &self.profile.samples,
        )
        .await
        .map_err(|failure| self.failed(failure))?;
        let report = usize::from(read);
        let expected =
            (acquisition.series.len() + report, acquisition.instances().count() + report);
        let counted = (exported.series, exported.instances);
        if counted != expected {
            return Err(self.failed(Failure::failed(format!(
                "the ImagingStudy has {} series and {} instances, {} and {} were stored",
                counted.0, counted.1, expected.0, expected.1
            ))));
        }
        if exported.report.is_some() != read {
            let text = "the structured report that was stored is not in the export";
            return Err(self.failed(Failure::failed(text)));
        }
        let and = if read { ", 1 report" } else { "" };
        let (resources, images) = (exported.resources.len(), counted.1 - report);
        let text = format!("{resources} resources, {images} images{and}");
        let between = Between {
            peer: self.profile.http.url(),
            names: format!("{} HTTP", self.profile.pacs.aet),
        };
        self.done("FHIR R4", between, text, Some(exported.path));
        Ok(())
    }

    fn begin(&mut self) {
        self.step += 1;
        self.begun = Instant::now();
    }

    fn done(&self, protocol: &'static str, between: Between, text: String, path: Option<PathBuf>) {
        let ms = self.begun.elapsed().as_secs_f64() * 1000.0;
        let accession = self.order.accession.clone();
        let Between { peer, names } = between;
        (self.tell)(Told { step: self.step, accession, protocol, peer, names, text, path, ms });
    }

    /// Says at which step it went wrong.
    fn failed(&self, failure: Failure) -> Failure {
        let message =
            format!("step {} of order {}: {}", self.step, self.order.accession, failure.message);
        Failure { message, ..failure }
    }

    /// What the scanner was not given.
    fn refused(&self, error: &pacslab_modality::scanner::Error) -> Failure {
        let Self { scanner, profile, .. } = self;
        self.failed(Failure::failed(error.to_string()).hint(format!(
            "is {} running? Orthanc aborts titles that it does not know: `pacslab modality \
             register {scanner}@127.0.0.1:104 --url {}` makes the scanner known",
            profile.pacs,
            profile.http.url()
        )))
    }

    /// `PYMOD1 -> PACSLAB@127.0.0.1:4242`
    fn associates(&self) -> Between {
        let pacs = &self.profile.pacs;
        Between {
            peer: format!("{} -> {pacs}", self.scanner),
            names: format!("{} -> {}", self.scanner, pacs.aet),
        }
    }

    fn requestor(&self) -> Requestor {
        let wait: Duration = self.profile.timeout;
        let timeouts = Timeouts {
            connect: wait,
            artim: wait,
            response: wait,
            idle: wait,
            ..Timeouts::default()
        };
        let us = Requestor::new(self.scanner.clone(), Arc::new(Logged), self.clock.clone());
        let secure = Arc::new(crate::tls::Caller::new(self.profile.files.clone()));
        Requestor { timeouts, secure: Some(secure), ..us }
    }

    fn scanner(&self) -> Scanner {
        let pacs = remote(&self.profile.pacs);
        Scanner { requestor: self.requestor(), worklist: pacs.clone(), archive: pacs }
    }

    async fn associate(&self, abstract_syntax: &str) -> Result<Association> {
        let proposal = Proposal::of(abstract_syntax);
        Association::connect(&self.requestor(), &remote(&self.profile.pacs), proposal)
            .await
            .map_err(|error| self.failed(error.into()))
    }

    /// The same order gives the same anatomy.
    fn seed(&self) -> Seed {
        let stream = Seed(0).stream(&["demo", &self.order.accession, &self.order.patient.id.id]);
        Seed(stream.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte)))
    }
}

/// Who talks to whom, with addresses and without.
struct Between {
    peer: String,
    names: String,
}

impl Between {
    fn one(name: &(impl ToString + ?Sized)) -> Self {
        Self { peer: name.to_string(), names: name.to_string() }
    }
}

/// How long the association stays open for the report on storage commitment: ours comes at once,
/// and a PACS that calls back does so whenever it likes.
const REPORT: Duration = Duration::from_millis(500);

/// HL7 table 0357: duplicate key identifier.
const DUPLICATE_KEY: &str = "205";

fn remote(peer: &Peer) -> Remote {
    let Peer { aet, host, port, tls } = peer.clone();
    Remote { aet, host, port, tls }
}

/// The next accession number, with the ids that go with it, and a study of its own.
fn renumber(order: &mut Order) {
    order.accession = next_number(&order.accession);
    order.placer.id = next_number(&order.placer.id);
    order.filler.id = next_number(&order.filler.id);
    order.procedure.id = next_number(&order.procedure.id);
    for step in &mut order.steps {
        step.id = next_number(&step.id);
    }
    order.procedure.study_uid = Uid::from_parts(&["order", &order.accession, &order.procedure.id]);
}

/// `ACC1001` → `ACC1002`, within the 16 characters of an SH.
fn next_number(text: &str) -> String {
    let digits = text.len() - text.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (name, number) = text.split_at(text.len() - digits.min(15));
    let next = number.parse::<u64>().unwrap_or(0) + 1;
    let number = format!("{next:0width$}", width = number.len());
    let room = 16_usize.saturating_sub(number.len());
    format!("{}{number}", name.chars().take(room).collect::<String>())
}

/// The file of an accession number: by its name, or by what is in it.
fn file_of(folder: &std::path::Path, accession: &str) -> Option<(PathBuf, Dataset)> {
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).ok()?;
        let (_, item) = pacslab_dicom::file::read(&bytes).ok()?;
        (item.str(tags::ACCESSION_NUMBER) == accession).then_some((path, item))
    };
    read(folder.join(format!("{accession}.wl"))).or_else(|| {
        let files = std::fs::read_dir(folder).ok()?.flatten();
        files
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wl")))
            .find_map(read)
    })
}

/// UIDs are long; their ends tell them apart.
fn short(uid: &str) -> String {
    match uid.char_indices().rev().nth(11) {
        Some((at, _)) if at > 8 => format!("{}…{}", &uid[..5], &uid[at..]),
        _ => uid.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_up_and_stay_short() {
        assert_eq!(next_number("ACC1001"), "ACC1002");
        assert_eq!(next_number("ACC999"), "ACC1000");
        assert_eq!(next_number("ACC"), "ACC1");
        assert_eq!(next_number("ABCDEFGHIJKLM999"), "ABCDEFGHIJKL1000");
        assert_eq!(next_number(""), "1");
    }

    #[test]
    fn long_uids_are_shown_by_their_ends() {
        assert_eq!(short("2.25.329800735698586629295641978511506172918"), "2.25.…511506172918");
        assert_eq!(short("1.2.3"), "1.2.3");
    }
}
