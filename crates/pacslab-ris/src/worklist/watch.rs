//! How changes of the folder become known.
//!
//! | where | between queries | at a query |
//! |---|---|---|
//! | Linux, local disk | inotify wakes the watching thread | the event queue is drained |
//! | network drives, bind mounts (no events) | listed each second | listed if the folder's time changed |
//! | other systems | listed each second | listed |
//!
//! The kernel queues an event before the call that caused it returns, so a queue drained after a
//! query has come in holds everything that was finished before. Listing compares sizes and times
//! and reads what differs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Whether the folder is listed each second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Poll {
    /// Where there are no events: network file systems and those of virtual machines.
    #[default]
    Auto,
    Always,
    /// Trust events wherever the folder is.
    Never,
}

/// What may have changed since the last look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changes {
    /// These files; none: nothing.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only inotify names files"))]
    Files(BTreeSet<Arc<str>>),
    /// Nobody knows: list the folder.
    Unknown,
}

pub(super) const TICK: Duration = Duration::from_secs(1);

#[cfg(target_os = "linux")]
pub(super) use linux::{Wake, Watch};
#[cfg(not(target_os = "linux"))]
pub(super) use listing::{Wake, Watch};

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use rustix::io::Errno;

    use super::{Changes, Poll};

    /// Names of file systems whose changes by others raise no events here.
    const WITHOUT_EVENTS: [(u64, &str); 9] = [
        (0x6969, "NFS"),
        (0xFF53_4D42, "CIFS"),
        (0xFE53_4D42, "SMB2"),
        (0x517B, "SMB"),
        (0x0102_1997, "9P"),
        (0x6573_5546, "FUSE"),
        (0x5346_414F, "AFS"),
        (0x00C3_6400, "Ceph"),
        (0x786F_4256, "VirtualBox shared folder"),
    ];

    #[derive(Debug)]
    pub(in super::super) struct Watch {
        /// `None`: the folder is polled.
        queue: Option<Arc<OwnedFd>>,
        watching: bool,
        /// Device, inode and time of the folder when it was last looked at.
        folder: Option<(u64, u64, i64, i64)>,
        why_polled: Option<String>,
    }

    impl Watch {
        pub(in super::super) fn new(folder: &Path, poll: Poll) -> Self {
            let mut watch = Self { queue: None, watching: false, folder: None, why_polled: None };
            watch.why_polled = match poll {
                Poll::Always => Some("as configured".to_owned()),
                Poll::Never => None,
                Poll::Auto => rustix::fs::statfs(folder).ok().and_then(|found| {
                    let magic = found.f_type as u64 & 0xFFFF_FFFF;
                    let known = WITHOUT_EVENTS.iter().find(|(known, _)| *known == magic);
                    known.map(|(_, name)| format!("{name} tells no changes"))
                }),
            };
            if watch.why_polled.is_none() {
                match inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK) {
                    Ok(queue) => watch.queue = Some(Arc::new(queue)),
                    Err(error) => watch.why_polled = Some(format!("inotify: {error}")),
                }
            }
            watch
        }

        pub(in super::super) fn why_polled(&self) -> Option<&str> {
            self.why_polled.as_deref()
        }

        /// Whether the time of the folder has to be distrusted for a while after each change.
        pub(in super::super) fn lists(&self) -> bool {
            self.queue.is_none()
        }

        pub(in super::super) fn tick(&self) -> Option<Duration> {
            self.queue.is_none().then_some(super::TICK)
        }

        pub(in super::super) fn wake(&self) -> Wake {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            Wake { stop: eventfd(0, flags).ok(), queue: self.queue.clone() }
        }

        pub(in super::super) fn changes(&mut self, folder: &Path) -> Changes {
            let seen = std::fs::metadata(folder)
                .ok()
                .map(|meta| (meta.dev(), meta.ino(), meta.mtime(), meta.mtime_nsec()));
            let before = std::mem::replace(&mut self.folder, seen);
            let Some(queue) = self.queue.clone() else {
                return if seen.is_none() || seen != before { Changes::Unknown } else { none() };
            };
            if seen.is_none() {
                self.watching = false;
                return Changes::Unknown;
            }
            let another = seen.map(|f| (f.0, f.1)) != before.map(|f| (f.0, f.1));
            if !self.watching || another {
                return self.begin(folder, &queue);
            }
            let mut found = drain(&queue);
            if seen != before && found == Drained::Nothing {
                // the time of a folder may be seen to change just before the event is queued
                std::thread::yield_now();
                found = drain(&queue);
                if found == Drained::Nothing {
                    return Changes::Unknown;
                }
            }
            match found {
                Drained::Nothing => none(),
                Drained::Files(files) => Changes::Files(files),
                Drained::Overflow => Changes::Unknown,
                Drained::Lost => self.begin(folder, &queue),
            }
        }

        fn begin(&mut self, folder: &Path, queue: &OwnedFd) -> Changes {
            let flags = WatchFlags::CREATE
                | WatchFlags::MODIFY
                | WatchFlags::ATTRIB
                | WatchFlags::CLOSE_WRITE
                | WatchFlags::MOVED_FROM
                | WatchFlags::MOVED_TO
                | WatchFlags::DELETE
                | WatchFlags::DELETE_SELF
                | WatchFlags::MOVE_SELF
                | WatchFlags::ONLYDIR;
            match inotify::add_watch(queue, folder, flags) {
                Ok(_) => self.watching = true,
                Err(error) => {
                    // the limit of watches is reached (fs.inotify.max_user_watches), for example
                    self.why_polled = Some(format!("inotify: {error}"));
                    self.queue = None;
                }
            }
            Changes::Unknown
        }
    }

    fn none() -> Changes {
        Changes::Files(Default::default())
    }

    #[derive(PartialEq, Eq)]
    enum Drained {
        Nothing,
        /// Perhaps none that is of interest.
        Files(std::collections::BTreeSet<Arc<str>>),
        Overflow,
        Lost,
    }

    fn drain(queue: &OwnedFd) -> Drained {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(queue, &mut buffer);
        let mut files = std::collections::BTreeSet::new();
        let (mut any, mut overflow, mut lost) = (false, false, false);
        loop {
            match reader.next() {
                Ok(event) => {
                    let what = event.events();
                    any = true;
                    overflow |= what.contains(ReadFlags::QUEUE_OVERFLOW);
                    lost |= what.intersects(
                        ReadFlags::IGNORED
                            | ReadFlags::UNMOUNT
                            | ReadFlags::DELETE_SELF
                            | ReadFlags::MOVE_SELF,
                    );
                    if let Some(Ok(name)) = event.file_name().map(|name| name.to_str())
                        && super::super::load::is_worklist_name(name)
                    {
                        files.insert(Arc::from(name));
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(_) => {
                    lost = true;
                    break;
                }
            }
        }
        match (lost, overflow) {
            (true, _) => Drained::Lost,
            (_, true) => Drained::Overflow,
            _ if !any => Drained::Nothing,
            _ => Drained::Files(files),
        }
    }

    /// Lets the watching thread sleep until something happens.
    #[derive(Debug)]
    pub(in super::super) struct Wake {
        stop: Option<OwnedFd>,
        queue: Option<Arc<OwnedFd>>,
    }

    impl Wake {
        /// `false`: time to stop.
        pub(in super::super) fn wait(&self, timeout: Option<Duration>) -> bool {
            let Some(stop) = &self.stop else { return false };
            let span = |time: Duration| Timespec {
                tv_sec: time.as_secs() as i64,
                tv_nsec: i64::from(time.subsec_nanos()),
            };
            let stopped = |timeout: Option<Duration>, queue: Option<&OwnedFd>| {
                let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
                fds.extend(queue.map(|queue| PollFd::new(queue, PollFlags::IN)));
                let _ = poll(&mut fds, timeout.map(span).as_ref());
                (
                    !fds[0].revents().is_empty(),
                    fds.get(1).is_some_and(|fd| !fd.revents().is_empty()),
                )
            };
            let (stop, event) = stopped(timeout, self.queue.as_deref());
            if event && !stop {
                // let a burst gather: who asks in between drains the queue himself
                return !stopped(Some(Duration::from_millis(20)), None).0;
            }
            !stop
        }

        pub(in super::super) fn stop(&self) {
            if let Some(stop) = &self.stop {
                let _ = rustix::io::write(stop, &1u64.to_ne_bytes());
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod listing {
    use std::path::Path;
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Duration;

    use super::{Changes, Poll, TICK};

    /// Every look lists the folder: one call on Windows brings sizes and times along.
    #[derive(Debug)]
    pub(in super::super) struct Watch {
        poll: Poll,
    }

    impl Watch {
        pub(in super::super) fn new(_folder: &Path, poll: Poll) -> Self {
            Self { poll }
        }

        pub(in super::super) fn why_polled(&self) -> Option<&str> {
            (self.poll == Poll::Always).then_some("as configured")
        }

        pub(in super::super) fn lists(&self) -> bool {
            true
        }

        pub(in super::super) fn tick(&self) -> Option<Duration> {
            (self.poll != Poll::Never).then_some(TICK)
        }

        pub(in super::super) fn wake(&self) -> Wake {
            Wake::default()
        }

        pub(in super::super) fn changes(&mut self, _folder: &Path) -> Changes {
            Changes::Unknown
        }
    }

    #[derive(Debug, Default)]
    pub(in super::super) struct Wake {
        stop: Mutex<bool>,
        changed: Condvar,
    }

    impl Wake {
        /// `false`: time to stop.
        pub(in super::super) fn wait(&self, timeout: Option<Duration>) -> bool {
            let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner);
            let stop = match timeout {
                Some(timeout) => {
                    self.changed
                        .wait_timeout_while(stop, timeout, |stop| !*stop)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait_while(stop, |stop| !*stop)
                    .unwrap_or_else(PoisonError::into_inner),
            };
            !*stop
        }

        pub(in super::super) fn stop(&self) {
            *self.stop.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.changed.notify_all();
        }
    }
}
