//! What a receiver does not take compressed is sent uncompressed. The encoders and the decoders
//! that ours are compared with are DCMTK's and GDCM's.

use std::path::{Path, PathBuf};

use pacslab_dicom::{Dataset, Value, file, parse};
use pacslab_model::tags;

use crate::support::{Lab, dcmtk, fixture, http, needs, peers};

/// One way into a transfer syntax, and one out of it that is not ours.
struct Case {
    fixture: &'static str,
    encode: &'static [&'static str],
    /// For storescu: what to propose.
    propose: &'static str,
    decode: &'static [&'static str],
    /// How far samples may be off: 0 but for the arithmetic of JPEG and its colours.
    off: u8,
}

const CASES: &[Case] = &[
    Case { fixture: "ct.dcm", encode: &["dcmcrle"], propose: "-xr", decode: &["dcmdrle"], off: 0 },
    Case {
        fixture: "us_rgb.dcm",
        encode: &["dcmcrle"],
        propose: "-xr",
        decode: &["dcmdrle"],
        off: 0,
    },
    Case {
        fixture: "ct.dcm",
        encode: &["dcmcjpeg", "+e1"],
        propose: "-xs",
        decode: &["dcmdjpeg"],
        off: 0,
    },
    Case {
        fixture: "us_rgb.dcm",
        encode: &["dcmcjpeg", "+e1"],
        propose: "-xs",
        decode: &["dcmdjpeg"],
        off: 0,
    },
    // 8 bits: the window is applied and the object becomes another one
    Case {
        fixture: "ct.dcm",
        encode: &["dcmcjpeg", "+eb", "+Wm"],
        propose: "-xy",
        decode: &["dcmdjpeg"],
        off: 1,
    },
    Case {
        fixture: "us_rgb.dcm",
        encode: &["dcmcjpeg", "+eb"],
        propose: "-xy",
        decode: &["dcmdjpeg"],
        off: 6,
    },
    Case {
        fixture: "ct.dcm",
        encode: &["dcmcjpls", "+el"],
        propose: "-xt",
        decode: &["dcmdjpls"],
        off: 0,
    },
    Case {
        fixture: "ct.dcm",
        encode: &["dcmcjpls", "+en"],
        propose: "-xu",
        decode: &["dcmdjpls"],
        off: 0,
    },
    Case {
        fixture: "ct.dcm",
        encode: &["gdcmconv", "--j2k"],
        propose: "-xv",
        decode: &["gdcmconv", "--raw"],
        off: 0,
    },
    Case {
        fixture: "us_rgb.dcm",
        encode: &["gdcmconv", "--j2k"],
        propose: "-xv",
        decode: &["gdcmconv", "--raw"],
        off: 0,
    },
];

#[test]
fn receivers_without_the_stored_syntax_get_the_same_pixels() {
    needs!(
        "storescu", "getscu", "dcmcrle", "dcmdrle", "dcmcjpeg", "dcmdjpeg", "dcmcjpls", "dcmdjpls",
        "gdcmconv"
    );
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let original = fixture(case.fixture);
        let compressed = convert(case.encode, &original, &folder.path().join("compressed.dcm"));
        let expected = convert(case.decode, &compressed, &folder.path().join("expected.dcm"));
        let lab = Lab::start();
        let args = ["-R", case.propose, "--", compressed.to_str().unwrap()];
        dcmtk::scu("storescu", lab.dicom, &args).success();

        let what = format!("{} {:?}", case.fixture, case.encode);
        let held = read(&compressed);
        let study = held.str(tags::STUDY_INSTANCE_UID).to_owned();
        let out = folder.path().join("got");
        std::fs::create_dir(&out).unwrap();
        let key = format!("0020,000d={study}");
        let to = out.to_str().unwrap();
        // getscu proposes what is uncompressed
        let args = ["-S", "+B", "-od", to, "-k", "0008,0052=STUDY", "-k", &key];
        dcmtk::scu("getscu", lab.dicom, &args).success();
        let got = std::fs::read_dir(&out).unwrap().next();
        let got = got.unwrap_or_else(|| panic!("{what}: {}", lab.log())).unwrap().path();
        let (got, expected) = (read(&got), read(&expected));
        alike(&got, &expected, case.off, &what);
        for tag in [tags::SOP_INSTANCE_UID, LOSSY, tags::BITS_STORED] {
            assert_eq!(got.text_of(tag), held.text_of(tag), "{what} {tag}");
        }

        // the same over the web, and a picture of it
        let series = held.str(tags::SERIES_INSTANCE_UID);
        let sop = held.str(tags::SOP_INSTANCE_UID);
        let at = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop}");
        let accept = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1";
        let whole = http::get_accepting(lab.http, &at, accept).ok();
        alike(&part10(&whole.body), &expected, case.off, &what);
        let octets =
            http::get_accepting(lab.http, &format!("{at}/frames/1"), "application/octet-stream");
        assert_eq!(octets.ok().body.len(), pixels(&expected).len(), "{what}");
        let picture = http::get_accepting(lab.http, &format!("{at}/rendered"), "image/png").ok();
        assert!(picture.body.starts_with(b"\x89PNG"), "{what}");
    }
}

const LOSSY: pacslab_model::Tag = pacslab_model::Tag::new(0x0028, 0x2110);

/// Signed samples are stored in JPEG 2000 as such, and in 16 bits with their sign in front.
#[test]
fn signed_samples_keep_their_sign() {
    needs!("storescu", "gdcmconv", "dcmodify");
    let folder = tempfile::tempdir().unwrap();
    let signed = folder.path().join("signed.dcm");
    std::fs::copy(fixture("ct.dcm"), &signed).unwrap();
    let path = signed.to_str().unwrap();
    peers::run("dcmodify", &["-nb", "-m", "0028,0103=1", path]).success();
    let compressed = convert(&["gdcmconv", "--j2k"], &signed, &folder.path().join("j2k.dcm"));
    let lab = Lab::start();
    dcmtk::scu("storescu", lab.dicom, &["-R", "-xv", "--", compressed.to_str().unwrap()]).success();
    let held = read(&compressed);
    let [study, series, sop] =
        [tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID]
            .map(|tag| held.str(tag).to_owned());
    let at = format!("/dicom-web/studies/{study}/series/{series}/instances/{sop}/frames/1");
    let got = http::get_accepting(lab.http, &at, "application/octet-stream").ok().body;
    let value = |word: &[u8; 2]| (u16::from_le_bytes(*word) << 4).cast_signed() >> 4;
    let words = |bytes: &[u8]| bytes.as_chunks::<2>().0.iter().map(value).collect::<Vec<_>>();
    assert_eq!(words(&got), words(pixels(&read(&signed))));
}

fn convert(tool: &[&str], from: &Path, to: &Path) -> PathBuf {
    let [tool, options @ ..] = tool else { panic!("no tool") };
    let mut args = options.to_vec();
    args.extend([from.to_str().unwrap(), to.to_str().unwrap()]);
    peers::run(tool, &args).success();
    to.to_owned()
}

fn read(path: &Path) -> Dataset {
    part10(&std::fs::read(path).unwrap())
}

fn part10(bytes: &[u8]) -> Dataset {
    let (meta, start) = file::read_meta(bytes).unwrap();
    parse(&bytes[start..], &meta.transfer_syntax).unwrap()
}

fn pixels(set: &Dataset) -> &[u8] {
    match &set.get(tags::PIXEL_DATA).unwrap().value {
        Value::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    }
}

/// Pixel after pixel, whatever the two say of their planes.
fn interleaved(set: &Dataset) -> Vec<u8> {
    let bytes = pixels(set);
    if set.u16(tags::PLANAR_CONFIGURATION) != Some(1) {
        return bytes.to_vec();
    }
    let plane = bytes.len() / 3;
    (0..plane).flat_map(|at| [bytes[at], bytes[at + plane], bytes[at + 2 * plane]]).collect()
}

fn alike(got: &Dataset, expected: &Dataset, off: u8, what: &str) {
    let photometric = tags::PHOTOMETRIC_INTERPRETATION;
    assert_eq!(got.str(photometric), expected.str(photometric), "{what}");
    let (got, expected) = (interleaved(got), interleaved(expected));
    assert_eq!(got.len(), expected.len(), "{what}");
    let worst = got.iter().zip(&expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst <= Some(off), "{what}: {worst:?}");
}
