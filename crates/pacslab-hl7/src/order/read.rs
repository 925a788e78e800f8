//! One group of an order message to order changes: the map of IHE RAD TF-2 appendix B with the
//! fallbacks that the field needs.

use pacslab_model::order::{
    Code as Concept, Identifier, Order, OrderChange, OrderControl, RequestedProcedure,
    ScheduledStep, StepStatus,
};
use pacslab_model::{AeTitle, PersonName, Uid};

use super::group::Group;
use super::{Options, StationRule};
use crate::finding::{Code, Finding};
use crate::message::{Segment, Value};
use crate::types::{self, Timestamp, component, first};

/// A field of the message, for findings and remarks.
pub(super) type Place<'a> = (&'a str, usize, usize);

/// The changes of one group: one, or one for each IPC segment.
pub(super) fn changes(
    group: &Group<'_>,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<OrderChange> {
    let mut reader = Reader { group, options, findings, remarks: Vec::new(), ipc: None };
    let Some(control) = reader.control() else { return Vec::new() };
    let shared = reader.order(control);
    reader.deletions();
    let ipcs: Vec<_> = group.own("IPC").collect();
    let rows: Vec<Option<(Segment<'_>, usize)>> =
        if ipcs.is_empty() { vec![None] } else { ipcs.into_iter().map(Some).collect() };
    let common = std::mem::take(&mut reader.remarks);
    rows.into_iter()
        .map(|ipc| {
            reader.ipc = ipc;
            let order = reader.scheduled(shared.clone(), control);
            let own = std::mem::take(&mut reader.remarks);
            OrderChange { control, order, remarks: common.iter().cloned().chain(own).collect() }
        })
        .collect()
}

pub(super) struct Reader<'a, 'f> {
    pub(super) group: &'a Group<'a>,
    pub(super) options: &'a Options,
    findings: &'f mut Vec<Finding>,
    remarks: Vec<String>,
    ipc: Option<(Segment<'a>, usize)>,
}

impl<'a> Reader<'a, '_> {
    pub(super) fn fault(
        &mut self,
        (segment, field, component): Place<'_>,
        code: Code,
        text: String,
    ) {
        let seq = match self.ipc {
            Some((_, seq)) if segment == "IPC" => seq,
            _ => self.group.seq(segment),
        };
        self.findings.push(Finding::error(segment, seq, code, text).at(field, component));
    }

    pub(super) fn remark(&mut self, place: Place<'_>, text: &str) {
        let (segment, field, _) = place;
        self.remarks.push(format!("{segment}-{field}: {text}"));
    }

    /// What strict refuses and lenient bridges.
    pub(super) fn gap(&mut self, place: Place<'_>, code: Code, problem: &str, bridge: &str) {
        if self.options.strict {
            self.fault(place, code, problem.to_owned());
        } else {
            self.remark(place, &format!("{problem}; {bridge}"));
        }
    }

    /// Values that the sender asks to delete: they are read as empty, which elsewhere means that
    /// nothing changes.
    fn deletions(&mut self) {
        for segment in self.group.segments() {
            for field in (1..=segment.len()).filter(|field| segment.field(*field).is_delete()) {
                self.remark((segment.name(), field, 0), "the sender asks to delete the value");
            }
        }
    }

    fn control(&mut self) -> Option<OrderControl> {
        let place = ("ORC", 1, 0);
        let code = first(self.group.field("ORC", 1)).to_ascii_uppercase();
        match code.as_str() {
            "NW" => Some(OrderControl::New),
            "XO" => Some(OrderControl::Change),
            "CA" | "OC" => Some(OrderControl::Cancel),
            "DC" | "OD" => Some(OrderControl::Discontinue),
            "SC" => Some(OrderControl::StatusChange),
            "" => {
                let problem = "the order control code is missing";
                self.gap(place, Code::RequiredFieldMissing, problem, "taken for a new order (NW)");
                Some(OrderControl::New)
            }
            _ => {
                let text = format!(
                    "order control code '{code}' is not supported; send NW, XO, CA, DC or SC"
                );
                self.fault(place, Code::TableValueNotFound, text);
                None
            }
        }
    }

    /// Everything but the scheduled step and the identifiers that IPC may carry.
    fn order(&mut self, control: OrderControl) -> Order {
        let group = self.group;
        let either = |field| {
            let id = types::identifier_from_ei(group.field("ORC", field));
            if id.id.is_empty() { types::identifier_from_ei(group.field("OBR", field)) } else { id }
        };
        Order {
            accession: String::new(),
            accession_issuer: Identifier::default(),
            placer: either(2),
            filler: either(3),
            patient: self.patient(schedules(control)),
            visit: self.visit(),
            procedure: self.procedure(schedules(control)),
            steps: Vec::new(),
        }
    }

    fn procedure(&mut self, required: bool) -> RequestedProcedure {
        let group = self.group;
        let obr = |field| group.field("OBR", field);
        let service = types::code_from_ce(obr(4), 1);
        let procedure = types::code_from_ce(obr(44), 1);
        let description = match (procedure.meaning.as_str(), service.meaning.as_str()) {
            ("", "") => service.value.clone(),
            ("", meaning) | (meaning, _) => meaning.to_owned(),
        };
        if service.is_empty() && required {
            let text = "the universal service identifier is missing".to_owned();
            self.fault(("OBR", 4, 1), Code::RequiredFieldMissing, text);
        }
        let code = match procedure.value.as_str() {
            "" => service.clone(),
            // the same code: OBR-44 then only says it in other words
            value if value == service.value && !service.meaning.is_empty() => service.clone(),
            _ => procedure,
        };
        let ordering = types::name_from_xcn(obr(16));
        let requesting_physician = match ordering.is_empty() {
            true => types::name_from_xcn(group.field("ORC", 12)),
            false => ordering,
        };
        let notes = group.own("NTE").flat_map(|(nte, _)| {
            nte.field(3).repetitions().map(|r| r.text().into_owned()).collect::<Vec<_>>()
        });
        let reason_code = types::code_from_ce(obr(31), 1);
        RequestedProcedure {
            id: String::new(),
            description: self.bounded(("OBR", 4, 2), description),
            // a lone text is the description, not a code
            code: if code.value.is_empty() { Concept::default() } else { code },
            study_uid: Uid::default(),
            priority: self.priority(),
            reason: described(obr(31)),
            reason_code: if reason_code.value.is_empty() || reason_code.scheme.is_empty() {
                Concept::default()
            } else {
                reason_code
            },
            requesting_physician,
            transport: first(obr(30)),
            comments: notes.collect::<Vec<_>>().join("\n"),
            confidentiality: described(group.field("ORC", 28)),
            institution: described(group.field("ORC", 17)),
            department: component(group.field("ORC", 13), 9),
        }
    }

    fn priority(&mut self) -> pacslab_model::order::Priority {
        let places = [("ORC", 7, 6), ("TQ1", 9, 1), ("OBR", 27, 6), ("OBR", 5, 1)];
        let (place, text) = self.first_of(&places);
        types::priority(&text).unwrap_or_else(|| {
            let problem = format!("priority '{text}' is not in the table (S, A, R, P, C, T)");
            self.gap(place, Code::TableValueNotFound, &problem, "taken as routine");
            Default::default()
        })
    }

    /// The order with its identifiers and its step, for the current IPC if there is one.
    fn scheduled(&mut self, mut order: Order, control: OrderControl) -> Order {
        let required = schedules(control);
        (order.accession, order.accession_issuer) = self.accession(required);
        order.procedure.id =
            self.assigned(("IPC", 2, 1), ("OBR", 19, 1), "requested procedure id", required);
        order.procedure.study_uid = self.study_uid(required);
        if let Some(step) = self.step(control, &order) {
            order.steps.push(step);
        }
        let known = [&order.accession, &order.placer.id, &order.filler.id];
        if known.iter().all(|id| id.is_empty()) {
            let text = "the order has no number: send OBR-18, ORC-2 or ORC-3".to_owned();
            self.fault(("OBR", 18, 1), Code::RequiredFieldMissing, text);
        }
        order
    }

    fn accession(&mut self, required: bool) -> (String, Identifier) {
        let from_ipc = types::identifier_from_ei(self.ipc_field(1));
        if !from_ipc.id.is_empty() {
            self.short(("IPC", 1, 1), "accession number", &from_ipc.id);
            let issuer = Identifier { id: String::new(), ..from_ipc.clone() };
            return (from_ipc.id, issuer);
        }
        let place = if self.ipc.is_some() { ("IPC", 1, 1) } else { ("OBR", 18, 1) };
        let tried = if self.options.strict { 1 } else { self.options.accession.len() };
        if !(self.options.strict && self.ipc.is_some()) {
            for (at, path) in self.options.accession.iter().take(tried).enumerate() {
                let text = self.group.get(path).text().trim().to_owned();
                if text.is_empty() {
                    continue;
                }
                let found = (path.segment.as_str(), path.field, path.component.unwrap_or(0));
                self.short(found, "accession number", &text);
                if at > 0 && required {
                    self.remark(
                        place,
                        &format!("no accession number; '{text}' of {path} is taken"),
                    );
                }
                return (text, Identifier::default());
            }
        }
        if required {
            let text = "the accession number is missing".to_owned();
            self.fault(place, Code::RequiredFieldMissing, text);
        }
        Default::default()
    }

    /// An identifier that the lab assigns when the sender does not.
    fn assigned(&mut self, ipc: Place<'_>, other: Place<'_>, what: &str, required: bool) -> String {
        let from_ipc = first(self.ipc_field(ipc.1));
        let from_other = first(self.group.field(other.0, other.1));
        let (place, text) = match from_ipc.is_empty() && !from_other.is_empty() {
            false if self.ipc.is_some() => (ipc, from_ipc),
            _ => (other, from_other),
        };
        self.short(place, what, &text);
        if text.is_empty() && required {
            let problem = format!("the {what} is missing");
            self.gap(place, Code::RequiredFieldMissing, &problem, "the lab assigns one");
        }
        text
    }

    fn study_uid(&mut self, required: bool) -> Uid {
        let place = if self.ipc.is_some() { ("IPC", 3, 1) } else { ("ZDS", 1, 1) };
        let from_ipc = first(self.ipc_field(3));
        let text = match from_ipc.is_empty() {
            true => first(self.group.field("ZDS", 1)),
            false => from_ipc,
        };
        let uid = Uid::new(text);
        if uid.is_empty() && required {
            let problem = "the study instance UID is missing";
            self.gap(place, Code::RequiredFieldMissing, problem, "the lab makes one");
        } else if !uid.is_empty() && !uid.is_valid() {
            let problem = format!("'{uid}' is not a valid UID");
            self.gap(place, Code::DataType, &problem, "the lab makes one");
            return Uid::default();
        }
        uid
    }

    fn step(&mut self, control: OrderControl, order: &Order) -> Option<ScheduledStep> {
        let required = schedules(control);
        let id =
            self.assigned(("IPC", 4, 1), ("OBR", 20, 1), "scheduled procedure step id", required);
        if !required && id.is_empty() && control != OrderControl::StatusChange {
            return None; // the change is about all steps of the order
        }
        let obr4 = self.group.field("OBR", 4);
        let in_ipc = types::code_from_ce(self.ipc_field(6), 1);
        let protocol = if in_ipc.is_empty() { types::code_from_ce(obr4, 4) } else { in_ipc };
        let description = match protocol.meaning.is_empty() {
            true => order.procedure.description.clone(),
            false => protocol.meaning.clone(),
        };
        let modality = self.modality(required);
        let code = component(obr4, 1);
        let rule = self.options.stations.iter().find(|rule| takes(rule, &modality, &code)).cloned();
        let station = self.station(rule.as_ref(), required)?;
        let rule =
            self.options.stations.iter().find(|rule| rule.station == station).or(rule.as_ref());
        let named = |in_ipc: String, rule: Option<&str>| match in_ipc.is_empty() {
            true => rule.unwrap_or("").to_owned(),
            false => in_ipc,
        };
        let station_name = named(first(self.ipc_field(7)), rule.map(|rule| rule.name.as_str()));
        let location = named(described(self.ipc_field(8)), rule.map(|rule| rule.location.as_str()));
        let (start_date, start_time) = self.start(required);
        Some(ScheduledStep {
            id,
            description: self.bounded(("OBR", 4, 5), description),
            protocol: if protocol.value.is_empty() { Concept::default() } else { protocol },
            modality,
            station,
            station_name,
            location,
            start_date,
            start_time,
            performing_physician: self.performing_physician(),
            status: status(control, &first(self.group.field("ORC", 5)).to_ascii_uppercase()),
        })
    }

    fn performing_physician(&self) -> PersonName {
        let technician = self.group.field("OBR", 34);
        let name = types::name_from_ndl(technician);
        if name.is_empty() { types::name_from_xcn(technician) } else { name }
    }

    fn modality(&mut self, required: bool) -> String {
        let place = if self.ipc.is_some() { ("IPC", 5, 1) } else { ("OBR", 24, 1) };
        let in_ipc = first(self.ipc_field(5));
        let text = if in_ipc.is_empty() { first(self.group.field("OBR", 24)) } else { in_ipc };
        let modality = text.to_ascii_uppercase();
        // table 0074 knows other words for some modalities
        let dicom = match modality.as_str() {
            "RUS" | "VUS" => "US",
            "NMR" => "MR",
            "NMS" => "NM",
            "RX" => "DX",
            "RAD" => "",
            other => other,
        };
        let is_code =
            |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == ' ';
        if dicom.len() > 16 || !dicom.chars().all(is_code) {
            self.fault(
                place,
                Code::DataType,
                format!("'{text}' is not a modality such as CT or MR"),
            );
            return String::new();
        }
        if !dicom.is_empty() {
            if dicom != text {
                self.remark(place, &format!("'{text}' read as modality {dicom}"));
            }
            return dicom.to_owned();
        }
        let named =
            [component(self.group.field("OBR", 4), 2), component(self.group.field("OBR", 4), 1)];
        let guess = named.iter().find_map(|text| guess_modality(text));
        match guess {
            Some(modality) if !self.options.strict => {
                self.remark(place, &format!("no modality; {modality} is taken from OBR-4"));
                modality.to_owned()
            }
            _ => {
                if required {
                    let text = "the modality is missing".to_owned();
                    self.fault(place, Code::RequiredFieldMissing, text);
                }
                String::new()
            }
        }
    }

    fn station(&mut self, rule: Option<&StationRule>, required: bool) -> Option<AeTitle> {
        let mut named = vec![(("IPC", 9, 1), first(self.ipc_field(9)))];
        for path in &self.options.station {
            let place = (path.segment.as_str(), path.field, path.component.unwrap_or(0));
            named.push((place, self.group.get(path).text().trim().to_owned()));
        }
        for (place, text) in named.iter().filter(|(_, text)| !text.is_empty()) {
            match AeTitle::new(text) {
                Ok(station) => return Some(station),
                Err(error) => {
                    let bridge = "the station is chosen by rule";
                    self.gap(*place, Code::DataType, &error.to_string(), bridge);
                }
            }
        }
        let chosen = rule.map(|rule| rule.station.clone());
        if let Some(station) = chosen.or_else(|| self.options.default_station.clone()) {
            return Some(station);
        }
        if required {
            let text = "no station: send its AE title in OBR-21 (ORM, OMG) or IPC-9 (OMI), or \
                        configure a station for the modality";
            let place = if self.ipc.is_some() { ("IPC", 9, 1) } else { ("OBR", 21, 1) };
            self.fault(place, Code::RequiredFieldMissing, text.to_owned());
            return None;
        }
        // cancelling and the like: the step is told by its id
        AeTitle::new("ANY").ok()
    }

    /// DA and TM of the scheduled start.
    fn start(&mut self, required: bool) -> (String, String) {
        let places = [("ORC", 7, 4), ("TQ1", 7, 1), ("OBR", 27, 4), ("OBR", 36, 1)];
        let (place, text) = self.first_of(&places);
        if text.is_empty() {
            if !required {
                return Default::default();
            }
            let sent = Timestamp::parse(&self.group.message.text("MSH-7.1"));
            let problem = "the scheduled start is missing";
            let place =
                if self.group.first("TQ1").is_some() { ("TQ1", 7, 1) } else { ("ORC", 7, 4) };
            return match sent.filter(Timestamp::has_day) {
                Some(sent) => {
                    let bridge = "the time of the message (MSH-7) is taken";
                    self.gap(place, Code::RequiredFieldMissing, problem, bridge);
                    (sent.date, sent.time)
                }
                None => {
                    self.gap(place, Code::RequiredFieldMissing, problem, "left to the lab");
                    Default::default()
                }
            };
        }
        match Timestamp::parse(&text) {
            Some(time) if time.has_day() && !time.time.is_empty() => (time.date, time.time),
            Some(time) if time.has_day() => {
                let problem = format!("the scheduled start '{text}' has no time of day");
                self.gap(place, Code::DataType, &problem, "midnight is taken");
                (time.date, "000000".to_owned())
            }
            _ => {
                let text = format!("the scheduled start '{text}' is not a time (YYYYMMDDHHMM)");
                self.fault(place, Code::DataType, text);
                Default::default()
            }
        }
    }

    fn ipc_field(&self, field: usize) -> Value<'a> {
        self.ipc.map_or(Value::ABSENT, |(ipc, _)| ipc.field(field))
    }

    /// The first of these components that is not empty, and where it was.
    fn first_of<'p>(&self, places: &[Place<'p>]) -> (Place<'p>, String) {
        let texts = places.iter().map(|place| {
            let (segment, field, n) = *place;
            (*place, component(self.group.field(segment, field), n))
        });
        let found = texts.clone().find(|(_, text)| !text.is_empty());
        found.or_else(|| texts.clone().next()).unwrap_or((("OBR", 0, 0), String::new()))
    }

    /// SH: an order number of more than 16 characters is refused, because cut it would be another.
    fn short(&mut self, place: Place<'_>, what: &str, text: &str) {
        let count = text.chars().count();
        if count > 16 {
            let text = format!("{what} '{text}' has {count} characters; DICOM allows 16");
            self.fault(place, Code::DataType, text);
        } else if text.contains(|c: char| c == '\\' || c.is_control()) {
            let text = format!("{what} {text:?} has a backslash or control character in it");
            self.fault(place, Code::DataType, text);
        }
    }

    /// LO: a description of more than 64 characters is cut, and that is said.
    fn bounded(&mut self, place: Place<'_>, text: String) -> String {
        let count = text.chars().count();
        if count <= 64 {
            return text;
        }
        let problem = format!("'{text}' has {count} characters; DICOM allows 64");
        self.gap(place, Code::DataType, &problem, "cut");
        text.chars().take(64).collect::<String>().trim_end().to_owned()
    }
}

/// NW and XO tell the whole order; the others only name it.
fn schedules(control: OrderControl) -> bool {
    matches!(control, OrderControl::New | OrderControl::Change)
}

/// ORC-1 and ORC-5 (table 0038) to the state of the step.
fn status(control: OrderControl, orc5: &str) -> StepStatus {
    match (control, orc5) {
        (OrderControl::Cancel, _) => StepStatus::Cancelled,
        (OrderControl::Discontinue, _) => StepStatus::Discontinued,
        (OrderControl::New, _) => StepStatus::Scheduled,
        (_, "CM" | "A") => StepStatus::Completed,
        (_, "CA" | "RP") => StepStatus::Cancelled,
        (_, "DC") => StepStatus::Discontinued,
        (OrderControl::StatusChange, "IP") => StepStatus::Started,
        _ => StepStatus::Scheduled,
    }
}

fn takes(rule: &StationRule, modality: &str, code: &str) -> bool {
    (rule.modality.is_empty() || rule.modality == modality)
        && (rule.code.is_empty() || rule.code == code)
}

/// Procedures are often named by their modality: `CT CHEST`, `MR_BRAIN`.
fn guess_modality(text: &str) -> Option<&'static str> {
    let word = text.split(|c: char| !c.is_ascii_alphanumeric()).next()?.to_ascii_uppercase();
    let known = ["CT", "MR", "US", "CR", "DX", "MG", "NM", "PT", "XA", "RF", "OT"];
    match word.as_str() {
        "MRI" => Some("MR"),
        "XR" => Some("DX"),
        "PET" => Some("PT"),
        word => known.into_iter().find(|modality| *modality == word),
    }
}

/// The text of a coded field: its meaning, or the code where there is no meaning.
pub(super) fn described(field: Value<'_>) -> String {
    let meaning = component(field, 2);
    if meaning.is_empty() { first(field) } else { meaning }
}
