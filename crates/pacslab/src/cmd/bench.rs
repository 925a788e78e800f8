//! `pacslab bench`: how fast a PACS is.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::ProgressBar;
use pacslab_model::{AeTitle, Clock, Seed};
use tokio::net::TcpListener;

use crate::bench::data::Naming;
use crate::bench::plan::{Case, Name, Plan, share};
use crate::bench::prepare::{Needs, Ready, Receiver};
use crate::bench::report::compare::Compared;
use crate::bench::report::{Report, Run as Made, html, table};
use crate::bench::runner::Limits;
use crate::bench::sink::Sink;
use crate::bench::site::Site;
use crate::bench::size::{Size, read_bytes};
use crate::bench::work::{At, find};
use crate::client::{PeerArgs, duration};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::config::{Config, read_duration};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;

/// Measure how fast a PACS is, or several side by side
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// What is measured [default: all]
    #[arg(value_name = "WORKLOAD", value_enum)]
    workloads: Vec<Name>,
    /// Connections that ask at the same time, from 1 to 64
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_value = "1,4,16", value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: Vec<u64>,
    /// Pixels of an image: 8KB, 2MB, or mixed (CT, MR and radiographs in turns)
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',', default_value = "8KB,512KB")]
    size: Vec<Size>,
    /// How long each measurement takes
    #[arg(long, value_name = "TIME", default_value = "2", value_parser = seconds)]
    seconds: Duration,
    /// Make so many requests instead, of all connections together
    #[arg(long, value_name = "N", conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Before the clock starts [default: a fifth of --seconds; with --count one request each]
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    warm_up: Option<Duration>,
    /// Turns of each target in a measurement [default: 1, of several targets 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// A round ends when it has moved so many bytes
    #[arg(long, value_name = "SIZE", default_value = "1GB", value_parser = most)]
    most: u64,
    /// Studies that are put there to be found
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    studies: u64,
    /// Images of each study that is put there to be found
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    found_images: u64,
    /// Pixels of these images
    #[arg(long, value_name = "SIZE", default_value = "8KB")]
    found_size: Size,
    /// Images of a study that is fetched
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    images: u64,
    /// Orders that are put on the worklist to be found
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    orders: u64,
    /// The same data as another run [default: new ones]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write a page with charts
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Show ratios to an earlier run's --json
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Measure this program as well, against a sink in it that stores nothing
    #[arg(long)]
    sink: bool,
    /// Write to a PACS that is not on this computer
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    targets: TargetArgs,
}

/// The PACS that are measured.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "The PACS")]
struct TargetArgs {
    /// AET@host:port, host:port, or a name from [peers]; several are played side by side
    #[arg(long, value_name = "PEER")]
    pacs: Vec<String>,
    /// HTTP address for QIDO, WADO, STOW, in the order of --pacs; - is none
    #[arg(long, alias = "url", value_name = "URL")]
    http: Vec<String>,
    /// Login there, in the order of --pacs [default: that of the configuration]
    #[arg(long, value_name = "NAME:PASSWORD")]
    login: Vec<String>,
    /// Where DICOMweb is below it
    #[arg(long, value_name = "PATH", default_value = "/dicom-web")]
    dicom_web: String,
    /// HL7 door for orders, in the order of --pacs; - is none
    #[arg(long, value_name = "HOST:PORT")]
    hl7: Vec<String>,
    /// Call them with TLS
    #[arg(long)]
    tls: bool,
    /// Our AE title, the calling title [default: PYMOD1]
    #[arg(long, value_name = "TITLE")]
    calling: Option<AeTitle>,
    /// How long an answer may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// A C-MOVE destination that the PACS know, here [default: made known over HTTP]
    #[arg(long, value_name = "TITLE:PORT", value_parser = known_receiver, conflicts_with = "advertise")]
    receiver: Option<Receiver>,
    /// This computer as the PACS see it, to send to
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    advertise: String,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab bench echo store --count 50", "a first look at the embedded PACS"),
        (
            "pacslab bench find get --count 20 --studies 20 --images 3 --html report.html",
            "questions and retrieval, as a page with charts",
        ),
        (
            "pacslab bench qido wado --http http://127.0.0.1:8042 --count 20 --studies 20 --images 3 --json",
            "DICOMweb, for machines and for --compare",
        ),
        (
            "pacslab bench workflow --count 20 --connections 1,4",
            "order, worklist, acquisition, store, verified: workflows per second",
        ),
        (
            "pacslab bench store --pacs PACSLAB@127.0.0.1:4242 --pacs ORTHANC@127.0.0.1:4242 --sink --count 20 --size 8KB",
            "two PACS and this program's own limit, side by side",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let earlier = self.compare.as_deref().map(Compared::read).transpose()?;
        let seed = match self.seed {
            Some(seed) => seed,
            // short enough to be typed again
            None => u64::from(u32::from_le_bytes(crate::random::bytes()?)),
        };
        let naming = Naming::new(Seed(seed));
        let mut sites = self.targets.sites(&config)?;
        self.ask_before_writing(&sites)?;
        let sink = self.sink(&config, &mut sites).await?;
        let at = context.clock.now().rfc3339();
        let bar = context.out.shows_progress().then(ProgressBar::new_spinner);
        let tell = |text: String| {
            if let Some(bar) = &bar {
                bar.set_message(text);
                bar.tick();
            }
        };
        let played = async {
            let (needs, receiver) = (self.needs(), self.targets.receiver());
            let mut ready = Vec::new();
            for site in sites {
                tell(format!("preparing {}", site.name));
                let at = At::new(site, naming.clone());
                ready.push(Ready::prepare(at, &needs, &receiver).await);
            }
            let results = self.plan(ready.len()).play(&ready, &tell).await;
            let mut found = Vec::new();
            for one in &ready {
                one.leave().await;
                found.push(written(&one.at).await);
            }
            Report::new(&Made { at, naming: naming.clone() }, &ready, &found, &results)
        };
        let report = tokio::select! {
            report = played => report,
            () = crate::interrupt::interrupted() => {
                return Err(Failure::failed("interrupted").hint(format!(
                    "what was written until then belongs to the patients {}",
                    naming.patients()
                )));
            }
        };
        drop(sink);
        if let Some(bar) = &bar {
            bar.finish_and_clear();
        }
        self.tell(context, &report, earlier.as_ref())
    }

    fn workers(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 16)
    }
}

impl Args {
    fn names(&self) -> Vec<Name> {
        use clap::ValueEnum;
        match self.workloads.as_slice() {
            [] => Name::value_variants().to_vec(),
            some => some.to_vec(),
        }
    }

    fn needs(&self) -> Needs {
        let names = self.names();
        let any = |test: fn(Name) -> bool| names.iter().any(|name| test(*name));
        let fetches = any(Name::fetches);
        Needs {
            studies: if any(Name::asks) { self.studies } else { 0 },
            found_images: self.found_images,
            found_size: self.found_size,
            sets: if fetches { self.size.clone() } else { Vec::new() },
            fetched: 4,
            images: self.images,
            orders: if names.contains(&Name::Worklist) { self.orders } else { 0 },
            moves: names.contains(&Name::Move),
        }
    }

    fn plan(&self, sites: usize) -> Plan {
        let rounds = self.rounds.unwrap_or(if sites > 1 { 3 } else { 1 });
        let cases: Vec<Case> =
            self.names().iter().flat_map(|name| name.cases(&self.size)).collect();
        Plan {
            cases,
            connections: self.connections.iter().map(|count| *count as usize).collect(),
            rounds,
            limits: Limits {
                time: share(self.seconds, rounds),
                count: self.count,
                warm_up: share(self.warm_up.unwrap_or(self.seconds / 5), rounds),
                most_bytes: self.most,
            },
        }
    }

    /// Nobody's archive gets thousands of synthetic images by mistake.
    fn ask_before_writing(&self, sites: &[Site]) -> Result<()> {
        if self.yes || !self.names().iter().any(|name| name.writes()) {
            return Ok(());
        }
        match sites.iter().find(|site| !site.is_here()) {
            None => Ok(()),
            Some(site) => Err(Failure::usage(format!(
                "{} is not on this computer, and the benchmark writes synthetic patients to it",
                site.name
            ))
            .hint("say --yes if it may; `pacslab bench echo` writes nothing")),
        }
    }

    async fn sink(&self, config: &Config, sites: &mut Vec<Site>) -> Result<Option<Sink>> {
        if !self.sink {
            return Ok(None);
        }
        let failed = |error: std::io::Error| Failure::network(format!("no sink: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
        let sink = Sink::start(listener).map_err(failed)?;
        let peer = format!("SINK@127.0.0.1:{}", sink.port);
        let mut target = self.targets.peer(Some(peer)).resolve(config)?;
        target.peer.tls = false;
        let mut site = Site::new(sites.len() as u64, target);
        (site.name, site.is_sink) = ("this program's sink".to_owned(), true);
        sites.push(site);
        Ok(Some(sink))
    }

    fn tell(&self, context: &Context<'_>, report: &Report, earlier: Option<&Compared>) -> Result {
        if let Some(path) = &self.html {
            std::fs::write(path, html::page(report, earlier))
                .map_err(|error| Failure::file("write", path, &error))?;
        }
        if context.out.json {
            let mut told = serde_json::to_value(report).unwrap_or_default();
            if let (Some(earlier), Some(rows)) = (earlier, told["measurements"].as_array_mut()) {
                for (row, told) in report.measurements.iter().zip(rows) {
                    told["of_earlier"] = earlier.ratio(report, row).into();
                }
            }
            context.out.json(&told);
        } else {
            table::print(report, earlier, context.out);
        }
        if let Some(path) = &self.html {
            context.out.say(format!("{} is the page with charts", path.display()));
        }
        let done: u64 = report.measurements.iter().map(|row| row.requests).sum();
        match report.failures() {
            _ if report.measurements.is_empty() => Err(Failure::failed(
                "nothing of this is offered by what was asked",
            )),
            0 => Ok(Exit::Done),
            _ if done == 0 => Ok(Exit::Failed),
            _ => Ok(Exit::Partly),
        }
    }
}

impl TargetArgs {
    fn peer(&self, pacs: Option<String>) -> PeerArgs {
        PeerArgs {
            pacs,
            tls: self.tls,
            calling: self.calling.clone(),
            timeout: self.timeout,
            ..PeerArgs::default()
        }
    }

    /// The sites, each with its doors. Without `--pacs` it is the embedded one, all of whose
    /// doors are known.
    fn sites(&self, config: &Config) -> Result<Vec<Site>> {
        let given = |all: &[String], at: usize| all.get(at).filter(|text| *text != "-").cloned();
        let named: Vec<Option<String>> = match self.pacs.as_slice() {
            [] => vec![None],
            some => some.iter().cloned().map(Some).collect(),
        };
        let embedded = self.pacs.is_empty() && config.client.pacs.is_empty();
        let mut sites = Vec::new();
        for (at, pacs) in named.into_iter().enumerate() {
            let mut site = Site::new(at as u64, self.peer(pacs).resolve(config)?);
            let login = given(&self.login, at);
            site.server = match given(&self.http, at) {
                Some(url) => Some(self.server(Some(url), login, config)?),
                None if embedded && self.http.is_empty() => Some(self.server(None, login, config)?),
                None => None,
            };
            site.hl7 = match given(&self.hl7, at) {
                Some(hl7) => Some(crate::mllp::receiver(Some(&hl7), None, None, config)?),
                None if embedded && self.hl7.is_empty() => {
                    Some(crate::mllp::receiver(None, None, None, config)?)
                }
                None => None,
            };
            sites.push(site);
        }
        Ok(sites)
    }

    fn server(
        &self,
        url: Option<String>,
        user: Option<String>,
        config: &Config,
    ) -> Result<Server> {
        let server = SiteArgs { url, user }.server(config)?;
        Ok(server.with_dicom_web(&self.dicom_web))
    }

    fn receiver(&self) -> Receiver {
        self.receiver.clone().unwrap_or_else(|| Receiver::Introduced { host: self.advertise.clone() })
    }
}

/// What the PACS itself tells of what it was given: images of the patients of this run.
async fn written(at: &At) -> Option<u64> {
    use pacslab_model::{tags, uids};
    if at.site.is_sink {
        return None;
    }
    let proposal = pacslab_dimse::Proposal::of(uids::STUDY_ROOT_FIND);
    let mut association = at.site.associate(proposal).await.ok()?;
    let keys = find::studies_of_run(&at.naming);
    let found = association.find_all(uids::STUDY_ROOT_FIND, &keys, usize::MAX).await;
    let _ = association.release().await;
    let (studies, reply) = found.ok()?;
    if !reply.status.is_success() {
        return None;
    }
    let count = |set: &pacslab_dicom::Dataset| {
        set.str(tags::NUMBER_OF_STUDY_RELATED_INSTANCES).trim().parse::<u64>().ok()
    };
    studies.iter().map(count).sum()
}

/// `2`, `0.5`, `500ms`, `1m`
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let plain = text.parse::<f64>().ok().filter(|seconds| (0.0..=86_400.0).contains(seconds));
    plain
        .map(Duration::from_secs_f64)
        .or_else(|| read_duration(text))
        .ok_or_else(|| "seconds, or a duration such as 500ms or 1m, are expected".to_owned())
}

fn most(text: &str) -> std::result::Result<u64, String> {
    read_bytes(text)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| "a size such as 100MB or 1GB is expected".to_owned())
}

fn known_receiver(text: &str) -> std::result::Result<Receiver, String> {
    let wrong = || "TITLE:PORT is expected, e.g. PYNETSCP:11112".to_owned();
    let (aet, port) = text.split_once(':').ok_or_else(wrong)?;
    let aet: AeTitle = aet.parse().map_err(|_| wrong())?;
    Ok(Receiver::Known { aet: aet.to_string(), port: port.parse().map_err(|_| wrong())? })
}
