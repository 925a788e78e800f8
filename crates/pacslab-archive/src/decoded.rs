//! Compressed objects for those who do not take them compressed: decoded as they are sent.
//! PS3.5 A.4.
//!
//! The length of native pixel data is known before the first frame is decoded, so nothing has to
//! wait for the last: in memory are the compressed object and the frames that are on their way.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use pacslab_codec::Decoder;
use pacslab_dicom::{Dataset, Element, TransferSyntax, Value, encode};
use pacslab_dimse::{BoxFuture, Piece, Source};
use pacslab_model::{Tag, tags};
use tokio::task::JoinHandle;

use crate::outgoing::BATCH;

/// A data set whose frames are decoded one after the other.
#[derive(Debug)]
pub struct Decoded {
    /// Everything up to the pixels.
    head: Option<Bytes>,
    decoder: Arc<Decoder<'static>>,
    /// The next frame to decode.
    frame: usize,
    /// What follows the pixels.
    tail: Arc<[u8]>,
    ahead: Option<JoinHandle<Result<Vec<u8>, pacslab_codec::Error>>>,
}

/// Below this an object is decoded as a whole: what is wrong with its last frame is known before the
/// first one is sent.
const SMALL: u64 = 8 << 20;

/// Data Set Trailing Padding (PS3.10 7.2), the one thing that stands behind pixels.
const PADDING: Tag = Tag::new(0xFFFC, 0xFFFC);

impl Decoded {
    /// Whether there is anything to be gained: not where the object is small, not compressed, or goes
    /// to a transfer syntax that needs all of it.
    pub fn suits(dataset: &Dataset, from: &TransferSyntax, to: &TransferSyntax) -> bool {
        let native = matches!(to, TransferSyntax::ExplicitLe | TransferSyntax::ImplicitLe);
        let plain = dataset.iter().all(|one| one.tag <= tags::PIXEL_DATA || one.tag == PADDING);
        let sizes = SMALL..u64::from(u32::MAX);
        native
            && plain
            && Decoder::new(dataset, from).is_ok_and(|one| sizes.contains(&length(&one)))
    }

    /// Of an object that suits.
    ///
    /// # Errors
    /// As [`Decoder::new`].
    pub fn new(
        dataset: Dataset,
        from: &TransferSyntax,
        to: &TransferSyntax,
    ) -> Result<Self, pacslab_codec::Error> {
        let mut tail = Dataset::new();
        dataset.get(PADDING).into_iter().for_each(|padding| tail.put(padding.clone()));
        let (mut head, decoder) = Decoder::take(dataset, from)?;
        head.remove(PADDING);
        let value = Value::Bytes(Vec::new());
        head.put(Element { tag: tags::PIXEL_DATA, vr: decoder.vr(), value });
        let mut head = encode(&head, to);
        // the pixels come last, and their length is 0 there
        let at = head.len() - 4;
        head[at..].copy_from_slice(&(length(&decoder) as u32).to_le_bytes());
        let (head, tail) = (Some(head.into()), encode(&tail, to).into());
        Ok(Self { head, decoder: Arc::new(decoder), frame: 0, tail, ahead: None })
    }

    fn is_over(&self) -> bool {
        self.ahead.is_none() && self.frame >= self.decoder.frames()
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// A frame cannot be decoded: what was handed out so far is half an object.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        self.decode_ahead();
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        // put back only by its end: this future may be dropped while it waits
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let decoded = ahead.await;
        self.ahead = None;
        let bytes = decoded.map_err(io::Error::other)?.map_err(io::Error::other)?;
        self.decode_ahead();
        Ok(Some(bytes.into()))
    }

    /// Decodes one frame, or as many small ones as are worth a piece.
    fn decode_ahead(&mut self) {
        if self.is_over() || self.ahead.is_some() {
            return;
        }
        let frames = self.decoder.frames();
        let many = (BATCH / self.decoder.frame_len().max(1)).max(1);
        let (from, to) = (self.frame, (self.frame + many).min(frames));
        self.frame = to;
        let (decoder, tail) = (self.decoder.clone(), self.tail.clone());
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let mut bytes = decoder.frame(from)?;
            for frame in from + 1..to {
                bytes.extend(decoder.frame(frame)?);
            }
            if to == frames {
                let odd = decoder.frame_len() % 2 * frames % 2;
                bytes.extend(std::iter::repeat_n(0, odd));
                bytes.extend_from_slice(&tail);
            }
            Ok(bytes)
        }));
    }
}

/// Bytes of the decoded pixels, made even.
fn length(decoder: &Decoder<'_>) -> u64 {
    (decoder.frame_len() as u64).saturating_mul(decoder.frames() as u64).next_multiple_of(2)
}

impl Source for Decoded {
    fn next(&mut self) -> BoxFuture<'_, io::Result<Piece>> {
        Box::pin(async move {
            let bytes = Self::next(self).await?.unwrap_or_default();
            Ok(Piece { bytes, last: self.is_over() })
        })
    }
}
