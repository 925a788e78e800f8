//! `cargo xtask fuzz`: libFuzzer with the targets of `fuzz/`. What they assert is in
//! `crates/pacslab-fuzz`, and runs with all other tests as well.
//!
//! libFuzzer writes what it learns into `fuzz/work/`; `fuzz/corpus/` is what is kept in the
//! repository, small and chosen.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::peers::program;

const SECONDS: &str = "60";

pub(crate) fn fuzz(root: &Path, words: &[&str]) -> Result<(), String> {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let (target, seconds) = match *words {
        [] => (None, SECONDS),
        [seconds] if is_number(seconds) => (None, seconds),
        [target] => (Some(target), SECONDS),
        [target, seconds] if is_number(seconds) => (Some(target), seconds),
        _ => return Err(format!("`cargo xtask fuzz [TARGET] [SECONDS]`, not {words:?}")),
    };
    let all = targets(root)?;
    let chosen: Vec<&String> =
        all.iter().filter(|name| target.is_none_or(|wanted| wanted == name.as_str())).collect();
    if chosen.is_empty() {
        let wanted = target.unwrap_or_default();
        return Err(format!("no target is called {wanted}; there are {}", all.join(", ")));
    }
    let missing = missing();
    if !missing.is_empty() {
        return Err(format!("fuzzing needs\n  {}", missing.join("\n  ")));
    }
    // the very versions that are shipped; what libFuzzer needs is added to them
    fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"))
        .map_err(|e| format!("cannot copy Cargo.lock: {e}"))?;
    let mut found = Vec::new();
    for name in chosen {
        println!("\n=== {name}, {seconds} s");
        if !run(root, name, seconds)? {
            found.push(name.as_str());
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(format!(
        "found something: {}\nMend it, and move what is in fuzz/artifacts/TARGET to \
         fuzz/regressions/TARGET under a name that says what it is",
        found.join(", ")
    ))
}

/// The files of `fuzz/fuzz_targets`.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&folder).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// What is not here, with the way to get it.
fn missing() -> Vec<String> {
    let mut missing = Vec::new();
    if program("cargo-fuzz").is_none() {
        missing.push("cargo-fuzz: `cargo install cargo-fuzz --locked` (a minute)".to_owned());
    }
    let nightly = Command::new("cargo")
        .args(["+nightly", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !nightly.is_ok_and(|status| status.success()) {
        missing.push(
            "a nightly compiler: `rustup toolchain install nightly --profile minimal`".to_owned(),
        );
    }
    if cfg!(not(unix)) {
        missing.push("Linux or macOS: cargo-fuzz knows no other sanitizers".to_owned());
    }
    missing
}

/// `false`: something was found.
fn run(root: &Path, name: &str, seconds: &str) -> Result<bool, String> {
    let folder = |kind: &str| {
        let folder = root.join("fuzz").join(kind).join(name);
        let made = fs::create_dir_all(&folder);
        made.map(|()| folder.clone()).map_err(|e| format!("cannot make {}: {e}", folder.display()))
    };
    let time = format!("-max_total_time={seconds}");
    let status = Command::new("cargo")
        // the variables by which `cargo xtask` was started choose the stable compiler
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .current_dir(root)
        .args(["+nightly", "fuzz", "run", name])
        .args([folder("work")?, folder("corpus")?, folder("regressions")?])
        .args(["--", &time, "-max_len=4096", "-timeout=5", "-malloc_limit_mb=64"])
        .args(["-rss_limit_mb=1024", "-print_final_stats=1"])
        .status()
        .map_err(|e| format!("cannot start cargo: {e}"))?;
    Ok(status.success())
}
