//! Large objects on their way out: what is in memory of them does not grow with those who are slow,
//! and what is damaged never arrives as a whole.

use std::io::{Read, Write};
use std::net::TcpStream;

use pacslab_dicom::{Dataset, Element, FileMeta, TransferSyntax, Value, file};
use pacslab_model::{Vr, tags};

use crate::pressure::{image, move_to, send};
use crate::support::raw_dimse::{Association, CT_IMAGE, accept_context};
use crate::support::{Lab, wait};

const INSTANCE: &str = "2.25.60";
const STUDY: &str = "2.25.77";

/// What the answers of the routes for files begin with, and who reads on.
fn ask(lab: &Lab, path: &str, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", lab.http)).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nAuthorization: Basic \
         b3J0aGFuYzpvcnRoYW5j\r\nAccept: {accept}\r\n\r\n",
        lab.http
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200", "{path}");
    stream
}

const AS_STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";

/// Every way in which the one stored object leaves as a file.
fn routes(lab: &Lab) -> [(String, &'static str); 4] {
    let instance = lab.get("/instances").json()[0].as_str().unwrap().to_owned();
    let study = lab.get("/studies").json()[0].as_str().unwrap().to_owned();
    let web = format!("/dicom-web/studies/{STUDY}/series/2.25.771/instances/{INSTANCE}");
    [
        (format!("/instances/{instance}/file"), "*/*"),
        (format!("/studies/{study}/archive"), "*/*"),
        (format!("/dicom-web/studies/{STUDY}"), AS_STORED),
        (web, "application/dicom; transfer-syntax=*"),
    ]
}

fn with_object(pixels: usize) -> Lab {
    let lab = Lab::start();
    let mut sender = Association::request(lab.dicom);
    send(&mut sender, INSTANCE, &image(INSTANCE, pixels), true);
    assert_eq!(sender.status(), Some(0));
    lab
}

/// Twenty-four of them had 60 MB each in memory.
#[test]
fn slow_readers_of_files_hold_pieces_only() {
    let mut lab = with_object(60_000_000);
    let before = lab.memory();
    let routes = routes(&lab);
    let slow: Vec<TcpStream> =
        routes.iter().cycle().take(24).map(|(path, accept)| ask(&lab, path, accept)).collect();
    // who reads on gets all of it meanwhile
    for (path, accept) in &routes {
        let mut all = Vec::new();
        ask(&lab, path, accept).read_to_end(&mut all).unwrap();
        let ends = all.windows(5).rev().take(400_000).any(|bytes| bytes == [7; 5]);
        assert!(all.len() > 60_000_000 && ends, "{path}: {} bytes", all.len());
    }
    if let (Some(before), Some(now)) = (before, lab.memory()) {
        assert!(now < before + 250_000, "{before} kB, then {now} kB");
    }
    drop(slow);
    lab.assert_alive();
}

/// One flipped bit, near the end: the answer has begun when it is found, and must not end well.
#[test]
fn files_that_are_damaged_break_off() {
    let lab = with_object(5_000_000);
    let routes = routes(&lab);
    let whole = lab.get(&routes[0].0).ok().body;
    let mut damaged = 0;
    for entry in std::fs::read_dir(lab.data.join("packs")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.windows(100).rposition(|pixels| pixels == [7; 100]);
        if let Some(at) = last.filter(|_| bytes.len() > 5_000_000) {
            bytes[at] ^= 1;
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            (&file).write_all(&bytes).unwrap();
            damaged += 1;
        }
    }
    assert_eq!(damaged, 1);
    for (path, accept) in &routes {
        let mut all = Vec::new();
        // some systems tell of the end with an error
        let _ = ask(&lab, path, accept).read_to_end(&mut all);
        let (head, body) = all.split_at(all.windows(4).position(|b| b == b"\r\n\r\n").unwrap() + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        match head.contains("transfer-encoding: chunked") {
            true => assert!(!body.ends_with(b"0\r\n\r\n"), "{path} ends like a whole"),
            false => {
                assert!(head.contains(&format!("content-length: {}", whole.len())), "{head}");
                assert!(body.len() < whole.len(), "{path}: {} bytes", body.len());
            }
        }
    }
    wait::until_true("the event about it", || {
        lab.get("/pacslab/events").text().contains("damaged")
    });
    lab.assert_alive();
}

/// So many frames of 1 MiB, as runs: a hundredth of it when it is compressed.
fn frames_in_runs(count: usize) -> Vec<u8> {
    let frame = |number: usize| {
        let mut frame = vec![0; 64];
        frame[0] = 1;
        frame[4] = 64;
        // a run of 128 times the same, 8192 times
        frame.extend([129, number as u8].repeat(8192));
        frame
    };
    let items = std::iter::once(Vec::new()).chain((0..count).map(frame)).collect();
    let mut set = Dataset::new()
        .with_str(tags::SOP_CLASS_UID, Vr::UI, CT_IMAGE)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, INSTANCE)
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, STUDY)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, "2.25.771")
        .with_str(tags::PATIENT_ID, Vr::LO, "PRESSURE")
        .with_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2")
        .with_str(tags::NUMBER_OF_FRAMES, Vr::IS, count.to_string());
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, 1024),
        (tags::COLUMNS, 1024),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.put_u16(tag, value);
    }
    set.put(Element { tag: tags::PIXEL_DATA, vr: Vr::OB, value: Value::Fragments(items) });
    let meta = FileMeta {
        sop_class: CT_IMAGE.into(),
        sop_instance: INSTANCE.into(),
        transfer_syntax: TransferSyntax::from_uid("1.2.840.10008.1.2.5"),
        source_aet: None,
    };
    file::write(&meta, &set)
}

/// For those who do not take it compressed an object is decoded as they take it: eighteen of them had
/// 100 MB each in memory.
#[test]
fn what_is_decoded_for_a_peer_is_never_whole_in_memory() {
    const FRAMES: usize = 100;
    let deaf = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = deaf.local_addr().unwrap().port();
    let mut lab = Lab::setup().peer("DEAF", port).start();
    lab.post("/instances", &frames_in_runs(FRAMES)).ok();
    let before = lab.memory();
    let mut movers: Vec<Association> = (0..6).map(|_| move_to(&lab, "DEAF")).collect();
    // its context 1 is for what is compressed
    let called: Vec<TcpStream> = movers.iter().map(|_| accept_context(&deaf, 3)).collect();
    for stream in &called {
        wait::until_true("an object to be sent", || stream.peek(&mut [0]).is_ok());
    }
    let web = format!("/dicom-web/studies/{STUDY}");
    let accept = "multipart/related; type=\"application/dicom\"";
    let mut slow: Vec<TcpStream> = (0..6).map(|_| ask(&lab, &web, accept)).collect();
    let numbers: Vec<String> = (1..=FRAMES).map(|number| number.to_string()).collect();
    let frames = format!(
        "/dicom-web/studies/{STUDY}/series/2.25.771/instances/{INSTANCE}/frames/{}",
        numbers.join(",")
    );
    let octets = "multipart/related; type=\"application/octet-stream\"";
    slow.extend((0..6).map(|_| ask(&lab, &frames, octets)));
    let mut all = Vec::new();
    ask(&lab, &frames, octets).read_to_end(&mut all).unwrap();
    assert!(all.len() > FRAMES << 20, "{}", all.len());
    let mut all = Vec::new();
    ask(&lab, &web, accept).read_to_end(&mut all).unwrap();
    assert!(all.len() > FRAMES << 20, "{}", all.len());
    if let (Some(before), Some(now)) = (before, lab.memory()) {
        assert!(now < before + 300_000, "{before} kB, then {now} kB");
    }
    drop((slow, called));
    for mover in &mut movers {
        let answered = std::iter::from_fn(|| mover.status()).find(|status| *status != 0xFF00);
        assert_eq!(answered, Some(0xA702), "nothing could be sent");
    }
    lab.assert_alive();
}
