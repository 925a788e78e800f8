//! Before the first step: the PACS is told where the receiver listens, as the PACS reaches it.
//!
//! Which address that is depends on where the PACS runs: on this computer, in a container, in
//! another house. So those that come into question are tried, and the PACS itself says by a C-ECHO
//! which one is right.

use std::net::UdpSocket;
use std::time::Duration;

use super::Profile;
use crate::config::Peer;
use crate::exit::{Failure, Result};
use crate::rest;

/// The host of a container, as it is called inside.
const OUTSIDE: &str = "host.docker.internal";

/// Registers the receiver with the PACS and answers how it is known there now.
///
/// # Errors
/// The PACS cannot be told, or reaches the receiver at none of the addresses.
pub(crate) async fn introduce(profile: &Profile, port: u16) -> Result<Peer> {
    /// Seconds for the PACS to reach the receiver.
    const WITHIN: u32 = 5;
    let name = profile.receiver.as_str();
    let at = |failure: Failure| {
        let message = format!("registering the receiver {name}: {}", failure.message);
        let hint = "http and login in the profile say where the PACS's REST API is and who asks it";
        Failure { message, ..failure }.hint(hint)
    };
    let mut tried = Vec::new();
    for host in candidates(profile).await {
        let peer = Peer { aet: profile.receiver.clone(), host, port, tls: false };
        rest::register(&profile.http, name, &peer, &[]).await.map_err(at)?;
        let answer = rest::echo(&profile.http, name, WITHIN).await.map_err(at)?;
        match answer.success() {
            Ok(_) => return Ok(peer),
            Err(failure) => tried.push((peer, failure)),
        }
    }
    let hosts: Vec<&str> = tried.iter().map(|(peer, _)| peer.host.as_str()).collect();
    let why = tried.first().map_or("", |(_, failure)| failure.message.as_str());
    Err(Failure::network(format!(
        "{} does not reach the receiver {name} on port {port} at {}: {why}",
        profile.pacs,
        hosts.join(" nor at ")
    ))
    .hint(
        "set advertise_host in the profile to the name or address by which the PACS reaches this \
         computer; for others than this one the receiver also has to listen there: receiver.bind \
         = \"0.0.0.0\" in pacslab.toml",
    ))
}

/// What is said in the profile, or what may be right, the likeliest first.
async fn candidates(profile: &Profile) -> Vec<String> {
    if let Some(said) = &profile.advertise_host {
        return vec![said.clone()];
    }
    let outside = OUTSIDE.to_owned();
    let here = own_address(&profile.pacs.host, profile.pacs.port);
    match resolves(OUTSIDE).await {
        true => vec![outside, here],
        false => vec![here, outside],
    }
}

async fn resolves(name: &str) -> bool {
    let looking = tokio::net::lookup_host((name, 0));
    let found = tokio::time::timeout(Duration::from_secs(2), looking).await;
    found.is_ok_and(|found| found.is_ok_and(|mut found| found.next().is_some()))
}

/// The address of this computer on the way to another: loopback, if that is this one too.
fn own_address(host: &str, port: u16) -> String {
    let ask = |bind: &str| {
        let socket = UdpSocket::bind((bind, 0))?;
        // connecting UDP sends nothing: it only looks up the route
        socket.connect((host, port))?;
        socket.local_addr()
    };
    ask("0.0.0.0").or_else(|_| ask("::")).map_or("127.0.0.1".to_owned(), |at| at.ip().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_this_computer_is_loopback() {
        assert_eq!(own_address("127.0.0.1", 4242), "127.0.0.1");
        assert_eq!(own_address("no.such.host.invalid", 4242), "127.0.0.1");
    }
}
