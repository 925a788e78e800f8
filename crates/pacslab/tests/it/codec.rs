//! Compressed images that others made, decoded: pixel for pixel what others decode. PS3.5 8.2, A.4.

use crate::support::http::{Response, get_accepting};
use crate::support::{Lab, fixture, needs, peers};
use std::path::{Path, PathBuf};

const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";

/// A study of one fixture, compressed by a program of others and stored.
struct Stored {
    lab: Lab,
    address: String,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stored {
    /// `tool` takes its options, a file and the name of another one.
    fn new(tool: &str, options: &[&str], of: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("compressed.dcm");
        let ends = [of.to_str().unwrap(), file.to_str().unwrap()];
        peers::run(tool, &[options, &ends].concat()).success();
        let lab = Lab::start();
        let answer = lab.post("/instances", &std::fs::read(&file).unwrap()).ok().json();
        let tags = lab.get(&format!("/instances/{}/tags?short", answer["ID"].as_str().unwrap()));
        let tags = tags.ok().json();
        let uid = |tag: &str| tags[tag].as_str().unwrap().to_owned();
        let (study, series, sop) = (uid("0020,000d"), uid("0020,000e"), uid("0008,0018"));
        let address = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop}");
        Self { lab, address, file, _folder: folder }
    }

    fn get(&self, below: &str, accept: &str) -> Response {
        get_accepting(self.lab.http, &format!("{}{below}", self.address), accept)
    }

    /// The pixels as our server decodes them, whole and as frame 1.
    fn decoded(&self) -> Vec<u8> {
        let accept = format!("application/dicom; transfer-syntax={EXPLICIT_LE}");
        let whole = self.get("", &accept).ok();
        let whole = pixels(&whole.body);
        let frame = self.get("/frames/1", "application/octet-stream").ok();
        assert!(whole.starts_with(&frame.body), "the frame is another one than in the object");
        let shown = self.get("/rendered", "image/png").ok();
        assert!(shown.body.starts_with(b"\x89PNG"));
        whole
    }
}

/// The value of Pixel Data of an object in Explicit VR Little Endian.
fn pixels(file: &[u8]) -> Vec<u8> {
    let header = file.windows(5).rposition(|w| w[..4] == [0xE0, 0x7F, 0x10, 0x00] && w[4] == b'O');
    let at = header.expect("uncompressed pixel data");
    let length = u32::from_le_bytes(file[at + 8..at + 12].try_into().unwrap()) as usize;
    file[at + 12..at + 12 + length].to_vec()
}

fn pixels_of(file: &Path) -> Vec<u8> {
    pixels(&std::fs::read(file).unwrap())
}

/// What a decoder of others makes of it.
fn decoded_by(tool: &str, options: &[&str], file: &Path) -> Vec<u8> {
    let plain = file.with_extension("plain.dcm");
    let ends = [file.to_str().unwrap(), plain.to_str().unwrap()];
    peers::run(tool, &[options, &ends].concat()).success();
    pixels_of(&plain)
}

#[test]
fn what_dcmtk_compressed_without_losses_comes_back_exactly() {
    needs!("dcmcrle", "dcmcjpeg", "dcmcjpls");
    let kinds: &[(&str, &[&str], &[&str])] = &[
        ("dcmcrle", &[], &["ct", "cr", "us_rgb"]),
        ("dcmcjpeg", &["+e1"], &["ct", "mr", "us_rgb"]),
        ("dcmcjpeg", &["+el", "+sv", "6"], &["ct"]),
        ("dcmcjpls", &["+el"], &["ct", "mr"]),
        // one image in several fragments
        ("dcmcjpeg", &["+e1", "+ff", "+fs", "2"], &["cr"]),
    ];
    for (tool, options, names) in kinds {
        for name in *names {
            let original = fixture(&format!("{name}.dcm"));
            let stored = Stored::new(tool, options, &original);
            assert!(stored.decoded() == pixels_of(&original), "{tool} {options:?} of {name}");
        }
    }
}

#[test]
fn what_gdcm_compressed_as_jpeg_2000_comes_back_exactly() {
    needs!("gdcmconv");
    for name in ["ct", "us_rgb"] {
        let original = fixture(&format!("{name}.dcm"));
        let stored = Stored::new("gdcmconv", &["--j2k"], &original);
        assert!(stored.decoded() == pixels_of(&original), "{name}");
    }
}

/// With losses two right decoders may differ by rounding.
#[test]
fn lossy_images_are_what_others_see() {
    needs!("dcmcjpeg", "dcmdjpeg", "dcmcjpls", "dcmdjpls");
    let close = |ours: &[u8], theirs: &[u8], by: u8| {
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.abs_diff(*b) <= by)
    };
    let color = Stored::new("dcmcjpeg", &["+eb", "+un"], &fixture("us_rgb.dcm"));
    let theirs = decoded_by("dcmdjpeg", &["+px"], &color.file);
    assert!(close(&color.decoded(), &theirs, 4), "JPEG baseline in colour");
    let whole = color.get("", "application/dicom").ok();
    let text = String::from_utf8_lossy(&whole.body).into_owned();
    assert!(!text.contains("YBR"), "decoded to RGB, and it says so");
    assert!(text.contains("ISO_10918_1"), "that something was lost stays said");
    let near = Stored::new("dcmcjpls", &["+en", "+md", "3"], &fixture("ct.dcm"));
    let theirs = decoded_by("dcmdjpls", &[], &near.file);
    assert!(near.decoded() == theirs, "JPEG-LS near-lossless");
}

#[test]
fn what_cannot_be_decoded_leaves_as_it_is_stored() {
    needs!("dcmcjpls");
    // JPEG-LS in colour
    let stored = Stored::new("dcmcjpls", &["+el"], &fixture("us_rgb.dcm"));
    let refused = stored.get("/frames/1", "application/octet-stream");
    assert_eq!(refused.status, 406);
    assert!(refused.text().contains("JPEG-LS in colour"), "{}", refused.text());
    let whole = stored.get("", "application/dicom").ok();
    assert!(whole.header("content-type").unwrap().contains("1.2.840.10008.1.2.4.80"));
    let file = std::fs::read(&stored.file).unwrap();
    assert!(whole.body.ends_with(&file[file.len() / 2..]));
}
