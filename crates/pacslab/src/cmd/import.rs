//! `pacslab import`: takes objects in from folders, files, ZIP files and DICOMDIRs.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use pacslab_model::Uid;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::client::{PeerArgs, Target};
use crate::cmd::send::Sending;
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::config::{Config, Entry};
use crate::exit::{Exit, Failure, Result};
use crate::import::Found;
use crate::import::door::{AT_A_TIME, Dicom, Door, Folder, Http, Outcome};
use crate::import::search::{Seen, search};
use crate::offline::Offline;
use crate::outbox::Outbox;
use crate::output::size;

/// Take objects in from folders, files, ZIP files and DICOMDIRs
///
/// Into the data folder when no server uses it, and over HTTP to the server otherwise; to any PACS
/// by C-STORE with --pacs. What is there
/// already is recognised by its SOP instance UID before it is read, so an import that was interrupted
/// goes on where it was when it is started again.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Folders (searched with all folders in them), DICOM files, ZIP files, DICOMDIRs
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The data folder; made if there is none [default: that of the configuration]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["url", "pacs"])]
    data: Option<PathBuf>,
    #[command(flatten)]
    site: SiteArgs,
    #[command(flatten)]
    peer: PeerArgs,
}

/// Objects looked up and imported together.
const BATCH: usize = 256;
/// Reasons that are told; the rest is counted.
const REASONS: usize = 20;
/// How often a line of progress is written where there is no terminal.
const PAUSE: Duration = Duration::from_secs(5);

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab import data/samples", "a folder, into the embedded PACS"),
        ("pacslab import data/samples --data imported", "into a data folder of its own"),
        ("pacslab import a.dcm b.dcm --pacs ORTHANC@127.0.0.1:4242", "by C-STORE, to any PACS"),
        ("pacslab import a.dcm b.dcm --json", "what came of it, as JSON"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let folder = self.data.as_ref().map(|dir| dir.display().to_string());
        let config = context.load(Entry::flag("--data", "storage.dir", folder))?.config;
        let door = Arc::new(self.door(&config)?);
        let (sender, mut seen) = mpsc::channel(2 * BATCH);
        let paths = self.paths;
        let searching = tokio::task::spawn_blocking(move || search(&paths, &sender));
        let mut import = Import::new(context, door);
        let mut over = None;
        while over.is_none() {
            let mut objects = Vec::new();
            while objects.len() < BATCH {
                match seen.recv().await {
                    Some(Seen::Object(found)) => objects.push(*found),
                    Some(Seen::Other { name, why, meant }) => import.tally.other(name, why, meant),
                    Some(Seen::Refused { name, why }) => import.tally.refuse(name, why),
                    None => break,
                }
            }
            let last = objects.len() < BATCH;
            over = import.batch(objects).await.err();
            import.show();
            if last {
                break;
            }
        }
        drop(seen);
        let searched = searching.await;
        if over.is_none() && searched.is_err() {
            over = Some(Failure::failed("the search ended before its time"));
        }
        import.tell(over)
    }
}

impl Args {
    fn door(&self, config: &Config) -> Result<Door> {
        let PeerArgs { pacs, host, port, aet, .. } = &self.peer;
        if pacs.is_some() || host.is_some() || port.is_some() || aet.is_some() {
            if self.site.url.is_some() {
                return Err(Failure::usage("--url and --pacs are two ways to a server")
                    .hint("give one of them"));
            }
            return Ok(Door::Dicom(Dicom::new(self.peer.resolve(config)?)));
        }
        let made = self.data.is_some() || config.storage.dir.join("packs").is_dir();
        let offline = match &self.site.url {
            None if made => Offline::made(config)?,
            _ => None,
        };
        match offline {
            Some(offline) => {
                Ok(Door::Folder(Folder::open(offline, crate::department::quota(config))?))
            }
            None => Ok(Door::Http(Http::new(self.site.server(config)?))),
        }
    }
}

struct Import<'a> {
    context: &'a Context<'a>,
    door: Arc<Door>,
    bar: Option<ProgressBar>,
    begun: Instant,
    shown: Instant,
    tally: Tally,
}

/// What came of everything.
#[derive(Debug, Default)]
struct Tally {
    new: u64,
    there: u64,
    not_dicom: u64,
    refused: u64,
    /// Of what is new.
    bytes: u64,
    /// Was named, or is called like a DICOM file, and is none.
    meant: bool,
    /// The first reasons; for what is no DICOM those of what was meant.
    reasons: Vec<(String, String)>,
}

impl Tally {
    fn other(&mut self, name: String, why: String, meant: bool) {
        self.not_dicom += 1;
        self.meant |= meant;
        if meant {
            self.reason(name, why);
        }
    }

    fn refuse(&mut self, name: String, why: String) {
        self.refused += 1;
        self.reason(name, why);
    }

    fn reason(&mut self, name: String, why: String) {
        if self.reasons.len() < REASONS {
            self.reasons.push((name, why));
        }
    }

    fn looked_at(&self) -> u64 {
        self.new + self.there + self.not_dicom + self.refused
    }
}

impl<'a> Import<'a> {
    fn new(context: &'a Context<'a>, door: Arc<Door>) -> Self {
        let bar = context.out.shows_progress().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        let begun = Instant::now();
        Self { context, door, bar, begun, shown: begun, tally: Tally::default() }
    }

    /// Imports what is not there yet, several at a time.
    async fn batch(&mut self, objects: Vec<Found>) -> Result<()> {
        let uids: Vec<_> = objects.iter().map(|found| found.meta.sop_instance.clone()).collect();
        let known: HashSet<_> = self.door.known(&uids).await?;
        if let Door::Dicom(dicom) = &*self.door.clone() {
            return self.send(&dicom.target, objects, &known).await;
        }
        let mut under_way = JoinSet::new();
        let mut over = None;
        for found in objects {
            if known.contains(&found.meta.sop_instance) {
                self.tally.there += 1;
                continue;
            }
            while under_way.len() >= AT_A_TIME {
                over = self.next(&mut under_way).await.or(over);
            }
            if over.is_some() {
                break;
            }
            let door = self.door.clone();
            under_way.spawn(async move {
                let outcome = door.put(&found).await;
                (found, outcome)
            });
        }
        while !under_way.is_empty() {
            over = self.next(&mut under_way).await.or(over);
        }
        over.map_or(Ok(()), Err)
    }

    /// The same over an association, as many at a time as the peer takes.
    async fn send(
        &mut self,
        target: &Target,
        objects: Vec<Found>,
        known: &HashSet<Uid>,
    ) -> Result<()> {
        let all = objects.len();
        let new = objects.into_iter().filter(|found| !known.contains(&found.meta.sop_instance));
        let outbox = Outbox { items: new.map(Found::item).collect(), skipped: Vec::new() };
        self.tally.there += (all - outbox.items.len()) as u64;
        for sent in Sending::quietly(self.context, target, &outbox).await? {
            if sent.is_stored() {
                self.tally.new += 1;
                self.tally.bytes += sent.bytes;
            } else {
                let why = sent.outcome();
                self.tally.refuse(sent.path, why);
            }
        }
        Ok(())
    }

    /// Counts one that is done; answers why there is no going on.
    async fn next(&mut self, under_way: &mut JoinSet<(Found, Outcome)>) -> Option<Failure> {
        match under_way.join_next().await? {
            Ok((found, Outcome::New)) => {
                self.tally.new += 1;
                self.tally.bytes += found.length;
            }
            Ok((_, Outcome::There)) => self.tally.there += 1,
            Ok((found, Outcome::Refused(why))) => self.tally.refuse(found.name, why),
            Ok((found, Outcome::Over(failure))) => {
                self.tally.refuse(found.name, failure.message.clone());
                return Some(failure);
            }
            Err(error) => return Some(Failure::failed(error.to_string())),
        }
        None
    }

    fn per_second(&self) -> f64 {
        self.tally.new as f64 / self.begun.elapsed().as_secs_f64().max(1e-3)
    }

    /// A line that is written over, or one every now and then.
    fn show(&mut self) {
        let Tally { new, there, .. } = self.tally;
        let looked_at = self.tally.looked_at();
        let text = format!(
            "{looked_at} looked at, {new} new, {there} already there, {:.0} a second",
            self.per_second()
        );
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None if !self.context.out.json && self.shown.elapsed() >= PAUSE => {
                self.context.out.remark(&text);
                self.shown = Instant::now();
            }
            None => {}
        }
    }

    fn tell(self, over: Option<Failure>) -> Result {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.per_second();
        let (out, door) = (self.context.out, self.door.name());
        let tally = self.tally;
        let Tally { new, there, not_dicom, refused, bytes, meant, reasons } = &tally;
        if out.json {
            let reasons: Vec<_> = reasons
                .iter()
                .map(|(name, why)| serde_json::json!({"path": name, "why": why}))
                .collect();
            out.json(&serde_json::json!({
                "into": door, "new": new, "already_there": there, "not_dicom": not_dicom,
                "refused": refused, "bytes": bytes, "seconds": seconds, "per_second": rate,
                "reasons": reasons, "complete": over.is_none(),
            }));
        } else {
            for (name, why) in reasons {
                out.warning(&format!("{name}: {why}"));
            }
            out.line(format!(
                "{new} new ({}), {there} already there, {not_dicom} no DICOM, {refused} refused; \
                 into {door} in {seconds:.1} s, {rate:.0} a second",
                size(*bytes)
            ));
        }
        let arrived = new + there;
        match over {
            Some(failure) if arrived == 0 => Err(failure),
            Some(failure) => {
                out.failure(&failure);
                Ok(Exit::Partly)
            }
            None if tally.looked_at() == *not_dicom && !meant => {
                Err(Failure::failed("there is no DICOM file to import")
                    .hint("`pacslab acquire` makes some in data/samples"))
            }
            None if *refused == 0 && !meant => Ok(Exit::Done),
            None if arrived == 0 => Ok(Exit::Failed),
            None => Ok(Exit::Partly),
        }
    }
}
