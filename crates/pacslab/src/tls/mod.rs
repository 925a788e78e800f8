//! TLS in one place: what the doors show and want to see, and how we call others.
//!
//! PS3.15 B.12 (BCP 195, RFC 9325): TLS 1.2 and 1.3 with the suites that rustls has, which are all
//! among those that are recommended. The crates of the wire know nothing of it: they hand a TCP
//! connection over ([`pacslab_dimse::SecureAcceptor`], [`pacslab_http::Gate`],
//! [`pacslab_dimse::SecureConnector`]) and get a stream back, or nothing and the reason in words.
//!
//! There is no mode without verification: a certificate that no CA vouches for is trusted by
//! naming that certificate itself as `tls.ca`.

mod call;
mod door;
mod pem;
mod stream;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub(crate) use call::Caller;
pub(crate) use door::Door;

/// Where `pacslab tls init` puts things, and the defaults of `[tls]` look for them.
pub(crate) const FOLDER: &str = "tls";

/// What we show and whom we trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) ca: PathBuf,
}

impl Default for Files {
    fn default() -> Self {
        let usual = |name| Path::new(FOLDER).join(name);
        Self {
            cert: usual("server-cert.pem"),
            key: usual("server-key.pem"),
            ca: usual("ca-cert.pem"),
        }
    }
}

impl Files {
    pub(crate) fn of(config: &crate::config::Tls) -> Self {
        Self { cert: config.cert.clone(), key: config.key.clone(), ca: config.ca.clone() }
    }

    /// Nobody made or named a certificate: what was not chosen may be missing.
    fn none_was_made(&self) -> bool {
        let usual = |path: &Path| path.starts_with(FOLDER) && !path.exists();
        usual(&self.cert) && usual(&self.key)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
