//! `pacslab patient list`: GET /ris/patients.

use super::{HEADINGS, row};
use crate::cmd::order::ask;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// List patients
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u16,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab patient list", "who is known to the department")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let found = ask(&server, "GET", &format!("/ris/patients?limit={}", self.limit), None).await?;
        if context.out.json {
            context.out.json(&found);
            return Ok(Exit::Done);
        }
        let rows = found.as_array().into_iter().flatten().map(row).collect();
        context.out.table(&HEADINGS, rows, "no patient is known");
        Ok(Exit::Done)
    }
}
