//! Multipart bodies without a server: for `pacslab-fuzz`.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::parts::{Parts, Pieces};
use super::store;
use crate::error::Result;

/// The boundary that a `Content-Type` names.
///
/// # Errors
/// What the client would be told.
pub fn boundary(content_type: &str) -> Result<String, String> {
    store::boundary_of(content_type).map_err(|error| error.to_string())
}

/// The parts of a body that comes in these pieces.
///
/// # Errors
/// What the client would be told.
pub fn parts(boundary: &str, pieces: Vec<Bytes>) -> Result<Vec<Vec<u8>>, String> {
    struct There(std::vec::IntoIter<Bytes>);
    impl Pieces for There {
        async fn next(&mut self) -> Result<Option<Bytes>> {
            Ok(self.0.next())
        }
    }
    let read = pin!(async {
        let mut parts = Parts::new(There(pieces.into_iter()), boundary);
        let mut all = Vec::new();
        while parts.next().await? {
            let mut part = Vec::new();
            while let Some(chunk) = parts.chunk().await? {
                part.extend_from_slice(&chunk);
            }
            all.push(part);
        }
        Ok(all)
    });
    // all of it is there: nothing is waited for
    match read.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(read) => read.map_err(|error: crate::error::Error| error.to_string()),
        Poll::Pending => Err("it waits for something".to_owned()),
    }
}
