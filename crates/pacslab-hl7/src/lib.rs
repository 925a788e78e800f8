//! HL7 v2: bytes to tree and back, character sets, radiology messages, acknowledgements, MLLP.
//!
//! Everything here is bytes in, values out: no sockets, no clock. [`mllp::Decoder`] cuts a stream
//! into frames, [`Message::parse`] reads one, [`order::orders`] says what it asks for and
//! [`ack`] writes the answer. [`order::build_orm`] and [`adt::build_adt`] make messages, one file a
//! family; [`names`] says what fields are called.

pub mod ack;
pub mod adt;
pub mod charset;
pub mod coding;
pub mod finding;
pub mod message;
pub mod mllp;
pub mod names;
pub mod order;
pub mod path;
pub mod types;

pub use charset::Charset;
pub use coding::{Coding, Delimiters};
pub use finding::{Code, Finding, Severity};
pub use message::{Line, Message, ParseError, Segment, Value};
pub use path::Path;
