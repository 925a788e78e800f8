//! Sending HL7 messages: whom to, and failures that say what to type.

use pacslab_ris::mllp::SendError;

use crate::client::{bracketed, reachable};
use crate::config::{Config, read_address};
use crate::exit::{Failure, Result};

/// Whoever takes HL7 messages: `to` as `host:port`, else that of the configuration; host and port
/// alone replace its parts.
pub(crate) fn receiver(
    to: Option<&str>,
    host: Option<&str>,
    port: Option<u16>,
    config: &Config,
) -> Result<String> {
    let (usual_host, usual_port) = match to.unwrap_or(&config.client.hl7) {
        "" => (reachable(config.mllp.bind), config.mllp.port),
        text => read_address(text).map_err(|why| {
            Failure::usage(format!("no receiver can be read from '{text}': {why}"))
        })?,
    };
    let host = host.unwrap_or(&usual_host);
    Ok(format!("{}:{}", bracketed(host), port.unwrap_or(usual_port)))
}

/// A message for people: one segment a line.
pub(crate) fn lines(text: &str) -> String {
    text.trim_end_matches('\r').replace('\r', "\n")
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        let text = error.to_string();
        match error {
            SendError::Connect { .. } => Self::network(text)
                .hint("start `pacslab serve`, or name the receiver: --to host:port"),
            SendError::Timeout { .. } => {
                Self::network(text).hint("wait longer with --timeout, e.g. --timeout 2m")
            }
            SendError::Io { .. } | SendError::Closed { .. } => Self::network(text),
            SendError::Answer { .. } => Self::failed(text),
        }
    }
}
