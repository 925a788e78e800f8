//! `pacslab modality show`: GET /modalities/NAME/configuration.

use serde_json::Value;

use super::field;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::rest;

/// Show what a PACS knows of a peer
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
        &[("pacslab modality show PYNETSCP", "address, and what the peer may do")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let path = rest::modality(&self.name, "/configuration");
        let answer = rest::named(&server, &self.name, server.ask("GET", &path, None).await?)?;
        let known = answer.json()?;
        if context.out.json {
            context.out.json(&known);
            return Ok(Exit::Done);
        }
        let fields = known.as_object().ok_or_else(|| {
            Failure::failed(format!("{} answered {path} with {known}", server.url()))
        })?;
        let rows = fields.iter().map(|(key, value)| {
            let text = match value {
                Value::Bool(true) => "yes".to_owned(),
                Value::Bool(false) => "no".to_owned(),
                _ => field(&known, key),
            };
            vec![key.clone(), text]
        });
        context.out.table(&[self.name.as_str(), ""], rows.collect(), "nothing");
        Ok(Exit::Done)
    }
}
