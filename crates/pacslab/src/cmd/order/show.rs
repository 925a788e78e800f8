//! `pacslab order show`: GET /ris/orders/ACCESSION.

use serde_json::Value;

use super::{ask, of_procedure, text};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Show an order: patient, procedure, steps, state
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
    const EXAMPLES: &[Example] = &[("pacslab order show ACC2001", "all that is known of it")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/orders/{}{of}", encode(&self.accession));
        let order = ask(&server, "GET", &path, None).await?;
        if context.out.json {
            context.out.json(&order);
            return Ok(Exit::Done);
        }
        show(context, &order);
        for further in order["further_procedures"].as_array().into_iter().flatten() {
            context.out.line(String::new());
            show(context, further);
        }
        Ok(Exit::Done)
    }
}

fn show(context: &Context<'_>, order: &Value) {
    for (what, at) in [
        ("accession", "/accession"),
        ("state", "/state"),
        ("report", "/report"),
        ("patient", "/patient/id/id"),
        ("name", "/patient/name"),
        ("birth date", "/patient/birth_date"),
        ("exam", "/procedure/description"),
        ("code", "/procedure/code/value"),
        ("procedure", "/procedure/id"),
        ("priority", "/procedure/priority"),
        ("reason", "/procedure/reason"),
        ("study", "/procedure/study_uid"),
    ] {
        let value = text(order, at);
        if !value.is_empty() {
            context.out.line(format!("{what:<11}{value}"));
        }
    }
    let rows = order["steps"].as_array().into_iter().flatten().map(|step| {
        let parts = ["/id", "/status", "/start_date", "/start_time", "/modality", "/station"];
        let mut row: Vec<String> = parts.iter().map(|at| text(step, at)).collect();
        row.push(text(step, "/location"));
        row
    });
    let headings = ["step", "status", "date", "time", "modality", "station", "room"];
    context.out.table(&headings, rows.collect(), "it has no step");
}
