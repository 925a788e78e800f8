//! C-GET of whole studies. PS3.4 C.4.3.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Proposal};
use pacslab_model::{Uid, Vr, tags, uids};

use super::{At, Known, Prepared, expect, release, succeeded};
use crate::bench::images::{Form, Kinds};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::sink::Taker;
use crate::bench::size::Size;

#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) size: Size,
}

impl Workload for Get {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let classes = Kinds::of(self.size, &self.at.naming, Form::Bare).classes();
            let syntax = Uid::new(uids::EXPLICIT_VR_LE);
            let contexts: Vec<_> =
                classes.into_iter().map(|class| (class, vec![syntax.clone()])).collect();
            let proposal = Proposal::to_get(uids::STUDY_ROOT_GET, &contexts);
            let association = self.at.site.associate(proposal).await?;
            let worker: Box<dyn Worker> = Box::new(Getting {
                at: self.at.clone(),
                prepared: self.prepared.clone(),
                size: self.size,
                association,
                taker: Taker::default(),
            });
            Ok(worker)
        })
    }
}

struct Getting {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    size: Size,
    association: Association,
    taker: Taker,
}

impl Worker for Getting {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let known = next(&self.at, &self.prepared, self.size)?;
            let identifier = identifier(&self.at, known);
            let model = uids::STUDY_ROOT_GET;
            let getting = self.association.get(model, &identifier, &self.taker).await?;
            let (reply, ..) = getting.finish().await?;
            succeeded("C-GET", &reply)?;
            let counted = &self.taker.0;
            let came = counted.objects.swap(0, Ordering::Relaxed);
            let bytes = counted.bytes.swap(0, Ordering::Relaxed);
            expect_images(came, known)?;
            Ok(Done { bytes, objects: came, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.association))
    }
}

pub(super) fn next<'a>(at: &At, prepared: &'a Prepared, size: Size) -> Result<&'a Known, Fault> {
    at.next_of(prepared.set(size)).ok_or_else(|| Fault::wrong("nothing to fetch"))
}

pub(super) fn identifier(at: &At, known: &Known) -> Dataset {
    Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY").with_str(
        tags::STUDY_INSTANCE_UID,
        Vr::UI,
        at.naming.study_uid(known.study),
    )
}

/// All images of the study have come, and nothing else.
pub(super) fn expect_images(came: u64, known: &Known) -> Result<(), Fault> {
    let images = known.images as usize;
    expect(came as usize, images, images)
        .map_err(|fault| Fault { kind: "images are missing or too many".to_owned(), ..fault })
}
