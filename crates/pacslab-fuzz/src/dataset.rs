//! Data sets, files and identifiers.

use std::io::Write;

use pacslab_dicom::{
    Dataset, Element, MAX_PARTS, TransferSyntax, Value, dump, encode, file, inflated, json, parse,
    query_keys,
};
use pacslab_model::matching::{self, Rules};
use pacslab_model::{Key, tags};

use crate::split_first;

/// What may be made of deflated bytes here; the limits themselves have tests of their own.
const MOST_INFLATED: usize = 1 << 20;

/// A data set in the transfer syntax that the first byte chooses.
pub(crate) fn dataset(data: &[u8]) {
    let Some((bytes, syntax)) = chosen(data) else { return };
    let set = match parse(&bytes, &syntax) {
        Ok(set) => set,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let plain = inflated(&bytes, &syntax, usize::MAX).map_or(0, |plain| plain.len());
    assert!(set.parts() <= MAX_PARTS.min(plain / 8), "{} of {plain} bytes", set.parts());
    // a letter of a single byte takes up to three in UTF-8
    assert!(content(&set) <= 3 * plain, "{} of {plain} bytes", content(&set));
    written_and_read(&set, &syntax);
    shown(&set, plain);
}

/// A Part 10 file.
pub(crate) fn part10(data: &[u8]) {
    let (meta, start) = match file::read_meta(data) {
        Ok(read) => read,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(start <= data.len());
    let head = meta.encode();
    let again = file::read_meta(&head).map(|(again, end)| (again, end == head.len()));
    assert_eq!(again.as_ref(), Ok(&(meta.clone(), true)));
    if meta.transfer_syntax == TransferSyntax::DeflatedLe
        && inflated(&data[start..], &meta.transfer_syntax, MOST_INFLATED).is_err()
    {
        return;
    }
    let Ok((_, set)) = file::read(data) else { return };
    let header = file::read_header(data).map(|(_, header)| header);
    let pixels = set.iter().filter(|element| element.tag >= tags::PIXEL_DATA).count();
    assert_eq!(header.map(|header| header.len()), Ok(set.len() - pixels));
    if let Ok((again, _)) = file::read(&file::write(&meta, &set)) {
        assert_eq!(again, meta);
    } else {
        panic!("what was written cannot be read");
    }
}

/// An identifier of C-FIND as keys, and what these match.
pub(crate) fn query(data: &[u8]) {
    let Some((bytes, syntax)) = chosen(data) else { return };
    let Ok(set) = parse(&bytes, &syntax) else { return };
    let keys = match query_keys(&set) {
        Ok(keys) => keys,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    assert!(keys.len() <= set.len());
    for rules in [Rules::WORKLIST, Rules::QUERY] {
        // deterministic, and nothing is too much for it
        let first = matching::matches(&keys, &set, &rules);
        assert_eq!(matching::matches(&keys, &set, &rules), first);
        let folded = Rules { fold_all: true, fold_accents: true, ..rules };
        if first.is_match() {
            let still = matching::matches(&keys, &set, &folded);
            assert!(still.is_match(), "case and accents only ever hide less: {still:?}");
        }
    }
    let universal: Vec<Key> = keys.iter().map(|key| Key::any(key.tag, key.vr)).collect();
    assert!(matching::matches(&universal, &set, &Rules::QUERY).is_match());
}

/// The transfer syntax that the first byte chooses, and the bytes in it. `None`: they inflate to
/// more than is worth the time.
pub(crate) fn chosen(data: &[u8]) -> Option<(Vec<u8>, TransferSyntax)> {
    let (choice, rest) = split_first(data);
    let (bytes, syntax) = match choice % 6 {
        0 => (rest.to_vec(), TransferSyntax::ImplicitLe),
        1 => (rest.to_vec(), TransferSyntax::ExplicitLe),
        2 => (rest.to_vec(), TransferSyntax::ExplicitBe),
        3 => (rest.to_vec(), TransferSyntax::Encapsulated("1.2.840.10008.1.2.4.50".into())),
        // a stream that a mutation would nearly always break
        4 => (deflated(rest), TransferSyntax::DeflatedLe),
        _ => (rest.to_vec(), TransferSyntax::DeflatedLe),
    };
    let small = syntax != TransferSyntax::DeflatedLe
        || !matches!(
            inflated(&bytes, &syntax, MOST_INFLATED),
            Err(pacslab_dicom::ParseError::InflateLimit { .. })
        );
    small.then_some((bytes, syntax))
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    match encoder.write_all(bytes).and_then(|()| encoder.finish()) {
        Ok(deflated) => deflated,
        Err(error) => panic!("memory is full: {error}"),
    }
}

/// Bytes of all values.
fn content(set: &Dataset) -> usize {
    set.iter()
        .map(|element| match &element.value {
            Value::Text(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Fragments(fragments) => fragments.iter().map(Vec::len).sum(),
            Value::Items(items) => items.iter().map(content).sum(),
        })
        .sum()
}

/// What was read is written, and read again as the same.
fn written_and_read(set: &Dataset, syntax: &TransferSyntax) {
    let written = encode(set, syntax);
    let again = match parse(&written, syntax) {
        Ok(again) => again,
        Err(error) => panic!("what was written cannot be read: {error}\n{set:?}"),
    };
    assert_eq!(parse(&encode(&again, syntax), syntax).as_ref(), Ok(&again), "and once more");
    // a data set whose letters do not fit the set it declares is written in another one
    if again.get(tags::SPECIFIC_CHARACTER_SET) == set.get(tags::SPECIFIC_CHARACTER_SET) {
        assert_eq!(again, even(set), "it came back as another one");
    }
}

/// The same with values of even length, as they have to be written.
fn even(set: &Dataset) -> Dataset {
    let padded = |bytes: &Vec<u8>| {
        let mut bytes = bytes.clone();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let value = |value: &Value| match value {
        Value::Text(text) => Value::Text(text.clone()),
        Value::Bytes(bytes) => Value::Bytes(padded(bytes)),
        Value::Fragments(fragments) => Value::Fragments(fragments.iter().map(padded).collect()),
        Value::Items(items) => Value::Items(items.iter().map(even).collect()),
    };
    set.iter().map(|e| Element { tag: e.tag, vr: e.vr, value: value(&e.value) }).collect()
}

/// What people and programs are shown of it.
fn shown(set: &Dataset, plain: usize) {
    let text = json::to_json(set).to_string();
    assert!(text.len() <= 64 * plain + 64, "{} of {plain} bytes", text.len());
    let lines = dump::dump(set);
    assert!(lines.chars().all(|c| c == '\n' || !c.is_control()), "{lines:?}");
    for element in set {
        let _ = set.number(element.tag);
    }
}
