//! `pacslab receive`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Take in what a PACS sends (C-STORE SCP)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab receive", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab receive is not part of this build yet"))
    }
}
