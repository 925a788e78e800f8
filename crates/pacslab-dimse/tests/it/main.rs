//! Both sides of the network over real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bad_input;
mod basics;
mod get;
mod lab;
mod queries;
mod secure;
mod slow;
mod window;
