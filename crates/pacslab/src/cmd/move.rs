//! `pacslab move`: C-MOVE. PS3.4 C.4.2.

use pacslab_dimse::message::SubOperations;
use pacslab_dimse::{Proposal, Status};
use pacslab_model::{AeTitle, uids};

use crate::client::{PeerArgs, Target};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};
use crate::retrieve::{self, WhatArgs};

/// Have a PACS send studies to somebody (C-MOVE)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// AE title that receives; the PACS has to know it ([peers] of the embedded one)
    #[arg(long, alias = "to", default_value = "PYNETSCP", value_name = "TITLE")]
    dest: AeTitle,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab move --accession ACC1001", "sends the study of an order to PYNETSCP"),
        ("pacslab move --study-uid 1.2.3 --dest ORTHANC", "sends one study to another PACS"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let identifiers = self.what.identifiers(&target).await?;
        let root =
            if self.what.is_patient() { uids::PATIENT_ROOT_MOVE } else { uids::STUDY_ROOT_MOVE };
        let mut association = target.connect(Proposal::of(root)).await?;
        let mut told = Told::default();
        for identifier in identifiers {
            let bar = context.out.shows_progress().then(retrieve::bar);
            let mut moving = association.move_(root, self.dest.as_str(), &identifier).await?;
            while let Some(counts) = moving.next().await? {
                if let Some(bar) = &bar {
                    retrieve::show(bar, counts);
                }
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            told.add(moving.finish().await?);
        }
        // the answers are here; how the peer takes the release is of no use to anybody
        let _ = association.release().await;
        told.tell(context, &target, &self.dest)
    }
}

/// What came of all moves.
#[derive(Default)]
struct Told {
    sent: u32,
    failed: u32,
    failed_uids: Vec<String>,
    /// The worst final status.
    refused: Option<pacslab_dimse::StatusReply>,
}

impl Told {
    fn add(
        &mut self,
        (reply, counts, failed): (
            pacslab_dimse::StatusReply,
            SubOperations,
            Vec<pacslab_model::Uid>,
        ),
    ) {
        self.sent += u32::from(counts.completed) + u32::from(counts.warning);
        self.failed += u32::from(counts.failed);
        self.failed_uids.extend(failed.iter().map(ToString::to_string));
        if !reply.status.is_success() {
            self.refused = Some(reply);
        }
    }

    fn tell(self, context: &Context<'_>, target: &Target, dest: &AeTitle) -> Result {
        let status = self.refused.as_ref().map_or("0x0000".to_owned(), |r| r.to_string());
        if context.out.json {
            context.out.json(&serde_json::json!({
                "peer": target.peer.to_string(), "destination": dest, "status": status,
                "completed": self.sent, "failed": self.failed, "failed_uids": self.failed_uids,
            }));
        } else if self.refused.is_none() || self.sent + self.failed > 0 {
            let Self { sent, failed, .. } = &self;
            context.out.line(format!("{sent} objects sent to {dest}, {failed} failed"));
            if sent + failed == 0 {
                context.out.remark(&retrieve::nothing(target));
            }
        }
        match self.refused {
            None => Ok(Exit::Done),
            Some(reply) if self.sent > 0 => {
                context.out.warning(&format!("{} ended with {reply}", target.peer));
                Ok(Exit::Partly)
            }
            Some(reply) => {
                let pacs = &target.peer.aet;
                let hint = match reply.status {
                    Status::MOVE_DESTINATION_UNKNOWN => format!(
                        "{pacs} sends only to those that it knows; in pacslab.toml of the embedded \
                         one: [peers] and {dest} = \"{dest}@host:port\""
                    ),
                    _ => format!(
                        "does {dest} listen where {pacs} looks for it? `pacslab receive` is \
                         PYNETSCP on port 11112"
                    ),
                };
                Err(target.refused("C-MOVE", &reply).hint(hint))
            }
        }
    }
}
