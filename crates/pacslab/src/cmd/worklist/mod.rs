//! `pacslab worklist …`

use crate::cmd::{Context, Example};
use crate::exit::Result;

/// Make, list and query worklist items
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        create: Create,
        list: List,
        find: Find,
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
