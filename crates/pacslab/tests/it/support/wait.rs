//! Waiting for something to become true, instead of sleeping and hoping.

use std::fs::File;
use std::net::TcpListener;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Long enough for a loaded machine; a test that is going to pass never waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(10);

/// Polls until there is an answer; panics with `what` when there is none in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = poll() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(PAUSE);
    }
}

/// The same for a plain condition.
#[track_caller]
pub(crate) fn until_true(what: &str, mut poll: impl FnMut() -> bool) {
    until(what, || poll().then_some(()));
}

/// Waits until something accepts connections on a loopback port.
#[track_caller]
pub(crate) fn until_listening(what: &str, port: u16) {
    until(&format!("{what} to listen on port {port}"), || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// Below every system's range of ephemeral ports (Linux 32768, Windows and macOS 49152), so that
/// no connection and no port 0 of a test beside this one takes a port between its being chosen here
/// and its being bound by the peer.
const OURS: std::ops::Range<u16> = 20_000..32_000;

/// A port for peers that cannot choose one themselves: nobody listens on it, and no other test is
/// given it until this process ends.
///
/// Asking the system for a free port and letting it go gave Orthanc the same number for DICOM and
/// HTTP once in some thousand runs.
pub(crate) fn free_port() -> u16 {
    static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let folder = std::env::temp_dir().join("pacslab-test-ports");
    std::fs::create_dir_all(&folder).expect("the folder of the port locks is made");
    let mut held = HELD.lock().expect("no test panics in here");
    let (count, first) = (OURS.end - OURS.start, std::process::id().wrapping_mul(131));
    for step in 0..u32::from(count) {
        let port = OURS.start + (first.wrapping_add(step) % u32::from(count)) as u16;
        let lock = File::create(folder.join(port.to_string())).expect("a port's lock is a file");
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            held.push(lock);
            return port;
        }
    }
    panic!("none of the ports {OURS:?} is free");
}
