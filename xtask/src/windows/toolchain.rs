//! A compiler with a standard library for Windows, out of Debian's packages.
//!
//! Debian has no library for this target that goes with a compiler as new as we need. It has,
//! for its browsers, a recent compiler with its source (`rustc-web`), and cargo can build the
//! library from that. The packages are unpacked, not installed: they would be in the way of
//! others, and nothing has to be removed afterwards but the folder.

use super::{LINKER, TARGET, run};
use crate::peers::{apt_get, retried};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Change it when what is made changes, and it is made again.
const RECIPE: &str = "1";

/// Packages with names that do not change; two more depend on the version, see [`packages`].
const PACKAGES: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// The parts of the standard library that programs and tests link.
const PARTS: &str = "-Zbuild-std=std,panic_unwind,panic_abort,proc_macro,test";

/// A crate with nothing in it, so that cargo has something to build the library for.
const EMPTY: &str = "empty";

/// Makes the compiler, unless it is there.
pub(super) fn make(cache: &Path) -> Result<(), String> {
    let ready = cache.join("toolchain-ready");
    if fs::read_to_string(&ready).is_ok_and(|recipe| recipe == RECIPE) {
        println!("made before: {}", rustc(cache).display());
        return Ok(());
    }
    let (debs, root) = (cache.join("debs"), root(cache));
    for old in [&debs, &root] {
        let _ = fs::remove_dir_all(old);
        fs::create_dir_all(old).map_err(|e| format!("cannot make {}: {e}", old.display()))?;
    }
    download(&debs)?;
    for deb in files(&debs, ".deb")? {
        run(Command::new("dpkg-deb").arg("-x").arg(deb).arg(&root))?;
    }
    run(with_libraries(&mut Command::new(rustc(cache)), cache).arg("--version"))?;
    build_std(cache)?;
    let _ = fs::remove_dir_all(debs);
    fs::write(ready, RECIPE).map_err(|e| format!("cannot mark the compiler as complete: {e}"))
}

/// cargo as it runs here, with that compiler.
pub(super) fn cargo(cache: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    with_libraries(&mut command, cache)
        .env("RUSTC", rustc(cache))
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER", LINKER);
    command
}

fn root(cache: &Path) -> PathBuf {
    cache.join("root")
}

fn rustc(cache: &Path) -> PathBuf {
    root(cache).join("usr/bin/rustc")
}

/// The compiler finds its libraries where it was unpacked to.
fn with_libraries<'a>(command: &'a mut Command, cache: &Path) -> &'a mut Command {
    let ours = root(cache).join(format!("usr/lib/{}-linux-gnu", env::consts::ARCH));
    let theirs = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let all = std::iter::once(ours).chain(env::split_paths(&theirs));
    match env::join_paths(all) {
        Ok(paths) => command.env("LD_LIBRARY_PATH", paths),
        Err(_) => command,
    }
}

fn download(folder: &Path) -> Result<(), String> {
    let fetch = || {
        let names = packages()?;
        run(Command::new("apt-get").args(["download", "-q"]).args(names).current_dir(folder))
    };
    fetch().or_else(|_| {
        // a machine that never looked has no list of packages
        run(apt_get().args(["update", "-q"]))?;
        retried(fetch)
    })
}

/// All names: two of them hold a version, which the package that depends on them tells.
fn packages() -> Result<Vec<String>, String> {
    let std = dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    let llvm = dependency(&std, "libllvm").or_else(|_| dependency("rustc-web", "libllvm"))?;
    Ok(PACKAGES.iter().map(|name| (*name).to_owned()).chain([std, llvm]).collect())
}

fn dependency(package: &str, prefix: &str) -> Result<String, String> {
    let asked = Command::new("apt-cache")
        .args(["depends", package])
        .output()
        .map_err(|e| format!("cannot start apt-cache: {e}"))?;
    let answer = String::from_utf8_lossy(&asked.stdout);
    let mut needed = answer.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    needed.find(|name| name.starts_with(prefix)).map(str::to_owned).ok_or_else(|| {
        format!(
            "apt knows no package {package} that needs {prefix}…: this chore wants Debian 12 \
             with its security updates"
        )
    })
}

fn build_std(cache: &Path) -> Result<(), String> {
    let source = cache.join(EMPTY);
    let target = source.join("target");
    let failed = |e| format!("cannot write {}: {e}", source.display());
    let _ = fs::remove_dir_all(&source);
    fs::create_dir_all(source.join("src")).map_err(failed)?;
    let manifest = format!("[package]\nname = \"{EMPTY}\"\nedition = \"2024\"\n\n[workspace]\n");
    fs::write(source.join("Cargo.toml"), manifest).map_err(failed)?;
    fs::write(source.join("src/lib.rs"), "#![no_std]\n").map_err(failed)?;
    // the option is not stable yet; the compiler is asked to take it nonetheless
    run(cargo(cache)
        .current_dir(&source)
        .env("RUSTC_BOOTSTRAP", "1")
        .args(["build", "--quiet", "--release", PARTS, "--target", TARGET, "--target-dir"])
        .arg(&target))?;
    let home = root(cache).join("usr/lib/rustlib").join(TARGET).join("lib");
    fs::create_dir_all(&home).map_err(|e| format!("cannot make {}: {e}", home.display()))?;
    for library in files(&target.join(TARGET).join("release/deps"), ".rlib")? {
        let name = library.file_name().unwrap_or_default();
        if !name.to_string_lossy().starts_with(&format!("lib{EMPTY}-")) {
            fs::copy(&library, home.join(name))
                .map_err(|e| format!("cannot copy {}: {e}", library.display()))?;
        }
    }
    let _ = fs::remove_dir_all(source);
    Ok(())
}

fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let entries =
        fs::read_dir(folder).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(ending))
        .collect())
}
