use pacslab_dicom::{Dataset, TransferSyntax, Value};
use pacslab_model::{Tag, Uid, Vr, tags};
use proptest::prelude::*;

use super::*;

const LE: TransferSyntax = TransferSyntax::ExplicitLe;

/// A CT-like image of 16 bits, 12 stored, that holds `values`.
fn gray16(columns: u16, rows: u16, values: &[u16]) -> Dataset {
    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut set = Dataset::new();
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, rows),
        (tags::COLUMNS, columns),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.put_u16(tag, value);
    }
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, bytes);
    set
}

fn rgb(columns: u16, rows: u16, planar: u16, bytes: &[u8]) -> Dataset {
    let mut set = gray16(columns, rows, &[]);
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "RGB");
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 3),
        (tags::PLANAR_CONFIGURATION, planar),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
    ] {
        set.put_u16(tag, value);
    }
    set.put_bytes(tags::PIXEL_DATA, Vr::OB, bytes.to_vec());
    set
}

fn shown(set: &Dataset) -> Vec<u8> {
    picture(set, &LE, 0, &Options::default()).unwrap().pixels
}

#[test]
fn the_window_of_the_object_is_applied_after_rescaling() {
    // HU -160, 40, 240 around the soft tissue window 40/400
    let mut set = gray16(3, 1, &[864, 1064, 1264]);
    set.put_str(tags::RESCALE_INTERCEPT, Vr::DS, "-1024");
    set.put_str(tags::RESCALE_SLOPE, Vr::DS, "1");
    set.put_str(tags::WINDOW_CENTER, Vr::DS, r"40\-600");
    set.put_str(tags::WINDOW_WIDTH, Vr::DS, r"400\1500");
    assert_eq!(shown(&set), [0, 128, 255]);

    let lung = Options { window: Some(Window::new(-600.0, 1500.0)), max_size: None };
    assert!(picture(&set, &LE, 0, &lung).unwrap().pixels[0] > 200);
}

#[test]
fn window_formulas_are_those_of_the_standard() {
    // PS3.3 C.11.2.1.2.1: c=2048, w=4096 on 0..=4095 is y = x * 255 / 4095; note 1
    let window = Window::new(2048.0, 4096.0);
    assert_eq!(window.apply(0.0), 0.0);
    assert_eq!(window.apply(4095.0), 1.0);
    // c=2048, w=1: a threshold at 2048
    let edge = Window::new(2048.0, 1.0);
    assert_eq!((edge.apply(2047.0), edge.apply(2048.0)), (0.0, 1.0));
    let exact = Window { function: Function::LinearExact, ..Window::new(0.0, 100.0) };
    assert_eq!((exact.apply(-50.0), exact.apply(0.0), exact.apply(50.0)), (0.0, 0.5, 1.0));
    let sigmoid = Window { function: Function::Sigmoid, ..Window::new(10.0, 20.0) };
    assert_eq!(sigmoid.apply(10.0), 0.5);
    assert_eq!(window.apply(f64::NAN), 0.0);
}

#[test]
fn without_a_window_the_whole_range_is_shown() {
    let mut set = gray16(4, 1, &[100, 200, 300, 0]);
    assert_eq!(shown(&set), [85, 170, 255, 0]);
    set.put_u16(Tag::new(0x0028, 0x0120), 0);
    assert_eq!(shown(&set), [0, 128, 255, 0], "padding does not widen the range");
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME1");
    assert_eq!(shown(&set), [255, 128, 0, 255]);
}

#[test]
fn only_stored_bits_count() {
    // 12 bits stored at the top, signed: 0x8000 is -2048
    let mut set = gray16(3, 1, &[0x800F, 0x0000, 0x7FF3]);
    set.put_u16(tags::HIGH_BIT, 15);
    set.put_u16(tags::PIXEL_REPRESENTATION, 1);
    assert_eq!(shown(&set), [0, 128, 255]);
}

#[test]
fn colours_interleaved_planar_palette_and_ybr() {
    assert_eq!(shown(&rgb(2, 1, 0, &[1, 2, 3, 4, 5, 6])), [1, 2, 3, 4, 5, 6]);
    assert_eq!(shown(&rgb(2, 1, 1, &[1, 4, 2, 5, 3, 6])), [1, 2, 3, 4, 5, 6]);
    let mut ybr = rgb(1, 1, 0, &[76, 85, 255]);
    ybr.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "YBR_FULL");
    assert_eq!(shown(&ybr), [254, 0, 0]);

    let mut palette = gray16(2, 1, &[7, 9]);
    palette.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "PALETTE COLOR");
    for element in [0x1101, 0x1102, 0x1103] {
        let descriptor: Vec<u8> = [2u16, 8, 16].iter().flat_map(|v| v.to_le_bytes()).collect();
        palette.put_bytes(Tag::new(0x0028, element), Vr::US, descriptor);
        let data = (u32::from(element) << 16 | 0x00_AA00).to_le_bytes().to_vec();
        palette.put_bytes(Tag::new(0x0028, element + 0x100), Vr::OW, data);
    }
    assert_eq!(shown(&palette), [0xAA, 0xAA, 0xAA, 0x11, 0x11, 0x11]);
}

#[test]
fn enhanced_objects_keep_their_window_in_functional_groups() {
    let mut set = gray16(1, 1, &[100, 100]);
    set.put_str(tags::NUMBER_OF_FRAMES, Vr::IS, "2");
    let voi = |center: &str| {
        let voi = Dataset::new().with_str(tags::WINDOW_CENTER, Vr::DS, center).with_str(
            tags::WINDOW_WIDTH,
            Vr::DS,
            "10",
        );
        Dataset::new().with_items(Tag::new(0x0028, 0x9132), vec![voi])
    };
    set.put_items(Tag::new(0x5200, 0x9230), vec![voi("500"), voi("0")]);
    let at = |frame| picture(&set, &LE, frame, &Options::default()).unwrap().pixels;
    assert_eq!((at(0), at(1)), (vec![0], vec![255]));
    assert_eq!(frames(&set), 2);
}

#[test]
fn what_cannot_be_shown_says_why() {
    let mut set = gray16(2, 2, &[1, 2, 3]);
    let error = |set: &Dataset, ts: &TransferSyntax, frame| {
        picture(set, ts, frame, &Options::default()).unwrap_err()
    };
    assert_eq!(error(&set, &LE, 0), Error::Short { frame: 1, needed: 8, present: 6 });
    assert_eq!(error(&set, &LE, 4), Error::NoSuchFrame { wanted: 5, frames: 1 });
    let jpeg = TransferSyntax::Encapsulated(Uid::new("1.2.840.10008.1.2.4.70"));
    let Error::Unsupported(name) = error(&set, &jpeg, 0) else { panic!() };
    assert!(name.contains("JPEG Lossless"), "{name}");
    set.put_u16(tags::HIGH_BIT, 3);
    assert!(error(&set, &LE, 0).to_string().starts_with("HighBit is 3"));
    set.put_u16(tags::ROWS, 65_535);
    set.put_u16(tags::COLUMNS, 65_535);
    assert!(matches!(error(&set, &LE, 0), Error::Large { .. }));
    set.remove(tags::ROWS);
    assert!(error(&set, &LE, 0).to_string().contains("Rows is missing"));
    assert_eq!(error(&Dataset::new(), &LE, 0), Error::NoPixels);
}

#[test]
fn shrinking_takes_the_mean_and_keeps_the_shape() {
    let set = gray16(4, 2, &[0, 0, 200, 200, 0, 100, 255, 201]);
    let options = Options { window: Some(Window::new(128.0, 256.0)), max_size: Some(2) };
    let small = picture(&set, &LE, 0, &options).unwrap();
    assert_eq!((small.width, small.height), (2, 1));
    assert_eq!(small.pixels, [25, 214]);
}

#[test]
fn pictures_become_files_that_others_read() {
    let set = gray16(5, 3, &(0..15).collect::<Vec<u16>>());
    let png = render(&set, &LE, 0, &Options::default()).unwrap();
    let mut reader =
        png::Decoder::new(std::io::Cursor::new(&png.0)).read_info().expect("a PNG header");
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert_eq!(pixels, shown(&set));

    let jpeg = render_jpeg(&rgb(8, 8, 0, &[90; 192]), &LE, 0, &Options::default(), 90).unwrap();
    assert!(jpeg.0.starts_with(&[0xFF, 0xD8]) && jpeg.0.ends_with(&[0xFF, 0xD9]));
}

proptest! {
    #[test]
    fn random_attributes_never_panic(
        numbers in proptest::collection::vec(0u16..40, 8),
        wild in any::<u16>(),
        which in 0usize..8,
        photometric in prop::sample::select(vec![
            "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "PALETTE COLOR", "HSV", "",
        ]),
        texts in proptest::collection::vec("[-0-9eE.\\\\nainf]{0,8}", 5),
        bytes in proptest::collection::vec(any::<u8>(), 0..4000),
        frame in 0usize..5,
        side in 0u32..9,
    ) {
        let mut set = Dataset::new();
        let us = [
            tags::SAMPLES_PER_PIXEL, tags::ROWS, tags::COLUMNS, tags::BITS_ALLOCATED,
            tags::BITS_STORED, tags::HIGH_BIT, tags::PIXEL_REPRESENTATION,
            tags::PLANAR_CONFIGURATION,
        ];
        for (tag, value) in us.iter().zip(&numbers) {
            set.put_u16(*tag, *value);
        }
        // mostly plausible depths, so that the far side is reached
        set.put_u16(tags::BITS_ALLOCATED, [1, 8, 16, 32][usize::from(numbers[3]) % 4]);
        set.put_u16(us[which], wild);
        let ds = [
            tags::RESCALE_SLOPE, tags::RESCALE_INTERCEPT, tags::WINDOW_CENTER,
            tags::WINDOW_WIDTH, tags::NUMBER_OF_FRAMES,
        ];
        for (tag, text) in ds.iter().zip(&texts) {
            set.put_str(*tag, Vr::DS, text.as_str());
        }
        for element in 0x1101..0x1104 {
            set.put_bytes(Tag::new(0x0028, element), Vr::US, bytes.iter().copied().take(6).collect());
            set.put_bytes(Tag::new(0x0028, element + 0x100), Vr::OW, bytes.clone());
        }
        set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, photometric);
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, bytes);
        let options = Options { window: None, max_size: Some(side).filter(|s| *s > 0) };
        if let Ok(picture) = picture(&set, &LE, frame, &options) {
            let (w, h) = (picture.width as usize, picture.height as usize);
            prop_assert_eq!(picture.pixels.len(), w * h * picture.channels);
            prop_assert!(picture.png().is_ok());
        }
    }
}

#[test]
fn rle_gives_back_what_it_was_given() {
    let rle = TransferSyntax::from_uid(crate::RLE);
    let mut noise = 7u32;
    let mut random = |_| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // runs and noise
        if noise >> 30 == 0 { (noise >> 16) as u8 } else { 9 }
    };
    let bytes: Vec<u8> = (0..3 * 301 * 7).map(&mut random).collect();
    let words: Vec<u16> =
        (0..301 * 7).map(|at| u16::from(random(at)) << 8 | u16::from(random(at))).collect();
    let planar: Vec<u8> =
        (0..3).flat_map(|sample| bytes.iter().skip(sample).step_by(3).copied()).collect();
    for (set, plain) in [
        (gray16(301, 7, &words), words.iter().flat_map(|word| word.to_le_bytes()).collect()),
        (rgb(301, 7, 0, &bytes), bytes.clone()),
        (rgb(301, 7, 1, &planar), bytes.clone()),
    ] {
        let before = shown(&set);
        let packed = crate::transcode(set, &LE, &rle, 1 << 20).unwrap();
        assert!(matches!(packed.get(tags::PIXEL_DATA).unwrap().value, Value::Fragments(_)));
        assert_eq!(picture(&packed, &rle, 0, &Options::default()).unwrap().pixels, before);
        let back = crate::transcode(packed, &rle, &LE, 1 << 20).unwrap();
        let Some(Value::Bytes(pixels)) = back.get(tags::PIXEL_DATA).map(|one| &one.value) else {
            panic!()
        };
        assert_eq!(pixels[..plain.len()], plain[..]);
        assert_eq!(shown(&back), before);
    }
}
