//! The groups of an order message: what all orders share, and each ORC with what follows it.

use std::collections::HashMap;

use crate::finding::{Code, Finding};
use crate::message::{Message, Segment, Value};
use crate::path::Path;

/// An order takes about ten.
const MAX_SEGMENTS: usize = 1000;

/// One ORC/OBR with its notes, observations, timing and procedure steps, and the segments in
/// front of the first order.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) index: usize,
    /// With the position among segments of its name, as ERR counts.
    own: Vec<(Segment<'a>, usize)>,
    shared: Vec<(Segment<'a>, usize)>,
    pub(super) message: &'a Message,
}

pub(super) fn groups<'a>(message: &'a Message, findings: &mut Vec<Finding>) -> Vec<Group<'a>> {
    let mut shared: Vec<(Segment<'a>, usize)> = Vec::new();
    let mut groups: Vec<Vec<(Segment<'a>, usize)>> = Vec::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    if message.segments().nth(MAX_SEGMENTS).is_some() {
        let text = format!("more than {MAX_SEGMENTS} segments: send fewer orders in a message");
        findings.push(Finding::error("ORC", 1, Code::SegmentSequence, text));
        return Vec::new();
    }
    for segment in message.segments() {
        let name = segment.name();
        let count = counts.entry(name).or_default();
        *count += 1;
        let seq = *count;
        let entry = (segment, seq);
        match (name, groups.last_mut()) {
            ("MSH", _) if seq > 1 => {
                let text = "a second message begins inside this one: send each in its own frame";
                findings.push(Finding::error(name, seq, Code::SegmentSequence, text));
            }
            ("PID", Some(_)) => {
                let text = "a PID after the first order: send one patient in a message";
                findings.push(Finding::error(name, seq, Code::SegmentSequence, text));
            }
            ("ORC", _) => groups.push(vec![entry]),
            ("OBR", None) => groups.push(vec![entry]),
            ("OBR", Some(group)) if group.iter().any(|(s, _)| s.name() == "OBR") => {
                // a second OBR under one ORC is an order of its own with the same ORC
                let before = group.iter().take_while(|(s, _)| s.name() != "OBR");
                let mut next: Vec<_> = before.copied().collect();
                next.push(entry);
                groups.push(next);
            }
            (_, Some(group)) => group.push(entry),
            (_, None) => shared.push(entry),
        }
    }
    lend_study(&mut groups);
    let group = |(index, own)| Group { index, own, shared: shared.clone(), message };
    groups.into_iter().enumerate().map(group).collect()
}

/// IHE sends one ZDS at the end for all steps of a requested procedure: the groups of the same
/// accession number and procedure share it.
fn lend_study(groups: &mut [Vec<(Segment<'_>, usize)>]) {
    let procedure = |group: &[(Segment<'_>, usize)]| {
        let obr = group.iter().find(|(segment, _)| segment.name() == "OBR")?.0;
        let (accession, id) = (obr.field(18).raw(), obr.field(19).raw());
        (!id.is_empty()).then(|| (accession.to_owned(), id.to_owned()))
    };
    let is_study = |entry: &&(Segment<'_>, usize)| entry.0.name() == "ZDS";
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
    /// Segments of that name in the group, or in front of the first order.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = Segment<'a>> {
        let own = self.own.iter().chain(&self.shared);
        own.filter(move |(segment, _)| segment.name() == name).map(|(segment, _)| *segment)
    }

    /// Those of the group, then those in front of the first order.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'a>> {
        self.own.iter().chain(&self.shared).map(|(segment, _)| *segment)
    }

    /// Segments of that name in the group itself.
    pub(super) fn own(&self, name: &str) -> impl Iterator<Item = (Segment<'a>, usize)> {
        self.own.iter().filter(move |(segment, _)| segment.name() == name).copied()
    }

    pub(super) fn first(&self, name: &str) -> Option<Segment<'a>> {
        self.all(name).next()
    }

    /// Field of the first segment of that name; empty where absent.
    pub(super) fn field(&self, name: &str, field: usize) -> Value<'a> {
        self.first(name).map_or(Value::ABSENT, |segment| segment.field(field))
    }

    pub(super) fn get(&self, path: &Path) -> Value<'a> {
        path.find(self.segments())
    }

    /// Which segment of that name the group has, for ERR; 1 where it has none.
    pub(super) fn seq(&self, name: &str) -> usize {
        let mut entries = self.own.iter().chain(&self.shared);
        entries.find(|(segment, _)| segment.name() == name).map_or(1, |(_, seq)| *seq)
    }
}
