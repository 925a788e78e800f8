//! `pacslab report send`: POST /ris/reports/ACCESSION/send.

use crate::cmd::order::{ask, of_procedure};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Send to the PACS again what it did not take of a report
///
/// Objects of signed reports go to the PACS by themselves (`reports.send_to`); what it refused, or
/// what was tried too often, waits for this.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Accession number
    #[arg(value_name = "ACCESSION")]
    accession: String,
    /// Requested procedure id, of an order with several
    #[arg(long, value_name = "ID")]
    procedure: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab report send ACC2001", "after the PACS has learned to take structured reports")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/reports/{}/send{of}", encode(&self.accession));
        let told = ask(&server, "POST", &path, None).await?;
        if context.out.json {
            context.out.json(&told);
            return Ok(Exit::Done);
        }
        context.out.line(match told["again"].as_u64() {
            Some(count) if count > 0 => format!("{count} sent again; `pacslab report show {}` tells", self.accession),
            _ => "there is nothing that was refused".to_owned(),
        });
        Ok(Exit::Done)
    }
}
