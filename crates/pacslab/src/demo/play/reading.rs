//! What comes of the images: a report, from the dictation to whoever ordered the exam.

use std::time::{Duration, Instant};

use pacslab_dicom::Dataset;
use pacslab_hl7::incoming::{Person, Report, ReportStatus, Section, SectionKind};
use pacslab_hl7::types::Timestamp;
use pacslab_hl7::write::build_oru;
use pacslab_model::{Uid, Vr, tags, uids};
use pacslab_ris::mllp::MllpClient;
use pacslab_ris::reports::ObjectState;

use super::{Between, Play};
use crate::exit::{Failure, Result};

/// Who reads.
const READER: (&str, &str) = ("4001", "READER^RAY");

/// How long a RIS next door gets to send a structured report; nobody there tells why it does not.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often is looked.
const OFTEN: Duration = Duration::from_millis(5);

impl Play<'_> {
    /// The reader dictates a draft, and signs it.
    pub(super) async fn report(&mut self, study: &Uid) -> Result<()> {
        self.begin();
        let (host, port) = self.profile.hl7.clone();
        let broken = |error: String| Failure::network(error);
        let mut ris = MllpClient::connect(&format!("{host}:{port}"), self.profile.timeout)
            .await
            .map_err(|error| self.failed(broken(error.to_string())))?;
        for status in [ReportStatus::Preliminary, ReportStatus::Final] {
            let message = self.oru(study, status);
            let answer =
                ris.send(&message).await.map_err(|error| self.failed(broken(error.to_string())))?;
            if !answer.ack.code.is_accepted() {
                let why: Vec<&str> =
                    answer.ack.errors.iter().map(|error| error.text.as_str()).collect();
                return Err(self.failed(Failure::failed(format!(
                    "the RIS answered the report ({}) with {} {}",
                    status.as_str(),
                    answer.ack.code.as_str(),
                    why.join("; ")
                ))));
            }
        }
        let between = Between {
            peer: format!("dictation -> RIS {host}:{port}"),
            names: "dictation -> RIS".into(),
        };
        let text = format!("report dictated, and signed by {}: ACK AA", READER.1);
        self.done("HL7 ORU^R01", between, text, None);
        Ok(())
    }

    fn oru(&self, study: &Uid, status: ReportStatus) -> Vec<u8> {
        let now = self.clock.now();
        let at = Timestamp { date: now.da(), time: now.tm(), offset: String::new() };
        let modality = self.order.steps.first().map(|step| step.modality.clone());
        let (id, name) = READER;
        let report = Report {
            order: self.order.clone(),
            modality: modality.unwrap_or_default(),
            status,
            exam_start: at.clone(),
            exam_end: Timestamp::default(),
            at,
            interpreter: Person { id: id.to_owned(), name: name.into() },
            assistant: Person::default(),
            transcriptionist: Person::default(),
            sections: vec![
                Section::new(SectionKind::Findings, "SYNTHETIC REPORT: nothing was looked at."),
                Section::new(SectionKind::Impression, "NOT FOR CLINICAL USE"),
            ],
            documents: Vec::new(),
            observations: Vec::new(),
            studies: vec![study.clone()],
            sr_instance: Uid::default(),
            links: Vec::new(),
        };
        build_oru(&report, &self.sending(status.as_str())).to_bytes()
    }

    /// The signed report goes to the PACS as a structured report, which is found there; whether it
    /// is there.
    pub(super) async fn structured(&mut self, study: &Uid) -> Result<bool> {
        self.begin();
        let pacs = self.profile.pacs.clone();
        let sender = self.profile.creator.as_ref().map_or("RIS", |title| title.as_str());
        let between = Between {
            peer: format!("{sender} -> {pacs}"),
            names: format!("{sender} -> {}", pacs.aet),
        };
        let begun = Instant::now();
        let why_not = loop {
            let problem = self.not_sent().await?;
            if let Some(Ok(())) = problem {
                break match self.count_reports(study).await? {
                    0 => {
                        let text =
                            format!("{pacs} took the structured report, but does not find it");
                        return Err(self.failed(Failure::failed(text)));
                    }
                    _ => None,
                };
            }
            if let Some(Err(why)) = problem {
                break Some(why);
            }
            if self.profile.ris.is_none() && self.count_reports(study).await? > 0 {
                break None;
            }
            let most = if self.profile.ris.is_some() { self.profile.timeout } else { PATIENCE };
            if begun.elapsed() > most {
                break Some(format!("none came within {} s", most.as_secs()));
            }
            tokio::time::sleep(OFTEN).await;
        };
        let there = why_not.is_none();
        let text = match why_not {
            None => "structured report stored, found by C-FIND".to_owned(),
            Some(why) => format!("{} has no structured report: {why}", pacs.aet),
        };
        self.done("C-STORE SR", between, text, None);
        Ok(there)
    }

    /// What came of sending it, where the RIS is ours: stored, not wanted, or nothing yet.
    async fn not_sent(&self) -> Result<Option<std::result::Result<(), String>>> {
        let Some(ris) = self.profile.ris.clone() else { return Ok(None) };
        let accession = self.order.accession.clone();
        let report = tokio::task::spawn_blocking(move || ris.report(&accession))
            .await
            .map_err(|_| Failure::failed("stopped"))?
            .map_err(|error| self.failed(Failure::failed(error.to_string())))?;
        let object = report.and_then(|report| report.objects.into_iter().next_back());
        Ok(object.and_then(|object| match object.state {
            ObjectState::Sent => Some(Ok(())),
            ObjectState::Waiting if object.problem.is_empty() => None,
            ObjectState::Waiting | ObjectState::Refused => Some(Err(object.problem)),
        }))
    }

    /// Series of structured reports in the study.
    async fn count_reports(&self, study: &Uid) -> Result<usize> {
        let identifier = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "SERIES")
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study.as_str())
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, "")
            .with_str(tags::MODALITY, Vr::CS, "SR");
        let mut association = self.associate(uids::STUDY_ROOT_FIND).await?;
        let (found, _) = association
            .find_all(uids::STUDY_ROOT_FIND, &identifier, 10)
            .await
            .map_err(|error| self.failed(error.into()))?;
        let _ = association.release().await;
        Ok(found.len())
    }

    /// Whoever placed the order is told, through a queue of the RIS.
    pub(super) async fn reported(&mut self) -> Result<()> {
        let Some(reports) = self.profile.reports.clone() else { return Ok(()) };
        self.begin();
        let wait = self.profile.timeout;
        let Some(received) = reports.of(&self.order.accession, wait).await else {
            let text = format!("the order entry had no final report within {} s", wait.as_secs());
            return Err(self.failed(Failure::failed(text)));
        };
        let text = format!(
            "final report {} received, {} OBX: ACK AA",
            received.control_id, received.observations
        );
        self.done("HL7 ORU^R01", Between::one("RIS -> order entry"), text, None);
        Ok(())
    }
}
