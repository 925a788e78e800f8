//! `pacslab hl7 generate`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Make an order message (ORM^O01)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab hl7 generate", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab hl7 generate is not part of this build yet"))
    }
}
