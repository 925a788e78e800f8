//! Waiting for something to become true, instead of sleeping and hoping.

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

/// A port that was free a moment ago, for peers that cannot choose one themselves.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("loopback has ports");
    listener.local_addr().expect("a bound socket has an address").port()
}
