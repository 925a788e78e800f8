//! The configuration: whether it can be read, and whom its doors let in.

use super::report::{Check, Report};
use super::{Patient, both};
use crate::exit::Failure;

const GROUP: &str = "configuration";

/// It cannot be used as it is: an unknown key, port 0, a title that is too long.
pub(super) fn unusable(report: &mut Report, failure: Failure) {
    let (says, hint) = both(failure);
    let check = Check::fail("configuration", says);
    report.add(GROUP, match hint {
        Some(hint) => check.fix(hint),
        None => check.fix("pacslab config show"),
    });
}

pub(super) fn examine(patient: &Patient, report: &mut Report) {
    let mut add = |check| report.add(GROUP, check);
    for warning in &patient.loaded.warnings {
        add(Check::warn("configuration", warning).fix("pacslab config show"));
    }
    let shown = patient.loaded.values.shown();
    let said = shown.iter().filter(|(.., origin)| origin.to_string() != "default").count();
    add(Check::ok("configuration", match said {
        0 => "nothing is set, all values are the usual ones".to_owned(),
        said => format!("{said} values are set, all of them are understood"),
    }));
    if patient.foreign {
        return;
    }
    login(patient, &mut add);
    bound(patient, &mut add);
}

/// Who may log in at the HTTP door, from where.
fn login(patient: &Patient, add: &mut impl FnMut(Check)) {
    let config = &patient.config;
    let http = &config.http;
    let made = std::fs::read_to_string(crate::department::users_file(config))
        .is_ok_and(|text| text.lines().any(|line| !line.trim().is_empty()));
    let users = made || !config.users.is_empty();
    let usual = http.user == "orthanc" && http.password.reveal() == "orthanc";
    let away = !http.bind.is_loopback();
    let name = "login";
    add(match (http.auth, away) {
        (false, true) => Check::fail(
            name,
            format!("nobody has to log in (http.auth = false) and {} lets other computers in", http.bind),
        )
        .fix("auth = true   under [http] of pacslab.toml"),
        (false, false) => Check::ok(name, "nobody has to log in; only this computer comes in"),
        (true, false) if config.built_in_login && !users => {
            Check::ok(name, "orthanc / orthanc, from this computer only")
        }
        (true, true) if config.built_in_login && !users => Check::warn(
            name,
            format!(
                "http.bind = {} lets other computers in, and the built-in login orthanc / orthanc \
                 does not: nobody there can log in",
                http.bind
            ),
        )
        .fix("pacslab user add NAME"),
        (true, true) if usual && !config.built_in_login => Check::warn(
            name,
            format!("orthanc / orthanc, which everybody knows, and http.bind = {}", http.bind),
        )
        .fix("pacslab user add NAME\npassword = \"SOMETHING ELSE\"   under [http] of pacslab.toml"),
        _ => Check::ok(name, format!("by name and password{}", match users {
            true => ", of users of its own",
            false => "",
        })),
    });
}

/// Doors on loopback let nobody in from elsewhere, which peers elsewhere then call a dead PACS.
fn bound(patient: &Patient, add: &mut impl FnMut(Check)) {
    let config = &patient.config;
    let away = |host: &str| {
        host != "*"
            && host != "localhost"
            && !host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    };
    let far = config.peers.iter().find(|(_, peer)| away(&peer.host));
    if let Some((name, peer)) = far.filter(|_| config.dicom.bind.is_loopback()) {
        add(Check::warn(
            "DICOM address",
            format!(
                "dicom.bind = {} lets in this computer only: {name} at {} cannot call back",
                config.dicom.bind, peer.host
            ),
        )
        .fix("pacslab serve --bind 0.0.0.0\nbind = \"0.0.0.0\"   under [dicom] of pacslab.toml"));
    }
    let tls = &config.tls;
    let secure = config.dicom.tls || config.http.tls;
    for path in [&tls.cert, &tls.key].into_iter().filter(|path| secure && !path.exists()) {
        add(Check::fail("TLS", format!("{} is not there, and a door speaks TLS", path.display()))
            .fix("pacslab tls init"));
    }
    if cfg!(windows) {
        for (door, bind, port) in [
            ("DICOM", config.dicom.bind, config.dicom.port),
            ("HTTP", config.http.bind, config.http.port),
            ("HL7", config.mllp.bind, config.mllp.port),
        ] {
            if !bind.is_loopback() {
                add(Check::warn("firewall", format!("{door} is for other computers, too; Windows lets them in when it is told so, as administrator"))
                    .fix(format!("netsh advfirewall firewall add rule name=\"{door}-{port}\" dir=in action=allow protocol=TCP localport={port}")));
            }
        }
    }
}
