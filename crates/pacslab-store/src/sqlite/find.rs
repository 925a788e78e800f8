//! A [`Query`] answered. PS3.4 C.2.2.2, C.4.1.
//!
//! One key leads: the one whose index promises the fewest studies. What it finds holds all that
//! can match; each row is then checked by `matching` itself, so the two cannot differ. Studies come
//! in the order of the answer where the index has it, so that a page costs what the page holds.

use std::cmp::Reverse;

use pacslab_model::matching::{Attributes, matches};
use pacslab_model::{Cursor, Key, Level, Query, Test, Vr};
use rusqlite::Connection;

use super::Sql;
use super::lead::{Chunks, Lead};
use super::rows::{Above, series_of, to_instance, to_patient, to_series, to_study};
use super::scope;
use super::terms::Searched;
use crate::index::Row;

pub(super) fn find(c: &Connection, searched: &Searched, query: &Query) -> Sql<Vec<Row>> {
    let limit = query.limit.unwrap_or(usize::MAX);
    if limit == 0 || asks_below(query) {
        return Ok(Vec::new());
    }
    let mut walk = Walk::new(c, query, limit);
    match uids(query) {
        Some((level, uids)) => walk.named(level, uids)?,
        None => {
            let lead = Lead::choose(c, searched, query)?;
            if query.level == Level::Patient { walk.patients(lead)? } else { walk.studies(lead)? }
        }
    }
    Ok(walk.found)
}

/// A key that no resource of the level has: no row can match.
fn asks_below(query: &Query) -> bool {
    query.keys.iter().any(|key| {
        !key.is_universal() && Level::of(key.tag).is_none_or(|level| level > query.level)
    })
}

/// The UIDs that are asked for, at the lowest level where any are.
fn uids(query: &Query) -> Option<(Level, &[String])> {
    [Level::Instance, Level::Series, Level::Study].into_iter().find_map(|level| {
        query.keys.iter().find_map(|key| match &key.test {
            _ if key.tag != level.key() || key.vr != Vr::UI => None,
            Test::Value(uid) => Some((level, std::slice::from_ref(uid))),
            Test::List(uids) => Some((level, uids.as_slice())),
            _ => None,
        })
    })
}

/// What is found so far, and where the answer begins.
struct Walk<'a> {
    c: &'a Connection,
    query: &'a Query,
    /// Keys of study and patient: asked once for a study.
    upper: Vec<Key>,
    /// Nothing is asked: every row is in the answer.
    all: bool,
    skip: usize,
    limit: usize,
    above: Above,
    found: Vec<Row>,
}

impl<'a> Walk<'a> {
    fn new(c: &'a Connection, query: &'a Query, limit: usize) -> Self {
        let asked = || query.keys.iter().filter(|key| !key.is_universal());
        Self {
            c,
            query,
            upper: asked().filter(|k| Level::of(k.tag) <= Some(Level::Study)).cloned().collect(),
            all: asked().next().is_none(),
            skip: query.offset,
            limit,
            above: Above::default(),
            found: Vec::new(),
        }
    }

    /// The number at a place of the cursor.
    fn after(&self, at: usize) -> Option<i64> {
        self.query.after.as_ref().and_then(|Cursor(numbers)| numbers.get(at)).copied()
    }

    fn after_study(&self) -> Option<(i64, i64)> {
        self.after(0).zip(self.after(1))
    }

    fn full(&self) -> bool {
        self.found.len() >= self.limit
    }

    /// Whether the row is part of the answer, before the page is cut out of it.
    fn fits(&self, row: &Row) -> bool {
        self.all || fits(&self.query.keys, row, self.query)
    }

    fn put(&mut self, row: Row) {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.found.push(row);
        }
    }

    fn patients(&mut self, lead: Lead) -> Sql<()> {
        let mut before = self.after(0);
        let named = lead.patients(self.c)?;
        let mut named =
            named.map(|ids| ids.into_iter().filter(move |id| before.is_none_or(|b| *id < b)));
        loop {
            let ids = match &mut named {
                Some(named) => named.by_ref().take(CHUNK).collect(),
                None => patients_before(self.c, before)?,
            };
            let Some(last) = ids.last() else { return Ok(()) };
            before = Some(*last);
            for id in ids {
                if self.all && self.skip > 0 {
                    self.skip -= 1;
                    continue;
                }
                let Some(row) = to_patient(self.c, id)? else { continue };
                if self.fits(&row) {
                    self.put(row);
                }
                if self.full() {
                    return Ok(());
                }
            }
        }
    }

    fn studies(&mut self, lead: Lead) -> Sql<()> {
        // below a study the answer goes on within the one that the cursor stands in
        let after = self.after_study().map(|(rank, id)| match self.query.level {
            Level::Study => (rank, id),
            _ => (rank, id + 1),
        });
        let mut chunks = Chunks::new(lead, after);
        while let Some(chunk) = chunks.next(self.c, CHUNK)? {
            for at in chunk {
                self.study(at)?;
                if self.full() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn study(&mut self, at: (i64, i64)) -> Sql<()> {
        if self.all && self.skip > 0 && self.query.level == Level::Study {
            self.skip -= 1;
            return Ok(());
        }
        let Some(row) = to_study(self.c, at, &mut self.above)? else { return Ok(()) };
        if self.query.level == Level::Study {
            if self.fits(&row) {
                self.put(row);
            }
            return Ok(());
        }
        if !fits(&self.upper, &row, self.query) {
            return Ok(());
        }
        let inside = self.after_study() == Some(at);
        let after = inside.then(|| self.after(2).zip(self.after(3))).flatten();
        // the series that the cursor stands in goes on with its instances
        let from = match self.query.level {
            Level::Series => after,
            _ => after.map(|(number, id)| (number, id - 1)),
        };
        for series in series_of(self.c, at.1, from)? {
            let inside = after == Some(series);
            self.series(at, series, inside, &row)?;
            if self.full() {
                break;
            }
        }
        Ok(())
    }

    fn series(&mut self, study: (i64, i64), at: (i64, i64), inside: bool, above: &Row) -> Sql<()> {
        let Some(row) = to_series(self.c, study, at, above)? else { return Ok(()) };
        if self.query.level == Level::Series {
            if self.fits(&row) {
                self.put(row);
            }
            return Ok(());
        }
        let after = inside.then(|| self.after(4).zip(self.after(5))).flatten();
        let names = scope::names(self.c, at.1)?;
        let mut list = self.c.prepare_cached(super::rows::INSTANCES_OF)?;
        let (number, id) = after.unwrap_or((i64::MIN, i64::MIN));
        let mut rows = list.query([at.1, number, id])?;
        while !self.full()
            && let Some(found) = rows.next()?
        {
            let row = to_instance(found, &names, &row)?;
            if self.fits(&row) {
                self.put(row);
            }
        }
        Ok(())
    }

    /// Resources whose UIDs are in the question.
    fn named(&mut self, level: Level, uids: &[String]) -> Sql<()> {
        let mut uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        uids.sort_unstable();
        uids.dedup();
        match level {
            Level::Instance => self.named_instances(&uids),
            Level::Series => self.named_series(&uids),
            _ => {
                let mut places = Vec::new();
                for uid in uids {
                    places.extend(scope::study(self.c, uid)?);
                }
                self.studies(Lead::Studies(places))
            }
        }
    }

    fn named_series(&mut self, uids: &[&str]) -> Sql<()> {
        let mut places = Vec::new();
        for uid in uids {
            places.extend(scope::series(self.c, uid)?.map(|(study, own)| (Reverse(study), own)));
        }
        places.sort_unstable();
        let after = self.after_study().zip(self.after(2).zip(self.after(3)));
        let after = after.map(|(study, series)| (Reverse(study), series));
        for at in places {
            let inside = after == Some(at);
            if after > Some(at) || inside && self.query.level == Level::Series {
                continue;
            }
            let Some(study) = to_study(self.c, at.0.0, &mut self.above)? else { continue };
            if fits(&self.upper, &study, self.query) {
                self.series(at.0.0, at.1, inside, &study)?;
            }
            if self.full() {
                break;
            }
        }
        Ok(())
    }

    fn named_instances(&mut self, uids: &[&str]) -> Sql<()> {
        let mut places = Vec::new();
        for uid in uids {
            places.extend(scope::instance(self.c, uid)?);
        }
        places.sort_unstable();
        let after = self.after_study().zip(self.after(2).zip(self.after(3)));
        let after = after.zip(self.after(4).zip(self.after(5)));
        let after = after.map(|((study, series), own)| (Reverse(study), series, own));
        for at in places {
            if after >= Some(at) {
                continue;
            }
            let Some(study) = to_study(self.c, at.0.0, &mut self.above)? else { continue };
            let Some(series) = to_series(self.c, at.0.0, at.1, &study)? else { continue };
            let names = scope::names(self.c, at.1.1)?;
            let mut one = self.c.prepare_cached(super::rows::INSTANCE)?;
            let row = one.query_row([at.2.1], |found| to_instance(found, &names, &series))?;
            if self.fits(&row) {
                self.put(row);
            }
            if self.full() {
                break;
            }
        }
        Ok(())
    }
}

/// Studies and patients fetched at once.
const CHUNK: usize = 256;

fn fits(keys: &[Key], row: &Row, query: &Query) -> bool {
    matches(keys, row as &dyn Attributes, &query.rules).is_match()
}

fn patients_before(c: &Connection, before: Option<i64>) -> Sql<Vec<i64>> {
    c.prepare_cached("SELECT id FROM patients WHERE id < ?1 ORDER BY id DESC LIMIT ?2")?
        .query_map([before.unwrap_or(i64::MAX), CHUNK as i64], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use pacslab_model::tags;

    use super::*;

    #[test]
    fn the_lowest_uids_lead() {
        let key = |tag, text| Key::parse(tag, Vr::UI, text).unwrap();
        let both = Query::new(Level::Instance)
            .key(key(tags::STUDY_INSTANCE_UID, "1.2"))
            .key(key(tags::SERIES_INSTANCE_UID, "1.2.3\\1.2.4"));
        assert_eq!(uids(&both).map(|(level, uids)| (level, uids.len())), Some((Level::Series, 2)));
        let none = Query::new(Level::Study).key(key(tags::STUDY_INSTANCE_UID, ""));
        assert_eq!(uids(&none), None);
    }
}
