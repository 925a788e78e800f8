//! Attribute matching: the one engine behind every door. PS3.4 C.2.2.2.
//!
//! The SQL form of the same rules is in `pacslab-store`, held equal to this one by a test.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::query::{Key, Test};
use crate::tag::{Tag, Vr, tags};
use crate::time::{Date, DateTimeRange, TimeOfDay, TimeRange};

/// Anything that has attributes to match: a data set, a row of the index.
pub trait Attributes {
    /// The decoded value without padding, values separated by backslash. `None`: absent.
    fn text(&self, tag: Tag) -> Option<Cow<'_, str>>;

    /// The items of a sequence. `None`: absent.
    fn items(&self, tag: Tag) -> Option<Vec<&dyn Attributes>>;
}

/// What differs between doors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rules {
    /// Person names match without regard to case (allowed by PS3.4 C.2.2.2.1).
    pub fold_names: bool,
    /// Person names match without regard to accents as well (fuzzy, negotiable).
    pub fold_accents: bool,
    /// All text matches without regard to case: `/tools/find` unless `CaseSensitive`.
    pub fold_all: bool,
    /// `*` and `?` in AE titles: not in the standard's worklist, but Orthanc does it.
    pub ae_wildcards: bool,
    /// A date range and a time range mean one interval. PS3.4 C.2.2.2.5.
    pub combined_date_time: bool,
}

impl Rules {
    /// Modality worklist, PS3.4 K.2.2.
    pub const WORKLIST: Self = Self {
        fold_names: true,
        fold_accents: false,
        fold_all: false,
        ae_wildcards: false,
        combined_date_time: true,
    };

    /// Query/retrieve, PS3.4 C.2.2.2; dates and times are independent unless negotiated.
    pub const QUERY: Self =
        Self { combined_date_time: false, ae_wildcards: true, ..Self::WORKLIST };
}

/// Whether something matches, and if not, why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Match,
    Mismatch(Box<Mismatch>),
}

/// The first key that failed: what a person needs to see why an item was not found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    pub key: Tag,
    pub wanted: String,
    /// `None`: the attribute is absent or empty.
    pub found: Option<String>,
}

impl Outcome {
    pub fn is_match(&self) -> bool {
        matches!(self, Self::Match)
    }
}

/// Matches all `keys` against `subject`.
pub fn matches(keys: &[Key], subject: &dyn Attributes, rules: &Rules) -> Outcome {
    let combined = if rules.combined_date_time { combined_intervals(keys) } else { Vec::new() };
    for interval in &combined {
        if let Some(mismatch) = interval.check(subject) {
            return Outcome::Mismatch(Box::new(mismatch));
        }
    }
    for key in keys {
        if key.is_universal() || combined.iter().any(|c| c.date == key.tag || c.time == key.tag) {
            continue;
        }
        if let Some(mismatch) = check(key, subject, rules) {
            return Outcome::Mismatch(Box::new(mismatch));
        }
    }
    Outcome::Match
}

fn check(key: &Key, subject: &dyn Attributes, rules: &Rules) -> Option<Mismatch> {
    if let Test::Items(keys) = &key.test {
        let items = subject.items(key.tag).unwrap_or_default();
        let mut first = None;
        for item in &items {
            match matches(keys, *item, rules) {
                Outcome::Match => return None,
                Outcome::Mismatch(why) => first = first.or(Some(*why)),
            }
        }
        return first
            .or_else(|| Some(Mismatch { key: key.tag, wanted: key.wanted(), found: None }));
    }
    let found = subject.text(key.tag).filter(|text| !text.is_empty());
    match &found {
        Some(text) if value_matches(key, text, rules) => None,
        _ => {
            Some(Mismatch { key: key.tag, wanted: key.wanted(), found: found.map(Cow::into_owned) })
        }
    }
}

/// Whether the (possibly multi-valued) text of one attribute satisfies a key.
pub fn value_matches(key: &Key, text: &str, rules: &Rules) -> bool {
    if key.vr.is_single_text() {
        return one_matches(key, text, rules);
    }
    text.split('\\').any(|value| one_matches(key, value.trim(), rules))
}

fn one_matches(key: &Key, value: &str, rules: &Rules) -> bool {
    match &key.test {
        Test::Any | Test::Items(_) => true,
        Test::List(wanted) => wanted.iter().any(|one| equal_or_like(key.vr, one, value, rules)),
        Test::Value(wanted) | Test::Wildcard(wanted) => equal_or_like(key.vr, wanted, value, rules),
        Test::Range(from, to) => in_range(key.vr, from.as_deref(), to.as_deref(), value),
    }
}

fn equal_or_like(vr: Vr, wanted: &str, value: &str, rules: &Rules) -> bool {
    match vr {
        Vr::PN => name_matches(wanted, value, rules),
        Vr::DA | Vr::TM | Vr::DT => same_time(vr, wanted, value),
        Vr::IS | Vr::DS => same_number(wanted, value),
        _ => {
            let (wanted, value) = fold(vr, wanted, value, rules);
            let like = vr.allows_wildcards() && (vr != Vr::AE || rules.ae_wildcards);
            if like { wildcard(&wanted, &value) } else { wanted == value }
        }
    }
}

fn fold<'a>(vr: Vr, a: &'a str, b: &'a str, rules: &Rules) -> (Cow<'a, str>, Cow<'a, str>) {
    if rules.fold_all && vr != Vr::UI {
        (a.to_lowercase().into(), b.to_lowercase().into())
    } else {
        (a.into(), b.into())
    }
}

/// A key of one component group is tried against every group of the value, so that
/// `山田*` finds `Yamada^Tarou=山田^太郎`; a key of several is matched group by group.
fn name_matches(wanted: &str, value: &str, rules: &Rules) -> bool {
    let normal = |text: &str| {
        let text = text.trim_end_matches(['^', ' ']);
        fold_name(text, rules)
    };
    if wanted.contains('=') {
        let mut groups = value.split('=');
        return wanted.split('=').all(|group| {
            let found = groups.next().unwrap_or("");
            group.is_empty() || wildcard(&normal(group), &normal(found))
        });
    }
    let wanted = normal(wanted);
    value.split('=').any(|group| wildcard(&wanted, &normal(group)))
}

/// A person name in the form in which names are compared.
fn fold_name(text: &str, rules: &Rules) -> String {
    let text = if rules.fold_names || rules.fold_all { text.to_lowercase() } else { text.into() };
    if rules.fold_accents { text.chars().flat_map(without_accent).collect() } else { text }
}

/// What differs in case or accents only, and not even that, has the same fold. Letter by letter,
/// so that whatever a pattern matches under any [`Rules`] its fold matches as well (with `*` for
/// `?`: some letters become two). An index keeps this form.
pub fn fold_text(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower = text.chars().flat_map(char::to_lowercase);
    // a sigma is written in another way at the end of a word
    lower.map(|c| if c == 'ς' { 'σ' } else { c }).flat_map(without_accent).collect()
}

/// A number in the form in which equal numbers are equal texts; what is none stays as it is.
pub fn fold_number(text: &str) -> String {
    match text.trim().parse::<f64>() {
        // zero has two signs, and both are equal
        Ok(number) => (number + 0.0).to_string(),
        Err(_) => text.trim().to_owned(),
    }
}

/// The base letters of Latin letters with accents (Latin-1 and Latin Extended-A).
fn without_accent(c: char) -> impl Iterator<Item = char> {
    let plain = match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' => "a",
        'æ' => "ae",
        'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
        'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
        'ĥ' | 'ħ' => "h",
        'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
        'ĵ' => "j",
        'ķ' => "k",
        'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
        'ñ' | 'ń' | 'ņ' | 'ň' => "n",
        'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
        'œ' => "oe",
        'ŕ' | 'ŗ' | 'ř' => "r",
        'ś' | 'ŝ' | 'ş' | 'š' => "s",
        'ß' => "ss",
        'ţ' | 'ť' | 'ŧ' => "t",
        'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
        'ŵ' => "w",
        'ý' | 'ÿ' | 'ŷ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        _ => "",
    };
    plain.chars().chain(plain.is_empty().then_some(c))
}

/// `*` any sequence, `?` any one character. Linear in practice: only the last `*` is retried.
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == text[t]) {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

fn same_number(wanted: &str, value: &str) -> bool {
    match (wanted.trim().parse::<f64>(), value.trim().parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => wanted.trim() == value.trim(),
    }
}

/// The interval that a value of VR DA, TM or DT covers, on an axis of its own per VR.
pub fn interval(vr: Vr, value: &str) -> Option<(i64, i64)> {
    match vr {
        Vr::DA => {
            let day = DateTimeRange::at(Date::parse(value)?, TimeOfDay(0))?;
            Some((day, day))
        }
        Vr::TM => TimeRange::parse(value).map(|r| (r.first().0, r.last().0)),
        Vr::DT => DateTimeRange::parse(value).map(|r| (r.first, r.last)),
        _ => None,
    }
}

/// A single value in a key matches when the item's value lies within what the key covers:
/// `10` finds `101500`, and `101500` finds the same time written `10:15:00`.
fn same_time(vr: Vr, wanted: &str, value: &str) -> bool {
    match (interval(vr, wanted), interval(vr, value)) {
        (Some(wanted), Some(found)) => wanted.0 <= found.0 && found.0 <= wanted.1,
        _ => wanted.trim() == value.trim(),
    }
}

fn in_range(vr: Vr, from: Option<&str>, to: Option<&str>, value: &str) -> bool {
    let Some((first, _)) = interval(vr, value) else { return false };
    let after = from.is_none_or(|f| interval(vr, f).is_some_and(|(lo, _)| first >= lo));
    let before = to.is_none_or(|t| interval(vr, t).is_some_and(|(_, hi)| first <= hi));
    after && before
}

/// Attributes that are one point in time in two parts.
const DATE_TIME_PAIRS: [(Tag, Tag); 4] = [
    (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
    (tags::STUDY_DATE, tags::STUDY_TIME),
    (tags::SERIES_DATE, tags::SERIES_TIME),
    (tags::PERFORMED_PROCEDURE_STEP_START_DATE, tags::PERFORMED_PROCEDURE_STEP_START_TIME),
];

struct Combined {
    date: Tag,
    time: Tag,
    first: Option<i64>,
    last: Option<i64>,
    wanted: String,
}

fn combined_intervals(keys: &[Key]) -> Vec<Combined> {
    let find = |tag| keys.iter().find(|k| k.tag == tag && !k.is_universal());
    DATE_TIME_PAIRS
        .into_iter()
        .filter_map(|(date, time)| {
            let (date_key, time_key) = (find(date)?, find(time)?);
            let Test::Range(t_from, t_to) = &time_key.test else { return None };
            let (d_from, d_to) = match &date_key.test {
                Test::Value(day) => (Some(day.as_str()), Some(day.as_str())),
                Test::Range(from, to) => (from.as_deref(), to.as_deref()),
                _ => return None,
            };
            let first = d_from.and_then(|day| {
                let time = t_from.as_deref().and_then(TimeRange::parse);
                DateTimeRange::at(Date::parse(day)?, time.map_or(TimeOfDay(0), TimeRange::first))
            });
            let last = d_to.and_then(|day| {
                let time = t_to.as_deref().and_then(TimeRange::parse);
                DateTimeRange::at(
                    Date::parse(day)?,
                    time.map_or(TimeOfDay(86_399_999_999), TimeRange::last),
                )
            });
            let wanted = format!("{} {}", date_key.wanted(), time_key.wanted());
            Some(Combined { date, time, first, last, wanted })
        })
        .collect()
}

impl Combined {
    fn check(&self, subject: &dyn Attributes) -> Option<Mismatch> {
        let day = subject.text(self.date).unwrap_or_default();
        let time = subject.text(self.time).unwrap_or_default();
        let at = Date::parse(&day)
            .and_then(|date| DateTimeRange::at(date, TimeRange::parse(&time)?.first()));
        let inside = at.is_some_and(|at| {
            self.first.is_none_or(|first| at >= first) && self.last.is_none_or(|last| at <= last)
        });
        (!inside).then(|| Mismatch {
            key: self.date,
            wanted: self.wanted.clone(),
            found: (!day.is_empty() || !time.is_empty()).then(|| format!("{day} {time}")),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::tag::tags::*;

    #[derive(Default)]
    struct Item {
        text: BTreeMap<Tag, &'static str>,
        items: BTreeMap<Tag, Vec<Item>>,
    }

    impl Attributes for Item {
        fn text(&self, tag: Tag) -> Option<Cow<'_, str>> {
            self.text.get(&tag).map(|t| Cow::Borrowed(*t))
        }
        fn items(&self, tag: Tag) -> Option<Vec<&dyn Attributes>> {
            self.items.get(&tag).map(|i| i.iter().map(|i| i as &dyn Attributes).collect())
        }
    }

    fn value(vr: Vr, wanted: &str, found: &str) -> bool {
        value_matches(&Key::parse(PATIENT_NAME, vr, wanted).unwrap(), found, &Rules::WORKLIST)
    }

    #[test]
    fn names() {
        assert!(value(Vr::PN, "doe^jane", "DOE^JANE"));
        assert!(!value(Vr::PN, "DOE", "DOE^JANE"));
        assert!(value(Vr::PN, "DOE*", "DOE^JANE^^"));
        assert!(value(Vr::PN, "D?E^*", "DOE^JANE"));
        assert!(value(Vr::PN, "山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう"));
        assert!(value(Vr::PN, "=山田*", "Yamada^Tarou=山田^太郎"));
        assert!(!value(Vr::PN, "Yamada*=佐藤*", "Yamada^Tarou=山田^太郎"));
        let fuzzy = Rules { fold_accents: true, ..Rules::WORKLIST };
        let key = Key::parse(PATIENT_NAME, Vr::PN, "BUC^JEROME").unwrap();
        assert!(value_matches(&key, "Buc^Jérôme", &fuzzy));
        assert!(!value_matches(&key, "Buc^Jérôme", &Rules::WORKLIST));
    }

    #[test]
    fn text_is_exact_and_multi_valued() {
        assert!(!value(Vr::LO, "p12345", "P12345"));
        assert!(value(Vr::LO, "P1*", "P12345"));
        assert!(!value(Vr::AE, "CT*", "CT1"));
        assert!(!value(Vr::AE, "pymod1", "PYMOD1"));
        assert!(value(Vr::CS, "CT", "MR\\CT"));
        assert!(value(Vr::UI, "1.2\\1.3", "1.3"));
        assert!(!value(Vr::UI, "1.2.*", "1.2.3"), "UIDs have no wildcards");
        assert!(value(Vr::IS, "7", "07"));
    }

    #[test]
    fn times() {
        assert!(value(Vr::DA, "20260101-20260131", "20260131"));
        assert!(!value(Vr::DA, "20260101-20260131", "20260201"));
        assert!(value(Vr::DA, "-20260101", "20251231"));
        assert!(value(Vr::TM, "1000-1100", "101500.123"));
        assert!(value(Vr::TM, "1000-1100", "1100"));
        assert!(!value(Vr::TM, "1000-1059", "110000"));
        assert!(value(Vr::TM, "10", "101500"));
        assert!(!value(Vr::DA, "20260101", "no date"));
    }

    fn step(date: &'static str, time: &'static str, aet: &'static str) -> Item {
        Item {
            text: [
                (SCHEDULED_PROCEDURE_STEP_START_DATE, date),
                (SCHEDULED_PROCEDURE_STEP_START_TIME, time),
                (SCHEDULED_STATION_AE_TITLE, aet),
            ]
            .into(),
            ..Item::default()
        }
    }

    fn steps(items: Vec<Item>) -> Item {
        Item { items: [(SCHEDULED_PROCEDURE_STEP_SEQUENCE, items)].into(), ..Item::default() }
    }

    fn asks(date: &str, time: &str) -> Vec<Key> {
        vec![Key::items(
            SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![
                Key::parse(SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, date).unwrap(),
                Key::parse(SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, time).unwrap(),
            ],
        )]
    }

    /// Orthanc's worklist plug-in matches date and time ranges one by one and so drops an item
    /// at 18:00 on the first of two days; the standard means one interval.
    #[test]
    fn date_and_time_ranges_are_one_interval_in_the_worklist() {
        let evening = steps(vec![step("20250115", "180000", "CT1")]);
        let early = steps(vec![step("20250115", "080000", "CT1")]);
        let keys = asks("20250115-20250116", "090000-100000");
        assert!(matches(&keys, &evening, &Rules::WORKLIST).is_match());
        assert!(!matches(&keys, &evening, &Rules::QUERY).is_match());
        assert!(!matches(&keys, &early, &Rules::WORKLIST).is_match());
        assert!(matches(&asks("20250115", "0800-0900"), &early, &Rules::WORKLIST).is_match());
        assert!(matches(&asks("-20250115", "-0900"), &early, &Rules::WORKLIST).is_match());
        assert!(!matches(&asks("20250115-", "0900-"), &early, &Rules::WORKLIST).is_match());
    }

    #[test]
    fn a_mismatch_says_which_key_and_what_was_there() {
        let item = steps(vec![step("20250115", "080000", "CT1")]);
        let keys = vec![Key::items(
            SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![Key::parse(SCHEDULED_STATION_AE_TITLE, Vr::AE, "PYMOD1").unwrap()],
        )];
        let Outcome::Mismatch(why) = matches(&keys, &item, &Rules::WORKLIST) else {
            panic!("must not match")
        };
        assert_eq!(why.key, SCHEDULED_STATION_AE_TITLE);
        assert_eq!((why.wanted.as_str(), why.found.as_deref()), ("PYMOD1", Some("CT1")));
        let none = matches(&keys, &Item::default(), &Rules::WORKLIST);
        assert!(!none.is_match(), "an item without the sequence matches no key inside it");
        let universal = asks("", "");
        assert!(matches(&universal, &Item::default(), &Rules::WORKLIST).is_match());
    }

    #[test]
    fn wildcards_do_not_explode() {
        let text = "a".repeat(5_000);
        assert!(!wildcard(&format!("{}b", "a*".repeat(200)), &text));
        assert!(wildcard("*a*a*", &text));
        assert!(wildcard("**", ""));
        assert!(!wildcard("?", ""));
    }
}
