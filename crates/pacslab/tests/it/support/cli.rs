//! How the commands are spelled, in one place: a test says what it wants, not which flags.

use super::lab::{cli, pacslab};
use super::process::{Finished, Running};
use super::wait;
use std::path::Path;

/// The words of a command, whom it talks to, then the rest; it calls itself PYMOD1.
#[track_caller]
fn with_peer(words: &[&str], called: &str, port: u16, rest: &[&str]) -> Finished {
    let peer = format!("{called}@127.0.0.1:{port}");
    cli(&[words, &["--pacs", &peer], rest].concat())
}

#[track_caller]
pub(crate) fn echo(called: &str, port: u16) -> Finished {
    with_peer(&["echo"], called, port, &[])
}

/// Sends files and folders.
#[track_caller]
pub(crate) fn send(called: &str, port: u16, paths: &[&Path]) -> Finished {
    let paths: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    with_peer(&["send"], called, port, &paths)
}

/// Study-level query: `find("PACSLAB", port, &["--accession", "ACC1"])`.
#[track_caller]
pub(crate) fn find(called: &str, port: u16, keys: &[&str]) -> Finished {
    with_peer(&["find", "--json"], called, port, keys)
}

#[track_caller]
pub(crate) fn worklist_find(called: &str, port: u16, keys: &[&str]) -> Finished {
    with_peer(&["worklist", "find"], called, port, keys)
}

#[track_caller]
pub(crate) fn move_study(called: &str, port: u16, study: &str, to: &str) -> Finished {
    with_peer(&["move"], called, port, &["--study", study, "--to", to])
}

/// Fetches into a folder over the association of the request; answers as JSON.
#[track_caller]
pub(crate) fn get(called: &str, port: u16, keys: &[&str], out: &Path) -> Finished {
    let out = out.to_str().expect("temporary paths are text");
    with_peer(&["get", "--json", "--out", out], called, port, keys)
}

/// Acquires from the worklist of a server into a folder.
#[track_caller]
pub(crate) fn acquire(called: &str, port: u16, accession: &str, out: &Path, more: &[&str]) {
    let out = out.to_str().expect("temporary paths are text");
    let mut rest = vec!["--accession", accession, "--out", out];
    rest.extend(more);
    with_peer(&["acquire"], called, port, &rest).success();
}

/// `receive`: a C-STORE SCP that writes what comes into a folder.
#[track_caller]
pub(crate) fn receive(aet: &str, folder: &Path, log: &Path) -> (Running, u16) {
    let port = wait::free_port();
    let mut command = pacslab();
    command.args(["receive", "--aet", aet, "--port", &port.to_string(), "--out"]).arg(folder);
    let running = Running::start("pacslab receive", &mut command, log.to_path_buf(), false);
    wait::until_listening("pacslab receive", port);
    (running, port)
}

#[track_caller]
pub(crate) fn hl7_generate(more: &[&str]) -> Finished {
    cli(&[&["hl7", "generate"], more].concat())
}

#[track_caller]
pub(crate) fn hl7_send(port: u16, file: &Path) -> Finished {
    let file = file.to_str().expect("temporary paths are text");
    cli(&["hl7", "send", "--to", &format!("127.0.0.1:{port}"), file])
}

/// Writes the FHIR resources of a study into a folder, from a running lab.
#[track_caller]
pub(crate) fn fhir_export(http: u16, study: &str, out: &Path) -> Finished {
    let url = format!("http://127.0.0.1:{http}");
    let out = out.to_str().expect("temporary paths are text");
    cli(&["fhir", "export", "--url", &url, "--study", study, "--out", out])
}
