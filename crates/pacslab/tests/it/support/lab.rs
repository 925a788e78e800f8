//! The lab under test: the built program, `serve`d on free ports with folders of its own.

use super::process::{Finished, Running};
use super::{http, mllp, wait};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use tempfile::TempDir;

/// A running department. Killed when dropped; its log is shown when the test fails.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) dicom: u16,
    pub(crate) http: u16,
    pub(crate) mllp: u16,
    pub(crate) worklists: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) folder: TempDir,
    process: Running,
    setup: Setup,
}

/// What a test may want to be different.
#[derive(Debug, Default, Clone)]
pub(crate) struct Setup {
    config: String,
    data: Option<PathBuf>,
    /// An `orthanc.json` instead of the `pacslab.toml`.
    orthanc: Option<String>,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// A DICOM peer that the lab knows by its AE title: a C-MOVE destination.
    pub(crate) fn peer(self, aet: &str, port: u16) -> Self {
        self.config(&format!("[peers]\n{aet} = \"{aet}@127.0.0.1:{port}\"\n"))
    }

    /// More lines of `pacslab.toml`.
    pub(crate) fn config(mut self, toml: &str) -> Self {
        self.config.push_str(toml);
        self
    }

    /// Orthanc's configuration.
    pub(crate) fn orthanc(mut self, json: &serde_json::Value) -> Self {
        self.orthanc = Some(json.to_string());
        self
    }

    /// A variable of the environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A data folder somewhere else than in the test's own folder.
    pub(crate) fn data(mut self, folder: &std::path::Path) -> Self {
        self.data = Some(folder.to_path_buf());
        self
    }

    #[track_caller]
    pub(crate) fn start(self) -> Lab {
        Lab::launch(tempfile::tempdir().expect("a temporary folder"), self)
    }
}

impl Lab {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::setup().start()
    }

    pub(crate) fn setup() -> Setup {
        Setup::default()
    }

    #[track_caller]
    fn launch(folder: TempDir, setup: Setup) -> Self {
        let (name, text) = match &setup.orthanc {
            Some(json) => ("orthanc.json", json),
            None => ("pacslab.toml", &setup.config),
        };
        let config = folder.path().join(name);
        std::fs::write(&config, text).expect("the configuration is written");
        let data = setup.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let worklists = folder.path().join("worklists");
        let mut command = pacslab();
        command.args(["serve", "--ephemeral", "--json"]);
        command.arg("--config").arg(&config);
        command.arg("--data").arg(&data).arg("--worklists").arg(&worklists);
        command.envs(setup.variables.iter().map(|(name, value)| (name, value)));
        let log = folder.path().join("pacslab.log");
        let mut process = Running::start("pacslab serve", &mut command, log, true);
        let ready = first_line(&mut process);
        let port = |door: &str| {
            let port = ready[door].as_u64().and_then(|port| u16::try_from(port).ok());
            port.unwrap_or_else(|| panic!("no port for `{door}` in {ready}"))
        };
        assert_eq!(ready["ready"], true, "{ready}");
        Self {
            dicom: port("dicom"),
            http: port("http"),
            mllp: port("mllp"),
            worklists: ready["worklists"].as_str().map_or(worklists, PathBuf::from),
            data: ready["data"].as_str().map_or(data, PathBuf::from),
            folder,
            process,
            setup,
        }
    }

    /// Kills it as hard as a process can be and starts it again on the same folders.
    #[track_caller]
    pub(crate) fn kill_and_restart(mut self) -> Self {
        self.process.kill();
        Self::launch(self.folder, self.setup)
    }

    /// The same, and a database is lost meanwhile.
    #[track_caller]
    pub(crate) fn kill_and_restart_without(mut self, database: &str) -> Self {
        self.process.kill();
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(self.data.join(format!("{database}{end}")));
        }
        Self::launch(self.folder, self.setup)
    }

    /// Kills it; its folders are there as long as what comes back.
    pub(crate) fn stop(mut self) -> TempDir {
        self.process.kill();
        self.folder
    }

    /// Runs a command that talks to the HTTP door of this lab.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        let url = format!("http://127.0.0.1:{}", self.http);
        let mut command = pacslab();
        command.args(args).args(["--url", &url, "--login", "orthanc:orthanc"]);
        super::process::run(command.stdin(std::process::Stdio::null()))
    }

    /// Ctrl-C: has to end by itself, with success.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn interrupt(mut self) {
        let status = self.process.interrupt();
        assert!(status.success(), "Ctrl-C ended with {status}");
    }

    pub(crate) fn get(&self, path: &str) -> http::Response {
        http::get(self.http, path)
    }

    pub(crate) fn post(&self, path: &str, body: &[u8]) -> http::Response {
        http::post(self.http, path, "application/dicom", body)
    }

    /// Sends one HL7 message and returns the acknowledgement.
    #[track_caller]
    pub(crate) fn order(&self, message: &str) -> String {
        mllp::exchange(self.mllp, message.as_bytes())
    }

    /// Places the order of the demo under another accession, patient and station.
    #[track_caller]
    pub(crate) fn place(&self, accession: &str, patient: &str, station: &str) {
        let ack = self.order(&mllp::orm(accession, patient, station, "20260105090000"));
        assert!(ack.contains("MSA|AA|"), "{ack}");
    }

    #[track_caller]
    pub(crate) fn store_fixtures(&self) {
        for file in super::files(&super::fixtures(), "dcm") {
            let body = std::fs::read(&file).expect("a fixture can be read");
            let answer = self.post("/instances", &body);
            assert_eq!(answer.status, 200, "{}: {}", file.display(), answer.text());
        }
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    /// Resident memory in kB, where the system tells.
    pub(crate) fn memory(&mut self) -> Option<u64> {
        let pid = self.process.child().id();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    /// Is still running and still answers a C-ECHO: no test may leave it otherwise.
    #[track_caller]
    pub(crate) fn assert_alive(&self) {
        super::raw_dimse::Association::request(self.dicom).echo();
    }
}

/// The built program; it sees none of the caller's configuration.
pub(crate) fn pacslab() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pacslab"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let ours = name.starts_with("PACSLAB__") || name.starts_with("ORTHANC");
        if ours {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command of the program to its end.
#[track_caller]
pub(crate) fn cli(args: &[&str]) -> Finished {
    super::process::run(pacslab().args(args))
}

/// Reads the line that says where everything listens. The rest of the output is read and
/// dropped, so that the program never waits for a full pipe.
#[track_caller]
fn first_line(process: &mut Running) -> serde_json::Value {
    let out = process.child().stdout.take().expect("its output is piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    let Ok(line) = receiver.recv_timeout(wait::PATIENCE) else {
        panic!("pacslab serve never said that it is ready:\n{}", process.log());
    };
    // the thread ends with the program; what it still sends goes nowhere
    serde_json::from_str(&line)
        .unwrap_or_else(|e| panic!("the first line is no JSON ({e}): {line}"))
}
