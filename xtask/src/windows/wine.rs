//! wine: a folder that it takes for a computer, and how programs are started in it.

use super::{LINKER, run};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Rust's standard library asks this library for random numbers; wine has it since version 9.
const RANDOM_DLL: &str = "bcryptprimitives.dll";
/// The one function of it that is asked for, by the older function that does the same.
const RANDOM_C: &str = "\
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length); /* RtlGenRandom */
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
    return SystemFunction036(buffer, (ULONG)length);
}
";

/// Makes a new one: what a run before left behind should help or hinder nobody.
pub(super) fn prefix(prefix: &Path, cache: &Path) -> Result<(), String> {
    if prefix.exists() {
        stop(prefix);
        fs::remove_dir_all(prefix)
            .map_err(|e| format!("cannot remove {}: {e}", prefix.display()))?;
    }
    run(Command::new(program()).arg("--version"))?;
    run(command(prefix).args(["wineboot", "--init"]))?;
    let system = prefix.join("drive_c/windows/system32");
    let random = system.join(RANDOM_DLL);
    if random.exists() {
        return Ok(());
    }
    println!("this wine lacks {RANDOM_DLL}: making one");
    let source = cache.join("random.c");
    fs::write(&source, RANDOM_C).map_err(|e| format!("cannot write {}: {e}", source.display()))?;
    let mut compile = Command::new(LINKER);
    compile.args(["-shared", "-O2", "-s", "-o"]).arg(random).arg(source).arg("-ladvapi32");
    run(&mut compile)
}

/// The loader itself, where Debian keeps it: the script around it misses 32 bits each time.
pub(super) fn program() -> &'static str {
    const LOADER: &str = "/usr/lib/wine/wine64";
    if Path::new(LOADER).is_file() { LOADER } else { "wine" }
}

/// wine, to which the program and its arguments are still to be said.
pub(super) fn command(prefix: &Path) -> Command {
    let mut command = Command::new(program());
    environment(&mut command, prefix);
    command
}

pub(super) fn environment(command: &mut Command, prefix: &Path) {
    command
        .env("WINEPREFIX", prefix)
        .env("WINEDEBUG", "-all")
        // nothing here needs .NET or a browser: do not ask to download them
        .env("WINEDLLOVERRIDES", "mscoree,mshtml=")
        .env_remove("DISPLAY");
}

/// Ends what still runs in the prefix.
pub(super) fn stop(prefix: &Path) {
    let mut command = Command::new("wineserver");
    environment(&mut command, prefix);
    // it fails when nothing runs
    let _ = command.arg("-k").stdin(Stdio::null()).stderr(Stdio::null()).status();
}
