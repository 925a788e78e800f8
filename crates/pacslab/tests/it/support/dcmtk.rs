//! DCMTK's tools as clients and servers, and dicom3tools' validators.

use super::process::{Finished, Running};
use super::{peers, wait};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Runs a DCMTK client against a loopback port: `scu("echoscu", port, &["-v"])`.
#[track_caller]
pub(crate) fn scu(tool: &str, port: u16, args: &[&str]) -> Finished {
    let port = port.to_string();
    let mut command = peers::command(tool);
    // no wait without an end; the peer and its port come after the options
    command.args(["-to", "10", "-ta", "20"]);
    if tool != "echoscu" {
        command.args(["-td", "30"]);
    }
    command.args(["-aec", "PACSLAB"]);
    let (options, files): (Vec<&str>, Vec<&str>) = split(args);
    command.args(options).args(["127.0.0.1", &port]).args(files);
    super::process::run(&mut command)
}

/// Options first, then what follows `--` (files of storescu).
fn split<'a>(args: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    match args.iter().position(|arg| *arg == "--") {
        Some(at) => (args[..at].to_vec(), args[at + 1..].to_vec()),
        None => (args.to_vec(), Vec::new()),
    }
}

/// Sends files with storescu and expects success for each.
#[track_caller]
pub(crate) fn store(port: u16, files: &[&Path]) {
    let mut args = vec!["-v", "-R", "--"];
    args.extend(files.iter().filter_map(|file| file.to_str()));
    scu("storescu", port, &args).success();
}

/// Runs findscu and returns its answers, each a dump of the identifier as findscu logs it.
#[track_caller]
pub(crate) fn find(port: u16, model: &str, keys: &[&str]) -> Vec<String> {
    let mut args = vec!["-v", model];
    for key in keys {
        args.extend(["-k", key]);
    }
    let found = scu("findscu", port, &args).success();
    answers(&found.said())
}

/// Splits findscu's log at `Find Response: N (Pending)`.
fn answers(log: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let mut current: Option<String> = None;
    for line in log.lines().map(|line| line.trim_start_matches("I: ")) {
        if line.contains("Find Response") {
            answers.extend(current.take());
            current = line.contains("Pending").then(String::new);
        } else if let Some(answer) = &mut current {
            answer.push_str(line);
            answer.push('\n');
        }
    }
    answers.extend(current);
    answers
}

/// Value of a text element in a dump: `value(&dump, "(0010,0020)")`.
pub(crate) fn value(dump: &str, tag: &str) -> Option<String> {
    let line = dump.lines().find(|line| line.trim_start().starts_with(tag))?;
    let start = line.find('[')? + 1;
    let end = line[start..].find(']')? + start;
    // UIDs are shown with the NUL that makes their length even
    Some(line[start..end].trim_matches(['\0', ' ']).to_string())
}

/// A data set as dcmdump shows it, without group 2, for comparison.
#[track_caller]
pub(crate) fn dump(file: &Path) -> String {
    let file = file.to_str().expect("temporary paths are text");
    let whole = peers::run("dcmdump", &["-q", "+L", file]).success().stdout;
    let data_set = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with('#') && !line.starts_with("(0002,")
    };
    whole.lines().filter(data_set).collect::<Vec<_>>().join("\n")
}

/// dciodvfy says no line that starts with `Error`, for each file; dcentvfy neither, for all.
#[track_caller]
pub(crate) fn assert_valid(files: &[PathBuf]) {
    assert!(!files.is_empty(), "nothing to validate");
    let errors = |said: String| -> Vec<String> {
        said.lines().filter(|line| line.starts_with("Error")).map(str::to_string).collect()
    };
    for file in files {
        let found =
            errors(super::process::run(peers::command("dciodvfy").args(["-new"]).arg(file)).said());
        assert!(found.is_empty(), "dciodvfy {}:\n{}", file.display(), found.join("\n"));
    }
    let found = errors(super::process::run(peers::command("dcentvfy").args(files)).said());
    assert!(found.is_empty(), "dcentvfy:\n{}", found.join("\n"));
}

/// DCMTK's storescp, which writes what it receives, byte by byte, into a folder.
#[derive(Debug)]
pub(crate) struct StoreScp {
    pub(crate) port: u16,
    folder: TempDir,
    _process: Running,
}

impl StoreScp {
    #[track_caller]
    pub(crate) fn start(aet: &str, options: &[&str]) -> Self {
        Self::at(aet, wait::free_port(), options)
    }

    /// On a port that was chosen before.
    #[track_caller]
    pub(crate) fn at(aet: &str, port: u16, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = peers::command("storescp");
        command.args(["-v", "-aet", aet, "+B"]).args(options);
        command.arg("-od").arg(folder.path()).arg(port.to_string());
        let log = folder.path().join("storescp.log");
        let process = Running::start("storescp", &mut command, log, false);
        wait::until_listening("storescp", port);
        Self { port, folder, _process: process }
    }

    /// What has come in so far: storescp names files by modality and SOP Instance UID.
    pub(crate) fn received(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.folder.path())
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_none_or(|e| e != "log"))
            .collect();
        files.sort();
        files
    }

    #[track_caller]
    pub(crate) fn file_of(&self, instance: &str) -> PathBuf {
        let named = |path: &PathBuf| path.to_string_lossy().ends_with(instance);
        wait::until(instance, || self.received().into_iter().find(named))
    }
}

/// DCMTK's worklist server over a folder of `.wl` files. It serves `<path>/<called AE>/`.
#[derive(Debug)]
pub(crate) struct WlmScp {
    pub(crate) port: u16,
    _folder: TempDir,
    _process: Running,
}

impl WlmScp {
    #[track_caller]
    pub(crate) fn start(aet: &str, items: &[PathBuf]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let served = folder.path().join(aet);
        std::fs::create_dir(&served).expect("a folder for the called AE title");
        std::fs::write(served.join("lockfile"), []).expect("wlmscpfs wants a lock file");
        for item in items {
            let name = item.file_name().expect("an item is a file");
            std::fs::copy(item, served.join(name)).expect("the item is copied");
        }
        let port = wait::free_port();
        let mut command = peers::command("wlmscpfs");
        command.args(["-v", "-dfp"]).arg(folder.path()).arg(port.to_string());
        let log = folder.path().join("wlmscpfs.log");
        let process = Running::start("wlmscpfs", &mut command, log, false);
        wait::until_listening("wlmscpfs", port);
        Self { port, _folder: folder, _process: process }
    }
}
