//! The ports of the department: free, ours and open, or somebody else's; and whose.

use std::io::ErrorKind;
use std::net::IpAddr;

use tokio::net::TcpListener;

use super::probe::{self, Echo, Kind, millis};
use super::report::{Check, Report};
use super::{Patient, both};
use crate::client::reachable;
use crate::listen::{Door, owner};

const GROUP: &str = "ports";

/// What is on a port that we would like to have.
enum Has {
    Ours(String),
    Other(String),
}

/// Looks at the three doors; the answer is whether the department is open. `held`: somebody has
/// the data folder.
pub(super) async fn examine(patient: &Patient, held: bool, report: &mut Report) -> bool {
    let config = &patient.config;
    let door = |name, bind, port, flag, key| Door { name, bind, port, flag, key };
    let dicom = door("DICOM", config.dicom.bind, config.dicom.port, "--dicom-port", "dicom.port");
    let http = door("HTTP", config.http.bind, config.http.port, "--http-port", "http.port");
    let hl7 = door("HL7", config.mllp.bind, config.mllp.port, "--mllp-port", "mllp.port");
    let mut running = false;
    for (door, which) in [(dicom, 0), (http, 1), (hl7, 2)] {
        let name = format!("{} port", door.name);
        let at = format!("{}:{}", door.bind, door.port);
        if door.port == 0 {
            report.add(GROUP, Check::ok(name, "a free one is taken at each start"));
            continue;
        }
        let kind = match TcpListener::bind((door.bind, door.port)).await {
            Ok(_) => None,
            Err(error) => Some(error.kind()),
        };
        match kind {
            // Windows: a second program may have it on other addresses, `open` looks for that
            None => report.add(GROUP, match door.open().await {
                Ok(_) if held => Check::warn(
                    name,
                    format!("{at} is free, but a pacslab has the data folder: it listens somewhere else"),
                )
                .fix("pacslab config show"),
                Ok(_) => Check::ok(name, format!("{at} is free; {}", reach(door.bind))),
                Err(failure) => failed(name, failure),
            }),
            Some(ErrorKind::AddrInUse) => {
                let has = match which {
                    0 => dicom_at(patient).await,
                    1 => http_at(patient).await,
                    _ => hl7_at(&door, held || running).await,
                };
                report.add(GROUP, match has {
                    Has::Ours(says) => {
                        running = true;
                        Check::ok(name, format!("{at}: {says}; {}", reach(door.bind)))
                    }
                    Has::Other(says) => busy(&door, &says).await,
                });
            }
            Some(_) => {
                let failure = match door.open().await {
                    Err(failure) => failure,
                    Ok(_) => continue,
                };
                report.add(GROUP, failed(name, failure));
            }
        }
    }
    running
}

fn failed(name: String, failure: crate::exit::Failure) -> Check {
    let (says, hint) = both(failure);
    let check = Check::fail(name, says);
    match hint {
        Some(hint) => check.fix(hint),
        None => check,
    }
}

async fn busy(door: &Door, says: &str) -> Check {
    let Door { name, bind, port, flag, key } = door;
    let whose = owner(*port).map_or(String::new(), |program| format!(": {program}"));
    let (section, key) = key.split_once('.').unwrap_or(("", key));
    let other = free_after(*bind, *port).await;
    Check::fail(format!("{name} port"), format!("{bind}:{port} is held by {says}{whose}")).fix(
        format!(
            "pacslab serve {flag} {other}\n{key} = {other}   under [{section}] of pacslab.toml"
        ),
    )
}

/// The next port that nobody has.
async fn free_after(bind: IpAddr, port: u16) -> u16 {
    for other in (port..=port.saturating_add(100)).skip(1) {
        if TcpListener::bind((bind, other)).await.is_ok() {
            return other;
        }
    }
    0
}

async fn dicom_at(patient: &Patient) -> Has {
    match probe::echo(&patient.pacs).await {
        ref heard @ Echo::Answers { took, .. } if heard.is_ours() => {
            Has::Ours(format!("the department answers C-ECHO in {}", millis(took)))
        }
        Echo::Answers { version, .. } => Has::Other(format!("a DICOM application ({version})")),
        Echo::Rejected(_, why) | Echo::Refuses(why) => {
            Has::Other(format!("a DICOM application that refuses us: {why}"))
        }
        Echo::WantsTls(_) => Has::Other("something that speaks TLS (dicom.tls is false)".to_owned()),
        Echo::WantsPlain => Has::Other("a DICOM application without TLS (dicom.tls is true)".to_owned()),
        Echo::TlsRefused(why) => Has::Other(format!("something with another TLS: {why}")),
        Echo::NoDicom(what) => Has::Other(what),
        Echo::Silent(_) | Echo::Nobody(_) => {
            Has::Other("something unknown that answers no DICOM".to_owned())
        }
    }
}

async fn http_at(patient: &Patient) -> Has {
    let (host, port) = (reachable(patient.config.http.bind), patient.config.http.port);
    let asked = match &patient.rest {
        Some(server) => server.ask("GET", "/system", None).await.ok(),
        None => None,
    };
    let Some(answer) = asked else {
        return Has::Other(match probe::kind(&host, port).await {
            Kind::Closes | Kind::Silent if is_dicom(patient, &host, port).await => {
                Kind::Dicom.to_string()
            }
            kind => kind.to_string(),
        });
    };
    let ours = answer.field("www-authenticate").is_some_and(|realm| realm.contains("PACS Lab"));
    let server = answer.field("server").unwrap_or_default().to_owned();
    let status = answer.status();
    let told = answer.json().unwrap_or_default();
    match (status, ours) {
        (200, _) if told["PacsLabVersion"].is_string() => {
            Has::Ours("the department answers, the login works".to_owned())
        }
        (200, _) if told["DicomAet"].is_string() => Has::Other(format!(
            "an Orthanc {} (its title is {})",
            told["Version"].as_str().unwrap_or_default(),
            told["DicomAet"].as_str().unwrap_or_default()
        )),
        (401, true) => Has::Ours("a department answers; the login of this configuration is not its own".to_owned()),
        _ => Has::Other(Kind::Http(server).to_string()),
    }
}

/// Who listens for HL7 says nothing by itself, and a question would be a message.
async fn hl7_at(door: &Door, running: bool) -> Has {
    let program = owner(door.port).unwrap_or_default();
    if running && (program.is_empty() || program.starts_with("pacslab")) {
        return Has::Ours("the department listens".to_owned());
    }
    let host = reachable(door.bind);
    Has::Other(match probe::kind(&host, door.port).await {
        // our own, and other listeners that are strict
        Kind::Closes if program.starts_with("pacslab") => "another pacslab".to_owned(),
        kind => kind.to_string(),
    })
}

async fn is_dicom(patient: &Patient, host: &str, port: u16) -> bool {
    let mut target = patient.pacs.clone();
    (target.peer.host, target.peer.port) = (host.to_owned(), port);
    matches!(
        probe::echo(&target).await,
        Echo::Answers { .. } | Echo::Rejected(..) | Echo::Refuses(_)
    )
}

fn reach(bind: IpAddr) -> &'static str {
    match (bind.is_loopback(), bind.is_unspecified()) {
        (true, _) => "this computer only",
        (_, true) => "all networks",
        _ => "that address only",
    }
}
