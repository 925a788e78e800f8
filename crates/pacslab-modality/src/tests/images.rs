//! Pixels and geometry, and what independent validators say.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use pacslab_codec::{Options as Show, Window, picture};
use pacslab_dicom::{Dataset, Value};
use pacslab_model::{AeTitle, Seed, Vr, tags};

use super::{acquired, answer, at, item, options};
use crate::phantom::{Grid, Habitus, chest};
use crate::{WorklistItem, acquire, possible};

/// Stored values as Hounsfield units.
fn hounsfield(image: &Dataset) -> Vec<f64> {
    let Some(Value::Bytes(bytes)) = image.get(tags::PIXEL_DATA).map(|e| &e.value) else { panic!() };
    let intercept = image.number(tags::RESCALE_INTERCEPT).unwrap();
    bytes.as_chunks::<2>().0.iter().map(|w| f64::from(u16::from_le_bytes(*w)) + intercept).collect()
}

#[test]
fn slices_lie_where_they_say() {
    let acquisition = acquired();
    let images: Vec<&Dataset> = acquisition.instances().map(|i| &i.dataset).collect();
    assert!((12..=16).contains(&images.len()));
    let position = |image: &Dataset| image.numbers(tags::IMAGE_POSITION_PATIENT);
    let spacing = images[0].numbers(tags::PIXEL_SPACING);
    let columns = f64::from(images[0].u16(tags::COLUMNS).unwrap());
    let thickness = images[0].number(tags::SLICE_THICKNESS).unwrap();
    assert_eq!(spacing[0], spacing[1]);
    assert!(
        (spacing[0] * columns - images[0].number(tags::RECONSTRUCTION_DIAMETER).unwrap()).abs()
            < 0.01
    );
    // the centre of the image is the isocentre
    assert!((position(images[0])[0] + spacing[0] * (columns - 1.0) / 2.0).abs() < 1e-3);
    for pair in images.windows(2) {
        let (a, b) = (position(pair[0]), position(pair[1]));
        assert_eq!((a[0], a[1]), (b[0], b[1]));
        assert!((a[2] - b[2] - thickness).abs() < 0.01, "head to feet, without gaps");
    }
    for (at, image) in images.iter().enumerate() {
        assert_eq!(image.number(tags::SLICE_LOCATION).unwrap(), position(image)[2]);
        assert_eq!(image.numbers(tags::IMAGE_ORIENTATION_PATIENT), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        assert_eq!(image.str(tags::INSTANCE_NUMBER), (at + 1).to_string());
        for tag in [tags::FRAME_OF_REFERENCE_UID, tags::ROWS, tags::PIXEL_SPACING] {
            assert_eq!(image.get(tag), images[0].get(tag));
        }
        let side = columns as usize;
        assert_eq!(hounsfield(image).len(), side * side);
    }
}

/// Regions of known tissue, measured in the phantom's own coordinates.
#[test]
fn tissues_have_their_hounsfield_units() {
    let mean = |acquisition: &crate::Acquisition, instance: usize, x: f64, y: f64| {
        let image = &acquisition.series[0].instances[instance].dataset;
        let first = image.numbers(tags::IMAGE_POSITION_PATIENT)[0];
        let spacing = image.numbers(tags::PIXEL_SPACING)[0];
        let columns = image.u16(tags::COLUMNS).unwrap() as usize;
        let hu = hounsfield(image);
        // positions are those of the reference body; this patient is not far from it
        let index = |mm: f64| ((mm - first) / spacing).round() as usize;
        let mut sum = 0.0;
        for dy in 0..3 {
            for dx in 0..3 {
                sum += hu[(index(y) + dy - 1) * columns + index(x) + dx - 1];
            }
        }
        sum / 9.0
    };
    let order = answer().with_str(tags::PATIENT_SIZE, Vr::DS, "1.70").with_str(
        tags::PATIENT_WEIGHT,
        Vr::DS,
        "65",
    );
    let enhanced = acquire(&WorklistItem::new(order.clone()).unwrap(), &options()).unwrap();
    let native = {
        let mut order =
            order.with_str(tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, "CT CHEST WO CONTRAST");
        order.put_items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, vec![]);
        acquire(&WorklistItem::new(order).unwrap(), &options()).unwrap()
    };
    let near = |value: f64, wanted: f64, by: f64, what: &str| {
        assert!((value - wanted).abs() < by, "{what}: {value}, not {wanted}");
    };
    // slice 1 is at z = 72, slice 12 at z = -16
    near(mean(&enhanced, 0, 0.0, -180.0), -1000.0, 15.0, "air in front");
    near(mean(&enhanced, 0, -1.0, 10.0), -990.0, 20.0, "windpipe");
    near(mean(&enhanced, 11, 25.0, 44.0), 200.0, 20.0, "aorta with contrast");
    near(mean(&native, 11, 25.0, 44.0), 42.0, 20.0, "aorta without contrast");
    near(mean(&enhanced, 11, -36.0, 101.5), 52.0, 20.0, "muscle beside the spine");
    // the middle one of many, because vessels run everywhere
    let mut lung: Vec<f64> = (0..25 * 20)
        .map(|at| {
            mean(&enhanced, 11, -110.0 + 2.0 * f64::from(at % 25), -20.0 + 2.0 * f64::from(at / 25))
        })
        .collect();
    lung.sort_by(f64::total_cmp);
    near(lung[lung.len() / 2], -850.0, 25.0, "lung");
    near(mean(&enhanced, 11, 164.0, 0.0), -100.0, 25.0, "fat of the flank");
    let bone =
        (-2..=2).map(|dx| mean(&enhanced, 11, f64::from(dx) * 8.0, 58.0)).fold(0.0, f64::max);
    assert!((100.0..1000.0).contains(&bone), "vertebra: {bone}");
}

#[test]
fn anatomy_is_the_patients_own() {
    let grid = Grid::covering(64, 400.0);
    let slice = |order: &Dataset, seed: u64| {
        let habitus = Habitus::of(order, Seed(seed), at());
        chest::build(&habitus, false).slice(&grid, -20.0, 8.0)
    };
    let woman = answer();
    let man = answer().with_str(tags::PATIENT_SEX, Vr::CS, "M");
    let heavy = answer().with_str(tags::PATIENT_WEIGHT, Vr::DS, "120");
    assert_eq!(slice(&woman, 7), slice(&woman, 7));
    assert_ne!(slice(&woman, 7), slice(&woman, 8));
    assert_ne!(slice(&woman, 7), slice(&man, 7));
    let body = |slice: &[f32]| slice.iter().filter(|hu| **hu > -500.0).count();
    assert!(body(&slice(&heavy, 7)) > body(&slice(&woman, 7)));
}

#[test]
fn the_mark_is_in_every_picture_and_outside_the_body() {
    for instance in acquired().instances() {
        let show = Show { window: Some(Window::new(40.0, 400.0)), max_size: None };
        let syntax = &instance.meta.transfer_syntax;
        let shown = picture(&instance.dataset, syntax, 0, &show).unwrap();
        let corner: Vec<u8> = shown
            .pixels
            .chunks(shown.width as usize)
            .take(12)
            .flat_map(|row| row[..60].to_vec())
            .collect();
        let white = corner.iter().filter(|pixel| **pixel == 255).count();
        let black = corner.iter().filter(|pixel| **pixel == 0).count();
        assert!((100..300).contains(&white) && white + black == corner.len(), "{white} {black}");
    }
}

/// The tool, or `None` when it may be missing.
fn tool(name: &'static str, test: &str) -> Option<Command> {
    match Command::new(name).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            #[allow(clippy::disallowed_methods)] // tests may be told what to demand
            let required = std::env::var_os("PACSLAB_REQUIRE_PEERS").is_some();
            assert!(!required, "{test} needs {name} (Debian: dicom3tools)");
            println!("skipped {test}: {name} is not installed (Debian: dicom3tools)");
            None
        }
        _ => Some(Command::new(name)),
    }
}

/// Every exam that can be made, one slice of each; the demo's study as a whole.
#[test]
fn dciodvfy_finds_no_error() {
    if tool("dciodvfy", "dciodvfy_finds_no_error").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut files = acquired().write(folder.path()).unwrap();
    let station = AeTitle::new("PYMOD1").unwrap();
    for (seed, exam) in possible().enumerate() {
        let item = WorklistItem::for_exam(exam, Seed(seed as u64), at(), &station);
        let acquisition = acquire(&item, &options()).unwrap();
        files.extend(acquisition.write(folder.path()).unwrap().into_iter().take(1));
    }
    // private codes are "unrecognized" by necessity
    let known = ["99PACSLAB", "99LOCAL", "CodingSchemeUID", "Coding Scheme UID"];
    for file in files {
        for arguments in [&["-new"][..], &[]] {
            let output = Command::new("dciodvfy").args(arguments).arg(&file).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains("CTImage"), "{text}");
            let said = text.lines().filter(|line| {
                line.starts_with("Error")
                    || line.starts_with("Warning") && !known.iter().any(|word| line.contains(word))
            });
            assert_eq!(said.collect::<Vec<_>>(), [""; 0], "{}", file.display());
        }
    }
}

#[test]
fn dcentvfy_finds_nothing_in_a_study_of_two_series() {
    let name = "dcentvfy_finds_nothing_in_a_study_of_two_series";
    let Some(mut command) = tool("dcentvfy", name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<PathBuf> = acquired().write(folder.path()).unwrap();
    let again = crate::Options { run: 2, at: crate::iod::after(at(), 600), ..options() };
    let order = item().dataset().clone();
    // the second scan is told the study's date, as worklists do for studies that have begun
    let order = order.with_str(tags::STUDY_DATE, Vr::DA, at().da()).with_str(
        tags::STUDY_TIME,
        Vr::TM,
        at().tm(),
    );
    let repeated = acquire(&WorklistItem::new(order).unwrap(), &again).unwrap();
    files.extend(repeated.write(folder.path()).unwrap());
    let output = command.args(&files).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert_eq!(text.trim(), "", "{} files", files.len());
}
