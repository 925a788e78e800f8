//! C-MOVE of whole studies to a receiver of our own. PS3.4 C.4.2.

use std::sync::Arc;

use pacslab_dimse::{Association, Proposal};
use pacslab_model::uids;

use super::get::{expect_images, identifier, next};
use super::{At, Prepared, release, succeeded};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::size::Size;

#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) size: Size,
    /// The AE title of the receiver, as the PACS knows it.
    pub(crate) destination: String,
}

/// PS3.4 table C.4-2.
const DESTINATION_UNKNOWN: u16 = 0xA801;

impl Workload for Move {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let association = self.at.site.associate(Proposal::of(uids::STUDY_ROOT_MOVE)).await?;
            let worker: Box<dyn Worker> = Box::new(Moving {
                at: self.at.clone(),
                prepared: self.prepared.clone(),
                size: self.size,
                destination: self.destination.clone(),
                association,
            });
            Ok(worker)
        })
    }
}

struct Moving {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    size: Size,
    destination: String,
    association: Association,
}

impl Worker for Moving {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let known = next(&self.at, &self.prepared, self.size)?;
            let identifier = identifier(&self.at, known);
            let (model, destination) = (uids::STUDY_ROOT_MOVE, &self.destination);
            let moving = self.association.move_(model, destination, &identifier).await?;
            let (reply, counts, _) = moving.finish().await?;
            succeeded("C-MOVE", &reply).map_err(|fault| match reply.status.0 {
                DESTINATION_UNKNOWN => fault.not_offered().detail(format!(
                    "the PACS does not know {destination} as a destination: make it known there, \
                     or give --http so that the benchmark does it"
                )),
                _ => fault,
            })?;
            let came = u64::from(counts.completed) + u64::from(counts.warning);
            expect_images(came, known)?;
            Ok(Done { bytes: known.bytes, objects: came, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.association))
    }
}
