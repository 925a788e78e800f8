//! Persistence: four narrow seams, each a trait with one contract suite.
//!
//! | seam | holds | default |
//! |---|---|---|
//! | [`Blobs`] | the objects, and the log of everything that changed | packs |
//! | [`Index`] | what is searched; rebuildable from the blobs | `index.db` |
//! | [`Desk`] | orders, steps, cursors: the truth of the department | `lab.db` |
//! | [`EventLog`] | what happened, for people to read; bounded | `events.db` |
//!
//! All calls block; callers on an async runtime make them on its blocking threads. SQL occurs in
//! no other crate, and no time is read here: moments are parameters.

pub mod backup;
mod behind;
pub mod blobs;
pub mod data_dir;
pub mod desk;
pub mod disk;
mod error;
pub mod index;
pub mod log;
mod sqlite;
pub mod suite;

pub use behind::IndexBehind;
pub use blobs::{
    Appended, Blobs, FilesBlobs, FilesOptions, Keep, Kind, Location, MAX_NOTE, MemoryBlobs,
    PackBlobs, PackInfo, PackOptions, Position, Reading, Record, ReplayRecord, Role, Sealed,
    Segment, Usage,
};
pub use data_dir::{DataDir, Layout};
pub use desk::{
    Desk, DeskEntry, Expect, OrderFilter, OrderRecord, Papers, Put, SqliteDesk, StepChange,
    together,
};
pub use error::StoreError;
pub use index::{
    Arrival, Counts, Index, Ingested, Known, NewInstance, Row, Scope, Source, SqliteIndex, Stored,
};
pub use log::{EventFilter, EventLog, Heard, Kept, Listener, LogLimits, LogStats, Subscription};
