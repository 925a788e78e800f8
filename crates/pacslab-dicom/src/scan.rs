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
        Cow::Borrowed(bytes) => scan_plain(bytes, bytes.len(), syntax, wanted),
        Cow::Owned(plain) => {
            let found = scan_plain(&plain, plain.len(), syntax, wanted)?;
            Ok(found.into_owned())
        }
    }
}

/// Scans the beginning of a data set of `total` bytes whose rest is not in memory. What the
/// beginning holds is found; the structure of the rest is not looked at.
///
/// # Errors
/// As [`scan`], for what is there.
pub fn scan_prefix<'a>(
    prefix: &'a [u8],
    total: usize,
    syntax: &TransferSyntax,
    wanted: &[Tag],
) -> Result<Scan<'a>, ParseError> {
    if *syntax == TransferSyntax::DeflatedLe {
        let plain = inflated_prefix(prefix);
        let found = scan_plain(&plain, usize::MAX, syntax, wanted)?;
        return Ok(found.into_owned());
    }
    scan_plain(prefix, total, syntax, wanted)
}

fn scan_plain<'a>(
    bytes: &'a [u8],
    total: usize,
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
        let header = match cursor.header() {
            Ok(header) => header,
            Err(error) if beyond(&error, bytes.len(), total) => break,
            Err(error) => return Err(error),
        };
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
            match cursor.skip(&header, 0) {
                Ok(()) => continue,
                Err(error) if beyond(&error, bytes.len(), total) => break,
                Err(error) => return Err(error),
            }
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

/// The beginning simply ends here: the data set goes on.
fn beyond(error: &ParseError, have: usize, total: usize) -> bool {
    match error {
        _ if have >= total => false,
        ParseError::Truncated { .. } => true,
        ParseError::TooLong { length, left, .. } => *length as usize - left <= total - have,
        _ => false,
    }
}

/// What the beginning of a deflated stream inflates to, bounded.
fn inflated_prefix(prefix: &[u8]) -> Vec<u8> {
    use std::io::Read;
    let mut plain = vec![0; PREFIX_INFLATED];
    let mut reader = flate2::read::DeflateDecoder::new(prefix);
    let mut filled = 0;
    while filled < plain.len() {
        match reader.read(&mut plain[filled..]) {
            Ok(0) | Err(_) => break,
            Ok(more) => filled += more,
        }
    }
    plain.truncate(filled);
    plain
}

/// Headers of deflated objects end well before this.
const PREFIX_INFLATED: usize = 1 << 20;

impl Scan<'_> {
    fn into_owned(self) -> Scan<'static> {
        Scan {
            values: self
                .values
                .into_iter()
                .map(|(tag, vr, value)| (tag, vr, Cow::Owned(value.into_owned())))
                .collect(),
            charset: self.charset,
            big_endian: self.big_endian,
            pixel_data: None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dataset, encode};

    #[test]
    fn a_prefix_tells_what_it_holds() {
        let mut set = Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P1");
        set.put_u16(tags::ROWS, 64);
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![7; 100_000]);
        for syntax in [TransferSyntax::ExplicitLe, TransferSyntax::DeflatedLe] {
            let bytes = encode(&set, &syntax);
            let prefix = &bytes[..bytes.len().min(200)];
            let wanted = [tags::PATIENT_ID, tags::ROWS];
            let found = scan_prefix(prefix, bytes.len(), &syntax, &wanted).unwrap();
            assert_eq!(found.text(tags::PATIENT_ID).as_deref(), Some("P1"), "{syntax:?}");
            assert_eq!(found.text(tags::ROWS).as_deref(), Some("64"), "{syntax:?}");
        }
        let bytes = encode(&set, &TransferSyntax::ExplicitLe);
        let cut = scan_prefix(&bytes[..200], 5_000, &TransferSyntax::ExplicitLe, &[]);
        assert!(matches!(cut, Err(ParseError::TooLong { .. })), "longer than the whole");
    }
}
