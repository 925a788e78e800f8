//! A report as options of `hl7 generate` and `hl7 send`. HL7 v2.5.1 7.3.1; IHE RAD TF-2 4.28.

use std::path::PathBuf;

use pacslab_hl7::incoming::{Document, Person, Report, ReportStatus, Section, SectionKind};
use pacslab_hl7::types::Timestamp;
use pacslab_hl7::write::{Sending, build_oru};
use pacslab_hl7::Message;
use pacslab_model::order::Order;
use pacslab_model::{Moment, PersonName, Uid};

use crate::exit::{Failure, Result};

/// What messages about reports say beside the order.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The report (ORU)")]
pub(crate) struct ReportArgs {
    /// What was seen; \n begins a line
    #[arg(long, default_value = "SYNTHETIC REPORT: nothing was looked at.", value_name = "TEXT")]
    findings: String,
    /// What it means
    #[arg(long, default_value = "NOT FOR CLINICAL USE", value_name = "TEXT")]
    impression: String,
    /// A PDF that goes with it; alone if --findings and --impression are empty
    #[arg(long, value_name = "FILE")]
    pdf: Option<PathBuf>,
    /// preliminary, final, corrected or cancelled
    #[arg(long, default_value = "final", value_parser = status, value_name = "WORD")]
    result: ReportStatus,
    /// Who read it, as FAMILY^GIVEN
    #[arg(long, default_value = "READER^RAY", value_name = "NAME")]
    interpreter: String,
}

impl ReportArgs {
    pub(crate) fn build(&self, order: Order, sending: &Sending) -> Result<Message> {
        let texts =
            [(SectionKind::Findings, &self.findings), (SectionKind::Impression, &self.impression)];
        let texts = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
        let sections: Vec<Section> =
            texts.map(|(kind, text)| Section::new(kind, text.replace("\\n", "\n"))).collect();
        let documents = match &self.pdf {
            None => Vec::new(),
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|e| Failure::file("read", path, &e))?;
                if !bytes.starts_with(b"%PDF-") {
                    return Err(Failure::usage(format!("--pdf {} is no PDF", path.display())));
                }
                vec![Document::pdf(bytes)]
            }
        };
        if sections.is_empty() && documents.is_empty() && self.result.has_text() {
            let text = "the report is empty: --findings, --impression or --pdf says something";
            return Err(Failure::usage(text.to_owned()));
        }
        let modality = order.steps.first().map(|step| step.modality.clone()).unwrap_or_default();
        let studies = vec![order.procedure.study_uid.clone()];
        let reader = PersonName::new(&self.interpreter);
        let id = if reader.is_empty() { "" } else { "4001" };
        let report = Report {
            order,
            modality,
            status: self.result,
            exam_start: timestamp(sending.at),
            exam_end: Timestamp::default(),
            at: timestamp(sending.at),
            interpreter: Person { id: id.to_owned(), name: reader },
            assistant: Person::default(),
            transcriptionist: Person::default(),
            sections,
            documents,
            observations: Vec::new(),
            studies,
            sr_instance: Uid::default(),
            links: Vec::new(),
        };
        Ok(build_oru(&report, sending))
    }
}

fn timestamp(at: Moment) -> Timestamp {
    Timestamp { date: at.da(), time: at.tm(), offset: String::new() }
}

fn status(text: &str) -> std::result::Result<ReportStatus, String> {
    match text.to_lowercase().as_str() {
        "preliminary" | "p" => Ok(ReportStatus::Preliminary),
        "final" | "f" => Ok(ReportStatus::Final),
        "corrected" | "c" => Ok(ReportStatus::Corrected),
        "cancelled" | "x" => Ok(ReportStatus::Cancelled),
        _ => Err("preliminary, final, corrected or cancelled is expected".to_owned()),
    }
}
