//! Both sides of the network over real sockets.

mod bad_input;
mod basics;
mod lab;
mod queries;
