//! Those in `[peers]`: whether each answers C-ECHO, and if not, why.

use pacslab_dimse::pdu::AssociateRj;

use super::Patient;
use super::probe::{self, Echo, millis};
use super::report::{Check, Report};
use crate::client::Target;
use crate::config::{Origin, Peer};

const GROUP: &str = "peers";

/// Of a department that is open, the PACS itself has been asked for the receiver.
pub(super) async fn examine(patient: &Patient, running: bool, report: &mut Report) {
    let config = &patient.config;
    let mut asked = tokio::task::JoinSet::new();
    for (name, peer) in config.peers.clone() {
        if running && peer.aet == config.receiver.aet {
            continue;
        }
        if peer.host == "*" {
            let says = format!("{} calls and is never called (host *)", peer.aet);
            report.add(GROUP, Check::ok(name, says));
            continue;
        }
        // as the department calls them
        let target = Target { peer, calling: config.dicom.aet.clone(), ..patient.pacs.clone() };
        asked.spawn(async move { (probe::echo(&target).await, name, target) });
    }
    let mut heard: Vec<_> = asked.join_all().await;
    heard.sort_by(|a, b| a.1.cmp(&b.1));
    for (echo, name, target) in heard {
        let usual = *patient.loaded.values.origin(&format!("peers.{name}")) == Origin::Default;
        let ours = target.peer.aet == config.receiver.aet;
        report.add(GROUP, match (echo, ours) {
            // the receiver of the lab runs when somebody wants it
            (Echo::Nobody(_), true) if usual || local(&target.peer.host) => Check::warn(
                &name,
                format!("nothing listens at {}: a C-MOVE to it fails", target.peer),
            )
            .fix(receive(patient, &target.peer)),
            (echo, _) => verdict(&name, &target, echo, &format!("{name} = \"{{}}\"   under [peers] of pacslab.toml")),
        });
    }
}

/// `pacslab receive` as it has to be called for that address.
pub(super) fn receive(patient: &Patient, peer: &Peer) -> String {
    let receiver = &patient.config.receiver;
    let aet = match receiver.aet == peer.aet {
        true => String::new(),
        false => format!(" --aet {}", peer.aet),
    };
    let bind = match local(&peer.host) {
        true => "",
        false => " --bind 0.0.0.0",
    };
    format!("pacslab receive{aet}{bind} --port {}", peer.port)
}

pub(super) fn local(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What a C-ECHO tells; `line` says where the address of the peer stands, with `{}` for it.
pub(super) fn verdict(name: &str, target: &Target, echo: Echo, line: &str) -> Check {
    let peer = &target.peer;
    let as_is = |peer: &Peer| line.replace("{}", &peer.to_string());
    let (host, port) = (&peer.host, peer.port);
    match echo {
        Echo::Answers { took, version } => {
            let version = match version.is_empty() {
                true => String::new(),
                false => format!(" ({version})"),
            };
            Check::ok(name, format!("{peer} answers C-ECHO in {}{version}", millis(took)))
        }
        Echo::Refuses(why) => Check::fail(name, format!("{peer} speaks DICOM and refuses: {why}"))
            .fix(list_us(target)),
        Echo::Rejected(AssociateRj::CALLED_AE, _) => Check::fail(
            name,
            format!("{peer} answers, but is not called {}: called AE title not recognized", peer.aet),
        )
        .fix(line.replace("{}", &format!("ITS-TITLE@{host}:{port}"))),
        Echo::Rejected(AssociateRj::CALLING_AE, _) => Check::fail(
            name,
            format!("{peer} does not know {}: calling AE title not recognized", target.calling),
        )
        .fix(list_us(target)),
        Echo::Rejected(answer, why) => {
            let check = if answer.is_transient() { Check::warn(name, why) } else { Check::fail(name, why) };
            check.fix(format!("pacslab echo {peer} --calling {}", target.calling))
        }
        Echo::Nobody(why) => Check::fail(name, why).fix(format!("{}\n{}", as_is(&Peer { port: 104, ..peer.clone() }).replace(":104", ":ITS-PORT"), there(peer))),
        Echo::NoDicom(what) => {
            Check::fail(name, format!("{host}:{port} is {what}, not DICOM: this is the wrong port"))
                .fix(as_is(&Peer { port: 104, ..peer.clone() }).replace(":104", ":ITS-DICOM-PORT"))
        }
        Echo::WantsTls(what) => {
            Check::fail(name, format!("{peer}: {what}, and is called without"))
                .fix(line.replace("{}", &format!("{}@{host}:{port}+tls", peer.aet)))
        }
        Echo::WantsPlain => {
            Check::fail(name, format!("{peer} speaks DICOM without TLS, and is called with"))
                .fix(line.replace("{}", &format!("{}@{host}:{port}", peer.aet)))
        }
        Echo::TlsRefused(why) => Check::fail(name, why).fix("pacslab tls init --help"),
        Echo::Silent(why) => Check::fail(
            name,
            format!("{host}:{port} takes the connection and answers no DICOM: {why}"),
        )
        .fix(as_is(&Peer { port: 104, ..peer.clone() }).replace(":104", ":ITS-DICOM-PORT")),
    }
}

/// How our title gets known there.
fn list_us(target: &Target) -> String {
    format!(
        "pacslab modality register {}@{}:11112 --url http://{}:8042   if it is a pacslab or an \
         Orthanc; else list {} there",
        target.calling,
        if local(&target.peer.host) { "127.0.0.1" } else { "THIS-COMPUTER" },
        target.peer.host,
        target.calling
    )
}

/// What to start or open at the peer's own computer.
fn there(peer: &Peer) -> String {
    match local(&peer.host) {
        true => format!("pacslab receive --aet {} --port {}   if it is a receiver", peer.aet, peer.port),
        false => format!(
            "netsh advfirewall firewall add rule name=\"DICOM-{0}\" dir=in action=allow protocol=TCP \
             localport={0}   on {1}, if it runs Windows",
            peer.port, peer.host
        ),
    }
}
