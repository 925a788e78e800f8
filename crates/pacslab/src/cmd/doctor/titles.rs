//! AE titles: lengths and characters were checked when they were read; this is what is left.

use super::Patient;
use super::report::{Check, Report};

const GROUP: &str = "AE titles";

pub(super) fn examine(patient: &Patient, report: &mut Report) {
    let config = &patient.config;
    let mut add = |check| report.add(GROUP, check);
    let ours = [
        ("dicom.aet", &config.dicom.aet),
        ("modality.aet", &config.modality.aet),
        ("receiver.aet", &config.receiver.aet),
    ];
    for (key, title) in ours {
        let odd = title.as_str().chars().any(|c| !c.is_ascii_alphanumeric() && c != '_' && c != '-');
        let lower = title.as_str().chars().any(|c| c.is_ascii_lowercase());
        let same = ours.iter().find(|(other, t)| *other < key && *t == title);
        let length = title.as_str().len();
        add(match (odd || lower, same) {
            (_, Some((other, _))) => Check::warn(
                key,
                format!("{title} is also {other}: who gets a message for it is a matter of luck"),
            )
            .fix(line_of(key, &format!("{}2", &title.as_str()[..length.min(15)]))),
            (true, None) => Check::warn(
                key,
                format!(
                    "'{title}' is allowed, but many devices take capital letters, digits and _ only"
                ),
            )
            .fix(line_of(key, &plain(title.as_str()))),
            (false, None) => Check::ok(key, format!("{title} ({length} of 16 characters)")),
        });
    }
    let mut seen: Vec<(&String, &crate::config::Peer)> = Vec::new();
    for (name, peer) in &config.peers {
        let alike = |other: &crate::config::Peer| {
            other.aet.as_str().eq_ignore_ascii_case(peer.aet.as_str())
        };
        if peer.aet.as_str().eq_ignore_ascii_case(config.dicom.aet.as_str()) {
            let says = format!(
                "{} at {}:{} has the title of the PACS here (dicom.aet)",
                peer.aet, peer.host, peer.port
            );
            add(Check::warn(format!("peer {name}"), says).fix("aet = \"PACSLAB2\"   under [dicom] of pacslab.toml"));
        } else if let Some((other, first)) = seen.iter().find(|(_, other)| alike(other)) {
            let same = (&first.host, first.port) == (&peer.host, peer.port);
            let says = format!(
                "{} is {other} ({}:{}), too: a C-MOVE to {} goes to the first",
                peer.aet, first.host, first.port, peer.aet
            );
            let fix = format!("{name} = \"{}2@{}:{}\"   under [peers] of pacslab.toml", &peer.aet.as_str()[..peer.aet.as_str().len().min(15)], peer.host, peer.port);
            let check = if same { Check::ok(format!("peer {name}"), says) } else { Check::warn(format!("peer {name}"), says).fix(fix) };
            add(check);
        }
        seen.push((name, peer));
    }
}

/// Strict: who is not listed may store and echo, not ask for the worklist. Of a department that is
/// open the query itself tells.
pub(super) fn scanner(patient: &Patient, report: &mut Report) {
    let config = &patient.config;
    let scanner = &config.modality.aet;
    let listed = config.peers.values().any(|peer| peer.aet == *scanner);
    let strict = config.dicom.policy != pacslab_scp::policy::Mode::Lab && !config.dicom.open;
    let may = config.dicom.always_allow_find_worklist.unwrap_or(!strict);
    if !listed && !may {
        let says = format!(
            "{scanner} is not in [peers] and dicom.policy is strict: unless it was registered, its \
             worklist query is refused"
        );
        let line = format!("{scanner} = \"{scanner}@127.0.0.1:11112\"   under [peers] of pacslab.toml");
        report.add(GROUP, Check::warn("scanner", says).fix(line));
    }
}

fn line_of(key: &str, value: &str) -> String {
    let (section, name) = key.split_once('.').unwrap_or(("", key));
    format!("{name} = \"{value}\"   under [{section}] of pacslab.toml")
}

/// The same in the characters that everybody takes.
fn plain(title: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    title.chars().map(kept).collect()
}
