//! `pacslab check`: reads everything that is stored, and makes the index again if asked.

use std::path::PathBuf;

use pacslab_archive::Checked;

use crate::cmd::{Context, Example, help};
use crate::config::{Config, Entry};
use crate::exit::{Exit, Failure, Result};
use crate::offline::{Offline, failed};
use crate::output::size;

/// Read everything that is stored and say what is damaged
///
/// Verifies the checksum of every object, and that index and packs belong together. The server has
/// to be stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The data folder [default: that of the configuration]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Make index.db again from the packs first
    #[arg(long)]
    rebuild: bool,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab check --data archive", "every checksum, and the index beside the packs"),
        ("pacslab check --data archive --rebuild", "with an index that is made again"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let folder = self.data.as_ref().map(|dir| dir.display().to_string());
        let config = context.load(Entry::flag("--data", "storage.dir", folder))?.config;
        let rebuild = self.rebuild;
        let checked = tokio::task::spawn_blocking(move || look(&config, rebuild))
            .await
            .map_err(|_| Failure::failed("the check ended before its time"))??;
        if context.out.json {
            context.out.json(&checked);
        } else {
            for finding in &checked.findings {
                context.out.line(format!("{}\n    {}", finding.what, finding.advice));
            }
            let Checked { packs, records, objects, bytes, behind, .. } = checked;
            context.out.line(format!(
                "read {objects} objects, {}, in {packs} packs with {records} records",
                size(bytes)
            ));
            if behind > 0 {
                context.out.line(format!("the next start takes {behind} records into the index"));
            }
        }
        match checked.findings.len() as u64 + checked.more {
            0 => Ok(Exit::Done),
            1 => Err(Failure::failed("one thing is wrong; see above")),
            many => Err(Failure::failed(format!("{many} things are wrong; see above"))),
        }
    }
}

/// Blocks for as long as reading everything takes.
fn look(config: &Config, rebuild: bool) -> Result<Checked> {
    let Some(offline) = Offline::unless_in_use(config)? else {
        return Err(Failure::failed(format!(
            "a server uses {}: what it writes meanwhile cannot be checked",
            config.storage.dir.display()
        ))
        .hint("stop it, or check a backup of it"));
    };
    if rebuild {
        let index = offline.folder.index_db();
        for end in ["", "-wal", "-shm"] {
            let mut name = index.clone().into_os_string();
            name.push(end);
            let path = PathBuf::from(name);
            match pacslab_store::disk::patiently(|| std::fs::remove_file(&path)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::file("remove", &path, &error));
                }
                _ => {}
            }
        }
        // opening it takes the packs in
        drop(offline.archive()?);
    }
    let (blobs, index) = (offline.blobs()?, offline.index()?);
    pacslab_archive::check(&*blobs, &*index, &mut |_| {}).map_err(|error| match error {
        pacslab_archive::ArchiveError::Store(error) => failed(error),
        other => Failure::failed(other.to_string()),
    })
}
