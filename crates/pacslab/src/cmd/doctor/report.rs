//! What was found, one line a check; and how it is printed.

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::exit::Exit;
use crate::output::{FAINT, Output, STRONG, printable};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Ok,
    Warn,
    Fail,
}

impl Mark {
    const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    const fn shown(self) -> &'static str {
        match self {
            Self::Ok => "✓ ok  ",
            Self::Warn => "! warn",
            Self::Fail => "✗ fail",
        }
    }

    fn style(self) -> Style {
        let color = match self {
            Self::Ok => AnsiColor::Green,
            Self::Warn => AnsiColor::Yellow,
            Self::Fail => AnsiColor::Red,
        };
        Style::new().fg_color(Some(color.into()))
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Check {
    /// `HTTP port`
    pub(super) name: String,
    pub(super) mark: Mark,
    /// The value, and what is wrong with it.
    pub(super) says: String,
    /// What mends it: a command, or a line of the configuration.
    pub(super) fix: Option<String>,
}

impl Check {
    fn new(mark: Mark, name: impl Into<String>, says: impl Into<String>) -> Self {
        Self { name: name.into(), mark, says: says.into(), fix: None }
    }

    pub(super) fn ok(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Mark::Ok, name, says)
    }

    pub(super) fn warn(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Mark::Warn, name, says)
    }

    pub(super) fn fail(name: impl Into<String>, says: impl Into<String>) -> Self {
        Self::new(Mark::Fail, name, says)
    }

    #[must_use]
    pub(super) fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

/// All that was found, in groups.
#[derive(Debug, Default)]
pub(super) struct Report {
    groups: Vec<(&'static str, Vec<Check>)>,
}

impl Report {
    pub(super) fn add(&mut self, group: &'static str, check: Check) {
        match self.groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, checks)) => checks.push(check),
            None => self.groups.push((group, vec![check])),
        }
    }

    fn count(&self, mark: Mark) -> usize {
        self.groups.iter().flat_map(|(_, checks)| checks).filter(|c| c.mark == mark).count()
    }

    /// Prints it all; warnings are no failure.
    pub(super) fn tell(&self, out: &Output) -> Exit {
        let [failed, warnings, well] = [Mark::Fail, Mark::Warn, Mark::Ok].map(|m| self.count(m));
        if out.json {
            let checks = self.groups.iter().flat_map(|(group, checks)| {
                checks.iter().map(move |check| {
                    let Check { name, mark, says, fix } = check;
                    json!({
                        "group": group, "name": name, "mark": mark.word(), "says": says,
                        "fix": fix,
                    })
                })
            });
            let checks: Vec<_> = checks.collect();
            out.json(&json!({
                "ok": failed == 0, "failed": failed, "warnings": warnings, "checks": checks,
            }));
        } else {
            for (group, checks) in &self.groups {
                out.say_styled(format!("{STRONG}{group}{STRONG:#}"));
                checks.iter().for_each(|check| Self::line(out, check));
            }
            let tally = format!("{failed} wrong, {warnings} to look at, {well} well");
            out.say_styled(format!("\n{STRONG}{tally}{STRONG:#}"));
        }
        if failed == 0 { Exit::Done } else { Exit::Failed }
    }

    fn line(out: &Output, check: &Check) {
        let Check { name, mark, says, fix } = check;
        let style = mark.style();
        // names and answers come from peers
        let (name, says) = (printable(name), printable(says));
        out.say_styled(format!("  {style}{}{style:#}  {name}: {says}", mark.shown()));
        if let Some(fix) = fix {
            for line in fix.lines() {
                out.say_styled(format!("          {FAINT}fix:{FAINT:#} {}", printable(line)));
            }
        }
    }
}
