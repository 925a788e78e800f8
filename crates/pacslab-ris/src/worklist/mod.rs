//! The modality worklist: a folder of `.wl` files, indexed in memory. PS3.4 K.

mod answer;
pub mod file;
mod folder;
mod index;
mod item;
mod watch;

pub use answer::answer;
pub(crate) use folder::digest;
pub use folder::{Unreadable, Worklist, WorklistError, WorklistSettings};
pub use item::{Item, WorklistEntry, dataset};
pub use watch::Poll;
