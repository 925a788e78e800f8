//! Writing `multipart/related`. RFC 2387, PS3.18 8.6.1.2.1.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pacslab_store::Stored;

use crate::stream::{Gone, Pipe};

/// Ends and begins parts. It is made from what is sent, so that it stays the same for the same
/// answer, and is long enough not to occur in it.
#[derive(Clone, Debug)]
pub(super) struct Boundary(String);

impl Boundary {
    pub(super) fn of(first: &Stored) -> Self {
        let digest: String = first.digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("pacslab-{digest}"))
    }

    pub(super) fn response(&self, inner: &str, body: Body) -> Response {
        let kind = format!("multipart/related; type=\"{inner}\"; boundary={}", self.0);
        ([(header::CONTENT_TYPE, kind)], body).into_response()
    }

    pub(super) async fn part(&self, pipe: &Pipe, kind: &str, bytes: Bytes) -> Result<(), Gone> {
        self.begin(pipe, kind).await?;
        pipe.send(bytes).await?;
        self.close(pipe).await
    }

    /// What goes before a part.
    pub(super) async fn begin(&self, pipe: &Pipe, kind: &str) -> Result<(), Gone> {
        pipe.send(format!("--{}\r\nContent-Type: {kind}\r\n\r\n", self.0)).await
    }

    /// What goes behind a part.
    pub(super) async fn close(&self, pipe: &Pipe) -> Result<(), Gone> {
        pipe.send(Bytes::from_static(b"\r\n")).await
    }

    pub(super) async fn end(&self, pipe: &Pipe) -> Result<(), Gone> {
        pipe.send(format!("--{}--\r\n", self.0)).await
    }
}
