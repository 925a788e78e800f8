//! `cargo xtask`: the project's chores, without a shell and without dependencies.

mod containers;
mod fuzz;
mod licences;
mod links;
mod notice;
mod peers;
mod picture;
mod powershell;
mod steps;
mod tidy;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <chore>

  test [--install] [-- FILTER...]
            format, lint, repository checks, then unit, property, integration and
            interop tests; says which peers are missing and which tests that skips.
            With FILTER only the tests that match it run (it goes to cargo-nextest).
  install   install the peers: Debian packages with apt-get (root or sudo), Python
            clients into .peers/venv
  tidy      only the checks of the repository itself
  windows [-- FILTER...]
            on Debian: build pacslab.exe, play the demo and run tests under wine
  containers [-- PROGRAM]
            check compose files and Dockerfile; on Linux as root also build the image
            and run it, with PROGRAM or what cargo builds. Needs no container engine
  fuzz [TARGET] [SECONDS]
            cargo-fuzz (nightly) with one target, or with each in turn; 60 seconds each.
            Names what is missing. What it finds is in fuzz/artifacts
  notice    write NOTICE: the licences of what is in the program
  picture   play the demo and draw what it prints: docs/demo.svg, README.md
  help      this text

With CI=true a missing peer is a failure; elsewhere the tests that need it are
skipped and named at the end.";

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let filter = match args.iter().position(|arg| arg == "--") {
        Some(at) => args.split_off(at).split_off(1),
        None => Vec::new(),
    };
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root();
    let done = match words.as_slice() {
        ["test"] => steps::test(&root, false, &filter),
        ["test", "--install"] => steps::test(&root, true, &filter),
        ["install"] => peers::install(&root),
        ["containers"] => containers::containers(&root, filter.first().map(String::as_str)),
        ["windows"] => windows::windows(&root, &filter),
        ["tidy"] => tidy_up(&root),
        ["fuzz", rest @ ..] => fuzz::fuzz(&root, rest),
        ["notice"] => notice::write(&root),
        ["picture"] => picture::picture(&root),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("`{}` is not a chore\n\n{HELP}", other.join(" "))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn tidy_up(root: &Path) -> Result<(), String> {
    let problems = tidy::check(root);
    if problems.is_empty() {
        println!("the repository is tidy");
        return Ok(());
    }
    Err(format!("the repository is not tidy:\n  {}", problems.join("\n  ")))
}

/// The workspace's root: the folder above this crate's own.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
