//! The configuration: every key declared once, below. Names, documentation, `config show` and
//! `docs/configuration.md` follow from the declaration.
//!
//! Values come in layers, later ones win: defaults, `pacslab.toml` or an `orthanc.json`, Orthanc's
//! variables, ours (`PACSLAB__SECTION__KEY`), flags. Each value remembers where it came from, and a key that
//! does not exist is an error that names the nearest one that does (invariant 10).

mod declare;
mod destination;
#[cfg(test)]
mod docs;
mod env;
mod file;
#[doc(hidden)]
pub mod fuzz;
mod nearest;
mod orthanc;
mod value;
mod values;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pacslab_archive::ReportWay;
use pacslab_model::AeTitle;
use pacslab_ris::worklist::Poll;
use pacslab_scp::policy::Mode;

use crate::scheduling::Stations;
pub(crate) use declare::KeyInfo;
pub(crate) use destination::Destination;
pub(crate) use value::{
    Attributes, Bytes, ClientCertificates, Hl7Responses, Hl7Sources, LogLevel, Names, Password,
    Peer, Secret, Setting, StorageLayout, WhenFull, read_address, read_duration, without_tls,
};
pub(crate) use values::{Entry, Origin, Values};

declare::config! {
    /// The DICOM door of the embedded PACS.
    dicom: Dicom {
        /// AE title of the embedded PACS; other called titles are accepted as well, unless `check_called_aet`.
        aet: AeTitle = "PACSLAB",
        /// Address to listen on; 0.0.0.0 lets other computers in.
        bind: IpAddr = "127.0.0.1",
        /// TCP port; 0 takes a free one.
        port: u16 = "4242",
        /// Longest PDU that is received, in bytes.
        max_pdu: u32 = "131072",
        /// Associations at a time; further ones are rejected (transient, local limit exceeded).
        max_associations: usize = "500",
        /// Speak TLS, with the files of `[tls]`; 2762 is the port that is registered for it.
        tls: bool = "false",
        /// How long a peer may take to open an association.
        association_timeout: Duration = "30s",
        /// How long an open association may stay silent.
        idle_timeout: Duration = "60s",
        /// The fewest bytes a second that a peer has to send, or to take, within a message, averaged over a minute; slower associations are aborted. Silence between messages is `idle_timeout`'s. 0: as slow as they like.
        slowest_rate: Bytes = "1KiB",
        /// `lab`: titles that are not in `[peers]` may do everything from this computer and C-ECHO from others; `strict`: C-ECHO and C-STORE only, as Orthanc has it, and the rest is refused with a status; `orthanc-quirks`: refused as Orthanc does it, aborted without a response.
        policy: Mode = "lab",
        /// Titles that are not in `[peers]` may do from other computers what they may from this one.
        open: bool = "false",
        /// Reject associations whose called title is not `aet`.
        check_called_aet: bool = "false",
        /// Tell titles apart by upper and lower case.
        strict_aet: bool = "false",
        /// `true`: every title may C-ECHO; `false`: only those in `[peers]`; `auto`: as `policy` has it.
        always_allow_echo: Option<bool> = "auto",
        /// The same for C-STORE.
        always_allow_store: Option<bool> = "auto",
        /// The same for C-FIND of studies.
        always_allow_find: Option<bool> = "auto",
        /// The same for C-FIND of the worklist.
        always_allow_find_worklist: Option<bool> = "auto",
        /// The same for C-GET.
        always_allow_get: Option<bool> = "auto",
        /// The same for C-MOVE.
        always_allow_move: Option<bool> = "auto",
    }
    /// The HTTP door: pages, REST, DICOMweb, FHIR.
    http: Http {
        /// Address to listen on.
        bind: IpAddr = "127.0.0.1",
        /// TCP port; 0 takes a free one.
        port: u16 = "8042",
        /// Speak HTTPS, with the files of `[tls]`.
        tls: bool = "false",
        /// Name for the login.
        user: String = "orthanc",
        /// Password for the login; the one that is built in works from this computer only, and only until there are users.
        password: Secret = "orthanc",
        /// What the server calls itself at `/system`.
        name: String = "PACS Lab",
        /// Where DICOMweb is found.
        dicomweb_root: String = "/dicom-web",
        /// Whether somebody has to log in.
        auth: bool = "true",
        /// Names by which browsers may call this server, beside localhost, `bind` and addresses; `*`: any.
        hosts: Names = "",
    }
    /// Certificates: what we show, as a server and when we call, and whom we trust. `pacslab tls init` makes them.
    tls: Tls {
        /// Our certificate, and those that lead to its CA (PEM).
        cert: PathBuf = "tls/server-cert.pem",
        /// Its private key (PEM, without a password).
        key: PathBuf = "tls/server-key.pem",
        /// The CAs that may vouch for others; a certificate in it is trusted itself, too.
        ca: PathBuf = "tls/ca-cert.pem",
        /// Whether those who call have to show a certificate of one of these CAs.
        client_certificates: ClientCertificates = "none",
    }
    /// The HL7 door (MLLP).
    mllp: Mllp {
        /// Address to listen on.
        bind: IpAddr = "127.0.0.1",
        /// TCP port; 0 takes a free one.
        port: u16 = "2575",
        /// Speak MLLP over TLS, with the files of `[tls]`.
        tls: bool = "false",
    }
    /// How HL7 messages are read; docs/hl7.md has the table of fields.
    hl7: Hl7 {
        /// Refuse what lacks a field that IHE requires (AE, with its place), instead of filling it and saying so in the acknowledgement.
        strict: bool = "false",
        /// Whose identifier is the patient ID where PID-3 has several: namespace or UID of the assigning authority. Empty, or not among them: the first.
        patient_authority: String = "",
        /// Fields in place of those of the table, tried in this order, as `AccessionNumber=OBR-3.1,ORC-3.1; Modality=OBR-21.1`.
        sources: Hl7Sources = "",
        /// What the application answers to ORM, OMG and OMI: a response with the numbers of each order (ORR, ORG, ORI) where `asked` for by MSH-16, `always` (also in original mode), or `never`: an ACK.
        responses: Hl7Responses = "asked",
    }
    /// Where the embedded PACS keeps things.
    storage: Storage {
        /// The data folder.
        dir: PathBuf = "data",
        /// How a new data folder keeps objects. `pack`: in large files that are logs, the fastest; `files`: one Part 10 file an object, in `objects`, for other programs to read; `memory`: nothing is written, everything (orders too) is lost at the end, for tests and CI. A folder remembers its layout.
        layout: StorageLayout = "pack",
        /// Packs of which less than so many percent are needed are written anew; 0: never by itself.
        compact_below: u8 = "50",
        /// How often that is looked at.
        compact_every: Duration = "1h",
        /// How much all objects may take, e.g. `500 MiB` or `20 GiB`; 0: as much as there is.
        quota: Bytes = "0",
        /// How many patients are kept; 0: all.
        max_patients: u64 = "0",
        /// How much of the disk stays free; 0: nothing is left. Not looked at on Windows.
        keep_free: Bytes = "0",
        /// How much memory objects may take while they arrive and wait for the disk, over all associations and uploads; at least 1 MiB. When little is left, large ones go to disk earlier and senders wait for the disk.
        receive_memory: Bytes = "64 MiB",
        /// At one of these limits: `refuse` what comes (C-STORE 0xA700, HTTP 507), or `delete-oldest`: patients that nothing came of for the longest time go, unless they are protected.
        when_full: WhenFull = "refuse",
    }
    /// What is searched.
    index: Searching {
        /// Attributes that get an index of their own beside patient ID, name and birth date, study date, accession number, study description, modality, station and UIDs: keywords or tags, as `BodyPartExamined, ReferringPhysicianName`. Those of patient, study and series that are kept can be named; the others are found as well, by looking at all studies. Another list makes `index.db` again from the packs at the next start.
        also: Attributes = "",
    }
    /// The modality worklist.
    worklist: Worklist {
        /// Folder of the `.wl` files; Orthanc or DCMTK may serve the same folder.
        dir: PathBuf = "worklists",
        /// `auto`: listed each second where there are no file events (network drives, bind mounts);
        /// `always`; `never`: trust events everywhere.
        poll: Poll = "auto",
        /// Which station and room take what where an order names none, as `CT=CT1@Room 1; CT/CTHEAD=CT2@Room 2; *=PYMOD1`; what no rule takes goes to `modality.aet`.
        stations: Stations = "",
    }
    /// Storage commitment: what the embedded PACS was asked to keep, and its reports.
    commitment: Commitment {
        /// How a report reaches who asked. `same-first`: over the association of the request while it is open, else over a new one to the address in `[peers]`; `reverse`: always over a new one; `early`: over a new one before the request is answered, which some PACS do.
        report: ReportWay = "same-first",
        /// Between a request and its report, e.g. `5s`: requestors that release by then are called.
        wait: Duration = "0s",
        /// How often a report is tried that does not arrive.
        attempts: u32 = "30",
        /// Before the second attempt; twice as long before each further one, up to 10 minutes.
        retry_after: Duration = "10s",
    }
    /// Instance Availability Notification: who is told which studies the embedded PACS has.
    availability: Availability {
        /// Names from `[peers]`, as `RIS, REPORTS`; none: nobody is told.
        peers: Names = "",
        /// A study is told when nothing came of it for so long.
        quiet: Duration = "30s",
        /// How often a peer is tried that does not take it.
        attempts: u32 = "30",
        /// Before the second attempt; twice as long before each further one, up to 10 minutes.
        retry_after: Duration = "10s",
    }
    /// Signed reports: who sends their objects to the PACS, and to which.
    reports: Reports {
        /// AE title of the report creator, the calling title.
        aet: AeTitle = "REPORTS",
        /// The PACS that gets structured reports by C-STORE: a name from `[peers]`; empty: the embedded one, over its own DICOM door.
        send_to: String = "",
        /// How often a PACS is tried that does not answer; what it refuses is not tried again by itself.
        attempts: u32 = "30",
        /// Before the second attempt; twice as long before each further one, up to 10 minutes.
        retry_after: Duration = "10s",
    }
    /// The simulated scanner.
    modality: Modality {
        /// Its AE title: the calling title of all commands that talk to a PACS.
        aet: AeTitle = "PYMOD1",
        /// Where `acquire` writes images; in another data folder if `storage.dir` is another.
        out: PathBuf = "data/samples",
    }
    /// `pacslab receive`: takes in what a PACS sends.
    receiver: Receiver {
        /// Its AE title.
        aet: AeTitle = "PYNETSCP",
        /// Address to listen on.
        bind: IpAddr = "127.0.0.1",
        /// TCP port; 0 takes a free one.
        port: u16 = "11112",
        /// Speak TLS, with the files of `[tls]`.
        tls: bool = "false",
        /// Where it writes files; in another data folder if `storage.dir` is another.
        dir: PathBuf = "data/inbox",
    }
    /// Whom the client commands talk to.
    client: Client {
        /// The PACS as `AET@host:port`; empty means the embedded one.
        pacs: String = "",
        /// The HL7 receiver as `host:port`; empty means the embedded one.
        hl7: String = "",
        /// The address of the HTTP door, as `http://host:port`; empty means the embedded one.
        http: String = "",
        /// How long an answer may take.
        timeout: Duration = "30s",
    }
    /// What is logged.
    log: Log {
        /// `off`, `error`, `warn`, `info`, `debug` or `trace`.
        level: LogLevel = "info",
    }
}

/// The configuration and where each value came from.
#[derive(Debug, Clone)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) values: Values,
    /// What was said and does nothing here.
    pub(crate) warnings: Vec<String>,
}

/// Gathers all layers. `flags` are the last: what was typed wins.
///
/// # Errors
/// An unknown key, a value of the wrong kind, an unreadable file; each names its place.
pub(crate) fn load(
    file: Option<&std::path::Path>,
    flags: impl IntoIterator<Item = Entry>,
) -> crate::exit::Result<Loaded> {
    let mut values = Values::defaults(KEYS);
    let mut warnings = Vec::new();
    let is_json = |path: &&std::path::Path| path.extension().is_some_and(|e| e == "json");
    if let Some(path) = file.filter(is_json) {
        let variables: std::collections::BTreeMap<String, String> = env::all().collect();
        let layer = orthanc::file(path, &|name| variables.get(name).cloned())?;
        warnings.extend(layer.warning(&path.display().to_string()));
        values.apply(layer.entries)?;
    } else {
        values.apply(file::read(file)?)?;
    }
    let layer = orthanc::environment(env::all(), &secret)?;
    warnings.extend(layer.warning("the environment"));
    values.apply(layer.entries)?;
    values.apply(env::read())?;
    values.apply(flags)?;
    values.follow("storage.dir", &[("modality.out", "samples"), ("receiver.dir", "inbox")]);
    Ok(Loaded { config: Config::from_values(&values)?, values, warnings })
}

/// What a variable `…_SECRET` points to: a file, or the name of a secret of the container.
fn secret(name: &str) -> std::io::Result<String> {
    let path = std::path::Path::new(name);
    let there = if path.is_absolute() { path.into() } else { Path::new("/run/secrets").join(name) };
    std::fs::read_to_string(there)
}

#[cfg(test)]
mod tests;
