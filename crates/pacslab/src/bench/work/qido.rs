//! QIDO-RS: a study by its accession number. PS3.18 10.6.

use std::sync::Arc;

use super::{At, Prepared};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::web::{Asked, Web, refused};
use crate::http::Server;

#[derive(Debug)]
pub(crate) struct Qido {
    pub(crate) at: Arc<At>,
    pub(crate) server: Server,
    pub(crate) prepared: Arc<Prepared>,
}

impl Workload for Qido {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let (at, prepared) = (self.at.clone(), self.prepared.clone());
            let (web, root) = (Web::open(&self.server).await?, self.server.dicom_web().to_owned());
            let worker: Box<dyn Worker> = Box::new(Asking { at, prepared, web, root });
            Ok(worker)
        })
    }
}

struct Asking {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    web: Web,
    root: String,
}

impl Worker for Asking {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let Some(known) = self.at.next_of(&self.prepared.small) else {
                return Err(Fault::wrong("nothing to find"));
            };
            let accession = self.at.naming.accession(known.study);
            let path = format!("{}/studies?AccessionNumber={accession}", self.root);
            let accept = "application/dicom+json";
            let asked = Asked { method: "GET", path: &path, accept, body: None };
            let (status, body) = self.web.ask(asked).await?;
            match status {
                200 => {}
                204 => return Err(Fault::wrong("matches are missing")),
                _ => return Err(refused("QIDO", status, body)),
            }
            // of one study: no JSON has to be read to see that it is the one
            let uid = self.at.naming.study_uid(known.study);
            match contains(body, uid.as_bytes()) && contains(body, accession.as_bytes()) {
                true => Ok(Done { bytes: body.len() as u64, objects: 1, ..Done::default() }),
                false => Err(Fault::wrong("matches are missing")),
            }
        })
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|here| here == text)
}
