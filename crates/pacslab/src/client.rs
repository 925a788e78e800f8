//! Whom a client command talks to: common options, how they become an address, and associations.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pacslab_dimse::pdu::AssociateRj;
use pacslab_dimse::{Association, Error, Proposal, Remote, Requestor, StatusReply, Timeouts};
use pacslab_model::{AeTitle, Emit};

use crate::clock::SystemClock;

use crate::config::{Config, Peer, read_address, read_duration, without_tls};
use crate::exit::{Failure, Result};
use crate::logging::Logged;
use crate::tls::{Caller, Files};

/// The PACS that a command talks to.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "The PACS")]
pub(crate) struct PeerArgs {
    /// The PACS: AET@host:port, host:port, or a name from [peers]
    #[arg(long, value_name = "PEER")]
    pub(crate) pacs: Option<String>,
    /// Its host [default: 127.0.0.1]
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Its DICOM port [default: 4242]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// Call it with TLS
    #[arg(long)]
    pub(crate) tls: bool,
    /// Its AE title, the called title [default: PACSLAB]
    #[arg(long, value_name = "TITLE")]
    pub(crate) aet: Option<AeTitle>,
    /// Our AE title, the calling title [default: PYMOD1]
    #[arg(long, value_name = "TITLE")]
    pub(crate) calling: Option<AeTitle>,
    /// How long an answer may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,
}

/// Everything that is needed to open an association.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) peer: Peer,
    pub(crate) calling: AeTitle,
    pub(crate) timeout: Duration,
    pub(crate) files: Files,
}

impl PeerArgs {
    pub(crate) fn resolve(&self, config: &Config) -> Result<Target> {
        let named = self.pacs.as_deref().unwrap_or(&config.client.pacs);
        let mut peer = match named {
            "" => embedded(config),
            name => named_peer(name, config)?,
        };
        if let Some(host) = &self.host {
            peer.host.clone_from(host);
        }
        if let Some(port) = self.port {
            peer.port = port;
        }
        if let Some(aet) = &self.aet {
            peer.aet = aet.clone();
        }
        peer.tls |= self.tls;
        Ok(Target {
            peer,
            calling: self.calling.clone().unwrap_or_else(|| config.modality.aet.clone()),
            timeout: self.timeout.unwrap_or(config.client.timeout),
            files: Files::of(&config.tls),
        })
    }
}

impl Target {
    /// Opens an association.
    pub(crate) async fn connect(&self, proposal: impl Into<Proposal>) -> Result<Association> {
        self.call(proposal).await.map_err(Failure::from)
    }

    /// The same, for who wants to know what went wrong.
    pub(crate) async fn call(
        &self,
        proposal: impl Into<Proposal>,
    ) -> std::result::Result<Association, Error> {
        Association::connect(&self.requestor(Arc::new(Logged)), &self.remote(), proposal).await
    }

    pub(crate) fn remote(&self) -> Remote {
        let Peer { aet, host, port, tls } = self.peer.clone();
        Remote { aet, host, port, tls }
    }

    /// Us, who tell what happens to `events`.
    pub(crate) fn requestor(&self, events: Arc<dyn Emit>) -> Requestor {
        let timeouts = Timeouts {
            connect: self.timeout.min(Timeouts::default().connect),
            artim: self.timeout,
            response: self.timeout,
            idle: self.timeout,
            ..Timeouts::default()
        };
        let clock = Arc::new(SystemClock);
        let secure = Arc::new(Caller::new(self.files.clone()));
        let us = Requestor::new(self.calling.clone(), events, clock);
        Requestor { timeouts, secure: Some(secure), ..us }
    }

    /// The failure of an operation that the peer answered with anything but success.
    pub(crate) fn refused(&self, what: &str, reply: &StatusReply) -> Failure {
        Failure::failed(format!("{} answered {what} with {reply}", self.peer))
    }
}

/// The messages of the network layer say what to look at; this adds what to type.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let failure = match error {
            Error::ContextRefused { .. } | Error::DataSet { .. } | Error::Source(_) => {
                Self::failed(error.to_string())
            }
            _ => Self::network(error.to_string()),
        };
        match error {
            Error::Connect { .. } => {
                failure.hint("start `pacslab serve`, or name the peer: --pacs AET@host:port")
            }
            // what our TLS port answers to plain DICOM
            Error::Rejected { answer, .. } if answer == AssociateRj::PROTOCOL_VERSION => {
                failure.hint("if the peer speaks TLS on this port, add --tls")
            }
            Error::Rejected { .. } => failure.hint(
                "the titles are set with --aet (called) and --calling; many PACS accept known \
                 calling titles only",
            ),
            Error::NotDicom { speaks, .. } if speaks.contains("TLS") => {
                failure.hint("add --tls, or +tls to the peer: AET@host:port+tls")
            }
            Error::Closed { during } | Error::Io { during, .. }
                if during.contains("A-ASSOCIATE-RQ") =>
            {
                failure.hint("if the peer speaks TLS on this port, add --tls")
            }
            Error::Timeout { .. } => failure.hint("wait longer with --timeout, e.g. --timeout 2m"),
            _ => failure,
        }
    }
}

fn embedded(config: &Config) -> Peer {
    let host = reachable(config.dicom.bind);
    let (aet, port, tls) = (config.dicom.aet.clone(), config.dicom.port, config.dicom.tls);
    Peer { aet, host, port, tls }
}

/// The address at which something that listens on `bind` is reached from this computer.
pub(crate) fn reachable(bind: IpAddr) -> String {
    if bind.is_unspecified() { "127.0.0.1".to_owned() } else { bind.to_string() }
}

/// A host as it stands before a port.
pub(crate) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

/// `AET@host:port`, `host:port` or a name of `[peers]`.
fn named_peer(text: &str, config: &Config) -> Result<Peer> {
    if let Some(peer) = config.peers.get(text) {
        return Ok(peer.clone());
    }
    let wrong = |why: String| {
        let known: Vec<&str> = config.peers.keys().map(String::as_str).collect();
        Failure::usage(format!("no PACS can be read from '{text}': {why}")).hint(format!(
            "write AET@host:port, host:port, or a name from [peers] ({})",
            known.join(", ")
        ))
    };
    if text.contains('@') {
        return text.parse().map_err(wrong);
    }
    let (address, tls) = without_tls(text);
    let (host, port) = read_address(address).map_err(wrong)?;
    Ok(Peer { aet: config.dicom.aet.clone(), host, port, tls })
}

/// For clap: a duration option.
pub(crate) fn duration(text: &str) -> std::result::Result<Duration, String> {
    read_duration(text).ok_or_else(|| "a duration such as 500ms, 30s or 2m is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_values(&crate::config::Values::defaults(crate::config::KEYS)).unwrap()
    }

    fn resolve(args: PeerArgs) -> String {
        args.resolve(&config()).map_or_else(|f| f.message, |target| target.peer.to_string())
    }

    #[test]
    fn peers_come_from_many_places() {
        assert_eq!(resolve(PeerArgs::default()), "PACSLAB@127.0.0.1:4242");
        let pacs = |text: &str| PeerArgs { pacs: Some(text.into()), ..PeerArgs::default() };
        assert_eq!(resolve(pacs("ORTHANC@pacs:104")), "ORTHANC@pacs:104");
        assert_eq!(resolve(pacs("pacs:104")), "PACSLAB@pacs:104");
        assert_eq!(resolve(pacs("PYNETSCP")), "PYNETSCP@127.0.0.1:11112");
        assert!(resolve(pacs("nowhere")).contains("'nowhere'"));
        let port = PeerArgs { port: Some(11113), ..pacs("PYNETSCP") };
        assert_eq!(resolve(port), "PYNETSCP@127.0.0.1:11113");
    }
}
