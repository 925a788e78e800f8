//! `pacslab completions`: what makes the tab key work.

use clap::CommandFactory;

use crate::cmd::{Cli, Context, Example, help};
use crate::exit::{Exit, Result};

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// bash, elvish, fish, powershell or zsh
    shell: clap_complete::Shell,
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab completions bash", "add the output to ~/.local/share/bash-completion/completions/pacslab"),
        ("pacslab completions powershell", "add the output to the file named by $PROFILE"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "pacslab", &mut script);
        context.out.bytes(&script);
        Ok(Exit::Done)
    }
}
