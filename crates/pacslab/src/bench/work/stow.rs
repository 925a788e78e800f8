//! STOW-RS: one new image a request. PS3.18 10.5.

use std::sync::Arc;

use serde_json::Value;

use super::At;
use crate::bench::images::{BOUNDARY, Form, Kinds, Object};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::size::Size;
use crate::bench::web::{Asked, Web, refused};
use crate::http::Server;

/// Images of one study that a connection sends.
const PER_STUDY: u64 = 100;

#[derive(Debug)]
pub(crate) struct Stow {
    at: Arc<At>,
    server: Server,
    kinds: Kinds,
}

impl Stow {
    pub(crate) fn new(at: Arc<At>, server: Server, size: Size) -> Self {
        let kinds = Kinds::of(size, &at.naming, Form::Multipart);
        Self { at, server, kinds }
    }
}

impl Workload for Stow {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let worker: Box<dyn Worker> = Box::new(Posting {
                at: self.at.clone(),
                web: Web::open(&self.server).await?,
                path: format!("{}/studies", self.server.dicom_web()),
                kind: format!("multipart/related; type=\"application/dicom\"; boundary={BOUNDARY}"),
                objects: self.kinds.objects(),
                study: self.at.next_study(),
                sent: 0,
            });
            Ok(worker)
        })
    }
}

struct Posting {
    at: Arc<At>,
    web: Web,
    path: String,
    kind: String,
    objects: Vec<Object>,
    study: u64,
    sent: u64,
}

impl Worker for Posting {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            if self.sent == PER_STUDY {
                (self.study, self.sent) = (self.at.next_study(), 0);
            }
            self.sent += 1;
            let kinds = self.objects.len();
            let Some(object) = self.objects.get_mut(self.sent as usize % kinds.max(1)) else {
                return Err(Fault::wrong("nothing to send"));
            };
            object.become_image(&self.at.naming, self.study, self.sent);
            let body = Some((self.kind.as_str(), object.bytes.as_slice()));
            let accept = "application/dicom+json";
            let asked = Asked { method: "POST", path: &self.path, accept, body };
            let (status, answer) = self.web.ask(asked).await?;
            match status {
                200 if is_stored(answer, object.instance.as_str()) => {
                    let bytes = object.bytes.len() as u64;
                    self.at.wrote(1, bytes);
                    Ok(Done { bytes, objects: 1, ..Done::default() })
                }
                200 | 202 | 409 => Err(Fault::wrong("STOW: not stored")),
                _ => Err(refused("STOW", status, answer)),
            }
        })
    }
}

/// ReferencedSOPSequence names it, and FailedSOPSequence, which may be there and empty, nobody.
/// PS3.18 table 10.5.3-2 and PS3.18 I.2.
fn is_stored(answer: &[u8], instance: &str) -> bool {
    let Ok(answer) = serde_json::from_slice::<Value>(answer) else { return false };
    let items = |tag: &str| answer[tag]["Value"].as_array().cloned().unwrap_or_default();
    items("00081198").is_empty()
        && items("00081199").iter().any(|item| item["00081155"]["Value"][0] == instance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_is_what_is_named_as_stored() {
        let one = r#"{"vr":"SQ","Value":[{"00081155":{"vr":"UI","Value":["1.2.3"]}}]}"#;
        let stored = |text: String| is_stored(text.as_bytes(), "1.2.3");
        assert!(stored(format!(r#"{{"00081199":{one}}}"#)));
        assert!(stored(format!(r#"{{"00081198":{{"vr":"SQ"}},"00081199":{one}}}"#)));
        assert!(!stored(format!(r#"{{"00081198":{one}}}"#)));
        assert!(!stored(format!(r#"{{"00081199":{}}}"#, one.replace("1.2.3", "1.2.4"))));
        assert!(!stored(String::new()));
    }
}
