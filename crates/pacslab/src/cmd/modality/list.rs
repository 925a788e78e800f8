//! `pacslab modality list`: GET /modalities?expand.

use super::field;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::rest;

/// List the peers that a PACS knows
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab modality list", "names, AE titles and addresses, of the embedded PACS")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let known = rest::get(&server, "/modalities?expand").await?;
        if context.out.json {
            context.out.json(&known);
            return Ok(Exit::Done);
        }
        let rows = known.as_object().into_iter().flatten().map(|(name, modality)| {
            let mut row = vec![name.clone()];
            row.extend(["AET", "Host", "Port", "Manufacturer"].map(|key| field(modality, key)));
            row
        });
        let headings = ["name", "AE title", "host", "port", "manufacturer"];
        let none = format!("{} knows no modality", server.url());
        context.out.table(&headings, rows.collect(), &none);
        Ok(Exit::Done)
    }
}
