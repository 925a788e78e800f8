//! `pacslab services`: what the embedded PACS speaks, from the table that drives it.

use pacslab_dicom::dict;
use pacslab_scp::{AbstractSyntax, SERVICES};

use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// List the DICOM services of the embedded PACS
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab services", "a table of services, messages and SOP classes"),
        ("pacslab services --json", "the same for machines, with every SOP class"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        if context.out.json {
            let rows = SERVICES.iter().map(|row| {
                let uids = row.abstract_syntax.uids();
                let classes: Vec<_> = uids
                    .iter()
                    .map(|uid| serde_json::json!({"uid": uid, "name": dict::uid_name(uid)}))
                    .collect();
                serde_json::json!({
                    "name": row.name, "message": row.command.name(), "role": "SCP",
                    "section": row.section, "sop_classes": classes,
                })
            });
            context.out.json(&rows.collect::<Vec<_>>());
        } else {
            let rows = SERVICES.iter().map(|row| {
                let classes = match row.abstract_syntax {
                    AbstractSyntax::Uid(uid) => uid.to_owned(),
                    all => format!("{} SOP classes", all.uids().len()),
                };
                vec![
                    row.name.to_owned(),
                    row.command.name().to_owned(),
                    "SCP".to_owned(),
                    classes,
                    row.section.to_owned(),
                ]
            });
            let headings = ["service", "message", "role", "sop class", "standard"];
            context.out.table(&headings, rows.collect(), "no services");
        }
        Ok(Exit::Done)
    }
}
