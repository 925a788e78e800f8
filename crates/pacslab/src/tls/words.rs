//! Why there is no TLS, told for the person at this end: who refused, why, and what to change.

use std::io;
use std::path::PathBuf;

use rustls::{AlertDescription, CertificateError, Error};

/// Which end we are, and the files that the other side has to do with.
#[derive(Debug, Clone)]
pub(crate) enum Side {
    /// We call somebody.
    Caller {
        ca: PathBuf,
        /// What we show, if we have something.
        cert: Option<PathBuf>,
    },
    /// Somebody calls us.
    Door { cert: PathBuf, ca: PathBuf },
}

/// What TLS has to say in an error of a stream, if it is TLS that failed.
pub(super) fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

impl Side {
    /// Why a handshake failed; `first` are the first bytes that the other side sent.
    pub(super) fn failed(&self, error: &io::Error, first: &[u8]) -> String {
        match tls_error(error) {
            Some(error) => self.explain(error, first),
            None => {
                let what = match error.kind() {
                    io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe => {
                        "it closed the connection in the middle of the TLS handshake".to_owned()
                    }
                    _ => format!("the connection failed in the TLS handshake: {error}"),
                };
                match self {
                    Self::Caller { .. } => format!("{what}: does it speak TLS on this port?"),
                    Self::Door { ca, .. } => {
                        format!("{what}: does it trust {}?", ca.display())
                    }
                }
            }
        }
    }

    pub(super) fn explain(&self, error: &Error, first: &[u8]) -> String {
        match (self, error) {
            (_, Error::InvalidCertificate(problem)) => self.certificate(problem),
            (_, Error::AlertReceived(alert)) => self.alert(*alert),
            (Self::Caller { .. }, Error::InvalidMessage(_)) => no_tls(first),
            (Self::Door { ca, .. }, Error::NoCertificatesPresented) => format!(
                "it showed no certificate, and tls.client_certificates = \"required\"; give it one \
                 whose CA is in {} (pacslab: --cert and --cert-key, DCMTK: +tls KEY CERT)",
                ca.display()
            ),
            (_, Error::PeerIncompatible(why)) => format!(
                "it offers no version or cipher suite that we have: TLS 1.2 or 1.3, ECDHE with \
                 AES-GCM or ChaCha20 (BCP 195); in detail {why:?}"
            ),
            (_, error) => format!("the TLS handshake failed: {error}"),
        }
    }

    /// We did not believe the other side.
    fn certificate(&self, problem: &CertificateError) -> String {
        use CertificateError as E;
        let (ca, whose) = match self {
            Self::Caller { ca, .. } => (ca, "the server's"),
            Self::Door { ca, .. } => (ca, "its"),
        };
        let ca = ca.display();
        let why = match problem {
            E::UnknownIssuer => {
                let name = match self {
                    Self::Caller { .. } => {
                        "name its CA's certificate, or its own if it is self-signed, with --ca \
                         FILE or tls.ca"
                    }
                    Self::Door { .. } => "add its CA's certificate to that file",
                };
                return format!("{whose} certificate was issued by nobody whom {ca} holds; {name}");
            }
            E::Expired => "has expired".to_owned(),
            E::ExpiredContext { not_after, .. } => {
                format!("expired on {}", date(not_after.as_secs()))
            }
            E::NotValidYet => "is not valid yet".to_owned(),
            E::NotValidYetContext { not_before, .. } => {
                format!("is not valid before {}", date(not_before.as_secs()))
            }
            E::NotValidForNameContext { expected, presented } => {
                let expected = expected.to_str();
                let names: Vec<String> = presented.iter().map(|name| bare(name)).collect();
                let names = if names.is_empty() { "no name".into() } else { names.join(", ") };
                return format!(
                    "{whose} certificate is for {names}, not for {expected}; call it by one of \
                     its names, or make one for this name (`pacslab tls init --host {expected}`)"
                );
            }
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => {
                return format!(
                    "{whose} certificate is not meant for this end of a connection (extended key \
                     usage): it needs another one"
                );
            }
            E::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
                return format!(
                    "{whose} certificate is that of a CA or self-signed, and {ca} does not hold \
                     it; to trust it, name it with --ca FILE or tls.ca"
                );
            }
            other => format!("was not accepted: {other}"),
        };
        match problem {
            E::Expired | E::ExpiredContext { .. } => format!(
                "{whose} certificate {why}; it needs a new one (`pacslab tls init --force` makes \
                 one), unless the clock of this computer is wrong"
            ),
            E::NotValidYet | E::NotValidYetContext { .. } => {
                format!("{whose} certificate {why}; one of the two clocks is wrong")
            }
            _ => format!("{whose} certificate {why}"),
        }
    }

    /// The other side did not believe us, or does not get on with us.
    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        let shown = match self {
            Self::Caller { cert, .. } => cert.as_deref(),
            Self::Door { cert, .. } => Some(cert.as_path()),
        };
        let ours = shown.map_or_else(
            || "no certificate, which is what we showed".to_owned(),
            |cert| format!("our certificate {}", cert.display()),
        );
        match alert {
            A::UnknownCA | A::CertificateUnknown | A::BadCertificate | A::DecryptError => {
                match self {
                    Self::Caller { .. } => format!(
                        "it does not trust {ours}; give it the certificate of the CA that issued it"
                    ),
                    Self::Door { ca, .. } => format!(
                        "it does not trust {ours}; give it {} (pacslab: --ca, DCMTK: +cf, curl: \
                         --cacert), and call us by a name that is in our certificate",
                        ca.display()
                    ),
                }
            }
            A::CertificateRequired => match shown {
                None => WANTS_ONE.to_owned(),
                Some(_) => format!("it wants another certificate than {ours}"),
            },
            A::CertificateExpired => format!(
                "it says that {ours} has expired; `pacslab tls init --force` makes another one"
            ),
            A::UnsupportedCertificate => format!("it cannot do with {ours}: another kind of key?"),
            A::HandshakeFailure => match (self, shown) {
                // TLS 1.2 has no alert of its own for this
                (Self::Caller { .. }, None) => format!(
                    "it refused the handshake: either {WANTS_ONE}, or it has no cipher suite that we have (BCP 195)"
                ),
                _ => "it refused the handshake: it has no cipher suite that we have (TLS 1.2 or \
                      1.3, ECDHE with AES-GCM or ChaCha20; BCP 195)"
                    .to_owned(),
            },
            A::ProtocolVersion => "it speaks neither TLS 1.2 nor 1.3, or no TLS at all on this \
                                   port"
                .to_owned(),
            other => format!("it ended the TLS handshake: {other:?}"),
        }
    }
}

const WANTS_ONE: &str = "it wants a certificate from us: name one with --cert FILE --cert-key FILE, or \
                         tls.cert and tls.key";

/// We wanted TLS and got something else.
fn no_tls(first: &[u8]) -> String {
    match first {
        [b'H', b'T', b'T', b'P', ..] => {
            "it answers in plain HTTP: use http://, or switch TLS on there (http.tls = true)".into()
        }
        // A-ASSOCIATE-RJ and A-ABORT: what a plain DICOM port says to a TLS handshake
        [3 | 7, 0, ..] => "it answers in plain DICOM: call it without TLS, or switch TLS on there \
                           (dicom.tls = true)"
            .into(),
        [b'S', b'S', b'H', b'-', ..] => "an SSH server answers there".into(),
        [] => "it says nothing that is TLS".into(),
        _ => format!("what answers there is no TLS: it begins with {}", first.escape_ascii()),
    }
}

/// `DnsName("localhost")` as webpki shows names, without its type.
fn bare(name: &str) -> String {
    match (name.find('('), name.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            name[open + 1..close].trim_matches('"').to_owned()
        }
        _ => name.to_owned(),
    }
}

fn date(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    moment.map_or_else(|| "an impossible day".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// What came to a door that speaks TLS and is none. The first byte tells.
pub(super) fn plain(first: u8, setting: &str) -> (&'static str, String) {
    let off = format!("or switch TLS off here ({setting} = false)");
    match first {
        1 => (
            "DICOM",
            format!(
                "plain DICOM on a port that speaks TLS: let it call with TLS (pacslab: --tls, DCMTK: +tls, Orthanc: UseDicomTls), {off}"
            ),
        ),
        b'A'..=b'Z' => {
            ("HTTP", format!("a plain HTTP request on a port that speaks TLS: use https://, {off}"))
        }
        0x0b if setting == "mllp.tls" => {
            ("HL7", format!("plain MLLP on a port that speaks TLS: let it call with TLS, {off}"))
        }
        0x0b => (
            "HL7",
            "an HL7 message (MLLP) on a port that speaks TLS: the HL7 port is another one".into(),
        ),
        0x80 => (
            "SSL 2",
            "a handshake of SSL 2 or 3, which are broken: TLS 1.2 or 1.3 is needed".into(),
        ),
        byte => (
            "nothing known",
            format!("no TLS: it begins with 0x{byte:02x}; let it call with TLS, {off}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(cert: Option<&str>) -> Side {
        Side::Caller { ca: "tls/ca-cert.pem".into(), cert: cert.map(PathBuf::from) }
    }

    fn door() -> Side {
        let (cert, ca) = ("tls/server-cert.pem".into(), "tls/ca-cert.pem".into());
        Side::Door { cert, ca }
    }

    #[test]
    fn who_refused_why_and_what_to_give() {
        use AlertDescription as A;
        let cases = [
            (caller(None), Error::AlertReceived(A::CertificateRequired), "--cert FILE"),
            (
                caller(Some("c.pem")),
                Error::AlertReceived(A::UnknownCA),
                "does not trust our certificate c.pem",
            ),
            (caller(None), Error::AlertReceived(A::HandshakeFailure), "--cert FILE"),
            (door(), Error::AlertReceived(A::UnknownCA), "give it tls/ca-cert.pem"),
            (door(), Error::NoCertificatesPresented, "client_certificates"),
            (caller(None), Error::InvalidCertificate(CertificateError::UnknownIssuer), "--ca"),
            (door(), Error::InvalidCertificate(CertificateError::UnknownIssuer), "tls/ca-cert.pem"),
        ];
        for (side, error, words) in cases {
            let said = side.explain(&error, &[]);
            assert!(said.contains(words), "{error:?}: {said}");
        }
    }

    #[test]
    fn what_is_no_tls_is_named() {
        assert!(no_tls(b"HTTP/1.1 400").contains("http://"));
        assert!(no_tls(&[7, 0, 0, 0, 0, 4]).contains("plain DICOM"));
        assert!(no_tls(b"\x00\xff").contains("\\x00\\xff"));
        assert!(plain(1, "dicom.tls").1.contains("dicom.tls = false"));
        assert!(plain(b'G', "http.tls").1.contains("https://"));
    }

    #[test]
    fn days_and_names_are_readable() {
        assert_eq!(date(1_767_571_200), "2026-01-05");
        assert_eq!(bare("DnsName(\"localhost\")"), "localhost");
        assert_eq!(bare("127.0.0.1"), "127.0.0.1");
    }
}
