//! Search (QIDO-RS). PS3.18 10.6.

use std::collections::BTreeSet;

use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, HeaderValue, header};
use pacslab_dicom::{Dataset, dict, json};
use pacslab_model::{Key, Level, Query, Tag, Test, Vr, tags};
use pacslab_store::Row;

use super::accept::{AcceptParam, Media, accepted, takes_json};
use super::{Place, dicom_json, warning};
use crate::door::At;
use crate::error::{Error, Result};

/// The most results of one answer.
const MOST: usize = 10_000;

/// A search as the address has it.
struct Search {
    query: Query,
    /// Attributes asked for beyond those that every result has; `None`: all.
    include: Option<BTreeSet<Tag>>,
    warnings: Vec<String>,
    accept: Option<String>,
}

pub(super) async fn search(
    level: Level,
    State(door): At,
    place: Option<Path<Place>>,
    Params(params): Params<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result {
    let place = place.map(|Path(place)| place).unwrap_or_default();
    let mut search = read(level, &place, &params)?;
    let ranges = match &search.accept {
        Some(text) => vec![Media::parse(text)],
        None => accepted(&AcceptParam::default(), &headers),
    };
    if !takes_json(&ranges) {
        return Err(Error::NotAcceptable("results come as application/dicom+json only".to_owned()));
    }
    let most = search.query.limit.unwrap_or(MOST).min(MOST);
    search.query.limit = Some(most + 1);
    let mut rows = door.archive.find(search.query).await?;
    if rows.len() > most {
        rows.truncate(most);
        search.warnings.push(
            "there are more results than the limit; ask again with a greater offset".to_owned(),
        );
    }
    let root = door.dicomweb_url();
    let results = rows
        .iter()
        .map(|row| json::to_json(&result(row, &place, search.include.as_ref(), &root)))
        .collect();
    let mut response = dicom_json(&results);
    for text in &search.warnings {
        if let Ok(value) = HeaderValue::from_str(&warning(text)) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    Ok(response)
}

fn read(level: Level, place: &Place, params: &[(String, String)]) -> Result<Search> {
    let mut search = Search {
        query: Query::new(level),
        include: Some(BTreeSet::new()),
        warnings: Vec::new(),
        accept: None,
    };
    for (tag, uid) in
        [(tags::STUDY_INSTANCE_UID, &place.study), (tags::SERIES_INSTANCE_UID, &place.series)]
    {
        if !uid.is_empty() {
            search.query.keys.push(Key { tag, vr: Vr::UI, test: Test::Value(uid.clone()) });
        }
    }
    for (name, value) in params {
        match name.as_str() {
            "limit" => search.query.limit = Some(number(name, value)?),
            "offset" => search.query.offset = number(name, value)?,
            "includefield" => include(&mut search.include, value)?,
            // names match in either case and with wildcards as ever, and now without accents
            "fuzzymatching" => search.query.rules.fold_accents = value == "true",
            "accept" => search.accept = Some(value.clone()),
            "charset" => {}
            _ => key(&mut search, name, value)?,
        }
    }
    Ok(search)
}

fn number(name: &str, value: &str) -> Result<usize> {
    value
        .parse()
        .map_err(|_| Error::BadRequest(format!("'{name}' is '{value}', but must be a number")))
}

fn include(fields: &mut Option<BTreeSet<Tag>>, value: &str) -> Result<()> {
    if value == "all" {
        *fields = None;
    }
    if let Some(fields) = fields {
        // attributes of sequences are asked for by their path: the sequence is the first of it
        for field in value.split(',').filter(|field| !field.is_empty()) {
            let first = field.split('.').next().unwrap_or_default();
            fields.insert(tag(first)?);
        }
    }
    Ok(())
}

fn tag(name: &str) -> Result<Tag> {
    dict::tag(name).ok_or_else(|| {
        Error::BadRequest(format!(
            "'{name}' is no attribute: use its keyword or its tag, like PatientID or 00100020"
        ))
    })
}

fn key(search: &mut Search, name: &str, value: &str) -> Result<()> {
    let path = name.split_once('.');
    let tag = tag(path.map_or(name, |(first, _)| first))?;
    if let Some(fields) = &mut search.include {
        fields.insert(tag);
    }
    let vr = dict::vr(tag).unwrap_or(Vr::LO);
    // lists of UIDs come with commas here, with backslashes in C-FIND. PS3.18 8.3.4.1
    let value = if vr == Vr::UI { value.replace(',', "\\") } else { value.to_owned() };
    let key = Key::parse(tag, vr, &value)?;
    let searchable = path.is_none() && Level::of(tag).is_some_and(|at| at <= search.query.level);
    if searchable {
        search.query.keys.push(key);
    } else if !key.is_universal() {
        search.warnings.push(format!("{name} cannot be searched at this level and was ignored"));
    }
    Ok(())
}

/// One result. PS3.18 10.6.3.3: what the level holds, and above it what the address does not say.
fn result(row: &Row, place: &Place, include: Option<&BTreeSet<Tag>>, root: &str) -> Dataset {
    let mut set = Dataset::new();
    let said = match (place.study.is_empty(), place.series.is_empty()) {
        (true, _) => None,
        (false, true) => Some(Level::Study),
        (false, false) => Some(Level::Series),
    };
    for (tag, value) in row.iter() {
        let level = Level::of(tag);
        let wanted = level > said
            || level.is_some_and(|level| level.key() == tag && level > Level::Patient)
            || include.is_none_or(|fields| fields.contains(&tag));
        if wanted {
            put(&mut set, tag, value);
        }
    }
    for tag in include.into_iter().flatten() {
        // asked for and known here, but empty
        if !set.contains(*tag) && Level::of(*tag).is_some_and(|level| level <= row.level) {
            put(&mut set, *tag, "");
        }
    }
    if row.level == Level::Study && !set.contains(tags::MODALITIES_IN_STUDY) {
        // viewers read it without looking whether it is there
        put(&mut set, tags::MODALITIES_IN_STUDY, row.str(tags::MODALITIES_IN_STUDY));
    }
    set.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    set.put_str(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
    set.put_str(RETRIEVE_URL, Vr::UR, format!("{root}/{}", address(row)));
    set
}

const RETRIEVE_URL: Tag = Tag::new(0x0008, 0x1190);

fn address(row: &Row) -> String {
    let mut address = format!("studies/{}", row.str(tags::STUDY_INSTANCE_UID));
    if row.level >= Level::Series {
        address.push_str(&format!("/series/{}", row.str(tags::SERIES_INSTANCE_UID)));
    }
    if row.level == Level::Instance {
        address.push_str(&format!("/instances/{}", row.str(tags::SOP_INSTANCE_UID)));
    }
    address
}

fn put(set: &mut Dataset, tag: Tag, text: &str) {
    let vr = dict::vr(tag).unwrap_or(Vr::LO);
    match vr {
        Vr::US => {
            let values = text.split('\\').filter_map(|value| value.trim().parse::<u16>().ok());
            set.put_bytes(tag, vr, values.flat_map(u16::to_le_bytes).collect());
        }
        Vr::SQ => {}
        _ => set.put_str(tag, vr, text),
    }
}
