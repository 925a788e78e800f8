//! Where the demonstration finds everybody.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use pacslab_model::AeTitle;
use pacslab_ris::Ris;
use serde::Deserialize;

use super::Reports;
use crate::config::Peer;
use crate::exit::{Failure, Result};
use crate::http::Server;
use crate::order_args::OrderArgs;
use crate::tls::Files;

/// The parties of the workflow.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// The PACS, which answers worklist queries as well.
    pub(crate) pacs: Peer,
    /// The HL7 listener of the RIS, `host:port`.
    pub(crate) hl7: (String, u16),
    /// The PACS's HTTP door: REST and DICOMweb.
    pub(crate) http: Server,
    /// Where the RIS writes `.wl` files.
    pub(crate) worklists: PathBuf,
    /// The title of the receiver, by which the PACS knows it as a C-MOVE destination.
    pub(crate) receiver: AeTitle,
    /// The host of the receiver, as the PACS reaches it; `None`: found out.
    pub(crate) advertise_host: Option<String>,
    /// Where the receiver writes.
    pub(crate) inbox: PathBuf,
    /// Where images and exports are saved.
    pub(crate) samples: PathBuf,
    pub(crate) timeout: Duration,
    /// Where reports come that leave the RIS; `None`: it sends them elsewhere.
    pub(crate) reports: Option<Reports>,
    /// The title that sends structured reports, and the RIS that knows what became of them;
    /// `None`: they are somebody else's.
    pub(crate) creator: Option<AeTitle>,
    pub(crate) ris: Option<Arc<Ris>>,
    /// What is shown and trusted where TLS is spoken.
    pub(crate) files: Files,
}

/// `demo --pacs FILE`, as it is read.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) pacs: Peer,
    /// `None`: the demonstration starts a RIS.
    pub(crate) hl7: Option<(String, u16)>,
    pub(crate) http: Server,
    pub(crate) worklists: PathBuf,
    /// The title that orders are scheduled for, and that calls the PACS.
    pub(crate) scanner: Option<AeTitle>,
    /// Title and port of the receiver that the demonstration starts.
    pub(crate) receiver: (AeTitle, u16),
    pub(crate) advertise_host: Option<String>,
    /// Where a RIS of the demonstration's own keeps its orders.
    pub(crate) data: PathBuf,
    pub(crate) inbox: PathBuf,
    pub(crate) samples: PathBuf,
    pub(crate) orders: Vec<OrderArgs>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// `AET@host:port`
    pacs: String,
    /// `http://host:port`
    http: String,
    #[serde(default = "login")]
    login: String,
    worklists: PathBuf,
    scanner: Option<String>,
    /// `AET:port`, or `AET@host:port` with the host that is advertised.
    #[serde(default = "receiver")]
    receiver: String,
    advertise_host: Option<String>,
    /// `/dicom-web`
    dicom_web: Option<String>,
    /// `host:port`
    hl7: Option<String>,
    #[serde(default = "data")]
    data: PathBuf,
    #[serde(default = "inbox")]
    inbox: PathBuf,
    #[serde(default = "samples")]
    samples: PathBuf,
    /// Each has the options of an order as keys: `accession`, `patient-id`, `name`, `station`, ….
    #[serde(default)]
    orders: Vec<toml::Table>,
}

fn login() -> String {
    "orthanc:orthanc".into()
}

fn receiver() -> String {
    "PYNETSCP:11112".into()
}

fn data() -> PathBuf {
    "data/ris".into()
}

fn inbox() -> PathBuf {
    "data/inbox".into()
}

fn samples() -> PathBuf {
    "data/samples".into()
}

/// # Errors
/// The file cannot be read, or a value in it.
pub(crate) fn read(path: &Path, timeout: Duration) -> Result<Told> {
    let text = crate::text_file::read(path).map_err(|error| Failure::file("read", path, &error))?;
    let wrong = |why: String| {
        Failure::usage(format!("{}: {why}", path.display()))
            .hint("docs/cli.md shows a profile with all its keys")
    };
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let orders =
        file.orders.iter().map(order).collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    let title =
        |key: &str, text: &str| AeTitle::new(text).map_err(|why| wrong(format!("{key}: {why}")));
    // the host of a receiver is the one to advertise; it listens where receiver.bind says
    let (aet, host, port) = match file.receiver.contains('@') {
        true => {
            let peer: Peer =
                file.receiver.parse().map_err(|why| wrong(format!("receiver: {why}")))?;
            (peer.aet, Some(peer.host), peer.port)
        }
        false => {
            let (aet, port) = crate::config::read_address(&file.receiver).map_err(|_| {
                wrong("receiver: TITLE:port is expected, e.g. PYNETSCP:11112".into())
            })?;
            (title("receiver", &aet)?, None, port)
        }
    };
    let hl7 = file.hl7.as_deref().map(crate::config::read_address).transpose();
    let http = Server::new(&file.http, Some(&file.login), timeout)?;
    Ok(Told {
        pacs: file.pacs.parse().map_err(|why| wrong(format!("pacs: {why}")))?,
        hl7: hl7.map_err(|why| wrong(format!("hl7: {why}")))?,
        http: match &file.dicom_web {
            Some(root) => http.with_dicom_web(root),
            None => http,
        },
        worklists: file.worklists,
        scanner: file.scanner.as_deref().map(|text| title("scanner", text)).transpose()?,
        receiver: (aet, port),
        advertise_host: file.advertise_host.or(host),
        data: file.data,
        inbox: file.inbox,
        samples: file.samples,
        orders,
    })
}

impl Told {
    /// What is played with, once everything listens.
    pub(crate) fn profile(&self, hl7: (String, u16), timeout: Duration, files: &Files) -> Profile {
        Profile {
            pacs: self.pacs.clone(),
            hl7,
            http: self.http.clone().trusting(files.clone()),
            worklists: self.worklists.clone(),
            receiver: self.receiver.0.clone(),
            advertise_host: self.advertise_host.clone(),
            inbox: self.inbox.clone(),
            samples: self.samples.clone(),
            timeout,
            reports: None,
            creator: None,
            ris: None,
            files: files.clone(),
        }
    }
}

/// The keys of an order are the options of the command line, so that there is one list of them.
fn order(table: &toml::Table) -> std::result::Result<OrderArgs, String> {
    #[derive(Parser)]
    #[command(no_binary_name = true)]
    struct Line {
        #[command(flatten)]
        order: OrderArgs,
    }
    let words = table.iter().flat_map(|(key, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        [format!("--{key}={text}")]
    });
    Line::try_parse_from(words)
        .map(|line| line.order)
        .map_err(|error| format!("in [[orders]]: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<Told> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.toml");
        std::fs::write(&path, text).unwrap();
        read(&path, Duration::from_secs(1))
    }

    const BASE: &str = "pacs = \"ORTHANC@127.0.0.1:4242\"\nworklists = \"w\"\n\
                        http = \"http://127.0.0.1:8042\"\n";

    #[test]
    fn little_has_to_be_said() {
        let told = told(BASE).unwrap();
        assert_eq!(told.receiver, (AeTitle::new("PYNETSCP").unwrap(), 11112));
        assert!(told.hl7.is_none() && told.advertise_host.is_none() && told.orders.is_empty());
    }

    #[test]
    fn the_receiver_is_told_with_or_without_a_host() {
        let receiver = |text: &str| told(&format!("{BASE}receiver = \"{text}\"\n"));
        let named = receiver("INBOX@host.docker.internal:104").unwrap();
        assert_eq!(named.advertise_host.as_deref(), Some("host.docker.internal"));
        assert_eq!((named.receiver.0.as_str(), named.receiver.1), ("INBOX", 104));
        assert!(receiver("INBOX").unwrap_err().message.contains("TITLE:port"));
    }

    #[test]
    fn orders_have_the_keys_of_the_command_line() {
        let orders =
            |key: &str| told(&format!("{BASE}[[orders]]\n{key} = \"A2\"\npatient-id = \"P2\"\n"));
        let made = orders("accession").unwrap().orders;
        assert_eq!((made[0].accession.as_str(), made[0].patient_id.as_str()), ("A2", "P2"));
        let failure = orders("acession").unwrap_err();
        assert!(failure.message.contains("--accession"), "{}", failure.message);
    }

    #[test]
    fn the_profile_that_is_shipped_can_be_read() {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../orthanc.toml"));
        let told = read(path, Duration::from_secs(1)).unwrap();
        assert_eq!(told.pacs.to_string(), "ORTHANC@127.0.0.1:4243");
        assert_eq!(told.http.url(), "http://127.0.0.1:8043");
    }

    #[test]
    fn a_profile_without_a_pacs_says_so() {
        let failure = told("hl7 = \"a:1\"").unwrap_err();
        assert!(failure.message.contains("pacs"), "{}", failure.message);
    }
}
