//! A question: the one type behind C-FIND, QIDO-RS, `/tools/find` and the worklist.
//! PS3.4 C.2.2.2 (kinds of matching), PS3.5 6.2.

use serde::{Deserialize, Serialize};

use crate::matching::Rules;
use crate::study::Level;
use crate::tag::{Tag, Vr};
use crate::time::{Date, DateTimeRange, TimeRange};

/// What is asked at one level of the hierarchy. Keys of higher levels narrow it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Query {
    pub level: Level,
    /// All must match. Keys with [`Test::Any`] only ask for the attribute to be returned.
    pub keys: Vec<Key>,
    /// Rows left out at the beginning. Pages of a long answer are cheaper by [`after`](Self::after).
    pub offset: usize,
    pub limit: Option<usize>,
    /// Only what comes behind this row: the next page.
    pub after: Option<Cursor>,
    /// How texts are compared.
    pub rules: Rules,
}

/// The place of a row in the order of answers. It stays what it is while others come and go.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Cursor(pub Vec<i64>);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, number) in self.0.iter().enumerate() {
            let dot = if at == 0 { "" } else { "." };
            write!(f, "{dot}{number}")?;
        }
        Ok(())
    }
}

impl std::str::FromStr for Cursor {
    type Err = BadCursor;

    fn from_str(text: &str) -> Result<Self, BadCursor> {
        /// Date, study, number of the series, series, number of the instance, instance.
        const LONGEST: usize = 6;
        let numbers = text.split('.').map(str::parse).collect::<Result<Vec<i64>, _>>();
        match numbers {
            Ok(numbers) if numbers.len() <= LONGEST => Ok(Self(numbers)),
            _ => Err(BadCursor(text.chars().take(80).collect())),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{0}' is no place in a list; start from its first page")]
pub struct BadCursor(pub String);

impl Query {
    pub fn new(level: Level) -> Self {
        Self { level, keys: Vec::new(), offset: 0, limit: None, after: None, rules: Rules::QUERY }
    }

    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.keys.push(key);
        self
    }

    /// Shorthand for a key with a text of the query language (`DOE*`, `20260101-`, a UID list).
    pub fn with(self, tag: Tag, vr: Vr, text: &str) -> Result<Self, BadKey> {
        Ok(self.key(Key::parse(tag, vr, text)?))
    }
}

/// One matching key.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Key {
    pub tag: Tag,
    pub vr: Vr,
    pub test: Test,
}

/// The kind of matching a key's value asks for. PS3.4 C.2.2.2.1 to C.2.2.2.6.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Test {
    /// Universal: a zero-length value, or nothing but `*`.
    Any,
    Value(String),
    /// With `*` and `?`.
    Wildcard(String),
    /// One of several: a UID list, or values separated by backslash.
    List(Vec<String>),
    /// DA, TM, DT: from, to, either may be open.
    Range(Option<String>, Option<String>),
    /// Sequence: one item must match all these keys.
    Items(Vec<Key>),
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("key {tag} ({vr}) has the value '{value}', which is no {expected}")]
pub struct BadKey {
    pub tag: Tag,
    pub vr: Vr,
    pub value: String,
    pub expected: &'static str,
}

impl Key {
    pub fn any(tag: Tag, vr: Vr) -> Self {
        Self { tag, vr, test: Test::Any }
    }

    pub fn items(tag: Tag, keys: Vec<Self>) -> Self {
        Self { tag, vr: Vr::SQ, test: Test::Items(keys) }
    }

    /// Reads the text of a key as its VR demands.
    ///
    /// # Errors
    /// A date, time or date-time that is none.
    pub fn parse(tag: Tag, vr: Vr, text: &str) -> Result<Self, BadKey> {
        let text = text.trim_end_matches(['\0', ' ']);
        let text = if vr == Vr::PN { text.trim_end_matches('^') } else { text };
        let bad = |expected| BadKey { tag, vr, value: text.to_owned(), expected };
        let test = if text.is_empty() {
            Test::Any
        } else if matches!(vr, Vr::DA | Vr::TM | Vr::DT) {
            temporal(vr, text).ok_or_else(|| {
                bad(match vr {
                    Vr::DA => "date or range of dates (YYYYMMDD, YYYYMMDD-YYYYMMDD)",
                    Vr::TM => "time or range of times (HHMMSS, HHMMSS-HHMMSS)",
                    _ => "date-time or range of them (YYYYMMDDHHMMSS)",
                })
            })?
        } else if text.contains('\\') && !vr.is_single_text() {
            Test::List(text.split('\\').map(|v| v.trim().to_owned()).collect())
        } else if vr.allows_wildcards() && text.contains(['*', '?']) {
            if text.bytes().all(|b| b == b'*') {
                Test::Any
            } else {
                Test::Wildcard(text.to_owned())
            }
        } else {
            Test::Value(text.trim_start().to_owned())
        };
        Ok(Self { tag, vr, test })
    }

    /// The key asks only for the attribute to be returned.
    pub fn is_universal(&self) -> bool {
        match &self.test {
            Test::Any => true,
            Test::Items(keys) => keys.iter().all(Self::is_universal),
            _ => false,
        }
    }

    /// The value as it was asked, for explanations.
    pub fn wanted(&self) -> String {
        match &self.test {
            Test::Any => String::new(),
            Test::Value(v) | Test::Wildcard(v) => v.clone(),
            Test::List(values) => values.join("\\"),
            Test::Range(from, to) => {
                format!("{}-{}", from.as_deref().unwrap_or(""), to.as_deref().unwrap_or(""))
            }
            Test::Items(keys) => {
                let asked: Vec<String> = keys
                    .iter()
                    .filter(|k| !k.is_universal())
                    .map(|k| format!("{}={}", k.tag, k.wanted()))
                    .collect();
                format!("[{}]", asked.join(", "))
            }
        }
    }
}

fn temporal(vr: Vr, text: &str) -> Option<Test> {
    let valid = |value: &str| match vr {
        Vr::DA => Date::parse(value).is_some(),
        Vr::TM => TimeRange::parse(value).is_some(),
        _ => DateTimeRange::parse(value).is_some(),
    };
    let text = text.trim();
    if valid(text) {
        return Some(Test::Value(text.to_owned()));
    }
    // A DT may hold `-` in its offset, so every dash is tried as the one between two values.
    for (at, _) in text.match_indices('-') {
        let (from, to) = (text[..at].trim(), text[at + 1..].trim());
        if (from.is_empty() || valid(from))
            && (to.is_empty() || valid(to))
            && !(from.is_empty() && to.is_empty())
        {
            let end = |v: &str| (!v.is_empty()).then(|| v.to_owned());
            return Some(Test::Range(end(from), end(to)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tag::tags;

    fn test(vr: Vr, text: &str) -> Test {
        Key::parse(tags::PATIENT_NAME, vr, text).unwrap().test
    }

    #[test]
    fn texts_become_kinds_of_matching() {
        assert_eq!(test(Vr::PN, ""), Test::Any);
        assert_eq!(test(Vr::PN, "*"), Test::Any);
        assert_eq!(test(Vr::PN, "DOE^JANE^^"), Test::Value("DOE^JANE".into()));
        assert_eq!(test(Vr::PN, "DOE*"), Test::Wildcard("DOE*".into()));
        assert_eq!(test(Vr::UI, "1.2\\1.3\0"), Test::List(vec!["1.2".into(), "1.3".into()]));
        assert_eq!(test(Vr::LT, "a\\b"), Test::Value("a\\b".into()));
        assert_eq!(test(Vr::DA, "20260101"), Test::Value("20260101".into()));
        assert_eq!(test(Vr::DA, "-20260101"), Test::Range(None, Some("20260101".into())));
        assert_eq!(test(Vr::TM, "10-1130"), Test::Range(Some("10".into()), Some("1130".into())));
        assert_eq!(
            test(Vr::DT, "20260101-0500-20260102-0500"),
            Test::Range(Some("20260101-0500".into()), Some("20260102-0500".into()))
        );
    }

    #[test]
    fn cursors_are_texts_as_well() {
        let cursor = Cursor(vec![-1, 7, 0]);
        assert_eq!(cursor.to_string(), "-1.7.0");
        assert_eq!("-1.7.0".parse(), Ok(cursor));
        for bad in ["", "1.x", "1.2.3.4.5.6.7", "../1"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }

    #[test]
    fn nonsense_is_named() {
        let error = Key::parse(tags::STUDY_DATE, Vr::DA, "2026-01-05").unwrap_err();
        assert!(error.to_string().contains("'2026-01-05'"), "{error}");
        assert!(error.to_string().contains("YYYYMMDD"), "{error}");
        assert!(Key::parse(tags::STUDY_DATE, Vr::DA, "-").is_err());
    }
}
