//! `pacslab hl7 …`

use crate::cmd::{Context, Example};
use crate::exit::Result;

mod report;

/// Make, send and take HL7 messages
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        generate: Generate,
        send: Send,
        listen: Listen,
        queue: Queue,
    }
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[];

    async fn run(self, context: &Context<'_>) -> Result {
        self.command.run(context).await
    }

    fn examples() -> Vec<Example> {
        Command::examples()
    }
}
