//! The items in memory, found by what scanners ask for: station, day, accession number, patient.

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;

use pacslab_model::matching::{self, Mismatch, Outcome, Rules};
use pacslab_model::time::{Date, DateTimeRange, TimeOfDay};
use pacslab_model::{Key, Tag, Test, Vr, tags};

use super::item::Item;

/// Start of the step, then a number of its own.
type Place = (i64, u32);

#[derive(Debug, Default)]
pub(super) struct Index {
    slots: Vec<Option<Arc<Item>>>,
    free: Vec<u32>,
    files: HashMap<Arc<str>, Vec<u32>>,
    all: BTreeSet<Place>,
    /// By the values of [`INDEXED`].
    postings: [HashMap<String, BTreeSet<Place>>; INDEXED.len()],
}

/// What is indexed beside the start, and whether it is of the step.
const INDEXED: [(Tag, bool); 4] = [
    (tags::SCHEDULED_STATION_AE_TITLE, true),
    (tags::MODALITY, true),
    (tags::ACCESSION_NUMBER, false),
    (tags::PATIENT_ID, false),
];

impl Index {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Takes the items of a file in, in place of those that it had.
    pub(super) fn replace(&mut self, file: &Arc<str>, items: Vec<Item>) {
        self.remove(file);
        let ids = items.into_iter().map(|item| self.insert(item)).collect();
        self.files.insert(file.clone(), ids);
    }

    pub(super) fn remove(&mut self, file: &str) {
        for id in self.files.remove(file).unwrap_or_default() {
            let Some(item) = self.slots.get_mut(id as usize).and_then(Option::take) else {
                continue;
            };
            let place = (item.start, id);
            self.all.remove(&place);
            for (posting, value) in terms(&item) {
                if let Some(places) = self.postings[posting].get_mut(value) {
                    places.remove(&place);
                    if places.is_empty() {
                        self.postings[posting].remove(value);
                    }
                }
            }
            self.free.push(id);
        }
    }

    fn insert(&mut self, item: Item) -> u32 {
        let id = self.free.pop().unwrap_or(self.slots.len() as u32);
        let place = (item.start, id);
        self.all.insert(place);
        for (posting, value) in terms(&item) {
            match self.postings[posting].get_mut(value) {
                Some(places) => {
                    places.insert(place);
                }
                None => {
                    self.postings[posting].insert(value.to_owned(), BTreeSet::from([place]));
                }
            }
        }
        let item = Some(Arc::new(item));
        match self.slots.get_mut(id as usize) {
            Some(slot) => *slot = item,
            None => self.slots.push(item),
        }
        id
    }

    /// All items by start.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Item>> {
        self.at(self.all.iter())
    }

    /// The items that match, by start; items with a status that is hidden only when it is asked for.
    pub(super) fn find(&self, keys: &[Key], rules: &Rules, limit: usize) -> Vec<Arc<Item>> {
        let hidden_too = asks_for_status(keys);
        let pieces = name_pieces(keys, rules);
        self.candidates(keys, rules)
            .filter(|item| hidden_too || !item.hidden)
            .filter(|item| item.may_be_named(&pieces))
            .filter(|item| matching::matches(keys, &item.dataset, rules).is_match())
            .take(limit)
            .cloned()
            .collect()
    }

    /// Why the items that do not match do not.
    pub(super) fn explain(&self, keys: &[Key], rules: &Rules) -> Vec<(Arc<Item>, Mismatch)> {
        let hidden_too = asks_for_status(keys);
        let why = |item: &Arc<Item>| match matching::matches(keys, &item.dataset, rules) {
            Outcome::Mismatch(mismatch) => Some((item.clone(), *mismatch)),
            Outcome::Match if item.hidden && !hidden_too => {
                let status = item.step_str(tags::SCHEDULED_PROCEDURE_STEP_STATUS);
                let mismatch = Mismatch {
                    key: tags::SCHEDULED_PROCEDURE_STEP_STATUS,
                    wanted: "a status that is offered".to_owned(),
                    found: Some(status.to_owned()),
                };
                Some((item.clone(), mismatch))
            }
            Outcome::Match => None,
        };
        self.all().filter_map(why).collect()
    }

    /// A superset of what matches: the shortest list that a key leads to, cut to the days asked.
    fn candidates(&self, keys: &[Key], rules: &Rules) -> Box<dyn Iterator<Item = &Arc<Item>> + '_> {
        let step_keys = items_of(keys, tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
        let mut shortest = &self.all;
        for (posting, (tag, of_step)) in INDEXED.into_iter().enumerate() {
            let keys = if of_step { step_keys } else { keys };
            let Some(Test::Value(value)) = test_of(keys, tag) else { continue };
            if rules.fold_all {
                continue;
            }
            match self.postings[posting].get(value.as_str()) {
                None => return Box::new(std::iter::empty()),
                Some(places) if places.len() < shortest.len() => shortest = places,
                Some(_) => {}
            }
        }
        match test_of(step_keys, tags::SCHEDULED_PROCEDURE_STEP_START_DATE).and_then(days) {
            Some(days) => {
                let places = (*days.start(), 0)..=(*days.end(), u32::MAX);
                Box::new(self.at(shortest.range(places)))
            }
            None => Box::new(self.at(shortest.iter())),
        }
    }

    fn at<'a>(
        &'a self,
        places: impl Iterator<Item = &'a Place>,
    ) -> impl Iterator<Item = &'a Arc<Item>> {
        places.filter_map(|(_, id)| self.slots.get(*id as usize)?.as_ref())
    }
}

/// The values under which an item is found, with the posting they belong to.
fn terms(item: &Item) -> Vec<(usize, &str)> {
    let mut terms = Vec::with_capacity(INDEXED.len());
    for (posting, (tag, of_step)) in INDEXED.into_iter().enumerate() {
        let text = if of_step { item.step_str(tag) } else { item.dataset.str(tag) };
        let values = text.split('\\').map(str::trim).filter(|value| !value.is_empty());
        terms.extend(values.map(|value| (posting, value)));
    }
    terms
}

fn items_of(keys: &[Key], tag: Tag) -> &[Key] {
    match test_of(keys, tag) {
        Some(Test::Items(keys)) => keys,
        _ => &[],
    }
}

fn test_of(keys: &[Key], tag: Tag) -> Option<&Test> {
    keys.iter().find(|key| key.tag == tag).map(|key| &key.test)
}

fn asks_for_status(keys: &[Key]) -> bool {
    items_of(keys, tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE)
        .iter()
        .any(|key| key.tag == tags::SCHEDULED_PROCEDURE_STEP_STATUS && !key.is_universal())
}

/// Whole days, whatever time of day is asked for with them.
fn days(test: &Test) -> Option<RangeInclusive<i64>> {
    let at = |day: &str, time| DateTimeRange::at(Date::parse(day)?, TimeOfDay(time));
    let (from, to) = match test {
        Test::Value(day) => (Some(day), Some(day)),
        Test::Range(from, to) => (from.as_ref(), to.as_ref()),
        _ => return None,
    };
    let first = from.map_or(Some(i64::MIN), |day| at(day, 0))?;
    // an item without a start is in no range of days
    let last = to.map_or(Some(i64::MAX - 1), |day| at(day, 86_399_999_999))?;
    (first <= last).then_some(first..=last)
}

/// What a name must hold, folded, to match a key of one component group. The engine decides; this
/// spares it most of the names.
fn name_pieces(keys: &[Key], rules: &Rules) -> Vec<String> {
    let wanted = keys
        .iter()
        .find(|key| key.tag == tags::PATIENT_NAME && key.vr == Vr::PN)
        .and_then(|key| match &key.test {
            Test::Value(wanted) | Test::Wildcard(wanted) => Some(wanted.as_str()),
            _ => None,
        })
        .filter(|wanted| !wanted.contains('=') && !rules.fold_accents)
        .unwrap_or("");
    let wanted = wanted.trim_end_matches(['^', ' ']).to_lowercase();
    wanted.split(['*', '?']).filter(|piece| !piece.is_empty()).map(str::to_owned).collect()
}
