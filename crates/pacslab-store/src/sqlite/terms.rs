//! What there is an index for beside UIDs and dates: values of chosen attributes in a form without
//! case and accents, and what a key has to look for among them. PS3.4 C.2.2.2.
//!
//! What is found this way holds all that `matching` accepts, under whatever rules, and more; each
//! row that is found is checked by `matching` itself.

use std::borrow::Cow;

use pacslab_model::matching::{fold_number, fold_text};
use pacslab_model::time::Date;
use pacslab_model::{Key, Level, Tag, Test, Vr, tags};

/// Searched by, whatever the configuration says.
const ALWAYS: [(Tag, Vr); 7] = [
    (tags::PATIENT_ID, Vr::LO),
    (tags::PATIENT_NAME, Vr::PN),
    (tags::PATIENT_BIRTH_DATE, Vr::DA),
    (tags::ACCESSION_NUMBER, Vr::SH),
    (tags::STUDY_DESCRIPTION, Vr::LO),
    (tags::MODALITY, Vr::CS),
    (tags::STATION_NAME, Vr::SH),
];

/// A term is cut here: beyond that all are taken for equal.
const LONGEST: usize = 96;

/// The attributes that have terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Searched(Vec<(Tag, Vr)>);

impl Searched {
    pub(crate) fn new(also: &[(Tag, Vr)]) -> Self {
        let mut all = ALWAYS.to_vec();
        for (tag, vr) in also {
            let below = Level::of(*tag).is_none_or(|level| level == Level::Instance);
            if !below && !all.iter().any(|(held, _)| held == tag) {
                all.push((*tag, *vr));
            }
        }
        all.sort_unstable_by_key(|(tag, _)| *tag);
        Self(all)
    }

    /// What an index made for these says of itself.
    pub(crate) fn fingerprint(&self) -> String {
        let names: Vec<String> =
            self.0.iter().map(|(tag, vr)| format!("{:08x}{}", tag.0, vr.as_str())).collect();
        names.join(",")
    }

    fn vr(&self, tag: Tag) -> Option<Vr> {
        self.0.iter().find(|(held, _)| *held == tag).map(|(_, vr)| *vr)
    }

    /// The terms of these values.
    pub(crate) fn terms<'a>(
        &self,
        texts: impl IntoIterator<Item = (&'a Tag, &'a String)>,
    ) -> Vec<(Tag, String)> {
        let mut all = Vec::new();
        for (tag, text) in texts {
            if let Some(vr) = self.vr(*tag) {
                split(vr, text, &mut |term| all.push((*tag, term)));
            }
        }
        all
    }

    /// What to look for, and under which tag. `None`: no term helps.
    pub(crate) fn seek(&self, key: &Key) -> Option<(Tag, Seek)> {
        let tag = if key.tag == tags::MODALITIES_IN_STUDY { tags::MODALITY } else { key.tag };
        if key.is_universal() || self.vr(tag)? != key.vr {
            return None;
        }
        let seek = match &key.test {
            Test::Value(wanted) | Test::Wildcard(wanted) => one(key.vr, wanted)?,
            Test::List(wanted) => {
                let each = wanted.iter().map(|wanted| match one(key.vr, wanted)? {
                    Seek::Terms(terms) => Some(terms),
                    Seek::Like(_) | Seek::Range(..) => None,
                });
                let mut terms = each.collect::<Option<Vec<_>>>()?.concat();
                terms.sort_unstable();
                terms.dedup();
                Seek::Terms(terms)
            }
            Test::Range(from, to) if key.vr == Vr::DA => {
                let end = |text: &Option<String>| match text {
                    Some(text) => Date::parse(text).map(|day| Some(day.to_string())),
                    None => Some(None),
                };
                Seek::Range(end(from)?, end(to)?)
            }
            _ => return None,
        };
        Some((tag, seek))
    }
}

fn split(vr: Vr, text: &str, put: &mut impl FnMut(String)) {
    let mut each = |value: &str| {
        let folded = folded(vr, value);
        if !folded.is_empty() {
            put(cut(folded));
        }
    };
    if vr.is_single_text() {
        return each(text);
    }
    for value in text.split('\\').map(str::trim) {
        match vr {
            Vr::PN => value.split('=').for_each(&mut each),
            _ => each(value),
        }
    }
}

fn folded(vr: Vr, value: &str) -> String {
    match vr {
        Vr::PN => fold_text(value.trim_end_matches(['^', ' '])),
        Vr::DA => Date::parse(value).map_or_else(|| fold_text(value), |day| day.to_string()),
        Vr::IS | Vr::DS => fold_number(value),
        _ => fold_text(value),
    }
}

fn cut(mut term: String) -> String {
    term.truncate(term.floor_char_boundary(LONGEST));
    term
}

fn one(vr: Vr, wanted: &str) -> Option<Seek> {
    let mut wanted = Cow::from(wanted);
    if vr == Vr::PN && wanted.contains('=') {
        // one group that says something; whether the others fit is seen in the row
        let group =
            wanted.split('=').find(|group| !group.trim_matches(['*', '?', '^', ' ']).is_empty());
        wanted = group?.to_owned().into();
    }
    if vr.allows_wildcards() && wanted.contains(['*', '?']) {
        let wanted = if vr == Vr::PN { wanted.trim_end_matches(['^', ' ']) } else { &wanted };
        return Like::new(&fold_text(&wanted.replace('?', "*"))).map(Seek::Like);
    }
    if matches!(vr, Vr::TM | Vr::DT) {
        return None;
    }
    let term = cut(folded(vr, if vr == Vr::DA { wanted.trim() } else { &wanted }));
    (!term.is_empty()).then(|| Seek::Terms(vec![term]))
}

/// What to look for among the terms of a tag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seek {
    /// Any of these, ascending.
    Terms(Vec<String>),
    Like(Like),
    /// From and to, both included.
    Range(Option<String>, Option<String>),
}

/// A pattern: parts in this order, with anything between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Like {
    start: String,
    parts: Vec<String>,
    end: String,
}

impl Like {
    /// `None`: everything fits.
    fn new(pattern: &str) -> Option<Self> {
        let mut parts: Vec<String> = pattern.split('*').map(str::to_owned).collect();
        let end = parts.pop().unwrap_or_default();
        let start = if parts.is_empty() { String::new() } else { parts.remove(0) };
        parts.retain(|part| !part.is_empty());
        let says_something = !(start.is_empty() && parts.is_empty() && end.is_empty());
        says_something.then_some(Self { start, parts, end })
    }

    /// Terms that fit begin with this.
    pub(crate) fn prefix(&self) -> &str {
        &self.start[..self.start.floor_char_boundary(LONGEST)]
    }

    pub(crate) fn fits(&self, term: &str) -> bool {
        // a letter of four bytes may have been cut off
        if term.len() + 4 > LONGEST {
            return term.starts_with(self.prefix()) || self.start.starts_with(term);
        }
        let Some(mut rest) = term.strip_prefix(self.start.as_str()) else { return false };
        for part in &self.parts {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(self.end.as_str())
    }
}

impl Seek {
    /// The first and the last term that may fit; the last is left out.
    pub(crate) fn bounds(&self) -> (String, String) {
        /// No letter sorts behind it.
        const LAST: &str = "\u{10FFFF}\u{10FFFF}";
        match self {
            Self::Terms(terms) => {
                let first = terms.first().cloned().unwrap_or_default();
                (first, format!("{}\0", terms.last().map_or("", String::as_str)))
            }
            Self::Like(like) => {
                let prefix = like.prefix();
                (prefix.to_owned(), format!("{prefix}{LAST}"))
            }
            Self::Range(from, to) => (
                from.clone().unwrap_or_default(),
                to.as_ref().map_or(LAST.to_owned(), |to| format!("{to}\0")),
            ),
        }
    }

    pub(crate) fn fits(&self, term: &str) -> bool {
        match self {
            Self::Terms(terms) => terms.binary_search_by(|held| held.as_str().cmp(term)).is_ok(),
            Self::Like(like) => like.fits(term),
            Self::Range(..) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seek(tag: Tag, vr: Vr, text: &str) -> Option<Seek> {
        let searched = Searched::new(&[(tags::PATIENT_SIZE, Vr::DS)]);
        searched.seek(&Key::parse(tag, vr, text).unwrap()).map(|(_, seek)| seek)
    }

    fn fits(vr: Vr, pattern: &str, value: &str) -> bool {
        let mut terms = Vec::new();
        split(vr, value, &mut |term| terms.push(term));
        let seek = one(vr, pattern).unwrap();
        let (first, last) = seek.bounds();
        terms.iter().any(|term| *term >= first && *term < last && seek.fits(term))
    }

    #[test]
    fn keys_say_what_to_look_for() {
        let terms = |text: &str| Some(Seek::Terms(vec![text.to_owned()]));
        assert_eq!(seek(tags::PATIENT_ID, Vr::LO, "P1"), terms("p1"));
        assert_eq!(seek(tags::PATIENT_NAME, Vr::PN, "=Jérôme^"), terms("jerome"));
        assert_eq!(seek(tags::PATIENT_SIZE, Vr::DS, "01.70"), terms("1.7"));
        assert_eq!(seek(tags::MODALITIES_IN_STUDY, Vr::CS, "CT"), terms("ct"));
        let prefix = seek(tags::PATIENT_NAME, Vr::PN, "DOE^*").unwrap();
        assert_eq!(prefix.bounds().0, "doe^");
        assert_eq!(seek(tags::PATIENT_NAME, Vr::PN, "=*=?"), None, "anything fits");
        assert_eq!(seek(tags::PATIENT_ID, Vr::SH, "P1"), None, "of another representation");
        assert_eq!(seek(tags::INSTITUTION_NAME, Vr::LO, "x"), None);
        let born = seek(tags::PATIENT_BIRTH_DATE, Vr::DA, "19600101-").unwrap();
        assert!(matches!(born, Seek::Range(Some(_), None)));
    }

    #[test]
    fn terms_fit_without_case_and_accents() {
        assert!(fits(Vr::PN, "buc^jer*", "Buc^Jérôme"));
        assert!(fits(Vr::PN, "山田*", "Yamada^Tarou=山田^太郎"));
        assert!(fits(Vr::LO, "stra?e", "Straße"), "one letter may become two");
        assert!(fits(Vr::LO, "ΟΔΟΣ*", "ΟΔΟΣΑ") && fits(Vr::LO, "*ς", "ΟΔΟΣ"));
        assert!(fits(Vr::LO, "*contrast*", "CT abdomen with contrast"));
        assert!(!fits(Vr::LO, "*contrast", "CT with contrast, late"));
        assert!(!fits(Vr::LO, "aa*aa", "aaa"));
        let long = "x".repeat(200);
        assert!(fits(Vr::LO, &long, &long) && fits(Vr::LO, &format!("{long}*"), &long));
        assert!(fits(Vr::LO, &format!("x*{}", &long[..150]), &long));
    }
}
