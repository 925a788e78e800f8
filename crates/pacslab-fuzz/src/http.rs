//! The body of a STOW-RS request.

use bytes::Bytes;
use pacslab_http::fuzz::{boundary, parts};

use crate::{pieces, split_first};

/// A `Content-Type` up to the line's end, then a body; the first byte says how it is cut.
pub(crate) fn multipart(data: &[u8]) {
    let (cuts, rest) = split_first(data);
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (kind, body) = rest.split_at(end);
    let body = body.get(1..).unwrap_or_default();
    let Ok(boundary) = boundary(&String::from_utf8_lossy(kind)) else { return };
    let whole = parts(&boundary, vec![Bytes::copy_from_slice(body)]);
    let cut = parts(&boundary, pieces(body, cuts).map(Bytes::copy_from_slice).collect());
    assert_eq!(whole.is_ok(), cut.is_ok(), "{whole:?} {cut:?}");
    let Ok(read) = whole else { return };
    assert_eq!(Ok(&read), cut.as_ref());
    let held: usize = read.iter().map(Vec::len).sum();
    assert!(held <= body.len() && read.len() <= body.len() / boundary.len().max(1));
    // the same parts, written as we would
    let mut written = Vec::new();
    for part in &read {
        written.extend_from_slice(format!("--{boundary}\r\nContent-Type: x\r\n\r\n").as_bytes());
        written.extend_from_slice(part);
        written.extend_from_slice(b"\r\n");
    }
    written.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    assert_eq!(parts(&boundary, vec![Bytes::from(written)]), Ok(read));
}
