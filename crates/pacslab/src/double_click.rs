//! Started by a double-click: `pacslab.exe`, opened from Windows' Explorer.
//!
//! Whoever does that has typed no command, and gets a window that belongs to this process and
//! closes with it. So the demonstration is played, the browser shows its page, and after a
//! failure the window stays until what it says was read.
//!
//! Elsewhere a program is started from a terminal that stays, and nothing of this happens.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};

/// What is run instead of nothing.
const COMMAND: [&str; 3] = ["pacslab", "demo", "--browser"];

/// The command line, when nobody typed one and the window is ours.
pub(crate) fn command() -> Option<[&'static str; 3]> {
    let watched = io::stdin().is_terminal() && io::stdout().is_terminal();
    by_double_click(std::env::args_os(), watched, sharing_the_console()).then_some(COMMAND)
}

/// From a prompt, the shell has the console too; from a service or a pipe nobody is watching.
fn by_double_click(
    words: impl Iterator<Item = OsString>,
    watched: bool,
    sharing_the_console: u32,
) -> bool {
    words.count() <= 1 && watched && sharing_the_console == 1
}

/// Keeps the window until somebody presses Enter.
pub(crate) fn keep_window() {
    let mut err = io::stderr().lock();
    let _ = write!(err, "\nPress Enter to close this window. ").and_then(|()| err.flush());
    // whatever is typed, and however that fails, ends the wait
    let _ = io::stdin().read_line(&mut String::new());
}

/// How many processes have this one's console, itself included; 0: there is none.
///
/// Only Windows knows, and only this call tells: nothing safe does, and guesses from the
/// environment (`PROMPT`, the parent's name) are wrong for one shell or another.
#[cfg(windows)]
#[allow(unsafe_code, reason = "the call takes a pointer; see below why that is sound")]
fn sharing_the_console() -> u32 {
    let mut processes = [0_u32; 2];
    let room = processes.len() as u32;
    // SAFETY: the call writes at most `room` numbers to where `processes` lives, and keeps no
    // pointer to it; when there are more processes it writes none and answers how many.
    unsafe {
        windows_sys::Win32::System::Console::GetConsoleProcessList(processes.as_mut_ptr(), room)
    }
}

#[cfg(not(windows))]
fn sharing_the_console() -> u32 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn decided(words: &[&str], watched: bool, sharing: u32) -> bool {
        by_double_click(words.iter().map(OsString::from), watched, sharing)
    }

    #[test]
    fn only_an_own_window_without_a_command_is_a_double_click() {
        assert!(decided(&["pacslab.exe"], true, 1));
        assert!(!decided(&["pacslab.exe", "serve"], true, 1), "a command was given");
        assert!(!decided(&["pacslab.exe"], true, 2), "a shell has the console too");
        assert!(!decided(&["pacslab.exe"], true, 0), "there is no console");
        assert!(!decided(&["pacslab.exe"], false, 1), "nobody watches");
    }

    #[test]
    fn under_test_nobody_has_double_clicked() {
        assert_eq!(command(), None);
    }

    #[test]
    fn what_it_runs_is_a_command() {
        let cli = crate::cmd::Cli::try_parse_from(COMMAND).unwrap();
        assert!(matches!(cli.command, Some(crate::cmd::Command::Demo(_))));
    }
}
