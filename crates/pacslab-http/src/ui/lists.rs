//! The tables of the page.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::{Path, State};
use pacslab_model::{Key, Level, Outcome, PersonName, Query, Test, Vr, tags};
use pacslab_ris::WorklistEntry;
use pacslab_store::{EventFilter, Row};

use super::{escape, html};
use crate::door::{At, Door};
use crate::error::{Error, Result};

/// Rows of a table; a page is no archive browser.
const MOST: usize = 200;
/// The live list of events.
const EVENTS: usize = 20;

pub(super) async fn worklist(State(door): At) -> Result {
    Ok(html(worklist_html(&door).await?))
}

pub(super) async fn studies(State(door): At) -> Result {
    Ok(html(studies_html(&door).await?))
}

pub(super) async fn events(State(door): At) -> Result {
    Ok(html(events_html(&door).await?))
}

pub(super) async fn worklist_html(door: &Arc<Door>) -> Result<String> {
    let entries = crate::worklist::entries(door).await?;
    if entries.is_empty() {
        let to = usual(" --to localhost:", door.site.mllp_port.unwrap_or(0), 2575);
        return Ok(empty(
            "Nothing is scheduled. Send an order, and it appears here by itself:",
            &[format!("pacslab hl7 send{to}")],
        ));
    }
    let mut rows = String::new();
    for entry in entries.iter().take(MOST) {
        worklist_row(&mut rows, entry);
    }
    let head = ["Start", "Patient", "Accession", "Procedure", "Modality", "Station", "Status"];
    Ok(table("Worklist", &head, &rows, entries.len()))
}

fn worklist_row(rows: &mut String, entry: &WorklistEntry) {
    let described =
        if entry.description.is_empty() { &entry.requested_procedure } else { &entry.description };
    let _ = write!(
        rows,
        "<tr><td class=\"when\">{} {}</td><td class=\"who\">{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td><span class=\"tag {}\">{}</span></td></tr>",
        date(&entry.start_date),
        minute(&entry.start_time),
        patient(&entry.patient_name, &entry.patient_id),
        escape(&entry.accession),
        escape(described),
        escape(&entry.modality),
        escape(&entry.station),
        escape(&entry.status.to_lowercase()),
        escape(&entry.status.to_lowercase()),
    );
}

pub(super) async fn studies_html(door: &Arc<Door>) -> Result<String> {
    let query = Query { limit: Some(MOST), ..Query::new(Level::Study) };
    let studies = door.archive.find(query).await?;
    if studies.is_empty() {
        let port = usual(" --port ", door.site.dicom_port, 4242);
        return Ok(empty(
            "No images yet. Let the scanner do what is scheduled, then send what it made, or any \
             files of your own:",
            &[format!("pacslab acquire{port}"), format!("pacslab send data/samples{port}")],
        ));
    }
    let total = door.archive.counts().await?.studies as usize;
    let mut rows = String::new();
    for study in &studies {
        study_row(&mut rows, study);
    }
    let head = ["Date", "Patient", "Accession", "Description", "Modality", "Series", "Images"];
    Ok(table("Studies", &head, &rows, total))
}

fn study_row(rows: &mut String, study: &Row) {
    let uid = escape(study.str(tags::STUDY_INSTANCE_UID));
    let modalities: Vec<&str> = study.modalities().collect();
    let _ = write!(
        rows,
        "<tr data-study=\"{uid}\"><td class=\"when\">{} {}</td>\
         <td class=\"who\"><button type=\"button\" class=\"open\">{}</button></td>\
         <td>{}</td><td>{}</td><td>{}</td><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td></tr>",
        date(study.str(tags::STUDY_DATE)),
        minute(study.str(tags::STUDY_TIME)),
        patient(study.str(tags::PATIENT_NAME), study.str(tags::PATIENT_ID)),
        escape(study.str(tags::ACCESSION_NUMBER)),
        escape(study.str(tags::STUDY_DESCRIPTION)),
        escape(&some_of(&modalities)),
        study.number(tags::NUMBER_OF_STUDY_RELATED_SERIES).unwrap_or(0),
        study.number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).unwrap_or(0),
    );
}

/// One study: who and what, and its series to choose from.
pub(super) async fn study(State(door): At, Path(uid): Path<String>) -> Result {
    let key = Key { tag: tags::STUDY_INSTANCE_UID, vr: Vr::UI, test: Test::Value(uid.clone()) };
    let found = door.archive.find(Query::new(Level::Study).key(key.clone())).await?;
    let study = found
        .first()
        .ok_or_else(|| Error::NotFound(format!("study {uid} is not in the archive")))?;
    let series = door.archive.find(Query::new(Level::Series).key(key)).await?;
    let mut text = String::from("<dl>");
    for (name, value) in [
        ("Patient", name(study.str(tags::PATIENT_NAME))),
        ("ID", study.str(tags::PATIENT_ID).to_owned()),
        ("Born", plain_date(study.str(tags::PATIENT_BIRTH_DATE))),
        ("Sex", study.str(tags::PATIENT_SEX).to_owned()),
        ("Study", study.str(tags::STUDY_DESCRIPTION).to_owned()),
        ("Date", plain_date(study.str(tags::STUDY_DATE))),
        ("Accession", study.str(tags::ACCESSION_NUMBER).to_owned()),
        ("Referred by", name(study.str(tags::REFERRING_PHYSICIAN_NAME))),
        ("Study UID", study.str(tags::STUDY_INSTANCE_UID).to_owned()),
    ] {
        if !value.is_empty() {
            let _ = write!(text, "<div><dt>{name}</dt><dd>{}</dd></div>", escape(&value));
        }
    }
    text.push_str("</dl><ul class=\"series\" aria-label=\"Series\">");
    for one in &series {
        let number = one.str(tags::SERIES_NUMBER);
        let described = match one.str(tags::SERIES_DESCRIPTION) {
            "" => one.str(tags::PROTOCOL_NAME),
            described => described,
        };
        let described = if described.is_empty() { "no description" } else { described };
        let count = one.number(tags::NUMBER_OF_SERIES_RELATED_INSTANCES).unwrap_or(0);
        let _ = write!(
            text,
            "<li><button type=\"button\" data-series=\"{}\" data-modality=\"{}\">\
             <span class=\"tag\">{}</span> <span>{} {}</span> <small>{count} {}</small></button></li>",
            escape(one.str(tags::SERIES_INSTANCE_UID)),
            escape(one.str(tags::MODALITY)),
            escape(one.str(tags::MODALITY)),
            escape(number),
            escape(described),
            if count == 1 { "object" } else { "objects" },
        );
    }
    text.push_str("</ul>");
    Ok(html(text))
}

pub(super) async fn events_html(door: &Arc<Door>) -> Result<String> {
    let log = door.events.clone();
    let filter = EventFilter { limit: EVENTS, ..EventFilter::default() };
    let recent = tokio::task::spawn_blocking(move || log.recent(&filter))
        .await
        .map_err(|_| Error::Closing("the server is shutting down".to_owned()))??;
    if recent.is_empty() {
        return Ok("<p class=\"empty\">Nothing has happened yet.</p>".to_owned());
    }
    let mut text = String::from("<ol class=\"events\">");
    for kept in &recent {
        let event = &kept.event;
        let mark = match event.outcome {
            Outcome::Ok => "ok",
            Outcome::Warning => "warning",
            Outcome::Failed => "failed",
        };
        let _ = write!(
            text,
            "<li class=\"{mark}\"><time datetime=\"{}\">{}</time> <span class=\"kind\">{}</span> \
             <span>{}",
            event.at.rfc3339(),
            time(&event.at.tm()),
            escape(&event.kind),
            escape(&event.message),
        );
        for (_, why) in event.fields.iter().filter(|(name, _)| name == "because") {
            let _ = write!(text, "<small class=\"why\">{}</small>", escape(why));
        }
        text.push_str("</span></li>");
    }
    text.push_str("</ol>");
    Ok(text)
}

fn table(caption: &str, head: &[&str], rows: &str, total: usize) -> String {
    let mut text = format!("<table><caption class=\"hidden\">{caption}</caption><thead><tr>");
    for name in head {
        let class = if matches!(*name, "Series" | "Images") { " class=\"number\"" } else { "" };
        let _ = write!(text, "<th scope=\"col\"{class}>{name}</th>");
    }
    let _ = write!(text, "</tr></thead><tbody>{rows}</tbody></table>");
    if total > MOST {
        let _ = write!(text, "<p class=\"note\">The first {MOST} of {total} are shown.</p>");
    }
    text
}

/// What to type so that something appears here.
fn empty(what: &str, commands: &[String]) -> String {
    let mut text = format!("<div class=\"empty\"><p>{what}</p>");
    for command in commands {
        let _ = write!(text, "<p><code>{}</code></p>", escape(command));
    }
    text.push_str("</div>");
    text
}

/// What a command needs when a door is not where commands look for it.
fn usual(option: &str, port: u16, usual: u16) -> String {
    if port == usual || port == 0 { String::new() } else { format!("{option}{port}") }
}

fn patient(person: &str, id: &str) -> String {
    let name = name(person);
    let name = if name.is_empty() { "no name" } else { &name };
    format!("{} <small>{}</small>", escape(name), escape(id))
}

/// `DOE^JANE` as `DOE, JANE`; the first group that is there.
fn name(person: &str) -> String {
    let group = PersonName::new(person);
    let text = (0..3).map(|index| group.group(index)).find(|text| !text.is_empty());
    let parts: Vec<&str> = text
        .unwrap_or_default()
        .split('^')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        [family] => (*family).to_owned(),
        [family, given @ ..] => format!("{family}, {}", given.join(" ")),
    }
}

fn plain_date(da: &str) -> String {
    match (da.get(..4), da.get(4..6), da.get(6..8)) {
        (Some(year), Some(month), Some(day)) => format!("{year}-{month}-{day}"),
        _ => da.to_owned(),
    }
}

fn date(da: &str) -> String {
    escape(&plain_date(da))
}

/// Odd studies have a dozen modalities; the first ones tell enough.
fn some_of(modalities: &[&str]) -> String {
    const SHOWN: usize = 3;
    let shown = modalities[..modalities.len().min(SHOWN)].join(", ");
    match modalities.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} +{more}"),
    }
}

fn minute(tm: &str) -> String {
    time(tm.get(..4).unwrap_or(tm))
}

fn time(tm: &str) -> String {
    match (tm.get(..2), tm.get(2..4)) {
        (Some(hour), Some(minute)) => escape(&match tm.get(4..6) {
            Some(second) => format!("{hour}:{minute}:{second}"),
            None => format!("{hour}:{minute}"),
        }),
        _ => escape(tm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_name_the_port_where_it_is_another() {
        assert_eq!(usual(" --port ", 4242, 4242), "");
        assert_eq!(usual(" --port ", 40213, 4242), " --port 40213");
        let text = empty("Nothing.", &["pacslab hl7 send".to_owned()]);
        assert!(text.contains("<code>pacslab hl7 send</code>"), "{text}");
    }

    #[test]
    fn values_for_people() {
        assert_eq!(name("DOE^JANE^^DR"), "DOE, JANE DR");
        assert_eq!(name("=山田^太郎"), "山田, 太郎");
        assert_eq!(name("^^"), "");
        assert_eq!(date("20260105"), "2026-01-05");
        assert_eq!(date("<b>"), "&lt;b&gt;");
        assert_eq!(
            (time("083015.5"), time("0830"), time("x")),
            ("08:30:15".into(), "08:30".into(), "x".into())
        );
    }
}
