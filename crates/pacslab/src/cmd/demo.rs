//! `pacslab demo`: the whole workflow, played over real sockets.

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Play the whole workflow: order, worklist, scan, PACS, retrieve, export
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// End after the last step instead of staying up
    #[arg(long)]
    exit: bool,
    /// Take free ports and a temporary folder
    #[arg(long)]
    ephemeral: bool,
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab demo", "plays the workflow, then stays up: http://localhost:8042"),
        ("pacslab demo --exit --ephemeral", "plays it on free ports, ends with an exit code"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = (context, self.exit, self.ephemeral);
        Err(Failure::failed("the demo is not part of this build yet"))
    }
}
