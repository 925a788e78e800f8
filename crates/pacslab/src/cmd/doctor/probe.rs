//! Who is at the other end of a port: DICOM, HTTP, TLS, something else, nobody.

use std::time::{Duration, Instant};

use pacslab_dimse::pdu::AssociateRj;
use pacslab_dimse::{Error, Proposal};
use pacslab_model::uids;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::Target;
use crate::output::printable;

/// What came of a C-ECHO.
#[derive(Debug)]
pub(super) enum Echo {
    /// It answers; its implementation version name.
    Answers { took: Duration, version: String },
    /// DICOM, but C-ECHO got another status or no presentation context.
    Refuses(String),
    Rejected(AssociateRj, String),
    /// Nothing listens, or the host cannot be reached.
    Nobody(String),
    NoDicom(String),
    /// It answers with TLS, or would if we were known: we call without.
    WantsTls(String),
    /// It answers without TLS: we call with.
    WantsPlain,
    /// TLS is spoken at both ends and one does not believe the other.
    TlsRefused(String),
    /// Connected, and nothing of use came.
    Silent(String),
}

impl Echo {
    /// Of our own kind.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self, Self::Answers { version, .. } if version.starts_with("PACSLAB"))
    }
}

/// Asks by C-ECHO, and if that fails finds out what it is that answers otherwise.
pub(super) async fn echo(target: &Target) -> Echo {
    match attempt(target).await {
        Ok(answer) => answer,
        Err(error @ Error::Connect { .. }) => Echo::Nobody(error.to_string()),
        Err(Error::Rejected { answer, .. })
            if answer == AssociateRj::PROTOCOL_VERSION && !target.peer.tls =>
        {
            otherwise(target, format!("rejected: {}", answer.advice())).await
        }
        Err(ref error @ Error::Rejected { answer, .. }) => {
            Echo::Rejected(answer, error.to_string())
        }
        Err(error @ (Error::Aborted { .. } | Error::ContextRefused { .. })) => {
            Echo::Refuses(error.to_string())
        }
        Err(error) => otherwise(target, error.to_string()).await,
    }
}

/// The other way round, with TLS or without; else what it says to HTTP.
async fn otherwise(target: &Target, why: String) -> Echo {
    let mut other = target.clone();
    other.peer.tls = !target.peer.tls;
    let second = attempt(&other).await;
    match (&second, target.peer.tls) {
        (Ok(Echo::Answers { .. } | Echo::Refuses(_)) | Err(Error::Rejected { .. }), true) => {
            return Echo::WantsPlain;
        }
        (Ok(_), false) => return Echo::WantsTls("it answers with TLS".to_owned()),
        (_, true) => return Echo::TlsRefused(why),
        (Err(Error::Tls { .. }), false) if why.contains("TLS") => {
            return Echo::WantsTls("it speaks TLS".to_owned());
        }
        _ => {}
    }
    match kind(&target.peer.host, target.peer.port).await {
        Kind::Silent | Kind::Closes => Echo::Silent(why),
        Kind::Tls => Echo::WantsTls("it speaks TLS".to_owned()),
        kind => Echo::NoDicom(kind.to_string()),
    }
}

async fn attempt(target: &Target) -> Result<Echo, Error> {
    let begun = Instant::now();
    let mut association = target.call(Proposal::of(uids::VERIFICATION)).await?;
    let version = association.info().implementation_version.clone();
    let reply = association.echo().await?;
    let took = begun.elapsed();
    let _ = association.release().await;
    Ok(match reply.status.is_success() {
        true => Echo::Answers { took, version },
        false => Echo::Refuses(format!("C-ECHO is answered with {reply}")),
    })
}

/// What a port says to somebody who does not know what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Nobody,
    Http(String),
    Tls,
    Dicom,
    Mllp,
    /// It says something first: SSH, mail, ….
    Speaks(String),
    Closes,
    Silent,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody listens there"),
            Self::Http(server) if server.is_empty() => f.write_str("a web server"),
            Self::Http(server) => write!(f, "a web server ({server})"),
            Self::Tls => f.write_str("something that speaks TLS"),
            Self::Dicom => f.write_str("a DICOM application"),
            Self::Mllp => f.write_str("an HL7 receiver (MLLP)"),
            Self::Speaks(words) => write!(f, "something that says '{words}'"),
            Self::Closes => f.write_str("something unknown that hangs up"),
            Self::Silent => f.write_str("something unknown that says nothing"),
        }
    }
}

/// Who speaks first does so at once.
const FIRST: Duration = Duration::from_millis(200);
const ANSWER: Duration = Duration::from_millis(1500);

/// Listens first, then asks as a browser does.
pub(super) async fn kind(host: &str, port: u16) -> Kind {
    let Ok(Ok(mut stream)) = timeout(ANSWER, TcpStream::connect((host, port))).await else {
        return Kind::Nobody;
    };
    let mut bytes = vec![0; 512];
    if let Ok(Ok(read)) = timeout(FIRST, stream.read(&mut bytes)).await {
        return words(&bytes[..read]);
    }
    let asked = stream.write_all(b"GET / HTTP/1.0\r\nConnection: close\r\n\r\n").await;
    if asked.is_err() {
        return Kind::Closes;
    }
    match timeout(ANSWER, stream.read(&mut bytes)).await {
        Ok(Ok(read)) => words(&bytes[..read]),
        Ok(Err(_)) => Kind::Closes,
        Err(_) => Kind::Silent,
    }
}

fn words(bytes: &[u8]) -> Kind {
    match bytes {
        [] => Kind::Closes,
        [0x15, 3, ..] => Kind::Tls,
        // A-ASSOCIATE-RJ and A-ABORT: one byte of type, one reserved, the length
        [3 | 7, 0, 0, 0, 0, 4, ..] => Kind::Dicom,
        [0x0b, ..] => Kind::Mllp,
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            let head = String::from_utf8_lossy(bytes);
            let server = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("server").then(|| printable(value.trim()))
            });
            Kind::Http(server.unwrap_or_default())
        }
        other => {
            let line = String::from_utf8_lossy(other);
            let line = line.lines().next().unwrap_or_default().trim();
            Kind::Speaks(printable(&line.chars().take(40).collect::<String>()))
        }
    }
}

/// `2.1 ms`
pub(super) fn millis(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ports_say_is_known_by_its_first_bytes() {
        assert_eq!(words(b""), Kind::Closes);
        assert_eq!(words(b"SSH-2.0-OpenSSH_9\r\n"), Kind::Speaks("SSH-2.0-OpenSSH_9".into()));
        let nginx = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n";
        assert_eq!(words(nginx).to_string(), "a web server (nginx)");
        assert_eq!(words(&[0x15, 3, 1, 0, 2, 2, 70]), Kind::Tls);
        assert_eq!(words(&[7, 0, 0, 0, 0, 4, 0, 0, 2, 1]), Kind::Dicom);
        assert_eq!(words(&[0x0b, b'M']), Kind::Mllp);
    }
}
