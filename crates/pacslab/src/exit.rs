//! How a command ends: exit codes and failures. The one place that decides and documents them.

use std::process::ExitCode;

/// What `Err` carries: the code, what happened, and what to do next.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What happened and which value: lower case, no full stop.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
}

pub(crate) type Result<T = Exit> = std::result::Result<T, Failure>;

/// The exit codes. A search that finds nothing has done its work: it ends with 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Network = 3,
    Partly = 4,
}

/// Code and meaning, for `--help` and `docs/cli.md`.
pub(crate) const CODES: &[(Exit, &str)] = &[
    (Exit::Done, "done (a search that found nothing is done, too)"),
    (Exit::Failed, "it was tried and did not succeed: refused by the peer, wrong file, disk full"),
    (Exit::Usage, "the command line or the configuration is wrong; nothing was tried"),
    (Exit::Network, "no connection: the peer does not answer, or refused the association"),
    (Exit::Partly, "partly done: some files or sub-operations failed, others succeeded"),
];

/// The exit codes as they stand in `pacslab --help`.
pub(crate) fn codes_help() -> String {
    let mut text = String::from("Exit codes:\n");
    for (exit, meaning) in CODES {
        text += &format!("  {}  {meaning}\n", *exit as u8);
    }
    text
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::failed(message) }
    }

    pub(crate) fn network(message: impl Into<String>) -> Self {
        Self { exit: Exit::Network, ..Self::failed(message) }
    }

    /// A file or folder that could not be read or written.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::failed(format!("cannot {doing} {}: {error}", path.display()))
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
