//! What every index must do.

use std::collections::BTreeMap;
use std::sync::Arc;

use pacslab_model::matching::{Attributes, Rules, matches};
use pacslab_model::{Key, Level, Moment, Query, Tag, Test, Uid, Vr, tags};

use super::Must;
use super::sim::Dice;
use crate::blobs::{Location, Position};
use crate::index::{Index, Ingested, NewInstance, Row, Scope, Source, Texts};

/// Runs the contract against indexes that `make` makes empty.
pub fn index(make: &dyn Fn() -> Arc<dyn Index>) {
    the_first_of_a_uid_is_kept(&*make());
    first_values_win_and_empty_ones_are_filled(&*make());
    positions_are_kept_with_the_batch(&*make());
    rows_come_newest_study_first(&*make());
    scopes_are_retrieved_in_order(&*make());
    arrivals_are_read_by_cursor(&*make());
    what_is_removed_is_gone_and_counted(&*make());
    foreign_patients_do_not_mix(&*make());
    studies_are_relabelled(&*make());
    super::labels::labels(make);
    for seed in 0..8 {
        finding_equals_matching(&*make(), seed);
    }
}

/// An instance of study `study`, series `series` and number `number`, to be changed further.
pub fn instance(study: u32, series: u32, number: u32) -> NewInstance {
    let patient_id = format!("P{}", study / 2);
    let uid = |suffix: String| Uid::new(format!("1.2.{suffix}"));
    NewInstance {
        attributes: vec![
            (tags::PATIENT_NAME, format!("DOE^JANE{}", study / 2)),
            (tags::STUDY_DATE, format!("202601{:02}", study + 1)),
            (tags::STUDY_TIME, "101500".to_owned()),
            (tags::ACCESSION_NUMBER, format!("A{study}")),
            (tags::MODALITY, if series == 9 { "SR" } else { "CT" }.to_owned()),
            (tags::SERIES_NUMBER, series.to_string()),
            (tags::INSTANCE_NUMBER, number.to_string()),
        ],
        patient_id,
        study_uid: uid(format!("{study}")),
        series_uid: uid(format!("{study}.{series}")),
        sop_instance: uid(format!("{study}.{series}.{number}")),
        sop_class: Uid::new("1.2.840.10008.5.1.4.1.1.2"),
        transfer_syntax: Uid::new("1.2.840.10008.1.2.1"),
        size: 1000,
        digest: [number as u8; 32],
        location: Location { pack: 1, offset: u64::from(number), len: 1000, crc: 7 },
        received_at: Moment::new(i64::from(number), 3600),
        source: Source { calling_ae: "CT1".to_owned(), remote: "127.0.0.1:1".to_owned() },
    }
}

/// All attributes an index holds, with their representation.
pub fn held_attributes() -> Vec<(Tag, Vr)> {
    Level::ALL.into_iter().flat_map(Level::attributes).map(|tag| (*tag, vr(*tag))).collect()
}

fn put(index: &dyn Index, batch: &[NewInstance]) -> Vec<Ingested> {
    index.ingest(batch, Position::default()).must("ingest")
}

fn find(index: &dyn Index, query: Query) -> Vec<Row> {
    index.find(&query).must("find")
}

fn new(patient: bool, study: bool, series: bool) -> Ingested {
    Ingested::New { patient, study, series }
}

fn the_first_of_a_uid_is_kept(index: &dyn Index) {
    let first = instance(0, 1, 1);
    let mut again = first.clone();
    again.digest = [9; 32];
    again.location.offset = 99;
    let answer = put(index, &[first.clone(), again.clone(), instance(0, 1, 2)]);
    assert_eq!(answer[0], new(true, true, true));
    assert_eq!(answer[2], new(false, false, false));
    for answer in [&answer[1], &put(index, &[again.clone()])[0]] {
        match answer {
            Ingested::Duplicate(known) => {
                assert_eq!((known.digest, known.location), (first.digest, first.location));
            }
            other => panic!("expected a duplicate, got {other:?}"),
        }
    }
    assert_eq!(put(index, &[instance(1, 1, 1)]), [new(false, true, true)]);
    assert_eq!(put(index, &[instance(1, 2, 1)]), [new(false, false, true)]);
    let known = index.known(&[first.sop_instance.clone(), Uid::new("1.9")]).must("known");
    assert_eq!(known[0].as_ref().map(|k| k.digest), Some(first.digest));
    assert_eq!(known[1], None);
    let counts = index.counts().must("counts");
    assert_eq!((counts.patients, counts.studies, counts.series), (1, 2, 3));
    assert_eq!((counts.instances, counts.size), (4, 4000));
}

fn first_values_win_and_empty_ones_are_filled(index: &dyn Index) {
    let mut first = instance(0, 1, 1);
    first.attributes.retain(|(tag, _)| *tag != tags::ACCESSION_NUMBER);
    first.attributes.push((tags::PATIENT_SEX, String::new()));
    let mut second = instance(0, 1, 2);
    second.attributes.retain(|(tag, _)| *tag != tags::PATIENT_NAME);
    second.attributes.push((tags::PATIENT_NAME, "SMITH^ANN".to_owned()));
    second.attributes.push((tags::PATIENT_SEX, "F ".to_owned()));
    put(index, &[first, second]);
    let by_accession =
        |text| Query::new(Level::Study).with(tags::ACCESSION_NUMBER, Vr::SH, text).must("key");
    let rows = find(index, by_accession("A0"));
    assert_eq!(rows.len(), 1, "the accession number of the second is searched by");
    assert_eq!(rows[0].str(tags::PATIENT_NAME), "DOE^JANE0");
    assert_eq!(rows[0].str(tags::PATIENT_SEX), "F");
    assert_eq!(rows[0].str(tags::PATIENT_ID), "P0");
    assert_eq!(rows[0].str(tags::MODALITIES_IN_STUDY), "CT");
    assert_eq!(rows[0].number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES), Some(2));
    put(index, &[instance(0, 9, 3)]);
    let rows = find(index, by_accession("A0"));
    assert_eq!(rows[0].modalities().collect::<Vec<_>>(), ["CT", "SR"]);
    assert_eq!(rows[0].received_at.micros, 3);
    let other = find(index, by_accession("a0"));
    assert_eq!(other, [], "accession numbers are exact");
}

fn positions_are_kept_with_the_batch(index: &dyn Index) {
    assert_eq!(index.position().must("position"), Position::default());
    let at = Position { sequence: 7, pack: 2, offset: 999 };
    index.ingest(&[instance(0, 1, 1)], at).must("ingest");
    assert_eq!(index.position().must("position"), at);
    let later = Position { sequence: 8, ..at };
    index.set_position(later).must("set");
    assert_eq!(index.position().must("position"), later);
}

fn rows_come_newest_study_first(index: &dyn Index) {
    for study in [2, 0, 3, 1] {
        put(index, &[instance(study, 2, 2), instance(study, 1, 7), instance(study, 2, 1)]);
    }
    let accessions = |query: Query| -> Vec<String> {
        find(index, query).iter().map(|row| row.str(tags::ACCESSION_NUMBER).to_owned()).collect()
    };
    let all = Query::new(Level::Study);
    assert_eq!(accessions(all.clone()), ["A3", "A2", "A1", "A0"]);
    let page = Query { offset: 1, limit: Some(2), ..all.clone() };
    assert_eq!(accessions(page), ["A2", "A1"]);
    let none = Query { limit: Some(0), ..all };
    assert_eq!(accessions(none), [""; 0]);
    let images =
        Query::new(Level::Instance).with(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.0").must("key");
    let uids: Vec<String> =
        find(index, images).iter().map(|row| row.str(tags::SOP_INSTANCE_UID).to_owned()).collect();
    assert_eq!(uids, ["1.2.0.1.7", "1.2.0.2.1", "1.2.0.2.2"]);
    assert_eq!(find(index, Query::new(Level::Patient)).len(), 2);
    assert_eq!(find(index, Query::new(Level::Series)).len(), 8);
}

fn scopes_are_retrieved_in_order(index: &dyn Index) {
    for study in 0..3 {
        put(index, &[instance(study, 2, 1), instance(study, 1, 2), instance(study, 1, 1)]);
    }
    let uids = |scope: &Scope| -> Vec<String> {
        index
            .instances(scope)
            .must("instances")
            .iter()
            .map(|stored| stored.sop_instance.as_str().to_owned())
            .collect()
    };
    assert_eq!(uids(&Scope::default()), [""; 0], "nothing said is nothing sent");
    assert_eq!(uids(&Scope::study("1.2.0")), ["1.2.0.1.1", "1.2.0.1.2", "1.2.0.2.1"]);
    assert_eq!(uids(&Scope::series("1.2.0.2")), ["1.2.0.2.1"]);
    assert_eq!(uids(&Scope::instance("1.2.2.1.2")), ["1.2.2.1.2"]);
    assert_eq!(uids(&Scope::patient("P0")).len(), 6);
    let list = Scope {
        sop_instances: vec![Uid::new("1.2.0.1.1"), Uid::new("1.2.1.2.1")],
        ..Scope::default()
    };
    assert_eq!(uids(&list).len(), 2);
    let both = Scope { study_uids: vec![Uid::new("1.2.1")], ..list };
    assert_eq!(uids(&both), ["1.2.1.2.1"]);
    let stored = index.instances(&Scope::instance("1.2.0.1.1")).must("instances").remove(0);
    let wanted = instance(0, 1, 1);
    assert_eq!(stored.location, wanted.location);
    assert_eq!(stored.received_at, wanted.received_at);
    assert_eq!(stored.source, wanted.source);
    assert_eq!(stored.patient_id, "P0");
}

fn arrivals_are_read_by_cursor(index: &dyn Index) {
    put(index, &[instance(0, 1, 1), instance(0, 1, 1), instance(0, 1, 2)]);
    put(index, &[instance(1, 1, 1)]);
    let arrivals = index.arrivals_after(0, 10).must("arrivals");
    assert_eq!(arrivals.len(), 3, "a duplicate does not arrive");
    assert_eq!(arrivals[0].accession, "A0");
    assert_eq!(arrivals[0].sop_instance.as_str(), "1.2.0.1.1");
    assert_eq!(arrivals[2].study_uid.as_str(), "1.2.1");
    let next = index.arrivals_after(arrivals[0].number, 1).must("arrivals");
    assert_eq!(next, arrivals[1..2]);
    assert_eq!(index.arrivals_after(arrivals[2].number, 10).must("arrivals"), []);
}

fn what_is_removed_is_gone_and_counted(index: &dyn Index) {
    put(index, &[instance(0, 1, 1), instance(0, 9, 2), instance(1, 1, 3), instance(2, 1, 4)]);
    let gone = [Uid::new("1.2.0.9.2"), Uid::new("1.2.2.1.4"), Uid::new("1.9")];
    let at = Position { sequence: 5, pack: 1, offset: 1 };
    let removed = index.remove(&gone, at).must("remove");
    assert_eq!(removed.len(), 2);
    assert_eq!(index.position().must("position"), at);
    let counts = index.counts().must("counts");
    assert_eq!((counts.patients, counts.studies, counts.series), (1, 2, 2));
    assert_eq!((counts.instances, counts.size), (2, 2000));
    let study = Query::new(Level::Study).with(tags::ACCESSION_NUMBER, Vr::SH, "A0").must("key");
    let rows = find(index, study);
    assert_eq!(rows[0].str(tags::MODALITIES_IN_STUDY), "CT");
    assert_eq!(rows[0].number(tags::NUMBER_OF_PATIENT_RELATED_STUDIES), Some(2));
    assert_eq!(put(index, &[instance(2, 1, 4)]), [new(true, true, true)], "and may come again");
}

/// An object that says the study belongs to another patient stays with the study, and its
/// patient's values are not mixed into those of the first one.
fn foreign_patients_do_not_mix(index: &dyn Index) {
    put(index, &[instance(0, 1, 1)]);
    let mut other = instance(0, 1, 2);
    other.patient_id = "Q".to_owned();
    other.attributes.push((tags::PATIENT_COMMENTS, "of another one".to_owned()));
    put(index, &[other]);
    let patients = find(index, Query::new(Level::Patient));
    assert_eq!(patients.len(), 1);
    assert_eq!(patients[0].get(tags::PATIENT_COMMENTS), None);
    assert_eq!(patients[0].number(tags::NUMBER_OF_PATIENT_RELATED_INSTANCES), Some(2));
}

fn studies_are_relabelled(index: &dyn Index) {
    put(index, &[instance(0, 1, 1), instance(1, 1, 2), instance(2, 1, 3)]);
    let at = Position { sequence: 9, pack: 1, offset: 1 };
    let relabel = |study: &str, changes: &[(Tag, &str)]| {
        let changes: Vec<_> = changes.iter().map(|(tag, v)| (*tag, (*v).to_owned())).collect();
        index.relabel(&Uid::new(study), &changes, at).must("relabel")
    };
    let by =
        |tag, vr, text: &str| find(index, Query::new(Level::Study).with(tag, vr, text).must("key"));
    assert!(!relabel("1.9", &[]));
    assert!(relabel(
        "1.2.0",
        &[
            (tags::ACCESSION_NUMBER, "B7"),
            (tags::STUDY_TIME, ""),
            (tags::STUDY_INSTANCE_UID, "1.1"),
            (tags::PATIENT_ID, "Q"),
            (tags::PATIENT_NAME, "ROE^ANN"),
        ],
    ));
    assert_eq!(index.position().must("position"), at);
    let moved = &by(tags::ACCESSION_NUMBER, Vr::SH, "B7")[0];
    assert_eq!(moved.str(tags::PATIENT_ID), "Q");
    assert_eq!(moved.str(tags::PATIENT_NAME), "ROE^ANN");
    assert_eq!(moved.get(tags::STUDY_TIME), None);
    assert_eq!(moved.str(tags::STUDY_INSTANCE_UID), "1.2.0", "the key is no label");
    assert_eq!(moved.number(tags::NUMBER_OF_PATIENT_RELATED_INSTANCES), Some(1));
    assert_eq!(by(tags::PATIENT_NAME, Vr::PN, "roe*").len(), 1);
    assert_eq!(by(tags::PATIENT_ID, Vr::LO, "P0").len(), 1);
    // The last study of a patient takes the patient along, here to one who is known.
    assert!(relabel("1.2.1", &[(tags::PATIENT_ID, "Q"), (tags::PATIENT_NAME, "POE^ANN")]));
    assert_eq!(by(tags::PATIENT_ID, Vr::LO, "Q").len(), 2);
    assert_eq!(by(tags::PATIENT_NAME, Vr::PN, "roe*"), []);
    assert_eq!(by(tags::PATIENT_NAME, Vr::PN, "poe*").len(), 2);
    let counts = index.counts().must("counts");
    assert_eq!((counts.patients, counts.studies, counts.instances), (2, 3, 3));
    let late = instance(0, 1, 7);
    assert_eq!(put(index, &[late]), [new(false, false, false)], "later images follow");
}

/// Random objects and random questions: the index answers what `matching` accepts.
fn finding_equals_matching(index: &dyn Index, seed: u64) {
    let mut dice = Dice::new(seed);
    let mut truth = Truth::default();
    let objects: Vec<NewInstance> = (0..60).map(|n| random_instance(&mut dice, n)).collect();
    for batch in objects.chunks(7) {
        put(index, batch);
        batch.iter().for_each(|object| truth.take(object));
    }
    for level in Level::ALL {
        let all = find(index, Query::new(level));
        let keys: Vec<String> = all.iter().map(|row| row.str(level.key()).to_owned()).collect();
        let mut found: Vec<Texts> = all.iter().map(held).collect();
        let mut wanted = truth.rows(level);
        found.sort();
        wanted.sort();
        assert_eq!(found.len(), wanted.len(), "seed {seed}: all of {level:?}");
        for (found, wanted) in found.iter().zip(&wanted) {
            assert_eq!(found, wanted, "seed {seed}: {level:?}");
        }
        in_order(level, &all);
        for _ in 0..40 {
            let query = random_query(&mut dice, level, &all);
            let answer: Vec<String> = find(index, query.clone())
                .iter()
                .map(|row| row.str(level.key()).to_owned())
                .collect();
            let expected: Vec<String> = all
                .iter()
                .zip(&keys)
                .filter(|(row, _)| {
                    matches(&query.keys, *row as &dyn Attributes, &query.rules).is_match()
                })
                .map(|(_, key)| key.clone())
                .collect();
            assert_eq!(answer, expected, "seed {seed}: {query:?}");
            pages_make_the_whole(index, &mut dice, &query, &expected);
        }
    }
}

/// Newest study first, those without a date last; within it by the numbers of series and instance.
fn in_order(level: Level, rows: &[Row]) {
    use pacslab_model::time::{Date, TimeOfDay, TimeRange};
    let place = |row: &Row| {
        let day = Date::parse(row.str(tags::STUDY_DATE));
        let time = TimeRange::parse(row.str(tags::STUDY_TIME)).map_or(TimeOfDay(0), |t| t.first());
        // the order knows seconds
        std::cmp::Reverse(day.map(|day| (day.to_string(), time.0 / 1_000_000)))
    };
    let number = |row: &Row, tag| row.str(tag).parse::<i32>().unwrap_or(i32::MAX);
    for pair in rows.windows(2) {
        let [a, b] = pair else { continue };
        let same = |tag| a.str(tag) == b.str(tag);
        if level == Level::Patient {
            assert!(a.cursor() > b.cursor());
        } else if !same(tags::STUDY_INSTANCE_UID) {
            assert!(place(a) <= place(b), "{a:?} before {b:?}");
        } else if !same(tags::SERIES_INSTANCE_UID) {
            assert!(number(a, tags::SERIES_NUMBER) <= number(b, tags::SERIES_NUMBER));
        } else {
            assert!(number(a, tags::INSTANCE_NUMBER) <= number(b, tags::INSTANCE_NUMBER));
        }
    }
}

/// Pages by offset are pieces of the answer; pages by cursor, one behind the other, are all of it.
fn pages_make_the_whole(index: &dyn Index, dice: &mut Dice, query: &Query, whole: &[String]) {
    let key = |row: &Row| row.str(query.level.key()).to_owned();
    let (offset, limit) = (dice.roll(12) as usize, 1 + dice.roll(9) as usize);
    let page = find(index, Query { offset, limit: Some(limit), ..query.clone() });
    let wanted: Vec<String> = whole.iter().skip(offset).take(limit).cloned().collect();
    assert_eq!(page.iter().map(key).collect::<Vec<_>>(), wanted, "{offset}, {limit}: {query:?}");
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let page = find(index, Query { limit: Some(limit), after, ..query.clone() });
        let Some(last) = page.last() else { break };
        // as a page of the web hands it on
        after = Some(last.cursor().to_string().parse().must("cursor"));
        all.extend(page.iter().map(key));
        assert!(all.len() <= whole.len(), "no row comes twice: {query:?}");
    }
    assert_eq!(all, whole, "{limit} at a time: {query:?}");
}

fn held(row: &Row) -> Texts {
    row.iter().map(|(tag, text)| (tag, text.to_owned())).collect()
}

/// The hierarchy once more, told in the simplest way.
#[derive(Default)]
struct Truth {
    patients: BTreeMap<String, Texts>,
    /// With the key of the level above.
    studies: BTreeMap<String, (String, Texts)>,
    series: BTreeMap<String, (String, Texts)>,
    instances: BTreeMap<String, (String, Texts)>,
}

impl Truth {
    fn take(&mut self, new: &NewInstance) {
        let key = |uid: &Uid| uid.as_str().to_owned();
        if self.instances.contains_key(new.sop_instance.as_str()) {
            return;
        }
        let mut own: Texts = new.attributes.iter().cloned().collect();
        own.insert(tags::PATIENT_ID, new.patient_id.clone());
        own.insert(tags::STUDY_INSTANCE_UID, key(&new.study_uid));
        own.insert(tags::SERIES_INSTANCE_UID, key(&new.series_uid));
        own.insert(tags::SOP_INSTANCE_UID, key(&new.sop_instance));
        own.insert(tags::SOP_CLASS_UID, key(&new.sop_class));
        let of = |level: Level| -> Texts {
            own.iter()
                .filter(|(tag, text)| level.attributes().contains(tag) && !text.is_empty())
                .map(|(tag, text)| (*tag, text.clone()))
                .collect()
        };
        let fill = |held: &mut Texts, new: Texts| {
            for (tag, text) in new {
                held.entry(tag).or_insert(text);
            }
        };
        let patient = self.patients.entry(new.patient_id.clone()).or_default();
        fill(patient, of(Level::Patient));
        let study = self.studies.entry(key(&new.study_uid)).or_default();
        study.0.clone_from(&new.patient_id);
        fill(&mut study.1, of(Level::Study));
        let series = self.series.entry(key(&new.series_uid)).or_default();
        series.0 = key(&new.study_uid);
        fill(&mut series.1, of(Level::Series));
        self.instances.insert(key(&new.sop_instance), (key(&new.series_uid), of(Level::Instance)));
    }

    fn rows(&self, level: Level) -> Vec<Texts> {
        match level {
            Level::Patient => self.patients.keys().map(|key| self.patient(key)).collect(),
            Level::Study => self.studies.keys().map(|key| self.study(key)).collect(),
            Level::Series => self.series.keys().map(|key| self.one_series(key)).collect(),
            Level::Instance => self
                .instances
                .values()
                .map(|(series, texts)| joined(self.one_series(series), texts))
                .collect(),
        }
    }

    fn patient(&self, key: &str) -> Texts {
        let studies: Vec<&String> =
            self.studies.iter().filter(|(_, s)| s.0 == key).map(|(uid, _)| uid).collect();
        let series = self.series.values().filter(|s| studies.contains(&&s.0)).count();
        let instances =
            self.instances.values().filter(|i| studies.contains(&&self.series[&i.0].0)).count();
        let mut texts = self.patients[key].clone();
        texts.insert(tags::NUMBER_OF_PATIENT_RELATED_STUDIES, studies.len().to_string());
        texts.insert(tags::NUMBER_OF_PATIENT_RELATED_SERIES, series.to_string());
        texts.insert(tags::NUMBER_OF_PATIENT_RELATED_INSTANCES, instances.to_string());
        texts
    }

    fn study(&self, key: &str) -> Texts {
        let (patient, texts) = &self.studies[key];
        let series: Vec<&Texts> =
            self.series.values().filter(|s| s.0 == key).map(|s| &s.1).collect();
        let instances: Vec<&Texts> =
            self.instances.values().filter(|i| self.series[&i.0].0 == key).map(|i| &i.1).collect();
        let gather = |from: &[&Texts], tag: Tag| {
            let mut all: Vec<&str> = from
                .iter()
                .filter_map(|texts| texts.get(&tag))
                .flat_map(|text| text.split('\\'))
                .collect();
            all.sort_unstable();
            all.dedup();
            all.join("\\")
        };
        let mut all = joined(self.patient(patient), texts);
        all.insert(tags::NUMBER_OF_STUDY_RELATED_SERIES, series.len().to_string());
        all.insert(tags::NUMBER_OF_STUDY_RELATED_INSTANCES, instances.len().to_string());
        for (tag, text) in [
            (tags::MODALITIES_IN_STUDY, gather(&series, tags::MODALITY)),
            (tags::SOP_CLASSES_IN_STUDY, gather(&instances, tags::SOP_CLASS_UID)),
        ] {
            if !text.is_empty() {
                all.insert(tag, text);
            }
        }
        all
    }

    fn one_series(&self, key: &str) -> Texts {
        let (study, texts) = &self.series[key];
        let instances = self.instances.values().filter(|i| i.0 == key).count();
        let mut all = joined(self.study(study), texts);
        all.insert(tags::NUMBER_OF_SERIES_RELATED_INSTANCES, instances.to_string());
        all
    }
}

fn joined(mut above: Texts, own: &Texts) -> Texts {
    above.extend(own.iter().map(|(tag, text)| (*tag, text.clone())));
    above
}

fn pick<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[dice.roll(of.len() as u64) as usize]
}

fn random_instance(dice: &mut Dice, n: u32) -> NewInstance {
    let patient = dice.roll(6);
    let study = patient * 3 + dice.roll(3);
    let series = study * 3 + dice.roll(3);
    let mut new = instance(0, 0, 0);
    new.patient_id = ["P1", "P10", "p1", "", "X\\P1", "Ä 1"][patient as usize].to_owned();
    new.study_uid = Uid::new(format!("1.2.{study}"));
    new.series_uid = Uid::new(format!("1.3.{series}"));
    new.sop_instance = Uid::new(format!("1.4.{}", n / 20 * 20 + dice.roll(20) as u32));
    new.sop_class = Uid::new(pick(dice, &["1.2.840.1", "1.2.840.2"]));
    new.attributes = Level::ALL
        .into_iter()
        .flat_map(Level::attributes)
        .filter(|tag| !Level::ALL.iter().any(|level| level.key() == **tag))
        .filter(|tag| **tag != tags::SOP_CLASS_UID)
        .map(|tag| (*tag, random_value(dice, vr(*tag)).to_owned()))
        .collect();
    new
}

fn random_value(dice: &mut Dice, vr: Vr) -> &'static str {
    let values: &[&'static str] = match vr {
        Vr::PN => &[
            "DOE^JANE",
            "doe^john",
            "Buc^Jérôme",
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "DOE",
            "ΣΟΦΟΣ^Α",
            "Straße^İx",
            "Jérôme^^=",
            "A^B\\C^D",
            "",
        ],
        Vr::DA => &["20260105", "20260106", "2026.01.07", "20251231", "nonsense", ""],
        Vr::TM => &["1015", "101500.5", "235959", "08", "x", ""],
        Vr::DT => &["20260105101500", "202601", ""],
        Vr::IS | Vr::DS | Vr::US => &["1", "01", "2", "10", "x", ""],
        Vr::UI => &["1.2.3", "1.2", ""],
        Vr::CS => &["CT", "MR", "CT\\SR", "M", ""],
        Vr::SH => &["A1", "A10", "a1", "A1\\B2", ""],
        _ => &["head", "HEAD", "neck *", "a\\b", "Ä", "Schädel mit Kontrast", ""],
    };
    values[dice.roll(values.len() as u64) as usize]
}

/// The representation of the attributes that the index holds. PS3.6 6.
fn vr(tag: Tag) -> Vr {
    use tags::*;
    match tag {
        PATIENT_NAME
        | REFERRING_PHYSICIAN_NAME
        | NAME_OF_PHYSICIANS_READING_STUDY
        | REQUESTING_PHYSICIAN
        | OPERATORS_NAME
        | PERFORMING_PHYSICIAN_NAME => Vr::PN,
        PATIENT_BIRTH_DATE
        | STUDY_DATE
        | SERIES_DATE
        | PERFORMED_PROCEDURE_STEP_START_DATE
        | CONTENT_DATE
        | ACQUISITION_DATE
        | INSTANCE_CREATION_DATE => Vr::DA,
        PATIENT_BIRTH_TIME
        | STUDY_TIME
        | SERIES_TIME
        | PERFORMED_PROCEDURE_STEP_START_TIME
        | CONTENT_TIME
        | ACQUISITION_TIME
        | INSTANCE_CREATION_TIME => Vr::TM,
        ACQUISITION_DATE_TIME => Vr::DT,
        STUDY_INSTANCE_UID
        | SERIES_INSTANCE_UID
        | SOP_INSTANCE_UID
        | SOP_CLASS_UID
        | SOP_CLASSES_IN_STUDY
        | FRAME_OF_REFERENCE_UID => Vr::UI,
        MODALITY | MODALITIES_IN_STUDY | PATIENT_SEX | BODY_PART_EXAMINED | LATERALITY
        | PATIENT_POSITION | IMAGE_TYPE => Vr::CS,
        ACCESSION_NUMBER
        | STUDY_ID
        | STATION_NAME
        | PERFORMED_PROCEDURE_STEP_ID
        | ETHNIC_GROUP
        | TIMEZONE_OFFSET_FROM_UTC => Vr::SH,
        SERIES_NUMBER
        | INSTANCE_NUMBER
        | ACQUISITION_NUMBER
        | NUMBER_OF_FRAMES
        | NUMBER_OF_PATIENT_RELATED_STUDIES
        | NUMBER_OF_PATIENT_RELATED_SERIES
        | NUMBER_OF_PATIENT_RELATED_INSTANCES
        | NUMBER_OF_STUDY_RELATED_SERIES
        | NUMBER_OF_STUDY_RELATED_INSTANCES
        | NUMBER_OF_SERIES_RELATED_INSTANCES => Vr::IS,
        PATIENT_SIZE | PATIENT_WEIGHT | SLICE_LOCATION => Vr::DS,
        PATIENT_COMMENTS | IMAGE_COMMENTS => Vr::LT,
        _ => Vr::LO,
    }
}

fn random_query(dice: &mut Dice, level: Level, rows: &[Row]) -> Query {
    let mut query = Query::new(level);
    // The keys with an index come up more often than the others.
    const INDEXED: [Tag; 13] = [
        tags::PATIENT_ID,
        tags::PATIENT_NAME,
        tags::PATIENT_NAME,
        tags::PATIENT_BIRTH_DATE,
        tags::STUDY_DATE,
        tags::ACCESSION_NUMBER,
        tags::STUDY_DESCRIPTION,
        tags::MODALITIES_IN_STUDY,
        tags::MODALITY,
        tags::STATION_NAME,
        tags::STUDY_INSTANCE_UID,
        tags::SERIES_INSTANCE_UID,
        tags::SOP_INSTANCE_UID,
    ];
    let rules = [
        Rules::QUERY,
        Rules { fold_accents: true, ..Rules::QUERY },
        Rules { fold_all: true, ..Rules::QUERY },
        Rules { fold_all: true, fold_accents: true, ..Rules::QUERY },
        Rules { fold_names: false, ae_wildcards: false, ..Rules::QUERY },
    ];
    query.rules = rules[dice.roll(rules.len() as u64) as usize];
    for _ in 0..1 + dice.roll(3) {
        let row = &rows[dice.roll(rows.len() as u64) as usize];
        let held: Vec<Tag> = row.iter().map(|(tag, _)| tag).collect();
        let tag = match dice.roll(10) {
            0 => tags::INSTANCE_NUMBER,
            1 => tags::PATIENT_ADDRESS,
            2..6 => INDEXED[dice.roll(INDEXED.len() as u64) as usize],
            _ => held[dice.roll(held.len() as u64) as usize],
        };
        query.keys.push(random_key(dice, tag, row.str(tag)));
    }
    query
}

fn random_key(dice: &mut Dice, tag: Tag, value: &str) -> Key {
    let vr = vr(tag);
    let value = if value.is_empty() { random_value(dice, vr) } else { value };
    let one = value.split(['\\', '=']).next().unwrap_or("");
    let chars: Vec<char> = one.chars().collect();
    let cut: String = chars[..dice.roll(chars.len() as u64 + 1) as usize].iter().collect();
    let text = match dice.roll(13) {
        0 => value.to_owned(),
        1 => format!("{cut}*"),
        2 => format!("*{cut}"),
        3 if !chars.is_empty() => {
            format!("{cut}?{}", chars[(chars.len() - 1)..].iter().collect::<String>())
        }
        4 => one.to_lowercase(),
        5 => format!("{one}\\{}", random_value(dice, vr)),
        6 if matches!(vr, Vr::DA | Vr::TM) => format!("{one}-"),
        7 if matches!(vr, Vr::DA | Vr::TM) => format!("-{one}"),
        8 if vr == Vr::DA => format!("20260101-{one}"),
        9 => format!("*{}*", chars.iter().skip(1).take(2).collect::<String>()),
        10 => one.to_uppercase(),
        11 if vr == Vr::PN => format!("*={cut}*"),
        12 => format!("{one}\\{cut}*"),
        _ => one.to_owned(),
    };
    // Values that a door would refuse are asked for as they are.
    Key::parse(tag, vr, &text).unwrap_or(Key { tag, vr, test: Test::Value(text) })
}
