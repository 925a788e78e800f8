//! `pacslab patient new`: POST /ris/patients.

use serde_json::json;

use super::{PatientArgs, tell};
use crate::cmd::order::ask;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// Register a patient
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
    const EXAMPLES: &[Example] = &[
        (
            "pacslab patient new P777 --name ROE^MARY --birth-date 19700101 --sex F",
            "who is not known yet",
        ),
        ("pacslab patient new P778 --name ROE^MARIE", "and somebody who may be the same"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let mut wish = self.patient.json();
        wish.insert("id".to_owned(), self.id.as_str().into());
        let told = ask(&server, "POST", "/ris/patients", Some(json!(wish))).await?;
        tell(context, "registered", &told);
        Ok(Exit::Done)
    }
}
