//! The images of a benchmark, cheap to make by the thousand.
//!
//! One object of each kind is made before the clock starts. All that differs between two of them
//! has a fixed length, so that the next one is the same bytes with other digits at the same
//! places: the client neither encodes nor allocates them while it measures.

use std::sync::Arc;

use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, encode};
use pacslab_model::{Seed, Tag, Uid, Vr, tags, uids};

use super::data::{Naming, PREFIX};
use super::size::Size;

const MR_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.4";
const CR_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.1";

/// A value that differs between two objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Instance,
    Series,
    Study,
    Accession,
    PatientId,
    Name,
    Date,
    Number,
    Pixels,
}

/// How an object leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A data set: C-STORE.
    Bare,
    /// The body of a POST with one file: STOW-RS.
    Multipart,
}

/// The boundary of such a body.
pub(crate) const BOUNDARY: &str = "pacslab-bench-9f1c2e";

/// The bytes of an object, and where what in it is.
#[derive(Debug)]
pub(crate) struct Template {
    pub(crate) class: Uid,
    bytes: Vec<u8>,
    slots: Vec<(Slot, usize)>,
}

/// The templates of a size.
#[derive(Debug, Clone)]
pub(crate) struct Kinds(Vec<Arc<Template>>);

impl Kinds {
    pub(crate) fn of(size: Size, naming: &Naming, form: Form) -> Self {
        let one =
            |modality, class, bytes| Arc::new(Template::new(modality, class, bytes, naming, form));
        Self(match size {
            Size::Bytes(bytes) => vec![one("CT", uids::CT_IMAGE_STORAGE, bytes)],
            Size::Mixed => {
                let ct = one("CT", uids::CT_IMAGE_STORAGE, 512 << 10);
                let mr = one("MR", MR_IMAGE_STORAGE, 128 << 10);
                let cr = one("CR", CR_IMAGE_STORAGE, 2 << 20);
                let turn = [&ct, &mr, &ct, &ct, &mr, &ct, &cr, &ct, &mr, &ct];
                turn.into_iter().cloned().collect()
            }
        })
    }

    /// The SOP classes, each once.
    pub(crate) fn classes(&self) -> Vec<Uid> {
        let mut classes: Vec<Uid> = self.0.iter().map(|kind| kind.class.clone()).collect();
        classes.sort();
        classes.dedup();
        classes
    }

    /// Objects to be filled, one of each kind.
    pub(crate) fn objects(&self) -> Vec<Object> {
        let object = |template: &Arc<Template>| Object {
            bytes: template.bytes.clone(),
            template: template.clone(),
            instance: Uid::default(),
        };
        self.0.iter().map(object).collect()
    }
}

/// The bytes of one object, which become those of the next.
#[derive(Debug)]
pub(crate) struct Object {
    template: Arc<Template>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) instance: Uid,
}

impl Object {
    /// Makes it the image with this number of a study.
    pub(crate) fn become_image(&mut self, naming: &Naming, study: u64, index: u64) {
        let instance = naming.instance_uid(study, index);
        let texts = [
            (Slot::Instance, instance.clone()),
            (Slot::Series, naming.series_uid(study)),
            (Slot::Study, naming.study_uid(study)),
            (Slot::Accession, naming.accession(study)),
            (Slot::PatientId, naming.patient_id(study)),
            (Slot::Name, Naming::name(study)),
            (Slot::Date, Naming::date(study)),
            (Slot::Number, format!("{index:06}")),
        ];
        for (slot, at) in &self.template.slots {
            if let Some((_, text)) = texts.iter().find(|(named, _)| named == slot)
                && let Some(place) = self.bytes.get_mut(*at..*at + text.len())
            {
                place.copy_from_slice(text.as_bytes());
            } else if *slot == Slot::Pixels
                && let Some(place) = self.bytes.get_mut(*at..*at + 8)
            {
                place.copy_from_slice(&stamp(study ^ index << 32));
            }
        }
        self.instance = Uid::new(instance);
    }

    pub(crate) fn class(&self) -> &Uid {
        &self.template.class
    }
}

/// Four pixels of twelve bits.
fn stamp(number: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    for (at, pixel) in bytes.chunks_exact_mut(2).enumerate() {
        pixel.copy_from_slice(&((number >> (12 * at)) as u16 & 0xFFF).to_le_bytes());
    }
    bytes
}

impl Template {
    fn new(modality: &str, class: &str, pixels: usize, naming: &Naming, form: Form) -> Self {
        // digits of its own, so that no place is found twice
        let marks = [
            (Slot::Instance, naming.instance_uid(9_876_543_210, 987_654_321)),
            (Slot::Series, naming.series_uid(9_876_543_211)),
            (Slot::Study, naming.study_uid(9_876_543_212)),
            (Slot::Accession, naming.accession(9_876_543_213)),
            (Slot::PatientId, naming.patient_id(9_876_543_214)),
            (Slot::Name, format!("{PREFIX}-zzzzz^CASE")),
            (Slot::Date, "--date--".to_owned()),
            (Slot::Number, "-no-no".to_owned()),
        ];
        let value = |slot| {
            let mark = marks.iter().find(|(named, _)| *named == slot);
            mark.map(|(_, text)| text.as_str()).unwrap_or_default()
        };
        let (columns, image) = picture(pixels, naming.seed);
        let mut set = header(modality, class);
        set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, value(Slot::Instance));
        set.put_str(tags::SERIES_INSTANCE_UID, Vr::UI, value(Slot::Series));
        set.put_str(tags::STUDY_INSTANCE_UID, Vr::UI, value(Slot::Study));
        set.put_str(tags::ACCESSION_NUMBER, Vr::SH, value(Slot::Accession));
        set.put_str(tags::PATIENT_ID, Vr::LO, value(Slot::PatientId));
        set.put_str(tags::PATIENT_NAME, Vr::PN, value(Slot::Name));
        set.put_str(tags::STUDY_DATE, Vr::DA, value(Slot::Date));
        set.put_str(tags::INSTANCE_NUMBER, Vr::IS, value(Slot::Number));
        set.put_u16(tags::ROWS, (image.len() / 2 / columns) as u16);
        set.put_u16(tags::COLUMNS, columns as u16);
        let pixel_bytes = image.len();
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, image);
        let mut bytes = Vec::new();
        if form == Form::Multipart {
            let part = format!("--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n");
            bytes.extend_from_slice(part.as_bytes());
            let meta = FileMeta {
                sop_class: Uid::new(class),
                sop_instance: Uid::new(value(Slot::Instance)),
                transfer_syntax: TransferSyntax::ExplicitLe,
                source_aet: None,
            };
            bytes.extend_from_slice(&meta.encode());
        }
        bytes.extend_from_slice(&encode(&set, &TransferSyntax::ExplicitLe));
        let first_pixel = bytes.len() - pixel_bytes;
        let head = &bytes[..first_pixel];
        let mut slots: Vec<(Slot, usize)> = marks
            .iter()
            .flat_map(|(slot, text)| places(head, text.as_bytes()).map(|at| (*slot, at)))
            .collect();
        slots.push((Slot::Pixels, first_pixel));
        if form == Form::Multipart {
            bytes.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        }
        Self { class: Uid::new(class), bytes, slots }
    }
}

/// Everything that is the same in all images.
fn header(modality: &str, class: &str) -> Dataset {
    const EMPTY: [(Tag, Vr); 4] = [
        (tags::REFERRING_PHYSICIAN_NAME, Vr::PN),
        (tags::PATIENT_BIRTH_DATE, Vr::DA),
        (tags::STUDY_ID, Vr::SH),
        (tags::PATIENT_SEX, Vr::CS),
    ];
    let mut set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::IMAGE_TYPE, Vr::CS, r"ORIGINAL\PRIMARY\AXIAL")
        .with_str(tags::SOP_CLASS_UID, Vr::UI, class)
        .with_str(tags::MODALITY, Vr::CS, modality)
        .with_str(tags::MANUFACTURER, Vr::LO, "PACSLAB BENCH")
        .with_str(tags::STUDY_TIME, Vr::TM, "080000")
        .with_str(tags::STUDY_DESCRIPTION, Vr::LO, "SYNTHETIC, MADE BY PACSLAB BENCH")
        .with_str(tags::SERIES_NUMBER, Vr::IS, "1")
        .with_str(tags::RESCALE_INTERCEPT, Vr::DS, "-1024")
        .with_str(tags::RESCALE_SLOPE, Vr::DS, "1")
        .with_str(tags::WINDOW_CENTER, Vr::DS, "40")
        .with_str(tags::WINDOW_WIDTH, Vr::DS, "400")
        .with_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    for (tag, vr) in EMPTY {
        set.put_str(tag, vr, "");
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.put_u16(tag, value);
    }
    set
}

/// Columns, and a bright disc in noise that follows from the seed: about as hard to compress as
/// an image of a patient.
fn picture(bytes: usize, seed: Seed) -> (usize, Vec<u8>) {
    let pixels = bytes / 2;
    let columns = (pixels.isqrt() & !7).max(8);
    let rows = pixels / columns;
    let stream = seed.stream(&["bench", "pixels"]);
    let mut state = stream[..8].iter().fold(1u64, |all, byte| all << 8 | u64::from(*byte)) | 1;
    let mut image = Vec::with_capacity(rows * columns * 2);
    for at in 0..rows * columns {
        // xorshift64: Marsaglia 2003
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (x, y) = (at % columns * 2, at / columns * 2);
        let (x, y) = (x.abs_diff(columns), y.abs_diff(rows));
        let inside = x * x + y * y < columns * rows * 3 / 5;
        let value = if inside { 1064 } else { 24 } + (state & 63) as u16;
        image.extend_from_slice(&value.to_le_bytes());
    }
    (columns, image)
}

/// Where a text stands.
fn places<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    bytes.windows(text.len()).enumerate().filter(move |(_, here)| *here == text).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use pacslab_dicom::{TransferSyntax, file, parse};

    use super::*;

    fn naming() -> Naming {
        Naming::new(Seed(7))
    }

    #[test]
    fn the_next_object_is_another_with_the_same_bytes_elsewhere() {
        let naming = naming();
        let mut object = Kinds::of(Size::Bytes(8 << 10), &naming, Form::Bare).objects().remove(0);
        let read = |object: &Object| parse(&object.bytes, &TransferSyntax::ExplicitLe).unwrap();
        object.become_image(&naming, 12, 3);
        let first = read(&object);
        assert_eq!(first.str(tags::PATIENT_ID), format!("PLBENCH-{}-0000000012", naming.run));
        assert_eq!(first.str(tags::ACCESSION_NUMBER).len(), 16);
        assert_eq!(first.str(tags::SOP_INSTANCE_UID), object.instance.as_str());
        assert_eq!(first.str(tags::STUDY_DATE), Naming::date(12));
        assert!(object.instance.is_valid());
        assert_eq!(first.u16(tags::ROWS), Some(64));
        object.become_image(&naming, 12, 4);
        let second = read(&object);
        assert_eq!(second.str(tags::STUDY_INSTANCE_UID), first.str(tags::STUDY_INSTANCE_UID));
        assert_ne!(second.str(tags::SOP_INSTANCE_UID), first.str(tags::SOP_INSTANCE_UID));
        assert_ne!(second.get(tags::PIXEL_DATA), first.get(tags::PIXEL_DATA));
        assert_eq!(object.bytes.len(), object.template.bytes.len());
    }

    #[test]
    fn a_part_of_a_post_is_a_file() {
        let naming = naming();
        let mut object =
            Kinds::of(Size::Bytes(8 << 10), &naming, Form::Multipart).objects().remove(0);
        object.become_image(&naming, 5, 1);
        let start = places(&object.bytes, b"\r\n\r\n").next().unwrap() + 4;
        let end = places(&object.bytes, b"\r\n--pacslab").last().unwrap();
        let (meta, set) = file::read(&object.bytes[start..end]).unwrap();
        assert_eq!(meta.sop_instance, object.instance);
        assert_eq!(set.str(tags::STUDY_INSTANCE_UID), naming.study_uid(5));
    }

    #[test]
    fn one_seed_makes_one_set_of_data_and_others_other_ones() {
        let bytes = |seed| {
            let naming = Naming::new(Seed(seed));
            let mut object =
                Kinds::of(Size::Bytes(8 << 10), &naming, Form::Bare).objects().remove(0);
            object.become_image(&naming, 1, 1);
            object.bytes
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
        assert_ne!(Naming::new(Seed(7)).run, Naming::new(Seed(8)).run);
    }

    #[test]
    fn a_mixture_has_several_kinds() {
        let kinds = Kinds::of(Size::Mixed, &naming(), Form::Bare);
        assert_eq!((kinds.classes().len(), kinds.objects().len()), (3, 10));
        let sum: usize = kinds.objects().iter().map(|object| object.bytes.len()).sum();
        // six of 512 KB, three of 128 KB, one of 2 MB
        let pixels = (6 * (512 << 10) + 3 * (128 << 10) + (2 << 20)) / 10;
        assert!((pixels..pixels + 2000).contains(&(sum / 10)), "{sum}");
    }
}
