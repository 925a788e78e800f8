//! What goes to the terminal: tables for people, JSON for machines, errors with what to do next.
//!
//! Results go to standard output; progress, remarks and errors go to standard error, so that
//! `--json` output can be piped as it is. Colours and bars appear on terminals only (`NO_COLOR` and
//! `CLICOLOR_FORCE` are heeded), on Windows too.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::exit::Failure;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// `--json` was given.
    pub(crate) json: bool,
    terminal: bool,
    error_terminal: bool,
}

/// What catches the eye of a person first.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is looked at last.
pub(crate) const FAINT: Style = Style::new().dimmed();

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            error_terminal: io::stderr().is_terminal(),
        }
    }

    /// Text as it is, to standard output.
    pub(crate) fn text(&self, text: &str) {
        let mut out = io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        leave_if_nobody_reads(written);
    }

    pub(crate) fn bytes(&self, bytes: &[u8]) {
        let mut out = io::stdout().lock();
        // a failing standard output leaves no way to say so
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    }

    pub(crate) fn line(&self, text: impl AsRef<str>) {
        self.text(&format!("{}\n", text.as_ref()));
    }

    /// A line for people only: nothing with `--json`.
    pub(crate) fn say(&self, text: impl AsRef<str>) {
        if !self.json {
            self.line(text);
        }
    }

    /// A line with styles in it, which stay out of what is no terminal; nothing with `--json`.
    pub(crate) fn say_styled(&self, text: impl AsRef<str>) {
        if !self.json {
            let mut out = anstream::AutoStream::auto(io::stdout().lock());
            let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
            leave_if_nobody_reads(written);
        }
    }

    /// One JSON document on one line.
    pub(crate) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(text),
            Err(error) => self.remark(&format!("this result has no JSON form: {error}")),
        }
    }

    /// A remark beside the result, to standard error.
    pub(crate) fn remark(&self, text: &str) {
        self.labelled("note", AnsiColor::Cyan, text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.labelled("warning", AnsiColor::Yellow, text);
    }

    /// What somebody should know before other computers come in.
    pub(crate) fn warn_of_strangers(&self, config: &crate::config::Config) {
        if config.http.bind.is_loopback() {
            return;
        }
        let usual = config.http.user == "orthanc" && config.http.password.reveal() == "orthanc";
        if !config.http.auth {
            self.warning(
                "other computers can read and change everything without a login (http.auth = false)",
            );
        } else if config.built_in_login && config.users.is_empty() {
            self.remark(
                "the login orthanc/orthanc works from this computer only; for other computers \
                 make a user: pacslab user add NAME",
            );
        } else if usual {
            self.warning(
                "other computers can reach the page with the login orthanc/orthanc; \
                 choose your own with http.user and http.password, or `pacslab user add NAME`",
            );
        }
    }

    /// `error: …` and `hint: …`, to standard error; with `--json` one object instead.
    pub(crate) fn failure(&self, failure: &Failure) {
        if self.json {
            let object = serde_json::json!({
                "error": failure.message, "hint": failure.hint, "exit": failure.exit as u8,
            });
            let _ = writeln!(io::stderr().lock(), "{object}");
            return;
        }
        self.labelled("error", AnsiColor::Red, &failure.message);
        if let Some(hint) = &failure.hint {
            self.labelled("hint", AnsiColor::Green, hint);
        }
    }

    /// Rows under headings; `none` when there are no rows.
    pub(crate) fn table(&self, headings: &[&str], rows: Vec<Vec<String>>, none: &str) {
        if rows.is_empty() {
            self.line(none);
            return;
        }
        self.line(render(headings, rows, self.width()));
    }

    /// Whether progress bars make sense.
    pub(crate) fn shows_progress(&self) -> bool {
        self.error_terminal && !self.json
    }

    fn labelled(&self, label: &str, color: AnsiColor, text: &str) {
        let style = Style::new().bold().fg_color(Some(color.into()));
        let mut err = anstream::AutoStream::auto(io::stderr().lock());
        // some say more than a line, and some repeat what a peer said
        let lines: Vec<String> = text.lines().map(printable).collect();
        // a failing standard error leaves no way to say so
        let _ = writeln!(err, "{style}{label}{style:#}: {}", lines.join("\n"));
    }

    /// Columns of the terminal; `None`: not a terminal, lines may be as long as they need.
    pub(crate) fn width(&self) -> Option<u16> {
        self.terminal.then(|| terminal_size::terminal_size().map_or(100, |(width, _)| width.0))
    }

    /// Lines of the terminal, if there is one.
    pub(crate) fn height(&self) -> Option<usize> {
        let size = || terminal_size::terminal_size().map_or(24, |(_, height)| height.0);
        self.terminal.then(|| usize::from(size()))
    }
}

/// `pacslab … | head`: the reader has enough, nobody is left to tell.
fn leave_if_nobody_reads(written: io::Result<()>) {
    if written.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(0);
    }
}

/// Columns without frames, so that output can be cut and pasted.
fn render(headings: &[&str], rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(headings.iter().map(|h| h.to_uppercase()));
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    // characters that would move the cursor come from peers and stay out of the terminal
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|cell| printable(&cell))));
    let columns = headings.len();
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index + 1 == columns { 0 } else { 2 }));
    }
    let text: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    text.join("\n")
}

/// A path as a person here would type it: what is below the current folder without that.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    // put together again: on Windows a `/` of the configuration becomes the `\` of everything else
    path.strip_prefix(&here).unwrap_or(path).components().collect()
}

/// The text with everything replaced that would end its line, colour it or turn it around: it may
/// be a stranger's.
pub(crate) fn printable(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

/// Bytes for people: `1.4 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        1_048_576..1_073_741_824 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_columns() {
        let rows = vec![vec!["ACC1001".into(), "DOE^JANE".into()], vec!["A".into(), "".into()]];
        let text = render(&["accession", "patient"], rows, None);
        assert_eq!(text, "ACCESSION  PATIENT\nACC1001    DOE^JANE\nA");
    }

    #[test]
    fn tables_keep_to_the_width_and_peers_cannot_move_the_cursor() {
        let text =
            render(&["a"], vec![vec!["word ".repeat(40)], vec!["\u{1b}[2J".into()]], Some(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}
