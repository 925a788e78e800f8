//! Taking instances into the index.
//!
//! A batch is taken in in memory first; then each patient, study and series that it touched is
//! written once.

use std::collections::{BTreeSet, HashMap};

use pacslab_model::time::{Date, DateTimeRange, TimeOfDay, TimeRange};
use pacslab_model::{Level, Moment, Tag, tags};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sql;
use super::index::{known, moment, signed};
use super::terms::Searched;
use super::text::{clean, clean_uid, decode, encode, uid_key};
use crate::blobs::Position;
use crate::index::{Ingested, NewInstance, Texts};

/// The resources that the last instances belong to: almost always those of the next one as well.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(super) patients: HashMap<String, Held>,
    pub(super) studies: HashMap<String, Held>,
    pub(super) series: HashMap<String, Held>,
}

/// A resource as it is in its row.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) id: i64,
    /// The unique key of the resource above, and its row.
    pub(super) parent: String,
    pub(super) parent_id: i64,
    pub(super) texts: Texts,
    pub(super) studies: i64,
    pub(super) series: i64,
    pub(super) instances: i64,
    pub(super) size: i64,
    pub(super) at: Option<Moment>,
    /// Of a study.
    pub(super) modalities: BTreeSet<String>,
    pub(super) sop_classes: BTreeSet<String>,
    pub(super) rank: i64,
    /// What has to be written at the end of the batch.
    state: State,
    /// Texts came that have to be searched by.
    said: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    AsWritten,
    Changed,
    New,
}

/// Resources of each level kept at hand.
const CACHED: usize = 512;

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

/// How much there is, and the last number given to a row of each table.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) patients: i64,
    pub(super) studies: i64,
    pub(super) series: i64,
    pub(super) instances: i64,
    pub(super) size: i64,
    pub(super) last_patient: i64,
    last_study: i64,
    last_series: i64,
    last_instance: i64,
}

impl Totals {
    pub(super) fn load(c: &Connection) -> Sql<Self> {
        c.prepare_cached(
            "SELECT patients, studies, series, instances, size, last_patient, last_study,
             last_series, last_instance FROM state",
        )?
        .query_row([], |row| {
            Ok(Self {
                patients: row.get(0)?,
                studies: row.get(1)?,
                series: row.get(2)?,
                instances: row.get(3)?,
                size: row.get(4)?,
                last_patient: row.get(5)?,
                last_study: row.get(6)?,
                last_series: row.get(7)?,
                last_instance: row.get(8)?,
            })
        })
    }

    pub(super) fn write(&self, c: &Connection, upto: Option<Position>) -> Sql<()> {
        let at = upto.map(|at| (signed(at.sequence), at.pack, signed(at.offset)));
        c.prepare_cached(
            "UPDATE state SET patients = ?1, studies = ?2, series = ?3, instances = ?4, size = ?5,
             last_patient = ?6, last_study = ?7, last_series = ?8, last_instance = ?9,
             sequence = coalesce(?10, sequence), pack = coalesce(?11, pack),
             pack_offset = coalesce(?12, pack_offset)",
        )?
        .execute(params![
            self.patients,
            self.studies,
            self.series,
            self.instances,
            self.size,
            self.last_patient,
            self.last_study,
            self.last_series,
            self.last_instance,
            at.map(|at| at.0),
            at.map(|at| at.1),
            at.map(|at| at.2),
        ])
        .map(drop)
    }
}

pub(super) fn ingest(
    c: &Connection,
    cache: &mut Cache,
    searched: &Searched,
    batch: &[NewInstance],
    upto: Position,
) -> Sql<Vec<Ingested>> {
    cache.trim();
    let mut totals = Totals::load(c)?;
    let answer = batch
        .iter()
        .map(|new| match known(c, clean_uid(&new.sop_instance))? {
            Some(known) => Ok(Ingested::Duplicate(known)),
            None => one(c, cache, &mut totals, new),
        })
        .collect::<Sql<Vec<_>>>()?;
    super::write::changed(c, cache, searched)?;
    totals.write(c, Some(upto))?;
    Ok(answer)
}

fn one(c: &Connection, cache: &mut Cache, totals: &mut Totals, new: &NewInstance) -> Sql<Ingested> {
    let mut fresh = [false; 3];
    let series_uid = clean_uid(&new.series_uid);
    let (own_study, own_patient) = (clean_uid(&new.study_uid), clean(&new.patient_id));
    let own_modality = text(new, tags::MODALITY);

    // A study that came first under another patient, or a series under another study, stays
    // there; what this object says about its own patient or study is not mixed in.
    let (study_uid, modality) = match load_series(c, &mut cache.series, series_uid)? {
        Some(held) => {
            let modality = held.texts.get(&tags::MODALITY).map_or(own_modality, String::as_str);
            (held.parent.clone(), modality.to_owned())
        }
        None => (own_study.to_owned(), own_modality.to_owned()),
    };
    let patient_id = match load_study(c, &mut cache.studies, &study_uid)? {
        Some(study) => study.parent.clone(),
        None => own_patient.to_owned(),
    };

    if load_patient(c, &mut cache.patients, &patient_id)?.is_none() {
        fresh[0] = true;
        totals.last_patient += 1;
        totals.patients += 1;
        let held = Held { id: totals.last_patient, ..Held::new() };
        cache.patients.insert(patient_id.clone(), held);
    }
    let Some(patient) = cache.patients.get_mut(&patient_id) else { return Err(gone()) };
    if patient_id == own_patient {
        patient.fill(new, Level::Patient);
    }
    if !cache.studies.contains_key(&study_uid) {
        fresh[1] = true;
        totals.last_study += 1;
        totals.studies += 1;
        let held = Held {
            id: totals.last_study,
            parent: patient_id.clone(),
            parent_id: patient.id,
            rank: NO_DATE,
            ..Held::new()
        };
        cache.studies.insert(study_uid.clone(), held);
    }
    let Some(study) = cache.studies.get_mut(&study_uid) else { return Err(gone()) };
    if study_uid == own_study {
        study.fill(new, Level::Study);
    }
    collect(&mut study.modalities, &modality);
    collect(&mut study.sop_classes, clean_uid(&new.sop_class));
    if !cache.series.contains_key(series_uid) {
        fresh[2] = true;
        totals.last_series += 1;
        totals.series += 1;
        let held = Held {
            id: totals.last_series,
            parent: study_uid.clone(),
            parent_id: study.id,
            ..Held::new()
        };
        cache.series.insert(series_uid.to_owned(), held);
    }
    let Some(series) = cache.series.get_mut(series_uid) else { return Err(gone()) };
    series.fill(new, Level::Series);
    patient.count([fresh[1], fresh[2]], new);
    study.count([false, fresh[2]], new);
    series.count([false, false], new);

    totals.last_instance += 1;
    totals.instances += 1;
    totals.size += signed(new.size);
    let accession = match text(new, tags::ACCESSION_NUMBER) {
        "" => None,
        own => (study.texts.get(&tags::ACCESSION_NUMBER).map(String::as_str) != Some(own))
            .then_some(own),
    };
    insert_instance(c, totals.last_instance, new, series.id, accession)?;
    Ok(Ingested::New { patient: fresh[0], study: fresh[1], series: fresh[2] })
}

/// What was put into the cache a moment ago.
fn gone() -> rusqlite::Error {
    rusqlite::Error::QueryReturnedNoRows
}

impl Held {
    fn new() -> Self {
        Self { state: State::New, said: true, ..Self::default() }
    }

    pub(super) fn is_new(&self) -> bool {
        self.state == State::New
    }

    pub(super) fn is_changed(&self) -> bool {
        self.state != State::AsWritten
    }

    pub(super) fn has_said(&self) -> bool {
        self.said
    }

    pub(super) fn written(&mut self) {
        self.state = State::AsWritten;
        self.said = false;
    }

    fn fill(&mut self, new: &NewInstance, level: Level) {
        for (tag, text) in &new.attributes {
            if !level.attributes().contains(tag) || is_key(*tag) || self.texts.contains_key(tag) {
                continue;
            }
            let text = clean(text);
            if !text.is_empty() {
                self.texts.insert(*tag, text.to_owned());
                self.said = true;
            }
        }
    }

    fn count(&mut self, [study, series]: [bool; 2], new: &NewInstance) {
        self.studies += i64::from(study);
        self.series += i64::from(series);
        self.instances += 1;
        self.size += signed(new.size);
        self.at = Some(new.received_at);
        if self.state == State::AsWritten {
            self.state = State::Changed;
        }
    }
}

/// Those have a column.
pub(super) fn is_key(tag: Tag) -> bool {
    tag == tags::SOP_CLASS_UID || Level::ALL.iter().any(|level| level.key() == tag)
}

fn text(new: &NewInstance, wanted: Tag) -> &str {
    new.attributes.iter().find(|(tag, _)| *tag == wanted).map_or("", |(_, text)| clean(text))
}

pub(super) fn collect(into: &mut BTreeSet<String>, values: &str) {
    for value in values.split('\\').map(str::trim).filter(|value| !value.is_empty()) {
        if !into.contains(value) {
            into.insert(value.to_owned());
        }
    }
}

fn set(values: &str) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    collect(&mut set, values);
    set
}

/// Studies without a date come last.
pub(super) const NO_DATE: i64 = -1_000_000_000_000;

/// The place of a study in time, in seconds, and whether it says more than one date.
pub(super) fn rank(texts: &Texts) -> (i64, bool) {
    let get = |tag| texts.get(&tag).map_or("", String::as_str);
    let (date, time) = (get(tags::STUDY_DATE), get(tags::STUDY_TIME));
    let time = time.split('\\').next().and_then(|time| TimeRange::parse(time.trim()));
    let time = time.map_or(TimeOfDay(0), TimeRange::first);
    let day = Date::parse(date.split('\\').next().unwrap_or_default().trim());
    let at = day.and_then(|day| DateTimeRange::at(day, time));
    (at.map_or(NO_DATE, |at| at.div_euclid(1_000_000)), date.contains('\\'))
}

/// For the order within a study; without a number comes last.
pub(super) fn number(texts: &Texts, tag: Tag) -> i64 {
    order(texts.get(&tag).map_or("", String::as_str))
}

fn order(number: &str) -> i64 {
    number.parse::<i32>().map_or(i64::from(i32::MAX) + 1, i64::from)
}

fn load_series<'a>(
    c: &Connection,
    cache: &'a mut HashMap<String, Held>,
    uid: &str,
) -> Sql<Option<&'a mut Held>> {
    if !cache.contains_key(uid) {
        let held = c
            .prepare_cached(
                "SELECT se.id, se.held, se.instances, se.size, st.uid, st.id FROM series se
                 CROSS JOIN studies st ON st.id = se.study WHERE se.key = ?1 AND se.uid = ?2",
            )?
            .query_row(params![uid_key(uid), uid], |row| {
                Ok(Held {
                    id: row.get(0)?,
                    texts: decode(row.get_ref(1)?.as_blob()?),
                    instances: row.get(2)?,
                    size: row.get(3)?,
                    parent: row.get(4)?,
                    parent_id: row.get(5)?,
                    ..Held::default()
                })
            })
            .optional()?;
        if let Some(held) = held {
            cache.insert(uid.to_owned(), held);
        }
    }
    Ok(cache.get_mut(uid))
}

pub(super) fn load_study<'a>(
    c: &Connection,
    cache: &'a mut HashMap<String, Held>,
    uid: &str,
) -> Sql<Option<&'a mut Held>> {
    if !cache.contains_key(uid) {
        let held = c
            .prepare_cached(
                "SELECT st.id, st.held, st.series, st.instances, st.size, p.patient_id, p.id,
                 st.modalities, st.sop_classes, st.rank, st.received_at, st.received_offset
                 FROM studies st CROSS JOIN patients p ON p.id = st.patient
                 WHERE st.key = ?1 AND st.uid = ?2",
            )?
            .query_row(params![uid_key(uid), uid], |row| {
                Ok(Held {
                    id: row.get(0)?,
                    texts: decode(row.get_ref(1)?.as_blob()?),
                    series: row.get(2)?,
                    instances: row.get(3)?,
                    size: row.get(4)?,
                    parent: row.get(5)?,
                    parent_id: row.get(6)?,
                    modalities: set(row.get_ref(7)?.as_str()?),
                    sop_classes: set(row.get_ref(8)?.as_str()?),
                    rank: row.get(9)?,
                    at: Some(moment(row, 10)?),
                    ..Held::default()
                })
            })
            .optional()?;
        if let Some(held) = held {
            cache.insert(uid.to_owned(), held);
        }
    }
    Ok(cache.get_mut(uid))
}

pub(super) fn load_patient<'a>(
    c: &Connection,
    cache: &'a mut HashMap<String, Held>,
    id: &str,
) -> Sql<Option<&'a mut Held>> {
    if !cache.contains_key(id) {
        let row = super::scope::patient(c, id)?;
        let held = row
            .map(|row| {
                c.prepare_cached(
                    "SELECT held, studies, series, instances, size, received_at, received_offset
                     FROM patients WHERE id = ?1",
                )?
                .query_row([row], |found| {
                    Ok(Held {
                        id: row,
                        texts: decode(found.get_ref(0)?.as_blob()?),
                        studies: found.get(1)?,
                        series: found.get(2)?,
                        instances: found.get(3)?,
                        size: found.get(4)?,
                        at: Some(moment(found, 5)?),
                        ..Held::default()
                    })
                })
            })
            .transpose()?;
        if let Some(held) = held {
            cache.insert(id.to_owned(), held);
        }
    }
    Ok(cache.get_mut(id))
}

fn insert_instance(
    c: &Connection,
    id: i64,
    new: &NewInstance,
    series: i64,
    accession: Option<&str>,
) -> Sql<()> {
    let uid = clean_uid(&new.sop_instance);
    let mut held: Vec<(Tag, &str)> = new
        .attributes
        .iter()
        .filter(|(tag, _)| Level::Instance.attributes().contains(tag) && !is_key(*tag))
        .map(|(tag, text)| (*tag, clean(text)))
        .filter(|(_, text)| !text.is_empty())
        .collect();
    held.sort_by_key(|(tag, _)| *tag);
    held.dedup_by_key(|(tag, _)| *tag);
    c.prepare_cached(
        "INSERT INTO instances VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14,
         ?15, ?16, ?17, ?18, ?19)",
    )?
    .execute(params![
        id,
        uid_key(uid),
        uid,
        series,
        order(text(new, tags::INSTANCE_NUMBER)),
        clean_uid(&new.sop_class),
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
        accession,
        encode(held.into_iter()),
    ])
    .map(drop)
}
