//! `pacslab patient update`: PATCH /ris/patients.

use serde_json::json;

use super::{PatientArgs, tell};
use crate::cmd::order::ask;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::encode;

/// Change name, birth date or sex; orders and studies follow
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Patient ID
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    patient: PatientArgs,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab patient update P777 --name ROE^MARIA", "in worklist, orders and archive")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let mut wish = self.patient.json();
        // it tells which patient, not what changes
        wish.remove("issuer");
        if wish.is_empty() {
            let text = "say what changes: --name, --birth-date or --sex";
            return Err(Failure::usage(text.to_owned()));
        }
        let path = format!("/ris/patients/{}{}", encode(&self.id), self.patient.query());
        let told = ask(&server, "PATCH", &path, Some(json!(wish))).await?;
        tell(context, "changed", &told);
        Ok(Exit::Done)
    }
}
