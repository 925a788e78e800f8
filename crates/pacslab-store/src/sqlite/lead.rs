//! The key that leads a search, and the studies it leads to.

use pacslab_model::time::{Date, DateTimeRange, TimeOfDay};
use pacslab_model::{Key, Level, Query, Tag, Test, Vr, tags};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sql;
use super::ingest::NO_DATE;
use super::scope;
use super::terms::{Searched, Seek};

/// Where the studies of an answer come from.
pub(super) enum Lead {
    /// All there are.
    All,
    /// Those whose rank lies between, both included.
    Dates(i64, i64),
    /// Those with one term.
    Term(Tag, String),
    /// Those with terms that fit.
    Terms(Tag, Seek),
    /// Those of patients with terms that fit.
    Patients(Tag, Seek),
    /// These.
    Studies(Vec<(i64, i64)>),
}

/// Promises are compared up to here: what finds more is as good as any other that does.
const ENOUGH: i64 = 200;

impl Lead {
    /// The one that promises the fewest.
    pub(super) fn choose(c: &Connection, searched: &Searched, query: &Query) -> Sql<Self> {
        let mut leads: Vec<Self> = query.keys.iter().filter_map(|k| lead(searched, k)).collect();
        if leads.iter().any(|lead| matches!(lead, Self::Dates(..))) && several_dates(c)? {
            leads.retain(|lead| !matches!(lead, Self::Dates(..)));
        }
        if leads.len() < 2 {
            return Ok(leads.pop().unwrap_or(Self::All));
        }
        let mut best = (i64::MAX, 0, Self::All);
        for lead in leads {
            let promise = (lead.promise(c)?, lead.effort());
            if promise < (best.0, best.1) {
                best = (promise.0, promise.1, lead);
            }
        }
        Ok(best.2)
    }

    /// How much it finds, counted up to a limit.
    fn promise(&self, c: &Connection) -> Sql<i64> {
        match self {
            Self::Dates(from, to) => c
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM studies
                     WHERE rank BETWEEN ?1 AND ?2 LIMIT ?3)",
                )?
                .query_row([*from, *to, ENOUGH], |row| row.get(0)),
            Self::Term(tag, term) => c
                .prepare_cached(
                    "SELECT count(*) FROM (SELECT 1 FROM study_terms
                     WHERE tag = ?1 AND term = ?2 LIMIT ?3)",
                )?
                .query_row(params![tag.0, term, ENOUGH], |row| row.get(0)),
            Self::Terms(tag, seek) | Self::Patients(tag, seek) => {
                let (first, last) = seek.bounds();
                if first.is_empty() {
                    return Ok(ENOUGH + 1);
                }
                let table =
                    if matches!(self, Self::Terms(..)) { "study_terms" } else { "patient_terms" };
                c.prepare_cached(&format!(
                    "SELECT count(*) FROM (SELECT 1 FROM {table}
                     WHERE tag = ?1 AND term >= ?2 AND term < ?3 LIMIT ?4)"
                ))?
                .query_row(params![tag.0, first, last, ENOUGH], |row| row.get(0))
            }
            Self::All | Self::Studies(_) => Ok(i64::MAX),
        }
    }

    /// Among equal ones, the one that comes in the order of the answer.
    fn effort(&self) -> i64 {
        match self {
            Self::Dates(..) | Self::Term(..) => 0,
            _ => 1,
        }
    }

    /// The patients, newest first. `None`: all.
    pub(super) fn patients(&self, c: &Connection) -> Sql<Option<Vec<i64>>> {
        let Self::Patients(tag, seek) = self else { return Ok(None) };
        let mut ids = Vec::new();
        terms(c, "patient_terms", "patient, 0", *tag, seek, &mut |(id, _)| ids.push(id))?;
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        Ok(Some(ids))
    }
}

fn lead(searched: &Searched, key: &Key) -> Option<Lead> {
    if key.is_universal() {
        return None;
    }
    if key.tag == tags::STUDY_DATE && key.vr == Vr::DA {
        let start = |text: &str| DateTimeRange::at(Date::parse(text)?, TimeOfDay(0));
        let seconds = |text: &str| Some(start(text)?.div_euclid(1_000_000));
        const DAY: i64 = 86_400;
        return match &key.test {
            Test::Value(day) => seconds(day).map(|at| Lead::Dates(at, at + DAY - 1)),
            Test::Range(from, to) => {
                let from = from.as_ref().map_or(Some(NO_DATE + 1), |from| seconds(from))?;
                let to = to.as_ref().map_or(Some(i64::MAX - DAY), |to| seconds(to))?;
                Some(Lead::Dates(from, to + DAY - 1))
            }
            _ => None,
        };
    }
    let (tag, seek) = searched.seek(key)?;
    if Level::of(tag) == Some(Level::Patient) {
        return Some(Lead::Patients(tag, seek));
    }
    match seek {
        Seek::Terms(mut terms) if terms.len() == 1 => {
            Some(Lead::Term(tag, terms.pop().unwrap_or_default()))
        }
        seek => Some(Lead::Terms(tag, seek)),
    }
}

/// Studies of several dates are at the place of one of them only.
fn several_dates(c: &Connection) -> Sql<bool> {
    let odd = c
        .prepare_cached("SELECT 1 FROM studies WHERE odd = 1 LIMIT 1")?
        .query_row([], |_| Ok(()))
        .optional()?;
    Ok(odd.is_some())
}

/// Studies of a lead, newest first, some at a time.
pub(super) struct Chunks {
    lead: Lead,
    /// The last one that was answered.
    after: (i64, i64),
    /// Those of a lead that has no order, the next one last.
    gathered: Option<Vec<(i64, i64)>>,
}

const NEWEST: (i64, i64) = (i64::MAX, i64::MAX);

impl Chunks {
    pub(super) fn new(lead: Lead, after: Option<(i64, i64)>) -> Self {
        Self { lead, after: after.unwrap_or(NEWEST), gathered: None }
    }

    pub(super) fn next(&mut self, c: &Connection, most: usize) -> Sql<Option<Vec<(i64, i64)>>> {
        let (rank, id) = self.after;
        let two = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let limit = most as i64;
        let chunk: Vec<(i64, i64)> = match &self.lead {
            Lead::All => {
                c.prepare_cached(ALL)?.query_map([rank, id, limit], two)?.collect::<Sql<_>>()?
            }
            Lead::Dates(from, to) => {
                let (rank, id) = if rank > *to { (*to, i64::MAX) } else { (rank, id) };
                c.prepare_cached(DATES)?
                    .query_map([rank, id, *from, limit], two)?
                    .collect::<Sql<_>>()?
            }
            Lead::Term(tag, term) => c
                .prepare_cached(TERM)?
                .query_map(params![tag.0, term, rank, id, limit], two)?
                .collect::<Sql<_>>()?,
            Lead::Terms(..) | Lead::Patients(..) | Lead::Studies(_) => {
                let left = match &mut self.gathered {
                    Some(left) => left,
                    None => self.gathered.insert(gather(c, &mut self.lead, self.after)?),
                };
                let from = left.len().saturating_sub(most);
                left.drain(from..).rev().collect()
            }
        };
        if let Some(last) = chunk.last() {
            self.after = *last;
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

pub(super) const ALL: &str = "SELECT rank, id FROM studies WHERE (rank, id) < (?1, ?2) \
    ORDER BY rank DESC, id DESC LIMIT ?3";
pub(super) const DATES: &str = "SELECT rank, id FROM studies WHERE (rank, id) < (?1, ?2) \
    AND rank >= ?3 ORDER BY rank DESC, id DESC LIMIT ?4";
pub(super) const TERM: &str = "SELECT rank, study FROM study_terms WHERE tag = ?1 AND term = ?2 \
    AND (rank, study) < (?3, ?4) ORDER BY rank DESC, study DESC LIMIT ?5";

/// Ascending: the newest is last.
fn gather(c: &Connection, lead: &mut Lead, after: (i64, i64)) -> Sql<Vec<(i64, i64)>> {
    let mut all = Vec::new();
    match lead {
        Lead::Terms(tag, seek) => {
            terms(c, "study_terms", "rank, study", *tag, seek, &mut |at| all.push(at))?;
        }
        Lead::Studies(places) => all = std::mem::take(places),
        lead => {
            for patient in lead.patients(c)?.unwrap_or_default() {
                scope::studies_of(c, patient, &mut all)?;
            }
        }
    }
    all.retain(|at| *at < after);
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Entries of terms that fit. A term that does not fit and has many entries is passed over.
fn terms(
    c: &Connection,
    table: &str,
    columns: &str,
    tag: Tag,
    seek: &Seek,
    put: &mut impl FnMut((i64, i64)),
) -> Sql<()> {
    /// Entries of one term that are stepped over before the next term is looked for.
    const PATIENCE: u32 = 16;
    if let Seek::Terms(terms) = seek {
        let sql = format!("SELECT {columns} FROM {table} WHERE tag = ?1 AND term = ?2");
        let mut statement = c.prepare_cached(&sql)?;
        for term in terms {
            let mut rows = statement.query(params![tag.0, term])?;
            while let Some(row) = rows.next()? {
                put((row.get(0)?, row.get(1)?));
            }
        }
        return Ok(());
    }
    let (mut first, last) = seek.bounds();
    let sql = format!(
        "SELECT {columns}, term FROM {table} WHERE tag = ?1 AND term >= ?2 AND term < ?3
         ORDER BY term"
    );
    let mut statement = c.prepare_cached(&sql)?;
    'again: loop {
        let mut rows = statement.query(params![tag.0, first, last])?;
        let (mut held, mut fits, mut same) = (String::new(), false, 0);
        let mut begun = false;
        while let Some(row) = rows.next()? {
            let term = row.get_ref(2)?.as_str()?;
            if begun && term == held {
                same += 1;
            } else {
                held.clear();
                held.push_str(term);
                (begun, same, fits) = (true, 0, seek.fits(term));
            }
            if fits {
                put((row.get(0)?, row.get(1)?));
            } else if same > PATIENCE {
                first = format!("{held}\0");
                continue 'again;
            }
        }
        return Ok(());
    }
}
