//! Where the demonstration finds everybody.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use pacslab_model::AeTitle;
use serde::Deserialize;

use crate::config::Peer;
use crate::exit::{Failure, Result};
use crate::http::Server;
use crate::order_args::OrderArgs;

/// The parties of the workflow.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    /// The PACS, which answers worklist queries as well.
    pub(crate) pacs: Peer,
    /// The HL7 listener of the RIS, `host:port`.
    pub(crate) hl7: (String, u16),
    pub(crate) http: Server,
    /// Where the RIS writes `.wl` files.
    pub(crate) worklists: PathBuf,
    /// The title of the receiver, by which the PACS knows it as a C-MOVE destination.
    pub(crate) receiver: AeTitle,
    /// Where the receiver writes.
    pub(crate) inbox: PathBuf,
    /// Where images and exports are saved.
    pub(crate) samples: PathBuf,
    pub(crate) timeout: Duration,
}

/// `demo --profile FILE`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// `AET@host:port`
    pacs: String,
    /// `host:port`
    hl7: String,
    /// `http://host:port`
    http: String,
    #[serde(default = "login")]
    login: String,
    worklists: PathBuf,
    /// `AET@host:port` of the receiver, which the demonstration starts.
    #[serde(default = "receiver")]
    receiver: String,
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
    "PYNETSCP@127.0.0.1:11112".into()
}

fn inbox() -> PathBuf {
    "data/inbox".into()
}

fn samples() -> PathBuf {
    "data/samples".into()
}

/// A profile from a file: the parties, where the receiver is to listen, and the orders, if the
/// file has any.
///
/// # Errors
/// The file cannot be read, or a value in it.
pub(crate) fn read(path: &Path, timeout: Duration) -> Result<(Profile, Peer, Vec<OrderArgs>)> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?;
    let wrong = |why: String| {
        Failure::usage(format!("{}: {why}", path.display()))
            .hint("docs/cli.md shows a profile with all its keys")
    };
    let file: File = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let receiver: Peer = file.receiver.parse().map_err(|why| wrong(format!("receiver: {why}")))?;
    let orders =
        file.orders.iter().map(order).collect::<std::result::Result<Vec<_>, _>>().map_err(wrong)?;
    let profile = Profile {
        pacs: file.pacs.parse().map_err(|why| wrong(format!("pacs: {why}")))?,
        hl7: crate::config::read_address(&file.hl7).map_err(|why| wrong(format!("hl7: {why}")))?,
        http: Server::new(&file.http, Some(&file.login), timeout)?,
        worklists: file.worklists,
        receiver: receiver.aet.clone(),
        inbox: file.inbox,
        samples: file.samples,
        timeout,
    };
    Ok((profile, receiver, orders))
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

    fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    const BASE: &str = "pacs = \"PACSLAB@127.0.0.1:4242\"\nhl7 = \"127.0.0.1:2575\"\n\
                        http = \"http://127.0.0.1:8042\"\nworklists = \"w\"\n";

    #[test]
    fn orders_have_the_keys_of_the_command_line() {
        let text = format!("{BASE}[[orders]]\naccession = \"A2\"\npatient-id = \"P2\"\n");
        let (_folder, path) = write(&text);
        let (_, receiver, orders) = read(&path, Duration::from_secs(1)).unwrap();
        assert_eq!(receiver.port, 11112);
        assert_eq!((orders[0].accession.as_str(), orders[0].patient_id.as_str()), ("A2", "P2"));
        let (_folder, path) = write(&format!("{BASE}[[orders]]\nacession = \"A2\"\n"));
        let failure = read(&path, Duration::from_secs(1)).unwrap_err();
        assert!(failure.message.contains("--accession"), "{}", failure.message);
    }

    #[test]
    fn a_profile_without_a_pacs_says_so() {
        let (_folder, path) = write("hl7 = \"a:1\"");
        let failure = read(&path, Duration::from_secs(1)).unwrap_err();
        assert!(failure.message.contains("pacs"), "{}", failure.message);
    }
}
