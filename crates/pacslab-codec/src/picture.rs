//! 8 bits a sample, ready for a screen: scaling, PNG, JPEG.

use crate::error::Error;

/// A frame as it is shown: gray or RGB, rows from the top.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: u32,
    pub height: u32,
    /// 1 gray, 3 RGB.
    pub channels: usize,
    pub pixels: Vec<u8>,
}

/// The bytes of a PNG file.
#[derive(Clone, PartialEq, Eq)]
pub struct Png(pub Vec<u8>);

/// The bytes of a JPEG file.
#[derive(Clone, PartialEq, Eq)]
pub struct Jpeg(pub Vec<u8>);

impl Picture {
    pub(crate) fn gray(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        Self { width, height, channels: 1, pixels }
    }

    pub(crate) fn rgb(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        Self { width, height, channels: 3, pixels }
    }

    /// Shrinks until neither side is longer than `side`; each new pixel is the mean of the area
    /// that it covers.
    #[must_use]
    pub fn fit(self, side: u32) -> Self {
        let longest = self.width.max(self.height);
        if longest <= side || side == 0 {
            return self;
        }
        let scaled = |length: u32| {
            ((u64::from(length) * u64::from(side) / u64::from(longest)) as u32).max(1)
        };
        let (width, height) = (scaled(self.width), scaled(self.height));
        // separable: columns first, then rows
        let narrow = shrink(&self.pixels, self.width, width, self.height, self.channels);
        let turned = transpose(&narrow, width, self.height, self.channels);
        let small = shrink(&turned, self.height, height, width, self.channels);
        let pixels = transpose(&small, height, width, self.channels);
        Self { width, height, channels: self.channels, pixels }
    }

    /// # Errors
    /// [`Error::Encoding`], with the encoder's reason.
    pub fn png(&self) -> Result<Png, Error> {
        let failed =
            |e: png::EncodingError| Error::Encoding { format: "PNG", reason: e.to_string() };
        let mut bytes = Vec::with_capacity(self.pixels.len() / 2 + 1024);
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(match self.channels {
            3 => png::ColorType::Rgb,
            _ => png::ColorType::Grayscale,
        });
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(failed)?;
        writer.write_image_data(&self.pixels).map_err(failed)?;
        writer.finish().map_err(failed)?;
        Ok(Png(bytes))
    }

    /// `quality` is 1 to 100.
    ///
    /// # Errors
    /// [`Error::Large`] beyond 65,535 pixels a side, which the format cannot hold.
    pub fn jpeg(&self, quality: u8) -> Result<Jpeg, Error> {
        let (Ok(width), Ok(height)) = (u16::try_from(self.width), u16::try_from(self.height))
        else {
            let limit = u64::from(u16::MAX) * u64::from(u16::MAX);
            return Err(Error::Large { columns: self.width, rows: self.height, limit });
        };
        let color = match self.channels {
            3 => jpeg_encoder::ColorType::Rgb,
            _ => jpeg_encoder::ColorType::Luma,
        };
        let mut bytes = Vec::with_capacity(self.pixels.len() / 4 + 1024);
        jpeg_encoder::Encoder::new(&mut bytes, quality.clamp(1, 100))
            .encode(&self.pixels, width, height, color)
            .map_err(|e| Error::Encoding { format: "JPEG", reason: e.to_string() })?;
        Ok(Jpeg(bytes))
    }
}

/// Shortens lines of `from` pixels to `to`, in integers so that every platform agrees.
fn shrink(pixels: &[u8], from: u32, to: u32, lines: u32, channels: usize) -> Vec<u8> {
    if from == to {
        return pixels.to_vec();
    }
    let (from, to) = (u64::from(from), u64::from(to));
    let mut out = Vec::with_capacity((to * u64::from(lines)) as usize * channels);
    for line in pixels.chunks_exact(from as usize * channels) {
        for x in 0..to {
            // the new pixel covers [x * from, (x + 1) * from) in units of 1/to of an old one
            let (start, end) = (x * from, (x + 1) * from);
            for channel in 0..channels {
                let mut sum = 0;
                for old in start / to..end.div_ceil(to) {
                    let covered = end.min((old + 1) * to) - start.max(old * to);
                    sum += covered * u64::from(line[old as usize * channels + channel]);
                }
                out.push(((sum + from / 2) / from) as u8);
            }
        }
    }
    out
}

fn transpose(pixels: &[u8], width: u32, height: u32, channels: usize) -> Vec<u8> {
    let (width, height) = (width as usize, height as usize);
    let mut out = Vec::with_capacity(pixels.len());
    for x in 0..width {
        for y in 0..height {
            let at = (y * width + x) * channels;
            out.extend_from_slice(&pixels[at..at + channels]);
        }
    }
    out
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {}, {} channels)", self.width, self.height, self.channels)
    }
}

impl std::fmt::Debug for Png {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Png({} bytes)", self.0.len())
    }
}

impl std::fmt::Debug for Jpeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Jpeg({} bytes)", self.0.len())
    }
}
