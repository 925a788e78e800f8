//! `pacslab hl7 queue resend`

use super::{QUEUE, Which};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::Result;

/// Send dead letters again, under their own control ids
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
        &[("pacslab hl7 queue resend --dead", "when the receiver is mended")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        super::each(&server, &self.which, context, "sent again", async |number| {
            server.ask("POST", &format!("{QUEUE}/{number}/resend"), None).await?.json()
        })
        .await
    }
}
