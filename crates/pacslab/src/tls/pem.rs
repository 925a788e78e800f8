//! Certificates and keys from PEM files. RFC 7468.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::Files;
use crate::exit::{Failure, Result};

/// What is shown to the other side: the certificate, those that lead to its CA, and its key.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

const INIT: &str = "`pacslab tls init` makes a CA, certificates and keys";

pub(super) fn identity(files: &Files) -> Result<Identity> {
    let key = read(&files.key, "key", "tls.key (--cert-key)")?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
        let text = String::from_utf8_lossy(&key);
        let failure = |what: &str| Failure::usage(format!("{} {what}", files.key.display()));
        match text.contains("ENCRYPTED") {
            true => failure("is protected by a password, which nobody could type here").hint(
                "write it without one: openssl pkey -in KEY -out PLAIN, readable by you alone",
            ),
            false => failure("holds no private key in PEM form (-----BEGIN PRIVATE KEY-----)")
                .hint(format!("tls.key names the key of {}", files.cert.display())),
        }
    })?;
    Ok((certificates(&files.cert, "tls.cert (--cert)")?, key))
}

pub(super) fn roots(path: &Path) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let certificates = certificates(path, "tls.ca (--ca)")?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| {
            Failure::usage(format!("{} holds a certificate that is none: {error}", path.display()))
        })?;
    }
    Ok((roots, certificates))
}

fn certificates(path: &Path, setting: &str) -> Result<Vec<CertificateDer<'static>>> {
    let bytes = read(path, "certificate", setting)?;
    let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(Failure::usage(format!(
            "{} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)",
            path.display()
        ))
        .hint("from DER: openssl x509 -inform der -in FILE -out FILE.pem")),
        Err(error) => {
            Err(Failure::usage(format!("{} is damaged: {error}", path.display())).hint(INIT))
        }
    }
}

fn read(path: &Path, what: &str, setting: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let path = path.display();
        let message = match error.kind() {
            std::io::ErrorKind::NotFound => format!("there is no {what} at {path}"),
            _ => format!("the {what} {path} cannot be read: {error}"),
        };
        Failure::usage(message).hint(format!("{INIT}; {setting} names others"))
    })
}

/// The key belongs to the certificate, and is of a kind that can sign.
pub(super) fn unusable(files: &Files, error: &rustls::Error) -> Failure {
    let (cert, key) = (files.cert.display(), files.key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => {
            Failure::usage(format!("{key} is not the key of {cert}"))
                .hint("tls.cert and tls.key have to name a pair")
        }
        error => Failure::usage(format!("{cert} and {key} cannot be used: {error}"))
            .hint(format!("RSA of 2048 bits and more, ECDSA P-256 and P-384, Ed25519 can; {INIT}")),
    }
}
