//! The HTTP doors as a client sees them: requests into `app`, and over a socket where the
//! listener matters.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod bad_uploads;
mod change;
mod dicomweb;
mod listener;
mod modalities;
mod orthanc;
mod page;
mod support;
