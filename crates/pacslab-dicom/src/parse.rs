//! Bytes to a [`Dataset`]. PS3.5 7, A.

use std::borrow::Cow;
use std::io::Read;

use pacslab_model::{Tag, Vr, tags};

use crate::charset::Charset;
use crate::dataset::{Dataset, Element, Value};
use crate::syntax::TransferSyntax;
use crate::wire::{Cursor, Encoding, Header, MAX_DEPTH, ParseError, UNDEFINED};

/// A deflated data set may grow to this size. Larger ones are refused, whatever they hold.
pub const MAX_INFLATED: usize = 1 << 30;

/// What so many deflated bytes may grow to: images shrink to a third, black ones to a thousandth,
/// and whoever sends a large data set sends it in more than a few bytes.
pub(crate) fn inflated_limit(deflated: u64) -> u64 {
    (64 << 20) + deflated.saturating_mul(32).min((MAX_INFLATED - (64 << 20)) as u64)
}

/// Parses a whole data set (without file meta).
///
/// # Errors
/// See [`ParseError`]; nothing is allocated for lengths that are not there.
pub fn parse(bytes: &[u8], syntax: &TransferSyntax) -> Result<Dataset, ParseError> {
    parsed(bytes, syntax, None)
}

/// Parses up to, and without, the first element whose tag is `stop` or greater.
///
/// # Errors
/// As [`parse`]; what follows `stop` is not looked at.
pub fn parse_until(
    bytes: &[u8],
    syntax: &TransferSyntax,
    stop: Tag,
) -> Result<Dataset, ParseError> {
    parsed(bytes, syntax, Some(stop))
}

fn parsed(bytes: &[u8], syntax: &TransferSyntax, stop: Option<Tag>) -> Result<Dataset, ParseError> {
    let bytes = inflated(bytes, syntax, MAX_INFLATED)?;
    let mut cursor = Cursor::new(&bytes, Encoding::of(syntax));
    let mut left = MAX_PARTS;
    elements(&mut cursor, &Charset::DEFAULT, 0, End::At(bytes.len()), stop, &mut left)
}

/// Elements, items and fragments of one data set: the tree takes many times the bytes of an empty
/// item. Multi-frame objects of thousands of frames have some hundred thousand.
pub const MAX_PARTS: usize = 1_000_000;

fn one_more(left: &mut usize, at: usize) -> Result<(), ParseError> {
    *left = left.checked_sub(1).ok_or(ParseError::TooMany { at })?;
    Ok(())
}

/// The bytes of a data set with deflation undone. PS3.5 A.5.
///
/// # Errors
/// A broken stream, or one that grows beyond `limit`.
pub fn inflated<'a>(
    bytes: &'a [u8],
    syntax: &TransferSyntax,
    limit: usize,
) -> Result<Cow<'a, [u8]>, ParseError> {
    if *syntax != TransferSyntax::DeflatedLe {
        return Ok(Cow::Borrowed(bytes));
    }
    let limit = limit.min(inflated_limit(bytes.len() as u64) as usize);
    let mut plain = Vec::new();
    flate2::read::DeflateDecoder::new(bytes)
        .take(limit as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| ParseError::Inflate(error.to_string()))?;
    if plain.len() > limit {
        return Err(ParseError::InflateLimit { limit });
    }
    Ok(Cow::Owned(plain))
}

enum End {
    At(usize),
    Delimiter,
}

fn elements(
    cursor: &mut Cursor<'_>,
    around: &Charset,
    depth: usize,
    end: End,
    stop: Option<Tag>,
    left: &mut usize,
) -> Result<Dataset, ParseError> {
    let mut dataset = Dataset::new();
    let mut charset = around.clone();
    let mut previous: Option<Tag> = None;
    loop {
        if let End::At(end) = end
            && cursor.position() >= end
        {
            return Ok(dataset);
        }
        if let Some(stop) = stop
            && cursor.peek_tag().is_some_and(|next| next >= stop)
        {
            return Ok(dataset);
        }
        let header = cursor.header()?;
        one_more(left, header.at)?;
        if header.tag == tags::ITEM_DELIMITATION && matches!(end, End::Delimiter) {
            return Ok(dataset);
        }
        if previous.is_some_and(|previous| header.tag <= previous) {
            return Err(ParseError::Order {
                tag: header.tag,
                previous: previous.unwrap_or(header.tag),
                at: header.at,
            });
        }
        previous = Some(header.tag);
        let value = value(cursor, &header, &charset, depth, left)?;
        if header.tag == tags::SPECIFIC_CHARACTER_SET
            && let Value::Text(text) = &value
        {
            charset = Charset::parse(text);
        }
        dataset.put(Element { tag: header.tag, vr: stored_vr(&header), value });
    }
}

fn stored_vr(header: &Header) -> Vr {
    if header.is_sequence() { Vr::SQ } else { header.vr }
}

fn value(
    cursor: &mut Cursor<'_>,
    header: &Header,
    charset: &Charset,
    depth: usize,
    left: &mut usize,
) -> Result<Value, ParseError> {
    if header.is_sequence() {
        return items(cursor, header, charset, depth, left).map(Value::Items);
    }
    if header.length == UNDEFINED {
        return fragments(cursor, header, left).map(Value::Fragments);
    }
    let big_endian = cursor.encoding().big_endian;
    let bytes = cursor.value(header);
    if header.vr.is_text() {
        let text = charset.decode(header.vr, bytes);
        let length = text.trim_end_matches(['\0', ' ']).len();
        let mut text = text;
        text.truncate(length);
        return Ok(Value::Text(text));
    }
    let mut bytes = bytes.to_vec();
    if big_endian {
        swap_bytes(header.vr, &mut bytes);
    }
    Ok(Value::Bytes(bytes))
}

fn items(
    cursor: &mut Cursor<'_>,
    sequence: &Header,
    charset: &Charset,
    depth: usize,
    left: &mut usize,
) -> Result<Vec<Dataset>, ParseError> {
    if depth >= MAX_DEPTH {
        return Err(ParseError::TooDeep { tag: sequence.tag, at: sequence.at });
    }
    let around = cursor.encoding();
    cursor.set_encoding(sequence.item_encoding(around));
    let mut items = Vec::new();
    let end = (sequence.length != UNDEFINED).then(|| cursor.position() + sequence.length as usize);
    loop {
        let item = match end {
            Some(end) if cursor.position() >= end => break,
            Some(_) => {
                let header = cursor.header()?;
                match header.tag {
                    tags::ITEM => header,
                    // some writers close sequences of defined length as well
                    tags::SEQUENCE_DELIMITATION => continue,
                    found => {
                        return Err(ParseError::NoItem { tag: sequence.tag, found, at: header.at });
                    }
                }
            }
            None => match cursor.item(sequence.tag)? {
                Some(header) => header,
                None => break,
            },
        };
        one_more(left, item.at)?;
        items.push(if item.length == UNDEFINED {
            elements(cursor, charset, depth + 1, End::Delimiter, None, left)?
        } else {
            let bytes = cursor.value(&item);
            let mut inner = Cursor::new(bytes, cursor.encoding());
            elements(&mut inner, charset, depth + 1, End::At(bytes.len()), None, left)?
        });
    }
    cursor.set_encoding(around);
    Ok(items)
}

fn fragments(
    cursor: &mut Cursor<'_>,
    header: &Header,
    left: &mut usize,
) -> Result<Vec<Vec<u8>>, ParseError> {
    let mut fragments = Vec::new();
    while let Some(item) = cursor.item(header.tag)? {
        if item.length == UNDEFINED {
            return Err(ParseError::Undefined { tag: header.tag, at: item.at, vr: header.vr });
        }
        one_more(left, item.at)?;
        fragments.push(cursor.value(&item).to_vec());
    }
    Ok(fragments)
}

/// Swaps between big and little endian by the size of one value. PS3.5 7.3.
pub(crate) fn swap_bytes(vr: Vr, bytes: &mut [u8]) {
    let size = match vr {
        Vr::US | Vr::SS | Vr::OW | Vr::AT => 2,
        Vr::UL | Vr::SL | Vr::FL | Vr::OF | Vr::OL => 4,
        Vr::FD | Vr::OD | Vr::OV | Vr::SV | Vr::UV => 8,
        _ => return,
    };
    for value in bytes.chunks_exact_mut(size) {
        value.reverse();
    }
}
