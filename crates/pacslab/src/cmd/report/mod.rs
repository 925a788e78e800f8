//! `pacslab report …`: the reports of a department, over its REST API.

use crate::cmd::{Context, Example};
use crate::exit::Result;

/// Sign reports, and look at them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        sign: Sign,
        list: List,
        show: Show,
        send: Send,
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
