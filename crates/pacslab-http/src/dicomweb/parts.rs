//! The parts of a multipart body as they arrive. RFC 2046 5.1, PS3.18 8.6.1.2.
//!
//! What is held is one piece of the body and what might be the beginning of a delimiter; whatever
//! comes before the first part, and the header fields of each, have limits.

use bytes::{Bytes, BytesMut};

use crate::error::{Error, Result};
use crate::intake::Upload;

/// What nobody reads before the first part, and the header fields of one.
const OVERHEAD: usize = 16 << 10;

/// Parts of one body: each is answered by an item of its own.
const MOST: usize = 50_000;

/// Where the pieces of a body come from.
pub(super) trait Pieces {
    /// The next one; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>>> + Send;
}

impl Pieces for Upload {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        Self::next(self).await
    }
}

/// Reads one part after the other.
pub(super) struct Parts<P> {
    upload: P,
    delimiter: Vec<u8>,
    /// Begins where the part at hand goes on.
    held: BytesMut,
    number: usize,
}

impl<P: Pieces> Parts<P> {
    pub(super) fn new(upload: P, boundary: &str) -> Self {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // the first delimiter has no line before it
        Self { upload, delimiter, held: BytesMut::from(&b"\r\n"[..]), number: 0 }
    }

    /// Goes on to the next part; `false`: there is none.
    pub(super) async fn next(&mut self) -> Result<bool> {
        let mut before = 0;
        while let Some(skipped) = self.chunk().await? {
            before += skipped.len();
            if self.number == 0 && before > OVERHEAD {
                return Err(bad("its first delimiter does not come"));
            }
        }
        self.fill(self.delimiter.len() + 2).await?;
        let _ = self.held.split_to(self.delimiter.len());
        if self.held.starts_with(b"--") {
            return Ok(false);
        }
        self.number += 1;
        if self.number > MOST {
            let text = format!("a request has at most {MOST} parts; send the rest in another one");
            return Err(Error::TooLarge(text));
        }
        // the end of the delimiter's line, the fields, an empty line
        loop {
            if let Some(end) = find(&self.held, b"\r\n\r\n") {
                let _ = self.held.split_to(end + 4);
                return Ok(true);
            }
            if self.held.len() > OVERHEAD {
                return Err(bad("the header fields of a part do not end"));
            }
            self.fill(self.held.len() + 1).await?;
        }
    }

    /// Which part it is, counted from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next bytes of the part; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>> {
        loop {
            let at = match find(&self.held, &self.delimiter) {
                Some(0) => return Ok(None),
                Some(at) => at,
                // the end may be the beginning of a delimiter
                None => (self.held.len() + 1).saturating_sub(self.delimiter.len()),
            };
            if at > 0 {
                return Ok(Some(self.held.split_to(at).freeze()));
            }
            self.fill(self.held.len() + 1).await?;
        }
    }

    /// Holds at least so many bytes.
    async fn fill(&mut self, wanted: usize) -> Result<()> {
        while self.held.len() < wanted {
            let Some(piece) = self.upload.next().await? else {
                return Err(bad("it ends before its last delimiter"));
            };
            self.held.extend_from_slice(&piece);
        }
        Ok(())
    }
}

fn bad(why: &str) -> Error {
    Error::BadRequest(format!("the multipart body cannot be read: {why}"))
}

/// Where `wanted`, which begins with CR, stands first.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = bytes.get(from..)?.iter().position(|byte| *byte == b'\r') {
        if bytes[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}
