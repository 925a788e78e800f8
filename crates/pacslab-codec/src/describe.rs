//! What the pixels are. PS3.3 C.7.6.3.1.

use pacslab_dicom::{Dataset, Value, dict};
use pacslab_model::{Tag, tags};

use crate::error::Error;

/// More pixels in one frame than any modality makes; whole slides are tiled.
pub(crate) const MAX_PIXELS: u64 = 1 << 28;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Description {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
    pub(crate) samples: u32,
    /// Samples of one kind stand together: all red, all green, all blue.
    pub(crate) planar: bool,
    pub(crate) allocated: u32,
    pub(crate) stored: u32,
    pub(crate) high_bit: u32,
    pub(crate) signed: bool,
    pub(crate) frames: usize,
    pub(crate) photometric: Photometric,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Photometric {
    /// `inverse`: the lowest value is shown white (MONOCHROME1).
    Monochrome {
        inverse: bool,
    },
    Palette,
    Rgb,
    YbrFull,
    /// Subsampled or transformed (YBR_FULL_422, YBR_ICT, YBR_RCT, …): the decoder undoes it.
    YbrTransformed,
}

impl Photometric {
    pub(crate) const fn is_ybr(self) -> bool {
        matches!(self, Self::YbrFull | Self::YbrTransformed)
    }
}

impl Description {
    pub(crate) fn of(dataset: &Dataset) -> Result<Self, Error> {
        if !dataset.contains(tags::PIXEL_DATA) {
            return Err(Error::NoPixels);
        }
        let required = |tag: Tag, name: &'static str| {
            dataset.u16(tag).map(u32::from).ok_or(Error::Missing { tag, name })
        };
        let rows = required(tags::ROWS, "Rows")?;
        let columns = required(tags::COLUMNS, "Columns")?;
        let allocated = required(tags::BITS_ALLOCATED, "BitsAllocated")?;
        let samples = dataset.u16(tags::SAMPLES_PER_PIXEL).map_or(1, u32::from);
        let stored = dataset.u16(tags::BITS_STORED).map_or(allocated, u32::from);
        let high_bit = dataset.u16(tags::HIGH_BIT).map_or(stored.wrapping_sub(1), u32::from);
        let photometric = photometric(dataset.str(tags::PHOTOMETRIC_INTERPRETATION))?;

        for (name, value) in [("Rows", rows), ("Columns", columns)] {
            check(value > 0, name, value, "at least 1")?;
        }
        if u64::from(rows) * u64::from(columns) > MAX_PIXELS {
            return Err(Error::Large { columns, rows, limit: MAX_PIXELS });
        }
        check(matches!(allocated, 1 | 8 | 16 | 32), "BitsAllocated", allocated, "1, 8, 16 or 32")?;
        check((1..=allocated).contains(&stored), "BitsStored", stored, "at most BitsAllocated")?;
        let fits = high_bit < allocated && high_bit + 1 >= stored;
        check(fits, "HighBit", high_bit, "between BitsStored - 1 and BitsAllocated - 1")?;
        match photometric {
            Photometric::Rgb | Photometric::YbrFull | Photometric::YbrTransformed => {
                check(samples == 3, "SamplesPerPixel", samples, "3 in a colour image")?;
                check(allocated == 8, "BitsAllocated", allocated, "8 in a colour image")?;
            }
            Photometric::Monochrome { .. } | Photometric::Palette => {
                check(samples == 1, "SamplesPerPixel", samples, "1 in a grayscale image")?;
            }
        }
        Ok(Self {
            rows,
            columns,
            samples,
            planar: dataset.u16(tags::PLANAR_CONFIGURATION) == Some(1),
            allocated,
            stored,
            high_bit,
            signed: dataset.u16(tags::PIXEL_REPRESENTATION) == Some(1),
            frames: frames(dataset),
            photometric,
        })
    }

    pub(crate) fn pixels(&self) -> usize {
        self.rows as usize * self.columns as usize
    }
}

/// No object that is one file has more: days of video at any rate. What says so says anything.
const MAX_FRAMES: usize = 1 << 20;

/// An image without NumberOfFrames has one; an object without pixels has none.
pub(crate) fn frames(dataset: &Dataset) -> usize {
    match dataset.get(tags::PIXEL_DATA).map(|element| &element.value) {
        Some(Value::Bytes(_) | Value::Fragments(_)) => dataset
            .number(tags::NUMBER_OF_FRAMES)
            .filter(|n| *n >= 1.0)
            .map_or(1, |n| (n as usize).min(MAX_FRAMES)),
        _ => 0,
    }
}

/// What a transfer syntax is called in an error.
pub(crate) fn syntax_name(uid: &str) -> String {
    dict::describe_uid(uid)
}

fn photometric(text: &str) -> Result<Photometric, Error> {
    Ok(match text.trim() {
        "MONOCHROME2" | "" => Photometric::Monochrome { inverse: false },
        "MONOCHROME1" => Photometric::Monochrome { inverse: true },
        "RGB" => Photometric::Rgb,
        "YBR_FULL" => Photometric::YbrFull,
        "YBR_FULL_422" | "YBR_PARTIAL_422" | "YBR_PARTIAL_420" | "YBR_ICT" | "YBR_RCT" => {
            Photometric::YbrTransformed
        }
        "PALETTE COLOR" => Photometric::Palette,
        other => return Err(Error::Photometric(other.to_owned())),
    })
}

fn check(holds: bool, name: &'static str, value: u32, wanted: &'static str) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::Value { name, value: value.to_string(), wanted }) }
}
