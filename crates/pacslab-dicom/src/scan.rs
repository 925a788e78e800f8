//! The bounded header scanner: the attributes an archive wants, without a tree.
//!
//! It walks the top level only, skips what is not wanted, and hands out slices of the input.

use std::borrow::Cow;

use pacslab_model::{Tag, Vr, tags};

use crate::charset::Charset;
use crate::parse::{MAX_INFLATED, inflated};
use crate::syntax::TransferSyntax;
use crate::wire::{Cursor, Encoding, ParseError, UNDEFINED};

/// What a scan found, in the order of the data set.
#[derive(Debug)]
pub struct Scan<'a> {
    values: Vec<(Tag, Vr, Cow<'a, [u8]>)>,
    charset: Charset,
    big_endian: bool,
    /// Offset and length of the pixel data's value in the bytes given (`None` for a deflated
    /// data set). Encapsulated pixel data has no length of its own.
    pub pixel_data: Option<(usize, Option<usize>)>,
}

/// Scans a whole data set; `wanted` must ascend.
///
/// # Errors
/// The first thing wrong with the structure, pixel data included: what passes is whole.
pub fn scan<'a>(
    bytes: &'a [u8],
    syntax: &TransferSyntax,
    wanted: &[Tag],
) -> Result<Scan<'a>, ParseError> {
    match inflated(bytes, syntax, MAX_INFLATED)? {
        Cow::Borrowed(bytes) => scan_plain(bytes, syntax, wanted),
        Cow::Owned(plain) => {
            let found = scan_plain(&plain, syntax, wanted)?;
            Ok(Scan {
                values: found
                    .values
                    .into_iter()
                    .map(|(tag, vr, value)| (tag, vr, Cow::Owned(value.into_owned())))
                    .collect(),
                charset: found.charset,
                big_endian: found.big_endian,
                pixel_data: None,
            })
        }
    }
}

fn scan_plain<'a>(
    bytes: &'a [u8],
    syntax: &TransferSyntax,
    wanted: &[Tag],
) -> Result<Scan<'a>, ParseError> {
    debug_assert!(wanted.is_sorted());
    let mut cursor = Cursor::new(bytes, Encoding::of(syntax));
    let mut found = Scan {
        values: Vec::with_capacity(wanted.len()),
        charset: Charset::DEFAULT,
        big_endian: syntax.is_big_endian(),
        pixel_data: None,
    };
    let mut wanted = wanted.iter().peekable();
    let mut previous: Option<Tag> = None;
    while !cursor.at_end() {
        let header = cursor.header()?;
        if let Some(previous) = previous
            && header.tag <= previous
        {
            return Err(ParseError::Order { tag: header.tag, previous, at: header.at });
        }
        previous = Some(header.tag);
        while wanted.next_if(|tag| **tag < header.tag).is_some() {}
        let is_wanted = wanted.next_if(|tag| **tag == header.tag).is_some();
        if header.tag == tags::PIXEL_DATA {
            let length = (header.length != UNDEFINED).then_some(header.length as usize);
            found.pixel_data = Some((cursor.position(), length));
        }
        if header.length == UNDEFINED || header.vr == Vr::SQ {
            cursor.skip(&header, 0)?;
            continue;
        }
        let value = cursor.value(&header);
        if header.tag == tags::SPECIFIC_CHARACTER_SET {
            found.charset = Charset::parse(&String::from_utf8_lossy(value));
        }
        if is_wanted {
            found.values.push((header.tag, header.vr, Cow::Borrowed(value)));
        }
    }
    Ok(found)
}

impl Scan<'_> {
    /// The value as text, decoded and without padding; binary numbers in decimal.
    pub fn text(&self, tag: Tag) -> Option<String> {
        let (_, vr, bytes) = self.values.iter().find(|(found, ..)| *found == tag)?;
        self.to_text(*vr, bytes)
    }

    /// All values that are text or numbers, in order.
    pub fn texts(&self) -> impl Iterator<Item = (Tag, String)> {
        self.values.iter().filter_map(|(tag, vr, bytes)| Some((*tag, self.to_text(*vr, bytes)?)))
    }

    fn to_text(&self, vr: Vr, bytes: &[u8]) -> Option<String> {
        if vr.is_text() {
            let text = self.charset.decode(vr, bytes);
            let text = text.trim_end_matches(['\0', ' ']);
            return Some(if vr.is_single_text() { text } else { text.trim_start() }.to_owned());
        }
        let mut bytes = bytes.to_vec();
        if self.big_endian {
            crate::parse::swap_bytes(vr, &mut bytes);
        }
        let element = crate::Element { tag: Tag(0), vr, value: crate::Value::Bytes(bytes) };
        element.to_text().map(Cow::into_owned)
    }
}
