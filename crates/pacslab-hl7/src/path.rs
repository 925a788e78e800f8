//! Paths into a message as people write them: `PID-3.1`, `OBX[2]-5`, `PID-3[2].4.1`.

use std::fmt;
use std::str::FromStr;

use crate::message::{Segment, Value};

/// Segment, its occurrence, field, repetition, component and subcomponent, all counted from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    pub segment: String,
    pub occurrence: usize,
    pub field: usize,
    /// `None` is the whole field when no component is named, else the first repetition.
    pub repetition: Option<usize>,
    pub component: Option<usize>,
    pub subcomponent: Option<usize>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("'{0}' is not a path into a message; write it like PID-3.1, OBX[2]-5 or PID-3[2].4.1")]
pub struct BadPath(String);

impl Path {
    /// The value among these segments: those of a message, or of one group of it.
    pub fn find<'a>(&self, segments: impl Iterator<Item = Segment<'a>>) -> Value<'a> {
        self.within(self.field(segments))
    }

    /// The field, or the repetition of it, that the path leads to.
    pub(crate) fn field<'a>(&self, segments: impl Iterator<Item = Segment<'a>>) -> Value<'a> {
        let mut named = segments.filter(|segment| segment.name() == self.segment);
        let Some(segment) = named.nth(self.occurrence - 1) else { return Value::ABSENT };
        let value = segment.field(self.field);
        match self.repetition {
            Some(n) => value.repetitions().nth(n - 1).unwrap_or(Value::ABSENT),
            None => value,
        }
    }

    /// What of such a field the path means.
    pub(crate) fn within<'a>(&self, field: Value<'a>) -> Value<'a> {
        let value = self.component.map_or(field, |n| field.component(n));
        self.subcomponent.map_or(value, |n| value.subcomponent(n))
    }
}

impl FromStr for Path {
    type Err = BadPath;

    fn from_str(text: &str) -> Result<Self, BadPath> {
        read(text.trim()).ok_or_else(|| BadPath(text.to_owned()))
    }
}

fn read(text: &str) -> Option<Path> {
    let (head, rest) = text.split_once('-')?;
    let (segment, occurrence) = indexed(head)?;
    let well_named = segment.len() == 3 && segment.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = rest.split('.');
    let (field, repetition) = indexed(parts.next()?)?;
    let (component, subcomponent) = (parts.next(), parts.next());
    (well_named && parts.next().is_none()).then_some(())?;
    Some(Path {
        segment: segment.to_ascii_uppercase(),
        occurrence: occurrence.unwrap_or(1),
        field: number(field)?,
        repetition,
        component: component.map_or(Some(None), |n| number(n).map(Some))?,
        subcomponent: subcomponent.map_or(Some(None), |n| number(n).map(Some))?,
    })
}

/// `OBX[2]` or `OBX(2)` as `("OBX", Some(2))`.
fn indexed(text: &str) -> Option<(&str, Option<usize>)> {
    match text.split_once(['[', '(']) {
        None => Some((text, None)),
        Some((name, index)) => Some((name, Some(number(index.strip_suffix([']', ')'])?)?))),
    }
}

fn number(digits: &str) -> Option<usize> {
    digits.parse().ok().filter(|n| (1..100_000).contains(n))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if self.occurrence > 1 {
            write!(f, "[{}]", self.occurrence)?;
        }
        write!(f, "-{}", self.field)?;
        if let Some(n) = self.repetition {
            write!(f, "[{n}]")?;
        }
        for n in [self.component, self.subcomponent].into_iter().flatten() {
            write!(f, ".{n}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_they_are_written() {
        for text in ["PID-3.1", "OBX[2]-5", "PID-3[2].4.1", "MSH-9", "ZDS-1.1"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!("pid-3(2).1".parse::<Path>().unwrap().to_string(), "PID-3[2].1");
        for bad in ["", "PID", "PID-", "PID-0", "PIDX-3", "PID-3.1.2.3", "PID-3[", "PID-x", "-1"] {
            assert!(bad.parse::<Path>().is_err(), "{bad}");
        }
    }
}
