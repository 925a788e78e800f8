//! DIMSE services: one file each, holding the SCU function and the SCP loop.
//!
//! An SCP function is called with the request that was read, performs it through the trait its
//! door implements, answers it and tells what happened. It owns everything that the protocol
//! asks for: pending responses, C-CANCEL, counters, final status.

pub mod store;
pub mod verification;
