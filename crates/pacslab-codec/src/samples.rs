//! The stored values of one frame. PS3.5 8.1, 8.2.

use pacslab_dicom::{Dataset, TransferSyntax, Value};
use pacslab_model::tags;

use crate::describe::{Description, Photometric, syntax_name};
use crate::error::Error;

/// One frame as it is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Samples<'a> {
    /// Starts at the frame, or for packed bits at the byte that holds the first one.
    bytes: &'a [u8],
    first_bit: usize,
    allocated: u32,
    stored: u32,
    shift: u32,
    signed: bool,
    count: usize,
}

impl Description {
    pub(crate) fn frame<'a>(
        &self,
        dataset: &'a Dataset,
        syntax: &TransferSyntax,
        frame: usize,
    ) -> Result<Samples<'a>, Error> {
        let bytes = match dataset.get(tags::PIXEL_DATA).map(|element| &element.value) {
            Some(Value::Bytes(bytes)) if !syntax.is_encapsulated() => bytes,
            Some(Value::Bytes(_) | Value::Fragments(_)) => {
                return Err(Error::Unsupported(syntax_name(syntax.uid())));
            }
            _ => return Err(Error::NoPixels),
        };
        if self.photometric == Photometric::YbrTransformed {
            let text = dataset.str(tags::PHOTOMETRIC_INTERPRETATION);
            return Err(Error::Photometric(format!("{text} without compression")));
        }
        self.samples(bytes, frame)
    }

    /// The stored values of a frame of native pixel data.
    pub(crate) fn samples<'a>(&self, bytes: &'a [u8], frame: usize) -> Result<Samples<'a>, Error> {
        if frame >= self.frames {
            let wanted = frame.saturating_add(1);
            return Err(Error::NoSuchFrame { wanted, frames: self.frames });
        }
        let count = self.pixels() * self.samples as usize;
        let bits = count as u64 * u64::from(self.allocated);
        let first = bits.saturating_mul(frame as u64);
        let needed = first.saturating_add(bits).div_ceil(8);
        if needed > bytes.len() as u64 {
            let (needed, present) =
                (bits.div_ceil(8), (bytes.len() as u64).saturating_sub(first / 8));
            return Err(Error::Short { frame: frame + 1, needed, present });
        }
        Ok(Samples {
            bytes: &bytes[(first / 8) as usize..needed as usize],
            first_bit: (first % 8) as usize,
            allocated: self.allocated,
            stored: self.stored,
            shift: self.high_bit + 1 - self.stored,
            signed: self.signed,
            count,
        })
    }
}

impl Samples<'_> {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of a frame of 8 bits a sample.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Calls `each` with every stored value in order.
    pub(crate) fn for_each(&self, mut each: impl FnMut(i64)) {
        match self.allocated {
            1 => {
                for at in self.first_bit..self.first_bit + self.count {
                    each(i64::from(self.bytes[at / 8] >> (at % 8) & 1));
                }
            }
            8 => self.bytes.iter().for_each(|b| each(self.value(u32::from(*b)))),
            16 => {
                let (words, _) = self.bytes.as_chunks::<2>();
                words.iter().for_each(|w| each(self.value(u32::from(u16::from_le_bytes(*w)))));
            }
            _ => {
                let (words, _) = self.bytes.as_chunks::<4>();
                words.iter().for_each(|w| each(self.value(u32::from_le_bytes(*w))));
            }
        }
    }

    /// Bits outside BitsStored are not part of the value (they held overlays once).
    fn value(&self, cell: u32) -> i64 {
        let unused = 32 - self.stored;
        let aligned = (cell >> self.shift) << unused;
        if self.signed {
            i64::from(aligned.cast_signed() >> unused)
        } else {
            i64::from(aligned >> unused)
        }
    }
}
