//! Grayscale: modality LUT, window, display. PS3.3 C.11.1.1.2, C.11.2.1.2.

use pacslab_dicom::Dataset;
use pacslab_model::{Tag, tags};

use crate::Options;
use crate::describe::{Description, Photometric};
use crate::picture::Picture;
use crate::samples::Samples;

const PIXEL_PADDING_VALUE: Tag = Tag::new(0x0028, 0x0120);
const VOI_LUT_FUNCTION: Tag = Tag::new(0x0028, 0x1056);
const SHARED_FUNCTIONAL_GROUPS: Tag = Tag::new(0x5200, 0x9229);
const PER_FRAME_FUNCTIONAL_GROUPS: Tag = Tag::new(0x5200, 0x9230);
const FRAME_VOI_LUT: Tag = Tag::new(0x0028, 0x9132);
const PIXEL_VALUE_TRANSFORMATION: Tag = Tag::new(0x0028, 0x9145);

/// Which values are shown between black and white.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Window {
    pub center: f64,
    pub width: f64,
    pub function: Function,
}

/// (0028,1056) VOILUTFunction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Function {
    #[default]
    Linear,
    LinearExact,
    Sigmoid,
}

impl Window {
    pub const fn new(center: f64, width: f64) -> Self {
        Self { center, width, function: Function::Linear }
    }

    /// From the lowest to the highest value.
    fn covering(low: f64, high: f64) -> Self {
        let width = (high - low).max(f64::MIN_POSITIVE);
        Self { center: low + width / 2.0, width, function: Function::LinearExact }
    }

    /// 0 (black) to 1 (white). PS3.3 C.11.2.1.2.1 and C.11.2.1.3.
    pub fn apply(&self, value: f64) -> f64 {
        let (center, width) = (self.center, self.width);
        let shown = match self.function {
            Function::Linear if width > 1.0 => (value - (center - 0.5)) / (width - 1.0) + 0.5,
            // a width of 1 is a threshold
            Function::Linear => f64::from(u8::from(value > center - 0.5)),
            Function::LinearExact => (value - center) / width + 0.5,
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        };
        // a NaN out of absurd attributes is black
        if shown > 0.0 { shown.min(1.0) } else { 0.0 }
    }
}

pub(crate) fn show(
    dataset: &Dataset,
    description: &Description,
    samples: Samples<'_>,
    frame: usize,
    options: &Options,
) -> Picture {
    let rescale = Rescale::of(dataset, frame);
    let padding = dataset.number(PIXEL_PADDING_VALUE).map(|value| value as i64);
    let (low, high) = range(&samples, padding);
    let (min, max) = range(&samples, None);
    let window = options.window.or_else(|| recommended(dataset, frame)).unwrap_or_else(|| {
        let (a, b) = (rescale.apply(low), rescale.apply(high));
        Window::covering(a.min(b), a.max(b))
    });
    let inverse = description.photometric == Photometric::Monochrome { inverse: true };
    let display = |stored: i64| {
        let shown = window.apply(rescale.apply(stored));
        ((if inverse { 1.0 - shown } else { shown }) * 255.0).round() as u8
    };

    let mut pixels = Vec::with_capacity(samples.len());
    // values repeat: with a moderate range each is computed once
    if max - min < 1 << 16 {
        let table: Vec<u8> = (min..=max).map(display).collect();
        samples.for_each(|stored| pixels.push(table[(stored - min) as usize]));
    } else {
        samples.for_each(|stored| pixels.push(display(stored)));
    }
    Picture::gray(description.columns, description.rows, pixels)
}

/// The lowest and highest stored value, without those that mean "nothing here".
fn range(samples: &Samples<'_>, padding: Option<i64>) -> (i64, i64) {
    let (mut low, mut high) = (i64::MAX, i64::MIN);
    samples.for_each(|value| {
        if Some(value) != padding {
            low = low.min(value);
            high = high.max(value);
        }
    });
    if low > high { (0, 0) } else { (low, high) }
}

/// RescaleSlope and RescaleIntercept.
#[derive(Clone, Copy, Debug)]
struct Rescale {
    slope: f64,
    intercept: f64,
}

impl Rescale {
    fn of(dataset: &Dataset, frame: usize) -> Self {
        let source = with(dataset, frame, PIXEL_VALUE_TRANSFORMATION, tags::RESCALE_SLOPE);
        let slope = source.and_then(|set| set.number(tags::RESCALE_SLOPE));
        let intercept = source.and_then(|set| set.number(tags::RESCALE_INTERCEPT));
        Self {
            slope: slope.filter(|s| s.is_finite() && *s != 0.0).unwrap_or(1.0),
            intercept: intercept.filter(|i| i.is_finite()).unwrap_or(0.0),
        }
    }

    fn apply(self, stored: i64) -> f64 {
        stored as f64 * self.slope + self.intercept
    }
}

/// The first window of the object.
fn recommended(dataset: &Dataset, frame: usize) -> Option<Window> {
    let source = with(dataset, frame, FRAME_VOI_LUT, tags::WINDOW_CENTER)?;
    let center = source.number(tags::WINDOW_CENTER).filter(|c| c.is_finite())?;
    let function = match source.str(VOI_LUT_FUNCTION) {
        "SIGMOID" => Function::Sigmoid,
        "LINEAR_EXACT" => Function::LinearExact,
        _ => Function::Linear,
    };
    // LINEAR wants at least 1, the others anything above 0; less is no window
    let least = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
    let width = source.number(tags::WINDOW_WIDTH).filter(|w| w.is_finite() && *w >= least)?;
    Some(Window { center, width, function })
}

/// Where an attribute stands: in the image itself or, in enhanced objects, in the functional
/// groups of the frame or in those shared by all (PS3.3 C.7.6.16).
fn with(dataset: &Dataset, frame: usize, macro_sequence: Tag, tag: Tag) -> Option<&Dataset> {
    let groups = [
        dataset.items(PER_FRAME_FUNCTIONAL_GROUPS).get(frame),
        dataset.items(SHARED_FUNCTIONAL_GROUPS).first(),
    ];
    std::iter::once(dataset)
        .chain(groups.into_iter().flatten().filter_map(|g| g.items(macro_sequence).first()))
        .find(|set| set.contains(tag))
}
