//! `pacslab restore`: a backup becomes a data folder again.

use std::path::PathBuf;

use crate::cmd::{Context, Example, help};
use crate::config::Entry;
use crate::exit::{Exit, Failure, Result};
use crate::offline::failed;
use crate::one_file;
use crate::output::{shown, size};

/// Bring a backup back as a data folder
///
/// Overwrites nothing: the folder must be new or empty. The first start makes index.db again.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The folder of the backup, or the file
    #[arg(value_name = "FROM")]
    from: PathBuf,
    /// The data folder to make [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab restore saved --data restored", "then `pacslab serve --data restored`"),
        ("pacslab restore saved.zip --data again", "the same from one file"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let folder = self.data.as_ref().map(|dir| dir.display().to_string());
        let to = context.load(Entry::flag("--data", "storage.dir", folder))?.config.storage.dir;
        let (from, target) = (self.from.clone(), to.clone());
        let copied = tokio::task::spawn_blocking(move || match from.is_file() {
            true => one_file::unpack(&from, &target),
            false => pacslab_store::backup::restore(&from, &target).map_err(failed),
        })
        .await
        .map_err(|_| Failure::failed("it ended before its time"))??;
        if context.out.json {
            context.out.json(&copied);
        } else {
            context.out.line(format!(
                "{} packs, {}, are in {}; `pacslab check` reads all of them",
                copied.packs,
                size(copied.bytes),
                shown(&to).display()
            ));
        }
        Ok(Exit::Done)
    }
}
