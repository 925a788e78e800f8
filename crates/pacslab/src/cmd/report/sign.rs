//! `pacslab report sign`: POST /ris/reports/ACCESSION/sign.

use std::path::PathBuf;

use serde_json::json;

use crate::cmd::order::{ask, of_procedure, text};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::encode;

/// Put a name to the report of an order
///
/// The report is kept with the order, which is FINAL then, and is a Basic Text SR in the study. A
/// second one corrects the first.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["text", "findings", "impression"]))]
pub(crate) struct Args {
    /// Accession number
    #[arg(value_name = "ACCESSION")]
    accession: String,
    /// Requested procedure id, of an order with several
    #[arg(long, value_name = "ID")]
    procedure: Option<String>,
    /// A file with the whole text (UTF-8)
    #[arg(long, value_name = "FILE")]
    text: Option<PathBuf>,
    /// What was seen; \n begins a line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    findings: String,
    /// What it means; \n begins a line
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    impression: String,
    /// Who signs, as FAMILY^GIVEN
    #[arg(long, value_name = "NAME")]
    by: String,
    /// It is a draft
    #[arg(long)]
    preliminary: bool,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[(
        "pacslab report sign ACC2001 --findings \"Nothing seen.\" --impression Normal --by READER^RAY",
        "the order is FINAL, the study has an SR",
    )];

    async fn run(self, context: &Context<'_>) -> Result {
        let file = match &self.text {
            None => String::new(),
            Some(path) => {
                std::fs::read_to_string(path).map_err(|e| Failure::file("read", path, &e))?
            }
        };
        let lines = |text: &str| text.replace("\\n", "\n");
        let wish = json!({
            "text": file, "findings": lines(&self.findings), "impression": lines(&self.impression),
            "by": self.by, "preliminary": self.preliminary,
        });
        let server = self.site.server(&context.client()?)?;
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/reports/{}/sign{of}", encode(&self.accession));
        let report = ask(&server, "POST", &path, Some(wish)).await?;
        if context.out.json {
            context.out.json(&report);
            return Ok(Exit::Done);
        }
        let (state, by) = (text(&report, "/state"), text(&report, "/interpreter"));
        context.out.line(format!("report of order {} is {state}, by {by}", self.accession));
        Ok(Exit::Done)
    }
}
