//! The one way in: every new instance becomes part of the archive here (invariant 2).
//!
//! A door writes the bytes of one data set into a [`Writer`] as they arrive and finishes it.
//! Instances of all doors that wait at the same time share one pack append and one sync; a lone
//! sender never waits for company, because the committer takes what is there and goes.

mod committer;
mod note;
mod room;
mod turns;
mod writer;

use pacslab_dicom::{ParseError, dict};
use pacslab_model::{Tag, Uid};
use pacslab_store::StoreError;

pub(crate) use committer::{Committer, Job, Request};
pub(crate) use note::{Note, index_entry};
pub(crate) use room::Limits;
pub use writer::Writer;

use crate::header::{Header, HeaderError};

/// Through which door, and from whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The calling AE title of a C-STORE; empty for HTTP.
    pub calling_ae: String,
    /// `127.0.0.1:50112`
    pub remote: String,
}

/// The instance is stored, durably.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub header: Header,
    pub outcome: Received,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Received {
    New,
    /// There is an instance with this SOP instance UID already; that one was kept.
    Duplicate {
        /// It has the same content.
        identical: bool,
    },
}

/// The instance is not stored; nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("{0}")]
    NotDicom(ParseError),
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error(
        "the request says {} {said}, the data set says {found}; they must be the same", dict::name(*.tag)
    )]
    Mismatch { tag: Tag, said: Uid, found: Uid },
    #[error("{0}")]
    Store(String),
    /// Nothing was stored; the same request works again once there is space.
    #[error("{0}")]
    Full(String),
    #[error("the archive is shutting down; send again later")]
    Closed,
}

impl From<StoreError> for IngestError {
    fn from(error: StoreError) -> Self {
        if error.is_full() { Self::Full(error.to_string()) } else { Self::Store(error.to_string()) }
    }
}
