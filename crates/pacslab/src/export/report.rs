//! The report of a study, from the documents in it: the structured report that no other one
//! replaces, and the PDF that goes with it. PS3.3 C.17 (SR), C.24.2 (encapsulated document).

use std::collections::BTreeSet;

use pacslab_dicom::{Dataset, Value};
use pacslab_fhir::{AttachmentForExport, ReportForExport, ReportState};
use pacslab_model::{PersonName, Tag, Uid, tags};

/// SOP classes of documents that hold a report: Basic Text, Enhanced, Comprehensive SR, and
/// Encapsulated PDF.
pub(crate) const DOCUMENTS: [&str; 4] = [
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    PDF,
];
const PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

/// What the objects of one study say was read of it.
pub(crate) fn report(objects: &[&Dataset]) -> Option<ReportForExport> {
    let of = |pdf: bool| {
        let class = move |object: &&&Dataset| {
            let class = object.str(tags::SOP_CLASS_UID);
            DOCUMENTS.contains(&class) && (class == PDF) == pdf
        };
        objects.iter().filter(class).copied().collect::<Vec<&Dataset>>()
    };
    let (texts, pdfs) = (of(false), of(true));
    let replaced: BTreeSet<&str> = texts.iter().flat_map(|text| predecessors(text)).collect();
    let current = texts.iter().filter(|text| !replaced.contains(text.str(tags::SOP_INSTANCE_UID)));
    let current = current.filter(|text| !sections(text).is_empty());
    let text = current.max_by_key(|text| written(text)).copied();
    let pdfs: Vec<&Dataset> = pdfs.into_iter().filter(|pdf| is_report(pdf)).collect();
    let last = pdfs.iter().map(|pdf| at(pdf)).max();
    // one that is older than the text is of what was said before
    let of_now =
        |pdf: &&&Dataset| Some(at(pdf)) == last && text.is_none_or(|text| at(text) <= at(pdf));
    let latest: Vec<&Dataset> = pdfs.iter().filter(of_now).copied().collect();
    let mut report = match (text, latest.first()) {
        (Some(text), _) => read(text, &texts),
        (None, Some(pdf)) => ReportForExport {
            state: match pdf.str(tags::VERIFICATION_FLAG) {
                "UNVERIFIED" => ReportState::Preliminary,
                _ if latest.len() < pdfs.len() => ReportState::Corrected,
                _ => ReportState::Final,
            },
            organization: pdf.str(tags::INSTITUTION_NAME).to_owned(),
            ..signed(pdf)
        },
        (None, None) => return None,
    };
    report.documents.extend(latest.iter().map(|pdf| Uid::new(pdf.str(tags::SOP_INSTANCE_UID))));
    report.attachments = latest.into_iter().map(attachment).collect();
    Some(report)
}

/// When a document was written: the last one counts.
fn at(document: &Dataset) -> (&str, &str) {
    (document.str(tags::CONTENT_DATE), document.str(tags::CONTENT_TIME))
}

fn written(document: &Dataset) -> (&str, &str, u32) {
    let (date, time) = at(document);
    (date, time, document.number(tags::INSTANCE_NUMBER).map_or(0, |number| number as u32))
}

fn signed(document: &Dataset) -> ReportForExport {
    let text = |tag: Tag| document.str(tag).to_owned();
    ReportForExport {
        code: super::code(document, tags::CONCEPT_NAME_CODE_SEQUENCE),
        date: text(tags::CONTENT_DATE),
        time: text(tags::CONTENT_TIME),
        timezone: text(tags::TIMEZONE_OFFSET_FROM_UTC),
        ..ReportForExport::default()
    }
}

fn read(text: &Dataset, known: &[&Dataset]) -> ReportForExport {
    let is_signed = |document: &Dataset| document.str(tags::VERIFICATION_FLAG) == "VERIFIED";
    let before: Vec<&str> = predecessors(text).collect();
    // what was before may be a draft; one that is not here was something
    let draft = |uid: &&str| {
        let known = known.iter().find(|one| one.str(tags::SOP_INSTANCE_UID) == *uid);
        known.is_some_and(|one| !is_signed(one))
    };
    let state = match () {
        () if text.str(tags::COMPLETION_FLAG) == "PARTIAL" => ReportState::Partial,
        () if !is_signed(text) => ReportState::Preliminary,
        () if before.iter().all(draft) => ReportState::Final,
        () => ReportState::Corrected,
    };
    let verifier = text.items(tags::VERIFYING_OBSERVER_SEQUENCE).last();
    let of_verifier = |tag: Tag| verifier.map_or("", |item| item.str(tag));
    let named = text.items(tags::CONTENT_SEQUENCE).iter().map(|item| item.str(tags::PERSON_NAME));
    let mut named = named.chain([of_verifier(tags::VERIFYING_OBSERVER_NAME)]);
    let interpreter = named.rfind(|name| !name.is_empty()).unwrap_or_default();
    let sections = sections(text);
    let concluding = |heading: &str| {
        let heading = heading.to_ascii_lowercase();
        ["impression", "conclusion"].iter().any(|word| heading.contains(word))
    };
    let conclusion = sections.iter().filter(|(heading, _)| concluding(heading));
    let conclusion = conclusion.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n");
    ReportForExport {
        documents: vec![Uid::new(text.str(tags::SOP_INSTANCE_UID))],
        state,
        interpreter: PersonName::new(interpreter),
        organization: of_verifier(tags::VERIFYING_ORGANIZATION).to_owned(),
        conclusion,
        sections,
        ..signed(text)
    }
}

/// The documents that this one replaces. PS3.3 C.17.2.2.
fn predecessors(text: &Dataset) -> impl Iterator<Item = &str> {
    let studies = text.items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE).iter();
    let series = studies.flat_map(|study| study.items(tags::REFERENCED_SERIES_SEQUENCE));
    let objects = series.flat_map(|series| series.items(tags::REFERENCED_SOP_SEQUENCE));
    objects.map(|object| object.str(tags::REFERENCED_SOP_INSTANCE_UID))
}

/// All text of the tree, under the headings of its containers.
fn sections(text: &Dataset) -> Vec<(String, String)> {
    fn walk(of: &Dataset, heading: &str, depth: u8, said: &mut Vec<(String, String)>) {
        for item in of.items(tags::CONTENT_SEQUENCE) {
            let name = item.items(tags::CONCEPT_NAME_CODE_SEQUENCE).first();
            let name = name.map_or("", |name| name.str(tags::CODE_MEANING));
            match item.str(tags::VALUE_TYPE) {
                "CONTAINER" if depth < 8 => walk(item, name, depth + 1, said),
                "TEXT" => {
                    let text = item.str(tags::TEXT_VALUE).trim();
                    let heading = if heading.is_empty() { name } else { heading };
                    match said.last_mut().filter(|(last, _)| last == heading) {
                        _ if text.is_empty() => {}
                        Some((_, before)) => *before += &format!("\n{text}"),
                        None => said.push((heading.to_owned(), text.to_owned())),
                    }
                }
                _ => {}
            }
        }
    }
    let mut said = Vec::new();
    walk(text, "", 0, &mut said);
    said
}

/// Other papers lie in studies as well: referrals, questionnaires.
fn is_report(pdf: &Dataset) -> bool {
    let code = super::code(pdf, tags::CONCEPT_NAME_CODE_SEQUENCE);
    let titles = [pdf.str(tags::DOCUMENT_TITLE), code.meaning.as_str()];
    ["18748-4", "11528-7", "68604-8"].contains(&code.value.as_str())
        || titles.iter().any(|title| title.to_ascii_lowercase().contains("report"))
}

/// With its bytes where they are at hand, else with its address below that of the site.
fn attachment(pdf: &Dataset) -> AttachmentForExport {
    let mut bytes = match pdf.get(tags::ENCAPSULATED_DOCUMENT).map(|element| &element.value) {
        Some(Value::Bytes(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    };
    if let Some(length) = pdf.number(tags::ENCAPSULATED_DOCUMENT_LENGTH) {
        bytes.truncate(length as usize);
    }
    let uid = |tag: Tag| pdf.str(tag);
    let url = match bytes.is_empty() {
        false => String::new(),
        true => format!(
            "/studies/{}/series/{}/instances/{}/rendered",
            uid(tags::STUDY_INSTANCE_UID),
            uid(tags::SERIES_INSTANCE_UID),
            uid(tags::SOP_INSTANCE_UID)
        ),
    };
    AttachmentForExport {
        media_type: "application/pdf".to_owned(),
        title: pdf.str(tags::DOCUMENT_TITLE).to_owned(),
        bytes,
        url,
    }
}
