//! What can go wrong with an association, told for the person at this end.

use std::io;
use std::time::Duration;

use pacslab_dicom::dict;
use pacslab_model::Uid;

use crate::message::CommandError;
use crate::pace::TooSlow;
use crate::pdu::{Abort, AssociateRj, ContextOutcome, PduError};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {host}:{port}: {source}; {}", connect_hint(source))]
    Connect { host: String, port: u16, source: io::Error },
    #[error("no TLS with {host}:{port}: {why}")]
    Tls { host: String, port: u16, why: String },
    #[error("{peer} speaks no DICOM there: {speaks}")]
    NotDicom { peer: String, speaks: &'static str },
    #[error("{called} at {peer} rejected the association of {calling} {answer}; {}", answer.advice())]
    Rejected { peer: String, called: String, calling: String, answer: AssociateRj },
    #[error("the peer aborted the association {abort} (while {during})")]
    Aborted { abort: Abort, during: &'static str },
    #[error("nothing came for {} while {during}; the association was aborted", seconds(.after))]
    Timeout { during: &'static str, after: Duration },
    #[error("the peer took no data for {}; the connection was closed", seconds(.after))]
    Stalled { after: Duration },
    #[error("the peer sent {how} while {during}; the association was aborted")]
    TooSlow { during: &'static str, how: TooSlow },
    #[error("the peer took {0}; the connection was closed")]
    TakesTooSlowly(TooSlow),
    #[error("the peer closed the connection while {during}")]
    Closed { during: &'static str },
    #[error("the connection failed while {during}: {source}")]
    Io { during: &'static str, source: io::Error },
    #[error("the peer sent {problem} (while {during})")]
    Pdu { problem: PduError, during: &'static str },
    #[error("the peer sent {what} while {during}")]
    Protocol { what: String, during: &'static str },
    #[error("the peer sent no valid command set: {0}")]
    Command(#[from] CommandError),
    #[error("the peer does not accept {}: {reason}", named(.abstract_syntax))]
    ContextRefused { abstract_syntax: Uid, reason: Refusal },
    #[error("{what} of more than {limit} bytes")]
    TooLong { what: &'static str, limit: usize },
    #[error("{what} cannot be read as {transfer_syntax}: {problem}")]
    DataSet { what: &'static str, transfer_syntax: Uid, problem: String },
    #[error("what was to be sent could not be read: {0}")]
    Source(#[source] io::Error),
    /// The door ends the association instead of answering.
    #[error("{0}")]
    Denied(String),
    #[error("the association is over")]
    Over,
    #[error("the server is shutting down")]
    Shutdown,
}

/// Why there is no presentation context for something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    Answered(ContextOutcome),
    /// Accepted, but with other transfer syntaxes than the one that is needed.
    OtherSyntax {
        needed: Uid,
        accepted: Vec<Uid>,
    },
    NotProposed,
    Unanswered,
    /// Accepted, but the peer is not its SCP.
    Role,
    /// Accepted, but we are not to be its SCP.
    OurRole,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(outcome) => write!(f, "{outcome}"),
            Self::OtherSyntax { needed, accepted } => {
                let names: Vec<String> = accepted.iter().map(named).collect();
                write!(f, "{} is needed, it accepted {}", named(needed), names.join(", "))
            }
            Self::NotProposed => f.write_str("it was not proposed on this association"),
            Self::Role => f.write_str("SCP role not negotiated (role selection)"),
            Self::OurRole => f.write_str("it does not let us be SCP (role selection)"),
            Self::Unanswered => f.write_str("it gave no answer to this presentation context"),
        }
    }
}

/// `CT Image Storage (1.2.840…)`, or the bare UID.
pub(crate) fn named(uid: &Uid) -> String {
    match dict::uid_name(uid.as_str()) {
        Some(name) => format!("{name} ({uid})"),
        None => uid.to_string(),
    }
}

pub(crate) fn seconds(duration: &Duration) -> String {
    match duration.as_millis() {
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        ms => format!("{ms} ms"),
    }
}

fn connect_hint(error: &io::Error) -> &'static str {
    use io::ErrorKind::*;
    match error.kind() {
        ConnectionRefused => "nothing listens there: is the peer running, and is the port right?",
        TimedOut => "no answer: check address, network and firewall",
        HostUnreachable | NetworkUnreachable => "there is no route to that address",
        AddrNotAvailable | InvalidInput => "check the host and the port",
        _ => "check that the host name is right and can be resolved",
    }
}
