//! A [`Dataset`] to bytes. PS3.5 7, A.

use std::io::Write;

use pacslab_model::{Tag, Vr, tags};

use crate::charset::{Charset, UTF8};
use crate::dataset::{Dataset, Element, Value};
use crate::dict;
use crate::parse::swap_bytes;
use crate::syntax::TransferSyntax;
use crate::wire::{Encoding, UNDEFINED};

/// Encodes a data set (without file meta), sequences and items with defined lengths. In Implicit VR
/// a sequence that the dictionary does not know is delimited instead: with a length it would be
/// read as bytes. PS3.5 6.2.2 note 4.
///
/// Text is written in the set that (0008,0005) declares. Where that set lacks a character, the
/// whole data set is written as UTF-8 and says so: nothing is lost, nothing is replaced.
pub fn encode(dataset: &Dataset, syntax: &TransferSyntax) -> Vec<u8> {
    let charset = Charset::parse(dataset.str(tags::SPECIFIC_CHARACTER_SET));
    let mut bytes = Vec::with_capacity(1024);
    if encodable(dataset, &charset) {
        write_elements(&mut bytes, dataset, Encoding::of(syntax), &charset);
    } else {
        let mut unicode = dataset.clone();
        declare_utf8(&mut unicode);
        write_elements(&mut bytes, &unicode, Encoding::of(syntax), &Charset::UTF8);
    }
    if *syntax == TransferSyntax::DeflatedLe {
        return deflate(&bytes);
    }
    bytes
}

/// Declares UTF-8 at the top; nested declarations would contradict it.
fn declare_utf8(dataset: &mut Dataset) {
    fn strip(dataset: &mut Dataset) {
        let sequences: Vec<Tag> =
            dataset.iter().filter(|e| matches!(e.value, Value::Items(_))).map(|e| e.tag).collect();
        for tag in sequences {
            for item in dataset.items_mut(tag).into_iter().flatten() {
                item.remove(tags::SPECIFIC_CHARACTER_SET);
                strip(item);
            }
        }
    }
    strip(dataset);
    dataset.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, UTF8);
}

fn encodable(dataset: &Dataset, charset: &Charset) -> bool {
    dataset.iter().all(|element| match &element.value {
        Value::Text(text) => text.is_ascii() || charset.encode(element.vr, text).is_some(),
        Value::Items(items) => {
            items.iter().all(|item| match item.text(tags::SPECIFIC_CHARACTER_SET) {
                Some(own) => encodable(item, &Charset::parse(own)),
                None => encodable(item, charset),
            })
        }
        _ => true,
    })
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder =
        flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    // writing to a Vec does not fail
    let mut deflated = encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap_or_default();
    if deflated.len() % 2 == 1 {
        deflated.push(0);
    }
    deflated
}

fn write_elements(out: &mut Vec<u8>, dataset: &Dataset, encoding: Encoding, charset: &Charset) {
    for element in dataset {
        write_element(out, element, encoding, charset);
    }
}

fn write_element(out: &mut Vec<u8>, element: &Element, encoding: Encoding, charset: &Charset) {
    let Element { tag, vr, value } = element;
    if !encoding.explicit && !readable(*tag, value) {
        write_header(out, *tag, *vr, 0, encoding);
        return;
    }
    match value {
        Value::Text(text) => {
            let mut bytes = charset.encode(*vr, text).unwrap_or_else(|| text.as_bytes().to_vec());
            if bytes.len() % 2 == 1 {
                bytes.push(if *vr == Vr::UI { 0 } else { b' ' });
            }
            write_header(out, *tag, *vr, bytes.len() as u32, encoding);
            out.extend_from_slice(&bytes);
        }
        Value::Bytes(bytes) => {
            write_header(out, *tag, *vr, bytes.len().next_multiple_of(2) as u32, encoding);
            let start = out.len();
            out.extend_from_slice(bytes);
            if encoding.big_endian {
                swap_bytes(*vr, &mut out[start..]);
            }
            if bytes.len() % 2 == 1 {
                out.push(0);
            }
        }
        Value::Items(items) => {
            let mut body = Vec::new();
            for item in items {
                let mut inner = Vec::new();
                match item.text(tags::SPECIFIC_CHARACTER_SET) {
                    Some(own) => write_elements(&mut inner, item, encoding, &Charset::parse(own)),
                    None => write_elements(&mut inner, item, encoding, charset),
                }
                write_header(&mut body, tags::ITEM, Vr::UN, inner.len() as u32, encoding);
                body.extend_from_slice(&inner);
            }
            let told = encoding.explicit || dict::vr(*tag) == Some(Vr::SQ);
            let length = if told { body.len() as u32 } else { UNDEFINED };
            write_header(out, *tag, Vr::SQ, length, encoding);
            out.extend_from_slice(&body);
            if !told {
                write_header(out, tags::SEQUENCE_DELIMITATION, Vr::UN, 0, encoding);
            }
        }
        Value::Fragments(fragments) => {
            write_header(out, *tag, *vr, UNDEFINED, encoding);
            for fragment in fragments {
                let length = fragment.len().next_multiple_of(2);
                write_header(out, tags::ITEM, Vr::UN, length as u32, encoding);
                out.extend_from_slice(fragment);
                out.resize(out.len() + length - fragment.len(), 0);
            }
            write_header(out, tags::SEQUENCE_DELIMITATION, Vr::UN, 0, encoding);
        }
    }
}

/// Whether somebody who has the VR from the dictionary can read the value in Implicit VR. Where an
/// element came with another VR, one that has no value is better than one that breaks the rest.
fn readable(tag: Tag, value: &Value) -> bool {
    match (dict::vr(tag), value) {
        (Some(Vr::SQ) | None | Some(Vr::UN), Value::Items(_)) => true,
        (Some(Vr::OB | Vr::OW), Value::Fragments(_)) => true,
        (_, Value::Items(_) | Value::Fragments(_)) | (Some(Vr::SQ), _) => false,
        _ => true,
    }
}

fn write_header(out: &mut Vec<u8>, tag: Tag, vr: Vr, length: u32, encoding: Encoding) {
    let u16_bytes = |n: u16| if encoding.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let u32_bytes = |n: u32| if encoding.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    out.extend_from_slice(&u16_bytes(tag.group()));
    out.extend_from_slice(&u16_bytes(tag.element()));
    if !encoding.explicit || tag.group() == 0xFFFE {
        out.extend_from_slice(&u32_bytes(length));
        return;
    }
    // a short VR cannot hold 64 KiB or more: PS3.5 6.2.2 lets it travel as UN
    let vr = if !vr.has_long_length() && length > 0xFFFF { Vr::UN } else { vr };
    out.extend_from_slice(vr.as_str().as_bytes());
    if vr.has_long_length() {
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&u32_bytes(length));
    } else {
        out.extend_from_slice(&u16_bytes(length as u16));
    }
}
