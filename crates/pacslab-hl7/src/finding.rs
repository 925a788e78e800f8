//! What is wrong with a message and where, as ERR tells it. HL7 v2.5.1 chapter 2.15.5,
//! tables 0357 and 0516; v2.3.1 chapter 2.24.4.

use std::fmt;

/// One thing found in a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// `PID`, `OBR`, ….
    pub segment: String,
    /// Which of the segments of that name, counted from 1.
    pub seq: usize,
    /// 0 when the segment as a whole is meant.
    pub field: usize,
    /// 0 when the field as a whole is meant.
    pub component: usize,
    pub code: Code,
    pub severity: Severity,
    /// For the person who sent it: what is wrong and what to do.
    pub text: String,
}

/// Table 0357.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// Nothing is wrong: something is only told.
    Accepted = 0,
    SegmentSequence = 100,
    RequiredFieldMissing = 101,
    DataType = 102,
    TableValueNotFound = 103,
    UnsupportedMessageType = 200,
    UnsupportedEvent = 201,
    UnsupportedProcessingId = 202,
    UnsupportedVersion = 203,
    UnknownKey = 204,
    DuplicateKey = 205,
    RecordLocked = 206,
    ApplicationInternal = 207,
}

/// Table 0516.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    Error,
    Warning,
    Information,
}

impl Code {
    pub const ALL: [Self; 13] = [
        Self::Accepted,
        Self::SegmentSequence,
        Self::RequiredFieldMissing,
        Self::DataType,
        Self::TableValueNotFound,
        Self::UnsupportedMessageType,
        Self::UnsupportedEvent,
        Self::UnsupportedProcessingId,
        Self::UnsupportedVersion,
        Self::UnknownKey,
        Self::DuplicateKey,
        Self::RecordLocked,
        Self::ApplicationInternal,
    ];

    pub const fn number(self) -> u16 {
        self as u16
    }

    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Accepted => "Message accepted",
            Self::SegmentSequence => "Segment sequence error",
            Self::RequiredFieldMissing => "Required field missing",
            Self::DataType => "Data type error",
            Self::TableValueNotFound => "Table value not found",
            Self::UnsupportedMessageType => "Unsupported message type",
            Self::UnsupportedEvent => "Unsupported event code",
            Self::UnsupportedProcessingId => "Unsupported processing id",
            Self::UnsupportedVersion => "Unsupported version id",
            Self::UnknownKey => "Unknown key identifier",
            Self::DuplicateKey => "Duplicate key identifier",
            Self::RecordLocked => "Application record locked",
            Self::ApplicationInternal => "Application internal error",
        }
    }

    /// Whether the whole message is refused (AR, CR) rather than its content faulted (AE, CE).
    pub const fn rejects(self) -> bool {
        matches!(
            self,
            Self::UnsupportedMessageType
                | Self::UnsupportedEvent
                | Self::UnsupportedProcessingId
                | Self::UnsupportedVersion
                | Self::ApplicationInternal
        )
    }
}

impl Severity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "E",
            Self::Warning => "W",
            Self::Information => "I",
        }
    }
}

impl Finding {
    pub fn error(segment: &str, seq: usize, code: Code, text: impl Into<String>) -> Self {
        Self {
            segment: segment.to_owned(),
            seq,
            field: 0,
            component: 0,
            code,
            severity: Severity::Error,
            text: text.into(),
        }
    }

    /// `OBR-18.1: no accession number; 'F1' of OBR-3.1 is taken`, for people who know the code.
    pub fn remark(&self) -> String {
        format!("{}: {}", self.place(), self.text)
    }

    /// Names the field and component (0 for the whole field).
    #[must_use]
    pub fn at(mut self, field: usize, component: usize) -> Self {
        (self.field, self.component) = (field, component);
        self
    }

    /// `OBR-18`, `OBR[2]-27.4`
    pub fn place(&self) -> String {
        let mut place = self.segment.clone();
        if self.seq > 1 {
            place += &format!("[{}]", self.seq);
        }
        if self.field > 0 {
            place += &format!("-{}", self.field);
        }
        if self.component > 0 {
            place += &format!(".{}", self.component);
        }
        place
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} ({} {})",
            self.place(),
            self.text,
            self.code.number(),
            self.code.meaning()
        )
    }
}
