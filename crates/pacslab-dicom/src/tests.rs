//! Parsing and writing together: what comes in, what goes out, and what is refused.

use pacslab_model::{Tag, Vr, tags};
use proptest::prelude::*;

use crate::{
    Dataset, Element, ParseError, TransferSyntax, Value, encode, parse, parse_until, scan,
};

const SYNTAXES: [TransferSyntax; 4] = [
    TransferSyntax::ImplicitLe,
    TransferSyntax::ExplicitLe,
    TransferSyntax::ExplicitBe,
    TransferSyntax::DeflatedLe,
];

fn sample() -> Dataset {
    let step = Dataset::new()
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, vec![Dataset::new(), Dataset::new()]);
    let mut set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::SOP_CLASS_UID, Vr::UI, "1.2.840.10008.5.1.4.1.1.2")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Buc^Jérôme")
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
    set.put_u16(tags::ROWS, 0x1234);
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![1, 2, 3, 4]);
    set
}

#[test]
fn every_syntax_brings_the_same_data_set_back() {
    for syntax in SYNTAXES {
        let bytes = encode(&sample(), &syntax);
        assert_eq!(parse(&bytes, &syntax).unwrap(), sample(), "{syntax:?}");
    }
}

#[test]
fn text_beyond_the_declared_set_is_written_as_utf8() {
    let mut set = sample();
    set.put_str(tags::PATIENT_NAME, Vr::PN, "Yamada^Tarou=山田^太郎");
    let back = parse(&encode(&set, &TransferSyntax::ExplicitLe), &TransferSyntax::ExplicitLe);
    let back = back.unwrap();
    assert_eq!(back.str(tags::SPECIFIC_CHARACTER_SET), "ISO_IR 192");
    assert_eq!(back.str(tags::PATIENT_NAME), "Yamada^Tarou=山田^太郎");
}

#[test]
fn fragments_survive() {
    let syntax = TransferSyntax::from_uid("1.2.840.10008.1.2.4.50");
    let mut set = sample();
    let fragments = vec![vec![], vec![0xFF, 0xD8, 1, 2], vec![3, 4]];
    set.put(Element { tag: tags::PIXEL_DATA, vr: Vr::OB, value: Value::Fragments(fragments) });
    let bytes = encode(&set, &syntax);
    assert_eq!(parse(&bytes, &syntax).unwrap(), set);
    let found = scan::scan(&bytes, &syntax, &[tags::ROWS]).unwrap();
    assert_eq!(found.text(tags::ROWS).as_deref(), Some("4660"));
    assert!(matches!(found.pixel_data, Some((_, None))));
}

/// dicom-object 0.10.1 commits 4.2 GB for these 44 bytes before it fails.
#[test]
fn forty_four_bytes_that_claim_four_gigabytes_cost_nothing() {
    let mut bytes = encode(
        &Dataset::new().with_str(tags::SOP_CLASS_UID, Vr::UI, "1.2.840.10008.5.1.4"),
        &TransferSyntax::ExplicitLe,
    );
    bytes.extend_from_slice(&[0xE0, 0x7F, 0x10, 0x00, b'O', b'B', 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]);
    let error = parse(&bytes, &TransferSyntax::ExplicitLe).unwrap_err();
    assert!(matches!(error, ParseError::TooLong { length: 0xFFFF_FFFE, .. }), "{error}");
    assert!(scan::scan(&bytes, &TransferSyntax::ExplicitLe, &[]).is_err());
    assert_eq!(
        parse_until(&bytes, &TransferSyntax::ExplicitLe, tags::PIXEL_DATA).unwrap().len(),
        1
    );
}

/// 2,000 nested sequences abort a process that follows them by recursion.
#[test]
fn two_thousand_nested_sequences_are_an_error() {
    let mut bytes = Vec::new();
    for _ in 0..2_000 {
        bytes.extend_from_slice(&[0x40, 0, 0x75, 2, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    for result in [
        parse(&bytes, &TransferSyntax::ImplicitLe).map(|_| ()),
        scan::scan(&bytes, &TransferSyntax::ImplicitLe, &[]).map(|_| ()),
    ] {
        assert!(matches!(result, Err(ParseError::TooDeep { .. })), "{result:?}");
    }
}

/// Forty megabytes of empty items became a tree of eleven gigabytes.
#[test]
fn a_million_items_are_the_most() {
    let mut set = Dataset::new();
    set.put_items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![Dataset::new(); crate::MAX_PARTS - 1]);
    assert_eq!(set.parts(), crate::MAX_PARTS);
    let syntax = TransferSyntax::ExplicitLe;
    assert!(parse(&encode(&set, &syntax), &syntax).is_ok());
    set.items_mut(tags::REQUEST_ATTRIBUTES_SEQUENCE).unwrap().push(Dataset::new());
    let error = parse(&encode(&set, &syntax), &syntax).unwrap_err();
    assert!(matches!(error, ParseError::TooMany { .. }), "{error}");
}

#[test]
fn inflation_is_capped() {
    let mut set = Dataset::new();
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![0; 4 << 20]);
    let bytes = encode(&set, &TransferSyntax::DeflatedLe);
    assert!(bytes.len() < 10_000);
    let error = crate::inflated(&bytes, &TransferSyntax::DeflatedLe, 1 << 20).unwrap_err();
    assert_eq!(error, ParseError::InflateLimit { limit: 1 << 20 });
}

/// CP-246: a private sequence that a gateway turned into UN of undefined length.
#[test]
fn un_of_undefined_length_is_an_implicit_sequence() {
    let mut bytes = vec![0x09, 0, 0x10, 0x10, b'U', b'N', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF];
    bytes.extend_from_slice(&[0xFE, 0xFF, 0, 0xE0, 12, 0, 0, 0]);
    bytes.extend_from_slice(&[0x08, 0, 0x60, 0, 4, 0, 0, 0, b'C', b'T', b' ', b' ']);
    bytes.extend_from_slice(&[0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
    let set = parse(&bytes, &TransferSyntax::ExplicitLe).unwrap();
    assert_eq!(set.items(Tag::new(9, 0x1010))[0].str(tags::MODALITY), "CT");
}

#[test]
fn the_wrong_syntax_is_guessed_in_the_message() {
    let bytes = encode(&sample(), &TransferSyntax::ImplicitLe);
    let error = parse(&bytes, &TransferSyntax::ExplicitLe).unwrap_err().to_string();
    assert!(error.contains("Implicit VR"), "{error}");
}

fn any_dataset() -> impl Strategy<Value = Dataset> {
    let leaf = prop_oneof![
        "[ -~&&[^\\\\]]{0,20}[!-~&&[^\\\\]]|".prop_map(|t| (Vr::LO, Value::Text(t))),
        "\\PC{0,10}[a-z]".prop_map(|t| (Vr::LT, Value::Text(t))),
        prop::collection::vec(any::<u16>(), 0..4).prop_map(|v| {
            (Vr::US, Value::Bytes(v.into_iter().flat_map(u16::to_le_bytes).collect()))
        }),
    ];
    let element = leaf.prop_recursive(3, 20, 4, |inner| {
        prop::collection::vec(
            prop::collection::btree_map(0x10u16..0x20, inner, 0..4).prop_map(|m| build(0x4009, m)),
            0..3,
        )
        .prop_map(|items| (Vr::SQ, Value::Items(items)))
    });
    prop::collection::btree_map(0x1000u16..0x1020, element, 0..6).prop_map(|m| build(0x4009, m))
}

fn build(group: u16, elements: std::collections::BTreeMap<u16, (Vr, Value)>) -> Dataset {
    elements
        .into_iter()
        .map(|(element, (vr, value))| Element { tag: Tag::new(group, element), vr, value })
        .collect()
}

proptest! {
    #[test]
    fn explicit_round_trips(set in any_dataset()) {
        for syntax in [TransferSyntax::ExplicitLe, TransferSyntax::ExplicitBe] {
            let mut back = parse(&encode(&set, &syntax), &syntax).unwrap();
            back.remove(tags::SPECIFIC_CHARACTER_SET);
            prop_assert_eq!(&back, &set);
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for syntax in SYNTAXES {
            let _ = parse(&bytes, &syntax);
            let _ = scan::scan(&bytes, &syntax, &[tags::PATIENT_ID]);
        }
        let _ = crate::file::read(&bytes);
    }

    #[test]
    fn cut_and_flipped_data_sets_never_panic(at in 0usize..200, bit in 0u8..8, cut in 0usize..200) {
        for syntax in SYNTAXES {
            let mut bytes = encode(&sample(), &syntax);
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let _ = parse(&bytes, &syntax);
            bytes.truncate(cut);
            let _ = parse(&bytes, &syntax);
            let _ = scan::scan(&bytes, &syntax, &[tags::PATIENT_ID, tags::ROWS]);
        }
    }
}

/// Everything behind an element (FFFF,FFFF) was left out without a word.
#[test]
fn the_last_tag_is_no_end() {
    let syntax = TransferSyntax::ExplicitLe;
    let mut bytes = b"\xff\xff\xff\xffLO\x02\x00ab".to_vec();
    bytes.extend(b"\x10\x00\x20\x00LO\x02\x00P1");
    assert!(matches!(parse(&bytes, &syntax), Err(ParseError::Order { .. })));
    assert_eq!(parse(&bytes[..10], &syntax).unwrap().len(), 1);
}

/// A maker's sequence came back as bytes from what we had written in Implicit VR.
#[test]
fn private_sequences_stay_sequences_in_implicit_vr() {
    let inner = Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P1");
    let set = Dataset::new().with_items(Tag::new(0x0029, 0x1010), vec![inner.clone(), inner]);
    for syntax in [TransferSyntax::ImplicitLe, TransferSyntax::ExplicitLe] {
        assert_eq!(parse(&encode(&set, &syntax), &syntax).as_ref(), Ok(&set), "{syntax:?}");
    }
}

/// A worklist file with a text where a sequence belongs made an answer that no scanner could read.
#[test]
fn what_its_tag_forbids_has_no_value_in_implicit_vr() {
    let set = Dataset::new()
        .with_items(tags::PATIENT_NAME, vec![Dataset::new()])
        .with_str(tags::PATIENT_ID, Vr::LO, "P1")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, Vr::SH, "S1");
    let read = parse(&encode(&set, &TransferSyntax::ImplicitLe), &TransferSyntax::ImplicitLe);
    let read = read.unwrap();
    assert_eq!((read.str(tags::PATIENT_NAME), read.str(tags::PATIENT_ID)), ("", "P1"));
    assert!(read.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).is_empty());
    let same = parse(&encode(&set, &TransferSyntax::ExplicitLe), &TransferSyntax::ExplicitLe);
    assert_eq!(same.as_ref(), Ok(&set));
}
