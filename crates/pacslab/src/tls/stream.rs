//! What an association or an HTTP connection runs over when TLS is below it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pacslab_dimse::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

use super::words::Side;

/// TCP that remembers its first bytes: where there is no TLS they tell what there is instead.
#[derive(Debug)]
pub(crate) struct Noted {
    tcp: TcpStream,
    first: Vec<u8>,
}

const FIRST: usize = 16;

impl Noted {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Self { tcp, first: Vec::with_capacity(FIRST) }
    }

    pub(super) fn first(&self) -> &[u8] {
        &self.first
    }
}

impl AsyncRead for Noted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        if self.first.len() < FIRST {
            let new = buffer.filled().get(before..).unwrap_or_default();
            let room = FIRST - self.first.len();
            self.first.extend(new.iter().take(room));
        }
        read
    }
}

impl AsyncWrite for Noted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A connection after its handshake. In TLS 1.3 the other side may still refuse our certificate
/// then: what it says arrives with the first read, and is put in words.
#[derive(Debug)]
pub(crate) struct Secured {
    stream: TlsStream<Noted>,
    side: Arc<Side>,
    /// Whether TCP may end without a word of TLS.
    ends_itself: bool,
}

impl Secured {
    pub(super) fn new(stream: impl Into<TlsStream<Noted>>, side: Arc<Side>) -> Self {
        Self { stream: stream.into(), side, ends_itself: false }
    }

    /// DICOM says itself where it ends: a peer that closes TCP without a close_notify, as many do,
    /// has closed the connection and not broken it. In HTTP that could cut a body short.
    pub(super) fn for_dicom(self) -> Self {
        Self { ends_itself: true, ..self }
    }

    fn told<T>(&self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| match super::words::tls_error(&error) {
            Some(tls) => io::Error::new(error.kind(), self.side.explain(tls, &[])),
            None => error,
        })
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Ready(Err(error))
                if self.ends_itself && error.kind() == io::ErrorKind::UnexpectedEof =>
            {
                Poll::Ready(Ok(()))
            }
            read => read.map(|result| self.told(result)),
        }
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        written.map(|result| self.told(result))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        written.map(|result| self.told(result))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Stream for Secured {
    fn before_read(&self) {
        self.stream.get_ref().0.tcp.before_read();
    }
}
