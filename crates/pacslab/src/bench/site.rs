//! The PACS under test: its DICOM address, and its HTTP and HL7 doors where it has some.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use pacslab_dimse::{Association, Proposal, Remote, Requestor};
use pacslab_model::event::Silent;

use super::runner::Fault;
use crate::client::Target;
use crate::http::Server;

/// One of those that are compared.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    /// As tables call it.
    pub(crate) name: String,
    /// Its place among them: what it gets is numbered apart.
    pub(crate) index: u64,
    pub(crate) target: Target,
    pub(crate) server: Option<Server>,
    /// `host:port` that takes HL7 orders.
    pub(crate) hl7: Option<String>,
    /// Our own sink, which stores nothing.
    pub(crate) is_sink: bool,
    us: Arc<Requestor>,
    remote: Remote,
}

impl Site {
    pub(crate) fn new(index: u64, target: Target) -> Self {
        // nobody follows thousands of associations a second
        let us = Arc::new(target.requestor(Arc::new(Silent)));
        let (name, remote) = (target.peer.to_string(), target.remote());
        Self { name, index, target, server: None, hl7: None, is_sink: false, us, remote }
    }

    pub(crate) async fn associate(
        &self,
        proposal: impl Into<Proposal>,
    ) -> Result<Association, Fault> {
        Ok(Association::connect(&self.us, &self.remote, proposal).await?)
    }

    /// Numbers of the studies that this site gets begin here.
    pub(crate) fn first_study(&self) -> u64 {
        1 + self.index * 1_000_000_000
    }

    /// Whether it is this computer, so that nobody else's archive is written to.
    pub(crate) fn is_here(&self) -> bool {
        let hosts = [Some(self.target.peer.host.as_str()), self.server.as_ref().map(Server::host)];
        hosts.into_iter().flatten().all(is_loopback)
    }
}

fn is_loopback(host: &str) -> bool {
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback();
    }
    let found = (host, 0).to_socket_addrs();
    found.is_ok_and(|mut found| {
        let first = found.next();
        first.is_some_and(|first| first.ip().is_loopback())
            && found.all(|one| one.ip().is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_computer_is_known_by_all_its_names() {
        for here in ["127.0.0.1", "127.1.2.3", "::1", "localhost"] {
            assert!(is_loopback(here), "{here}");
        }
        for other in ["10.0.0.1", "0.0.0.0", "2001:db8::1"] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
