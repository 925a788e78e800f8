//! `pacslab get`: C-GET. PS3.4 C.4.3.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use indicatif::ProgressBar;
use pacslab_dicom::{Dataset, dict};
use pacslab_dimse::message::SubOperations;
use pacslab_dimse::service::get::Got;
use pacslab_dimse::{Association, Proposal, StatusReply};
use pacslab_model::{Uid, uids};
use tokio::sync::mpsc;

use crate::client::{PeerArgs, Target};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::inbox::{Inbox, Received};
use crate::retrieve::{self, WhatArgs, plan};

/// Fetch studies from a PACS into files (C-GET)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Where files go [default: data/inbox]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    what: WhatArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab get --accession ACC1001", "the study of an order, to data/inbox"),
        (
            "pacslab get --study-uid 1.2.3 --series-uid 1.2.3.1 --out ct",
            "one series, to a folder of its own",
        ),
        (
            "pacslab get --patient-id P12345 --pacs ORTHANC@127.0.0.1:4242 --json",
            "everything of a patient from an Orthanc, as JSON",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let folder = self.out.as_deref().unwrap_or(&config.receiver.dir);
        let identifiers = self.what.identifiers(&target).await?;
        let classes = plan::sop_classes(&target, &identifiers).await?;
        let model =
            if self.what.is_patient() { uids::PATIENT_ROOT_GET } else { uids::STUDY_ROOT_GET };
        let mut fetching = Fetching::new(context, &target, model, folder, identifiers)?;
        let fetched = tokio::select! {
            fetched = fetching.run(plan::associations(classes.as_ref())) => fetched,
            () = crate::interrupt::interrupted() => Err(Failure::failed("interrupted")),
        };
        fetching.tell(folder, fetched)
    }
}

/// All associations of one command, and what came.
struct Fetching<'a> {
    context: &'a Context<'a>,
    target: &'a Target,
    model: &'static str,
    inbox: Arc<Inbox>,
    received: mpsc::UnboundedReceiver<Received>,
    asked: Vec<Asked>,
    /// SOP classes of which the peer did not let us be SCP.
    unwilling: BTreeSet<Uid>,
    bar: Option<ProgressBar>,
    begun: Instant,
}

/// One C-GET, which several associations may repeat.
struct Asked {
    identifier: Dataset,
    /// Something is missing that another association may bring.
    open: bool,
    /// What the peer says there is.
    total: usize,
    got: BTreeSet<Uid>,
    failed: BTreeSet<Uid>,
    reply: Option<StatusReply>,
    /// The first failure of ours: a full disk, say.
    ours: Option<StatusReply>,
}

impl<'a> Fetching<'a> {
    fn new(
        context: &'a Context<'a>,
        target: &'a Target,
        model: &'static str,
        folder: &Path,
        identifiers: Vec<Dataset>,
    ) -> Result<Self> {
        let (sender, received) = mpsc::unbounded_channel();
        let inbox = Inbox::new(folder, sender)
            .map_err(|error| Failure::file("make the folder", folder, &error))?;
        let asked = |identifier| Asked {
            identifier,
            open: true,
            total: 0,
            got: BTreeSet::new(),
            failed: BTreeSet::new(),
            reply: None,
            ours: None,
        };
        Ok(Self {
            context,
            target,
            model,
            inbox,
            received,
            asked: identifiers.into_iter().map(asked).collect(),
            unwilling: BTreeSet::new(),
            bar: context.out.shows_progress().then(retrieve::bar),
            begun: Instant::now(),
        })
    }

    /// One association after the other, until everything is here.
    async fn run(&mut self, associations: Vec<plan::Contexts>) -> Result<()> {
        for contexts in associations {
            if !self.asked.iter().any(|asked| asked.open) {
                break;
            }
            let proposal = Proposal::to_get(self.model, &contexts);
            let mut association = self.target.connect(proposal).await?;
            self.unwilling.extend(unwilling(&association, self.model));
            for asked in self.asked.iter_mut().filter(|asked| asked.open) {
                asked.get(&mut association, self.model, &self.inbox, self.bar.as_ref()).await?;
            }
            // everything is here; how the peer takes the release is of no use to anybody
            let _ = association.release().await;
        }
        Ok(())
    }

    fn tell(mut self, folder: &Path, fetched: Result<()>) -> Result {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mut files = BTreeMap::new();
        while let Ok(one) = self.received.try_recv() {
            files.insert(one.path.clone(), one);
        }
        let files: Vec<Received> = files.into_values().collect();
        let failed: usize = self.asked.iter().map(Asked::missing).sum();
        let bytes: u64 = files.iter().map(|file| file.bytes).sum();
        let (seconds, out) = (self.begun.elapsed().as_secs_f64(), self.context.out);
        let trouble = self.trouble(fetched, failed);
        if out.json {
            let uids: BTreeSet<&Uid> =
                self.asked.iter().flat_map(|asked| asked.failed.difference(&asked.got)).collect();
            out.json(&serde_json::json!({
                "peer": self.target.peer.to_string(), "dir": folder.display().to_string(),
                "status": self.reply().map(ToString::to_string), "received": files.len(),
                "failed": failed, "failed_uids": uids, "bytes": bytes, "seconds": seconds,
                "files": files.iter().map(Received::json).collect::<Vec<_>>(),
            }));
        } else if trouble.is_none() || !files.is_empty() {
            if files.is_empty() {
                out.remark(&retrieve::nothing(self.target));
            } else {
                out.table(&["sop class", "transfer syntax", "files"], summary(&files), "");
            }
            out.line(format!(
                "{} objects from {} in {}, {failed} failed, {:.1} MB in {seconds:.2} s",
                files.len(),
                self.target.peer,
                folder.display(),
                bytes as f64 / 1e6
            ));
        }
        match trouble {
            None => Ok(Exit::Done),
            Some(failure) if files.is_empty() => Err(failure),
            Some(failure) => {
                out.warning(&failure.message);
                if let Some(hint) = &failure.hint {
                    out.remark(hint);
                }
                Ok(Exit::Partly)
            }
        }
    }

    /// The final status of the first that is not complete, or else of the first.
    fn reply(&self) -> Option<&StatusReply> {
        let bad = |asked: &&Asked| asked.missing() > 0 || asked.got.is_empty();
        self.asked.iter().find(bad).or(self.asked.first())?.reply.as_ref()
    }

    fn trouble(&self, fetched: Result<()>, failed: usize) -> Option<Failure> {
        if let Err(failure) = fetched {
            return Some(failure);
        }
        if let Some(ours) = self.asked.iter().find_map(|asked| asked.ours.as_ref()) {
            return Some(Failure::failed(format!("an object was not stored: {ours}")));
        }
        let reply = self.reply()?;
        let complete = failed == 0 && self.asked.iter().all(|asked| !asked.got.is_empty());
        if complete || reply.status.is_success() {
            return None;
        }
        let failure = self.target.refused("C-GET", reply);
        Some(match self.unwilling.first() {
            Some(class) => failure.hint(format!(
                "{} does not let us be SCP of {} ({} SOP classes in all), so that it cannot send \
                 over our association; `pacslab move` with `pacslab receive` needs no roles",
                self.target.peer.aet,
                dict::describe_uid(class.as_str()),
                self.unwilling.len()
            )),
            None => failure,
        })
    }
}

impl Asked {
    async fn get(
        &mut self,
        association: &mut Association,
        model: &str,
        inbox: &Arc<Inbox>,
        bar: Option<&ProgressBar>,
    ) -> Result<()> {
        let mut getting = association.get(model, &self.identifier, &**inbox).await?;
        while let Some(got) = getting.next().await? {
            match got {
                Got::Object { sop_instance, reply, .. } if reply.status.is_done() => {
                    self.got.insert(sop_instance);
                }
                Got::Object { sop_instance, reply, .. } => {
                    self.failed.insert(sop_instance);
                    self.ours.get_or_insert(reply);
                }
                Got::Progress(counts) => {
                    self.total = self.total.max(total(counts));
                    if let Some(bar) = bar {
                        retrieve::show(bar, counts);
                    }
                }
            }
        }
        let counts = getting.counts();
        self.total = self.total.max(total(counts));
        self.failed.extend(getting.failed().iter().cloned());
        self.reply = getting.reply().cloned();
        // a refusal is no better on the next association
        self.open = counts.failed > 0 && self.missing() > 0 && self.ours.is_none();
        Ok(())
    }

    fn missing(&self) -> usize {
        self.total.saturating_sub(self.got.len())
    }
}

fn total(counts: SubOperations) -> usize {
    let SubOperations { remaining, completed, failed, warning } = counts;
    [remaining.unwrap_or(0), completed, failed, warning].into_iter().map(usize::from).sum()
}

/// Accepted storage classes without the role that a C-GET needs.
fn unwilling(association: &Association, model: &str) -> BTreeSet<Uid> {
    let roles = &association.info().roles;
    let scp = |class: &Uid| roles.iter().any(|role| role.scp && role.sop_class == *class);
    let classes = association.contexts().iter().map(|context| &context.abstract_syntax);
    classes.filter(|class| class.as_str() != model && !scp(class)).cloned().collect()
}

/// Counts by SOP class and transfer syntax.
fn summary(files: &[Received]) -> Vec<Vec<String>> {
    let mut counts = BTreeMap::<[String; 2], usize>::new();
    let name = |uid: &str| dict::uid_name(uid).unwrap_or(uid).to_owned();
    for file in files {
        let meta = &file.meta;
        let key = [name(meta.sop_class.as_str()), name(meta.transfer_syntax.uid())];
        *counts.entry(key).or_default() += 1;
    }
    let row =
        |(key, count): ([String; 2], usize)| key.into_iter().chain([count.to_string()]).collect();
    counts.into_iter().map(row).collect()
}
