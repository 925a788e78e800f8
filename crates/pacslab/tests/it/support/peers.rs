//! Programs of other projects: found, or the test that needs them is skipped by name. Where a
//! missing one is a failure (CI), `PACSLAB_REQUIRE_PEERS` says so; `cargo xtask test` sets it.

use super::process::{self, Finished};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `needs!("storescu", "python")` as a test's first line: returns from the test, with a note
/// for `cargo xtask test`, unless all of them are here. `"python"` stands for the virtual
/// environment with its clients.
macro_rules! needs {
    ($($peer:literal),+ $(,)?) => {
        if !$crate::support::peers::all_here(std::any::type_name_of_val(&|| {}), &[$($peer),+]) {
            return;
        }
    };
}
pub(crate) use needs;

pub(crate) fn all_here(test: &str, peers: &[&str]) -> bool {
    let missing: Vec<&str> = peers.iter().copied().filter(|peer| find(peer).is_none()).collect();
    if missing.is_empty() {
        return true;
    }
    let test = test.trim_end_matches("::{{closure}}");
    let reason = format!("needs {}", missing.join(", "));
    assert!(
        env::var_os("PACSLAB_REQUIRE_PEERS").is_none(),
        "{test} {reason}, and PACSLAB_REQUIRE_PEERS is set: run `cargo xtask install`"
    );
    skip(test, &reason);
    false
}

/// Notes that a test did not run, where `cargo xtask test` looks for it.
pub(crate) fn skip(test: &str, reason: &str) {
    eprintln!("skipped: {test} {reason}");
    if let Some(folder) = env::var_os("PACSLAB_SKIPPED") {
        // a colon is no part of a file name on Windows
        let _ = fs::write(Path::new(&folder).join(test.replace("::", "--")), reason);
    }
}

fn find(peer: &str) -> Option<PathBuf> {
    match peer {
        "python" => Some(python()).filter(|python| python.is_file()),
        "Orthanc" => program("Orthanc").filter(|_| super::orthanc::plugins().is_some()),
        name => program(name),
    }
}

/// A program on PATH, or where Debian keeps servers.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
}

/// Runs a peer's program to its end.
#[track_caller]
pub(crate) fn run(name: &str, args: &[&str]) -> Finished {
    process::run(command(name).args(args))
}

pub(crate) fn command(name: &str) -> Command {
    Command::new(program(name).unwrap_or_else(|| name.into()))
}

/// Runs a script of `tools/interop` with the Python clients.
#[track_caller]
pub(crate) fn python_script(name: &str, args: &[&str]) -> Finished {
    process::run(&mut python_command(name, args))
}

/// The same, to be started beside the test.
pub(crate) fn python_command(name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(python());
    command.arg("-B").arg(super::script(name)).args(args);
    command
}

fn python() -> PathBuf {
    let venv = env::var_os("PACSLAB_PEERS_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.peers/venv"),
        PathBuf::from,
    );
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}
