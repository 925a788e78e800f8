//! `pacslab demo`: the whole workflow, played over real sockets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_model::Clock;
use tokio::sync::{mpsc, watch};

use crate::cmd::{Context, Example, help};
use crate::config::{Config, Entry, LogLevel, Peer};
use crate::demo::{Profile, Teller, Told, Tour, play};
use crate::department::{Department, Temporary, interrupted, local, login_shown};
use crate::exit::{Exit, Failure, Result};
use crate::http::Server;
use crate::inbox::Inbox;
use crate::listen::Door;
use crate::logging::Logged;
use crate::order_args::OrderArgs;

/// Play the whole workflow: order, worklist, scan, PACS, retrieve, export
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as super::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// End after the last step instead of staying up
    #[arg(long)]
    exit: bool,
    /// Show the page in the browser after the last step
    #[arg(long, conflicts_with_all = ["exit", "profile"])]
    browser: bool,
    /// Take free ports and a temporary folder
    #[arg(long)]
    ephemeral: bool,
    /// Play against the parties that a file names, instead of starting a department
    #[arg(long, value_name = "FILE", conflicts_with_all = ["ephemeral", "data", "worklists", "dicom_port", "http_port", "mllp_port"])]
    profile: Option<PathBuf>,
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
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let loaded = context.load(self.flags())?;
        let mut config = loaded.config.clone();
        // the steps are the output; what the doors log would come between them
        let quiet = context.global.log.is_none();
        crate::logging::start(if quiet { LogLevel::quiet() } else { config.log.level });
        if let Some(path) = &self.profile {
            return self.against(path, &config, context).await;
        }
        let temporary = match self.ephemeral {
            true => Some(Temporary::take(&mut config, &loaded)?),
            false => None,
        };
        let receiver = Receiver::start(&config.receiver.clone().into(), &config).await?;
        // the PACS knows the receiver by the port that it really has
        let at = Peer { port: receiver.port, ..receiver.peer.clone() };
        config.peers.insert(config.receiver.aet.to_string(), at);
        let begun = Instant::now();
        let department = Department::start(&config).await?;
        let base = temporary.as_ref().and_then(Temporary::folder);
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
        let url = format!("http://{}", department.http);
        let profile = Profile {
            pacs: Peer {
                aet: config.dicom.aet.clone(),
                host: department.dicom.ip().to_string(),
                port: department.dicom.port(),
            },
            hl7: (department.mllp.ip().to_string(), department.mllp.port()),
            http: Server::new(&url, Some(&login), config.client.timeout)?,
            worklists: department.worklists.clone(),
            receiver: config.receiver.aet.clone(),
            inbox: config.receiver.dir.clone(),
            samples: config.modality.out.clone(),
            timeout: config.client.timeout,
        };
        let orders = vec![self.order.clone()];
        let played = play_all(&profile, &orders, &config, context, base).await;
        let accessions = match played {
            Ok(accessions) => accessions,
            Err(failure) => {
                department.stop().await;
                receiver.stop().await;
                return Err(failure);
            }
        };
        if !self.exit {
            let free = self.ephemeral;
            let other = |option: &str, port: u16, usual: u16, host: &str| match free || port != usual {
                true => format!(" {option} {host}{port}"),
                false => String::new(),
            };
            Tour {
                page: &local(department.http),
                login: &login_shown(&config),
                pacs: &other("--port", department.dicom.port(), 4242, ""),
                site: &other("--url", department.http.port(), 8042, "http://localhost:"),
                accession: accessions.first().map_or("ACC1001", String::as_str),
            }
            .tell(context.out);
            if self.browser {
                crate::browser::show(&format!("http://{}", local(department.http)), context.out);
            }
            interrupted().await;
            context.out.say("stopping: what is in flight is finished first");
        }
        department.stop().await;
        receiver.stop().await;
        drop(temporary);
        Ok(Exit::Done)
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

    /// Plays against parties that run already; only the receiver is started here.
    async fn against(&self, path: &Path, config: &Config, context: &Context<'_>) -> Result {
        let (profile, receiver, mut orders) =
            crate::demo::read_profile(path, config.client.timeout)?;
        let config = Config {
            receiver: crate::config::Receiver {
                aet: receiver.aet.clone(),
                dir: profile.inbox.clone(),
                port: receiver.port,
                ..config.receiver.clone()
            },
            ..config.clone()
        };
        let receiver = Receiver::start(&receiver, &config).await?;
        if orders.is_empty() {
            orders.push(self.order.clone());
        }
        let Profile { pacs, hl7: (host, port), http, .. } = &profile;
        context.out.say(format!("Playing with DICOM {pacs}, HL7 {host}:{port}, {}\n", http.url()));
        let played = play_all(&profile, &orders, &config, context, None).await;
        receiver.stop().await;
        played.map(|_| Exit::Done)
    }
}

/// All orders at once, each step told as it ends. Answers their accession numbers.
async fn play_all(
    profile: &Profile,
    orders: &[OrderArgs],
    config: &Config,
    context: &Context<'_>,
    base: Option<&Path>,
) -> Result<Vec<String>> {
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
        let mut accessions = Vec::new();
        while let Some(told) = steps.recv().await {
            teller.step(&told);
            // the first step decides: a number that was taken is counted up
            if told.step == 1 {
                accessions.push(told.accession);
            }
        }
        accessions
    };
    // `players` owns the sender by its closure; dropping it ends `telling`
    let (results, accessions) = tokio::join!(players, telling);
    results.into_iter().collect::<Result<Vec<()>>>()?;
    teller.done(begun.elapsed().as_secs_f64() * 1000.0);
    Ok(accessions)
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
    peer: Peer,
    port: u16,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl Receiver {
    async fn start(peer: &Peer, config: &Config) -> Result<Self> {
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
            let serve = inbox.serve(listener, idle, Arc::new(Logged), clock, until);
            let forget = async { while arrivals.recv().await.is_some() {} };
            tokio::join!(serve, forget);
        });
        Ok(Self { peer: peer.clone(), port, stop, serving })
    }

    async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.serving.await;
    }
}

impl From<crate::config::Receiver> for Peer {
    fn from(receiver: crate::config::Receiver) -> Self {
        let host = crate::client::reachable(receiver.bind).to_string();
        Self { aet: receiver.aet, host, port: receiver.port }
    }
}
