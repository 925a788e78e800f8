//! Shows a page in the browser of whoever sits here.

use std::io;
use std::process::{Command, Stdio};

use crate::output::Output;

/// Shows a page, or says that it cannot: without a desktop, for example.
pub(crate) fn show(url: &str, out: &Output) {
    if let Err(error) = ask(url) {
        out.remark(&format!("no browser can be started ({error}): open {url} yourself"));
    }
}

/// That the system was asked is all that is known afterwards.
fn ask(url: &str) -> io::Result<()> {
    let mut command = opener(url);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    // it ends soon, and somebody has to see it end
    std::thread::spawn(move || child.wait());
    Ok(())
}

/// By its whole path: a program of that name beside ours, in a folder of downloads perhaps,
/// is not what is meant.
#[cfg(windows)]
fn opener(url: &str) -> Command {
    let windows = std::env::var_os("SystemRoot").unwrap_or_else(|| "C:\\Windows".into());
    let mut command = Command::new(std::path::Path::new(&windows).join("System32\\rundll32.exe"));
    command.args(["url.dll,FileProtocolHandler", url]);
    command
}

#[cfg(not(windows))]
fn opener(url: &str) -> Command {
    let mut command =
        Command::new(if cfg!(target_os = "macos") { "/usr/bin/open" } else { "xdg-open" });
    command.arg(url);
    command
}
