//! `pacslab worklist list`: the items of the worklist folder, as a server would read them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pacslab_model::event::Silent;
use pacslab_ris::{Worklist, WorklistSettings};

use crate::clock::SystemClock;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};

/// List the worklist folder
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The worklist folder [default: worklists]
    #[arg(long, value_name = "DIR")]
    worklists: Option<PathBuf>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab worklist list", "the items in ./worklists; files that cannot be read are named"),
        ("pacslab worklist list --json", "the same for machines"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let folder = self.worklists.unwrap_or_else(|| config.worklist.dir.clone());
        let worklist = open(&folder)?;
        for file in worklist.unreadable() {
            context.out.warning(&format!("{}: {}", file.file, file.reason));
        }
        let entries = worklist.entries();
        if context.out.json {
            context.out.json(&entries);
            return Ok(Exit::Done);
        }
        let rows = entries
            .into_iter()
            .map(|e| {
                let start = format!("{} {}", e.start_date, e.start_time);
                let about = [e.accession, e.patient_id, e.patient_name, e.station, e.modality];
                about.into_iter().chain([start, e.status, e.description, e.file]).collect()
            })
            .collect();
        let headings = [
            "accession",
            "patient id",
            "name",
            "station",
            "modality",
            "start",
            "status",
            "description",
            "file",
        ];
        let none = format!(
            "no worklist items in {}; `pacslab worklist create` makes one",
            folder.display()
        );
        context.out.table(&headings, rows, &none);
        Ok(Exit::Done)
    }
}

/// Reads a worklist folder that exists.
pub(crate) fn open(folder: &Path) -> Result<Worklist> {
    if !folder.is_dir() {
        return Err(Failure::failed(format!("there is no folder {}", folder.display()))
            .hint("`pacslab worklist create` makes an item, and the folder if need be"));
    }
    let (clock, emit) = (Arc::new(SystemClock), Arc::new(Silent));
    Worklist::open(folder, WorklistSettings::default(), clock, emit)
        .map_err(|error| Failure::failed(error.to_string()))
}
