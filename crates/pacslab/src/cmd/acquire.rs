//! `pacslab acquire`: images of a worklist item or of an exam, as a scanner makes them.

mod run;

use std::path::{Path, PathBuf};

use pacslab_dicom::{Dataset, dict, file};
use pacslab_modality::{Acquisition, Options, WorklistItem, catalogue};
use pacslab_model::{AeTitle, Clock, Moment, Seed, tags};

use crate::client::PeerArgs;
use crate::clock::When;
use crate::cmd::worklist::{find, list};
use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::exit::{Exit, Failure, Result};

/// Make images as a scanner does
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
#[command(group = clap::ArgGroup::new("source").args(["wl", "from_pacs", "exam"]))]
pub(crate) struct Args {
    /// A worklist file [default: the first item of the worklist folder]
    #[arg(long, conflicts_with_all = ["pacs", "host", "port"], value_name = "FILE")]
    wl: Option<PathBuf>,
    /// Ask a PACS for the worklist and take the first item; --pacs, --host and --port imply it
    #[arg(long)]
    from_pacs: bool,
    /// An exam of the catalogue, without an order
    #[arg(long, conflicts_with_all = ["pacs", "host", "port"], value_name = "CODE")]
    exam: Option<String>,
    /// The number that everything synthetic follows from [default: one of the moment]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// When the exam takes place: now, now-1d or 2026-01-05T08:00
    #[arg(long, default_value = "now", value_name = "TIME")]
    at: When,
    /// Be the scanner: the first item of a PACS is begun (MPPS), acquired, sent there, ended, and
    /// committed
    #[arg(long, conflicts_with_all = ["wl", "exam"])]
    run: bool,
    /// 1 for the first acquisition of an item, 2 for a repetition, ...
    #[arg(long, default_value_t = 1, value_name = "N")]
    repetition: u32,
    /// Where files go [default: data/samples]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only this accession number, of the folder or of the PACS
    #[arg(long, conflicts_with_all = ["wl", "exam"], value_name = "TEXT")]
    accession: Option<String>,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab acquire", "the first item of ./worklists, images in data/samples"),
        ("pacslab acquire --wl worklists/ACC1001.wl --out scans", "a certain item"),
        ("pacslab acquire --pacs ORTHANC@127.0.0.1:4242", "asks an Orthanc"),
        ("pacslab acquire --run", "and reports the step to the PACS, sends the images, ends it"),
        (
            "pacslab acquire --exam CTCHW --seed 7 --at 2026-01-05T08:00",
            "without an order; the same bytes every time",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let at = self.at.moment(&context.clock);
        let seed = Seed(self.seed.unwrap_or_else(|| context.clock.now().micros.unsigned_abs()));
        let station = self.peer.calling.clone().unwrap_or_else(|| config.modality.aet.clone());
        let item = self.item(&config, seed, at, &station).await?;
        let options = Options { run: self.repetition, ..Options::new(seed, at, station) };
        let out = self.out.clone().unwrap_or_else(|| config.modality.out.clone());
        if self.run {
            return run::run(context, &self.peer.resolve(&config)?, item, options, &out).await;
        }
        let (acquired, paths) = make(&item, &options, &out)?;
        tell(context, &item, &acquired, &paths, seed, None);
        Ok(Exit::Done)
    }
}

impl Args {
    async fn item(
        &self,
        config: &Config,
        seed: Seed,
        at: Moment,
        station: &AeTitle,
    ) -> Result<WorklistItem> {
        if let Some(code) = &self.exam {
            let exam = catalogue::exam(code).ok_or_else(|| {
                let some: Vec<&str> =
                    catalogue::exams().iter().take(12).map(|exam| exam.code.as_str()).collect();
                Failure::usage(format!("there is no exam '{code}' in the catalogue"))
                    .hint(format!("exams are called {}, ...", some.join(", ")))
            })?;
            return Ok(WorklistItem::for_exam(exam, seed, at, station));
        }
        let named = self.peer.pacs.is_some() || self.peer.host.is_some();
        let (set, source) = if self.from_pacs || self.run || named || self.peer.port.is_some() {
            self.ask(config).await?
        } else {
            let path = match &self.wl {
                Some(path) => path.clone(),
                None => self.first(&config.worklist.dir)?,
            };
            (read(&path)?, path.display().to_string())
        };
        WorklistItem::new(set).map_err(|error| Failure::failed(format!("{source}: {error}")))
    }

    /// The first item of a folder by its scheduled start.
    fn first(&self, folder: &Path) -> Result<PathBuf> {
        let wanted = self.accession.as_ref();
        let entries = list::open(folder)?.entries();
        let mut fitting = entries.iter().filter(|e| wanted.is_none_or(|a| *a == e.accession));
        match fitting.next() {
            Some(entry) => Ok(folder.join(&entry.file)),
            None => {
                let of = wanted.map_or(String::new(), |accession| format!(" of {accession}"));
                Err(Failure::failed(format!(
                    "there are no worklist items{of} in {}",
                    folder.display()
                ))
                .hint("`pacslab worklist create` makes one; --exam CODE needs none"))
            }
        }
    }

    /// The first item of a worklist by its scheduled start.
    async fn ask(&self, config: &Config) -> Result<(Dataset, String)> {
        let target = self.peer.resolve(config)?;
        let query = find::QueryArgs { accession: self.accession.clone(), ..Default::default() };
        let identifier = query.identifier(&target)?;
        let find::Answered { mut found, reply, .. } =
            find::query(&target, &identifier, |_, _| {}).await?;
        if !reply.status.is_success() {
            return Err(target.refused("the worklist query", &reply));
        }
        found.sort_by_cached_key(|set| {
            let step = set.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first();
            let of = |tag| step.map_or(String::new(), |step| step.str(tag).to_owned());
            (
                of(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
                of(tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
            )
        });
        match found.into_iter().next() {
            Some(set) => Ok((set, target.peer.to_string())),
            None => Err(Failure::failed(format!(
                "{} has nothing on its worklist for {}",
                target.peer, target.calling
            ))
            .hint(
                "`pacslab hl7 send` orders something; `pacslab worklist find --station \"*\"` \
                 shows what there is for others",
            )),
        }
    }
}

fn read(path: &Path) -> Result<Dataset> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let (_, set) = file::read(&bytes)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
    Ok(set)
}

/// Images of an item, and their files.
fn make(
    item: &WorklistItem,
    options: &Options,
    out: &Path,
) -> Result<(Acquisition, Vec<PathBuf>)> {
    let acquired = pacslab_modality::acquire(item, options)
        .map_err(|error| Failure::failed(error.to_string()))?;
    let paths = acquired.write(out).map_err(|error| Failure::failed(error.to_string()))?;
    Ok((acquired, paths))
}

fn tell(
    context: &Context<'_>,
    item: &WorklistItem,
    acquired: &Acquisition,
    paths: &[PathBuf],
    seed: Seed,
    ran: Option<&run::Ran>,
) {
    let names: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    if context.out.json {
        let mut told = serde_json::json!({
            "patient_id": item.patient_id(), "accession": item.accession(),
            "study_uid": acquired.study_uid, "seed": seed.0, "files": names,
        });
        if let Some(ran) = ran {
            told["mpps"] = serde_json::json!(ran.report);
            told["stored"] = ran.stored.into();
            told["commitment"] = ran.commitment.as_str().into();
        }
        context.out.json(&told);
        return;
    }
    match names.as_slice() {
        [first, .., last] if names.len() > 4 => context.out.line(format!("{first} to {last}")),
        names => names.iter().for_each(|name| context.out.line(name)),
    }
    let class = acquired.instances().next().map(|one| one.meta.sop_class.to_string());
    let class = class.as_deref().and_then(dict::uid_name).unwrap_or("objects");
    context.out.line(format!(
        "{} files, {class}: patient {}, accession {}, seed {}, study {}",
        names.len(),
        item.patient_id(),
        item.accession(),
        seed.0,
        acquired.study_uid
    ));
}
