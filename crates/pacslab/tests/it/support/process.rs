//! Running programs: to their end with a limit, or beside the test until it is over.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) command: String,
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Finished {
    /// Both outputs: DCMTK's tools write their log to either.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    #[track_caller]
    pub(crate) fn success(self) -> Self {
        assert!(self.status.success(), "{self}");
        self
    }

    #[track_caller]
    pub(crate) fn failure(self) -> Self {
        assert!(!self.status.success(), "should have failed: {self}");
        self
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON ({e}): {self}"))
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { command, status, stdout, stderr, took } = self;
        write!(f, "{command}\n{status} after {took:?}\n--- stdout\n{stdout}--- stderr\n{stderr}")
    }
}

/// Runs a program to its end; one that takes a minute is killed and fails the test.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Finished {
    const LIMIT: Duration = Duration::from_secs(60);
    let shown = format!("{command:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // files, not pipes: nobody has to read them while the program runs
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out).expect("a file for its output"))
        .stderr(File::create(&err).expect("a file for its messages"))
        .spawn()
        .unwrap_or_else(|e| panic!("cannot start {shown}: {e}"));
    let read = |path: &PathBuf| {
        String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
    };
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            break status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown} did not end within {LIMIT:?}\n{}{}", read(&out), read(&err));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = start.elapsed();
    Finished { command: shown, status, stdout: read(&out), stderr: read(&err), took }
}

/// A program that runs beside the test: ended with it, its log shown when the test fails.
#[derive(Debug)]
pub(crate) struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts a program with its messages (and, unless it is piped, its output) in `log`.
    #[track_caller]
    pub(crate) fn start(name: &str, command: &mut Command, log: PathBuf, pipe_out: bool) -> Self {
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        let out = if pipe_out {
            Stdio::piped()
        } else {
            file.try_clone().expect("a second handle").into()
        };
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(file)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        Self { name: name.to_string(), child, log }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Ends it the hard way, as a power cut would (as far as a process can tell).
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to stop, as Ctrl-C does, and waits for its exit code.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn interrupt(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        run(Command::new("kill").args(["-INT", &pid])).success();
        super::wait::until(&format!("{} to stop after SIGINT", self.name), || {
            self.child.try_wait().expect("a child can be waited for")
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(80)..];
            eprintln!("--- log of {}\n{}\n---", self.name, last.join("\n"));
        }
    }
}
