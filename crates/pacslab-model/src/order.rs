//! An imaging order: what the RIS schedules and the worklist offers.
//! IHE RAD TF-1 3 (Scheduled Workflow), PS3.4 K.6.1.2.2, PS3.3 C.4.10 to C.4.12.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::ae::AeTitle;
use crate::name::PersonName;
use crate::uid::Uid;

/// One requested procedure of a patient with its scheduled steps. Several of one accession number
/// are one imaging service request; most have one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Order {
    /// (0008,0050), SH: at most 16 characters.
    pub accession: String,
    /// (0008,0051), who assigned the accession number; its `id` stays empty.
    pub accession_issuer: Identifier,
    /// (0040,2016) and its authority.
    pub placer: Identifier,
    /// (0040,2017) and its authority.
    pub filler: Identifier,
    pub patient: Patient,
    pub visit: Visit,
    pub procedure: RequestedProcedure,
    pub steps: Vec<ScheduledStep>,
    /// Its accession number had a requested procedure before it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub further: bool,
}

impl Order {
    /// What tells it from other orders of its accession number: the authority of the filler number
    /// and, for a further requested procedure, the id of that.
    pub fn key(&self) -> Cow<'_, str> {
        match self.further {
            false => Cow::Borrowed(&self.filler.issuer),
            true => Cow::Owned(format!("{}\u{1f}{}", self.filler.issuer, self.procedure.id)),
        }
    }

    /// They are requested procedures of one imaging service request.
    pub fn same_request(&self, other: &Self) -> bool {
        self.accession == other.accession && self.filler.issuer == other.filler.issuer
    }

    /// They are the same order, as it was or as it is.
    pub fn same_key(&self, other: &Self) -> bool {
        self.accession == other.accession && self.key() == other.key()
    }

    /// `A2500001`, or `A2500001, procedure RP2` where that alone would not do.
    pub fn shown(&self) -> Cow<'_, str> {
        match self.further {
            false => Cow::Borrowed(&self.accession),
            true => Cow::Owned(format!("{}, procedure {}", self.accession, self.procedure.id)),
        }
    }
}

/// An identifier with the authority that assigned it (HL7 EI/CX).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Identifier {
    pub id: String,
    /// Namespace of the authority, e.g. `PACSLAB`; empty when not told.
    pub issuer: String,
    /// Universal id of the authority and its type (`ISO`), empty when not told.
    pub universal_id: String,
    pub universal_type: String,
}

impl Identifier {
    pub fn new(id: impl Into<String>, issuer: impl Into<String>) -> Self {
        Self { id: id.into(), issuer: issuer.into(), ..Self::default() }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Patient {
    /// (0010,0020) and (0010,0021)
    pub id: Identifier,
    /// Further identifiers, (0010,1002).
    pub other_ids: Vec<Identifier>,
    pub name: PersonName,
    /// DA, or empty.
    pub birth_date: String,
    /// `M`, `F`, `O` or empty.
    pub sex: String,
    /// Kilograms and metres as decimal strings, or empty.
    pub weight: String,
    pub size: String,
    pub address: String,
    /// (0010,1060)
    pub mother_birth_name: PersonName,
    /// (0038,0500), the danger code of OBR-12.
    pub state: String,
    /// (0010,2110); several values are separated by `\`.
    pub allergies: String,
    pub medical_alerts: String,
    /// 1 not pregnant, 2 possibly, 3 definitely, 4 unknown; `None` when not told.
    pub pregnancy: Option<u16>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Visit {
    /// (0038,0010) and its authority.
    pub admission: Identifier,
    /// Patient class of PV1-2: `I`, `O`, `E`, ….
    pub class: String,
    pub location: String,
    /// (0008,0090), PV1-8.
    pub referring_physician: PersonName,
}

/// A coded concept: value, scheme, meaning.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Code {
    pub value: String,
    pub scheme: String,
    pub meaning: String,
}

impl Code {
    pub fn new(
        value: impl Into<String>,
        scheme: impl Into<String>,
        meaning: impl Into<String>,
    ) -> Self {
        Self { value: value.into(), scheme: scheme.into(), meaning: meaning.into() }
    }

    pub fn is_empty(&self) -> bool {
        self.value.is_empty() && self.meaning.is_empty()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestedProcedure {
    /// (0040,1001), SH: at most 16 characters.
    pub id: String,
    /// (0032,1060)
    pub description: String,
    /// (0032,1064)
    pub code: Code,
    /// (0020,000D); made by the RIS when the order does not bring one.
    pub study_uid: Uid,
    pub priority: Priority,
    /// (0040,1002) and, where it came coded, (0040,100A).
    pub reason: String,
    pub reason_code: Code,
    pub requesting_physician: PersonName,
    /// (0040,1004)
    pub transport: String,
    /// (0040,1400)
    pub comments: String,
    /// (0040,1008)
    pub confidentiality: String,
    /// (0008,0080) and (0008,1040) of whoever ordered, ORC-17 and ORC-13.
    pub institution: String,
    pub department: String,
}

/// (0040,1003) RequestedProcedurePriority. HL7 table 0485 / ORC-7.6 in brackets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Priority {
    /// `S`
    Stat,
    /// `A`, `P` and `C`
    High,
    /// `R`
    #[default]
    Routine,
    /// `T`
    Medium,
    Low,
}

impl Priority {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stat => "STAT",
            Self::High => "HIGH",
            Self::Routine => "ROUTINE",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        }
    }
}

/// One scheduled procedure step: one worklist item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScheduledStep {
    /// (0040,0009), SH: at most 16 characters.
    pub id: String,
    pub description: String,
    pub protocol: Code,
    pub modality: String,
    /// (0040,0001)
    pub station: AeTitle,
    pub station_name: String,
    pub location: String,
    /// DA and TM.
    pub start_date: String,
    pub start_time: String,
    pub performing_physician: PersonName,
    pub status: StepStatus,
}

/// (0040,0020) ScheduledProcedureStepStatus; the last four are the lab's own words for steps
/// that have left the worklist. PS3.3 C.4.10 names the first five.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StepStatus {
    #[default]
    Scheduled,
    Arrived,
    Ready,
    Started,
    Departed,
    Completed,
    Discontinued,
    Cancelled,
    /// The patient did not come.
    NoShow,
}

impl StepStatus {
    pub const ALL: [Self; 9] = [
        Self::Scheduled,
        Self::Arrived,
        Self::Ready,
        Self::Started,
        Self::Departed,
        Self::Completed,
        Self::Discontinued,
        Self::Cancelled,
        Self::NoShow,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Arrived => "ARRIVED",
            Self::Ready => "READY",
            Self::Started => "STARTED",
            Self::Departed => "DEPARTED",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
            Self::Cancelled => "CANCELLED",
            Self::NoShow => "NOSHOW",
        }
    }

    /// The worklist answers steps that still wait for a scanner.
    pub const fn on_worklist(self) -> bool {
        matches!(self, Self::Scheduled | Self::Arrived | Self::Ready)
    }
}

/// What an order message asks for. HL7 table 0119 (ORC-1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderControl {
    /// `NW`
    New,
    /// `XO`
    Change,
    /// `CA`
    Cancel,
    /// `DC`
    Discontinue,
    /// `SC`
    StatusChange,
}

/// One change of one order, whichever door it came through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderChange {
    pub control: OrderControl,
    pub order: Order,
    /// What was missing or unusual and how it was filled, for the answer and the log.
    pub remarks: Vec<String>,
}
