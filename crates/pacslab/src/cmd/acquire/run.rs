//! `pacslab acquire --run`: the scanner's part of the workflow with any PACS. IHE RAD TF-2 4.6 to
//! 4.8: the step begins, images are made and sent, the step ends.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pacslab_modality::scanner::Error;
use pacslab_modality::{
    Acquisition, Commitment, Done, Ending, Options, Reason, Reported, Scanner, Sent, WorklistItem,
};
use serde::Serialize;

use super::{make, tell};
use crate::client::Target;
use crate::cmd::Context;
use crate::exit::{Exit, Failure, Result};
use crate::logging::Logged;

/// What became of it, beside the images.
pub(super) struct Ran {
    /// Where the PACS takes reports.
    pub(super) report: Option<Report>,
    pub(super) stored: usize,
    /// What the PACS said about keeping them.
    pub(super) commitment: String,
}

#[derive(Serialize)]
pub(super) struct Report {
    uid: String,
    status: &'static str,
}

struct Run<'a> {
    target: &'a Target,
    scanner: Scanner,
    item: WorklistItem,
    options: Options,
}

pub(super) async fn run(
    context: &Context<'_>,
    target: &Target,
    item: WorklistItem,
    mut options: Options,
    out: &Path,
) -> Result {
    let pacs = target.remote();
    let requestor = target.requestor(Arc::new(Logged));
    let scanner = Scanner { requestor, worklist: pacs.clone(), archive: pacs };
    let reported = scanner.begin_step(&item, &options).await.map_err(failed)?;
    if let Some(why) = reported.without(target.peer.aet.as_str()) {
        context.out.say(why);
    }
    if let Reported::As(uid) = reported {
        context.out.say(format!("step {}: IN PROGRESS, performed step {uid}", item.step_id()));
        options.mpps = Some(uid);
    }
    let run = Run { target, scanner, item, options };
    let mut sent = Sent::default();
    let (acquired, paths) = match make(&run.item, &run.options, out) {
        Ok(made) => made,
        Err(failure) => return Err(run.discontinue(failure, None, &sent).await),
    };
    if let Err(error) = run.scanner.send_into(&acquired, &mut sent).await {
        return Err(run.discontinue(failed(error), Some(&acquired), &sent).await);
    }
    context.out.say(format!("{} images stored by {}", sent.stored, target.peer));
    let mut report = None;
    if let Some(uid) = &run.options.mpps {
        run.end(Ending::Completed, Some(&acquired), &sent).await?;
        let step = run.item.step_id();
        context.out.say(format!("step {step}: COMPLETED with {} images", sent.stored));
        report = Some(Report { uid: uid.to_string(), status: "COMPLETED" });
    }
    let (commitment, kept) = run.commit(context, &acquired).await;
    context.out.say(&commitment);
    let ran = Ran { report, stored: sent.stored, commitment };
    tell(context, &run.item, &acquired, &paths, run.options.seed, Some(&ran));
    Ok(if kept { Exit::Done } else { Exit::Partly })
}

/// How long the association stays open for the report.
const REPORT: Duration = Duration::from_secs(3);

impl Run<'_> {
    /// Asks for storage commitment; what came of it, and whether a scanner could live with it.
    async fn commit(&self, context: &Context<'_>, acquired: &Acquisition) -> (String, bool) {
        let us = &self.scanner.requestor.aet;
        let transaction =
            crate::commitment::transaction(us, &context.clock, &acquired.study_uid);
        match self.scanner.commit(acquired, transaction, REPORT).await {
            Ok(said) => {
                let failed = matches!(&said, Commitment::Reported(report) if !report.failed.is_empty());
                (said.in_words(self.target.peer.aet.as_str()), !failed)
            }
            // the images are there all the same
            Err(error) => (format!("commitment was not asked for: {error}"), true),
        }
    }

    async fn end(
        &self,
        ending: Ending,
        acquisition: Option<&Acquisition>,
        sent: &Sent,
    ) -> Result<()> {
        let Some(uid) = &self.options.mpps else { return Ok(()) };
        let done = Done { ending, acquisition, stored: &sent.instances };
        let answered = self.scanner.end_step(uid, &self.item, &self.options, done).await;
        let reply = answered.map_err(failed)?;
        if reply.status.is_done() {
            return Ok(());
        }
        Err(self.target.refused("the end of the step", &reply))
    }

    /// What went wrong, and whether the PACS knows that the step has ended.
    async fn discontinue(
        &self,
        failure: Failure,
        acquisition: Option<&Acquisition>,
        sent: &Sent,
    ) -> Failure {
        if self.options.mpps.is_none() {
            return failure;
        }
        let reason = acquisition.map_or(Reason::EquipmentFailure, |_| Reason::Unspecified);
        let said = match self.end(Ending::Discontinued(reason), acquisition, sent).await {
            Ok(()) => "the step was reported as DISCONTINUED".to_owned(),
            Err(no) => format!("and the step stays IN PROGRESS: {}", no.message),
        };
        Failure { message: format!("{}; {said}", failure.message), ..failure }
    }
}

fn failed(error: Error) -> Failure {
    match error {
        Error::NotStored { .. } | Error::Refused { .. } => Failure::failed(error.to_string()),
        _ => Failure::network(error.to_string()),
    }
}
