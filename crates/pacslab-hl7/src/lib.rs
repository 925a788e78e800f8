//! HL7 v2: bytes to tree and back, character sets, radiology messages, acknowledgements, MLLP.
//!
//! Everything here is bytes in, values out: no sockets, no clock. [`mllp::Decoder`] cuts a stream
//! into frames, [`Message::parse`] reads one, [`incoming::read`] says what it is about and [`ack`]

pub mod ack;
pub mod adt;
pub mod charset;
pub mod coding;
pub mod finding;
mod group;
pub mod incoming;
pub mod map;
pub mod message;
pub mod mllp;
pub mod names;
pub mod options;
pub mod order;
pub mod path;
mod patient;
mod reader;
pub mod response;
pub mod types;
pub mod write;

pub use charset::Charset;
pub use coding::{Coding, Delimiters};
pub use finding::{Code, Finding, Severity};
pub use incoming::{Incoming, Refusal, What, read};
pub use message::{Line, Message, ParseError, Segment, Value};
pub use options::{Options, Responses, StationRule};
pub use path::Path;
