//! `pacslab modality echo`: POST /modalities/NAME/echo.

use std::time::Instant;

use serde_json::json;

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::rest;

/// Let a PACS ask a peer whether it is there (C-ECHO)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// What the PACS calls it
    #[arg(value_name = "NAME")]
    name: String,
    /// Seconds that it may take
    #[arg(long, default_value_t = 10, value_name = "N")]
    within: u32,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab modality echo PYNETSCP", "whether the PACS reaches the receiver")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let begun = Instant::now();
        let answer = rest::echo(&server, &self.name, self.within).await?;
        rest::named(&server, &self.name, answer)?.success().map_err(|failure| {
            failure.hint(format!(
                "is it running? `pacslab modality show {}` tells where the PACS looks for it",
                self.name
            ))
        })?;
        let ms = begun.elapsed().as_secs_f64() * 1000.0;
        match context.out.json {
            true => context.out.json(&json!({"name": self.name, "answers": true, "ms": ms})),
            false => context.out.line(format!("{} answers  {ms:.1} ms", self.name)),
        }
        Ok(Exit::Done)
    }
}
