//! `pacslab send`: C-STORE. PS3.4 B.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use pacslab_dicom::{TransferSyntax, dict};
use pacslab_dimse::message::Priority;
use pacslab_dimse::pdu::ProposedContext;
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{Association, Data, Error, Proposal, StatusReply};
use pacslab_model::Uid;

use crate::client::{PeerArgs, Target};
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::outbox::{Item, Outbox, Skipped};

/// Send files to a PACS (C-STORE)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Files and folders; folders are searched, and what is no DICOM in them is counted and left out
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    peer: PeerArgs,
}

/// The most bytes of uncompressed pixels of a file that has to be decoded.
const LARGEST: usize = 1 << 30;

/// Files up to this size are read whole; longer ones are streamed.
const WHOLE: u64 = 4 * 1024 * 1024;

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab send data/samples", "everything in a folder, to the embedded PACS"),
        ("pacslab send a.dcm b.dcm --pacs ORTHANC@127.0.0.1:4242", "two files to an Orthanc"),
        ("pacslab send data/samples --json", "what came of each file, as JSON"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let target = self.peer.resolve(&config)?;
        let outbox = Outbox::collect(&self.paths);
        tell_skipped(context, &outbox.skipped);
        if outbox.items.is_empty() {
            return Err(Failure::failed("there is no DICOM file to send")
                .hint("`pacslab acquire` makes some in data/samples"));
        }
        let mut sending = Sending::new(context, &target, outbox.items.len());
        for (contexts, items) in outbox.associations() {
            sending.association(&contexts, &items).await?;
        }
        sending.tell(&outbox)
    }
}

/// What was meant to be sent is named; of what else lay in the folders so many are told.
fn tell_skipped(context: &Context<'_>, skipped: &[Skipped]) {
    let (meant, others): (Vec<_>, Vec<_>) = skipped.iter().partition(|skipped| skipped.meant);
    for Skipped { path, why, .. } in meant {
        context.out.warning(&format!("skipped {}: {why}", path.display()));
    }
    match others.as_slice() {
        [] => {}
        [one] => context.out.remark(&format!("left out {}: {}", one.path.display(), one.why)),
        [first, ..] => context.out.remark(&format!(
            "left out {} files that are no DICOM, the first is {}",
            others.len(),
            first.path.display()
        )),
    }
}

/// All associations of one command, and what came of each file.
pub(crate) struct Sending<'a> {
    context: &'a Context<'a>,
    target: &'a Target,
    bar: Option<ProgressBar>,
    begun: Instant,
    /// Somebody else tells what came of it.
    quiet: bool,
    sent: Vec<Sent>,
}

pub(crate) struct Sent {
    pub(crate) path: String,
    meta: pacslab_dicom::FileMeta,
    pub(crate) bytes: u64,
    /// The final status, or why there is none.
    pub(crate) outcome: std::result::Result<StatusReply, String>,
}

impl Sent {
    pub(crate) fn is_stored(&self) -> bool {
        self.outcome.as_ref().is_ok_and(|reply| reply.status.is_done())
    }

    pub(crate) fn outcome(&self) -> String {
        match &self.outcome {
            Ok(reply) => reply.to_string(),
            Err(why) => why.clone(),
        }
    }
}

impl<'a> Sending<'a> {
    fn new(context: &'a Context<'a>, target: &'a Target, files: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {per_sec} {eta}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(files as u64).with_style(style);
        let bar = context.out.shows_progress().then_some(bar);
        Self { context, target, bar, begun: Instant::now(), quiet: false, sent: Vec::new() }
    }

    /// Sends and tells nothing.
    ///
    /// # Errors
    /// There is no association to be had, and nothing was sent.
    pub(crate) async fn quietly(
        context: &'a Context<'a>,
        target: &'a Target,
        outbox: &Outbox,
    ) -> Result<Vec<Sent>> {
        let (begun, sent) = (Instant::now(), Vec::new());
        let mut sending = Self { context, target, bar: None, begun, quiet: true, sent };
        for (contexts, items) in outbox.associations() {
            sending.association(&contexts, &items).await?;
        }
        Ok(sending.sent)
    }

    /// Sends files over one association, which is opened again when it breaks; as many at a time
    /// as the peer takes.
    async fn association(&mut self, contexts: &[ProposedContext], items: &[&Item]) -> Result<()> {
        let mut open: Option<Association> = None;
        let mut waiting: VecDeque<&Item> = items.iter().copied().collect();
        let mut under_way: Vec<(u16, &Item)> = Vec::new();
        let mut most = usize::MAX;
        while !waiting.is_empty() || !under_way.is_empty() {
            let mut association = match open.take() {
                Some(association) => association,
                None => match self.connect(contexts).await {
                    Ok(association) => association,
                    // nothing has been sent: the whole command failed
                    Err(failure) if self.sent.iter().all(|sent| !sent.is_stored()) => {
                        return Err(failure);
                    }
                    Err(failure) => {
                        self.give_up(waiting.make_contiguous(), &failure.message);
                        return Ok(());
                    }
                },
            };
            let room = under_way.len() < association.window().min(most);
            let outcome = match waiting.pop_front_if(|_| room) {
                Some(item) => match begin(&mut association, item).await {
                    Ok(message_id) => {
                        under_way.push((message_id, item));
                        None
                    }
                    Err(error) => Some((item, Err(error.to_string()))),
                },
                None => match association.next_stored().await {
                    Ok((message_id, reply)) => under_way
                        .iter()
                        .position(|(id, _)| *id == message_id)
                        .map(|at| (under_way.swap_remove(at).1, Ok(reply))),
                    Err(error) if under_way.len() == 1 => {
                        under_way.pop().map(|(_, item)| (item, Err(error.to_string())))
                    }
                    Err(_) => None,
                },
            };
            if let Some((item, outcome)) = outcome {
                self.add(item, outcome);
                self.warn();
            }
            if !association.is_over() {
                open = Some(association);
            } else if !under_way.is_empty() {
                // one of several did it: each by itself, so that the others arrive
                most = 1;
                under_way.drain(..).rev().for_each(|(_, item)| waiting.push_front(item));
            }
        }
        if let Some(association) = open {
            // every file has its answer; how the peer takes the release is of no use to anybody
            let _ = association.release().await;
        }
        Ok(())
    }

    async fn connect(&self, contexts: &[ProposedContext]) -> Result<Association> {
        self.target.connect(Proposal::from(contexts.to_vec()).windowed()).await
    }

    /// The peer has gone: what is left is not tried one by one.
    fn give_up(&mut self, items: &[&Item], why: &str) {
        let Some((first, others)) = items.split_first() else { return };
        self.add(first, Err(why.to_owned()));
        self.warn();
        for item in others {
            self.add(item, Err(why.to_owned()));
        }
        if !others.is_empty() && !self.quiet {
            let text = format!("{} further files were not tried", others.len());
            self.context.out.warning(&text);
        }
    }

    fn add(&mut self, item: &Item, outcome: std::result::Result<StatusReply, String>) {
        let path = item.place.name();
        self.sent.push(Sent { path, meta: item.meta.clone(), bytes: item.length, outcome });
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }

    /// Tells of the last file, if it failed.
    fn warn(&self) {
        let Some(sent) = self.sent.last().filter(|sent| !sent.is_stored()) else { return };
        if self.quiet {
            return;
        }
        let told = format!("{}: {}", sent.path, sent.outcome());
        match &self.bar {
            Some(bar) => bar.suspend(|| self.context.out.warning(&told)),
            None => self.context.out.warning(&told),
        }
    }

    fn tell(self, outbox: &Outbox) -> Result {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let stored = self.sent.iter().filter(|sent| sent.is_stored()).count();
        let failed = self.sent.len() - stored;
        let bytes: u64 = self.sent.iter().filter(|s| s.is_stored()).map(|s| s.bytes).sum();
        let out = self.context.out;
        if out.json {
            let files: Vec<_> = self.sent.iter().map(Sent::json).collect();
            let skipped: Vec<_> = outbox
                .skipped
                .iter()
                .map(|s| serde_json::json!({"path": s.path.display().to_string(), "why": s.why}))
                .collect();
            out.json(&serde_json::json!({
                "peer": self.target.peer.to_string(), "stored": stored, "failed": failed,
                "bytes": bytes, "seconds": seconds, "files": files, "skipped": skipped,
            }));
        } else {
            let headings = ["sop class", "transfer syntax", "status", "files"];
            out.table(&headings, summary(&self.sent), "nothing was sent");
            out.line(format!(
                "{stored} of {} files stored by {}, {:.1} MB in {seconds:.2} s",
                self.sent.len(),
                self.target.peer,
                bytes as f64 / 1e6
            ));
        }
        let left_out = outbox.skipped.iter().any(|skipped| skipped.meant);
        match (stored, failed) {
            (_, 0) if !left_out => Ok(Exit::Done),
            (0, _) => Ok(Exit::Failed),
            _ => Ok(Exit::Partly),
        }
    }
}

impl Sent {
    fn json(&self) -> serde_json::Value {
        let status = self.outcome.as_ref().ok().map(|reply| format!("0x{:04X}", reply.status.0));
        serde_json::json!({
            "path": self.path, "sop_class": self.meta.sop_class,
            "sop_instance": self.meta.sop_instance,
            "transfer_syntax": self.meta.transfer_syntax.uid(), "status": status,
            "stored": self.is_stored(), "message": self.outcome(),
        })
    }
}

/// Counts by SOP class, transfer syntax and status.
fn summary(sent: &[Sent]) -> Vec<Vec<String>> {
    let mut counts = BTreeMap::<[String; 3], usize>::new();
    let name = |uid: &str| dict::uid_name(uid).unwrap_or(uid).to_owned();
    for one in sent {
        let class = name(one.meta.sop_class.as_str());
        let syntax = name(one.meta.transfer_syntax.uid());
        *counts.entry([class, syntax, one.outcome()]).or_default() += 1;
    }
    let row =
        |(key, count): ([String; 3], usize)| key.into_iter().chain([count.to_string()]).collect();
    counts.into_iter().map(row).collect()
}

/// Sends one file as it is, or in a transfer syntax that the peer accepted; gives the id of the
/// request.
async fn begin(association: &mut Association, item: &Item) -> std::result::Result<u16, Error> {
    let class = item.meta.sop_class.as_str();
    let own = Uid::new(item.meta.transfer_syntax.uid());
    match association.context_for(class, Some(own.as_str())) {
        Ok(_) if item.length > WHOLE => stream(association, item, &own).await,
        Ok(_) => {
            let bytes = item.place.read().await.map_err(Error::Source)?;
            let data = bytes.get(item.start as usize..).unwrap_or_default();
            association.begin_store(request(item, &own, Data::Bytes(data))).await
        }
        Err(refused) => {
            let fits = |context: &&std::sync::Arc<pacslab_dimse::Context>| {
                let to = TransferSyntax::from_uid(context.transfer_syntax.as_str());
                context.abstract_syntax.as_str() == class
                    && pacslab_codec::can_transcode(&item.meta.transfer_syntax, &to)
            };
            let Some(context) = association.contexts().iter().find(fits) else {
                return Err(refused);
            };
            let accepted = TransferSyntax::from_uid(context.transfer_syntax.as_str());
            let bytes = item.place.read().await.map_err(Error::Source)?;
            let data = bytes.get(item.start as usize..).unwrap_or_default();
            let set =
                pacslab_dicom::parse(data, &item.meta.transfer_syntax).map_err(|problem| {
                    Error::DataSet {
                        what: "the file",
                        transfer_syntax: own.clone(),
                        problem: problem.to_string(),
                    }
                })?;
            let from = &item.meta.transfer_syntax;
            let set = pacslab_codec::transcode(set, from, &accepted, LARGEST).map_err(|problem| {
                Error::DataSet {
                    what: "the file",
                    transfer_syntax: own.clone(),
                    problem: problem.to_string(),
                }
            })?;
            let data = pacslab_dicom::encode(&set, &accepted);
            let accepted = Uid::new(accepted.uid());
            association.begin_store(request(item, &accepted, Data::Bytes(&data))).await
        }
    }
}

async fn stream(
    association: &mut Association,
    item: &Item,
    syntax: &Uid,
) -> std::result::Result<u16, Error> {
    let mut reader = item.place.from(item.start).await.map_err(Error::Source)?;
    association.begin_store(request(item, syntax, Data::Reader(&mut reader))).await
}

fn request<'a>(item: &'a Item, syntax: &'a Uid, data: Data<'a>) -> StoreRequest<'a> {
    StoreRequest {
        sop_class: &item.meta.sop_class,
        sop_instance: &item.meta.sop_instance,
        transfer_syntax: syntax,
        data,
        priority: Priority::Medium,
        originator: None,
    }
}
