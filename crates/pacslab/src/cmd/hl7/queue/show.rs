//! `pacslab hl7 queue show`

use super::QUEUE;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::mllp::lines;
use crate::output::printable;

/// Print a message that waits, or a dead letter
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Its number in the list
    #[arg(value_name = "NUMBER")]
    number: u64,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[("pacslab hl7 queue show 1", "its segments, one a line")];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let told = crate::rest::get(&server, &format!("{QUEUE}/{}", self.number)).await?;
        if context.out.json {
            context.out.json(&told);
            return Ok(Exit::Done);
        }
        let text = lines(told["message"].as_str().unwrap_or_default());
        text.lines().for_each(|line| context.out.line(printable(line)));
        Ok(Exit::Done)
    }
}
