//! A report as DiagnosticReport. <https://hl7.org/fhir/R4/diagnosticreport.html>

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pacslab_model::PersonName;
use pacslab_model::order::{self, Order};

use super::{Links, Site, StudyForExport, patient_key, request_key, study_key, subject};
use crate::parts::{accession, concept, count, date_time, instant, person, synthetic};
use crate::resource::{
    Attachment, CodeableConcept, Coding, DiagnosticReport, Identifier, Reference,
};
use crate::terms;

/// What was read of a study, as it stands now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReportForExport {
    /// The documents that it is made of: SOP Instance UIDs, the structured report first.
    pub documents: Vec<pacslab_model::Uid>,
    pub state: ReportState,
    /// Its title; none: a diagnostic imaging study.
    pub code: order::Code,
    /// DA and TM of the signature.
    pub date: String,
    pub time: String,
    /// (0008,0201), or empty for the zone of the site.
    pub timezone: String,
    pub interpreter: PersonName,
    pub organization: String,
    /// Headings with their text.
    pub sections: Vec<(String, String)>,
    /// What it comes to; empty: all that is said.
    pub conclusion: String,
    pub attachments: Vec<AttachmentForExport>,
}

/// A document that goes with a report: its bytes, or where they are had.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AttachmentForExport {
    pub media_type: String,
    pub title: String,
    pub bytes: Vec<u8>,
    /// One that begins with `/` is below [`Site::wado_url`].
    pub url: String,
}

/// <https://hl7.org/fhir/R4/valueset-diagnostic-report-status.html>
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReportState {
    /// More is to come.
    Partial,
    /// Whole, and signed by nobody.
    Preliminary,
    #[default]
    Final,
    /// Final before, and said anew since.
    Corrected,
}

impl ReportState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Partial => "partial",
            Self::Preliminary => "preliminary",
            Self::Final => "final",
            Self::Corrected => "corrected",
        }
    }
}

/// The report of a study; one that corrects another takes its place on a server.
pub fn diagnostic_report(
    report: &ReportForExport,
    study: &StudyForExport,
    order: Option<&Order>,
    site: &Site,
    links: Links,
) -> DiagnosticReport {
    let identifier = |system: String, value: &str| Identifier {
        usage: "official".to_owned(),
        kind: None,
        system,
        value: value.to_owned(),
    };
    let mut ids = vec![identifier(format!("{}/report", site.namespace), study.uid.as_str())];
    let objects = report.documents.iter().filter(|uid| !uid.is_empty());
    ids.extend(
        objects.map(|uid| identifier("urn:dicom:uid".to_owned(), &format!("urn:oid:{uid}"))),
    );
    ids.extend(accession(&study.accession, &study.accession_issuer, site));
    let issued = instant(&report.date, &report.time, &report.timezone, site);
    let interpreter = person(&report.interpreter);
    let organization = match report.organization.trim() {
        "" => None,
        name => Some(Reference::named("Organization", name)),
    };
    let performer = organization.into_iter().chain(interpreter.clone());
    let title = match report.code.value.is_empty() {
        true => order::Code::new("18748-4", "LN", "Diagnostic imaging study"),
        false => report.code.clone(),
    };
    let text = text(report);
    let conclusion = match report.conclusion.trim() {
        "" => text.trim().to_owned(),
        said => said.to_owned(),
    };
    let mut forms = Vec::new();
    if !text.is_empty() {
        forms.push(Attachment {
            content_type: "text/plain".to_owned(),
            data: STANDARD.encode(&text),
            size: Some(count(text.len())),
            title: "Report".to_owned(),
            creation: issued.clone(),
            ..Attachment::default()
        });
    }
    forms.extend(report.attachments.iter().map(|one| Attachment {
        content_type: one.media_type.clone(),
        data: STANDARD.encode(&one.bytes),
        url: match one.url.starts_with('/') {
            true => format!("{}{}", site.wado_url.trim_end_matches('/'), one.url),
            false => one.url.clone(),
        },
        size: (!one.bytes.is_empty()).then(|| count(one.bytes.len())),
        title: one.title.clone(),
        creation: issued.clone(),
    }));
    DiagnosticReport {
        id: links.id(&report_key(study)),
        meta: synthetic(),
        identifier: ids,
        based_on: order
            .map(|order| links.to("ServiceRequest", &request_key(order, site)))
            .into_iter()
            .collect(),
        status: report.state.as_str().to_owned(),
        category: vec![CodeableConcept::from(Coding::new(terms::SECTION, "RAD", "Radiology"))],
        code: concept(&title, "", site).unwrap_or_default(),
        subject: links.to("Patient", &patient_key(subject(study, order), site)),
        effective_date_time: date_time(&study.date, &study.time, &study.timezone, site),
        issued,
        performer: performer.collect(),
        results_interpreter: interpreter.into_iter().collect(),
        imaging_study: vec![links.to("ImagingStudy", &study_key(&study.uid))],
        conclusion,
        presented_form: forms,
    }
}

pub(super) fn report_key(study: &StudyForExport) -> String {
    format!("DiagnosticReport {} {}", study.uid, study.accession)
}

/// As it is read: each heading above its text.
fn text(report: &ReportForExport) -> String {
    let said = report.sections.iter().filter(|(_, text)| !text.trim().is_empty());
    let each = said.map(|(heading, text)| match heading.as_str() {
        "" => format!("{}\n", text.trim()),
        heading => format!("{heading}\n{}\n", text.trim()),
    });
    each.collect::<Vec<_>>().join("\n")
}
