//! `pacslab patient merge`: POST /ris/patients/ID/merge.

use serde_json::json;

use super::{PatientArgs, tell};
use crate::cmd::order::ask;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Make two patients one: everything of the retired belongs to the other
///
/// Orders follow at once, studies right after; whoever names the retired identifier is told the
/// one in use. As ADT^A40.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The identifier that is no longer used
    #[arg(value_name = "RETIRED")]
    retired: String,
    /// The patient who stays
    #[arg(long, value_name = "ID")]
    into: String,
    /// Who assigned the identifier of the patient who stays
    #[arg(long, value_name = "TEXT")]
    issuer: Option<String>,
    /// Who assigned the one that is no longer used
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    retired_issuer: String,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab patient merge P778 --into P777", "P778 was the same person")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let of = PatientArgs { issuer: self.issuer, name: None, birth_date: None, sex: None };
        let path = format!("/ris/patients/{}/merge{}", encode(&self.into), of.query());
        let wish = json!({"retired": self.retired, "retired_issuer": self.retired_issuer});
        let told = ask(&server, "POST", &path, Some(wish)).await?;
        tell(context, &format!("is also who was {}", self.retired), &told);
        Ok(Exit::Done)
    }
}
