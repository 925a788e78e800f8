//! `pacslab report show`: GET /ris/reports/ACCESSION.

use serde_json::Value;

use crate::cmd::order::{ask, of_procedure, text};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Show the report of an order
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
    const EXAMPLES: &[Example] = &[("pacslab report show ACC2001", "what was read, and by whom")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/reports/{}{of}", encode(&self.accession));
        let report = ask(&server, "GET", &path, None).await?;
        if context.out.json {
            context.out.json(&report);
            return Ok(Exit::Done);
        }
        let (state, by) = (text(&report, "/state"), text(&report, "/interpreter"));
        let when = text(&report, "/date");
        context.out.line(format!("order {}: {state} of {when}, by {by}", self.accession));
        for section in report["sections"].as_array().into_iter().flatten() {
            context.out.line(format!("\n{}", text(section, "/code/meaning")));
            let said = section["text"].as_str().unwrap_or_default();
            said.lines().for_each(|line| context.out.line(crate::output::printable(line)));
        }
        for document in report["documents"].as_array().into_iter().flatten() {
            let size = document["size"].as_u64().unwrap_or(0);
            let kind = text(document, "/media_type");
            context.out.line(format!("\n{kind}, {size} bytes: {}", text(document, "/path")));
        }
        for object in report["objects"].as_array().into_iter().flatten() {
            let (to, problem) = (text(object, "/peer"), text(object, "/problem"));
            let state = match text(object, "/state").as_str() {
                "sent" => format!("stored at {to}"),
                "refused" => format!("not taken by {to}: {problem}"),
                _ if problem.is_empty() => "about to be sent".to_owned(),
                _ => format!("not sent to {to} yet: {problem}"),
            };
            let what = match text(object, "/what").as_str() {
                "document" => "encapsulated PDF",
                _ => "structured report",
            };
            context.out.line(format!("\n{what} {}: {state}", text(object, "/sop_instance")));
        }
        for link in report["links"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            context.out.line(format!("\n{}", crate::output::printable(link)));
        }
        Ok(Exit::Done)
    }
}
