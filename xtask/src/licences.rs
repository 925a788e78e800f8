//! Licences, sources and bans of what we build on: cargo-deny with `deny.toml`, and NOTICE.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::peers::{Missing, program, retried};
use crate::{notice, peers};

/// Unoptimised: that halves the minutes it takes to build, and the check takes seconds either way.
const INSTALL: &[&str] = &["install", "cargo-deny", "--locked", "--debug"];

/// cargo-deny, where it is not here.
pub(crate) fn missing() -> Option<Missing> {
    program("cargo-deny").is_none().then(|| Missing {
        what: "cargo-deny (checks licences and sources)".to_owned(),
        how: format!("`cargo xtask install`, or: cargo {}", INSTALL.join(" ")),
    })
}

/// Builds it where it is not here.
pub(crate) fn install() -> Result<(), String> {
    if missing().is_none() {
        return Ok(());
    }
    println!("building cargo-deny (one to two minutes, once)");
    retried(|| peers::run(Command::new("cargo").args(INSTALL).stdin(Stdio::null())))
}

/// `cargo deny check licenses bans sources`, and whether NOTICE is current.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    notice::check(root)?;
    if program("cargo-deny").is_none() {
        println!("cargo-deny is not installed: licences are for CI to check");
        return Ok(());
    }
    let mut deny = Command::new("cargo-deny");
    deny.current_dir(root).args(["--workspace", "check", "licenses", "bans", "sources"]);
    peers::run(&mut deny)
}
