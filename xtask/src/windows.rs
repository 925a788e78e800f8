//! `cargo xtask windows`: `pacslab.exe` built on Debian, and run under wine.
//!
//! It catches what a compiler for Windows and wine's idea of Windows catch: interfaces of Unix,
//! file names, line ends, sockets, paths in outputs. It is no Windows: sharing of open files,
//! the console window, firewalls and services are seen by the CI job on a real one.
//!
//! Everything it makes is in `.peers/windows`, which may be deleted at any time.

mod toolchain;
mod wine;

use crate::peers;
use crate::steps::{Table, fresh_folder, print_skipped, target_folder};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Below the workspace's root, ignored by git.
const CACHE: &str = ".peers/windows";
const TARGET: &str = "x86_64-pc-windows-gnu";
const LINKER: &str = "x86_64-w64-mingw32-gcc";

/// Programs that have to be on PATH, and the Debian packages that bring them.
const PACKAGES: &[(&str, &[&str])] =
    &[(LINKER, &["gcc-mingw-w64-x86-64-win32"]), ("wine", &["wine", "wine64"])];

/// The crates whose tests touch what differs on Windows: files, sockets, the command line.
const TESTED: &[&str] = &[
    "pacslab",
    "pacslab-store",
    "pacslab-ris",
    "pacslab-dimse",
    "pacslab-archive",
    "pacslab-scp",
    "pacslab-http",
    "pacslab-modality",
    // every parser once, on bytes that are nobody's
    "pacslab-fuzz",
];

/// Builds, plays the demo and runs the tests. With `filter`, only the tests that match it.
pub(crate) fn windows(root: &Path, filter: &[String]) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("this chore builds on Debian; on Windows itself run `cargo xtask test`".into());
    }
    let cache = root.join(CACHE);
    std::fs::create_dir_all(&cache).map_err(|e| format!("cannot make {CACHE}: {e}"))?;
    let lab = Lab { root, prefix: cache.join("prefix"), cache };
    let mut table = Table::default();
    // each step needs the one before it
    let done = table.step("packages", install)
        && table.step("std for Windows", || toolchain::make(&lab.cache))
        && table.step("wine prefix", || wine::prefix(&lab.prefix, &lab.cache))
        && table.step("build", || lab.cargo(&["build", "--package", "pacslab"], &[]))
        && (!filter.is_empty() || table.step("demo", || lab.demo()))
        && table.step("build tests", || lab.tests(&["--no-run"], &[]));
    if done {
        let skips = fresh_folder(&lab.target().join("skipped-tests"))?;
        table.step("tests", || {
            let mut words = vec!["--test-threads=2"];
            words.extend(filter.iter().map(String::as_str));
            lab.tests(&[], &words)
        });
        print_skipped(&skips, "under wine the peers of this system are not to be had");
    }
    wine::stop(&lab.prefix);
    table.print();
    table.outcome()
}

fn install() -> Result<(), String> {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(program, _)| peers::program(program).is_none())
        .flat_map(|(_, packages)| *packages)
        .copied()
        .collect();
    if missing.is_empty() {
        println!("all there");
        return Ok(());
    }
    peers::apt_install(&missing)
}

/// Where things are, and how programs are called there.
struct Lab<'a> {
    root: &'a Path,
    cache: PathBuf,
    prefix: PathBuf,
}

impl Lab<'_> {
    /// Apart from the other builds: those are another compiler's.
    fn target(&self) -> PathBuf {
        target_folder(self.root).join("windows")
    }

    fn demo(&self) -> Result<(), String> {
        let program = self.target().join(TARGET).join("debug/pacslab.exe");
        let mut command = wine::command(&self.prefix);
        command.current_dir(&self.cache).arg(program).args(["demo", "--exit", "--ephemeral"]);
        run(&mut command)
    }

    fn tests(&self, options: &[&str], words: &[&str]) -> Result<(), String> {
        let packages = TESTED.iter().flat_map(|name| ["--package", name]);
        let mut args = vec!["test", "--no-fail-fast", "--lib", "--bins", "--tests"];
        args.extend(packages.chain(options.iter().copied()));
        self.cargo(&args, words)
    }

    /// The cargo that runs this chore, with the other compiler, for Windows.
    fn cargo(&self, args: &[&str], words: &[&str]) -> Result<(), String> {
        let mut command = toolchain::cargo(&self.cache);
        command.current_dir(self.root).args(args).args(["--target", TARGET]);
        command.arg("--target-dir").arg(self.target());
        if !words.is_empty() {
            command.arg("--").args(words);
        }
        wine::environment(&mut command, &self.prefix);
        command.env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", wine::program());
        // it is run now and then: what would make the next build faster is larger than the build
        command.env("CARGO_INCREMENTAL", "0");
        command.env("PACSLAB_SKIPPED", self.target().join("skipped-tests"));
        run(&mut command)
    }
}

/// Runs a program to its end; nothing can be typed into it.
fn run(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{:?} ended with {status}", command.get_program())),
        Err(e) => Err(format!("cannot start {:?}: {e}", command.get_program())),
    }
}
