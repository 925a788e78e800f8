//! Attributes out of one group of a message, by the table of [`crate::map`], with what was found
//! wrong, bridged or deleted on the way.

use pacslab_model::PersonName;
use pacslab_model::order::{Code as Concept, Identifier};

use crate::finding::{Code, Finding, Severity};
use crate::group::Group;
use crate::map::{Attribute, Kind};
use crate::message::{Segment, Value};
use crate::options::Options;
use crate::path::Path;
use crate::types::{self, Timestamp, component, first};

pub(crate) struct Reader<'a> {
    pub(crate) group: &'a Group<'a>,
    pub(crate) options: &'a Options,
    /// The procedure step that is read, of several in an OMI.
    pub(crate) ipc: Option<(Segment<'a>, usize)>,
    /// Whether the message is of a kind that has IPC, TQ1.
    imaging: bool,
    timed: bool,
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) cleared: Vec<Attribute>,
}

/// A place in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Spot {
    segment: String,
    field: usize,
    component: usize,
}

impl Spot {
    pub(crate) fn new(segment: &str, field: usize, component: usize) -> Self {
        Self { segment: segment.to_owned(), field, component }
    }

    fn of(path: &Path) -> Self {
        Self::new(&path.segment, path.field, path.component.unwrap_or(1))
    }
}

/// A value and where it stands.
struct Found<'a> {
    /// The whole field.
    field: Value<'a>,
    path: &'a Path,
}

impl Found<'_> {
    /// What the path leads to: the first subcomponent, or the one it names.
    fn text(&self) -> String {
        first(self.path.within(self.field))
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(group: &'a Group<'a>, options: &'a Options) -> Self {
        let kind = group.message.kind().0.to_ascii_uppercase();
        Self {
            group,
            options,
            ipc: None,
            imaging: kind == "OMI",
            timed: matches!(kind.as_str(), "OMI" | "OMG"),
            errors: Vec::new(),
            warnings: Vec::new(),
            cleared: Vec::new(),
        }
    }

    /// The first component that the attribute's sources have.
    pub(crate) fn text(&mut self, attribute: Attribute) -> (Spot, String) {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Text | Kind::Time));
        let found = self.find(attribute, |found| {
            let text = found.text();
            (!text.is_empty()).then_some(text)
        });
        found.unwrap_or_else(|| (self.missing(attribute), String::new()))
    }

    pub(crate) fn name(&mut self, attribute: Attribute) -> PersonName {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Name));
        let found = self.find(attribute, |found| {
            let name = name_at(&found.path.segment, found.field);
            (!name.is_empty()).then_some(name)
        });
        found.map(|(_, name)| name).unwrap_or_default()
    }

    /// A code, or a meaning alone.
    pub(crate) fn code(&mut self, attribute: Attribute) -> Concept {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Code));
        let found = self.find(attribute, |found| {
            let code = types::code_from_ce(found.field, found.path.component.unwrap_or(1));
            (!code.is_empty()).then_some(code)
        });
        found.map(|(_, code)| code).unwrap_or_default()
    }

    pub(crate) fn described(&mut self, attribute: Attribute) -> String {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Described));
        self.whole(attribute, described)
    }

    pub(crate) fn joined(&mut self, attribute: Attribute, join: fn(Value<'a>) -> String) -> String {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Joined));
        self.whole(attribute, join)
    }

    pub(crate) fn identifier(&mut self, attribute: Attribute) -> (Spot, Identifier) {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Identifier));
        let found = self.find(attribute, |found| {
            let id = match found.path.component {
                Some(_) => Identifier::new(found.text(), ""),
                None => identifier_at(&found.path.segment, found.field),
            };
            (!id.id.is_empty()).then_some(id)
        });
        found.unwrap_or_else(|| (self.missing(attribute), Identifier::default()))
    }

    /// The identifiers of all repetitions.
    pub(crate) fn identifiers(&mut self, attribute: Attribute) -> Vec<Identifier> {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Identifier));
        let found = self.find(attribute, |found| {
            let ids = found.field.repetitions();
            let ids = ids.map(|id| identifier_at(&found.path.segment, id));
            let ids: Vec<Identifier> = ids.filter(|id| !id.id.is_empty()).collect();
            (!ids.is_empty()).then_some(ids)
        });
        found.map(|(_, ids)| ids).unwrap_or_default()
    }

    /// What `read` makes of the whole field.
    fn whole(&mut self, attribute: Attribute, read: fn(Value<'a>) -> String) -> String {
        let found = self.find(attribute, |found| {
            let text = match found.path.component {
                Some(_) => found.text(),
                None => read(found.field),
            };
            (!text.is_empty()).then_some(text)
        });
        found.map(|(_, text)| text).unwrap_or_default()
    }

    /// As [`Reader::text`], read as a time; `Err` is what cannot be read.
    pub(crate) fn time(
        &mut self,
        attribute: Attribute,
    ) -> (Spot, Result<Option<Timestamp>, String>) {
        let (spot, text) = self.text(attribute);
        let time = match text.is_empty() {
            true => Ok(None),
            false => Timestamp::parse(&text).map(Some).ok_or(text),
        };
        (spot, time)
    }

    /// What `read` makes of all repetitions of all segments of the sources.
    pub(crate) fn each(
        &mut self,
        attribute: Attribute,
        read: fn(Value<'a>) -> String,
    ) -> Vec<String> {
        self.is_written_as(attribute, |kind| matches!(kind, Kind::Each));
        let options: &'a Options = self.options;
        for source in options.sources.of(attribute) {
            let path = &source.path;
            // notes in front of the orders are about the patient
            let segments: Vec<Segment<'a>> = match path.segment.as_str() {
                "NTE" => self.group.own("NTE").map(|(segment, _)| segment).collect(),
                name => self.group.all(name).collect(),
            };
            let fields: Vec<Value<'a>> =
                segments.iter().map(|segment| segment.field(path.field)).collect();
            if fields.iter().any(Value::is_delete) {
                self.deleted(attribute);
                return Vec::new();
            }
            let values = fields.iter().flat_map(Value::repetitions);
            let texts = values.map(|value| read(path.within(value)));
            let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
            if !texts.is_empty() {
                return texts;
            }
        }
        Vec::new()
    }

    /// A number observed: OBX-5 and OBX-6 of the OBX that is named so, or a plain number elsewhere.
    pub(crate) fn observed(&self, attribute: Attribute) -> Option<(f64, String)> {
        let Kind::Observed(names) = attribute.row().kind else { return None };
        let named = |obx: &Segment<'_>| {
            let told = [component(obx.field(3), 1), component(obx.field(3), 2)];
            told.iter().any(|told| names.iter().any(|name| name.eq_ignore_ascii_case(told)))
        };
        self.options.sources.of(attribute).iter().find_map(|source| {
            let path = &source.path;
            let (value, unit) = match path.segment.as_str() {
                "OBX" => {
                    let obx = self.group.all("OBX").find(named)?;
                    (first(obx.field(path.field)), first(obx.field(6)).to_ascii_lowercase())
                }
                _ => (first(path.within(self.field(path))), String::new()),
            };
            value.parse().ok().map(|value| (value, unit))
        })
    }

    /// Where an attribute is missed: its first source whose segment the message has or should have.
    pub(crate) fn missing(&self, attribute: Attribute) -> Spot {
        let paths = || self.options.sources.of(attribute).iter().map(|source| &source.path);
        let present = |path: &&Path| match path.segment.as_str() {
            "IPC" => self.imaging || self.ipc.is_some(),
            "TQ1" if self.timed => true,
            name => self.group.has(name),
        };
        let usual = |path: &&Path| !matches!(path.segment.as_str(), "IPC" | "TQ1");
        let path = paths().find(present).or_else(|| paths().find(usual)).or_else(|| paths().next());
        path.map_or(Spot::new("MSH", 0, 0), Spot::of)
    }

    /// The first source in which `read` finds something. Remembers what the sender deletes.
    fn find<T>(
        &mut self,
        attribute: Attribute,
        read: impl Fn(&Found<'a>) -> Option<T>,
    ) -> Option<(Spot, T)> {
        let options: &'a Options = self.options;
        let sources = options.sources.of(attribute);
        let imaging = |path: &Path| path.segment == "IPC";
        // IHE has it there and nowhere else
        let only_ipc = options.strict
            && self.ipc.is_some()
            && sources.iter().any(|source| imaging(&source.path));
        for source in sources {
            let path = &source.path;
            if options.strict && (source.practice || (only_ipc && !imaging(path))) {
                continue;
            }
            let field = self.field(path);
            if field.is_empty() {
                continue;
            }
            if field.is_delete() || path.within(field).is_delete() {
                self.deleted(attribute);
                return None;
            }
            let found = Found { field, path };
            let Some(value) = read(&found) else { continue };
            if source.practice {
                let (what, text) = (attribute.row().what, found.text());
                let spot = self.missing(attribute);
                let remark = format!("no {what}; '{text}' of {path} is taken");
                self.warn(&spot, Code::RequiredFieldMissing, remark);
            }
            return Some((Spot::of(path), value));
        }
        None
    }

    fn deleted(&mut self, attribute: Attribute) {
        if !self.cleared.contains(&attribute) {
            self.cleared.push(attribute);
        }
    }

    /// Holds whoever asks for an attribute to what the table says of it.
    fn is_written_as(&self, attribute: Attribute, right: fn(Kind) -> bool) {
        let row = attribute.row();
        debug_assert!(right(row.kind), "{} is written as {:?}", row.keyword, row.kind);
    }

    fn field(&self, path: &Path) -> Value<'a> {
        match (path.segment.as_str(), self.ipc) {
            ("IPC", Some((ipc, _))) => path.field(std::iter::once(ipc)),
            _ => path.field(self.group.segments()),
        }
    }

    pub(crate) fn fault(&mut self, spot: &Spot, code: Code, text: String) {
        let finding = self.finding(spot, code, text);
        self.errors.push(finding);
    }

    pub(crate) fn warn(&mut self, spot: &Spot, code: Code, text: String) {
        let finding = self.finding(spot, code, text);
        let severity = match code {
            Code::Accepted => Severity::Information,
            _ => Severity::Warning,
        };
        let warning = Finding { severity, ..finding };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// What strict refuses and lenient bridges.
    pub(crate) fn gap(&mut self, spot: &Spot, code: Code, problem: &str, bridge: &str) {
        if self.options.strict {
            self.fault(spot, code, problem.to_owned());
        } else {
            self.warn(spot, code, format!("{problem}; {bridge}"));
        }
    }

    fn finding(&self, spot: &Spot, code: Code, text: String) -> Finding {
        let seq = match self.ipc {
            Some((_, seq)) if spot.segment == "IPC" => seq,
            _ => self.group.seq(&spot.segment),
        };
        Finding::error(&spot.segment, seq, code, text).at(spot.field, spot.component)
    }

    /// SH: a number of more than 16 characters is refused, because cut it would be another.
    pub(crate) fn short(&mut self, spot: &Spot, what: &str, text: &str) {
        let count = text.chars().count();
        if count > 16 {
            let text = format!("{what} '{text}' has {count} characters; DICOM allows 16");
            self.fault(spot, Code::DataType, text);
        } else if text.contains(|c: char| c == '\\' || c.is_control()) {
            let text = format!("{what} {text:?} has a backslash or control character in it");
            self.fault(spot, Code::DataType, text);
        }
    }

    /// LO: a description of more than 64 characters is cut, and that is said.
    pub(crate) fn bounded(&mut self, spot: &Spot, text: String) -> String {
        let count = text.chars().count();
        if count <= 64 {
            return text;
        }
        let problem = format!("'{text}' has {count} characters; DICOM allows 64");
        self.gap(spot, Code::DataType, &problem, "cut");
        text.chars().take(64).collect::<String>().trim_end().to_owned()
    }

    /// Every `""` of the group, told. Values that the table does not know are among them.
    pub(crate) fn tell_deletions(&mut self) {
        let mut told = Vec::new();
        for segment in self.group.segments() {
            for field in (1..=segment.len()).filter(|field| segment.field(*field).is_delete()) {
                told.push(Spot::new(segment.name(), field, 0));
            }
        }
        for spot in told {
            let text = "the sender asks to delete the value".to_owned();
            self.warn(&spot, Code::Accepted, text);
        }
    }
}

/// The text of a coded field: its meaning, or the code where there is no meaning.
pub(crate) fn described(field: Value<'_>) -> String {
    let meaning = component(field, 2);
    if meaning.is_empty() { first(field) } else { meaning }
}

fn name_at(segment: &str, field: Value<'_>) -> PersonName {
    match segment {
        "PID" | "MRG" => types::name_from_xpn(field),
        _ => {
            let name = types::name_from_ndl(field);
            if name.is_empty() { types::name_from_xcn(field) } else { name }
        }
    }
}

fn identifier_at(segment: &str, field: Value<'_>) -> Identifier {
    match segment {
        "PID" | "PV1" | "MRG" => types::identifier_from_cx(field),
        _ => types::identifier_from_ei(field),
    }
}
