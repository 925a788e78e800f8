//! WADO-RS: an instance, its first frame, and the picture of it. PS3.18 10.4.

use std::sync::Arc;

use super::get::next;
use super::{At, Prepared};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::size::Size;
use crate::bench::web::{Asked, Web, refused};
use crate::http::Server;

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Instance,
    Frame,
    Rendered,
}

impl Part {
    pub(crate) const ALL: [Self; 3] = [Self::Instance, Self::Frame, Self::Rendered];

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Frame => "frame",
            Self::Rendered => "rendered",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Instance => "",
            Self::Frame => "/frames/1",
            Self::Rendered => "/rendered",
        }
    }

    fn accept(self) -> &'static str {
        match self {
            Self::Instance => r#"multipart/related; type="application/dicom"; transfer-syntax=*"#,
            Self::Frame => {
                r#"multipart/related; type="application/octet-stream"; transfer-syntax=*"#
            }
            Self::Rendered => "image/jpeg",
        }
    }

    /// Fewer bytes are no right answer for an image with so many of pixels.
    fn least(self, pixels: usize) -> usize {
        match self {
            Self::Instance | Self::Frame => pixels,
            Self::Rendered => 100,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Wado {
    pub(crate) at: Arc<At>,
    pub(crate) server: Server,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) size: Size,
    pub(crate) part: Part,
}

impl Workload for Wado {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let worker: Box<dyn Worker> = Box::new(Fetching {
                at: self.at.clone(),
                prepared: self.prepared.clone(),
                web: Web::open(&self.server).await?,
                root: self.server.dicom_web().to_owned(),
                size: self.size,
                part: self.part,
                image: 0,
            });
            Ok(worker)
        })
    }
}

struct Fetching {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    web: Web,
    root: String,
    size: Size,
    part: Part,
    image: u64,
}

impl Worker for Fetching {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let known = next(&self.at, &self.prepared, self.size)?;
            self.image = self.image % known.images + 1;
            let naming = &self.at.naming;
            let path = format!(
                "{}/studies/{}/series/{}/instances/{}{}",
                self.root,
                naming.study_uid(known.study),
                naming.series_uid(known.study),
                naming.instance_uid(known.study, self.image),
                self.part.path()
            );
            let accept = self.part.accept();
            let asked = Asked { method: "GET", path: &path, accept, body: None };
            let (status, body) = self.web.ask(asked).await?;
            match status {
                200 if body.len() >= self.part.least(known.pixels) => {
                    Ok(Done { bytes: body.len() as u64, objects: 1, ..Done::default() })
                }
                200 => Err(Fault::wrong("the answer is too short")),
                _ => Err(refused("WADO", status, body)),
            }
        })
    }
}
