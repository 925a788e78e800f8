//! One group of an order message to requests: the map of IHE RAD TF-2 appendix B.

use pacslab_model::Uid;
use pacslab_model::order::{
    Code as Concept, Identifier, Order, OrderControl, Priority, RequestedProcedure,
};

use super::control::{self, Effect, schedules};
use super::{Options, OrderRequest};
use crate::finding::{Code, Finding};
use crate::group::Group;
use crate::map::Attribute;
use crate::message::Segment;
use crate::reader::{Reader, Spot};
use crate::types::{self, first};

/// The requests of one group: one, or one for each IPC segment; none for a reply.
pub(super) fn requests(
    group: &Group<'_>,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<OrderRequest> {
    let mut reader = Reader::new(group, options);
    let code = first(group.field("ORC", 1)).to_ascii_uppercase();
    let control = reader.control(&code);
    let requests = match control {
        Some(control) => of_group(&mut reader, control, &code),
        None => Vec::new(),
    };
    findings.append(&mut reader.errors);
    requests
}

fn of_group(reader: &mut Reader<'_>, control: OrderControl, code: &str) -> Vec<OrderRequest> {
    let shared = reader.order(schedules(control), schedules(control));
    reader.tell_deletions();
    let ipcs: Vec<_> = reader.group.own("IPC").collect();
    let rows: Vec<Option<(Segment<'_>, usize)>> =
        if ipcs.is_empty() { vec![None] } else { ipcs.into_iter().map(Some).collect() };
    let common = std::mem::take(&mut reader.warnings);
    let cleared = reader.cleared.clone();
    let mut requests = Vec::new();
    for ipc in rows {
        reader.ipc = ipc;
        reader.cleared.clone_from(&cleared);
        let order = reader.scheduled(shared.clone(), control);
        let mut warnings = common.clone();
        warnings.append(&mut reader.warnings);
        requests.push(OrderRequest {
            control,
            code: if code.is_empty() { "NW".to_owned() } else { code.to_owned() },
            order,
            fill: Vec::new(),
            cleared: std::mem::take(&mut reader.cleared),
            warnings,
        });
    }
    requests
}

/// The numbers that name an order, from whichever segments have them.
pub(crate) fn numbered(reader: &mut Reader<'_>, required: bool) -> Order {
    let (accession, accession_issuer) = reader.accession(required);
    Order {
        accession,
        accession_issuer,
        placer: reader.identifier(Attribute::PlacerOrderNumberImagingServiceRequest).1,
        filler: reader.identifier(Attribute::FillerOrderNumberImagingServiceRequest).1,
        ..Order::default()
    }
}

impl Reader<'_> {
    fn control(&mut self, code: &str) -> Option<OrderControl> {
        let spot = Spot::new("ORC", 1, 0);
        match control::effect(code) {
            Effect::Do(control) => Some(control),
            Effect::Reply => None,
            Effect::Unknown if code.is_empty() => {
                let problem = "the order control code is missing";
                self.gap(&spot, Code::RequiredFieldMissing, problem, "taken for a new order (NW)");
                Some(OrderControl::New)
            }
            Effect::NotHere | Effect::Unknown => {
                let text = format!(
                    "order control code '{code}' is not supported; send NW, XO, CA, DC or SC"
                );
                self.fault(&spot, Code::TableValueNotFound, text);
                None
            }
        }
    }

    /// Everything but the scheduled step and the identifiers that IPC may carry.
    pub(crate) fn order(&mut self, identified: bool, required: bool) -> Order {
        Order {
            placer: self.identifier(Attribute::PlacerOrderNumberImagingServiceRequest).1,
            filler: self.identifier(Attribute::FillerOrderNumberImagingServiceRequest).1,
            patient: self.patient(identified, required),
            visit: self.visit(),
            procedure: self.procedure(required),
            ..Order::default()
        }
    }

    pub(crate) fn procedure(&mut self, required: bool) -> RequestedProcedure {
        let code = self.procedure_code(required);
        let (spot, description) = self.text(Attribute::RequestedProcedureDescription);
        let reason_code = self.code(Attribute::ReasonForRequestedProcedureCodeSequence);
        RequestedProcedure {
            id: String::new(),
            description: self.bounded(&spot, description),
            code,
            study_uid: Uid::default(),
            priority: self.priority(),
            reason: self.described(Attribute::ReasonForTheRequestedProcedure),
            reason_code: if reason_code.value.is_empty() || reason_code.scheme.is_empty() {
                Concept::default()
            } else {
                reason_code
            },
            requesting_physician: self.name(Attribute::RequestingPhysician),
            transport: self.text(Attribute::PatientTransportArrangements).1,
            comments: self
                .each(Attribute::RequestedProcedureComments, |note| note.text().into_owned())
                .join("\n"),
            confidentiality: self.described(Attribute::ConfidentialityCode),
            institution: self.described(Attribute::InstitutionName),
            department: self.text(Attribute::InstitutionalDepartmentName).1,
        }
    }

    /// The code of the procedure; OBR-44 may say the code of OBR-4 in other words, and then those of
    /// OBR-4 are the code's and those of OBR-44 the description.
    fn procedure_code(&mut self, required: bool) -> Concept {
        let code = self.code(Attribute::RequestedProcedureCodeSequence);
        let service = types::code_from_ce(self.group.field("OBR", 4), 1);
        if code.is_empty() {
            if required {
                let spot = match self.group.has("SCH") {
                    true => Spot::new("AIS", 3, 1),
                    false => Spot::new("OBR", 4, 1),
                };
                let text = "the universal service identifier is missing".to_owned();
                self.fault(&spot, Code::RequiredFieldMissing, text);
            }
            return code;
        }
        if code.value.is_empty() {
            // a lone text is the description, not a code
            return if service.value.is_empty() { Concept::default() } else { service };
        }
        if code.value == service.value && !service.meaning.is_empty() { service } else { code }
    }

    fn priority(&mut self) -> Priority {
        let (spot, text) = self.text(Attribute::RequestedProcedurePriority);
        types::priority(&text).unwrap_or_else(|| {
            let problem = format!("priority '{text}' is not in the table (S, A, R, P, C, T)");
            self.gap(&spot, Code::TableValueNotFound, &problem, "taken as routine");
            Default::default()
        })
    }

    /// The order with its identifiers and its step, for the current IPC if there is one.
    fn scheduled(&mut self, mut order: Order, control: OrderControl) -> Order {
        let required = schedules(control);
        (order.accession, order.accession_issuer) = self.accession(required);
        order.procedure.id = self.assigned(Attribute::RequestedProcedureID, required);
        order.procedure.study_uid = self.study_uid(required);
        if let Some(step) = self.step(control, &order) {
            order.steps.push(step);
        }
        let known = [&order.accession, &order.placer.id, &order.filler.id];
        let lab_numbers = control == OrderControl::New && !self.options.strict;
        if !lab_numbers && known.iter().all(|id| id.is_empty()) {
            let text = "the order has no number: send OBR-18, ORC-2 or ORC-3".to_owned();
            let spot = self.missing(Attribute::AccessionNumber);
            self.fault(&spot, Code::RequiredFieldMissing, text);
        }
        order
    }

    fn accession(&mut self, required: bool) -> (String, Identifier) {
        // what is bridged is only told where it matters
        let before = self.warnings.len();
        let (spot, found) = self.identifier(Attribute::AccessionNumber);
        if !required {
            self.warnings.truncate(before);
        }
        let Identifier { id, .. } = found.clone();
        self.short(&spot, "accession number", &id);
        if id.is_empty() && required {
            let problem = "the accession number is missing";
            self.gap(&spot, Code::RequiredFieldMissing, problem, "the lab assigns one");
        }
        (id, Identifier { id: String::new(), ..found })
    }

    /// An identifier that the lab assigns when the sender does not.
    pub(crate) fn assigned(&mut self, attribute: Attribute, required: bool) -> String {
        let what = attribute.row().what;
        let (spot, text) = self.text(attribute);
        self.short(&spot, what, &text);
        if text.is_empty() && required {
            let problem = format!("the {what} is missing");
            self.gap(&spot, Code::RequiredFieldMissing, &problem, "the lab assigns one");
        }
        text
    }

    pub(crate) fn study_uid(&mut self, required: bool) -> Uid {
        let (spot, text) = self.text(Attribute::StudyInstanceUID);
        let uid = Uid::new(text);
        if uid.is_empty() && required {
            let problem = "the study instance UID is missing";
            self.gap(&spot, Code::RequiredFieldMissing, problem, "the lab makes one");
        } else if !uid.is_empty() && !uid.is_valid() {
            let problem = format!("'{uid}' is not a valid UID");
            self.gap(&spot, Code::DataType, &problem, "the lab makes one");
            return Uid::default();
        }
        uid
    }
}
