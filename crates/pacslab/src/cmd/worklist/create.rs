//! `pacslab worklist create`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Write a worklist item (.wl)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab worklist create", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab worklist create is not part of this build yet"))
    }
}
