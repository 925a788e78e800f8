//! `pacslab modality …`: the peers that a PACS knows, over its REST API.

use serde_json::Value;

use crate::cmd::{Context, Example};
use crate::exit::Result;

/// Register, list and test the peers that a PACS knows
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        register: Register,
        list: List,
        show: Show,
        echo: Echo,
        remove: Remove,
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

/// A field of a modality as text.
fn field(modality: &Value, name: &str) -> String {
    match &modality[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
