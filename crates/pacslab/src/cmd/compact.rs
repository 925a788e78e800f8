//! `pacslab compact`: gives back the room of deleted objects, of a server that runs or of its folder.

use std::path::PathBuf;
use std::time::Duration;

use pacslab_archive::Compacted;

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::config::Entry;
use crate::exit::{Exit, Failure, Result};
use crate::offline::Offline;
use crate::output::size;

/// Give back the room of what was deleted
///
/// Works on the data folder when no server uses it, and asks the server otherwise, which goes on
/// meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The data folder [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Rewrite packs of which less than so many percent are needed [default: storage.compact_below]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=100))]
    below: Option<u8>,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab compact", "where less than half of a pack is needed"),
        ("pacslab compact --below 95", "to the last pack that is worth it"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let folder = self.data.as_ref().map(|dir| dir.display().to_string());
        let config = context.load(Entry::flag("--data", "storage.dir", folder))?.config;
        let below = self.below.unwrap_or(config.storage.compact_below.max(1));
        let offline = match self.site.url {
            Some(_) => None,
            None => Offline::unless_in_use(&config)?,
        };
        let done: Compacted = match offline {
            Some(offline) => offline.archive()?.compact(below).await.map_err(|error| {
                Failure::failed(error.to_string())
                    .hint("`pacslab check` reads everything and names what is damaged")
            })?,
            None => {
                // a large archive takes its time
                let server = self.site.server(&config)?.patiently(Duration::from_secs(24 * 3600));
                let path = format!("/pacslab/compact?below={below}");
                let answer = server.ask("POST", &path, None).await?.json()?;
                let count = |key: &str| answer[key].as_u64().unwrap_or(0);
                Compacted {
                    rewritten: count("rewritten"),
                    removed: count("removed"),
                    freed: count("freed"),
                    waiting: count("waiting"),
                    needless: answer["needless"].as_bool().unwrap_or(false),
                }
            }
        };
        if context.out.json {
            context.out.json(&done);
            return Ok(Exit::Done);
        }
        let Compacted { rewritten, removed, freed, waiting, needless } = done;
        context.out.line(match (rewritten, removed) {
            _ if needless => {
                "nothing to do: with this storage.layout deleted objects are gone at once".to_owned()
            }
            (0, 0) => "nothing to gain: no pack is that empty".to_owned(),
            _ => format!(
                "{} freed: {rewritten} packs written anew, {removed} removed",
                size(freed)
            ),
        });
        if waiting > 0 {
            context.out.line(format!("{waiting} packs are being read; they go next time"));
        }
        Ok(Exit::Done)
    }
}

