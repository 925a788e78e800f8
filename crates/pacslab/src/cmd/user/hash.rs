//! `pacslab user hash`: what stands in `http.users`.

use super::PasswordArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// Print the hash of a password, for [http.users] of pacslab.toml
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    #[command(flatten)]
    password: PasswordArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab user hash --password secret", "prints $argon2id$v=19$…, each time another")];

    async fn run(self, context: &Context<'_>) -> Result {
        let hash = self.password.hash()?;
        match context.out.json {
            true => context.out.json(&serde_json::json!({"hash": hash})),
            false => context.out.line(hash),
        }
        Ok(Exit::Done)
    }
}
