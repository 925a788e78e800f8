//! `pacslab order change`: PATCH /ris/orders/ACCESSION.

use serde_json::json;

use super::wish::WishArgs;
use super::{ask, of_procedure, tell};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::http::encode;

/// Change when, where or what is to be done
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
    wish: WishArgs,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] =
        &[("pacslab order change ACC2001 --at now+1h --station CT2", "later, on another scanner")];

    async fn run(self, context: &Context<'_>) -> Result {
        let wish = self.wish.json(&context.clock);
        if wish.is_empty() {
            return Err(Failure::usage("say what changes: --at, --station, --exam, …".to_owned()));
        }
        let server = self.site.server(&context.client()?)?;
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/orders/{}{of}", encode(&self.accession));
        let changed = ask(&server, "PATCH", &path, Some(json!(wish))).await?;
        let same = changed["done"] == "repeated";
        tell(context, if same { "was so already" } else { "changed" }, &changed);
        Ok(Exit::Done)
    }
}
