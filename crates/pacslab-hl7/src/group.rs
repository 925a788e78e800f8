//! The groups of a message: what all share, and each order, result or merge with what follows it.
//! HL7 v2.5.1 2.5.2 (segment groups), 4.4, 7.3 and 3.3.40.

use std::collections::HashMap;

use crate::finding::{Code, Finding};
use crate::message::{Message, Segment, Value};

/// An order takes about ten, a report one a line.
const MAX_SEGMENTS: usize = 10_000;
const MAX_GROUPS: usize = 500;

/// One group, and the segments in front of the first one.
#[derive(Clone, Debug)]
pub(crate) struct Group<'a> {
    pub(crate) index: usize,
    /// With the position among segments of its name, as ERR counts.
    own: Vec<Entry<'a>>,
    shared: Vec<Entry<'a>>,
    pub(crate) message: &'a Message,
}

type Entry<'a> = (Segment<'a>, usize);

/// What begins a group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Begins {
    /// ORC, or an OBR without one; a further OBR under one ORC is an order with the same ORC.
    Order,
    /// ORC, or an OBR without one; a further OBR has no ORC.
    Result,
    /// PID: an A40 may merge several patients.
    Patient,
    /// Nothing: the message is one group.
    Whole,
}

pub(crate) fn groups<'a>(
    message: &'a Message,
    begins: Begins,
    findings: &mut Vec<Finding>,
) -> Vec<Group<'a>> {
    let mut shared: Vec<Entry<'a>> = Vec::new();
    let mut groups: Vec<Vec<Entry<'a>>> = Vec::new();
    if begins == Begins::Whole {
        groups.push(Vec::new());
    }
    let mut counts: HashMap<&str, usize> = HashMap::new();
    if message.segments().nth(MAX_SEGMENTS).is_some() {
        let text = format!("more than {MAX_SEGMENTS} segments: send fewer orders in a message");
        findings.push(Finding::error("MSH", 1, Code::SegmentSequence, text));
        return Vec::new();
    }
    for segment in message.segments() {
        let name = segment.name();
        let count = counts.entry(name).or_default();
        *count += 1;
        let seq = *count;
        let entry = (segment, seq);
        let orders = matches!(begins, Begins::Order | Begins::Result);
        match (name, groups.last_mut()) {
            ("MSH", _) if seq > 1 => {
                let text = "a second message begins inside this one: send each in its own frame";
                findings.push(Finding::error(name, seq, Code::SegmentSequence, text));
            }
            ("PID", _) if begins == Begins::Patient => groups.push(vec![entry]),
            ("PID", Some(_)) if orders => {
                let text = "a PID after the first order: send one patient in a message";
                findings.push(Finding::error(name, seq, Code::SegmentSequence, text));
            }
            ("ORC", _) if orders => groups.push(vec![entry]),
            ("OBR", None) if orders => groups.push(vec![entry]),
            ("OBR", Some(group)) if orders && has(group, "OBR") => {
                let before = group.iter().take_while(|(s, _)| s.name() != "OBR");
                let mut next: Vec<_> = match begins {
                    Begins::Order => before.copied().collect(),
                    _ => Vec::new(),
                };
                next.push(entry);
                groups.push(next);
            }
            (_, Some(group)) => group.push(entry),
            (_, None) => shared.push(entry),
        }
    }
    if groups.len() > MAX_GROUPS {
        let text = format!("more than {MAX_GROUPS} orders: send fewer in a message");
        findings.push(Finding::error("ORC", 1, Code::SegmentSequence, text));
        return Vec::new();
    }
    if begins == Begins::Order {
        lend_study(&mut groups);
    }
    let group = |(index, own)| Group { index, own, shared: shared.clone(), message };
    groups.into_iter().enumerate().map(group).collect()
}

fn has(group: &[Entry<'_>], name: &str) -> bool {
    group.iter().any(|(segment, _)| segment.name() == name)
}

/// IHE sends one ZDS at the end for all steps of a requested procedure: the groups of the same
/// accession number and procedure share it.
fn lend_study(groups: &mut [Vec<Entry<'_>>]) {
    let procedure = |group: &[Entry<'_>]| {
        let obr = group.iter().find(|(segment, _)| segment.name() == "OBR")?.0;
        let (accession, id) = (obr.field(18).raw(), obr.field(19).raw());
        (!id.is_empty()).then(|| (accession.to_owned(), id.to_owned()))
    };
    let is_study = |entry: &&Entry<'_>| entry.0.name() == "ZDS";
    for at in 0..groups.len().saturating_sub(1) {
        let (Some(wanted), None) = (procedure(&groups[at]), groups[at].iter().find(is_study))
        else {
            continue;
        };
        let later = groups[at + 1..].iter().filter(|g| procedure(g).as_ref() == Some(&wanted));
        if let Some(study) = later.flatten().find(is_study).copied() {
            groups[at].push(study);
        }
    }
}

impl<'a> Group<'a> {
    /// Segments of that name in the group, then those in front of the first one.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = Segment<'a>> {
        self.segments().filter(move |segment| segment.name() == name)
    }

    /// Those of the group, then those in front of the first one.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        self.own.iter().chain(&self.shared).map(|(segment, _)| *segment)
    }

    /// Segments of that name in the group itself.
    pub(crate) fn own(&self, name: &str) -> impl Iterator<Item = Entry<'a>> {
        self.own.iter().filter(move |(segment, _)| segment.name() == name).copied()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        has(&self.own, name) || has(&self.shared, name)
    }

    /// Field of the first segment of that name; empty where absent.
    pub(crate) fn field(&self, name: &str, field: usize) -> Value<'a> {
        self.all(name).next().map_or(Value::ABSENT, |segment| segment.field(field))
    }

    /// Which segment of that name the group has, for ERR; 1 where it has none.
    pub(crate) fn seq(&self, name: &str) -> usize {
        let mut entries = self.own.iter().chain(&self.shared);
        entries.find(|(segment, _)| segment.name() == name).map_or(1, |(_, seq)| *seq)
    }
}
