//! The minimal lower layer protocol: 0x0B, the message, 0x1C 0x0D.
//! HL7 v2.5.1 implementation guide, appendix C.4.

use std::fmt;

/// The most that one message may take unless told otherwise.
pub const DEFAULT_LIMIT: usize = 16 << 20;

const START: u8 = 0x0b;
const END: u8 = 0x1c;

/// Cuts what arrives into frames: push bytes, then take frames with `next`.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// How much of the buffer has been searched.
    searched: usize,
    limit: usize,
    failed: bool,
}

/// The bytes of one frame without the framing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub bytes: Vec<u8>,
    /// `false` when 0x1C was missing and the next frame or the end of the stream ended it.
    pub ended: bool,
}

/// The stream cannot be followed any further; close the connection.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
pub enum MllpError {
    #[error("not MLLP: the peer sent '{start}' where 0x0B begins a message{hint}")]
    NotMllp { start: String, hint: &'static str },
    #[error("a message of more than {limit} bytes; raise the limit or look for a missing 0x1C")]
    TooLarge { limit: usize },
}

impl fmt::Debug for MllpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One message as it goes over the wire.
pub fn encode(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(message.len() + 3);
    frame.push(START);
    frame.extend_from_slice(message);
    frame.extend_from_slice(&[END, b'\r']);
    frame
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Decoder {
    /// A decoder that refuses messages of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), searched: 0, limit, failed: false }
    }

    pub fn push(&mut self, bytes: &[u8]) {
        if !self.failed {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes that wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The last message when the peer closed the connection without 0x1C.
    pub fn finish(&mut self) -> Option<Frame> {
        let buffer = std::mem::take(&mut self.buffer);
        self.searched = 0;
        let bytes = buffer.strip_prefix(&[START])?;
        (!bytes.is_empty()).then(|| Frame { bytes: bytes.to_vec(), ended: false })
    }

    fn fail(&mut self, error: MllpError) -> Option<Result<Frame, MllpError>> {
        self.failed = true;
        (self.buffer, self.searched) = (Vec::new(), 0);
        Some(Err(error))
    }
}

impl Iterator for Decoder {
    type Item = Result<Frame, MllpError>;

    /// The next whole frame; `None` until more bytes are pushed, and for ever after an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.searched == 0 {
            // line ends between frames belong to nobody
            let junk = self.buffer.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
            self.buffer.drain(..junk);
            match self.buffer.first() {
                None => return None,
                Some(&START) => self.searched = 1,
                Some(_) => {
                    let error = not_mllp(&self.buffer);
                    return self.fail(error);
                }
            }
        }
        let stop = |b: &u8| matches!(*b, START | END);
        let found = self.buffer[self.searched..].iter().position(stop).map(|n| self.searched + n);
        let Some(end) = found else {
            self.searched = self.buffer.len();
            let limit = self.limit;
            if self.buffer.len() > limit.saturating_add(1) {
                return self.fail(MllpError::TooLarge { limit });
            }
            return None;
        };
        if end - 1 > self.limit {
            let limit = self.limit;
            return self.fail(MllpError::TooLarge { limit });
        }
        let ended = self.buffer[end] == END;
        let rest = self.buffer.split_off(if ended { end + 1 } else { end });
        let frame = std::mem::replace(&mut self.buffer, rest);
        self.searched = 0;
        Some(Ok(Frame { bytes: frame[1..end].to_vec(), ended }))
    }
}

fn not_mllp(bytes: &[u8]) -> MllpError {
    let start: String = bytes
        .iter()
        .take(24)
        .map(|b| match b {
            b' '..=b'~' => char::from(*b).to_string(),
            b => format!("\\x{b:02x}"),
        })
        .collect();
    let hint = match bytes {
        [b'M', b'S', b'H', ..] => "; this looks like HL7 without its 0x0B",
        [b'G', b'E', b'T', b' ', ..]
        | [b'P', b'O', b'S', b'T', ..]
        | [b'P', b'U', b'T', b' ', ..]
        | [b'H', b'E', b'A', b'D', ..]
        | [b'O', b'P', b'T', b'I', ..] => "; this looks like an HTTP request",
        [0x16, 0x03, ..] => "; this looks like TLS, which this port does not speak",
        [0x01, 0x00, ..] => "; this looks like a DICOM association request",
        [END, ..] => "; this is the end of a message that never began",
        _ => "",
    };
    MllpError::NotMllp { start, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames(decoder: &mut Decoder) -> Vec<String> {
        let frames = decoder.map(|frame| String::from_utf8(frame.unwrap().bytes).unwrap());
        frames.collect()
    }

    #[test]
    fn several_messages_in_one_read_and_one_message_in_several() {
        let mut decoder = Decoder::default();
        let stream = [encode(b"MSH|1\r"), encode(b"MSH|2\r"), encode(b"MSH|3\r")].concat();
        decoder.push(&stream[..12]);
        assert_eq!(frames(&mut decoder), ["MSH|1\r"]);
        decoder.push(&stream[12..]);
        assert_eq!(frames(&mut decoder), ["MSH|2\r", "MSH|3\r"]);
        assert_eq!(decoder.next(), None);
    }

    #[test]
    fn a_missing_end_loses_nothing() {
        let mut decoder = Decoder::default();
        decoder.push(b"\x0bMSH|1\r\x0bMSH|2\r\x1c\n\x0bMSH|3\r");
        assert_eq!(decoder.next(), Some(Ok(Frame { bytes: b"MSH|1\r".to_vec(), ended: false })));
        assert_eq!(decoder.next(), Some(Ok(Frame { bytes: b"MSH|2\r".to_vec(), ended: true })));
        assert_eq!(decoder.next(), None);
        assert_eq!(decoder.finish(), Some(Frame { bytes: b"MSH|3\r".to_vec(), ended: false }));
        assert_eq!(decoder.finish(), None);
    }

    #[test]
    fn other_protocols_are_named() {
        for (bytes, guess) in [
            (&b"GET / HTTP/1.1\r\n"[..], "HTTP"),
            (b"MSH|^~\\&|", "without its 0x0B"),
            (b"\x16\x03\x01", "TLS"),
            (b"\x01\x00\x00\x00\x00\xcd", "DICOM"),
            (b"\x00", "'\\x00'"),
        ] {
            let mut decoder = Decoder::default();
            decoder.push(bytes);
            let error = decoder.next().unwrap().unwrap_err().to_string();
            assert!(error.contains(guess), "{error}");
            decoder.push(&encode(b"MSH|late"));
            assert_eq!(decoder.next(), None);
        }
    }

    #[test]
    fn the_limit_is_kept_before_memory_is() {
        let mut decoder = Decoder::new(10);
        decoder.push(&encode(b"0123456789"));
        assert!(decoder.next().unwrap().is_ok());
        decoder.push(b"\x0b0123456789");
        assert_eq!(decoder.next(), None);
        decoder.push(b"0");
        assert_eq!(decoder.next(), Some(Err(MllpError::TooLarge { limit: 10 })));
        assert_eq!(decoder.pending(), 0);
        let mut decoder = Decoder::new(10);
        decoder.push(&encode(b"0123456789A"));
        assert_eq!(decoder.next(), Some(Err(MllpError::TooLarge { limit: 10 })));
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_frames(
            messages in prop::collection::vec("[ -~\r]{1,40}", 0..5),
            size in 1usize..20,
        ) {
            let stream: Vec<u8> = messages.iter().flat_map(|m| encode(m.as_bytes())).collect();
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for piece in stream.chunks(size) {
                decoder.push(piece);
                got.extend(frames(&mut decoder));
            }
            prop_assert_eq!(got, messages);
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut decoder = Decoder::new(50);
            for piece in bytes.chunks(7) {
                decoder.push(piece);
                while decoder.next().is_some() {}
            }
            decoder.finish();
        }
    }
}
