//! Computed tomography: protocol, image formation, objects. PS3.3 A.3 (CT Image IOD), C.8.2.1.

use pacslab_dicom::{FileMeta, TransferSyntax};
use pacslab_model::order::Code;
use pacslab_model::{Uid, Vr, tags, uids};

use crate::acquire::{Acquisition, Instance, Options, Region, Series};
use crate::burn;
use crate::files::file_name;
use crate::iod::{self, Object, code, decimals, tag};
use crate::item::WorklistItem;
use crate::phantom::{Grid, Habitus, Phantom, chest, head};
use crate::random::Random;

/// Stored value = HU + 1024, 12 bits.
const INTERCEPT: i32 = -1024;
const LARGEST: i32 = 4095;

/// How the scanner is set.
#[derive(Clone, Debug)]
struct Protocol {
    matrix: usize,
    /// The first slice is the highest one.
    slices: usize,
    top_mm: f64,
    thickness_mm: f64,
    kvp: f64,
    tube_current_ma: f64,
    exposure_time_ms: f64,
    ctdi_vol: f64,
    /// Standard deviation of a water pixel.
    noise_hu: f32,
    contrast: bool,
    name: &'static str,
    body_part: &'static str,
    region: Code,
    filter: &'static str,
    /// Whose dose a CTDI is: PS3.16 CID 4052.
    dose_phantom: (&'static str, &'static str),
    field_mm: f32,
    /// Centre and width, with their names; the first is what viewers show.
    windows: [(&'static str, &'static str, &'static str); 2],
}

impl Protocol {
    fn chest(item: &WorklistItem, habitus: &Habitus) -> Self {
        Self {
            matrix: 256,
            slices: 16,
            top_mm: 72.0,
            thickness_mm: 8.0,
            kvp: 120.0,
            tube_current_ma: 200.0,
            exposure_time_ms: 500.0,
            ctdi_vol: 8.2,
            noise_hu: 12.0,
            contrast: with_contrast(item),
            name: "CHEST ROUTINE",
            body_part: "CHEST",
            region: Code::new("816094009", "SCT", "Chest"),
            filter: "BODY",
            dose_phantom: ("113691", "IEC Body Dosimetry Phantom"),
            field_mm: habitus.field_of_view(),
            windows: [("40", "400", "MEDIASTINUM"), ("-600", "1500", "LUNG")],
        }
    }

    fn head(item: &WorklistItem) -> Self {
        Self {
            matrix: 256,
            slices: 16,
            top_mm: 70.0,
            thickness_mm: 8.0,
            kvp: 120.0,
            tube_current_ma: 300.0,
            exposure_time_ms: 1000.0,
            ctdi_vol: 48.0,
            noise_hu: 3.0,
            contrast: with_contrast(item),
            name: "HEAD ROUTINE",
            body_part: "HEAD",
            region: Code::new("69536005", "SCT", "Head"),
            filter: "HEAD",
            dose_phantom: ("113690", "IEC Head Dosimetry Phantom"),
            field_mm: 240.0,
            windows: [("40", "80", "BRAIN"), ("500", "2000", "BONE")],
        }
    }
}

pub(crate) fn acquire(item: &WorklistItem, region: Region, options: &Options) -> Acquisition {
    let habitus = Habitus::of(item.dataset(), options.seed, options.at);
    let (protocol, build): (Protocol, fn(&Habitus, bool) -> Phantom) = match region {
        Region::Chest => (Protocol::chest(item, &habitus), chest::build),
        Region::Head => (Protocol::head(item), head::build),
    };
    let phantom = build(&habitus, protocol.contrast);
    let study = iod::study_uid(item, options);
    Acquisition {
        performed_step_id: iod::performed_step_id(&study, item, options),
        series: vec![axial(item, options, &study, &protocol, &phantom)],
        study_uid: study,
    }
}

fn axial(
    item: &WorklistItem,
    options: &Options,
    study: &Uid,
    protocol: &Protocol,
    phantom: &Phantom,
) -> Series {
    let number = options.run;
    let uid = iod::derived_uid(study, options, &["series", "axial"]);
    let description = format!("{} {} mm SYNTHETIC", protocol.region.meaning, protocol.thickness_mm);
    let grid = Grid::covering(protocol.matrix, protocol.field_mm);
    let mut shared = iod::common(item, options, study, &uid, number);
    describe(&mut shared, item, options, study, protocol, &grid, &description);

    let instances = (1..=protocol.slices as u32).map(|instance| {
        let mut object = shared.clone();
        let z = protocol.top_mm - protocol.thickness_mm * f64::from(instance - 1);
        place(&mut object, options, &grid, z, instance);
        let mut random = Random::new(
            options.seed,
            &["ct noise", study.as_str(), &options.run.to_string(), &instance.to_string()],
        );
        let hu = phantom.slice(&grid, z as f32, protocol.thickness_mm as f32);
        let pixels = detect(&hu, &grid, protocol, &mut random);
        let bytes = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
        object.0.put_bytes(tags::PIXEL_DATA, Vr::OW, bytes);
        let sop = iod::derived_uid(study, options, &["instance", "axial", &instance.to_string()]);
        object.set(tags::SOP_INSTANCE_UID, sop.as_str());
        let (patient, accession) = (item.patient_id(), item.accession());
        Instance {
            meta: FileMeta {
                sop_class: Uid::new(uids::CT_IMAGE_STORAGE),
                sop_instance: sop,
                transfer_syntax: TransferSyntax::ExplicitLe,
                source_aet: Some(options.station.as_str().to_owned()),
            },
            dataset: object.0,
            file_name: file_name("CT", patient, accession, number, instance),
        }
    });
    let instances = instances.collect();
    Series { uid, number, modality: "CT".to_owned(), description, instances }
}

/// What all slices share.
fn describe(
    object: &mut Object,
    item: &WorklistItem,
    options: &Options,
    study: &Uid,
    protocol: &Protocol,
    grid: &Grid,
    description: &str,
) {
    let started = iod::after(options.at, 60);
    let exposure = protocol.tube_current_ma * protocol.exposure_time_ms / 1000.0;
    let event = iod::derived_uid(study, options, &["irradiation event"]);
    let frame = iod::derived_uid(study, options, &["frame of reference"]);
    let protocol_name = match item.step_description() {
        "" => protocol.name,
        text => text,
    };
    object
        .set(tags::SOP_CLASS_UID, uids::CT_IMAGE_STORAGE)
        .set(tags::SERIES_DESCRIPTION, description)
        .set(tags::PROTOCOL_NAME, protocol_name)
        .set(tags::BODY_PART_EXAMINED, protocol.body_part)
        .items(
            tag::ANATOMIC_REGION_SEQUENCE,
            vec![code(&protocol.region.value, &protocol.region.scheme, &protocol.region.meaning)],
        )
        .set(tags::PATIENT_POSITION, "HFS")
        .set(tags::FRAME_OF_REFERENCE_UID, frame.as_str())
        .set(tags::POSITION_REFERENCE_INDICATOR, "")
        .set(tags::IMAGE_TYPE, r"ORIGINAL\PRIMARY\AXIAL")
        .set(tags::ACQUISITION_NUMBER, options.run.to_string())
        .set(tags::ACQUISITION_DATE, started.da())
        .set(tags::ACQUISITION_TIME, started.tm())
        .set(tag::IRRADIATION_EVENT_UID, event.as_str())
        .set(tags::IMAGES_IN_ACQUISITION, protocol.slices.to_string())
        .set(tags::BURNED_IN_ANNOTATION, "YES")
        .set(tags::LOSSY_IMAGE_COMPRESSION, "00")
        // C.7.6.2 and C.8.2.1: geometry and technique
        .set(tags::IMAGE_ORIENTATION_PATIENT, r"1\0\0\0\1\0")
        .set(tag::PATIENT_ORIENTATION, r"L\P")
        .set(tags::PIXEL_SPACING, decimals(&[grid.spacing_mm(), grid.spacing_mm()]))
        .number(tags::SLICE_THICKNESS, protocol.thickness_mm)
        .number(tag::SPACING_BETWEEN_SLICES, protocol.thickness_mm)
        .set(tags::SCAN_OPTIONS, "HELICAL MODE")
        .number(tags::KVP, protocol.kvp)
        .number(tags::DATA_COLLECTION_DIAMETER, 500.0)
        .number(tags::RECONSTRUCTION_DIAMETER, grid.side_mm())
        .number(tags::GANTRY_DETECTOR_TILT, 0.0)
        .number(tags::TABLE_HEIGHT, 150.0)
        .set(tags::ROTATION_DIRECTION, "CW")
        .number(tags::EXPOSURE_TIME, protocol.exposure_time_ms)
        .number(tags::X_RAY_TUBE_CURRENT, protocol.tube_current_ma)
        .number(tags::EXPOSURE, exposure)
        .set(tag::FILTER_TYPE, protocol.filter)
        .number(tag::FOCAL_SPOTS, 0.9)
        .set(tags::CONVOLUTION_KERNEL, "STANDARD")
        .items(
            tag::CTDI_PHANTOM_TYPE_CODE_SEQUENCE,
            vec![code(protocol.dose_phantom.0, "DCM", protocol.dose_phantom.1)],
        );
    object.0.put_bytes(tag::CTDI_VOL, Vr::FD, protocol.ctdi_vol.to_le_bytes().to_vec());
    if protocol.contrast {
        object.set(tags::CONTRAST_BOLUS_AGENT, "IODINATED, SIMULATED");
        object.set(tag::CONTRAST_BOLUS_ROUTE, "IV");
    }
    // C.7.6.3, C.11.1, C.11.2
    object
        .set(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
        .number(tags::RESCALE_INTERCEPT, f64::from(INTERCEPT))
        .number(tags::RESCALE_SLOPE, 1.0)
        .set(tags::RESCALE_TYPE, "HU")
        .set(tags::WINDOW_CENTER, protocol.windows.map(|(center, ..)| center).join("\\"))
        .set(tags::WINDOW_WIDTH, protocol.windows.map(|(_, width, _)| width).join("\\"))
        .set(
            tags::WINDOW_CENTER_WIDTH_EXPLANATION,
            protocol.windows.map(|(.., name)| name).join("\\"),
        );
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, protocol.matrix as u16),
        (tags::COLUMNS, protocol.matrix as u16),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 12),
        (tags::HIGH_BIT, 11),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.0.put_u16(tag, value);
    }
}

/// What is one slice's own.
fn place(object: &mut Object, options: &Options, grid: &Grid, z: f64, instance: u32) {
    let content = iod::after(options.at, 62 + u64::from(instance) / 4);
    let first = grid.first_mm();
    object
        .set(tags::INSTANCE_NUMBER, instance.to_string())
        .set(tags::INSTANCE_CREATION_DATE, content.da())
        .set(tags::INSTANCE_CREATION_TIME, content.tm())
        .set(tags::CONTENT_DATE, content.da())
        .set(tags::CONTENT_TIME, content.tm())
        .set(tags::IMAGE_POSITION_PATIENT, decimals(&[first, first, z]))
        .number(tags::SLICE_LOCATION, z);
}

/// Attenuation to stored values: noise, the circle of reconstruction, the mark.
fn detect(hu: &[f32], grid: &Grid, protocol: &Protocol, random: &mut Random) -> Vec<u16> {
    let n = grid.matrix();
    let white: Vec<f32> = (0..n * n).map(|_| random.normal()).collect();
    let noise = smooth(&white, n);
    // a 3 x 3 binomial leaves 3/8 of the standard deviation
    let gain = protocol.noise_hu / 0.375;
    let radius = n as i64;
    let mut pixels: Vec<u16> = (0..n * n)
        .map(|at| {
            let (x, y) = (2 * (at % n) as i64 + 1 - radius, 2 * (at / n) as i64 + 1 - radius);
            if x * x + y * y > radius * radius {
                return 0;
            }
            // photons are fewest behind the body: outside it the noise is weaker
            let quiet = if hu[at] < -950.0 { 0.6 } else { 1.0 };
            let value = (hu[at] + gain * quiet * noise[at]).round() as i32 - INTERCEPT;
            value.clamp(0, LARGEST) as u16
        })
        .collect();
    burn::text(&mut pixels, n, 3, 3, burn::MARK, 3000);
    pixels
}

/// 3 x 3 binomial; at the edges the outermost value repeats.
fn smooth(values: &[f32], n: usize) -> Vec<f32> {
    let pass = |from: &[f32], step: usize, place: fn(usize, usize) -> usize| -> Vec<f32> {
        (0..n * n)
            .map(|at| {
                let along = place(at, n);
                let before = if along > 0 { from[at - step] } else { from[at] };
                let behind = if along + 1 < n { from[at + step] } else { from[at] };
                0.25 * before + 0.5 * from[at] + 0.25 * behind
            })
            .collect()
    };
    let rows = pass(values, 1, |at, n| at % n);
    pass(&rows, n, |at, n| at / n)
}

/// By the catalogue, by the agent that was requested, or by the usual words.
fn with_contrast(item: &WorklistItem) -> bool {
    if let Some(exam) = item.exam() {
        return exam.contrast.is_some();
    }
    if !item.step().str(tags::REQUESTED_CONTRAST_AGENT).is_empty() {
        return true;
    }
    let text = format!(" {} ", item.procedure_description().to_uppercase());
    ["CTA ", " W ", " W/ ", " WITH ", " W/CON", " ANGIO"].iter().any(|word| text.contains(word))
}
