//! DIMSE command sets: typed messages and their encoding. PS3.7 6.3, 9.3, 10.3, annex E.
//!
//! A command set is implicit VR little endian, of group 0000 only, and short; this codec is all
//! that it needs.

mod decode;
mod encode;

use pacslab_model::{Tag, Uid};

pub use decode::decode;
pub use encode::encode;

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
    pub(super) const ERROR_ID: u16 = 0x0903;
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

#[cfg(test)]
mod tests;
