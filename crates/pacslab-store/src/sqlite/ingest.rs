//! Taking instances into the index.

use std::collections::{BTreeSet, HashMap};

use pacslab_model::matching::{Rules, fold_name};
use pacslab_model::time::Date;
use pacslab_model::{Level, Moment, Tag, tags};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sql;
use super::index::{known, signed};
use crate::index::{Ingested, NewInstance, Texts};

/// The resources that the last instances belong to: almost always those of the next one as well.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(super) patients: HashMap<String, Held>,
    pub(super) studies: HashMap<String, Held>,
    series: HashMap<String, Held>,
}

/// A resource as it is in its row.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) id: i64,
    /// The unique key of the resource above.
    pub(super) parent: String,
    pub(super) texts: Texts,
    /// Of a study.
    modalities: BTreeSet<String>,
    sop_classes: BTreeSet<String>,
}

/// Resources of each level kept at hand.
const CACHED: usize = 256;

impl Cache {
    pub(crate) fn clear(&mut self) {
        self.patients.clear();
        self.studies.clear();
        self.series.clear();
    }

    fn trim(&mut self) {
        if [&self.patients, &self.studies, &self.series].iter().any(|map| map.len() > CACHED) {
            self.clear();
        }
    }
}

pub(super) fn ingest(
    c: &Connection,
    cache: &mut Cache,
    batch: &[NewInstance],
) -> Sql<Vec<Ingested>> {
    cache.trim();
    let mut added = Added::default();
    let answer = batch
        .iter()
        .map(|new| match known(c, clean(new.sop_instance.as_str()))? {
            Some(known) => Ok(Ingested::Duplicate(known)),
            None => one(c, cache, new, &mut added),
        })
        .collect::<Sql<Vec<_>>>()?;
    added.write(c)?;
    Ok(answer)
}

fn one(c: &Connection, cache: &mut Cache, new: &NewInstance, added: &mut Added) -> Sql<Ingested> {
    let mut levels = Levels::of(new);
    let mut fresh = [false; 3];

    let series_uid = clean(new.series_uid.as_str());
    let modality = levels.series.get(&tags::MODALITY).cloned().unwrap_or_default();
    let (study_uid, modality) = match load(c, &mut cache.series, SERIES, series_uid)? {
        Some(held) => {
            (held.parent.clone(), held.texts.get(&tags::MODALITY).cloned().unwrap_or(modality))
        }
        None => (clean(new.study_uid.as_str()).to_owned(), modality),
    };
    let patient_id = match load(c, &mut cache.studies, STUDY, &study_uid)? {
        Some(study) => study.parent.clone(),
        None => clean(&new.patient_id).to_owned(),
    };

    // A study that came first under another patient, or a series under another study, stays
    // there; what this object says about its own patient or study is not mixed in.
    let patient = match load(c, &mut cache.patients, PATIENT, &patient_id)? {
        Some(held) => {
            if patient_id == clean(&new.patient_id) && fill(&mut held.texts, &levels.patient) {
                write_patient(c, held)?;
            }
            held.id
        }
        None => {
            fresh[0] = true;
            let held = Held { texts: std::mem::take(&mut levels.patient), ..Held::default() };
            insert_patient(c, cache, &patient_id, held)?
        }
    };
    let (study, accession) = match load(c, &mut cache.studies, STUDY, &study_uid)? {
        Some(held) => {
            let mut changed =
                study_uid == clean(new.study_uid.as_str()) && fill(&mut held.texts, &levels.study);
            changed |= collect(&mut held.modalities, &modality);
            changed |= collect(&mut held.sop_classes, clean(new.sop_class.as_str()));
            if changed {
                write_study(c, held)?;
            }
            (held.id, held.texts.get(&tags::ACCESSION_NUMBER).cloned())
        }
        None => {
            fresh[1] = true;
            let mut held = Held {
                parent: patient_id.clone(),
                texts: std::mem::take(&mut levels.study),
                ..Held::default()
            };
            collect(&mut held.modalities, &modality);
            collect(&mut held.sop_classes, clean(new.sop_class.as_str()));
            let accession = held.texts.get(&tags::ACCESSION_NUMBER).cloned();
            (insert_study(c, cache, &study_uid, patient, held)?, accession)
        }
    };
    let series = match load(c, &mut cache.series, SERIES, series_uid)? {
        Some(held) => {
            if fill(&mut held.texts, &levels.series) {
                write_series(c, held)?;
            }
            held.id
        }
        None => {
            fresh[2] = true;
            let held = Held {
                parent: study_uid.clone(),
                texts: std::mem::take(&mut levels.series),
                ..Held::default()
            };
            insert_series(c, cache, series_uid, study, held)?
        }
    };
    insert_instance(c, new, series, &levels.instance)?;
    let own = new.attributes.iter().find(|(tag, _)| *tag == tags::ACCESSION_NUMBER);
    let accession = own
        .map(|(_, text)| clean(text))
        .filter(|text| !text.is_empty())
        .or(accession.as_deref())
        .unwrap_or("");
    insert_arrival(c, new, accession, &patient_id, &study_uid, series_uid)?;
    added.count(patient, study, series, fresh, new);
    Ok(Ingested::New { patient: fresh[0], study: fresh[1], series: fresh[2] })
}

/// The attributes of an instance, sorted by level. The keys are those of the instance itself.
#[derive(Default)]
struct Levels {
    patient: Texts,
    study: Texts,
    series: Texts,
    instance: Texts,
}

impl Levels {
    fn of(new: &NewInstance) -> Self {
        let mut levels = Self::default();
        for (tag, text) in &new.attributes {
            levels.put(*tag, text);
        }
        for (tag, text) in [
            (tags::PATIENT_ID, new.patient_id.as_str()),
            (tags::STUDY_INSTANCE_UID, new.study_uid.as_str()),
            (tags::SERIES_INSTANCE_UID, new.series_uid.as_str()),
            (tags::SOP_INSTANCE_UID, new.sop_instance.as_str()),
            (tags::SOP_CLASS_UID, new.sop_class.as_str()),
        ] {
            levels.put(tag, text);
        }
        levels
    }

    fn put(&mut self, tag: Tag, text: &str) {
        let texts = match Level::ALL.into_iter().find(|level| level.attributes().contains(&tag)) {
            Some(Level::Patient) => &mut self.patient,
            Some(Level::Study) => &mut self.study,
            Some(Level::Series) => &mut self.series,
            Some(Level::Instance) => &mut self.instance,
            None => return,
        };
        let text = clean(text);
        if !text.is_empty() {
            texts.insert(tag, text.to_owned());
        }
    }
}

/// Padding goes; matching does not see it either.
pub(super) fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
}

/// Whether something was empty so far.
fn fill(held: &mut Texts, new: &Texts) -> bool {
    let before = held.len();
    for (tag, text) in new {
        if !held.contains_key(tag) {
            held.insert(*tag, text.clone());
        }
    }
    held.len() != before
}

pub(super) fn collect(into: &mut BTreeSet<String>, values: &str) -> bool {
    let before = into.len();
    for value in values.split('\\').map(str::trim).filter(|value| !value.is_empty()) {
        if !into.contains(value) {
            into.insert(value.to_owned());
        }
    }
    into.len() != before
}

pub(super) const PATIENT: &str =
    "SELECT id, '', attributes, '', '' FROM patients WHERE patient_id = ?1";
pub(super) const STUDY: &str = "SELECT st.id, p.patient_id, st.attributes, st.modalities, st.sop_classes \
    FROM studies st JOIN patients p ON p.id = st.patient WHERE st.uid = ?1";
const SERIES: &str = "SELECT se.id, st.uid, se.attributes, '', '' \
    FROM series se JOIN studies st ON st.id = se.study WHERE se.uid = ?1";

/// From the cache, or from the row.
pub(super) fn load<'a>(
    c: &Connection,
    cache: &'a mut HashMap<String, Held>,
    select: &'static str,
    key: &str,
) -> Sql<Option<&'a mut Held>> {
    if !cache.contains_key(key) {
        let held = c
            .prepare_cached(select)?
            .query_row([key], |row| {
                let set = |at: usize| -> Sql<BTreeSet<String>> {
                    let mut set = BTreeSet::new();
                    collect(&mut set, row.get_ref(at)?.as_str()?);
                    Ok(set)
                };
                Ok(Held {
                    id: row.get(0)?,
                    parent: row.get(1)?,
                    texts: decode(row.get_ref(2)?.as_str()?),
                    modalities: set(3)?,
                    sop_classes: set(4)?,
                })
            })
            .optional()?;
        if let Some(held) = held {
            cache.insert(key.to_owned(), held);
        }
    }
    Ok(cache.get_mut(key))
}

pub(super) fn insert_patient(
    c: &Connection,
    cache: &mut Cache,
    id: &str,
    mut held: Held,
) -> Sql<i64> {
    c.prepare_cached(
        "INSERT INTO patients(patient_id, odd, studies, series, instances, received_at,
         received_offset, attributes) VALUES(?1, ?2, 0, 0, 0, 0, 0, ?3)",
    )?
    .execute(params![id, odd(&[id]), encode(&held.texts)])?;
    held.id = c.last_insert_rowid();
    write_names(c, &held)?;
    let row = held.id;
    cache.patients.insert(id.to_owned(), held);
    Ok(row)
}

pub(super) fn write_patient(c: &Connection, held: &Held) -> Sql<()> {
    c.prepare_cached("UPDATE patients SET attributes = ?2 WHERE id = ?1")?
        .execute(params![held.id, encode(&held.texts)])?;
    write_names(c, held)
}

/// Each component group by itself, as `matching` compares them.
fn write_names(c: &Connection, held: &Held) -> Sql<()> {
    let Some(name) = held.texts.get(&tags::PATIENT_NAME) else { return Ok(()) };
    let mut insert = c.prepare_cached("INSERT OR IGNORE INTO patient_names VALUES(?1, ?2)")?;
    for group in name.split('\\').flat_map(|name| name.trim().split('=')) {
        insert.execute(params![folded(group), held.id])?;
    }
    Ok(())
}

pub(super) fn folded(name: &str) -> String {
    fold_name(name.trim_end_matches(['^', ' ']), &Rules::QUERY)
}

fn insert_study(
    c: &Connection,
    cache: &mut Cache,
    uid: &str,
    patient: i64,
    mut held: Held,
) -> Sql<i64> {
    c.prepare_cached(
        "INSERT INTO studies(uid, patient, odd, date, time, accession, series, instances,
         modalities, sop_classes, received_at, received_offset, attributes)
         VALUES(?1, ?2, 0, '', '', '', 0, 0, '', '', 0, 0, '')",
    )?
    .execute(params![uid, patient])?;
    held.id = c.last_insert_rowid();
    write_study(c, &held)?;
    let row = held.id;
    cache.studies.insert(uid.to_owned(), held);
    Ok(row)
}

pub(super) fn write_study(c: &Connection, held: &Held) -> Sql<()> {
    let text = |tag| held.texts.get(&tag).map_or("", String::as_str);
    let (date, accession) = (text(tags::STUDY_DATE), text(tags::ACCESSION_NUMBER));
    let day = Date::parse(date).map(|date| date.to_string()).unwrap_or_default();
    let odd = odd(&[date, accession, text(tags::STUDY_INSTANCE_UID)]);
    let time = text(tags::STUDY_TIME);
    c.prepare_cached(
        "UPDATE studies SET odd = ?2, date = ?3, time = ?4, accession = ?5, modalities = ?6,
         sop_classes = ?7, attributes = ?8 WHERE id = ?1",
    )?
    .execute(params![
        held.id,
        odd,
        day,
        time,
        accession,
        joined(&held.modalities),
        joined(&held.sop_classes),
        encode(&held.texts)
    ])?;
    Ok(())
}

pub(super) fn joined(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join("\\")
}

fn insert_series(
    c: &Connection,
    cache: &mut Cache,
    uid: &str,
    study: i64,
    mut held: Held,
) -> Sql<i64> {
    c.prepare_cached(
        "INSERT INTO series(uid, study, odd, number, modality, instances, received_at,
         received_offset, attributes) VALUES(?1, ?2, ?3, 0, '', 0, 0, 0, '')",
    )?
    .execute(params![uid, study, odd(&[uid])])?;
    held.id = c.last_insert_rowid();
    write_series(c, &held)?;
    let row = held.id;
    cache.series.insert(uid.to_owned(), held);
    Ok(row)
}

fn write_series(c: &Connection, held: &Held) -> Sql<()> {
    let modality = held.texts.get(&tags::MODALITY).map_or("", String::as_str);
    c.prepare_cached(
        "UPDATE series SET number = ?2, modality = ?3, attributes = ?4 WHERE id = ?1",
    )?
    .execute(params![
        held.id,
        number(&held.texts, tags::SERIES_NUMBER),
        modality,
        encode(&held.texts)
    ])?;
    Ok(())
}

fn insert_instance(c: &Connection, new: &NewInstance, series: i64, texts: &Texts) -> Sql<()> {
    let uid = clean(new.sop_instance.as_str());
    c.prepare_cached(
        "INSERT INTO instances(uid, series, odd, number, sop_class, transfer_syntax, size, digest,
         pack, pack_offset, length, crc, received_at, received_offset, calling_ae, remote,
         attributes) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16,
         ?17)",
    )?
    .execute(params![
        uid,
        series,
        odd(&[uid]),
        number(texts, tags::INSTANCE_NUMBER),
        clean(new.sop_class.as_str()),
        new.transfer_syntax.as_str(),
        signed(new.size),
        new.digest,
        new.location.pack,
        signed(new.location.offset),
        signed(new.location.len),
        new.location.crc,
        new.received_at.micros,
        new.received_at.offset,
        new.source.calling_ae,
        new.source.remote,
        encode(texts),
    ])?;
    Ok(())
}

fn insert_arrival(
    c: &Connection,
    new: &NewInstance,
    accession: &str,
    patient_id: &str,
    study: &str,
    series: &str,
) -> Sql<()> {
    c.prepare_cached(
        "INSERT INTO arrivals(at, at_offset, accession, patient_id, study, series, instance,
         sop_class, calling_ae) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        new.received_at.micros,
        new.received_at.offset,
        accession,
        patient_id,
        study,
        series,
        clean(new.sop_instance.as_str()),
        clean(new.sop_class.as_str()),
        new.source.calling_ae,
    ])?;
    Ok(())
}

/// The columns cannot answer for several values.
fn odd(values: &[&str]) -> bool {
    values.iter().any(|value| value.contains('\\'))
}

/// For the order within a study; without a number comes last.
fn number(texts: &Texts, tag: Tag) -> i64 {
    texts.get(&tag).and_then(|text| text.parse().ok()).unwrap_or(i64::from(i32::MAX) + 1)
}

/// What a batch adds to the counters, written once for each resource.
#[derive(Default)]
struct Added {
    patients: HashMap<i64, Sum>,
    studies: HashMap<i64, Sum>,
    series: HashMap<i64, Sum>,
    size: u64,
}

#[derive(Default)]
struct Sum {
    studies: i64,
    series: i64,
    instances: i64,
    at: Option<Moment>,
}

impl Added {
    fn count(&mut self, patient: i64, study: i64, series: i64, new: [bool; 3], of: &NewInstance) {
        for sum in [
            self.patients.entry(patient).or_default(),
            self.studies.entry(study).or_default(),
            self.series.entry(series).or_default(),
        ] {
            sum.studies += i64::from(new[1]);
            sum.series += i64::from(new[2]);
            sum.instances += 1;
            sum.at = Some(of.received_at);
        }
        self.size += of.size;
    }

    fn write(self, c: &Connection) -> Sql<()> {
        if self.size == 0 && self.series.is_empty() {
            return Ok(());
        }
        for (update, sums) in [
            (
                "UPDATE patients SET studies = studies + ?2, series = series + ?3,
                 instances = instances + ?4, received_at = ?5, received_offset = ?6 WHERE id = ?1",
                self.patients,
            ),
            (
                "UPDATE studies SET series = series + ?3 + 0 * ?2, instances = instances + ?4,
                 received_at = ?5, received_offset = ?6 WHERE id = ?1",
                self.studies,
            ),
            (
                "UPDATE series SET instances = instances + ?4 + 0 * ?2 * ?3, received_at = ?5,
                 received_offset = ?6 WHERE id = ?1",
                self.series,
            ),
        ] {
            let mut update = c.prepare_cached(update)?;
            for (id, sum) in sums {
                let at = sum.at.unwrap_or(Moment::new(0, 0));
                update.execute(params![
                    id,
                    sum.studies,
                    sum.series,
                    sum.instances,
                    at.micros,
                    at.offset
                ])?;
            }
        }
        c.prepare_cached(
            "INSERT INTO meta VALUES('size', ?1)
             ON CONFLICT(name) DO UPDATE SET value = value + ?1",
        )?
        .execute([signed(self.size)])?;
        Ok(())
    }
}

/// A JSON object by tag: `{"00100010":"DOE^JANE"}`.
pub(super) fn encode(texts: &Texts) -> String {
    use std::fmt::Write;
    let mut json = String::with_capacity(16 + texts.len() * 32);
    json.push('{');
    for (tag, text) in texts {
        if json.len() > 1 {
            json.push(',');
        }
        // Writing to a string does not fail.
        let _ = write!(json, "\"{:08x}\":{}", tag.0, serde_json::Value::from(text.as_str()));
    }
    json.push('}');
    json
}

/// Unreadable rows are told apart from empty ones by nobody: the index can be made again.
pub(super) fn decode(json: &str) -> Texts {
    let by_name: std::collections::BTreeMap<String, String> =
        serde_json::from_str(json).unwrap_or_default();
    by_name
        .into_iter()
        .filter_map(|(tag, text)| Some((Tag(u32::from_str_radix(&tag, 16).ok()?), text)))
        .collect()
}
