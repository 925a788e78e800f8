//! How the demonstration is told: one line a step, then how to look at what it left.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Profile, Told};
use crate::output::{FAINT, Output, STRONG, printable, shown};

/// Tells a person, or with `--json` a machine.
#[derive(Debug)]
pub(crate) struct Teller<'a> {
    out: &'a Output,
    /// Paths are shown from here, where they are below it.
    base: Option<&'a Path>,
    /// Lines begin with the accession number: several orders are played at once.
    several: bool,
    /// Width of the column of who talks to whom.
    names: usize,
}

/// Width of the longest protocol.
const PROTOCOL: usize = 15;

impl<'a> Teller<'a> {
    pub(crate) fn new(
        out: &'a Output,
        profile: &Profile,
        stations: &[usize],
        base: Option<&'a Path>,
    ) -> Self {
        let (pacs, receiver) = (profile.pacs.aet.as_str().len(), profile.receiver.as_str().len());
        let scanner = stations.iter().copied().max().unwrap_or(0);
        let creator = profile.creator.as_ref().map_or(0, |title| title.as_str().len());
        let widest = scanner.max(receiver).max(creator) + 3 + pacs;
        let names = "RIS → order entry".chars().count().max(widest);
        Self { out, base, several: stations.len() > 1, names }
    }

    /// One line, or two where the terminal is too narrow for one.
    pub(crate) fn step(&self, told: &Told) {
        if self.out.json {
            self.out.json(told);
            return;
        }
        let which = if self.several { format!("{:<10} ", told.accession) } else { String::new() };
        let protocol = format!("{:<PROTOCOL$}", told.protocol);
        let time = format!("{:>6.1} ms", told.ms);
        let names = printable(&told.names).replace("->", "→");
        let names = format!("{names:<width$}", width = self.names);
        let mut text = printable(&told.text);
        if let Some(path) = &told.path {
            text += &format!(": {}", self.short(path).display());
        }
        let head = which.len() + 3 + PROTOCOL + 2 + time.len() + 2;
        let long = head + names.chars().count() + 2 + text.chars().count();
        let between = match self.out.width() {
            Some(width) if long > usize::from(width) => format!("\n{:head$}", ""),
            _ => "  ".to_owned(),
        };
        self.out.say_styled(format!(
            "{which}{:>2} {STRONG}{protocol}{STRONG:#}  {FAINT}{time}{FAINT:#}  {}{between}{text}",
            told.step,
            if between.len() > 2 { names.trim_end() } else { &names },
        ));
    }

    pub(crate) fn done(&self, ms: f64) {
        match self.out.json {
            true => self.out.json(&json!({"done": true, "ms": ms})),
            false => self.out.line(format!("\nThe whole workflow took {ms:.0} ms.")),
        }
    }

    fn short(&self, path: &Path) -> PathBuf {
        let below = self.base.and_then(|base| path.strip_prefix(base).ok());
        below.map_or_else(|| shown(path), Path::to_owned)
    }
}

/// What is said when the department stays up.
pub(crate) struct Tour<'a> {
    /// `localhost:8042`
    pub(crate) page: &'a str,
    pub(crate) login: &'a str,
    /// What has to stand behind a command that talks to the PACS, and one that talks to the page.
    pub(crate) pacs: &'a str,
    pub(crate) site: &'a str,
    pub(crate) accession: &'a str,
}

impl Tour<'_> {
    pub(crate) fn tell(&self, out: &Output) {
        let Self { page, login, pacs, site, accession } = self;
        let us = program();
        let lines = [
            (format!("watch --last 50{site}"), "every message of it, and those to come"),
            (format!("worklist find -v{pacs}"), "what a scanner asks; done exams are off its list"),
            (format!("find --accession {accession}{pacs}"), "what the PACS holds of it"),
        ];
        let widest = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
        let mut text = format!(
            "\n{STRONG}Look at it:{STRONG:#}  {page}  (login {login})\n\
             In another terminal, from this folder:\n"
        );
        for (line, meaning) in lines {
            text += &format!("  {us} {line:<widest$}  {FAINT}{meaning}{FAINT:#}\n");
        }
        out.say_styled(text + "Ctrl-C ends it. Not a medical device; synthetic data only.");
    }
}

/// This program as it was started, so that the line can be typed again.
fn program() -> String {
    let started = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let text = shown(&started).display().to_string();
    match text {
        // a bare name would be looked for elsewhere
        text if started.is_absolute() && shown(&started).components().count() == 1 => {
            format!(".{}{text}", std::path::MAIN_SEPARATOR)
        }
        text if text.is_empty() => "pacslab".to_owned(),
        text if text.contains(' ') => format!("\"{text}\""),
        text => text,
    }
}
