//! A picture file as the pixels of a Secondary Capture. PS3.3 A.8.1.

use pacslab_dicom::Dataset;
use pacslab_model::{Vr, tags};

use crate::error::Error;

/// Pixels of the largest picture that is taken.
const LARGEST: usize = 1 << 26;

/// Puts a PNG or a JPEG in as pixel data, with the attributes of the Image Pixel module. Transparency
/// is dropped.
///
/// # Errors
/// The bytes are neither, or are damaged, or the picture is too large.
pub fn put_picture(set: &mut Dataset, file: &[u8]) -> Result<(), Error> {
    let raster = match file {
        [0x89, b'P', b'N', b'G', ..] => png(file)?,
        [0xFF, 0xD8, ..] => jpeg(file)?,
        _ => return Err(Error::Raster("it is neither PNG nor JPEG".to_owned())),
    };
    let Raster { columns, rows, samples, bits, mut bytes } = raster;
    let side = |side: u32| {
        u16::try_from(side).map_err(|_| Error::Raster(format!("{side} pixels a side; 65535 fit")))
    };
    set.put_u16(tags::SAMPLES_PER_PIXEL, samples);
    let photometric = if samples == 1 { "MONOCHROME2" } else { "RGB" };
    set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, photometric);
    if samples > 1 {
        set.put_u16(tags::PLANAR_CONFIGURATION, 0);
    }
    set.put_u16(tags::ROWS, side(rows)?);
    set.put_u16(tags::COLUMNS, side(columns)?);
    set.put_u16(tags::BITS_ALLOCATED, bits);
    set.put_u16(tags::BITS_STORED, bits);
    set.put_u16(tags::HIGH_BIT, bits - 1);
    set.put_u16(tags::PIXEL_REPRESENTATION, 0);
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    set.put_bytes(tags::PIXEL_DATA, if bits > 8 { Vr::OW } else { Vr::OB }, bytes);
    Ok(())
}

struct Raster {
    columns: u32,
    rows: u32,
    samples: u16,
    bits: u16,
    bytes: Vec<u8>,
}

fn png(file: &[u8]) -> Result<Raster, Error> {
    use png::{BitDepth, ColorType, Transformations};
    let wrong = |error: png::DecodingError| Error::Raster(format!("PNG: {error}"));
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().map_err(wrong)?;
    let size = reader.output_buffer_size().filter(|size| *size <= LARGEST * 8);
    let mut buffer = vec![0; size.ok_or_else(|| Error::Raster("PNG: too large".to_owned()))?];
    let frame = reader.next_frame(&mut buffer).map_err(wrong)?;
    buffer.truncate(frame.buffer_size());
    let channels = frame.color_type.samples();
    let deep = frame.bit_depth == BitDepth::Sixteen;
    let samples = match frame.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => 1,
        _ => 3,
    };
    let cell = 1 + usize::from(deep);
    let mut bytes = Vec::with_capacity(buffer.len());
    for pixel in buffer.chunks_exact(channels * cell) {
        match (deep, samples) {
            // most significant byte first in the file, last here
            (true, 1) => bytes.extend([pixel[1], pixel[0]]),
            // colour has 8 bits in DICOM
            (true, _) => bytes.extend([pixel[0], pixel[2], pixel[4]]),
            (false, _) => bytes.extend_from_slice(&pixel[..samples]),
        }
    }
    let bits = if deep && samples == 1 { 16 } else { 8 };
    Ok(Raster { columns: frame.width, rows: frame.height, samples: samples as u16, bits, bytes })
}

fn jpeg(file: &[u8]) -> Result<Raster, Error> {
    use jpeg_decoder::{Decoder, PixelFormat};
    let decode = || {
        let mut decoder = Decoder::new(file);
        decoder.set_max_decoding_buffer_size(LARGEST * 4);
        let bytes = decoder.decode().map_err(|error| error.to_string())?;
        let info = decoder.info().ok_or("no image is in it")?;
        let (samples, bits) = match info.pixel_format {
            PixelFormat::L8 => (1, 8),
            PixelFormat::RGB24 => (3, 8),
            other => return Err(format!("{other:?} is not taken")),
        };
        let (columns, rows) = (u32::from(info.width), u32::from(info.height));
        Ok(Raster { columns, rows, samples, bits, bytes })
    };
    // bytes from outside: what the decoder did not think of is an error, too
    std::panic::catch_unwind(decode)
        .unwrap_or_else(|_| Err("the decoder gave up".to_owned()))
        .map_err(|why| Error::Raster(format!("JPEG: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, render, render_jpeg};
    use pacslab_dicom::TransferSyntax;

    fn gray() -> Dataset {
        let mut set = Dataset::new();
        for (tag, value) in [
            (tags::ROWS, 2),
            (tags::COLUMNS, 3),
            (tags::BITS_ALLOCATED, 8),
            (tags::SAMPLES_PER_PIXEL, 1),
        ] {
            set.put_u16(tag, value);
        }
        set.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
        set.put_bytes(tags::PIXEL_DATA, Vr::OB, vec![0, 50, 100, 150, 200, 255]);
        set
    }

    #[test]
    fn a_picture_of_ours_comes_back() {
        let (syntax, options) = (TransferSyntax::ExplicitLe, Options::default());
        let png = render(&gray(), &syntax, 0, &options).unwrap().0;
        let mut back = Dataset::new();
        put_picture(&mut back, &png).unwrap();
        assert_eq!(back.get(tags::PIXEL_DATA), gray().get(tags::PIXEL_DATA));
        assert_eq!((back.u16(tags::ROWS), back.u16(tags::COLUMNS)), (Some(2), Some(3)));
        let jpeg = render_jpeg(&gray(), &syntax, 0, &options, 90).unwrap().0;
        put_picture(&mut back, &jpeg).unwrap();
        assert_eq!(back.u16(tags::COLUMNS), Some(3));
        for bytes in [&b"GIF89a"[..], &png[..40], &jpeg[..20]] {
            assert!(put_picture(&mut back, bytes).is_err());
        }
    }
}
