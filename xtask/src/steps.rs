//! `cargo xtask test`: the steps, their times, and what was skipped for want of a peer.

use crate::{licences, peers, tidy};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Runs every step even after one has failed: a run that takes minutes should say everything
/// that is wrong, and a formatting slip should not hide a broken test.
pub(crate) fn test(root: &Path, install: bool, filter: &[String]) -> Result<(), String> {
    let ci = env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let mut table = Table::default();
    if install {
        table.step("install peers", || peers::install(root));
    }
    table.step("look for peers", || look_for_peers(root, ci));

    let cargo = Cargo { root, program: env::var_os("CARGO").unwrap_or_else(|| "cargo".into()) };
    if filter.is_empty() {
        table.step("tidy", || crate::tidy_up(root));
        table.step("format", || cargo.run(&["fmt", "--all", "--check"]));
        table.step("lint", || {
            cargo.run(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
        });
        table.step("licences", || licences::check(root));
        if tidy::has_doctests(root) {
            table.step("doctests", || cargo.run(&["test", "--quiet", "--doc", "--workspace"]));
        }
    }
    let skips = fresh_folder(&cargo.target().join("skipped-tests"))?;
    table.step("tests", || tests(&cargo, root, ci, &skips, filter));

    print_skipped(&skips, "`cargo xtask install` brings the peers");
    table.print();
    table.outcome()
}

fn look_for_peers(root: &Path, ci: bool) -> Result<(), String> {
    let missing = peers::missing(root);
    if missing.is_empty() {
        println!("all there");
        return Ok(());
    }
    for peer in &missing {
        println!("missing: {}\n    get it: {}", peer.what, peer.how);
    }
    if ci {
        return Err(format!("{} peers are missing, and this is CI", missing.len()));
    }
    println!("the tests that need them are skipped and named at the end");
    Ok(())
}

/// Unit, property, integration and interop tests: cargo-nextest where it is installed, because
/// it runs each test as a process of its own and ends those that hang.
fn tests(
    cargo: &Cargo<'_>,
    root: &Path,
    ci: bool,
    skips: &Path,
    filter: &[String],
) -> Result<(), String> {
    let nextest = Command::new(&cargo.program)
        .args(["nextest", "--version"])
        .output()
        .is_ok_and(|version| version.status.success());
    let mut command = cargo.command();
    if nextest {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]);
        if ci {
            command.args(["--profile", "ci"]);
        }
        command.args(filter);
    } else {
        println!("cargo-nextest is not installed: a test that hangs will not be ended");
        command.args(["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.arg("--").args(filter);
    }
    command.env("PACSLAB_PEERS_VENV", peers::venv(root)).env("PACSLAB_SKIPPED", skips);
    if ci {
        command.env("PACSLAB_REQUIRE_PEERS", "1");
    }
    finish(&mut command)
}

struct Cargo<'a> {
    root: &'a Path,
    program: OsString,
}

impl Cargo<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.root);
        command
    }

    fn run(&self, args: &[&str]) -> Result<(), String> {
        finish(self.command().args(args))
    }

    fn target(&self) -> PathBuf {
        target_folder(self.root)
    }
}

pub(crate) fn target_folder(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn finish(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status}")),
        Err(e) => Err(format!("cannot start {:?}: {e}", command.get_program())),
    }
}

/// Each skipped test leaves a file there, named for the test and holding the reason: the
/// runner hides what a passing test prints, and a skip that nobody sees is a lie.
pub(crate) fn fresh_folder(folder: &Path) -> Result<PathBuf, String> {
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    Ok(folder.to_path_buf())
}

pub(crate) fn print_skipped(folder: &Path, why: &str) {
    let mut skipped: Vec<(String, String)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let test = entry.file_name().to_string_lossy().replace("--", "::");
            (test, fs::read_to_string(entry.path()).unwrap_or_default())
        })
        .collect();
    if skipped.is_empty() {
        return;
    }
    skipped.sort();
    println!("\n{} tests were skipped ({why}):", skipped.len());
    for (test, reason) in skipped {
        println!("  {test}: {}", reason.trim());
    }
}

/// What ran, how it ended and how long it took.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<(&'static str, Result<(), String>, Duration)>,
}

impl Table {
    /// Runs a step and says how it ended; `false`: it failed.
    pub(crate) fn step(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> Result<(), String>,
    ) -> bool {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = run();
        let took = start.elapsed();
        match &outcome {
            Ok(()) => println!("=== {name}: ok, {}", seconds(took)),
            Err(message) => println!("=== {name}: FAILED, {}\n{message}", seconds(took)),
        }
        let ok = outcome.is_ok();
        self.rows.push((name, outcome, took));
        ok
    }

    pub(crate) fn print(&self) {
        println!();
        for (name, outcome, took) in &self.rows {
            let word = if outcome.is_ok() { "ok" } else { "FAILED" };
            println!("{name:<16} {word:<7} {:>9}", seconds(*took));
        }
        println!("{:<24} {:>9}", "total", seconds(self.rows.iter().map(|row| row.2).sum()));
    }

    pub(crate) fn outcome(self) -> Result<(), String> {
        let failed: Vec<&str> =
            self.rows.iter().filter(|row| row.1.is_err()).map(|row| row.0).collect();
        if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}
