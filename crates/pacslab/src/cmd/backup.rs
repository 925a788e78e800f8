//! `pacslab backup`: a copy of the data folder, while the server goes on.

use std::path::PathBuf;

use crate::cmd::{Context, Example, help};
use crate::config::Entry;
use crate::exit::{Exit, Failure, Result};
use crate::offline::failed;
use crate::one_file;
use crate::output::{shown, size};

/// Copy the data folder, while a server uses it
///
/// To the same folder again, only what is new is copied. A name that ends in .zip makes one file, for
/// which twice the room is needed until it is complete. The folder that comes of it is a data folder
/// itself, without index.db, which is made again from the packs.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Where to: an empty folder, that of an earlier backup, or a file NAME.zip
    #[arg(value_name = "TO")]
    to: PathBuf,
    /// The data folder [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab backup saved", "to the folder saved; again: what is new"),
        ("pacslab backup saved.zip", "to one file, which has its name when it is complete"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let folder = self.data.as_ref().map(|dir| dir.display().to_string());
        let from = context.load(Entry::flag("--data", "storage.dir", folder))?.config.storage.dir;
        if !from.join("packs").is_dir() {
            return Err(Failure::usage(format!("{} is no data folder of PACS Lab", from.display()))
                .hint("name it with --data, or set storage.dir in pacslab.toml"));
        }
        let to = self.to.clone();
        let copied = tokio::task::spawn_blocking(move || match one_file::is_wanted(&to) {
            true => one_file::pack(&from, &to),
            false => pacslab_store::backup::backup(&from, &to).map_err(failed),
        })
        .await
        .map_err(|_| Failure::failed("the backup ended before its time"))??;
        if context.out.json {
            context.out.json(&copied);
        } else {
            if copied.files > 0 {
                context.out.line(format!("{} objects copied, each a file", copied.files));
            }
            context.out.line(format!(
                "{} packs in {}; {} of them copied now, {}, read back and compared",
                copied.packs,
                shown(&self.to).display(),
                copied.new,
                size(copied.bytes)
            ));
        }
        Ok(Exit::Done)
    }
}
