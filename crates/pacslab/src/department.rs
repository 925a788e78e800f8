//! What listens where: the department put together from its parts.
//!
//! Opening order is the order of dependence: data folder and lock, event log, packs and index,
//! orders and worklist, then the doors. Ports are bound first of all, so that a busy one is said
//! before anything is touched, and served last, so that who connects finds everything ready.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pacslab_archive::{Archive, Caller, Parts, Peer, Peers, Quota};
use pacslab_dimse::{Requestor, ServerConfig, ServerLimits, Slowest, Timeouts};
use pacslab_hl7::order::Options;
use pacslab_http::Auth;
use pacslab_model::{Clock, Emit, Event};
use pacslab_ris::mllp::{self, MllpSettings};
use pacslab_ris::worklist::WorklistEntry;
use pacslab_ris::{Hl7Inbox, Ris, RisSettings, Worklist, WorklistSettings};
use pacslab_scp::Gate;
use pacslab_scp::policy::{Always, Policy};
use pacslab_store::{
    Blobs, DataDir, Desk, EventLog, Index, IndexBehind, Layout, LogLimits, MemoryBlobs, SqliteDesk,
    SqliteIndex, StoreError,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::SystemClock;
use crate::cmd::Context;
use crate::config::{Attributes, Config, Loaded, Password, StorageLayout, WhenFull};
use crate::exit::{Exit, Failure, Result};
use crate::interrupt::interrupted;
use crate::listen::Door;
use crate::logging::Logged;
use crate::temporary::Temporary;
use crate::tls;

/// A running department. Dropped without [`Department::stop`]: cut off.
pub(crate) struct Department {
    pub(crate) dicom: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) mllp: SocketAddr,
    pub(crate) data: PathBuf,
    pub(crate) worklists: PathBuf,
    pub(crate) ris: Arc<Ris>,
    events: Arc<EventLog>,
    closing: watch::Sender<bool>,
    doors: JoinSet<()>,
    /// Holds the lock of the data folder.
    _folder: Option<DataDir>,
}

/// `pacslab serve`: starts every door and waits for Ctrl-C.
pub(crate) async fn serve(loaded: Loaded, ephemeral: bool, context: &Context<'_>) -> Result {
    let mut config = loaded.config.clone();
    let temporary = match ephemeral {
        true => Some(Temporary::take(&mut config, &loaded)?),
        false => None,
    };
    crate::logging::start(config.log.level);
    let few_files = crate::open_files::allow(&config);
    let department = Department::start(&config).await?;
    few_files.iter().for_each(|warning| context.out.warning(warning));
    loaded.warnings.iter().for_each(|warning| context.out.warning(warning));
    context.out.warn_of_strangers(&config);
    let stop = interrupted();
    if context.out.json {
        context.out.json(&department.ready());
    } else {
        context.out.text(&department.introduction(&config));
    }
    stop.await;
    let again = interrupted();
    context.out.say("stopping: what is in flight is finished first; Ctrl-C again to cut it off");
    tokio::select! {
        () = department.stop() => {}
        () = again => context.out.say("cut off"),
    }
    drop(temporary);
    Ok(Exit::Done)
}

impl Department {
    /// Opens everything and begins to serve.
    ///
    /// # Errors
    /// A busy port, a data folder in use, storage that fails: each says what to do.
    pub(crate) async fn start(config: &Config) -> Result<Self> {
        let dicom =
            open(config.dicom.bind, config.dicom.port, "DICOM", "--dicom-port", "dicom.port")
                .await?;
        let http =
            open(config.http.bind, config.http.port, "HTTP", "--http-port", "http.port").await?;
        let mllp =
            open(config.mllp.bind, config.mllp.port, "HL7", "--mllp-port", "mllp.port").await?;
        let (dicom_at, http_at, mllp_at) = (address(&dicom)?, address(&http)?, address(&mllp)?);

        let settings = config.clone();
        let parts = tokio::task::spawn_blocking(move || Rooms::open(&settings))
            .await
            .map_err(|_| Failure::failed("the department could not be opened"))??;
        let Rooms { folder, data, archive, desk, peers, worklist, ris, events, sink, clock } =
            parts;

        let (closing, closed) = watch::channel(false);
        let mut doors = JoinSet::new();
        let until_closed = || {
            let mut closed = closed.clone();
            async move {
                // the sender outlives the doors
                let _ = closed.wait_for(|closed| *closed).await;
            }
        };

        // the certificates are looked at before anybody is let in
        let secure = |on, setting| {
            let limit = config.dicom.association_timeout;
            tls::Door::new(on, setting, &config.tls, limit, sink.clone(), clock.clone())
                .map(Arc::new)
        };
        let dicom_gate = secure(config.dicom.tls, "dicom.tls")?;
        let http_gate = secure(config.http.tls, "http.tls")?;
        let hl7_gate = secure(config.mllp.tls, "mllp.tls")?;
        // who says nothing for a while is welcome, unless a handshake has to come
        let hl7_gate = hl7_gate.is_secure().then_some(hl7_gate as _);
        let slowest =
            Slowest { bytes_per_second: config.dicom.slowest_rate.0, ..Slowest::default() };
        let us = Requestor {
            timeouts: Timeouts { slowest, ..Timeouts::default() },
            secure: Some(Arc::new(tls::Caller::new(tls::Files::of(&config.tls)))),
            ..Requestor::new(config.dicom.aet.clone(), sink.clone(), clock.clone())
        };
        let caller = Caller::new(archive.clone(), us.clone());
        let commitments =
            crate::commitment::open(config, &archive, desk.clone(), &peers, caller.clone()).await?;
        let availability =
            crate::commitment::availability(config, &archive, desk, &peers, caller.clone());
        doors.spawn(availability.run(until_closed()));
        let door = Arc::new(pacslab_scp::Door {
            archive: archive.clone(),
            worklist: worklist.clone(),
            ris: ris.clone(),
            commitments: commitments.clone(),
            aet: config.dicom.aet.clone(),
            peers: peers.clone(),
            gate: Gate::new(policy(config)).with_own(config.reports.aet.clone(), dicom_at.ip()),
            requestor: us.clone(),
            events: sink.clone(),
            clock: clock.clone(),
        });
        let server = ServerConfig {
            limits: ServerLimits {
                associations: config.dicom.max_associations,
                ..ServerLimits::default()
            },
            timeouts: Timeouts {
                artim: config.dicom.association_timeout,
                idle: config.dicom.idle_timeout,
                slowest,
                ..Timeouts::default()
            },
            max_pdu: config.dicom.max_pdu,
            // without TLS the wire itself tells what came instead of DICOM
            secure: dicom_gate.is_secure().then_some(dicom_gate as _),
            ..ServerConfig::new(door.clone(), sink.clone(), clock.clone())
        };
        doors.spawn(pacslab_dimse::serve(dicom, server, door, until_closed()));
        doors.spawn(commitments.run(until_closed()));

        let inbox = Arc::new(Hl7Inbox::new(ris.clone(), hl7_options(config)));
        let settings = MllpSettings::default();
        doors.spawn(mllp::serve_behind(hl7_gate, mllp, inbox, settings, until_closed()));

        let mut site = pacslab_http::Site::new(config.dicom.aet.clone(), env!("CARGO_PKG_VERSION"));
        site.name.clone_from(&config.http.name);
        site.hosts.clone_from(&config.http.hosts.0);
        site.dicomweb_root.clone_from(&config.http.dicomweb_root);
        site.dicom_port = dicom_at.port();
        site.http_port = http_at.port();
        site.mllp_port = Some(mllp_at.port());
        let app = pacslab_http::app(pacslab_http::State {
            archive: archive.clone(),
            peers: peers.clone(),
            caller,
            worklist: Arc::new(Board(worklist.clone())),
            ris: Some(ris.clone()),
            events: events.clone(),
            clock: clock.clone(),
            auth: auth(config)?,
            host: crate::host::host(&data),
            site,
            limits: pacslab_http::Limits::default(),
        });
        let closed_http = until_closed();
        doors.spawn(async move {
            let listening = pacslab_http::Listening::default();
            pacslab_http::serve_behind(http_gate, http, app, listening, closed_http).await;
        });

        if config.storage.compact_below > 0 {
            let (archive, closed) = (archive.clone(), until_closed());
            let (below, every) = (config.storage.compact_below, config.storage.compact_every);
            doors.spawn(async move {
                tokio::select! {
                    () = compact(archive, below, every) => {}
                    () = closed => {}
                }
            });
        }
        for to in config.destinations.clone() {
            let (ris, clock, emit) = (ris.clone(), clock.clone(), sink.clone());
            let files = tls::Files::of(&config.tls);
            let sender = crate::hl7_out::Sender { ris, to, files, clock, emit };
            doors.spawn(sender.follow(until_closed()));
        }
        let (closed_arrivals, watching) = (until_closed(), ris.clone());
        let refiling = crate::refile::follow(archive.clone(), ris.clone());
        let comparing = crate::arrivals::compare(archive.clone(), ris.clone());
        let to = crate::reports::To::told(config, dicom_at, &peers);
        let creator = crate::reports::Creator::new(config, ris.clone(), to, us);
        doors.spawn(async move {
            tokio::select! {
                () = refiling => {}
                () = comparing => {}
                () = creator.follow() => {}
                () = crate::arrivals::follow(archive, watching) => {}
                () = closed_arrivals => {}
            }
        });

        sink.emit(Event::new(
            clock.now(),
            "department.open",
            format!("DICOM {dicom_at}, HTTP {http_at}, HL7 {mllp_at}, data in {}", data.display()),
        ));
        Ok(Self {
            dicom: dicom_at,
            http: http_at,
            mllp: mllp_at,
            data,
            worklists: worklist.folder().to_owned(),
            ris,
            events,
            closing,
            doors,
            _folder: folder,
        })
    }

    /// Lets what is in flight end, then closes.
    pub(crate) async fn stop(mut self) {
        let _ = self.closing.send(true);
        while self.doors.join_next().await.is_some() {}
        let events = self.events.clone();
        // the last events reach the disk
        let _ = tokio::task::spawn_blocking(move || events.flush()).await;
    }

    /// What `--json` tells machines when everything listens.
    pub(crate) fn ready(&self) -> serde_json::Value {
        serde_json::json!({
            "ready": true,
            "dicom": self.dicom.port(),
            "http": self.http.port(),
            "mllp": self.mllp.port(),
            "data": self.data,
            "worklists": self.worklists,
            "pid": std::process::id(),
        })
    }

    /// What `serve` tells people.
    fn introduction(&self, config: &Config) -> String {
        format!(
            "The department is open.\n\n  \
             DICOM  {}@{}\n  \
             HL7    {} (MLLP)\n  \
             page   {}://{}  (login {})\n  \
             data   {}, worklist files in {}\n\n\
             Ctrl-C ends it. Not a medical device; synthetic data only.\n",
            config.dicom.aet,
            self.dicom,
            self.mllp,
            scheme(config),
            local(self.http),
            login_shown(config),
            self.data.display(),
            self.worklists.display(),
        )
    }
}

/// What is behind the doors.
struct Rooms {
    folder: Option<DataDir>,
    data: PathBuf,
    archive: Arc<Archive>,
    desk: Arc<dyn Desk>,
    peers: Arc<Peers>,
    worklist: Arc<Worklist>,
    ris: Arc<Ris>,
    events: Arc<EventLog>,
    /// Log lines and the event log.
    sink: Arc<dyn Emit>,
    clock: Arc<dyn Clock>,
}

impl Rooms {
    /// Blocks: files and databases are opened here.
    fn open(config: &Config) -> Result<Self> {
        let failed = |error: StoreError| Failure::failed(error.to_string());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let Shelves { folder, blobs, index, desk, events } = match config.storage.layout {
            StorageLayout::Memory => Shelves::memory(&config.index.also),
            StorageLayout::Disk(layout) => {
                Shelves::on_disk(&config.storage.dir, layout, &config.index.also)
            }
        }
        .map_err(failed)?;
        let events = Arc::new(events);
        let sink: Arc<dyn Emit> = Arc::new(Both { log: events.clone() });
        let archive =
            Archive::open(Parts { blobs, index, clock: clock.clone(), emit: sink.clone() })
                .map_err(|error| Failure::failed(error.to_string()))?;
        archive.set_quota(quota(config));
        archive.set_receive_memory(config.storage.receive_memory.0);
        let settings =
            WorklistSettings { poll: config.worklist.poll, ..WorklistSettings::default() };
        let worklist = Worklist::open(&config.worklist.dir, settings, clock.clone(), sink.clone())
            .map_err(|error| Failure::failed(error.to_string()))?;
        let worklist = Arc::new(worklist);
        let peers = Peers::open(configured_peers(config), desk.clone(), clock.clone());
        let peers = Arc::new(peers.map_err(failed)?);
        let settings = RisSettings { site: config.dicom.aet.to_string(), ..RisSettings::default() };
        let ris = Ris::open(desk.clone(), worklist.clone(), settings, clock.clone(), sink.clone())
            .map_err(|error| Failure::failed(error.to_string()))?;
        let told = config.destinations.iter().map(crate::config::Destination::told).collect();
        let ris = ris.telling(told).map_err(failed)?;
        let ris = ris.scheduling(crate::scheduling::scheduling(config));
        let data = absolute(&config.storage.dir);
        let ris = Arc::new(ris);
        Ok(Self { folder, data, archive, desk, peers, worklist, ris, events, sink, clock })
    }
}

/// How much is kept.
pub(crate) fn quota(config: &Config) -> Quota {
    let (storage, folder) = (&config.storage, config.storage.dir.clone());
    Quota {
        bytes: storage.quota.0,
        patients: storage.max_patients,
        keep_free: storage.keep_free.0,
        free: Some(Arc::new(move || crate::cmd::doctor::disk::free(&folder))),
        delete_oldest: storage.when_full == WhenFull::DeleteOldest,
    }
}

/// Where things are kept.
struct Shelves {
    /// Holds the lock of the data folder; `None`: all is in memory.
    folder: Option<DataDir>,
    blobs: Arc<dyn Blobs>,
    index: Arc<dyn Index>,
    desk: Arc<dyn Desk>,
    events: EventLog,
}

impl Shelves {
    fn memory(also: &Attributes) -> std::result::Result<Self, StoreError> {
        Ok(Self {
            folder: None,
            blobs: Arc::new(MemoryBlobs::new()),
            index: Arc::new(behind(SqliteIndex::memory_searching(&also.0)?)?),
            desk: Arc::new(SqliteDesk::memory()?),
            events: EventLog::memory(LogLimits::default())?,
        })
    }

    /// Side by side: a new folder costs each of them some syncs.
    fn on_disk(
        dir: &Path,
        layout: Layout,
        also: &Attributes,
    ) -> std::result::Result<Self, StoreError> {
        let folder = DataDir::open_as(dir, layout)?;
        let (index, desk, events) = (folder.index_db(), folder.lab_db(), folder.events_db());
        std::thread::scope(|scope| {
            let blobs = scope.spawn(|| folder.blobs());
            let index = scope.spawn(|| SqliteIndex::open_searching(&index, &also.0));
            let desk = scope.spawn(|| SqliteDesk::open(&desk));
            let events = EventLog::open(&events, LogLimits::default());
            Ok(Self {
                blobs: joined(blobs)?,
                index: Arc::new(behind(joined(index)?)?),
                desk: Arc::new(joined(desk)?),
                events: events?,
                folder: None,
            })
        })
        .map(|shelves| Self { folder: Some(folder), ..shelves })
    }
}

/// Nobody who sends waits for the index.
fn behind(index: SqliteIndex) -> std::result::Result<IndexBehind, StoreError> {
    IndexBehind::new(Arc::new(index)).map_err(|error| {
        StoreError::Other(format!("cannot start the thread of the index: {error}"))
    })
}

fn joined<T>(
    opening: std::thread::ScopedJoinHandle<'_, std::result::Result<T, StoreError>>,
) -> std::result::Result<T, StoreError> {
    // a panic there is a panic here
    opening.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

async fn open(
    bind: IpAddr,
    port: u16,
    name: &'static str,
    flag: &'static str,
    key: &'static str,
) -> Result<TcpListener> {
    Door { name, bind, port, flag, key }.open().await
}

fn address(listener: &TcpListener) -> Result<SocketAddr> {
    listener.local_addr().map_err(|error| Failure::network(format!("no address: {error}")))
}

/// The peers of the configuration; those registered while it ran lie over them.
fn configured_peers(config: &Config) -> Vec<Peer> {
    let known = config.peers.iter();
    known
        .map(|(name, at)| {
            let plain = Peer::new(name, at.aet.clone(), &at.host, at.port);
            match config.peer_settings.get(name).cloned() {
                Some(said) => {
                    Peer { aet: plain.aet, host: plain.host, port: plain.port, tls: at.tls, ..said }
                }
                None => Peer { tls: at.tls, ..plain },
            }
        })
        .collect()
}

/// Who may log in; `None`: nobody has to.
fn auth(config: &Config) -> Result<Option<Auth>> {
    if !config.http.auth {
        return Ok(None);
    }
    let http = &config.http;
    let auth = Auth::new(crate::random::bytes()?).file(users_file(config));
    let auth = config.users.iter().fold(auth, |auth, (name, password)| match password {
        Password::Hash(hash) => auth.hashed(name, hash),
        Password::Plain(word) => auth.user(name, word.reveal()),
    });
    Ok(Some(match config.built_in_login {
        true => auth.built_in(&http.user, http.password.reveal()),
        false => auth.user(&http.user, http.password.reveal()),
    }))
}

/// Where users are kept that `pacslab user add` makes.
pub(crate) fn users_file(config: &Config) -> PathBuf {
    config.storage.dir.join("users")
}

/// Who may do what at the DICOM door.
fn policy(config: &Config) -> Policy {
    let dicom = &config.dicom;
    Policy {
        mode: dicom.policy,
        open: dicom.open,
        check_called: dicom.check_called_aet,
        strict_aet: dicom.strict_aet,
        always: Always {
            echo: dicom.always_allow_echo,
            store: dicom.always_allow_store,
            find: dicom.always_allow_find,
            find_worklist: dicom.always_allow_find_worklist,
            get: dicom.always_allow_get,
            move_: dicom.always_allow_move,
        },
    }
}

/// Orders that name no station go to the scanner of the lab.
pub(crate) fn hl7_options(config: &Config) -> Options {
    let authority = Some(config.hl7.patient_authority.clone());
    Options {
        strict: config.hl7.strict,
        sources: config.hl7.sources.0.clone(),
        patient_authority: authority.filter(|name| !name.is_empty()),
        stations: config.worklist.stations.0.clone(),
        default_station: Some(config.modality.aet.clone()),
        responses: config.hl7.responses.0,
    }
}

/// More is deleted when something is: once for all of it.
const SETTLING: Duration = Duration::from_secs(5);

/// Gives back the room of deleted objects now and then.
async fn compact(archive: Arc<Archive>, below: u8, every: Duration) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            // patients were deleted to make room, which is to be there
            () = archive.room_wanted() => tokio::time::sleep(SETTLING).await,
        }
        if let Err(error) = archive.compact(below).await {
            tracing::error!(%error, "packs cannot be compacted; `pacslab check` says more");
        }
    }
}

/// The worklist as the page sees it.
struct Board(Arc<Worklist>);

impl pacslab_http::WorklistView for Board {
    fn entries(&self) -> Vec<WorklistEntry> {
        self.0.entries()
    }
}

/// Every event is a line of the log and an entry of the event log.
struct Both {
    log: Arc<EventLog>,
}

impl Emit for Both {
    fn emit(&self, event: Event) {
        Logged.emit(event.clone());
        self.log.emit(event);
    }
}

/// What stands before the address of the HTTP door.
pub(crate) fn scheme(config: &Config) -> &'static str {
    if config.http.tls { "https" } else { "http" }
}

/// The login as it may be shown: a password that everybody knows is no secret.
pub(crate) fn login_shown(config: &Config) -> String {
    let user = &config.http.user;
    match config.http.password.reveal() {
        "orthanc" => format!("{user} / orthanc"),
        _ => format!("{user}, the password is that of the configuration"),
    }
}

/// How a browser on this computer reaches a door.
pub(crate) fn local(at: SocketAddr) -> String {
    match at.ip().is_unspecified() || at.ip().is_loopback() {
        true => format!("localhost:{}", at.port()),
        false => at.to_string(),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
