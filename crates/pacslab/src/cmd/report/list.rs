//! `pacslab report list`: GET /ris/reports.

use crate::cmd::order::{ask, text};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// List reports
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
    const EXAMPLES: &[Example] = &[("pacslab report list", "of which orders, by whom, how far")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let found = ask(&server, "GET", &format!("/ris/reports?limit={}", self.limit), None).await?;
        if context.out.json {
            context.out.json(&found);
            return Ok(Exit::Done);
        }
        let rows = found.as_array().into_iter().flatten().map(|report| {
            let parts = ["/accession", "/state", "/version", "/date", "/interpreter", "/patient_id"];
            let mut row: Vec<String> = parts.iter().map(|at| text(report, at)).collect();
            row.push(if report["unmatched"] == true { "no such order" } else { "" }.to_owned());
            row
        });
        let headings = ["accession", "state", "version", "date", "reader", "patient", ""];
        context.out.table(&headings, rows.collect(), "there is no report");
        Ok(Exit::Done)
    }
}
