//! `pacslab help-examples`: every documented example, for the tests that run them.

use crate::cmd::{Command, Context, Example};
use crate::exit::{Exit, Result};

/// Print the examples of all commands
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[];

    async fn run(self, context: &Context<'_>) -> Result {
        for (line, meaning) in Command::examples() {
            if context.out.json {
                let words: Vec<&str> = super::examples::words(line);
                context.out.json(&serde_json::json!({
                    "line": line, "args": words.get(1..), "meaning": meaning,
                }));
            } else {
                context.out.line(format!("{line}\n    {meaning}"));
            }
        }
        Ok(Exit::Done)
    }
}
