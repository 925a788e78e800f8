//! Why a frame cannot be shown.

use pacslab_model::Tag;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the object has no pixel data (7fe0,0010): it is a document or another kind of object")]
    NoPixels,
    #[error("frame {wanted} does not exist: the object has {frames}; frames count from 1")]
    NoSuchFrame { wanted: usize, frames: usize },
    #[error("pixels in {0} cannot be decoded here: retrieve the object as it is stored")]
    Unsupported(String),
    #[error("there is no encoder for {0}: ask for an uncompressed transfer syntax or RLE Lossless")]
    Encoder(String),
    #[error("frame {frame}, {syntax}: {reason}")]
    Frame { frame: usize, syntax: String, reason: String },
    #[error("{fragments} fragments of pixel data cannot be told apart into {frames} frames")]
    Fragments { fragments: usize, frames: usize },
    #[error("uncompressed the pixels have {needed} bytes; the limit is {limit}")]
    Heavy { needed: usize, limit: usize },
    #[error("{tag} {name} is missing, so the pixels cannot be read")]
    Missing { tag: Tag, name: &'static str },
    #[error("{name} is {value}, but must be {wanted}")]
    Value { name: &'static str, value: String, wanted: &'static str },
    #[error("photometric interpretation '{0}' cannot be shown")]
    Photometric(String),
    #[error("an image of {columns} x {rows} pixels is larger than the limit of {limit} pixels")]
    Large { columns: u32, rows: u32, limit: u64 },
    #[error("pixel data ends early: frame {frame} needs {needed} bytes, {present} are there")]
    Short { frame: usize, needed: u64, present: u64 },
    #[error("the picture cannot be taken in: {0}")]
    Raster(String),
    #[error("the image could not be encoded as {format}: {reason}")]
    Encoding { format: &'static str, reason: String },
}
