//! `pacslab hl7 send`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Send a message over MLLP
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab hl7 send", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab hl7 send is not part of this build yet"))
    }
}
