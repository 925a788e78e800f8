//! What the archive tells.

/// An instance came again.
pub const DUPLICATE: &str = "archive.duplicate";
/// A batch could not be stored.
pub const STORE_FAILED: &str = "archive.store_failed";
/// Instances are stored that the index could not take in.
pub const INDEX_BEHIND: &str = "archive.index_behind";
/// A damaged index was set aside, and made again from the packs.
pub const INDEX_REMADE: &str = "archive.index_remade";
/// The index was brought up to date from the packs.
pub const REPLAYED: &str = "archive.replayed";
/// Instances were deleted.
pub const DELETED: &str = "archive.deleted";
/// A study or its patient says something else.
pub const RELABELLED: &str = "archive.relabelled";
/// The studies of a patient became another's.
pub const MERGED: &str = "archive.merged";
/// A label was put on or taken off.
pub const LABELLED: &str = "archive.labelled";
/// A patient was protected, or is so no longer.
pub const PROTECTED: &str = "archive.protected";
/// Room that deleted objects took was given back.
pub const COMPACTED: &str = "archive.compacted";
/// A retrieval to a third party ended.
pub const SENT: &str = "archive.sent";
/// An object that was asked for is damaged.
pub const DAMAGED: &str = "archive.damaged";
/// Storage commitment was asked for and the request is kept.
pub const COMMITMENT_ASKED: &str = "commitment.asked";
/// The requestor has the report.
pub const COMMITMENT_REPORTED: &str = "commitment.reported";
/// The report could not be delivered, and will be tried again.
pub const COMMITMENT_DELAYED: &str = "commitment.delayed";
/// The report is not tried any more.
pub const COMMITMENT_GIVEN_UP: &str = "commitment.given_up";
/// A peer was told what is available of a study.
pub const AVAILABILITY_SENT: &str = "availability.sent";
/// It could not be told.
pub const AVAILABILITY_FAILED: &str = "availability.failed";
/// A peer told us what it has of a study.
pub const AVAILABILITY_TOLD: &str = "availability.told";
