//! Calling with TLS: associations to peers that want it, and https://.

use std::sync::Arc;

use pacslab_dimse::{BoxFuture, SecureConnector, Stream};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::{Noted, Secured};
use super::words::Side;
use super::{Files, pem, provider};
use crate::exit::{Failure, Result};

/// Calls others. The files are read at each call: a certificate that was renewed is used at once.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    files: Files,
}

impl Caller {
    pub(crate) fn new(files: Files) -> Self {
        Self { files }
    }

    /// # Errors
    /// What is missing, or who did not believe whom, in words; with what to do about it.
    pub(crate) async fn call(&self, host: &str, tcp: TcpStream) -> Result<Secured> {
        let files = self.files.clone();
        let config = tokio::task::spawn_blocking(move || configure(&files))
            .await
            .map_err(|_| Failure::failed("the certificates could not be read"))??;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Failure::usage(format!("no certificate can be for the host '{host}'")))?;
        let cert = (!self.files.none_was_made()).then(|| self.files.cert.clone());
        let side = Side::Caller { ca: self.files.ca.clone(), cert };
        let connector = TlsConnector::from(Arc::new(config));
        match connector.connect(name, Noted::new(tcp)).into_fallible().await {
            Ok(stream) => Ok(Secured::new(stream, Arc::new(side))),
            Err((error, tcp)) => Err(Failure::network(side.failed(&error, tcp.first()))),
        }
    }
}

impl SecureConnector for Caller {
    fn connect<'a>(
        &'a self,
        tcp: TcpStream,
        host: &'a str,
    ) -> BoxFuture<'a, std::result::Result<Box<dyn Stream>, String>> {
        Box::pin(async move {
            match self.call(host, tcp).await {
                Ok(stream) => Ok(Box::new(stream.for_dicom()) as Box<dyn Stream>),
                Err(Failure { message, hint: Some(hint), .. }) => Err(format!("{message}; {hint}")),
                Err(Failure { message, .. }) => Err(message),
            }
        })
    }
}

fn configure(files: &Files) -> Result<ClientConfig> {
    let (roots, named) = pem::roots(&files.ca)?;
    let roots =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().map_err(
            |error| Failure::usage(format!("{} vouches for nobody: {error}", files.ca.display())),
        )?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::failed(format!("no TLS here: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Named { named, roots }));
    if files.none_was_made() {
        return Ok(builder.with_no_client_auth());
    }
    let (chain, key) = pem::identity(files)?;
    builder.with_client_auth_cert(chain, key).map_err(|error| pem::unusable(files, &error))
}

/// Verifies as always, against the CAs of the file; and trusts a server whose very certificate
/// stands in that file, as the self-signed ones that many PACS bring do. Whoever put it there has
/// said which server is meant, so that it may have any name. That it holds the key is verified.
#[derive(Debug)]
struct Named {
    named: Vec<CertificateDer<'static>>,
    roots: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let verified = self.roots.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            Err(error)
                if !of_time(&error) && self.named.contains(&end_entity.clone().into_owned()) =>
            {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        self.roots.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

fn of_time(error: &rustls::Error) -> bool {
    use CertificateError as E;
    let rustls::Error::InvalidCertificate(error) = error else { return false };
    matches!(
        error,
        E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. }
    )
}
