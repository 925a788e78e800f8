use pacslab_model::Tag;
use proptest::prelude::*;

use super::*;

const RLE: &str = "1.2.840.10008.1.2.5";

/// An object of 8-bit RGB or 16-bit gray pixels.
fn object(columns: u16, rows: u16, samples: u16, fragments: Vec<Vec<u8>>) -> Dataset {
    let mut set = Dataset::new();
    set.put_u16(tags::COLUMNS, columns);
    set.put_u16(tags::ROWS, rows);
    set.put_u16(tags::SAMPLES_PER_PIXEL, samples);
    set.put_u16(tags::BITS_ALLOCATED, if samples == 1 { 16 } else { 8 });
    let photometric = if samples == 1 { "MONOCHROME2" } else { "RGB" };
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, photometric);
    let items = std::iter::once(Vec::new()).chain(fragments).collect();
    set.put(Element { tag: tags::PIXEL_DATA, vr: Vr::OB, value: Value::Fragments(items) });
    set
}

fn rle(segments: &[&[u8]]) -> Vec<u8> {
    let mut frame = vec![0; 64];
    frame[0] = segments.len() as u8;
    let mut at = 64_u32;
    for (number, segment) in segments.iter().enumerate() {
        frame[4 + number * 4..][..4].copy_from_slice(&at.to_le_bytes());
        at += segment.len() as u32;
    }
    segments.iter().for_each(|segment| frame.extend_from_slice(segment));
    frame
}

#[test]
fn rle_planes_become_pixels() {
    // 3 x 1, 16 bits: high bytes 1 1 1 as a run, low bytes 7 8 9 as they are
    let gray = object(3, 1, 1, vec![rle(&[&[254, 1], &[2, 7, 8, 9]])]);
    let syntax = TransferSyntax::from_uid(RLE);
    assert_eq!(Decoder::new(&gray, &syntax).unwrap().frame(0).unwrap(), [7, 1, 8, 1, 9, 1]);
    let rgb = object(2, 1, 3, vec![rle(&[&[1, 1, 2], &[128, 255, 3], &[1, 5, 6, 0]])]);
    let plain = decompress(&rgb, &syntax, 1 << 20).unwrap();
    let pixels = plain.get(tags::PIXEL_DATA).unwrap();
    assert_eq!(pixels.value, Value::Bytes(vec![1, 3, 5, 2, 3, 6]));
    assert_eq!(plain.u16(tags::PLANAR_CONFIGURATION), Some(0));
}

#[test]
fn what_does_not_fit_is_named() {
    let syntax = TransferSyntax::from_uid(RLE);
    let refused = |set: &Dataset, syntax| {
        let decoded = Decoder::new(set, syntax).and_then(|decoder| decoder.frame(0));
        decoded.unwrap_err().to_string()
    };
    let one_plane = object(3, 1, 1, vec![rle(&[&[254, 1]])]);
    assert!(refused(&one_plane, &syntax).contains("1 segments where 2 belong"));
    let short = object(3, 1, 1, vec![rle(&[&[254, 1], &[0, 7]])]);
    assert!(refused(&short, &syntax).contains("ends after 1 of 3"), "{}", refused(&short, &syntax));
    let htj2k = TransferSyntax::from_uid("1.2.840.10008.1.2.4.201");
    assert!(refused(&short, &htj2k).contains("HTJ2K"));
    let jpeg = TransferSyntax::from_uid("1.2.840.10008.1.2.4.70");
    assert!(refused(&short, &jpeg).contains("does not begin as JPEG does"));
    let mut vast = object(65_535, 65_535, 1, vec![vec![0; 8]]);
    assert!(Decoder::new(&vast, &syntax).is_err());
    vast.put_str(Tag::new(0x0028, 0x0008), Vr::IS, "1");
    vast.put_u16(tags::ROWS, 4000);
    let heavy = Decoder::new(&vast, &syntax).unwrap_err();
    assert!(matches!(heavy, Error::Heavy { .. }), "{heavy}");
}

proptest! {
    /// Whatever stands in the fragments, it is a frame of the right length or an error.
    #[test]
    fn no_bytes_break_a_decoder(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        uid in prop::sample::select(vec!["5", "4.50", "4.51", "4.57", "4.70", "4.80", "4.81", "4.90", "4.91"]),
        beginning in prop::sample::select(vec![
            vec![], vec![0xFF, 0xD8, 0xFF, 0xC3, 0, 11, 8, 0, 2, 0, 3, 1],
            vec![0xFF, 0x4F, 0xFF, 0x51], vec![0xFF, 0xD8, 0xFF, 0xF7, 0, 11, 8, 0, 2, 0, 3, 1],
            vec![2, 0, 0, 0, 64, 0, 0, 0, 66, 0, 0, 0],
        ]),
    ) {
        let syntax = TransferSyntax::from_uid(&format!("1.2.840.10008.1.2.{uid}"));
        let set = object(3, 2, 1, vec![[beginning, bytes].concat()]);
        let decoder = Decoder::new(&set, &syntax).unwrap();
        if let Ok(frame) = decoder.frame(0) {
            prop_assert_eq!(frame.len(), decoder.frame_len());
        }
    }
}
