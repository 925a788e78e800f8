//! Many at once, greedy ones and slow ones: memory stays bounded and nobody waits for another's
//! sender. What is asserted is that things happen, not how fast.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::support::raw_dimse::{
    Association, CT_IMAGE, Field, P_DATA, accept, command_set, element, p_data, padded, store_rq,
};
use crate::support::{Lab, wait};

const WORKLIST: &str = "1.2.840.10008.5.1.4.31";

/// A CT image with so many bytes of pixels, in implicit VR.
pub(crate) fn image(instance: &str, pixels: usize) -> Vec<u8> {
    let mut set = element(0x0008, 0x0016, &padded(CT_IMAGE));
    set.extend(element(0x0008, 0x0018, &padded(instance)));
    set.extend(element(0x0010, 0x0020, b"PRESSURE"));
    set.extend(element(0x0020, 0x000D, &padded("2.25.77")));
    set.extend(element(0x0020, 0x000E, &padded("2.25.771")));
    set.extend(element(0x7FE0, 0x0010, &vec![7; pixels]));
    set
}

/// Sends a C-STORE request and these bytes of its data set, each PDU as long as is allowed.
pub(crate) fn send(association: &mut Association, instance: &str, bytes: &[u8], last: bool) {
    association.send_command(3, &store_rq(CT_IMAGE, instance));
    go_on(association, bytes, last);
}

fn go_on(association: &mut Association, bytes: &[u8], last: bool) {
    let count = bytes.chunks(120_000).count();
    for (at, part) in bytes.chunks(120_000).enumerate() {
        association.send_raw(&p_data(3, false, last && at + 1 == count, part));
    }
}

/// The value of a metric without labels.
#[track_caller]
fn metric(lab: &Lab, name: &str) -> u64 {
    let text = lab.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

/// Answers of the worklist.
#[track_caller]
fn worklist(lab: &Lab) -> usize {
    let mut association = Association::of(lab.dicom, WORKLIST);
    let command = command_set(&[
        (0x0002, Field::Uid(WORKLIST)),
        (0x0100, Field::Us(0x0020)),
        (0x0110, Field::Us(1)),
        (0x0700, Field::Us(0)),
        (0x0800, Field::Us(0x0001)),
    ]);
    association.send_command(1, &command);
    association.send_raw(&p_data(1, false, true, &element(0x0008, 0x0050, b"")));
    let mut answers = 0;
    loop {
        match association.status() {
            Some(0xFF00 | 0xFF01) => {
                answers += 1;
                assert_eq!(association.next_pdu(), Some(P_DATA), "the data set of an answer");
            }
            Some(0) => return answers,
            other => panic!("C-FIND is answered {other:X?}"),
        }
    }
}

/// A small image, a C-ECHO and a question to the worklist are answered, each on an association of
/// its own.
#[track_caller]
fn assert_served(lab: &Lab, instance: &str) {
    lab.assert_alive();
    assert_eq!(worklist(lab), 1);
    let stored = Association::request(lab.dicom).store(3, instance, &image(instance, 8_000));
    assert_eq!(stored, Some(0), "a small image is stored");
    let answer = lab.get("/statistics");
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn five_hundred_associations_stand_and_each_answers() {
    let lab = Lab::start();
    let mut all: Vec<Association> = (0..500).map(|_| Association::request(lab.dicom)).collect();
    assert_eq!(metric(&lab, "pacslab_associations_open"), 500);
    for association in all.iter_mut().step_by(50) {
        association.echo();
    }
    all.last_mut().unwrap().echo();
}

/// Without a common limit each of these held its megabyte: 220 MB together.
#[test]
#[cfg(target_os = "linux")]
fn memory_stays_bounded_while_many_large_objects_are_half_received() {
    const SENDERS: usize = 200;
    let mut lab = Lab::setup().config("[storage]\nreceive_memory = \"16 MiB\"\n").start();
    lab.place("A-1", "P-1", "PYMOD1");
    wait::until_true("the worklist to have the order", || worklist(&lab) == 1);
    let before = lab.memory().unwrap();
    let instances: Vec<String> = (0..SENDERS).map(|at| format!("2.25.9{at}")).collect();
    let mut halves = Vec::new();
    for instance in &instances {
        let mut association = Association::request(lab.dicom);
        let object = image(instance, 1_000_000);
        send(&mut association, instance, &object[..960_000], false);
        halves.push((association, object));
    }
    let held = || metric(&lab, "pacslab_receive_memory_bytes");
    wait::until_true("what was sent to be received", || {
        held() + metric(&lab, "pacslab_receive_spilled_total") * 960_000 > 150 << 20
    });
    assert!(held() <= 16 << 20, "{} bytes are held", held());
    let grown = lab.memory().unwrap() - before;
    assert!(grown < 110_000, "{grown} kB more than before");
    // those that come meanwhile find room
    assert_served(&lab, "2.25.8");
    // and what was half received gets its other half
    for (association, object) in &mut halves {
        go_on(association, &object[960_000..], true);
        assert_eq!(association.status(), Some(0));
    }
    let held = || metric(&lab, "pacslab_receive_memory_bytes");
    wait::until_true("the memory to be given back", || held() == 0);
}

/// A sender that stops in the middle of an object is sent away, and leaves nothing behind.
#[test]
fn senders_that_stop_half_way_end_by_the_timeout() {
    let lab = Lab::setup().config("[dicom]\nidle_timeout = \"1s\"\n").start();
    let object = image("2.25.5", 500_000);
    let mut slow: Vec<Association> = (0..8).map(|_| Association::request(lab.dicom)).collect();
    for association in &mut slow {
        send(association, "2.25.5", &object[..400_000], false);
    }
    lab.assert_alive();
    for association in &mut slow {
        assert_eq!(association.status(), None, "it is aborted");
    }
    wait::until_true("the memory to be given back", || {
        metric(&lab, "pacslab_receive_memory_bytes") == 0
    });
}

/// Sixteen at a time from each of six, without end: others have their turn.
#[test]
fn greedy_senders_leave_room_for_others() {
    let lab = Lab::setup().config("[storage]\nreceive_memory = \"8 MiB\"\n").start();
    lab.place("A-1", "P-1", "PYMOD1");
    wait::until_true("the worklist to have the order", || worklist(&lab) == 1);
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for sender in 0..6 {
            let mut sending = Association::windowed(lab.dicom);
            let mut reading = sending.twin();
            let (over, answered) = (&over, &answered);
            scope.spawn(move || {
                while let Some(status) = reading.status() {
                    assert_eq!(status, 0);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
            scope.spawn(move || {
                for at in 0.. {
                    if over.load(Ordering::Relaxed) {
                        return sending.close();
                    }
                    let instance = format!("2.25.6{sender}{at}");
                    send(&mut sending, &instance, &image(&instance, 500_000), true);
                }
            });
        }
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..5 {
                let before = answered.load(Ordering::Relaxed);
                assert_served(&lab, &format!("2.25.7{round}"));
                wait::until_true("the greedy ones to go on as well", || {
                    answered.load(Ordering::Relaxed) > before
                });
            }
        }));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|why| std::panic::resume_unwind(why));
    });
}

/// Those who read nothing of what they asked for hold nobody up, and what is read for them is
/// bounded: 24 times 40 MB it would be.
#[test]
fn receivers_that_read_nothing_slow_nobody() {
    let deaf = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = deaf.local_addr().unwrap().port();
    let mut lab = Lab::setup().peer("DEAF", port).start();
    lab.place("A-1", "P-1", "PYMOD1");
    wait::until_true("the worklist to have the order", || worklist(&lab) == 1);
    let instance = "2.25.40";
    let mut sender = Association::request(lab.dicom);
    send(&mut sender, instance, &image(instance, 40_000_000), true);
    assert_eq!(sender.status(), Some(0));
    let before = lab.memory();
    // more than the sockets of both ends take
    let readers: Vec<TcpStream> = (0..2).map(|_| ask_for_the_study(&lab)).collect();
    let movers: Vec<Association> = (0..24).map(|_| move_to(&lab, "DEAF")).collect();
    let called: Vec<TcpStream> = movers.iter().map(|_| accept(&deaf)).collect();
    // no peer waits for another, who is as slow
    wait::until_true("objects to be sent", || {
        let begun = |stream: &&TcpStream| {
            stream.set_nonblocking(true).unwrap();
            stream.peek(&mut [0]).is_ok()
        };
        called.iter().filter(begun).count() == 24
    });
    assert_served(&lab, "2.25.41");
    if let (Some(before), Some(now)) = (before, lab.memory()) {
        assert!(now < before + 250_000, "{before} kB, then {now} kB");
    }
    drop((readers, called));
    for mut mover in movers {
        let answered = std::iter::from_fn(|| mover.status()).find(|status| *status != 0xFF00);
        assert_eq!(answered, Some(0xA702), "nothing could be sent");
    }
    assert_served(&lab, "2.25.42");
}

/// A WADO-RS request of which only the beginning of the answer is read.
fn ask_for_the_study(lab: &Lab) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", lab.http)).unwrap();
    stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    let request = format!(
        "GET /dicom-web/studies/2.25.77 HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nAuthorization: Basic \
         b3J0aGFuYzpvcnRoYW5j\r\nAccept: multipart/related; type=\"application/dicom\"; \
         transfer-syntax=*\r\n\r\n",
        lab.http
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    stream.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

/// A C-MOVE of the study.
pub(crate) fn move_to(lab: &Lab, destination: &str) -> Association {
    const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
    let mut association = Association::of(lab.dicom, STUDY_ROOT_MOVE);
    let command = command_set(&[
        (0x0002, Field::Uid(STUDY_ROOT_MOVE)),
        (0x0100, Field::Us(0x0021)),
        (0x0110, Field::Us(1)),
        (0x0600, Field::Uid(destination)),
        (0x0700, Field::Us(0)),
        (0x0800, Field::Us(0x0001)),
    ]);
    association.send_command(1, &command);
    let mut keys = element(0x0008, 0x0052, b"STUDY ");
    keys.extend(element(0x0020, 0x000D, &padded("2.25.77")));
    association.send_raw(&p_data(1, false, true, &keys));
    association
}
