//! The one integration-test binary: the built program over real sockets, and beside programs
//! of other projects. One file a theme; what they share is in `support`.
//!
//! Please add a module here, not a second binary: each would link the whole department again.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a panic is how a test says no; clippy sees tests only where #[test] stands"
)]

mod support;

mod adt;
mod availability;
mod bad_input;
mod bad_text;
mod bench;
mod changes;
mod cli;
mod codec;
mod commitment;
mod crash_day;
mod demo;
mod doctor;
mod echo;
mod examples;
mod fhir;
mod find;
mod get;
mod hl7;
mod hl7_in;
mod hl7_out;
mod http;
mod import;
mod layouts;
mod mllp;
mod modality;
mod move_;
mod mpps;
mod oru;
mod outgoing;
mod peers_alone;
mod pressure;
mod procedures;
mod remake;
mod reports;
mod ris;
mod siu;
mod store;
mod tls;
mod transcode;
mod troubleshooting;
mod users;
mod worklist;
