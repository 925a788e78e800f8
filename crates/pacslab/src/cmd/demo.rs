//! `pacslab demo`: the whole workflow, played over real sockets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_dimse::Remote;
use pacslab_model::Clock;
use tokio::sync::{mpsc, watch};

use crate::cmd::{Context, Example, help};
use crate::config::{Config, Destination, Entry, LogLevel, Peer};
use crate::demo::{OrderEntry, Profile, ProfileFile, Teller, Told, Tour, introduce, play};
use crate::department::{Department, local, login_shown, scheme};
use crate::interrupt::interrupted;
use crate::temporary::Temporary;
use crate::client::reachable;
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;
use crate::inbox::Inbox;
use crate::listen::Door;
use crate::logging::Logged;
use crate::order_args::OrderArgs;
use crate::reception::{Reception, TakenIn};
use crate::tls::Files;

/// Play the whole workflow: order, worklist, scan, PACS, retrieve, export
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// End after the last step instead of staying up
    #[arg(long)]
    exit: bool,
    /// Show the page in the browser after the last step
    #[arg(long, conflicts_with_all = ["exit", "pacs"])]
    browser: bool,
    /// Take free ports and a temporary folder
    #[arg(long)]
    ephemeral: bool,
    /// Play with the PACS that a file describes, an Orthanc for one, instead of the embedded one
    #[arg(long, alias = "profile", value_name = "FILE", conflicts_with_all = ["data", "worklists", "dicom_port", "http_port"])]
    pacs: Option<PathBuf>,
    /// Folder of the archive
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Folder of the `.wl` files
    #[arg(long, value_name = "DIR")]
    worklists: Option<PathBuf>,
    /// DICOM port
    #[arg(long, value_name = "N")]
    dicom_port: Option<u16>,
    /// HTTP port
    #[arg(long, value_name = "N")]
    http_port: Option<u16>,
    /// HL7 (MLLP) port
    #[arg(long, value_name = "N")]
    mllp_port: Option<u16>,
    /// Port of the receiver
    #[arg(long, value_name = "N")]
    receiver_port: Option<u16>,
    #[command(flatten)]
    order: OrderArgs,
}

impl super::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab demo", "plays the workflow, then stays up: http://localhost:8042"),
        ("pacslab demo --exit --ephemeral", "plays it on free ports, ends with an exit code"),
        ("pacslab demo --pacs orthanc.toml", "plays it with a running Orthanc"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let loaded = context.load(self.flags())?;
        let mut config = loaded.config.clone();
        // the steps are the output; what the doors log would come between them
        let quiet = context.global.log.is_none();
        crate::logging::start(if quiet { LogLevel::quiet() } else { config.log.level });
        let temporary = match self.ephemeral {
            true => Some(Temporary::take(&mut config, &loaded)?),
            false => None,
        };
        let base = temporary.as_ref().and_then(Temporary::folder);
        let told = match &self.pacs {
            Some(path) => Some(self.told(path, &mut config, base)?),
            None => None,
        };
        if self.browser && !self.ephemeral && open_already(&config).await {
            let page = format!("{}://localhost:{}", scheme(&config), config.http.port);
            context.out.say(format!("PACS Lab is open already: {page}"));
            crate::browser::show(&page, context.out);
            return Ok(Exit::Done);
        }
        let receiver = Receiver::start(&config).await?;
        let house = match &told {
            Some(told) => House::somebodys(told, &config).await,
            None => House::ours(&mut config, receiver.port, base, context).await,
        };
        let played = match house {
            Ok(house) => {
                let played = self.show(&house, &receiver, told.as_ref(), &config, context, base).await;
                house.stop().await;
                played
            }
            Err(failure) => Err(failure),
        };
        receiver.stop().await;
        drop(temporary);
        played.map(|()| Exit::Done)
    }

    fn workers(&self) -> usize {
        std::thread::available_parallelism().map_or(2, usize::from).max(2)
    }
}

impl Args {
    fn flags(&self) -> Vec<Entry> {
        let free = self.ephemeral.then_some(0);
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        [
            Entry::flag("--data", "storage.dir", path(&self.data)),
            Entry::flag("--worklists", "worklist.dir", path(&self.worklists)),
            Entry::flag("--dicom-port", "dicom.port", self.dicom_port.or(free)),
            Entry::flag("--http-port", "http.port", self.http_port.or(free)),
            Entry::flag("--mllp-port", "mllp.port", self.mllp_port.or(free)),
            Entry::flag("--receiver-port", "receiver.port", self.receiver_port.or(free)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The file of `--pacs`, and what it changes in the configuration.
    fn told(&self, path: &Path, config: &mut Config, base: Option<&Path>) -> Result<ProfileFile> {
        let mut told = crate::demo::read_profile(path, config.client.timeout)?;
        if let Some(base) = base {
            told.data = base.join("ris");
            (told.inbox, told.samples) = (base.join("inbox"), base.join("samples"));
        }
        let (aet, port) = &told.receiver;
        config.receiver = crate::config::Receiver {
            aet: aet.clone(),
            dir: told.inbox.clone(),
            port: self.receiver_port.unwrap_or(if self.ephemeral { 0 } else { *port }),
            ..config.receiver.clone()
        };
        if let Some(scanner) = &told.scanner {
            config.modality.aet = scanner.clone();
        }
        if told.orders.is_empty() {
            told.orders.push(self.order.clone());
        }
        Ok(told)
    }

    /// Introduces the receiver, plays, and stays for visitors.
    async fn show(
        &self,
        house: &House,
        receiver: &Receiver,
        told: Option<&ProfileFile>,
        config: &Config,
        context: &Context<'_>,
        base: Option<&Path>,
    ) -> Result<()> {
        let profile = &house.profile;
        let known = introduce(profile, receiver.port).await?;
        if told.is_some() {
            let Profile { pacs, hl7: (host, port), http, .. } = profile;
            context.out.say(format!(
                "Playing with DICOM {pacs}, {}, HL7 {host}:{port}; the receiver is registered as \
                 {known}\n",
                http.url()
            ));
        }
        let own = std::slice::from_ref(&self.order);
        let orders = told.map_or(own, |told| &told.orders);
        let taken_in = play_all(profile, orders, config, context, base).await?;
        let first = taken_in.first().map_or(String::new(), |one| one.accession.clone());
        if let Some(reception) = &house.reception {
            reception.images(taken_in).await?;
        }
        let Some(department) = house.department.as_ref().filter(|_| !self.exit) else {
            return Ok(());
        };
        let free = self.ephemeral;
        let other = |option: &str, port: u16, usual: u16, host: &str| match free || port != usual {
            true => format!(" {option} {host}{port}"),
            false => String::new(),
        };
        let stop = interrupted();
        Tour {
            page: &format!("{}://{}", scheme(config), local(department.http)),
            login: &login_shown(config),
            pacs: &other("--port", department.dicom.port(), 4242, ""),
            site: &other("--url", department.http.port(), 8042, &format!("{}://localhost:", scheme(config))),
            accession: &first,
        }
        .tell(context.out);
        if self.browser {
            let page = format!("{}://{}", scheme(config), local(department.http));
            crate::browser::show(&page, context.out);
        }
        stop.await;
        context.out.say("stopping: what is in flight is finished first");
        Ok(())
    }
}

/// Whether a PACS Lab answers where ours would: a second double-click is to show the page of the
/// first, not to complain about its ports.
async fn open_already(config: &Config) -> bool {
    const SOON: Duration = Duration::from_secs(2);
    let login = format!("{}:{}", config.http.user, config.http.password.reveal());
    let url = format!("{}://{}:{}", scheme(config), reachable(config.http.bind), config.http.port);
    let Ok(server) = Server::new(&url, Some(&login), SOON) else { return false };
    let system = server.trusting(Files::of(&config.tls)).get("/system", "application/json").await;
    let told = system.ok().and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok());
    told.is_some_and(|system| system.get("PacsLabVersion").is_some())
}

/// Who plays: everybody is in the profile, and some of them live here.
struct House {
    profile: Profile,
    /// The embedded department, unless the PACS is somebody else's.
    department: Option<Department>,
    /// Then a RIS is started, unless that is somebody else's as well.
    reception: Option<Reception>,
    /// Who is told of reports, unless the RIS is somebody else's.
    _order_entry: Option<OrderEntry>,
}

impl House {
    async fn ours(
        config: &mut Config,
        receiver: u16,
        base: Option<&Path>,
        context: &Context<'_>,
    ) -> Result<Self> {
        // the PACS knows the receiver by the port that it really has
        let at = Peer { port: receiver, ..config.receiver.clone().into() };
        let advertise_host = Some(at.host.clone());
        config.peers.insert(config.receiver.aet.to_string(), at);
        let order_entry = OrderEntry::start().await?;
        config.destinations.push(of_reports(&order_entry)?);
        // this is played with the PACS of this house
        config.reports.send_to.clear();
        let begun = Instant::now();
        let department = Department::start(config).await?;
        context.out.say(format!(
            "The department opened in {:.0} ms: DICOM {}@{}, HL7 {}, HTTP {}{}\n",
            begun.elapsed().as_secs_f64() * 1000.0,
            config.dicom.aet,
            department.dicom,
            department.mllp,
            department.http,
            base.map_or_else(String::new, |base| format!(", folder {}", base.display())),
        ));
        if context.out.json {
            context.out.json(&department.ready());
        }
        let login = format!("{}:{}", config.http.user, config.http.password.reveal());
        let url = format!("{}://{}", scheme(config), department.http);
        let profile = Profile {
            pacs: Peer {
                aet: config.dicom.aet.clone(),
                host: department.dicom.ip().to_string(),
                port: department.dicom.port(),
                tls: config.dicom.tls,
            },
            hl7: (department.mllp.ip().to_string(), department.mllp.port()),
            http: Server::new(&url, Some(&login), config.client.timeout)?
                .trusting(Files::of(&config.tls)),
            worklists: department.worklists.clone(),
            receiver: config.receiver.aet.clone(),
            advertise_host,
            inbox: config.receiver.dir.clone(),
            samples: config.modality.out.clone(),
            timeout: config.client.timeout,
            reports: Some(order_entry.reports.clone()),
            creator: Some(config.reports.aet.clone()),
            ris: Some(department.ris.clone()),
            files: Files::of(&config.tls),
        };
        let _order_entry = Some(order_entry);
        Ok(Self { profile, department: Some(department), reception: None, _order_entry })
    }

    async fn somebodys(told: &ProfileFile, config: &Config) -> Result<Self> {
        let files = Files::of(&config.tls);
        let playing = |hl7| told.profile(hl7, config.client.timeout, &files);
        if let Some(hl7) = &told.hl7 {
            let profile = playing(hl7.clone());
            return Ok(Self { profile, department: None, reception: None, _order_entry: None });
        }
        let order_entry = OrderEntry::start().await?;
        let telling = vec![of_reports(&order_entry)?];
        let Peer { aet, host, port, tls } = told.pacs.clone();
        let pacs = Remote { aet, host, port, tls };
        let reception =
            Reception::start(config, &told.data, &told.worklists, pacs, telling).await?;
        let at = reception.mllp;
        let profile = Profile {
            reports: Some(order_entry.reports.clone()),
            creator: Some(config.reports.aet.clone()),
            ris: Some(reception.ris.clone()),
            ..playing((reachable(at.ip()), at.port()))
        };
        let reception = Some(reception);
        Ok(Self { profile, department: None, reception, _order_entry: Some(order_entry) })
    }

    async fn stop(self) {
        if let Some(department) = self.department {
            department.stop().await;
        }
        if let Some(reception) = self.reception {
            reception.stop().await;
        }
    }
}

/// The order entry as a destination of the RIS.
fn of_reports(order_entry: &OrderEntry) -> Result<Destination> {
    Destination::of_reports("order-entry", order_entry.port).map_err(Failure::usage)
}

/// All orders at once, each step told as it ends.
async fn play_all(
    profile: &Profile,
    orders: &[OrderArgs],
    config: &Config,
    context: &Context<'_>,
    base: Option<&Path>,
) -> Result<Vec<TakenIn>> {
    let begun = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(context.clock);
    let (told, mut steps) = mpsc::unbounded_channel::<Told>();
    let tell = move |step: Told| {
        // the table ends when the players do
        let _ = told.send(step);
    };
    let mut made = Vec::with_capacity(orders.len());
    for order in orders {
        made.push(order.order(config, &*clock)?);
    }
    let stations: Vec<usize> = made
        .iter()
        .map(|order| order.steps.first().map_or(0, |step| step.station.as_str().len()))
        .collect();
    let teller = Teller::new(context.out, profile, &stations, base);
    let players = async {
        let players = made.into_iter().map(|order| play(profile, order, clock.clone(), &tell));
        let results = join_all(players).await;
        drop(tell);
        results
    };
    let telling = async {
        while let Some(told) = steps.recv().await {
            teller.step(&told);
        }
    };
    // `players` owns the sender by its closure; dropping it ends `telling`
    let (results, ()) = tokio::join!(players, telling);
    let taken_in = results.into_iter().collect::<Result<Vec<_>>>()?;
    teller.done(begun.elapsed().as_secs_f64() * 1000.0);
    Ok(taken_in)
}

/// Polls all to their ends, in the order given.
async fn join_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, slot) in pinned.iter_mut().zip(&mut done) {
            if slot.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *slot = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    done.into_iter().flatten().collect()
}

/// The C-STORE SCP that the demonstration retrieves to.
struct Receiver {
    port: u16,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    async fn start(config: &Config) -> Result<Self> {
        let settings = &config.receiver;
        let door = Door {
            name: "receiver",
            bind: settings.bind,
            port: settings.port,
            flag: "--receiver-port",
            key: "receiver.port",
        };
        let listener = door.open().await?;
        let port = listener.local_addr().map_or(settings.port, |at| at.port());
        let (received, mut arrivals) = mpsc::unbounded_channel();
        let inbox = Inbox::new(&settings.dir, received)
            .map_err(|error| Failure::file("make the folder", &settings.dir, &error))?;
        let (stop, mut stopped) = watch::channel(false);
        let until = async move {
            // the sender outlives the receiver
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        let idle: Duration = config.dicom.idle_timeout;
        let clock = Arc::new(crate::clock::SystemClock);
        let serving = tokio::spawn(async move {
            let serve = inbox.serve(listener, None, idle, Arc::new(Logged), clock, until);
            let forget = async { while arrivals.recv().await.is_some() {} };
            tokio::join!(serve, forget);
        });
        Ok(Self { port, stop, serving })
    }

    async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

impl From<crate::config::Receiver> for Peer {
    fn from(receiver: crate::config::Receiver) -> Self {
        let host = crate::client::reachable(receiver.bind).to_string();
        // the receiver of the demonstration speaks no TLS
        Self { aet: receiver.aet, host, port: receiver.port, tls: false }
    }
}
