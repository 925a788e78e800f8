//! The words every crate shares: identifiers, orders, the study hierarchy, queries and their
//! matching, time, seeds and events. No IO, no async, no DICOM encoding: small and still.

pub mod ae;
pub mod event;
pub mod matching;
pub mod metrics;
pub mod name;
pub mod open;
pub mod order;
pub mod query;
pub mod seed;
pub mod study;
pub mod tag;
pub mod time;
pub mod uid;

pub use ae::AeTitle;
pub use event::{Direction, Emit, Event, Identifiers, Outcome};
pub use metrics::METRICS;
pub use name::PersonName;
pub use query::{Cursor, Key, Query, Test};
pub use seed::Seed;
pub use study::Level;
pub use tag::{Tag, Vr, tags};
pub use time::{Clock, Moment};
pub use uid::{Uid, uids};
