//! What the archive tells.

/// An instance came again.
pub const DUPLICATE: &str = "archive.duplicate";
/// A batch could not be stored.
pub const STORE_FAILED: &str = "archive.store_failed";
/// The index was brought up to date from the packs.
pub const REPLAYED: &str = "archive.replayed";
/// A retrieval to a third party ended.
pub const SENT: &str = "archive.sent";
