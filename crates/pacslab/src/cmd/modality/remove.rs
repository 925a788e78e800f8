//! `pacslab modality remove`: DELETE /modalities/NAME.

use serde_json::json;

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::rest;

/// Make a PACS forget a peer; one of its configuration is back when it starts again
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// What the PACS calls it
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab modality remove VIEWER", "no destination any more")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let answer = server.ask("DELETE", &rest::modality(&self.name, ""), None).await?;
        rest::named(&server, &self.name, answer)?.success()?;
        match context.out.json {
            true => context.out.json(&json!({"name": self.name, "removed": true})),
            false => context.out.line(format!("{} is forgotten", self.name)),
        }
        Ok(Exit::Done)
    }
}
