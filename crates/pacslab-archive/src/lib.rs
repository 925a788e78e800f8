//! The PACS proper, without listeners: ingest, query, retrieve.
//!
//! New instances enter by [`ingest`] only; every question is a `model::Query`; what leaves is
//! read whole by [`Archive::object`] or as [`Pieces`], or read ahead by [`outgoing`] and sent by
//! [`send`].

mod archive;
mod availability;
mod buffers;
mod caller;
mod change;
mod check;
pub mod commitment;
mod compact;
mod decoded;
pub mod events;
pub mod header;
pub mod ingest;
mod labels;
mod memory;
pub mod outgoing;
pub mod peers;
mod pieces;
mod quota;
mod replay;
mod retries;
pub mod send;

pub use archive::{Archive, ArchiveError, Object, Parts, Room, syntax_of};
pub use availability::{Availability, AvailabilitySettings};
pub use caller::{CallError, Caller, Retrieved};
pub use change::{Change, Changed};
pub use check::{Checked, Finding, check};
pub use commitment::{CommitmentSettings, Commitments, NotKept, ReportWay};
pub use compact::Compacted;
pub use decoded::Decoded;
pub use header::Header;
pub use ingest::{IngestError, Origin, Receipt, Received, Writer};
pub use outgoing::Outgoing;
pub use peers::{Allow, BadPeer, Peer, Peers};
pub use pieces::Pieces;
pub use quota::Quota;
pub use retries::Retries;
pub use send::{Delivered, Delivery, Tally};

/// What questions are answered with; doors need no edge to the store for it.
pub use pacslab_store::{Counts, Row, Scope, Stored};
