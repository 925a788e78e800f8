//! `pacslab order cancel`: POST /ris/orders/ACCESSION/cancel.

use super::{ask, of_procedure, tell};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// Cancel an order, or end one that has begun
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Accession number
    #[arg(value_name = "ACCESSION")]
    accession: String,
    /// Requested procedure id, of an order with several
    #[arg(long, value_name = "ID")]
    procedure: Option<String>,
    /// It has begun and is not finished
    #[arg(long)]
    discontinue: bool,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab order cancel ACC2001", "it leaves the worklist"),
        ("pacslab order cancel ACC2002 --procedure RP2", "one of several; the others stay"),
        ("pacslab order cancel ACC2002 --discontinue", "what has begun is given up"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let what = if self.discontinue { "discontinue" } else { "cancel" };
        let of = of_procedure(self.procedure.as_deref());
        let path = format!("/ris/orders/{}/{what}{of}", encode(&self.accession));
        let ended = ask(&server, "POST", &path, None).await?;
        tell(context, if self.discontinue { "discontinued" } else { "cancelled" }, &ended);
        Ok(Exit::Done)
    }
}
