//! Both sides of the network over real sockets.

mod basics;
mod lab;
