//! The PACS as a scanner sees it: titles, worklist, and over REST whom it knows and reaches.

use pacslab_dimse::Error;
use pacslab_model::{AeTitle, Moment};
use serde_json::Value;

use super::Patient;
use super::clock::http_date;
use super::peers::{local, receive, verdict};
use super::probe::{self, Echo};
use super::report::{Check, Report};
use crate::client::Target;
use crate::cmd::worklist::find::{QueryArgs, query};
use crate::config::Peer;
use crate::http::Server;
use crate::rest;

const GROUP: &str = "PACS";

/// Looks at the PACS; the clocks that were seen on the way are returned.
pub(super) async fn examine(patient: &Patient, report: &mut Report) -> Vec<(String, Moment)> {
    let mut times = Vec::new();
    // who says what its title is, before it is called by it
    let about = match &patient.rest {
        Some(server) => system(patient, server, report, &mut times).await,
        None => None,
    };
    let target = match &about {
        Some(about) if patient.foreign => named_by(patient, about, report),
        _ => patient.pacs.clone(),
    };
    let heard = probe::echo(&target).await;
    let answers = matches!(heard, Echo::Answers { .. });
    if patient.foreign {
        report.add(GROUP, verdict("C-ECHO", &target, heard, "pacslab doctor --pacs {}"));
    }
    if answers {
        worklist(patient, &target, report).await;
    }
    if let (Some(server), Some(_)) = (&patient.rest, &about) {
        plugins(server, report).await;
        receiver(patient, server, report).await;
    }
    times
}

/// Title and port as the PACS has them.
struct About {
    aet: String,
    port: u16,
}

async fn system(
    patient: &Patient,
    server: &Server,
    report: &mut Report,
    times: &mut Vec<(String, Moment)>,
) -> Option<About> {
    let url = server.url();
    let answer = match server.ask("GET", "/system", None).await {
        Ok(answer) => answer,
        Err(failure) => {
            // at home the check of the port has said it
            if patient.foreign {
                let fix = format!("pacslab doctor{} --login NAME:PASSWORD", patient.site);
                report.add(GROUP, Check::fail("HTTP", failure.message).fix(fix));
            }
            return None;
        }
    };
    if let Some(at) = answer.field("date").and_then(http_date) {
        times.push((url.clone(), at));
    }
    let status = answer.status();
    if status == 401 || status == 403 {
        report.add(GROUP, Check::fail("login", format!("{url} does not take the login ({status})"))
            .fix(format!("pacslab doctor{} --login NAME:PASSWORD", patient.site)));
        return None;
    }
    let told = answer.json().unwrap_or_default();
    let port = told["DicomPort"].as_u64().and_then(|port| u16::try_from(port).ok());
    let (Some(aet), Some(port)) = (told["DicomAet"].as_str(), port) else {
        report.add(GROUP, Check::fail("HTTP", format!("{url} answers, but is neither a pacslab nor an Orthanc"))
            .fix("pacslab doctor --url http://HOST:8042"));
        return None;
    };
    let kind = match told["PacsLabVersion"].as_str() {
        Some(version) => format!("pacslab {version}"),
        None => format!("Orthanc {}", told["Version"].as_str().unwrap_or_default()),
    };
    report.add(GROUP, Check::ok("HTTP", format!("{url} is {kind}, the login works; DICOM {aet} on port {port}")));
    Some(About { aet: aet.to_owned(), port })
}

/// The title that was given beside the one that the PACS has.
fn named_by(patient: &Patient, about: &About, report: &mut Report) -> Target {
    let mut target = patient.pacs.clone();
    let said = &target.peer.aet;
    let (Ok(own), false) = (AeTitle::new(&about.aet), about.port == 0) else { return target };
    let host = target.peer.host.clone();
    let stated = patient.stated;
    if stated && *said != own {
        let how = match said.as_str().eq_ignore_ascii_case(own.as_str()) {
            true => "upper and lower case are not the same",
            false => "some PACS reject the wrong one",
        };
        report.add(GROUP, Check::warn("AE title", format!("called {said}, but it is {own}: {how}"))
            .fix(format!("pacslab doctor --pacs {own}@{host}:{}{}", target.peer.port, patient.site)));
    } else if !stated {
        target.peer = Peer { aet: own, host, port: about.port, tls: target.peer.tls };
    }
    target
}

/// Whether it has a worklist, and lets the scanner ask.
async fn worklist(patient: &Patient, target: &Target, report: &mut Report) {
    let scanner = &target.calling;
    let Ok(identifier) = QueryArgs::default().identifier(target) else { return };
    let name = "worklist";
    // the wire first: what is refused there says more
    let proposal = pacslab_dimse::Proposal::of(pacslab_model::uids::MODALITY_WORKLIST_FIND);
    let offered = match target.call(proposal).await {
        Ok(association) => {
            let accepted = association.context_for(pacslab_model::uids::MODALITY_WORKLIST_FIND, None).is_ok();
            let _ = association.release().await;
            accepted
        }
        Err(Error::ContextRefused { .. }) => false,
        Err(error) => {
            report.add(GROUP, Check::fail(name, error.to_string()).fix(register(patient, target)));
            return;
        }
    };
    if !offered {
        let says = format!("{} has no worklist; an Orthanc needs its plugin for that", target.peer);
        report.add(GROUP, Check::fail(name, says).fix(
            "\"Plugins\": [\"/usr/share/orthanc/plugins/libModalityWorklists.so\"], \"Worklists\": \
             {\"Enable\": true, \"Database\": \"FOLDER\"}   in orthanc.json",
        ));
        return;
    }
    report.add(GROUP, match query(target, &identifier, |_, _| ()).await {
        Ok(answered) if answered.reply.status.is_success() => match answered.found.len() {
            0 => Check::warn(name, format!("{scanner} may ask, and nothing is scheduled for it"))
                .fix(format!("pacslab worklist create --station {scanner}")),
            count => Check::ok(name, format!("{scanner} may ask; {count} items for it")),
        },
        Ok(answered) => {
            let says = format!("{scanner} may not ask for the worklist: {}", answered.reply);
            Check::fail(name, says).fix(register(patient, target))
        }
        Err(failure) => {
            let says = format!(
                "echo works, the worklist query of {scanner} does not: {}; {scanner} is most likely \
                 not listed there",
                failure.message
            );
            Check::fail(name, says).fix(register(patient, target))
        }
    });
}

/// The command that makes our scanner known there.
fn register(patient: &Patient, target: &Target) -> String {
    let site = match patient.site.is_empty() && patient.foreign {
        true => format!(" --url http://{}:8042", target.peer.host),
        false => patient.site.clone(),
    };
    let host = if local(&target.peer.host) { "127.0.0.1" } else { "THIS-COMPUTER" };
    format!("pacslab modality register {}@{host}:11112{site}", target.calling)
}

async fn plugins(server: &Server, report: &mut Report) {
    // a pacslab has none and needs none
    let Ok(Value::Array(loaded)) = rest::get(server, "/plugins").await else { return };
    let names: Vec<&str> = loaded.iter().filter_map(Value::as_str).collect();
    for (word, file, what) in [
        ("worklist", "libModalityWorklists.so", "worklist queries are refused"),
        ("dicom-web", "libOrthancDicomWeb.so", "viewers and `pacslab verify --dicom-web` find nothing"),
    ] {
        let there = names.iter().any(|name| name.contains(word));
        report.add(GROUP, match there {
            true => Check::ok("plugin", format!("{word} is loaded")),
            false => Check::warn("plugin", format!("{word} is not loaded: {what}")).fix(format!(
                "\"Plugins\": [\"/usr/share/orthanc/plugins/{file}\"]   in orthanc.json"
            )),
        });
    }
}

/// Whether the PACS knows the receiver of the lab, and can reach it where it thinks it is.
async fn receiver(patient: &Patient, server: &Server, report: &mut Report) {
    let receiver = &patient.config.receiver;
    let (aet, port) = (&receiver.aet, receiver.port);
    let name = format!("receiver {aet}");
    let site = &patient.site;
    let known = match rest::get(server, "/modalities?expand").await {
        Ok(known) => known,
        Err(failure) => {
            report.add(GROUP, Check::warn(name, failure.message).fix(format!("pacslab modality list{site}")));
            return;
        }
    };
    let near = known.as_object().into_iter().flatten().find(|(_, one)| {
        one["AET"].as_str().is_some_and(|title| title.eq_ignore_ascii_case(aet.as_str()))
    });
    let Some((called, modality)) = near else {
        let says = "the PACS does not know it: C-MOVE to it is refused, 0xA801".to_owned();
        let host = if local(&patient.pacs.peer.host) { "127.0.0.1" } else { "THIS-COMPUTER" };
        report.add(GROUP, Check::fail(name, says)
            .fix(format!("pacslab modality register {aet}@{host}:{port}{site} --check")));
        return;
    };
    let title = modality["AET"].as_str().unwrap_or_default();
    let host = modality["Host"].as_str().unwrap_or_default().to_owned();
    let there = modality["Port"].as_u64().unwrap_or_default();
    let at = format!("{title}@{host}:{there}");
    if title != aet.as_str() {
        report.add(GROUP, Check::warn(&name, format!("the PACS knows {at}, spelled otherwise"))
            .fix(format!("pacslab modality register {aet}@{host}:{there}{site}")));
    }
    let reached = match rest::echo(server, called, 5).await {
        Ok(answer) => answer.status() == 200,
        Err(_) => false,
    };
    if reached {
        report.add(GROUP, Check::ok(name, format!("the PACS reaches it as {at}")));
        return;
    }
    // is it at all there?
    let mut own = Target { calling: patient.pacs.calling.clone(), ..patient.pacs.clone() };
    own.peer = Peer {
        aet: aet.clone(),
        host: crate::client::reachable(receiver.bind),
        port,
        tls: receiver.tls,
    };
    let runs = matches!(probe::echo(&own).await, Echo::Answers { .. });
    report.add(GROUP, match runs {
        true if u64::from(port) != there => Check::fail(
            name,
            format!("the PACS looks for it at {at}, and it listens on port {port}"),
        )
        .fix(format!("pacslab modality register {aet}@{host}:{port}{site} --check")),
        true => {
            let better = if local(&host) { "host.docker.internal" } else { "127.0.0.1" };
            Check::fail(
                name,
                format!("it runs here, and the PACS does not reach it as {at}: from a container this computer is host.docker.internal"),
            )
            .fix(format!("pacslab modality register {aet}@{better}:{port}{site} --check"))
        }
        false => Check::warn(name, format!("the PACS knows {at}, and nothing answers there: C-MOVE to it fails"))
            .fix(receive(patient, &Peer { port: u16::try_from(there).unwrap_or(port), host, ..own.peer })),
    });
}
