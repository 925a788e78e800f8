//! ORU^R01: a report, as text, as a document, or both. HL7 v2.5.1 7.3.1; IHE RAD TF-2 4.28 (RAD-28)
//! and 4.128 (RAD-128).

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use pacslab_model::order::{Code as Concept, Order};
use pacslab_model::{PersonName, Uid};

use crate::finding::{Code, Finding};
use crate::group::{self, Begins, Group};
use crate::map::Attribute;
use crate::message::{Message, Segment, Value};
use crate::options::Options;
use crate::order;
use crate::reader::{Reader, Spot};
use crate::types::{self, Timestamp, component, first};

/// One report, of one requested procedure.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// What it is about: numbers, patient, visit, procedure (id, code, study UID). It has no steps,
    /// and is found in the department by whichever of its numbers is known.
    pub order: Order,
    /// OBR-24, or empty.
    pub modality: String,
    /// OBR-25
    pub status: ReportStatus,
    /// OBR-7 and OBR-8: the exam.
    pub exam_start: Timestamp,
    pub exam_end: Timestamp,
    /// OBR-22: when the status changed, which for a final report is when it was signed; MSH-7 where
    /// nobody says.
    pub at: Timestamp,
    /// OBR-32: who read it. OBR-33: who helped. OBR-35: who typed it.
    pub interpreter: Person,
    pub assistant: Person,
    pub transcriptionist: Person,
    /// The text, in the order of the message.
    pub sections: Vec<Section>,
    pub documents: Vec<Document>,
    /// Numbers and codes: what is neither text nor document.
    pub observations: Vec<Observation>,
    /// Studies that it refers to (`113014^DICOM Study^DCM`, `Study Instance UID`).
    pub studies: Vec<Uid>,
    /// The structured report that it was made from (`SR Instance UID`), or empty.
    pub sr_instance: Uid,
    /// Addresses to look at (RP, or ST with a URL).
    pub links: Vec<String>,
}

/// OBR-25 and OBX-11 (tables 0123 and 0085).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReportStatus {
    /// `P`
    Preliminary,
    /// `F`
    Final,
    /// `C`: the whole text again, with what is new.
    Corrected,
    /// `A`: some of it.
    Partial,
    /// `R`: there, and read by nobody yet.
    Unverified,
    /// `I`, `S`, `O`: nothing to read yet.
    Pending,
    /// `X`, `D`, `W`: there is none (any more).
    Cancelled,
}

/// A person with the number that the sender knows them by.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Person {
    pub id: String,
    pub name: PersonName,
}

/// OBX of text with one observation id, one after another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Section {
    pub kind: SectionKind,
    /// OBX-3
    pub code: Concept,
    /// With line feeds.
    pub text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SectionKind {
    History,
    Findings,
    Impression,
    Addendum,
    /// Everything in one, or a heading that is none of these.
    Text,
}

/// OBX of type ED, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    pub code: Concept,
    /// `application/pdf`, else what OBX-5.2 and OBX-5.3 say.
    pub media_type: String,
    pub bytes: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    pub code: Concept,
    pub value: String,
    pub units: String,
}

impl ReportStatus {
    pub const ALL: [Self; 7] = [
        Self::Preliminary,
        Self::Final,
        Self::Corrected,
        Self::Partial,
        Self::Unverified,
        Self::Pending,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preliminary => "P",
            Self::Final => "F",
            Self::Corrected => "C",
            Self::Partial => "A",
            Self::Unverified => "R",
            Self::Pending => "I",
            Self::Cancelled => "X",
        }
    }

    /// By a code of table 0123 or 0085.
    pub fn by_code(code: &str) -> Option<Self> {
        match code {
            "S" | "O" => Some(Self::Pending),
            "D" | "W" => Some(Self::Cancelled),
            code => Self::ALL.into_iter().find(|status| status.as_str() == code),
        }
    }

    /// Whether there is something to read.
    pub const fn has_text(self) -> bool {
        !matches!(self, Self::Pending | Self::Cancelled)
    }
}

impl Section {
    /// Under the usual code of its kind.
    pub fn new(kind: SectionKind, text: impl Into<String>) -> Self {
        Self { kind, code: kind.code(), text: text.into() }
    }
}

impl Document {
    pub fn pdf(bytes: Vec<u8>) -> Self {
        Self { code: SectionKind::Text.code(), media_type: "application/pdf".to_owned(), bytes }
    }
}

impl SectionKind {
    pub const ALL: [Self; 5] =
        [Self::History, Self::Findings, Self::Impression, Self::Addendum, Self::Text];

    /// LOINC
    pub fn code(self) -> Concept {
        let (value, meaning) = match self {
            Self::History => ("11329-0", "History general"),
            Self::Findings => ("18782-3", "Radiology Study observation (narrative)"),
            Self::Impression => ("19005-8", "Radiology Imaging study [Impression] (narrative)"),
            Self::Addendum => ("55107-7", "Addendum Document"),
            Self::Text => ("18748-4", "Diagnostic imaging study"),
        };
        Concept::new(value, "LN", meaning)
    }

    /// By LOINC, else by what the heading says.
    fn of(code: &Concept) -> Self {
        match code.value.as_str() {
            "18782-3" | "59776-5" => return Self::Findings,
            "19005-8" => return Self::Impression,
            "11329-0" | "10164-2" | "55752-0" => return Self::History,
            "55107-7" => return Self::Addendum,
            _ => {}
        }
        let heading = format!("{} {}", code.value, code.meaning).to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| heading.contains(word));
        match () {
            () if says(&["addendum"]) => Self::Addendum,
            () if says(&["impression", "conclusion", "summary"]) => Self::Impression,
            () if says(&["finding"]) => Self::Findings,
            () if says(&["history", "indication"]) => Self::History,
            () => Self::Text,
        }
    }
}

pub(super) fn read(
    message: &Message,
    options: &Options,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Vec<Report> {
    let groups = group::groups(message, Begins::Result, findings);
    if groups.is_empty() && findings.is_empty() {
        let text = "the message has no OBR: send at least one report";
        findings.push(Finding::error("OBR", 1, Code::SegmentSequence, text));
    }
    let one = |group: &Group<'_>| {
        let mut reader = Reader::new(group, options);
        let report = report(&mut reader);
        findings.append(&mut reader.errors);
        warnings.append(&mut reader.warnings);
        report
    };
    groups.iter().map(one).collect()
}

fn report(reader: &mut Reader<'_>) -> Report {
    let group = reader.group;
    let mut order = order::numbered(reader, false);
    order.patient = reader.patient(true, false);
    order.visit = reader.visit();
    order.procedure = reader.procedure(false);
    order.procedure.id = reader.assigned(Attribute::RequestedProcedureID, false);
    order.procedure.study_uid = reader.study_uid(false);
    // remarks of a report are its text, not comments on the procedure
    order.procedure.comments.clear();
    let time = |field| Timestamp::parse(&first(group.field("OBR", field))).unwrap_or_default();
    let sent = || Timestamp::parse(&group.message.text("MSH-7.1")).unwrap_or_default();
    let at = time(22);
    let mut report = Report {
        modality: reader.text(Attribute::Modality).1.to_ascii_uppercase(),
        status: status(reader),
        exam_start: time(7),
        exam_end: time(8),
        at: if at.has_day() { at } else { sent() },
        interpreter: person(group.field("OBR", 32)),
        assistant: person(group.field("OBR", 33)),
        transcriptionist: person(group.field("OBR", 35)),
        order,
        sections: Vec::new(),
        documents: Vec::new(),
        observations: Vec::new(),
        studies: Vec::new(),
        sr_instance: Uid::default(),
        links: Vec::new(),
    };
    for (obx, seq) in group.own("OBX") {
        if let Err(finding) = observe(&mut report, obx, seq) {
            reader.errors.push(finding);
        }
    }
    check(reader, &mut report);
    report
}

/// Something to find it by, and something to read.
fn check(reader: &mut Reader<'_>, report: &mut Report) {
    let order = &mut report.order;
    if let (true, Some(study)) = (order.procedure.study_uid.is_empty(), report.studies.first()) {
        order.procedure.study_uid = study.clone();
    }
    let numbers = [&order.accession, &order.placer.id, &order.filler.id];
    if numbers.iter().all(|id| id.is_empty()) && order.procedure.study_uid.is_empty() {
        let text = "the report does not say of what: send OBR-18, OBR-2, OBR-3 or the study UID";
        let spot = reader.missing(Attribute::AccessionNumber);
        reader.fault(&spot, Code::RequiredFieldMissing, text.to_owned());
    }
    let empty = report.sections.is_empty() && report.documents.is_empty();
    if empty && report.status.has_text() && reader.errors.is_empty() {
        let text = "the report has neither text (OBX of type TX or FT) nor a document (ED)";
        reader.fault(&Spot::new("OBX", 5, 0), Code::RequiredFieldMissing, text.to_owned());
    }
}

fn status(reader: &mut Reader<'_>) -> ReportStatus {
    let spot = Spot::new("OBR", 25, 1);
    let told = first(reader.group.field("OBR", 25)).to_ascii_uppercase();
    let observed = first(reader.group.field("OBX", 11)).to_ascii_uppercase();
    if let Some(status) = ReportStatus::by_code(&told) {
        return status;
    }
    let bridged = ReportStatus::by_code(&observed).unwrap_or(ReportStatus::Preliminary);
    let (code, problem) = match told.is_empty() {
        true => (Code::RequiredFieldMissing, "the result status is missing".to_owned()),
        false => (
            Code::TableValueNotFound,
            format!("result status '{told}' is not in table 0123 (P, F, C, A, R, I, S, X)"),
        ),
    };
    reader.gap(&spot, code, &problem, &format!("read as {}", bridged.as_str()));
    bridged
}

/// NDL, or XCN as some send it.
fn person(field: Value<'_>) -> Person {
    let name = types::name_from_ndl(field);
    Person {
        id: component(field, 1),
        name: if name.is_empty() { types::name_from_xcn(field) } else { name },
    }
}

/// Takes one OBX into the report.
fn observe(report: &mut Report, obx: Segment<'_>, seq: usize) -> Result<(), Finding> {
    let code = types::code_from_ce(obx.field(3), 1);
    let kind = first(obx.field(2)).to_ascii_uppercase();
    let value = obx.field(5);
    let gone = ["D", "X", "W"].contains(&first(obx.field(11)).to_ascii_uppercase().as_str());
    if gone && report.status != ReportStatus::Cancelled {
        return Ok(());
    }
    let named = |name: &str| {
        [&code.value, &code.meaning].iter().any(|text| text.eq_ignore_ascii_case(name))
    };
    match kind.as_str() {
        "ED" => {
            report.documents.push(document(code, value, seq)?);
        }
        _ if named("SR Instance UID") => report.sr_instance = Uid::new(first(value)),
        _ if named("Study Instance UID") || code.value == "113014" || code.value == "110180" => {
            let uid = Uid::new(first(value));
            if uid.is_valid() && !report.studies.contains(&uid) {
                report.studies.push(uid);
            }
        }
        _ if named("Series Instance UID") || named("SR Series Instance UID") => {}
        "RP" => report.links.push(first(value)),
        "TX" | "FT" | "ST" | "" => {
            let text = lines(value);
            if text.starts_with("http://") || text.starts_with("https://") {
                report.links.push(text.trim().to_owned());
            } else if !text.trim().is_empty() {
                say(report, code, text);
            }
        }
        _ => report.observations.push(Observation {
            code,
            value: value.text().into_owned(),
            units: first(obx.field(6)),
        }),
    }
    Ok(())
}

/// Many senders write one OBX a line: those of one id are one section.
fn say(report: &mut Report, code: Concept, text: String) {
    match report.sections.last_mut() {
        Some(last) if last.code == code => {
            last.text.push('\n');
            last.text += &text;
        }
        _ => report.sections.push(Section { kind: SectionKind::of(&code), code, text }),
    }
}

/// The repetitions of a text are its lines.
fn lines(value: Value<'_>) -> String {
    let lines: Vec<String> = value.repetitions().map(|line| line.text().into_owned()).collect();
    lines.join("\n")
}

/// ED: `application^type^subtype^encoding^data`.
fn document(code: Concept, value: Value<'_>, seq: usize) -> Result<Document, Finding> {
    let wrong =
        |component, code, text: &str| Err(Finding::error("OBX", seq, code, text).at(5, component));
    let part = |n| component(value, n);
    let data = value.component(5).text();
    if data.is_empty() {
        return wrong(5, Code::RequiredFieldMissing, "the document has no data");
    }
    let bytes = match part(4).to_ascii_lowercase().as_str() {
        // some leave it out
        "base64" | "" => {
            let packed: Vec<u8> = data.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
            match LENIENT.decode(&packed) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let text = format!("the data is not Base64: {error}");
                    return wrong(5, Code::DataType, &text);
                }
            }
        }
        "a" => data.into_owned().into_bytes(),
        other => {
            let text = format!("encoding '{other}' is not read; send Base64");
            return wrong(4, Code::TableValueNotFound, &text);
        }
    };
    let sub = part(3).to_ascii_lowercase();
    let media_type = match part(2).to_ascii_lowercase().as_str() {
        _ if sub == "pdf" || bytes.starts_with(b"%PDF-") => "application/pdf".to_owned(),
        kind if sub.is_empty() => kind.to_owned(),
        "im" | "image" => format!("image/{sub}"),
        "au" | "audio" => format!("audio/{sub}"),
        "tx" | "ft" | "text" => format!("text/{sub}"),
        _ => format!("application/{sub}"),
    };
    Ok(Document { code, media_type, bytes })
}

/// With and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
