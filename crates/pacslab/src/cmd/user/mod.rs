//! `pacslab user …`: who may log in at the HTTP door.
//!
//! Users are kept in the file `users` of the data folder, which a running department looks at
//! again when it has changed; `http.users` of the configuration is for what is kept in writing.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;

use crate::cmd::{Context, Example};
use crate::exit::{Failure, Result};

/// Say who may log in at the page and at REST, DICOMweb and FHIR
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        add: Add,
        list: List,
        remove: Remove,
        hash: Hash,
    }
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[];

    async fn run(self, context: &Context<'_>) -> Result {
        self.command.run(context).await
    }

    fn examples() -> Vec<Example> {
        Command::examples()
    }
}

/// The users of the data folder, and the file they are in.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    users: BTreeMap<String, String>,
}

impl Kept {
    fn read(config: &crate::config::Config) -> Result<Self> {
        let path = crate::department::users_file(config);
        let users = pacslab_http::users::read(&path)
            .map_err(|error| Failure::file("read the users in", &path, &error))?;
        Ok(Self { path, users })
    }

    fn write(&self) -> Result<()> {
        let failed = |error| Failure::file("write the users to", &self.path, &error);
        if let Some(folder) = self.path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        pacslab_http::users::write(&self.path, &self.users).map_err(failed)
    }
}

/// Where a password comes from.
#[derive(Debug, clap::Args)]
struct PasswordArgs {
    /// The password; other users of this computer may see the command line: without this option
    /// it is read from standard input
    #[arg(long, value_name = "WORD")]
    password: Option<String>,
}

impl PasswordArgs {
    /// The hash of the password that was given, or that is the first line of standard input.
    fn hash(self) -> Result<String> {
        let password = match self.password {
            Some(password) => password,
            None => typed()?,
        };
        pacslab_http::users::hash(&password, &crate::random::bytes()?).map_err(Failure::usage)
    }
}

#[allow(clippy::print_stderr, reason = "a question to who sits there, beside the output")]
fn typed() -> Result<String> {
    let input = std::io::stdin();
    if input.is_terminal() {
        eprint!("password (shown while it is typed): ");
    }
    let mut line = String::new();
    input
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::failed(format!("the password cannot be read: {error}")))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A name goes into a file and into `name:password`.
fn checked(name: &str) -> std::result::Result<String, String> {
    let bad = |c: char| c == ':' || c.is_control() || c.is_whitespace();
    match name {
        "" => Err("a name must not be empty".to_owned()),
        _ if name.starts_with('#') || name.contains(bad) => {
            Err("a name has no colon, no blanks, and does not begin with #".to_owned())
        }
        _ => Ok(name.to_owned()),
    }
}
