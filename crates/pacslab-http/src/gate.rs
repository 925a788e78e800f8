//! The seam for what stands between TCP and HTTP: TLS. RFC 9110 4.2.2.
//!
//! This crate speaks no TLS: it hands a TCP connection over and gets a connection back.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A boxed future: the seam is not generic.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What requests come over.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// What a TCP connection has to pass before it is served.
pub trait Gate: Send + Sync {
    /// `None`: it came to nothing, and the gate has told why. It ends by itself, however silent
    /// the other side is.
    fn open(&self, tcp: TcpStream, from: SocketAddr) -> BoxFuture<'_, Option<Box<dyn Connection>>>;
}

/// Lets everybody in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Open;

impl Gate for Open {
    fn open(&self, tcp: TcpStream, _: SocketAddr) -> BoxFuture<'_, Option<Box<dyn Connection>>> {
        Box::pin(async move { Some(Box::new(tcp) as Box<dyn Connection>) })
    }
}
