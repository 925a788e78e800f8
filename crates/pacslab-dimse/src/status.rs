//! Status codes of DIMSE responses. PS3.7 annex C, and the service's section of PS3.4.

use std::fmt;

use pacslab_model::Tag;

/// The value of (0000,0900).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u16);

/// PS3.7 C: what kind of answer a status is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Category {
    Success,
    Pending,
    Warning,
    Cancel,
    Failure,
}

macro_rules! statuses {
    ($($name:ident = $code:literal, $text:literal, $section:literal;)*) => {
        impl Status {
            $(#[doc = concat!($text, ". ", $section)] pub const $name: Self = Self($code);)*

            /// The meaning and the section that defines it. Some codes mean different things in
            /// different services: those are told for all of them.
            pub const fn meaning(self) -> Option<(&'static str, &'static str)> {
                match self.0 {
                    $($code => Some(($text, $section)),)*
                    0xC000..=0xCFFF => Some(("error: cannot understand", "PS3.4 B.2.3, C.4")),
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    SUCCESS = 0x0000, "success", "PS3.7 C.1.1";
    NO_SUCH_ATTRIBUTE = 0x0105, "no such attribute", "PS3.7 C.5";
    INVALID_ATTRIBUTE_VALUE = 0x0106, "invalid attribute value", "PS3.7 C.5";
    ATTRIBUTE_LIST_ERROR = 0x0107, "attribute list error", "PS3.7 C.4.2";
    PROCESSING_FAILURE = 0x0110, "processing failure", "PS3.7 C.5.11";
    DUPLICATE_INSTANCE = 0x0111, "duplicate SOP instance", "PS3.7 C.5.5";
    NO_SUCH_INSTANCE = 0x0112, "no such SOP instance", "PS3.7 C.5.15";
    NO_SUCH_EVENT_TYPE = 0x0113, "no such event type", "PS3.7 C.5.16";
    NO_SUCH_ARGUMENT = 0x0114, "no such argument", "PS3.7 C.5.14";
    INVALID_ARGUMENT_VALUE = 0x0115, "invalid argument value", "PS3.7 C.5.8";
    ATTRIBUTE_VALUE_OUT_OF_RANGE = 0x0116, "attribute value out of range", "PS3.7 C.4.3";
    INVALID_INSTANCE = 0x0117, "invalid SOP instance", "PS3.7 C.5.9";
    NO_SUCH_SOP_CLASS = 0x0118, "no such SOP class", "PS3.7 C.5.13";
    CLASS_INSTANCE_CONFLICT = 0x0119, "class-instance conflict", "PS3.7 C.5.7";
    MISSING_ATTRIBUTE = 0x0120, "missing attribute", "PS3.7 C.5.10";
    MISSING_ATTRIBUTE_VALUE = 0x0121, "missing attribute value", "PS3.7 C.5.11";
    SOP_CLASS_NOT_SUPPORTED = 0x0122, "SOP class not supported", "PS3.7 C.5.6";
    NO_SUCH_ACTION_TYPE = 0x0123, "no such action type", "PS3.7 C.5.12";
    NOT_AUTHORIZED = 0x0124, "refused: not authorized", "PS3.7 C.5.17";
    DUPLICATE_TRANSACTION = 0x0131, "duplicate transaction UID", "PS3.3 C.14";
    DUPLICATE_INVOCATION = 0x0210, "duplicate invocation", "PS3.7 C.5.3";
    UNRECOGNIZED_OPERATION = 0x0211, "unrecognized operation", "PS3.7 C.5.18";
    MISTYPED_ARGUMENT = 0x0212, "mistyped argument", "PS3.7 C.5.12";
    RESOURCE_LIMITATION = 0x0213, "resource limitation", "PS3.7 C.5.16";
    OUT_OF_RESOURCES = 0xA700, "refused: out of resources", "PS3.4 B.2.3, C.4.1.1.4";
    CANNOT_COUNT_MATCHES = 0xA701, "refused: out of resources, unable to calculate the number of matches", "PS3.4 C.4.2.1.5";
    CANNOT_PERFORM_SUBOPERATIONS = 0xA702, "refused: out of resources, unable to perform sub-operations", "PS3.4 C.4.2.1.5";
    MOVE_DESTINATION_UNKNOWN = 0xA801, "refused: move destination unknown", "PS3.4 C.4.2.1.5";
    DATA_SET_MISMATCH = 0xA900, "error: data set does not match SOP class", "PS3.4 B.2.3, C.4.1.1.4";
    NONE_OF_THE_FRAMES = 0xAA00, "none of the frames requested were found", "PS3.4 Y.4.1.1.4";
    COERCION = 0xB000, "warning: coercion of data elements, or sub-operations with failures or warnings", "PS3.4 B.2.3, C.4.2.1.5";
    ELEMENTS_DISCARDED = 0xB006, "warning: elements discarded", "PS3.4 B.2.3";
    DATA_SET_WARNING = 0xB007, "warning: data set does not match SOP class", "PS3.4 B.2.3";
    CANNOT_UNDERSTAND = 0xC000, "error: cannot understand", "PS3.4 B.2.3, C.4";
    CANCEL = 0xFE00, "cancelled", "PS3.4 C.4.1.1.4";
    PENDING = 0xFF00, "pending", "PS3.4 C.4.1.1.4";
    PENDING_WARNING = 0xFF01, "pending: optional keys were not supported", "PS3.4 C.4.1.1.4";
}

impl Status {
    /// `0xB000` as the end of a C-MOVE or C-GET.
    pub const SUBOPERATIONS_WARNING: Self = Self::COERCION;

    pub const fn category(self) -> Category {
        match self.0 {
            0x0000 => Category::Success,
            0x0001 | 0x0107 | 0x0116 | 0xB000..=0xBFFF => Category::Warning,
            0xFE00 => Category::Cancel,
            0xFF00 | 0xFF01 => Category::Pending,
            _ => Category::Failure,
        }
    }

    pub fn is_success(self) -> bool {
        self.category() == Category::Success
    }

    pub fn is_pending(self) -> bool {
        self.category() == Category::Pending
    }

    /// Success, or a warning: the operation was performed.
    pub fn is_done(self) -> bool {
        matches!(self.category(), Category::Success | Category::Warning)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04X}", self.0)?;
        match self.meaning() {
            Some((text, _)) => write!(f, " ({text})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A status with what explains it: the answer to a request, in both directions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusReply {
    pub status: Status,
    /// Error Comment (0000,0902), LO.
    pub comment: Option<String>,
    /// Offending Element (0000,0901).
    pub offending: Vec<Tag>,
    /// Error ID (0000,0903): the service's own number for what went wrong.
    pub error_id: Option<u16>,
    /// Attribute Identifier List (0000,1005): which attributes a normalized operation failed on.
    pub attributes: Vec<Tag>,
}

impl StatusReply {
    pub const SUCCESS: Self = Self::of(Status::SUCCESS);

    pub const fn of(status: Status) -> Self {
        Self {
            status,
            comment: None,
            offending: Vec::new(),
            error_id: None,
            attributes: Vec::new(),
        }
    }

    /// With a comment, cut to the 64 characters of an LO; backslash would delimit values.
    pub fn new(status: Status, comment: impl AsRef<str>) -> Self {
        let clean = |c: char| match c {
            '\\' => '/',
            ' '..='~' => c,
            _ if c.is_control() => ' ',
            _ => '?',
        };
        let comment: String = comment.as_ref().chars().take(64).map(clean).collect();
        let comment = Some(comment.trim_end().to_owned()).filter(|text| !text.is_empty());
        Self { comment, ..Self::of(status) }
    }

    pub fn offending(mut self, tag: Tag) -> Self {
        self.offending.push(tag);
        self
    }

    pub fn error_id(mut self, id: u16) -> Self {
        self.error_id = Some(id);
        self
    }

    pub fn attribute(mut self, tag: Tag) -> Self {
        self.attributes.push(tag);
        self
    }
}

impl From<Status> for StatusReply {
    fn from(status: Status) -> Self {
        Self::of(status)
    }
}

impl fmt::Display for StatusReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(comment) = &self.comment {
            write!(f, ": {comment}")?;
        }
        self.offending.iter().try_for_each(|tag| write!(f, " {tag}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_fall_into_their_categories() {
        for (code, category) in [
            (0x0000, Category::Success),
            (0xFF00, Category::Pending),
            (0xFF01, Category::Pending),
            (0xFE00, Category::Cancel),
            (0xB006, Category::Warning),
            (0x0107, Category::Warning),
            (0xA801, Category::Failure),
            (0xC123, Category::Failure),
            (0x0122, Category::Failure),
        ] {
            assert_eq!(Status(code).category(), category, "{code:04x}");
        }
        assert_eq!(Status(0xC123).to_string(), "0xC123 (error: cannot understand)");
        assert_eq!(Status(0x1234).to_string(), "0x1234");
    }

    #[test]
    fn comments_fit_an_lo() {
        let reply = StatusReply::new(Status::OUT_OF_RESOURCES, "ä\\".repeat(60));
        assert_eq!(reply.comment.as_deref().map(str::len), Some(64));
        assert!(reply.comment.unwrap().starts_with("?/?/"));
        assert_eq!(StatusReply::new(Status::SUCCESS, " ").comment, None);
    }
}
