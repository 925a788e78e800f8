//! `pacslab watch`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Follow what happens in the department
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab watch", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab watch is not part of this build yet"))
    }
}
