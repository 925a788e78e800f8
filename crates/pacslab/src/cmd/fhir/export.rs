//! `pacslab fhir export`

use crate::cmd::{Context, Example, help};
use crate::exit::{Failure, Result};

/// Export a study as FHIR resources
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab fhir export", "todo")];

    async fn run(self, context: &Context<'_>) -> Result {
        let _ = context;
        Err(Failure::failed("pacslab fhir export is not part of this build yet"))
    }
}
