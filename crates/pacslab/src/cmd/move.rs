//! `pacslab move`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Have a PACS send studies to somebody (C-MOVE)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab move", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab move is not part of this build yet"))
    }
}
