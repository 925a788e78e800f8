//! A [`Query`] as SQL. PS3.4 C.2.2.2.
//!
//! Only what an index answers well becomes a condition, and every condition lets through at least
//! what `matching` accepts; each candidate row is then checked by `matching` itself. So the two
//! cannot differ, and an attribute nobody searches by costs nothing to keep.

use std::fmt::Write;
use std::sync::Arc;

use pacslab_model::matching::{Attributes, Rules, matches};
use pacslab_model::time::Date;
use pacslab_model::{Key, Level, Moment, Query, Tag, Test, Vr, tags};
use rusqlite::types::Value;
use rusqlite::{Connection, Row as SqlRow, params_from_iter};

use super::Sql;
use super::index::{STORED, moment, stored};
use super::ingest::{decode, folded};
use crate::index::{Row, Scope, Stored, Texts};

pub(super) fn find(c: &Connection, query: &Query) -> Sql<Vec<Row>> {
    let limit = query.limit.unwrap_or(usize::MAX);
    if limit == 0 || asks_below(query) {
        return Ok(Vec::new());
    }
    let (sql, values) = statement(query);
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut above = Above::default();
    let mut found = Vec::new();
    let mut skipped = 0;
    while let Some(row) = rows.next()? {
        let row = read_row(row, query.level, &mut above)?;
        if !matches(&query.keys, &row as &dyn Attributes, &Rules::QUERY).is_match() {
            continue;
        }
        if skipped < query.offset {
            skipped += 1;
            continue;
        }
        found.push(row);
        if found.len() == limit {
            break;
        }
    }
    Ok(found)
}

/// A key that no resource of the level has: no row can match.
fn asks_below(query: &Query) -> bool {
    query.keys.iter().any(|key| {
        !key.is_universal() && Level::of(key.tag).is_none_or(|level| level > query.level)
    })
}

pub(super) fn instances(c: &Connection, scope: &Scope) -> Sql<Vec<Stored>> {
    let mut sql = format!("SELECT {STORED} FROM {} WHERE 1", tables(Level::Instance));
    let mut values = Vec::new();
    let uids = |uids: &[pacslab_model::Uid]| uids.iter().map(|u| u.as_str().to_owned()).collect();
    for (column, wanted) in [
        ("p.patient_id", scope.patient_ids.clone()),
        ("st.uid", uids(&scope.study_uids)),
        ("se.uid", uids(&scope.series_uids)),
        ("i.uid", uids(&scope.sop_instances)),
    ] {
        match wanted.len() {
            0 => {}
            1 => {
                let _ = write!(sql, " AND {column} = ?");
                values.extend(wanted);
            }
            // One parameter however long the list is.
            _ => {
                let _ = write!(sql, " AND {column} IN (SELECT value FROM json_each(?))");
                values.push(serde_json::Value::from(wanted).to_string());
            }
        }
    }
    let _ = write!(sql, " ORDER BY {}", order(Level::Instance));
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| stored(row, 0))?;
    rows.collect()
}

fn statement(query: &Query) -> (String, Vec<Value>) {
    let level = query.level;
    let mut sql = String::from("SELECT ");
    sql.push_str(
        "p.id, p.attributes, p.studies, p.series, p.instances, p.received_at, p.received_offset",
    );
    if level >= Level::Study {
        sql.push_str(
            ", st.id, st.attributes, st.series, st.instances, st.modalities, st.sop_classes, \
             st.received_at, st.received_offset",
        );
    }
    if level >= Level::Series {
        sql.push_str(", se.id, se.attributes, se.instances, se.received_at, se.received_offset");
    }
    if level == Level::Instance {
        let _ = write!(sql, ", i.attributes, {STORED}");
    }
    let _ = write!(sql, " FROM {} WHERE 1", tables(level));
    let mut values = Vec::new();
    for key in &query.keys {
        if let Some((condition, wanted)) = condition(key) {
            let _ = write!(sql, " AND {condition}");
            values.extend(wanted.into_iter().map(Value::from));
        }
    }
    let _ = write!(sql, " ORDER BY {}", order(level));
    (sql, values)
}

fn tables(level: Level) -> &'static str {
    match level {
        Level::Patient => "patients p",
        Level::Study => "studies st JOIN patients p ON p.id = st.patient",
        Level::Series => {
            "series se JOIN studies st ON st.id = se.study JOIN patients p ON p.id = st.patient"
        }
        Level::Instance => {
            "instances i JOIN series se ON se.id = i.series \
             JOIN studies st ON st.id = se.study JOIN patients p ON p.id = st.patient"
        }
    }
}

fn order(level: Level) -> &'static str {
    match level {
        Level::Patient => "p.id DESC",
        Level::Study => "st.date DESC, st.time DESC, st.id DESC",
        Level::Series => "st.date DESC, st.time DESC, st.id DESC, se.number, se.id",
        Level::Instance => {
            "st.date DESC, st.time DESC, st.id DESC, se.number, se.id, i.number, i.id"
        }
    }
}

/// The condition of a key, where an index helps. `None`: it is left to `matching` alone.
fn condition(key: &Key) -> Option<(String, Vec<String>)> {
    if key.is_universal() {
        return None;
    }
    match (key.tag, key.vr) {
        (tags::PATIENT_ID, Vr::LO) => column("p", "patients", "patient_id", key),
        (tags::PATIENT_NAME, Vr::PN) => name(key),
        (tags::STUDY_INSTANCE_UID, Vr::UI) => column("st", "studies", "uid", key),
        (tags::ACCESSION_NUMBER, Vr::SH) => column("st", "studies", "accession", key),
        (tags::STUDY_DATE, Vr::DA) => date(key),
        (tags::SERIES_INSTANCE_UID, Vr::UI) => column("se", "series", "uid", key),
        (tags::SOP_INSTANCE_UID, Vr::UI) => column("i", "instances", "uid", key),
        _ => None,
    }
}

fn column(alias: &str, table: &str, column: &str, key: &Key) -> Option<(String, Vec<String>)> {
    let (test, values) = text_test(column, key)?;
    Some((among(alias, table, &test), values))
}

/// Rows that pass the test, and those whose columns cannot answer.
fn among(alias: &str, table: &str, test: &str) -> String {
    format!(
        "{alias}.id IN (SELECT id FROM {table} WHERE {test} \
         UNION ALL SELECT id FROM {table} WHERE odd = 1)"
    )
}

fn text_test(column: &str, key: &Key) -> Option<(String, Vec<String>)> {
    let wildcards = key.vr.allows_wildcards();
    match &key.test {
        Test::Value(wanted) | Test::Wildcard(wanted) => {
            if wildcards {
                pattern(column, wanted)
            } else {
                equal(column, wanted)
            }
        }
        Test::List(wanted) if !(wildcards && wanted.iter().any(|w| w.contains(['*', '?']))) => {
            let list = serde_json::Value::from(wanted.clone()).to_string();
            Some((format!("{column} IN (SELECT value FROM json_each(?))"), vec![list]))
        }
        _ => None,
    }
}

fn equal(column: &str, wanted: &str) -> Option<(String, Vec<String>)> {
    Some((format!("{column} = ?"), vec![wanted.to_owned()]))
}

/// The part before the first wildcard is a range: SQLite's `LIKE` would not use the index.
fn pattern(column: &str, wanted: &str) -> Option<(String, Vec<String>)> {
    let Some(at) = wanted.find(['*', '?']) else { return equal(column, wanted) };
    let prefix = &wanted[..at];
    if prefix.is_empty() {
        return None;
    }
    let test = format!("{column} >= ? AND {column} <= ?");
    Some((test, vec![prefix.to_owned(), format!("{prefix}{}", "\u{10FFFF}".repeat(4))]))
}

/// A key of several component groups is left to `matching`: the table holds single ones.
fn name(key: &Key) -> Option<(String, Vec<String>)> {
    let (Test::Value(wanted) | Test::Wildcard(wanted)) = &key.test else { return None };
    if wanted.contains('=') {
        return None;
    }
    let (test, values) = pattern("fold", &folded(wanted))?;
    Some((format!("p.id IN (SELECT patient FROM patient_names WHERE {test})"), values))
}

fn date(key: &Key) -> Option<(String, Vec<String>)> {
    let day = |text: &str| Date::parse(text).map(|date| date.to_string());
    let (test, values) = match &key.test {
        Test::Value(wanted) => ("date = ?", vec![day(wanted)?]),
        Test::Range(Some(from), Some(to)) => {
            ("date >= ? AND date <= ?", vec![day(from)?, day(to)?])
        }
        Test::Range(Some(from), None) => ("date >= ?", vec![day(from)?]),
        Test::Range(None, Some(to)) => ("date <= ?", vec![day(to)?]),
        _ => return None,
    };
    // A range of days is read along the index that has the order of the answer as well.
    let test = test.replace("date", "st.date");
    Some((format!("(({test}) OR st.odd = 1)"), values))
}

/// The resources above the last row: the next row mostly has the same ones.
#[derive(Default)]
struct Above {
    patient: Option<(i64, Arc<Texts>)>,
    study: Option<(i64, Arc<Texts>)>,
    series: Option<(i64, Arc<Texts>)>,
}

/// Where the columns of each level begin in [`statement`].
const STUDY_AT: usize = 7;
const SERIES_AT: usize = 15;
const INSTANCE_AT: usize = 20;

fn read_row(row: &SqlRow<'_>, level: Level, above: &mut Above) -> Sql<Row> {
    let mut texts = Vec::with_capacity(4);
    texts.push(shared(row, 0, &mut above.patient, |texts| {
        put_count(texts, tags::NUMBER_OF_PATIENT_RELATED_STUDIES, row, 2)?;
        put_count(texts, tags::NUMBER_OF_PATIENT_RELATED_SERIES, row, 3)?;
        put_count(texts, tags::NUMBER_OF_PATIENT_RELATED_INSTANCES, row, 4)
    })?);
    let mut received_at: Moment = moment(row, 5)?;
    if level >= Level::Study {
        texts.push(shared(row, STUDY_AT, &mut above.study, |texts| {
            put_count(texts, tags::NUMBER_OF_STUDY_RELATED_SERIES, row, STUDY_AT + 2)?;
            put_count(texts, tags::NUMBER_OF_STUDY_RELATED_INSTANCES, row, STUDY_AT + 3)?;
            put_text(texts, tags::MODALITIES_IN_STUDY, row, STUDY_AT + 4)?;
            put_text(texts, tags::SOP_CLASSES_IN_STUDY, row, STUDY_AT + 5)
        })?);
        received_at = moment(row, STUDY_AT + 6)?;
    }
    if level >= Level::Series {
        texts.push(shared(row, SERIES_AT, &mut above.series, |texts| {
            put_count(texts, tags::NUMBER_OF_SERIES_RELATED_INSTANCES, row, SERIES_AT + 2)
        })?);
        received_at = moment(row, SERIES_AT + 3)?;
    }
    let mut held = None;
    if level == Level::Instance {
        texts.push(Arc::new(decode(row.get_ref(INSTANCE_AT)?.as_str()?)));
        let instance = stored(row, INSTANCE_AT + 1)?;
        received_at = instance.received_at;
        held = Some(Box::new(instance));
    }
    Ok(Row { level, texts, received_at, stored: held })
}

fn shared(
    row: &SqlRow<'_>,
    at: usize,
    last: &mut Option<(i64, Arc<Texts>)>,
    computed: impl FnOnce(&mut Texts) -> Sql<()>,
) -> Sql<Arc<Texts>> {
    let id: i64 = row.get(at)?;
    if let Some((last, texts)) = last
        && *last == id
    {
        return Ok(texts.clone());
    }
    let mut texts = decode(row.get_ref(at + 1)?.as_str()?);
    computed(&mut texts)?;
    let texts = Arc::new(texts);
    *last = Some((id, texts.clone()));
    Ok(texts)
}

fn put_count(texts: &mut Texts, tag: Tag, row: &SqlRow<'_>, at: usize) -> Sql<()> {
    texts.insert(tag, row.get::<_, i64>(at)?.to_string());
    Ok(())
}

fn put_text(texts: &mut Texts, tag: Tag, row: &SqlRow<'_>, at: usize) -> Sql<()> {
    let text = row.get_ref(at)?.as_str()?;
    if !text.is_empty() {
        texts.insert(tag, text.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(tag: Tag, vr: Vr, text: &str) -> Option<String> {
        condition(&Key::parse(tag, vr, text).unwrap()).map(|(sql, _)| sql)
    }

    #[test]
    fn selective_keys_become_conditions_and_others_do_not() {
        assert!(sql(tags::PATIENT_ID, Vr::LO, "P1").unwrap().contains("patient_id = ?"));
        assert!(sql(tags::PATIENT_ID, Vr::LO, "P*").unwrap().contains("patient_id >= ?"));
        assert!(sql(tags::PATIENT_NAME, Vr::PN, "DOE^*").unwrap().contains("fold >= ?"));
        assert!(sql(tags::STUDY_DATE, Vr::DA, "20260101-").unwrap().contains("st.date >= ?"));
        assert_eq!(sql(tags::PATIENT_ID, Vr::LO, "*1"), None);
        assert_eq!(sql(tags::PATIENT_ID, Vr::LO, ""), None);
        assert_eq!(sql(tags::PATIENT_NAME, Vr::PN, "=山田*"), None);
        assert_eq!(sql(tags::STUDY_DESCRIPTION, Vr::LO, "CT"), None);
    }

    #[test]
    fn the_columns_are_where_they_are_read() {
        let (sql, _) = statement(&Query::new(Level::Instance));
        let columns: Vec<&str> =
            sql["SELECT ".len()..sql.find(" FROM").unwrap()].split(',').map(str::trim).collect();
        assert_eq!(columns[STUDY_AT], "st.id");
        assert_eq!(columns[SERIES_AT], "se.id");
        assert_eq!(columns[INSTANCE_AT], "i.attributes");
    }
}
