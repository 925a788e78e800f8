//! Contract suites: what every implementation of a seam must do, as functions that panic.
#![allow(clippy::panic, clippy::expect_used, clippy::unwrap_used, reason = "these are tests")]

mod blobs;
mod compact;
mod crash;
mod desk;
mod index;
mod labels;
mod log;
mod papers;
pub mod sim;

pub use blobs::blobs;
pub use compact::{compaction, compaction_frees_room};
pub use crash::{OpenOn, failing_sync, full_disk, power_failures};
pub use desk::desk;
pub use index::{held_attributes, index, instance};
pub use log::log;

/// A failure of a contract names the step that failed.
trait Must<T> {
    fn must(self, step: &str) -> T;
}

impl<T, E: std::fmt::Display> Must<T> for Result<T, E> {
    #[track_caller]
    fn must(self, step: &str) -> T {
        self.unwrap_or_else(|error| panic!("{step}: {error}"))
    }
}

impl<T> Must<T> for Option<T> {
    #[track_caller]
    fn must(self, step: &str) -> T {
        self.unwrap_or_else(|| panic!("{step}: nothing"))
    }
}
