//! The bounded header scanner: the attributes an archive wants, without a tree.
//!
//! It walks the top level only, skips what is not wanted, and hands out slices of the input.

use std::borrow::Cow;

use pacslab_model::{Tag, Vr, tags};

use crate::charset::Charset;
use crate::scanner::Scanner;
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
    if *syntax == TransferSyntax::DeflatedLe {
        let mut scanner = Scanner::new(syntax, wanted);
        scanner.push(bytes)?;
        return scanner.finish();
    }
    scan_plain(bytes, syntax, wanted)
}

fn scan_plain<'a>(
    bytes: &'a [u8],
    syntax: &TransferSyntax,
    wanted: &[Tag],
) -> Result<Scan<'a>, ParseError> {
    debug_assert!(wanted.is_sorted());
    let mut cursor = Cursor::new(bytes, Encoding::of(syntax));
    let mut found = Scan::empty(wanted.len(), syntax.is_big_endian());
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
        if is_wanted || header.tag == tags::SPECIFIC_CHARACTER_SET {
            found.keep(header.tag, header.vr, Cow::Borrowed(value), is_wanted);
        }
    }
    Ok(found)
}

impl<'a> Scan<'a> {
    pub(crate) fn empty(room: usize, big_endian: bool) -> Self {
        let values = Vec::with_capacity(room);
        Self { values, charset: Charset::DEFAULT, big_endian, pixel_data: None }
    }

    /// A value of the top level: the character set of the others, or one that is wanted.
    pub(crate) fn keep(&mut self, tag: Tag, vr: Vr, value: Cow<'a, [u8]>, wanted: bool) {
        // as the parser does: under another VR it is no name of a set
        if tag == tags::SPECIFIC_CHARACTER_SET && vr.is_text() {
            self.charset = Charset::parse(&String::from_utf8_lossy(&value));
        }
        if wanted {
            self.values.push((tag, vr, value));
        }
    }

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
