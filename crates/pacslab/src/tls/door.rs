//! What stands behind a listening port before the protocol begins: TLS where it is switched on,
//! and in any case somebody who notices when plain and TLS were mixed up, and says so.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pacslab_dimse::{BoxFuture, SecureAcceptor, Stream};
use pacslab_http::{Connection, Gate};
use pacslab_model::{Clock, Direction, Emit, Event, Outcome};
use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::stream::{Noted, Secured};
use super::words::{Side, plain};
use super::{Files, pem, provider};
use crate::clock::SystemClock;
use crate::config::{ClientCertificates, Config, Tls};
use crate::exit::{Failure, Result};
use crate::logging::Logged;

/// How long a handshake may take at most.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long a connection that we turned away may stay open.
const LINGER: Duration = Duration::from_secs(2);

/// Kind of the events of connections that were turned away.
const REFUSED: &str = "tls.refused";

/// One door, with TLS or without.
pub(crate) struct Door {
    acceptor: Option<TlsAcceptor>,
    side: Arc<Side>,
    setting: &'static str,
    limit: Duration,
    events: Arc<dyn Emit>,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// A door that speaks TLS if `on`; `setting` is what switches it: `dicom.tls`. A handshake
    /// may take no longer than `limit`.
    ///
    /// # Errors
    /// Certificate, key or CA are missing or do not fit; each says which file and what to do.
    pub(crate) fn new(
        on: bool,
        setting: &'static str,
        tls: &Tls,
        limit: Duration,
        events: Arc<dyn Emit>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let acceptor = match on {
            true => Some(TlsAcceptor::from(Arc::new(configure(tls, setting)?))),
            false => None,
        };
        let (cert, ca): (PathBuf, PathBuf) = (tls.cert.clone(), tls.ca.clone());
        let side = Arc::new(Side::Door { cert, ca });
        Ok(Self { acceptor, side, setting, limit: limit.min(HANDSHAKE), events, clock })
    }

    /// The gate of `pacslab receive`, if it speaks TLS.
    ///
    /// # Errors
    /// As [`Door::new`].
    pub(crate) fn of_receiver(config: &Config) -> Result<Option<Arc<dyn SecureAcceptor>>> {
        if !config.receiver.tls {
            return Ok(None);
        }
        let (events, clock) = (Arc::new(Logged), Arc::new(SystemClock));
        let door = Self::new(true, "receiver.tls", &config.tls, HANDSHAKE, events, clock)?;
        Ok(Some(Arc::new(door)))
    }

    pub(crate) fn is_secure(&self) -> bool {
        self.acceptor.is_some()
    }

    /// Waits for the first byte, which tells who is there, and for the handshake.
    async fn open(&self, tcp: TcpStream, peer: SocketAddr) -> Option<Opened> {
        let opened = timeout(self.limit, self.greet(tcp)).await.unwrap_or_else(|_| {
            let limit = self.limit.as_secs();
            Err(Refused::because(format!("said nothing for {limit} s")))
        });
        let refused = match opened {
            Ok(opened) => return Some(opened),
            // health checks and browsers connect and say nothing: no reason to worry
            Err(Refused { why: None, .. }) => return None,
            Err(refused) => refused,
        };
        self.tell(refused.why.unwrap_or_default(), peer);
        if let Some((tcp, answer)) = refused.answer {
            let _ = timeout(LINGER, turn_away(tcp, &answer)).await;
        }
        None
    }

    async fn greet(&self, tcp: TcpStream) -> std::result::Result<Opened, Refused> {
        let mut first = [0];
        match tcp.peek(&mut first).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Err(Refused { why: None, answer: None }),
        }
        let hello = first[0] == HANDSHAKE_RECORD;
        let Some(acceptor) = &self.acceptor else {
            if !hello {
                return Ok(Opened::Plain(tcp));
            }
            let why = format!(
                "a TLS handshake on a port without TLS: let it call without TLS (http:// instead \
                 of https://), or switch TLS on here ({} = true)",
                self.setting
            );
            return Err(Refused { why: Some(why), answer: Some((tcp, ALERT.to_vec())) });
        };
        if !hello {
            let (what, why) = plain(first[0], self.setting);
            let answer = match what {
                "DICOM" => ASSOCIATE_RJ.to_vec(),
                "HTTP" => bad_request(&why),
                _ => Vec::new(),
            };
            return Err(Refused { why: Some(why), answer: Some((tcp, answer)) });
        }
        match acceptor.accept(Noted::new(tcp)).into_fallible().await {
            Ok(stream) => Ok(Opened::Secured(Box::new(Secured::new(stream, self.side.clone())))),
            Err((error, tcp)) => Err(Refused::because(self.side.failed(&error, tcp.first()))),
        }
    }

    fn tell(&self, why: String, peer: SocketAddr) {
        let event = Event::new(self.clock.now(), REFUSED, why)
            .outcome(Outcome::Warning)
            .peer(peer.to_string(), Direction::In)
            .field("setting", self.setting);
        self.events.emit(event);
    }
}

enum Opened {
    Plain(TcpStream),
    Secured(Box<Secured>),
}

struct Refused {
    /// `None`: nothing worth telling.
    why: Option<String>,
    /// What is said to whoever does not speak TLS, in a protocol that it does speak.
    answer: Option<(TcpStream, Vec<u8>)>,
}

impl Refused {
    fn because(why: String) -> Self {
        Self { why: Some(why), answer: None }
    }
}

/// The type of a TLS record that holds a handshake message. RFC 8446 5.1.
const HANDSHAKE_RECORD: u8 = 0x16;
/// A fatal alert, protocol_version. RFC 8446 6.
const ALERT: [u8; 7] = [0x15, 3, 1, 0, 2, 2, 70];
/// A-ASSOCIATE-RJ: permanent, by the service provider (ACSE), protocol version not supported.
/// PS3.8 9.3.4.
const ASSOCIATE_RJ: [u8; 10] = [3, 0, 0, 0, 0, 4, 0, 1, 2, 2];

fn bad_request(why: &str) -> Vec<u8> {
    let body = format!("This is {why}.\n");
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Says it, and reads what still comes, so that the answer is not lost in a reset.
async fn turn_away(mut tcp: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    tcp.write_all(answer).await?;
    tcp.shutdown().await?;
    let mut sink = [0; 4096];
    for _ in 0..64 {
        if tcp.read(&mut sink).await? == 0 {
            break;
        }
    }
    Ok(())
}

impl SecureAcceptor for Door {
    fn accept(&self, tcp: TcpStream, peer: SocketAddr) -> BoxFuture<'_, Option<Box<dyn Stream>>> {
        Box::pin(async move {
            Some(match self.open(tcp, peer).await? {
                Opened::Plain(tcp) => Box::new(tcp) as Box<dyn Stream>,
                Opened::Secured(stream) => Box::new(stream.for_dicom()),
            })
        })
    }
}

impl Gate for Door {
    fn open(
        &self,
        tcp: TcpStream,
        from: SocketAddr,
    ) -> pacslab_http::BoxFuture<'_, Option<Box<dyn Connection>>> {
        Box::pin(async move {
            Some(match self.open(tcp, from).await? {
                Opened::Plain(tcp) => Box::new(tcp) as Box<dyn Connection>,
                Opened::Secured(stream) => stream,
            })
        })
    }
}

impl pacslab_ris::mllp::Gate for Door {
    fn open(&self, tcp: TcpStream, from: SocketAddr) -> pacslab_ris::mllp::Opening<'_> {
        Box::pin(async move {
            Some(match self.open(tcp, from).await? {
                Opened::Plain(tcp) => Box::new(tcp) as Box<dyn pacslab_ris::mllp::Wire>,
                Opened::Secured(stream) => stream,
            })
        })
    }
}

fn configure(tls: &Tls, setting: &'static str) -> Result<ServerConfig> {
    let files = Files::of(tls);
    let switched = |failure: Failure| Failure {
        message: format!("{setting} is on, but {}", failure.message),
        ..failure
    };
    let (chain, key) = pem::identity(&files).map_err(switched)?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::failed(format!("no TLS here: {error}")))?;
    let builder = match tls.client_certificates {
        ClientCertificates::None => builder.with_no_client_auth(),
        wanted => {
            let (roots, _) = pem::roots(&files.ca).map_err(switched)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
            let verifier = match wanted {
                ClientCertificates::Required => verifier,
                _ => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| {
                Failure::usage(format!("{} vouches for nobody: {error}", files.ca.display()))
            })?)
        }
    };
    let mut config =
        builder.with_single_cert(chain, key).map_err(|error| pem::unusable(&files, &error))?;
    if setting == "http.tls" {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    Ok(config)
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door").field("setting", &self.setting).finish_non_exhaustive()
    }
}
