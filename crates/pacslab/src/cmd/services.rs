//! `pacslab services`: what the embedded PACS speaks, from the table that drives it.

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// List the DICOM services of the embedded PACS
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab services", "a table of services, SOP classes and roles"),
        ("pacslab services --json", "the same for machines"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("the services are not part of this build yet"))
    }
}
