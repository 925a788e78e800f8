//! DIMSE command sets: typed messages and their encoding. PS3.7 6.3, 9.3, 10.3, annex E.
//!
//! A command set is implicit VR little endian, of group 0000 only, and short; this codec is all
//! that it needs.

use pacslab_model::{Tag, Uid};

use crate::status::{Status, StatusReply};

/// The longest command set that is read: real ones have a few hundred bytes.
pub const MAX_COMMAND: usize = 64 * 1024;

/// A DIMSE message's command set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    Request(Request),
    Response(Response),
    /// C-CANCEL, which names the request it cancels.
    Cancel {
        message_id: u16,
    },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    pub message_id: u16,
    /// Whether a data set follows.
    pub has_data: bool,
    pub operation: Operation,
}

/// What is asked for, with the parameters of its table in PS3.7 9.3 and 10.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Echo {
        sop_class: Uid,
    },
    Store {
        sop_class: Uid,
        sop_instance: Uid,
        priority: Priority,
        originator: Option<MoveOriginator>,
    },
    Find {
        sop_class: Uid,
        priority: Priority,
    },
    Get {
        sop_class: Uid,
        priority: Priority,
    },
    Move {
        sop_class: Uid,
        priority: Priority,
        destination: String,
    },
    EventReport {
        sop_class: Uid,
        sop_instance: Uid,
        event_type: u16,
    },
    NGet {
        sop_class: Uid,
        sop_instance: Uid,
        attributes: Vec<Tag>,
    },
    NSet {
        sop_class: Uid,
        sop_instance: Uid,
    },
    NAction {
        sop_class: Uid,
        sop_instance: Uid,
        action_type: u16,
    },
    NCreate {
        sop_class: Uid,
        sop_instance: Option<Uid>,
    },
    NDelete {
        sop_class: Uid,
        sop_instance: Uid,
    },
}

/// Which C-MOVE a C-STORE is a sub-operation of. PS3.7 9.1.1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveOriginator {
    pub aet: String,
    pub message_id: u16,
}

/// PS3.7 E.1, (0000,0700).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Priority {
    #[default]
    Medium = 0,
    High = 1,
    Low = 2,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// The request that is answered.
    pub message_id: u16,
    pub field: Field,
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub reply: StatusReply,
    /// Numbers of sub-operations, in answers to C-MOVE and C-GET.
    pub counts: Option<SubOperations>,
    /// Event type or action type of an N-EVENT-REPORT or N-ACTION.
    pub type_id: Option<u16>,
    pub has_data: bool,
}

/// (0000,1020) to (0000,1023).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SubOperations {
    /// Not in a final response.
    pub remaining: Option<u16>,
    pub completed: u16,
    pub failed: u16,
    pub warning: u16,
}

macro_rules! fields {
    ($($name:ident = $code:literal, $text:literal;)*) => {
        /// The command field without its response bit. PS3.7 E.1.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Field { $($name),* }

        impl Field {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub const fn code(self) -> u16 {
                match self { $(Self::$name => $code),* }
            }

            pub const fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }

            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}
fields! {
    Store = 0x0001, "C-STORE";
    Get = 0x0010, "C-GET";
    Find = 0x0020, "C-FIND";
    Move = 0x0021, "C-MOVE";
    Echo = 0x0030, "C-ECHO";
    EventReport = 0x0100, "N-EVENT-REPORT";
    NGet = 0x0110, "N-GET";
    NSet = 0x0120, "N-SET";
    NAction = 0x0130, "N-ACTION";
    NCreate = 0x0140, "N-CREATE";
    NDelete = 0x0150, "N-DELETE";
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

const CANCEL: u16 = 0x0FFF;
const RESPONSE: u16 = 0x8000;
/// (0000,0800) when there is no data set; any other value says that one follows.
const NO_DATA: u16 = 0x0101;

impl Operation {
    pub const fn field(&self) -> Field {
        match self {
            Self::Echo { .. } => Field::Echo,
            Self::Store { .. } => Field::Store,
            Self::Find { .. } => Field::Find,
            Self::Get { .. } => Field::Get,
            Self::Move { .. } => Field::Move,
            Self::EventReport { .. } => Field::EventReport,
            Self::NGet { .. } => Field::NGet,
            Self::NSet { .. } => Field::NSet,
            Self::NAction { .. } => Field::NAction,
            Self::NCreate { .. } => Field::NCreate,
            Self::NDelete { .. } => Field::NDelete,
        }
    }

    /// Affected or requested SOP class.
    pub const fn sop_class(&self) -> &Uid {
        match self {
            Self::Echo { sop_class }
            | Self::Store { sop_class, .. }
            | Self::Find { sop_class, .. }
            | Self::Get { sop_class, .. }
            | Self::Move { sop_class, .. }
            | Self::EventReport { sop_class, .. }
            | Self::NGet { sop_class, .. }
            | Self::NSet { sop_class, .. }
            | Self::NAction { sop_class, .. }
            | Self::NCreate { sop_class, .. }
            | Self::NDelete { sop_class, .. } => sop_class,
        }
    }

    /// Affected or requested SOP instance, where the operation has one.
    pub const fn sop_instance(&self) -> Option<&Uid> {
        match self {
            Self::Echo { .. } | Self::Find { .. } | Self::Get { .. } | Self::Move { .. } => None,
            Self::NCreate { sop_instance, .. } => sop_instance.as_ref(),
            Self::Store { sop_instance, .. }
            | Self::EventReport { sop_instance, .. }
            | Self::NGet { sop_instance, .. }
            | Self::NSet { sop_instance, .. }
            | Self::NAction { sop_instance, .. }
            | Self::NDelete { sop_instance, .. } => Some(sop_instance),
        }
    }
}

impl Request {
    /// The answer to this request, without data set.
    pub fn response(&self, reply: impl Into<StatusReply>) -> Response {
        let type_id = match self.operation {
            Operation::EventReport { event_type, .. } => Some(event_type),
            Operation::NAction { action_type, .. } => Some(action_type),
            _ => None,
        };
        Response {
            message_id: self.message_id,
            field: self.operation.field(),
            sop_class: self.operation.sop_class().clone(),
            sop_instance: self.operation.sop_instance().cloned().unwrap_or_default(),
            reply: reply.into(),
            counts: None,
            type_id,
            has_data: false,
        }
    }
}

/// Why bytes are no command set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("a command set of more than {MAX_COMMAND} bytes")]
    TooLong,
    #[error("element (0000,{0:04x}) claims {1} bytes where {2} are left")]
    Length(u16, u32, usize),
    #[error("element {0} in a command set, which is of group 0000 only")]
    Group(Tag),
    #[error("element (0000,{0:04x}) {1} is missing")]
    Missing(u16, &'static str),
    #[error("element (0000,{0:04x}) {1} has {2} bytes where 2 are expected")]
    NotUs(u16, &'static str, usize),
    #[error("0x{0:04x} is no command field")]
    Field(u16),
}

mod el {
    pub(super) const AFFECTED_CLASS: u16 = 0x0002;
    pub(super) const REQUESTED_CLASS: u16 = 0x0003;
    pub(super) const FIELD: u16 = 0x0100;
    pub(super) const MESSAGE_ID: u16 = 0x0110;
    pub(super) const RESPONDED_ID: u16 = 0x0120;
    pub(super) const DESTINATION: u16 = 0x0600;
    pub(super) const PRIORITY: u16 = 0x0700;
    pub(super) const DATA_SET_TYPE: u16 = 0x0800;
    pub(super) const STATUS: u16 = 0x0900;
    pub(super) const OFFENDING: u16 = 0x0901;
    pub(super) const COMMENT: u16 = 0x0902;
    pub(super) const AFFECTED_INSTANCE: u16 = 0x1000;
    pub(super) const REQUESTED_INSTANCE: u16 = 0x1001;
    pub(super) const EVENT_TYPE: u16 = 0x1002;
    pub(super) const ATTRIBUTES: u16 = 0x1005;
    pub(super) const ACTION_TYPE: u16 = 0x1008;
    pub(super) const REMAINING: u16 = 0x1020;
    pub(super) const COMPLETED: u16 = 0x1021;
    pub(super) const FAILED: u16 = 0x1022;
    pub(super) const WARNING: u16 = 0x1023;
    pub(super) const ORIGINATOR: u16 = 0x1030;
    pub(super) const ORIGINATOR_ID: u16 = 0x1031;
}

/// Reads a command set.
pub fn decode(bytes: &[u8]) -> Result<Command, CommandError> {
    let set = Elements::scan(bytes)?;
    let code = set.us(el::FIELD, "command field")?;
    if code == CANCEL {
        let message_id = set.us(el::RESPONDED_ID, "message id being responded to")?;
        return Ok(Command::Cancel { message_id });
    }
    let field = Field::from_code(code & !RESPONSE).ok_or(CommandError::Field(code))?;
    let has_data = set.us(el::DATA_SET_TYPE, "command data set type")? != NO_DATA;
    if code & RESPONSE != 0 {
        return Ok(Command::Response(Response {
            message_id: set.us(el::RESPONDED_ID, "message id being responded to")?,
            field,
            sop_class: set
                .uid(el::AFFECTED_CLASS)
                .or(set.uid(el::REQUESTED_CLASS))
                .unwrap_or_default(),
            sop_instance: set
                .uid(el::AFFECTED_INSTANCE)
                .or(set.uid(el::REQUESTED_INSTANCE))
                .unwrap_or_default(),
            reply: StatusReply {
                status: Status(set.us(el::STATUS, "status")?),
                comment: set.text(el::COMMENT),
                offending: set.tags(el::OFFENDING),
            },
            counts: set.counts(),
            type_id: set
                .us(el::EVENT_TYPE, "event type")
                .or(set.us(el::ACTION_TYPE, "action type"))
                .ok(),
            has_data,
        }));
    }
    let message_id = set.us(el::MESSAGE_ID, "message id")?;
    Ok(Command::Request(Request { message_id, has_data, operation: operation(field, &set)? }))
}

fn operation(field: Field, set: &Elements<'_>) -> Result<Operation, CommandError> {
    let affected = || set.needed_uid(el::AFFECTED_CLASS, "affected SOP class UID");
    let requested = || set.needed_uid(el::REQUESTED_CLASS, "requested SOP class UID");
    let instance = || set.needed_uid(el::REQUESTED_INSTANCE, "requested SOP instance UID");
    let priority = set.priority();
    Ok(match field {
        Field::Echo => {
            let sop_class = set.uid(el::AFFECTED_CLASS).unwrap_or_default();
            Operation::Echo { sop_class }
        }
        Field::Store => Operation::Store {
            sop_class: affected()?,
            sop_instance: set.needed_uid(el::AFFECTED_INSTANCE, "affected SOP instance UID")?,
            priority,
            originator: set.text(el::ORIGINATOR).map(|aet| MoveOriginator {
                aet,
                message_id: set.us(el::ORIGINATOR_ID, "").unwrap_or(0),
            }),
        },
        Field::Find => Operation::Find { sop_class: affected()?, priority },
        Field::Get => Operation::Get { sop_class: affected()?, priority },
        Field::Move => Operation::Move {
            sop_class: affected()?,
            priority,
            destination: set.text(el::DESTINATION).unwrap_or_default(),
        },
        Field::EventReport => Operation::EventReport {
            sop_class: affected()?,
            sop_instance: set.needed_uid(el::AFFECTED_INSTANCE, "affected SOP instance UID")?,
            event_type: set.us(el::EVENT_TYPE, "event type id")?,
        },
        Field::NGet => Operation::NGet {
            sop_class: requested()?,
            sop_instance: instance()?,
            attributes: set.tags(el::ATTRIBUTES),
        },
        Field::NSet => Operation::NSet { sop_class: requested()?, sop_instance: instance()? },
        Field::NAction => Operation::NAction {
            sop_class: requested()?,
            sop_instance: instance()?,
            action_type: set.us(el::ACTION_TYPE, "action type id")?,
        },
        Field::NCreate => Operation::NCreate {
            sop_class: affected()?,
            sop_instance: set.uid(el::AFFECTED_INSTANCE),
        },
        Field::NDelete => Operation::NDelete { sop_class: requested()?, sop_instance: instance()? },
    })
}

/// The elements of a command set as slices of it.
struct Elements<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Elements<'a> {
    fn scan(mut bytes: &'a [u8]) -> Result<Self, CommandError> {
        if bytes.len() > MAX_COMMAND {
            return Err(CommandError::TooLong);
        }
        let mut elements = Vec::with_capacity(16);
        while let Some((&[g0, g1, e0, e1, l0, l1, l2, l3], rest)) = bytes.split_first_chunk() {
            let (group, element) = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
            if group != 0 {
                return Err(CommandError::Group(Tag::new(group, element)));
            }
            let length = u32::from_le_bytes([l0, l1, l2, l3]);
            let Some((value, rest)) = rest.split_at_checked(length as usize) else {
                return Err(CommandError::Length(element, length, rest.len()));
            };
            elements.push((element, value));
            bytes = rest;
        }
        match bytes {
            [] => Ok(Self(elements)),
            rest => Err(CommandError::Length(0, 8, rest.len())),
        }
    }

    fn get(&self, element: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(tag, _)| *tag == element).map(|(_, value)| *value)
    }

    fn us(&self, element: u16, name: &'static str) -> Result<u16, CommandError> {
        match self.get(element) {
            Some(&[a, b]) => Ok(u16::from_le_bytes([a, b])),
            Some(other) => Err(CommandError::NotUs(element, name, other.len())),
            None => Err(CommandError::Missing(element, name)),
        }
    }

    /// Text without padding; `None` where there is none.
    fn text(&self, element: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(element)?);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn uid(&self, element: u16) -> Option<Uid> {
        self.text(element).map(Uid::new)
    }

    fn needed_uid(&self, element: u16, name: &'static str) -> Result<Uid, CommandError> {
        self.uid(element).ok_or(CommandError::Missing(element, name))
    }

    fn priority(&self) -> Priority {
        match self.us(el::PRIORITY, "") {
            Ok(1) => Priority::High,
            Ok(2) => Priority::Low,
            _ => Priority::Medium,
        }
    }

    /// Values of VR AT: two 16-bit numbers each.
    fn tags(&self, element: u16) -> Vec<Tag> {
        let value = self.get(element).unwrap_or_default();
        let tag = |b: &[u8; 4]| {
            Tag::new(u16::from_le_bytes([b[0], b[1]]), u16::from_le_bytes([b[2], b[3]]))
        };
        value.as_chunks::<4>().0.iter().map(tag).collect()
    }

    fn counts(&self) -> Option<SubOperations> {
        let count = |element| self.us(element, "").ok();
        let counts = [el::REMAINING, el::COMPLETED, el::FAILED, el::WARNING].map(count);
        counts.iter().any(Option::is_some).then(|| SubOperations {
            remaining: counts[0],
            completed: counts[1].unwrap_or(0),
            failed: counts[2].unwrap_or(0),
            warning: counts[3].unwrap_or(0),
        })
    }
}

/// Appends a command set, group length first, elements in ascending order.
pub fn encode(command: &Command, out: &mut Vec<u8>) {
    let mut w = Writer::start(out);
    match command {
        Command::Cancel { message_id } => {
            w.us(el::FIELD, CANCEL);
            w.us(el::RESPONDED_ID, *message_id);
            w.us(el::DATA_SET_TYPE, NO_DATA);
        }
        Command::Request(request) => w.request(request),
        Command::Response(response) => w.response(response),
    }
    w.finish();
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    fn start(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend([0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        Self { out, start }
    }

    fn finish(self) {
        let length = (self.out.len() - self.start - 12) as u32;
        self.out[self.start + 8..self.start + 12].copy_from_slice(&length.to_le_bytes());
    }

    fn element(&mut self, element: u16, value: &[u8], pad: u8) {
        let padded = value.len() + value.len() % 2;
        self.out.extend([0, 0]);
        self.out.extend(element.to_le_bytes());
        self.out.extend((padded as u32).to_le_bytes());
        self.out.extend_from_slice(value);
        if padded > value.len() {
            self.out.push(pad);
        }
    }

    fn us(&mut self, element: u16, value: u16) {
        self.element(element, &value.to_le_bytes(), 0);
    }

    fn uid(&mut self, element: u16, uid: &Uid) {
        if !uid.is_empty() {
            self.element(element, uid.as_str().as_bytes(), 0);
        }
    }

    fn tags(&mut self, element: u16, tags: &[Tag]) {
        if !tags.is_empty() {
            let halves = |tag: &Tag| [tag.group().to_le_bytes(), tag.element().to_le_bytes()];
            let value: Vec<u8> = tags.iter().flat_map(halves).flatten().collect();
            self.element(element, &value, 0);
        }
    }

    fn request(&mut self, request: &Request) {
        use Operation as O;
        let operation = &request.operation;
        let requested = matches!(
            operation.field(),
            Field::NGet | Field::NSet | Field::NAction | Field::NDelete
        );
        let (class, instance) = match requested {
            true => (el::REQUESTED_CLASS, el::REQUESTED_INSTANCE),
            false => (el::AFFECTED_CLASS, el::AFFECTED_INSTANCE),
        };
        self.uid(class, operation.sop_class());
        self.us(el::FIELD, operation.field().code());
        self.us(el::MESSAGE_ID, request.message_id);
        if let O::Move { destination, .. } = operation {
            self.element(el::DESTINATION, destination.as_bytes(), b' ');
        }
        if let O::Store { priority, .. }
        | O::Find { priority, .. }
        | O::Get { priority, .. }
        | O::Move { priority, .. } = operation
        {
            self.us(el::PRIORITY, *priority as u16);
        }
        self.us(el::DATA_SET_TYPE, if request.has_data { 1 } else { NO_DATA });
        if let Some(uid) = operation.sop_instance() {
            self.uid(instance, uid);
        }
        match operation {
            O::EventReport { event_type, .. } => self.us(el::EVENT_TYPE, *event_type),
            O::NAction { action_type, .. } => self.us(el::ACTION_TYPE, *action_type),
            O::NGet { attributes, .. } => self.tags(el::ATTRIBUTES, attributes),
            O::Store { originator: Some(originator), .. } => {
                self.element(el::ORIGINATOR, originator.aet.as_bytes(), b' ');
                self.us(el::ORIGINATOR_ID, originator.message_id);
            }
            _ => {}
        }
    }

    fn response(&mut self, response: &Response) {
        self.uid(el::AFFECTED_CLASS, &response.sop_class);
        self.us(el::FIELD, response.field.code() | RESPONSE);
        self.us(el::RESPONDED_ID, response.message_id);
        self.us(el::DATA_SET_TYPE, if response.has_data { 1 } else { NO_DATA });
        self.us(el::STATUS, response.reply.status.0);
        self.tags(el::OFFENDING, &response.reply.offending);
        if let Some(comment) = &response.reply.comment {
            self.element(el::COMMENT, comment.as_bytes(), b' ');
        }
        self.uid(el::AFFECTED_INSTANCE, &response.sop_instance);
        match (response.type_id, response.field) {
            (Some(id), Field::EventReport) => self.us(el::EVENT_TYPE, id),
            (Some(id), _) => self.us(el::ACTION_TYPE, id),
            (None, _) => {}
        }
        if let Some(counts) = response.counts {
            if let Some(remaining) = counts.remaining {
                self.us(el::REMAINING, remaining);
            }
            self.us(el::COMPLETED, counts.completed);
            self.us(el::FAILED, counts.failed);
            self.us(el::WARNING, counts.warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn round_trip(command: &Command) {
        let mut bytes = Vec::new();
        encode(command, &mut bytes);
        assert_eq!(bytes.len() % 2, 0);
        assert_eq!(bytes[8..12], ((bytes.len() - 12) as u32).to_le_bytes());
        assert_eq!(decode(&bytes).as_ref(), Ok(command));
    }

    fn uid() -> impl Strategy<Value = Uid> {
        "[0-9.]{1,64}".prop_map(Uid::new)
    }

    fn operation() -> impl Strategy<Value = Operation> {
        use Operation::*;
        let originator = || {
            proptest::option::of(("[A-Z]{1,16}", any::<u16>()))
                .prop_map(|one| one.map(|(aet, message_id)| MoveOriginator { aet, message_id }))
        };
        let tags = vec((0u32..u32::MAX).prop_map(Tag), 0..4);
        let priority = Priority::High;
        prop_oneof![
            uid().prop_map(|sop_class| Echo { sop_class }),
            (uid(), uid(), originator()).prop_map(move |(sop_class, sop_instance, originator)| {
                Store { sop_class, sop_instance, priority, originator }
            }),
            uid().prop_map(move |sop_class| Find { sop_class, priority }),
            uid().prop_map(|sop_class| Get { sop_class, priority: Priority::Low }),
            (uid(), "[A-Z0-9]{1,16}").prop_map(|(sop_class, destination)| Move {
                sop_class,
                priority: Priority::Medium,
                destination
            }),
            (uid(), uid(), any::<u16>()).prop_map(|(sop_class, sop_instance, event_type)| {
                EventReport { sop_class, sop_instance, event_type }
            }),
            (uid(), uid(), tags).prop_map(|(sop_class, sop_instance, attributes)| NGet {
                sop_class,
                sop_instance,
                attributes
            }),
            (uid(), uid()).prop_map(|(sop_class, sop_instance)| NSet { sop_class, sop_instance }),
            (uid(), uid(), any::<u16>()).prop_map(|(sop_class, sop_instance, action_type)| {
                NAction { sop_class, sop_instance, action_type }
            }),
            (uid(), proptest::option::of(uid()))
                .prop_map(|(sop_class, sop_instance)| NCreate { sop_class, sop_instance }),
            (uid(), uid())
                .prop_map(|(sop_class, sop_instance)| NDelete { sop_class, sop_instance }),
        ]
    }

    proptest! {
        #[test]
        fn requests_and_their_responses_go_there_and_back(
            operation in operation(), message_id: u16, has_data: bool, status: u16,
            comment in proptest::option::of("[A-Za-z]([a-z ]{0,62}[a-z])?"),
            counts in proptest::option::of((any::<u16>(), any::<u16>())),
        ) {
            let request = Request { message_id, has_data, operation };
            let mut response = request.response(Status(status));
            response.reply.comment = comment;
            response.reply.offending = vec![Tag::new(0x10, 0x20), Tag::new(0x40, 0xA010)];
            response.counts = counts.map(|(completed, failed)| SubOperations {
                remaining: Some(3), completed, failed, warning: 1,
            });
            round_trip(&Command::Request(request));
            round_trip(&Command::Response(response));
            round_trip(&Command::Cancel { message_id });
        }

        #[test]
        fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn damage_makes_no_panic(operation in operation(), at: usize, byte: u8) {
            let mut bytes = Vec::new();
            let request = Request { message_id: 1, has_data: true, operation };
            encode(&Command::Request(request), &mut bytes);
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode(&bytes);
            let _ = decode(&bytes[..at]);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let request = Request {
            message_id: 1,
            has_data: true,
            operation: Operation::Find { sop_class: Uid::default(), priority: Priority::Medium },
        };
        let mut bytes = Vec::new();
        encode(&Command::Request(request), &mut bytes);
        let problem = decode(&bytes).unwrap_err().to_string();
        assert_eq!(problem, "element (0000,0002) affected SOP class UID is missing");
        assert_eq!(decode(&vec![0; MAX_COMMAND + 1]), Err(CommandError::TooLong));
    }
}
