//! `pacslab user remove`: a user of the data folder less.

use super::Kept;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};

/// Remove a user from the data folder
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    #[arg(value_name = "NAME")]
    name: String,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab user remove jane", "jane may no longer log in")];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let mut kept = Kept::read(&config)?;
        if kept.users.remove(&self.name).is_none() {
            let failure = Failure::failed(format!(
                "there is no user {} in {}",
                self.name,
                kept.path.display()
            ));
            return Err(match config.users.contains_key(&self.name) {
                true => failure.hint("take the line out of http.users of the configuration"),
                false => failure.hint("`pacslab user list` shows who there is"),
            });
        }
        kept.write()?;
        if context.out.json {
            context.out.json(&serde_json::json!({"user": self.name, "file": kept.path}));
        }
        context.out.say(format!("{} may no longer log in", self.name));
        Ok(Exit::Done)
    }
}
