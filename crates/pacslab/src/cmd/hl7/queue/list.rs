//! `pacslab hl7 queue list`

use serde_json::Value;

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::output::printable;

/// List messages that wait, or dead letters
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Dead letters instead of those that wait
    #[arg(long)]
    dead: bool,
    /// Only of this destination
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

/// Of a message, and what stands above them.
const COLUMNS: [(&str, &str); 8] = [
    ("number", "number"),
    ("destination", "destination"),
    ("kind", "message"),
    ("accession", "accession"),
    ("patient_id", "patient"),
    ("queued_at", "since"),
    ("tries", "tries"),
    ("problem", "problem"),
];

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 queue list", "what waits for its destination, and what came of the last try"),
        ("pacslab hl7 queue list --dead", "what could not be delivered, and why"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let letters = super::letters(&server, self.dead, self.destination.as_deref()).await?;
        if context.out.json {
            context.out.json(&letters);
            return Ok(Exit::Done);
        }
        let text = |letter: &Value, key: &str| match &letter[key] {
            Value::String(text) => printable(text),
            other => other.to_string(),
        };
        let row = |letter| COLUMNS.iter().map(|(key, _)| text(letter, key)).collect();
        let rows = letters.iter().map(row).collect();
        let empty = if self.dead { "no dead letters" } else { "nothing waits" };
        context.out.table(&COLUMNS.map(|(_, head)| head), rows, empty);
        Ok(Exit::Done)
    }
}
