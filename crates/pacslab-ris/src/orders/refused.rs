//! Why a change of an order is refused, for the person who sent it.

use pacslab_hl7::{Code, Finding};
use pacslab_model::order::{Order, ScheduledStep};
use pacslab_store::StoreError;

use crate::machine::Unexpected;
use crate::worklist::file::FileError;

/// Segment, field and component of an order message that a refusal is about.
pub type Place = (&'static str, usize, usize);

#[derive(Debug, thiserror::Error)]
pub enum RefusedOrder {
    #[error(
        "accession number {accession} belongs to another order ({differs}); send a change (XO), a \
         new number, or another requested procedure id for a further procedure of it"
    )]
    Duplicate { accession: String, differs: String },

    #[error("there is no order {number}; send it as a new one (NW) first")]
    Unknown { number: String },

    #[error(
        "order {accession} has no requested procedure '{procedure}', but {have}; a further one is a \
         new order (NW) with its accession number"
    )]
    NoSuchProcedure { accession: String, procedure: String, have: String },

    #[error("order {accession} has the requested procedures {have}; say which is meant")]
    WhichProcedure { accession: String, have: String },

    #[error("order {accession} has no step '{step}'")]
    NoSuchStep { accession: String, step: String },

    #[error("order {accession}, step {step}: {unexpected}")]
    Step { accession: String, step: String, unexpected: Unexpected },

    #[error("appointment {number} {problem}")]
    Appointment { number: String, problem: String },

    #[error("{what} is missing")]
    Missing { what: &'static str, place: Place },

    #[error("{what} '{value}' {problem}")]
    Value { what: &'static str, value: String, problem: String, place: Place },

    #[error(transparent)]
    File(#[from] FileError),

    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RefusedOrder {
    pub(super) fn unknown(order: &Order) -> Self {
        let numbers = [&order.accession, &order.placer.id, &order.filler.id];
        let number = numbers.into_iter().find(|number| !number.is_empty());
        Self::Unknown { number: number.cloned().unwrap_or_default() }
    }

    pub(super) fn step(order: &Order, step: &ScheduledStep, unexpected: Unexpected) -> Self {
        Self::Step { accession: order.shown().into_owned(), step: step.id.clone(), unexpected }
    }

    /// The lab failed, not the sender: the same may succeed later.
    pub fn is_internal(&self) -> bool {
        matches!(self, Self::File(_) | Self::Store(_))
    }

    /// HL7 table 0357.
    pub fn code(&self) -> Code {
        match self {
            Self::Duplicate { .. } => Code::DuplicateKey,
            Self::Unknown { .. }
            | Self::NoSuchProcedure { .. }
            | Self::NoSuchStep { .. }
            | Self::Appointment { .. } => Code::UnknownKey,
            Self::Step { .. } => Code::TableValueNotFound,
            Self::Missing { .. } | Self::WhichProcedure { .. } => Code::RequiredFieldMissing,
            Self::Value { .. } => Code::DataType,
            Self::File(_) | Self::Store(_) => Code::ApplicationInternal,
        }
    }

    /// The field that it is about, in an order message without IPC.
    pub fn place(&self) -> Place {
        match self {
            Self::Duplicate { .. } | Self::Unknown { .. } => ("OBR", 18, 1),
            Self::NoSuchProcedure { .. } | Self::WhichProcedure { .. } => ("OBR", 19, 1),
            Self::NoSuchStep { .. } => ("OBR", 20, 1),
            Self::Step { .. } => ("ORC", 1, 1),
            Self::Appointment { .. } => ("SCH", 2, 1),
            Self::Missing { place, .. } | Self::Value { place, .. } => *place,
            Self::File(_) | Self::Store(_) => ("MSH", 0, 0),
        }
    }

    /// As an acknowledgement tells it. `imaging`: the message tells its identifiers in IPC.
    pub fn finding(&self, imaging: bool) -> Finding {
        let (segment, field, component) = match self.place() {
            ("OBR", 18, component) if imaging => ("IPC", 1, component),
            ("OBR", 19, component) if imaging => ("IPC", 2, component),
            ("OBR", 20, component) if imaging => ("IPC", 4, component),
            ("OBR", 24, component) if imaging => ("IPC", 5, component),
            ("ZDS", 1, component) if imaging => ("IPC", 3, component),
            place => place,
        };
        Finding::error(segment, 1, self.code(), self.to_string()).at(field, component)
    }
}
