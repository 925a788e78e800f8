//! The seam for what stands between TCP and an association: TLS. PS3.15 B.
//!
//! This crate speaks no TLS: whoever listens or calls hands over the TCP connection and gets a
//! stream back.

use std::net::SocketAddr;

use tokio::net::TcpStream;

use crate::server::BoxFuture;
use crate::wire::Stream;

/// The acceptor's side.
pub trait SecureAcceptor: Send + Sync {
    /// `None`: it came to nothing, and whoever tried has told why. It ends by itself: a silent
    /// connection is its business as long as it has it, though it counts as a pending one.
    fn accept(&self, tcp: TcpStream, peer: SocketAddr) -> BoxFuture<'_, Option<Box<dyn Stream>>>;
}

/// The requestor's side.
pub trait SecureConnector: Send + Sync {
    /// The error is a sentence for people: who did not believe whom, and what to change.
    fn connect<'a>(
        &'a self,
        tcp: TcpStream,
        host: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, String>>;
}
