//! `pacslab acquire`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Make images as a scanner does
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab acquire", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab acquire is not part of this build yet"))
    }
}
