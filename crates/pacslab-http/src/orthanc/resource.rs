//! Patients, studies, series and instances: lists, single ones, their children and parents.

use std::collections::{HashMap, HashSet};

use axum::extract::{Path, Query as Params, State};
use pacslab_dicom::dict;
use pacslab_model::{Key, Level, Moment, Query, Tag, Test, tags};
use pacslab_store::{Row, Scope};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ids, plural, singular, styled};
use crate::door::{At, Door};
use crate::error::{Error, Result};

/// A study that nothing was added to for so long is complete, as far as one can tell.
const STABLE_AGE: i64 = 60_000_000;

/// What a resource shows of itself, by level: Orthanc's main tags, where the index holds them.
const fn main_tags(level: Level) -> &'static [Tag] {
    use tags::*;
    match level {
        Level::Patient => &[PATIENT_NAME, PATIENT_ID, PATIENT_BIRTH_DATE, PATIENT_SEX],
        Level::Study => &[
            STUDY_INSTANCE_UID,
            STUDY_DATE,
            STUDY_TIME,
            STUDY_ID,
            STUDY_DESCRIPTION,
            ACCESSION_NUMBER,
            REFERRING_PHYSICIAN_NAME,
            REQUESTED_PROCEDURE_DESCRIPTION,
            REQUESTING_PHYSICIAN,
            INSTITUTION_NAME,
        ],
        Level::Series => &[
            SERIES_INSTANCE_UID,
            SERIES_DATE,
            SERIES_TIME,
            SERIES_NUMBER,
            SERIES_DESCRIPTION,
            MODALITY,
            MANUFACTURER,
            STATION_NAME,
            BODY_PART_EXAMINED,
            PROTOCOL_NAME,
            OPERATORS_NAME,
            PERFORMED_PROCEDURE_STEP_DESCRIPTION,
            CONTRAST_BOLUS_AGENT,
            IMAGE_ORIENTATION_PATIENT,
        ],
        Level::Instance => &[
            SOP_INSTANCE_UID,
            INSTANCE_NUMBER,
            INSTANCE_CREATION_DATE,
            INSTANCE_CREATION_TIME,
            ACQUISITION_NUMBER,
            NUMBER_OF_FRAMES,
            IMAGE_COMMENTS,
            IMAGE_POSITION_PATIENT,
        ],
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ListParams {
    expand: Option<String>,
    since: Option<usize>,
    limit: Option<usize>,
}

impl ListParams {
    /// `?expand`, `?expand=true`; Orthanc's clients also send `expand=false`.
    pub(crate) fn expands(&self, default: bool) -> bool {
        match self.expand.as_deref() {
            None => default,
            Some("false" | "0") => false,
            Some(_) => true,
        }
    }

    /// 0 means no limit, since Orthanc 1.12.5.
    fn limit(&self) -> Option<usize> {
        self.limit.filter(|limit| *limit > 0)
    }
}

pub(crate) async fn list(
    level: Level,
    State(door): At,
    Params(params): Params<ListParams>,
) -> Result {
    let since = params.since.unwrap_or(0);
    if params.expands(false) || level < Level::Instance {
        let query = Query { offset: since, limit: params.limit(), ..Query::new(level) };
        let rows = door.archive.find(query).await?;
        return if params.expands(false) {
            Ok(styled(&expanded(&door, &rows).await?))
        } else {
            Ok(styled(&rows.iter().map(|row| ids::of(row, level)).collect()))
        };
    }
    Ok(styled(&instance_ids(&door, since, params.limit()).await?.into()))
}

/// Study by study, because rows of all instances together would need a lot of memory.
async fn instance_ids(door: &Door, since: usize, limit: Option<usize>) -> Result<Vec<String>> {
    let mut skip = since;
    let mut left = limit.unwrap_or(usize::MAX);
    let mut found = Vec::new();
    for study in door.archive.find(Query::new(Level::Study)).await? {
        if left == 0 {
            break;
        }
        let count = study.number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).unwrap_or(0) as usize;
        if skip >= count {
            skip -= count;
            continue;
        }
        let uid = study.str(tags::STUDY_INSTANCE_UID);
        let stored = door.archive.instances(Scope::study(uid)).await?;
        for one in stored.iter().skip(skip).take(left) {
            found.push(ids::instance(
                study.str(tags::PATIENT_ID),
                uid,
                one.series_uid.as_str(),
                one.sop_instance.as_str(),
            ));
            left -= 1;
        }
        skip = 0;
    }
    Ok(found)
}

pub(crate) async fn one(level: Level, State(door): At, Path(id): Path<String>) -> Result {
    let row = row(&door, level, &id).await?;
    Ok(styled(&expand(&door, &row).await?))
}

pub(crate) async fn children(
    level: Level,
    below: Level,
    State(door): At,
    Path(id): Path<String>,
    Params(params): Params<ListParams>,
) -> Result {
    let row = row(&door, level, &id).await?;
    let query = Query {
        offset: params.since.unwrap_or(0),
        limit: params.limit(),
        ..Query::new(below).key(key_of(&row, level))
    };
    let rows = door.archive.find(query).await?;
    // unlike the lists of everything, these are expanded unless it is refused
    if params.expands(true) {
        return Ok(styled(&expanded(&door, &rows).await?));
    }
    Ok(styled(&rows.iter().map(|row| ids::of(row, below)).collect()))
}

pub(crate) async fn parent(
    level: Level,
    above: Level,
    State(door): At,
    Path(id): Path<String>,
) -> Result {
    let child = row(&door, level, &id).await?;
    let query = Query::new(above).key(key_of(&child, above));
    let parent = door.archive.find(query).await?.into_iter().next().ok_or(Error::Unknown)?;
    Ok(styled(&expand(&door, &parent).await?))
}

/// How much there is of a resource.
pub(crate) async fn statistics(level: Level, State(door): At, Path(id): Path<String>) -> Result {
    let row = row(&door, level, &id).await?;
    let key = row.str(level.key());
    let stored = door.archive.instances(Scope::of(level, key)).await?;
    let size: u64 = stored.iter().map(|one| one.size).sum();
    let mut object = Map::new();
    for kind in ["Dicom", ""] {
        for what in ["DiskSize", "UncompressedSize"] {
            object.insert(format!("{kind}{what}"), size.to_string().into());
            object.insert(format!("{kind}{what}MB"), (size >> 20).into());
        }
    }
    let series: HashSet<&str> = stored.iter().map(|one| one.series_uid.as_str()).collect();
    let studies: HashSet<&str> = stored.iter().map(|one| one.study_uid.as_str()).collect();
    for (counted, count) in [
        (Level::Study, studies.len()),
        (Level::Series, series.len()),
        (Level::Instance, stored.len()),
    ] {
        if counted > level {
            let mut name = plural(counted).to_owned();
            name[..1].make_ascii_uppercase();
            object.insert(format!("Count{name}"), count.into());
        }
    }
    Ok(styled(&Value::Object(object)))
}

/// The resource with this identifier.
pub(crate) async fn row(door: &Door, level: Level, id: &str) -> Result<Row> {
    let key = door.ids.resolve(level, id).await?.ok_or(Error::Unknown)?;
    let query = Query { limit: Some(1), ..Query::new(level).key(exact(level, &key)) };
    door.archive.find(query).await?.into_iter().next().ok_or(Error::Unknown)
}

fn key_of(row: &Row, level: Level) -> Key {
    exact(level, row.str(level.key()))
}

/// A key that takes the value as it is: a patient ID may hold `*` or a backslash.
fn exact(level: Level, value: &str) -> Key {
    let tag = level.key();
    let vr = dict::vr(tag).unwrap_or(pacslab_model::Vr::UI);
    Key { tag, vr, test: Test::Value(value.to_owned()) }
}

/// Several resources in full. The children are asked for once for each.
pub(crate) async fn expanded(door: &Door, rows: &[Row]) -> Result<Value> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        all.push(expand(door, row).await?);
    }
    Ok(all.into())
}

/// A resource in full.
pub(crate) async fn expand(door: &Door, row: &Row) -> Result<Value> {
    let level = row.level;
    let labels = door.archive.labels_of(level, row.str(level.key())).await?;
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("ID", ids::of(row, level).into());
    put("Type", singular(level).into());
    put("Labels", labels.into());
    put("MainDicomTags", tags_of(row, level));
    if level == Level::Study {
        put("PatientMainDicomTags", tags_of(row, Level::Patient));
    }
    if let Some(above) = Level::ALL.into_iter().rev().find(|above| *above < level) {
        put(&format!("Parent{}", singular(above)), ids::of(row, above).into());
    }
    if let Some(stored) = &row.stored {
        put("FileSize", stored.size.into());
        put("FileUuid", uuid(&stored.digest).into());
        let index = row.number(tags::INSTANCE_NUMBER);
        put("IndexInSeries", index.map_or(Value::Null, Value::from));
    } else {
        let age = door.clock.now().micros - row.received_at.micros;
        put("IsStable", (age >= STABLE_AGE).into());
        put("LastUpdate", timestamp(row.received_at).into());
    }
    if level == Level::Series {
        put("ExpectedNumberOfInstances", Value::Null);
        put("Status", "Unknown".into());
    }
    if let Some(below) = Level::ALL.into_iter().find(|below| *below > level) {
        let rows = door.archive.find(Query::new(below).key(key_of(row, level))).await?;
        let children: Vec<String> = rows.iter().map(|row| ids::of(row, below)).collect();
        let mut name = plural(below).to_owned();
        name[..1].make_ascii_uppercase();
        put(&name, children.into());
    }
    Ok(Value::Object(object))
}

/// What is known of how a resource arrived.
pub(crate) fn metadata(row: &Row) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut put = |name: &str, value: String| all.push((name.to_owned(), value));
    let Some(stored) = &row.stored else {
        put("LastUpdate", timestamp(row.received_at));
        return all;
    };
    if let Some(number) = row.number(tags::INSTANCE_NUMBER) {
        put("IndexInSeries", number.to_string());
    }
    let source = &stored.source;
    put("ReceptionDate", timestamp(stored.received_at));
    put("RemoteAET", source.calling_ae.clone());
    let origin = if source.calling_ae.is_empty() { "RestApi" } else { "DicomProtocol" };
    put("Origin", origin.to_owned());
    put("TransferSyntax", stored.transfer_syntax.to_string());
    put("SopClassUid", stored.sop_class.to_string());
    if let Ok(from) = source.remote.parse::<std::net::SocketAddr>() {
        put("RemoteIP", from.ip().to_string());
    }
    all
}

fn tags_of(row: &Row, level: Level) -> Value {
    let values: HashMap<Tag, &str> = row.iter().collect();
    let held = main_tags(level).iter().filter_map(|tag| {
        let value = values.get(tag)?;
        Some((dict::name(*tag), Value::from(*value)))
    });
    Value::Object(held.collect())
}

/// Orthanc's form, in UTC as there.
pub(crate) fn timestamp(at: Moment) -> String {
    let utc = Moment::new(at.micros, 0);
    format!("{}T{}", utc.da(), utc.tm())
}

/// A name for the stored bytes that stays the same: made of their digest.
fn uuid(digest: &[u8; 32]) -> String {
    let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
