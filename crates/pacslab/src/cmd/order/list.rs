//! `pacslab order list`: GET /ris/orders.

use super::{HEADINGS, ask, row};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::http::encode;

/// List orders
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Only of this patient
    #[arg(long, value_name = "TEXT")]
    patient_id: Option<String>,
    /// Only on this scanner
    #[arg(long, value_name = "TITLE")]
    station: Option<String>,
    /// Only of this modality
    #[arg(long, value_name = "TEXT")]
    modality: Option<String>,
    /// Only of this day, as YYYYMMDD
    #[arg(long, value_name = "DATE")]
    date: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u16,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab order list", "accession number, state, when and where, for whom"),
        ("pacslab order list --station PYMOD1 --date 20260105", "a scanner's day"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let mut path = format!("/ris/orders?limit={}", self.limit);
        for (name, value) in [
            ("patient", &self.patient_id),
            ("station", &self.station),
            ("modality", &self.modality),
            ("from", &self.date),
            ("to", &self.date),
        ] {
            if let Some(value) = value {
                path += &format!("&{name}={}", encode(value));
            }
        }
        let found = ask(&server, "GET", &path, None).await?;
        if context.out.json {
            context.out.json(&found);
            return Ok(Exit::Done);
        }
        let rows = found.as_array().into_iter().flatten().map(row).collect();
        context.out.table(&HEADINGS, rows, "no such order");
        Ok(Exit::Done)
    }
}
