//! Data sets on their way out that are never in memory whole.

use std::io;

use bytes::Bytes;

use crate::association::Data;
use crate::server::BoxFuture;

/// A data set that comes in pieces.
pub trait Source: Send {
    /// The next piece. After the last one nothing is asked for; an error is the end of the
    /// association, as half a data set cannot be taken back.
    fn next(&mut self) -> BoxFuture<'_, io::Result<Piece>>;
}

/// A part of a data set.
#[derive(Clone, Debug)]
pub struct Piece {
    pub bytes: Bytes,
    pub last: bool,
}

/// A data set: in memory, or in pieces.
pub enum Payload {
    Whole(Bytes),
    Pieces(Box<dyn Source>),
}

impl Payload {
    /// For a request; what comes in pieces can be sent once.
    pub fn data(&mut self) -> Data<'_> {
        match self {
            Self::Whole(bytes) => Data::Bytes(bytes),
            Self::Pieces(source) => Data::Source(&mut **source),
        }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(bytes)
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(bytes) => write!(f, "Whole({})", bytes.len()),
            Self::Pieces(_) => f.write_str("Pieces"),
        }
    }
}
