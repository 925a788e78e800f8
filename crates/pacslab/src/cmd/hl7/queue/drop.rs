//! `pacslab hl7 queue drop`

use super::{QUEUE, Which};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::Result;

/// Take messages away, unsent
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab hl7 queue drop 1", "nobody will be told of it")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        super::each(&server, &self.which, context, "dropped", async |number| {
            server.ask("DELETE", &format!("{QUEUE}/{number}"), None).await?.json()
        })
        .await
    }
}
