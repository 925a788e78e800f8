//! `pacslab user add`: a user in the data folder.

use super::{Kept, PasswordArgs, checked};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// Add a user to the data folder, or give one another password
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    #[arg(value_name = "NAME", value_parser = checked)]
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[(
        "pacslab user add jane --password secret",
        "jane may log in, at once; orthanc/orthanc may no longer",
    )];

    async fn run(self, context: &Context<'_>) -> Result {
        let mut kept = Kept::read(&context.client()?)?;
        let hash = self.password.hash()?;
        let before = kept.users.insert(self.name.clone(), hash);
        kept.write()?;
        let what = if before.is_some() { "has a new password" } else { "may log in" };
        if context.out.json {
            context.out.json(&serde_json::json!({"user": self.name, "file": kept.path}));
        }
        context.out.say(format!("{} {what} ({})", self.name, kept.path.display()));
        Ok(Exit::Done)
    }
}
