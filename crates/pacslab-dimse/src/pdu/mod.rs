//! Protocol data units of the DICOM upper layer. PS3.8 9.3.
//!
//! Bytes in, values or a typed error out; no sockets. [`decode`] and [`encode`] are in files of
//! their own.

mod decode;
mod encode;

use std::fmt;

use bytes::Bytes;
use pacslab_model::{Uid, uids};

pub use decode::{HEADER, Header, Limits, decode};
pub use encode::{data_header, encode};

/// One protocol data unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Pdu {
    AssociateRq(AssociateRq),
    AssociateAc(AssociateAc),
    AssociateRj(AssociateRj),
    Data(Vec<Pdv>),
    ReleaseRq,
    ReleaseRp,
    Abort(Abort),
}

/// What stands in the first byte of a PDU. PS3.8 9.3.1.
pub mod kind {
    pub const ASSOCIATE_RQ: u8 = 1;
    pub const ASSOCIATE_AC: u8 = 2;
    pub const ASSOCIATE_RJ: u8 = 3;
    pub const P_DATA: u8 = 4;
    pub const RELEASE_RQ: u8 = 5;
    pub const RELEASE_RP: u8 = 6;
    pub const ABORT: u8 = 7;

    pub fn name(kind: u8) -> &'static str {
        match kind {
            ASSOCIATE_RQ => "A-ASSOCIATE-RQ",
            ASSOCIATE_AC => "A-ASSOCIATE-AC",
            ASSOCIATE_RJ => "A-ASSOCIATE-RJ",
            P_DATA => "P-DATA-TF",
            RELEASE_RQ => "A-RELEASE-RQ",
            RELEASE_RP => "A-RELEASE-RP",
            ABORT => "A-ABORT",
            _ => "unknown PDU",
        }
    }
}

/// A-ASSOCIATE-RQ. PS3.8 9.3.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssociateRq {
    /// A set of bits; only bit 0 (version 1) is tested.
    pub protocol_version: u16,
    pub called: String,
    pub calling: String,
    pub application_context: Uid,
    pub contexts: Vec<ProposedContext>,
    pub user: UserInformation,
}

/// A-ASSOCIATE-AC. PS3.8 9.3.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssociateAc {
    pub protocol_version: u16,
    /// The titles of the request, echoed; not to be tested by the receiver.
    pub called: String,
    pub calling: String,
    pub application_context: Uid,
    pub contexts: Vec<ContextResult>,
    pub user: UserInformation,
}

/// A presentation context as the requestor proposes it. PS3.8 9.3.2.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProposedContext {
    /// Odd, 1 to 255.
    pub id: u8,
    pub abstract_syntax: Uid,
    pub transfer_syntaxes: Vec<Uid>,
}

/// The acceptor's answer to one presentation context. PS3.8 9.3.3.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ContextResult {
    pub id: u8,
    pub result: ContextOutcome,
    /// Empty where the context was refused.
    pub transfer_syntax: Uid,
}

/// PS3.8 table 9-18.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContextOutcome {
    Accepted,
    UserRejection,
    NoReason,
    AbstractSyntaxNotSupported,
    TransferSyntaxesNotSupported,
}

impl ContextOutcome {
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Codes that the standard does not know are refusals without a reason.
    pub const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Accepted,
            1 => Self::UserRejection,
            3 => Self::AbstractSyntaxNotSupported,
            4 => Self::TransferSyntaxesNotSupported,
            _ => Self::NoReason,
        }
    }
}

impl fmt::Display for ContextOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "accepted",
            Self::UserRejection => "user rejection",
            Self::NoReason => "refused without a reason",
            Self::AbstractSyntaxNotSupported => "abstract syntax not supported",
            Self::TransferSyntaxesNotSupported => "transfer syntaxes not supported",
        })
    }
}

/// The user information item. PS3.8 annex D, PS3.7 annex D.3.3.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserInformation {
    /// Longest P-DATA-TF the sender of this item can receive; 0: no limit.
    pub max_length: u32,
    pub implementation_class: Uid,
    pub implementation_version: String,
    /// Maximum numbers of operations invoked and performed; `None`: (1, 1).
    pub async_window: Option<(u16, u16)>,
    pub roles: Vec<RoleSelection>,
    pub extended: Vec<ExtendedNegotiation>,
    pub common_extended: Vec<CommonExtendedNegotiation>,
    pub identity: Option<UserIdentity>,
    /// The acceptor's answer to a user identity.
    pub identity_answer: Option<Vec<u8>>,
    /// Sub-items of other kinds, as they came.
    pub unknown: Vec<SubItem>,
}

impl Default for UserInformation {
    fn default() -> Self {
        Self {
            max_length: DEFAULT_MAX_PDU,
            implementation_class: Uid::from(uids::IMPLEMENTATION_CLASS),
            implementation_version: uids::IMPLEMENTATION_VERSION.to_owned(),
            async_window: None,
            roles: Vec::new(),
            extended: Vec::new(),
            common_extended: Vec::new(),
            identity: None,
            identity_answer: None,
            unknown: Vec::new(),
        }
    }
}

/// The length we announce unless told otherwise: large enough that a CT slice takes five PDUs.
pub const DEFAULT_MAX_PDU: u32 = 131_072;

/// SCP/SCU role selection. PS3.7 D.3.3.4.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleSelection {
    pub sop_class: Uid,
    pub scu: bool,
    pub scp: bool,
}

/// SOP class extended negotiation. PS3.7 D.3.3.5.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExtendedNegotiation {
    pub sop_class: Uid,
    pub information: Vec<u8>,
}

/// SOP class common extended negotiation. PS3.7 D.3.3.6.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommonExtendedNegotiation {
    pub version: u8,
    pub sop_class: Uid,
    pub service_class: Uid,
    pub related: Vec<Uid>,
}

/// User identity negotiation. PS3.7 D.3.3.7.
#[derive(Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// 1: user name, 2: user name and passcode, 3: Kerberos, 4: SAML, 5: JWT.
    pub kind: u8,
    pub response_requested: bool,
    pub primary: Vec<u8>,
    pub secondary: Vec<u8>,
}

/// Passcodes and tickets stay out of logs.
impl fmt::Debug for UserIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("UserIdentity");
        out.field("kind", &self.kind);
        if matches!(self.kind, 1 | 2) {
            out.field("user", &String::from_utf8_lossy(&self.primary));
        }
        out.finish_non_exhaustive()
    }
}

/// A sub-item that we do not interpret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubItem {
    pub kind: u8,
    pub data: Vec<u8>,
}

/// A presentation data value: a fragment of a command set or of a data set. PS3.8 9.3.5.1, E.2.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pdv {
    pub context: u8,
    pub command: bool,
    pub last: bool,
    pub data: Bytes,
}

/// A-ASSOCIATE-RJ. PS3.8 9.3.4.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssociateRj {
    pub result: u8,
    pub source: u8,
    pub reason: u8,
}

impl AssociateRj {
    pub const NO_REASON: Self = Self { result: 1, source: 1, reason: 1 };
    pub const APPLICATION_CONTEXT: Self = Self { result: 1, source: 1, reason: 2 };
    pub const CALLING_AE: Self = Self { result: 1, source: 1, reason: 3 };
    pub const CALLED_AE: Self = Self { result: 1, source: 1, reason: 7 };
    pub const PROTOCOL_VERSION: Self = Self { result: 1, source: 2, reason: 2 };
    pub const CONGESTION: Self = Self { result: 2, source: 3, reason: 1 };
    pub const LOCAL_LIMIT: Self = Self { result: 2, source: 3, reason: 2 };

    pub fn is_transient(self) -> bool {
        self.result == 2
    }

    /// What the person at this end can do about it.
    pub fn advice(self) -> &'static str {
        match (self.source, self.reason) {
            (1, 2) => "the peer does not speak the DICOM application context",
            (1, 3) => "register our AE title, with its address, at the peer",
            (1, 7) => "check the called AE title: the peer answers to another one",
            (2, 2) => "the peer wants another version of the upper layer protocol, or TLS",
            (3, 1 | 2) => "the peer is busy: try again later or with fewer associations",
            _ => "look into the log of the peer",
        }
    }
}

impl fmt::Display for AssociateRj {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let result = match self.result {
            1 => "permanently",
            2 => "for the moment",
            _ => "with an unknown result",
        };
        let (source, reason) = match (self.source, self.reason) {
            (1, 1) => ("by the service user", "no reason given"),
            (1, 2) => ("by the service user", "application context name not supported"),
            (1, 3) => ("by the service user", "calling AE title not recognized"),
            (1, 7) => ("by the service user", "called AE title not recognized"),
            (1, _) => ("by the service user", "reserved reason"),
            (2, 1) => ("by the service provider (ACSE)", "no reason given"),
            (2, 2) => ("by the service provider (ACSE)", "protocol version not supported"),
            (2, _) => ("by the service provider (ACSE)", "reserved reason"),
            (3, 1) => ("by the service provider (presentation)", "temporary congestion"),
            (3, 2) => ("by the service provider (presentation)", "local limit exceeded"),
            (3, _) => ("by the service provider (presentation)", "reserved reason"),
            _ => ("by an unknown source", "unknown reason"),
        };
        write!(f, "{result} {source}: {reason} ({}/{}/{})", self.result, self.source, self.reason)
    }
}

/// A-ABORT. PS3.8 9.3.8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort {
    pub source: u8,
    pub reason: u8,
}

impl Abort {
    pub const USER: Self = Self { source: 0, reason: 0 };
    pub const UNRECOGNIZED_PDU: Self = Self { source: 2, reason: 1 };
    pub const UNEXPECTED_PDU: Self = Self { source: 2, reason: 2 };
    pub const INVALID_PARAMETER: Self = Self { source: 2, reason: 6 };
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match (self.source, self.reason) {
            (0, _) => return f.write_str("by the service user"),
            (2, 0) => "reason not specified",
            (2, 1) => "unrecognized PDU",
            (2, 2) => "unexpected PDU",
            (2, 4) => "unrecognized PDU parameter",
            (2, 5) => "unexpected PDU parameter",
            (2, 6) => "invalid PDU parameter value",
            _ => {
                return write!(f, "by source {}, reason {}", self.source, self.reason);
            }
        };
        write!(f, "by the service provider: {reason}")
    }
}

/// Why bytes are no PDU, or values do not fit into one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PduError {
    #[error("0x{0:02x} is not a PDU type (those are 01 to 07)")]
    UnknownType(u8),
    #[error("{} of {length} bytes; the limit is {limit}", kind::name(*.kind))]
    TooLong { kind: u8, length: u32, limit: u32 },
    #[error("{} with a length of {length}", kind::name(*.kind))]
    WrongLength { kind: u8, length: u32 },
    #[error("{0} goes beyond the end of its PDU or item")]
    Truncated(&'static str),
    #[error("{what} {value}: {rule}")]
    Invalid { what: &'static str, value: u32, rule: &'static str },
    #[error("{what} of {length} bytes does not fit into its 16-bit length field")]
    DoesNotFit { what: &'static str, length: usize },
}

impl PduError {
    /// How a peer that sent such bytes is told.
    pub fn abort(&self) -> Abort {
        match self {
            Self::UnknownType(_) => Abort::UNRECOGNIZED_PDU,
            _ => Abort::INVALID_PARAMETER,
        }
    }
}

#[cfg(test)]
mod tests;
