//! `pacslab patient show`: GET /ris/patients/ID.

use serde_json::Value;

use super::PatientArgs;
use crate::cmd::order::{ask, text};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Show a patient, by any identifier that is or was theirs
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Patient ID
    #[arg(value_name = "ID")]
    id: String,
    /// Who assigned it
    #[arg(long, value_name = "TEXT")]
    issuer: Option<String>,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab patient show P777", "and the identifiers it had")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let of = PatientArgs { issuer: self.issuer, name: None, birth_date: None, sex: None };
        let path = format!("/ris/patients/{}{}", encode(&self.id), of.query());
        let patient = ask(&server, "GET", &path, None).await?;
        if context.out.json {
            context.out.json(&patient);
            return Ok(Exit::Done);
        }
        for (what, at) in [
            ("patient", "/id/id"),
            ("issuer", "/id/issuer"),
            ("name", "/name"),
            ("born", "/birth_date"),
            ("sex", "/sex"),
            ("address", "/address"),
            ("presence", "/presence"),
            ("location", "/location"),
        ] {
            let value = text(&patient, at);
            if !value.is_empty() {
                context.out.line(format!("{what:<10}{value}"));
            }
        }
        let ids = |key: &str| {
            let ids = patient[key].as_array().into_iter().flatten();
            ids.map(|id: &Value| text(id, "/id")).collect::<Vec<_>>()
        };
        for (what, key) in [("also", "other_ids"), ("was", "retired")] {
            for id in ids(key) {
                context.out.line(format!("{what:<10}{id}"));
            }
        }
        Ok(Exit::Done)
    }
}
