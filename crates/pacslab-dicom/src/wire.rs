//! Element headers on the wire, bounded. PS3.5 7.1 to 7.5.
//!
//! Everything that reads bytes from outside reads them through [`Cursor`]: no length is believed
//! before the bytes are there, and no nesting deeper than [`MAX_DEPTH`] is followed. A 44-byte
//! data set that claims 4 GiB costs nothing here, and 2,000 nested sequences are an error.

use pacslab_model::{Tag, Vr, tags};

use crate::dict;
use crate::syntax::TransferSyntax;

/// Deeper nesting than this is refused. Real objects use fewer than ten levels.
pub const MAX_DEPTH: usize = 64;

/// The length that means "until the delimitation item".
pub const UNDEFINED: u32 = 0xFFFF_FFFF;

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    #[error("the data set ends at byte {at} inside {what}; it is truncated")]
    Truncated { at: usize, what: String },
    #[error(
        "element {tag} at byte {at} claims {length} bytes, but only {left} are there; the data set is truncated or in another transfer syntax"
    )]
    TooLong { tag: Tag, at: usize, length: u32, left: usize },
    #[error("sequences are nested deeper than {MAX_DEPTH} levels at {tag}, byte {at}")]
    TooDeep { tag: Tag, at: usize },
    #[error(
        "element {tag} at byte {at} has {found:?} where its VR should be; the data set is probably Implicit VR"
    )]
    BadVr { tag: Tag, at: usize, found: String },
    #[error("element {tag} at byte {at} has undefined length, which its VR {vr} does not allow")]
    Undefined { tag: Tag, at: usize, vr: Vr },
    #[error("expected an item or a delimiter in {tag}, found {found} at byte {at}")]
    NoItem { tag: Tag, found: Tag, at: usize },
    #[error("element {tag} at byte {at} comes after {previous}; elements must ascend")]
    Order { tag: Tag, previous: Tag, at: usize },
    #[error("the data set has more than {} elements and items, up to byte {at}", crate::MAX_PARTS)]
    TooMany { at: usize },
    #[error("the deflated data set is broken: {0}")]
    Inflate(String),
    #[error("the deflated data set grows beyond {limit} bytes")]
    InflateLimit { limit: usize },
    #[error("{0}")]
    NotDicom(String),
}

impl ParseError {
    /// The same, so many bytes further on.
    pub(crate) fn moved(mut self, by: usize) -> Self {
        match &mut self {
            Self::Truncated { at, .. }
            | Self::TooLong { at, .. }
            | Self::TooDeep { at, .. }
            | Self::BadVr { at, .. }
            | Self::Undefined { at, .. }
            | Self::NoItem { at, .. }
            | Self::TooMany { at }
            | Self::Order { at, .. } => *at += by,
            Self::Inflate(_) | Self::InflateLimit { .. } | Self::NotDicom(_) => {}
        }
        self
    }
}

/// How the bytes are to be read; nested items keep the encoding of what they are in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Encoding {
    pub explicit: bool,
    pub big_endian: bool,
}

impl Encoding {
    pub const IMPLICIT_LE: Self = Self { explicit: false, big_endian: false };
    pub const EXPLICIT_LE: Self = Self { explicit: true, big_endian: false };

    pub fn of(syntax: &TransferSyntax) -> Self {
        Self { explicit: syntax.is_explicit(), big_endian: syntax.is_big_endian() }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub tag: Tag,
    /// From the wire, or from the dictionary; UN where neither tells.
    pub vr: Vr,
    pub length: u32,
    /// Where the header starts.
    pub at: usize,
}

impl Header {
    /// A sequence, by VR or (CP-246) as UN of undefined length.
    pub fn is_sequence(&self) -> bool {
        self.vr == Vr::SQ || (self.vr == Vr::UN && self.length == UNDEFINED)
    }

    /// UN of undefined length holds items in Implicit VR Little Endian. PS3.5 6.2.2 note 4.
    pub fn item_encoding(&self, around: Encoding) -> Encoding {
        if self.vr == Vr::UN { Encoding::IMPLICIT_LE } else { around }
    }
}

/// A place in a byte slice.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    encoding: Encoding,
    /// In a value of defined length.
    within: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], encoding: Encoding) -> Self {
        Self { bytes, at: 0, encoding, within: false }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take<const N: usize>(&mut self, what: &dyn Fn() -> String) -> Result<[u8; N], ParseError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(chunk) => {
                self.at += N;
                Ok(*chunk)
            }
            None => Err(ParseError::Truncated { at: self.bytes.len(), what: what() }),
        }
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.encoding.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.encoding.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn tag(&mut self) -> Result<Tag, ParseError> {
        let [a, b, c, d] = self.take::<4>(&|| "an element's tag".to_owned())?;
        Ok(Tag::new(self.u16([a, b]), self.u16([c, d])))
    }

    /// The next tag, without moving. `None` at the end.
    pub fn peek_tag(&self) -> Option<Tag> {
        self.clone().tag().ok()
    }

    /// Reads the next header and checks that a defined length is there.
    ///
    /// # Errors
    /// Truncation, a length beyond the end, an impossible VR.
    pub fn header(&mut self) -> Result<Header, ParseError> {
        let header = self.raw_header()?;
        self.checked(header)
    }

    /// Reads the next header; its value need not be there.
    pub(crate) fn raw_header(&mut self) -> Result<Header, ParseError> {
        let at = self.at;
        let tag = self.tag()?;
        let what = || format!("the header of {tag}");
        if tag.group() == 0xFFFE {
            let mut length = self.take::<4>(&what).map(|b| self.u32(b))?;
            if matches!(tag, tags::ITEM_DELIMITATION | tags::SEQUENCE_DELIMITATION) {
                // there is no value, whatever some writers claim
                length = 0;
            }
            return Ok(Header { tag, vr: Vr::UN, length, at });
        }
        let (vr, length) = if self.encoding.explicit {
            let code = self.take::<2>(&what)?;
            let vr = match Vr::from_bytes(code) {
                Some(vr) => vr,
                // a VR of a later edition: 32-bit length, content unknown. PS3.5 6.2.2
                None if code.iter().all(u8::is_ascii_uppercase) => Vr::UN,
                None => {
                    let found = String::from_utf8_lossy(&code).into_owned();
                    return Err(ParseError::BadVr { tag, at, found });
                }
            };
            if vr.has_long_length() {
                let _reserved = self.take::<2>(&what)?;
                (vr, self.take::<4>(&what).map(|b| self.u32(b))?)
            } else {
                (vr, self.take::<2>(&what).map(|b| u32::from(self.u16(b)))?)
            }
        } else {
            let length = self.take::<4>(&what).map(|b| self.u32(b))?;
            (dict::vr(tag).unwrap_or(Vr::UN), length)
        };
        if length == UNDEFINED && !matches!(vr, Vr::SQ | Vr::UN | Vr::OB | Vr::OW) {
            return Err(ParseError::Undefined { tag, at, vr });
        }
        Ok(Header { tag, vr, length, at })
    }

    fn checked(&self, header: Header) -> Result<Header, ParseError> {
        let left = self.remaining();
        if header.length != UNDEFINED && header.length as usize > left {
            return Err(ParseError::TooLong {
                tag: header.tag,
                at: header.at,
                length: header.length,
                left,
            });
        }
        Ok(header)
    }

    /// The value of defined length that follows a header.
    pub fn value(&mut self, header: &Header) -> &'a [u8] {
        let end = self.at + self.length_of(header);
        let value = &self.bytes[self.at..end];
        self.at = end;
        value
    }

    /// Skips a value of any kind, nested ones included.
    ///
    /// Sequences of defined length are walked too, because what is nested too deep could not be
    /// read again; whatever else is wrong within a defined length is stepped over.
    ///
    /// # Errors
    /// As [`Cursor::header`], and nesting beyond [`MAX_DEPTH`].
    pub fn skip(&mut self, header: &Header, depth: usize) -> Result<(), ParseError> {
        if header.is_sequence() {
            if depth >= MAX_DEPTH {
                return Err(ParseError::TooDeep { tag: header.tag, at: header.at });
            }
            let around = self.encoding;
            self.encoding = header.item_encoding(around);
            let skipped = if header.length == UNDEFINED {
                self.skip_items(header.tag, depth, false)
            } else {
                self.stepped_over(header, |inside| inside.skip_items(header.tag, depth, true))
            };
            self.encoding = around;
            return skipped;
        }
        if header.length != UNDEFINED {
            self.value(header);
            return Ok(());
        }
        while let Some(fragment) = self.item(header.tag)? {
            if fragment.length == UNDEFINED {
                return Err(ParseError::Undefined {
                    tag: header.tag,
                    at: fragment.at,
                    vr: header.vr,
                });
            }
            self.value(&fragment);
        }
        Ok(())
    }

    /// The items of a sequence up to its delimitation, or to the `end` of the bytes.
    fn skip_items(&mut self, sequence: Tag, depth: usize, end: bool) -> Result<(), ParseError> {
        while !(end && self.at_end()) {
            let Some(item) = self.item(sequence)? else {
                if end {
                    continue;
                }
                return Ok(());
            };
            if item.length == UNDEFINED {
                self.skip_item(depth + 1, false)?;
            } else {
                self.stepped_over(&item, |inside| inside.skip_item(depth + 1, true))?;
            }
        }
        Ok(())
    }

    fn skip_item(&mut self, depth: usize, end: bool) -> Result<(), ParseError> {
        while !(end && self.at_end()) {
            let header = self.header()?;
            if header.tag == tags::ITEM_DELIMITATION {
                if end {
                    continue;
                }
                return Ok(());
            }
            self.skip(&header, depth)?;
        }
        Ok(())
    }

    /// Walks a value of defined length, whose end is known even where its inside makes no sense.
    fn stepped_over(
        &mut self,
        header: &Header,
        walk: impl FnOnce(&mut Self) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let mut inside = Self { bytes: &self.bytes[..self.at + self.length_of(header)], ..*self };
        inside.within = true;
        let walked = walk(&mut inside);
        self.value(header);
        match walked {
            Err(error) if self.within || matches!(error, ParseError::TooDeep { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    fn length_of(&self, header: &Header) -> usize {
        (header.length as usize).min(self.remaining())
    }

    /// The next item of a sequence of undefined length; `None` at its delimitation.
    ///
    /// # Errors
    /// Anything that is neither.
    pub fn item(&mut self, sequence: Tag) -> Result<Option<Header>, ParseError> {
        let header = self.header()?;
        match header.tag {
            tags::ITEM => Ok(Some(header)),
            tags::SEQUENCE_DELIMITATION => Ok(None),
            found => Err(ParseError::NoItem { tag: sequence, found, at: header.at }),
        }
    }
}
