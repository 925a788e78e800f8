//! `pacslab find`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Search a PACS (C-FIND)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab find", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab find is not part of this build yet"))
    }
}
