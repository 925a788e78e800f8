//! What no sane peer sends. Each ends with the lab alive, and with its memory in bounds.

use crate::support::mllp::Connection;
use crate::support::raw_dimse::{
    ABORT, ASSOCIATE_AC, ASSOCIATE_RJ, Association, CT_IMAGE, VERIFICATION, associate_rq, connect,
    element, p_data, padded, pdu, read_pdu, store_rq,
};
use crate::support::{Lab, needs, peers, wait};
use std::io::Write;

const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
/// In kB: what the lab may have taken, whatever it was told to expect.
const MEMORY: u64 = 200_000;

#[track_caller]
fn assert_sound(lab: &mut Lab) {
    lab.assert_alive();
    if let Some(memory) = lab.memory() {
        assert!(memory < MEMORY, "{memory} kB");
    }
}

/// A data set that starts as a CT should, in implicit VR.
fn head_of_ct(instance: &str) -> Vec<u8> {
    let mut data_set = element(0x0008, 0x0016, &padded(CT_IMAGE));
    data_set.extend(element(0x0008, 0x0018, &padded(instance)));
    data_set
}

/// As little as a CT can be and still be indexed, with so many bytes of pixels.
#[cfg(target_os = "linux")]
fn small_ct(instance: &str, pixels: usize) -> Vec<u8> {
    let mut data_set = head_of_ct(instance);
    data_set.extend(element(0x0008, 0x0060, b"CT"));
    data_set.extend(element(0x0010, 0x0010, b"SYNTH^BOB "));
    data_set.extend(element(0x0010, 0x0020, b"PL000002"));
    data_set.extend(element(0x0020, 0x000d, &padded("2.25.100")));
    data_set.extend(element(0x0020, 0x000e, &padded("2.25.100.0")));
    data_set.extend(element(0x7fe0, 0x0010, &vec![7; pixels]));
    data_set
}

#[test]
fn a_data_set_that_claims_four_gigabytes() {
    let mut lab = Lab::start();
    let mut data_set = head_of_ct("2.25.1");
    data_set.extend([0xe0, 0x7f, 0x10, 0x00, 0xfe, 0xff, 0xff, 0xff, 1, 2, 3, 4]);
    let status = Association::request(lab.dicom).store(3, "2.25.1", &data_set);
    assert_ne!(status, Some(0), "success for a data set that is cut off");
    assert_sound(&mut lab);
}

#[test]
fn two_thousand_nested_sequences() {
    let mut lab = Lab::start();
    let mut data_set = head_of_ct("2.25.2");
    for _ in 0..2000 {
        data_set.extend([0x40, 0x00, 0x00, 0x01, 0xff, 0xff, 0xff, 0xff]); // (0040,0100), undefined
        data_set.extend([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]); // its item, undefined
    }
    let status = Association::request(lab.dicom).store(3, "2.25.2", &data_set);
    assert_ne!(status, Some(0));
    assert_sound(&mut lab);
}

/// The same as a file over HTTP: Debian's builds of Orthanc die of it.
#[test]
fn nested_sequences_in_a_posted_file() {
    let mut lab = Lab::start();
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    let mut meta = Vec::new();
    for (number, value) in
        [(0x0002_u16, CT_IMAGE), (0x0003, "2.25.3"), (0x0010, IMPLICIT_LE), (0x0012, "2.25.4")]
    {
        meta.extend([0x02, 0x00]);
        meta.extend(number.to_le_bytes());
        meta.extend(b"UI");
        let value = padded(value);
        meta.extend(u16::try_from(value.len()).unwrap().to_le_bytes());
        meta.extend(value);
    }
    file.extend([0x02, 0x00, 0x00, 0x00, b'U', b'L', 4, 0]);
    file.extend(u32::try_from(meta.len()).unwrap().to_le_bytes());
    file.extend(meta);
    file.extend(head_of_ct("2.25.3"));
    for _ in 0..7500 {
        file.extend([0x40, 0x00, 0x00, 0x01, 0xff, 0xff, 0xff, 0xff]);
        file.extend([0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff]);
    }
    let answer = lab.post("/instances", &file);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_sound(&mut lab);
}

#[test]
fn a_pdu_that_claims_four_gigabytes() {
    let mut lab = Lab::start();
    let mut stream = connect(lab.dicom);
    stream.write_all(&[0x01, 0, 0xff, 0xff, 0xff, 0xff, 0, 1, 0, 0]).unwrap();
    // refused at once, not when it has all come
    let answer = read_pdu(&mut stream);
    assert!(!matches!(answer, Ok((ASSOCIATE_AC, _))), "{answer:?}");

    let mut association = Association::request(lab.dicom);
    association.send_raw(&[0x04, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1, 3]);
    assert!(matches!(association.next_pdu(), Some(ABORT) | None));
    assert_sound(&mut lab);
}

#[test]
fn pdus_that_are_cut_off() {
    let mut lab = Lab::start();
    let request = associate_rq(1, &[(1, VERIFICATION, IMPLICIT_LE)]);
    for cut in [1, 5, 6, 40, 74, 80, request.len() - 1] {
        let mut stream = connect(lab.dicom);
        stream.write_all(&request[..cut]).unwrap();
        drop(stream);
    }
    // whole, but its lengths point behind its end
    let mut broken = request.clone();
    let at = broken.len() - 10;
    broken[at] = 0xff;
    connect(lab.dicom).write_all(&broken).unwrap();
    assert_sound(&mut lab);
}

#[test]
fn a_protocol_version_with_other_bits_set_is_accepted() {
    let lab = Lab::start();
    for (version, wanted) in [(0x0003, ASSOCIATE_AC), (0xffff, ASSOCIATE_AC), (2, ASSOCIATE_RJ)] {
        let mut stream = connect(lab.dicom);
        stream.write_all(&associate_rq(version, &[(1, VERIFICATION, IMPLICIT_LE)])).unwrap();
        let (kind, _) = read_pdu(&mut stream).expect("an answer");
        assert_eq!(kind, wanted, "version {version:04x}");
    }
}

#[test]
fn unknown_pdus_contexts_and_commands_are_aborted() {
    let mut lab = Lab::start();
    let command = store_rq(CT_IMAGE, "2.25.5");
    for (what, bytes) in [
        ("an unknown PDU", pdu(0x42, b"what is this")),
        ("a context that was not accepted", p_data(99, true, true, &command)),
        ("a data set without a command", p_data(3, false, true, b"12345678")),
        ("a command that is no data set", p_data(3, true, true, b"\xff\xff\xff\xff\xff")),
        ("a PDV longer than its PDU", pdu(0x04, &[0, 0, 1, 0, 3, 3, 1, 2])),
        ("a second request", associate_rq(1, &[(1, VERIFICATION, IMPLICIT_LE)])),
    ] {
        let mut association = Association::request(lab.dicom);
        association.send_raw(&bytes);
        assert!(matches!(association.next_pdu(), Some(ABORT) | None), "{what}");
    }
    assert_sound(&mut lab);
}

#[test]
fn a_sender_that_leaves_in_the_middle_leaves_nothing_behind() {
    let mut lab = Lab::start();
    for _ in 0..10 {
        let mut association = Association::request(lab.dicom);
        association.send_command(3, &store_rq(CT_IMAGE, "2.25.6"));
        association.send_raw(&p_data(3, false, false, &head_of_ct("2.25.6")));
    }
    assert_eq!(lab.get("/instances").ok().json().as_array().map(Vec::len), Some(0));
    assert_sound(&mut lab);
}

/// Debian's Orthanc 1.13 answered no echo while 52 were held.
#[test]
fn five_hundred_idle_connections_do_not_keep_others_out() {
    let mut lab = Lab::start();
    let held: Vec<_> = (0..500).map(|_| connect(lab.dicom)).collect();
    assert_sound(&mut lab);
    drop(held);
    assert_sound(&mut lab);
}

#[test]
fn a_peer_that_stops_talking_is_let_go() {
    let lab = Lab::setup()
        .config("[dicom]\nassociation_timeout = \"1s\"\nidle_timeout = \"1s\"\n")
        .start();
    let mut stream = connect(lab.dicom);
    stream.write_all(&associate_rq(1, &[(1, VERIFICATION, IMPLICIT_LE)])[..30]).unwrap();
    let mut association = Association::request(lab.dicom);
    association.send_command(3, &store_rq(CT_IMAGE, "2.25.7"));
    assert!(matches!(association.next_pdu(), Some(ABORT) | None), "mid-message");
    assert!(read_pdu(&mut stream).map_or(true, |(kind, _)| kind == ABORT), "mid-request");
    lab.assert_alive();
}

#[test]
fn hl7_that_is_none() {
    let mut lab = Lab::start();
    for bytes in [&b"MSH"[..], b"MSH|", b"hello", b"", b"MSH|^~\\&|||||||ORM", b"\xff\xfe\xfd"] {
        let mut connection = Connection::open(lab.mllp);
        connection.send_raw(&[0x0b]);
        connection.send_raw(bytes);
        connection.send_raw(&[0x1c, 0x0d]);
        // an AR or AE where there is somebody to address it to; a closed connection otherwise
    }
    let mut endless = Connection::open(lab.mllp);
    endless.send_raw(&[0x0b]);
    endless.send_raw(&vec![b'x'; 4 << 20]);
    drop(endless);
    let again = lab.order(&crate::support::mllp::orm("A1", "P1", "PYMOD1", "20260105090000"));
    assert!(again.contains("MSA|AA|"), "{again}");
    assert_sound(&mut lab);
}

#[test]
fn a_frame_without_end_is_hung_up_on() {
    let lab = Lab::start();
    let mut endless = Connection::open(lab.mllp);
    endless.send_raw(&[0x0b]);
    let part = vec![b'x'; 1 << 20];
    let refused = wait::until("the lab to hang up", || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            endless.send_raw(&part);
        }));
        result.is_err().then_some(true)
    });
    assert!(refused && endless.is_closed());
    lab.assert_alive();
}

/// A disk of 12 MB: C-STORE answers 0xA700, nothing is half-written, and what was answered with
/// success is still there. Needs a file system of its own, so only root on Linux can play it.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a700() {
    use crate::support::process;
    use std::process::Command;
    needs!("mount");
    struct Disk(tempfile::TempDir);
    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
        }
    }
    let disk = Disk(tempfile::tempdir().unwrap());
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=12m", "none"]).arg(disk.0.path());
    if !process::run(&mut mount).status.success() {
        peers::skip("it::bad_input::a_full_disk_is_a700", "may not mount a small disk");
        return;
    }
    let lab = Lab::setup().data(&disk.0.path().join("data")).start();
    let mut association = Association::request(lab.dicom);
    let mut stored = 0;
    let refused = (1..200).find_map(|number| {
        let instance = format!("2.25.100.{number}");
        match association.store(3, &instance, &small_ct(&instance, 200_000)) {
            Some(0x0000) => {
                stored += 1;
                None
            }
            other => Some(other),
        }
    });
    assert_eq!(refused, Some(Some(0xa700)), "after {stored} instances");
    // The index may be the one that found no room: then the last object is in the packs and will
    // be listed as soon as the index can be written, which the next store finds out.
    let mut grow = Command::new("mount");
    grow.args(["-o", "remount,size=64m"]).arg(disk.0.path());
    assert!(process::run(&mut grow).status.success(), "the disk grows");
    let instance = "2.25.100.999";
    let after = association.store(3, instance, &small_ct(instance, 200_000));
    assert_eq!(after, Some(0x0000), "with room again it goes on");
    let answered = lab.get("/instances").ok().json().as_array().map(Vec::len);
    assert_eq!(answered, Some(stored + 1), "what was acknowledged is there, and nothing else");
    lab.assert_alive();
}

#[test]
fn pynetdicom_with_a_tiny_pdu_and_all_its_contexts() {
    needs!("python");
    let lab = Lab::start();
    let port = lab.dicom.to_string();
    peers::python_script("limits.py", &["127.0.0.1", &port, "PACSLAB"]).success();
}
