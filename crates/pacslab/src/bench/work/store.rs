//! C-STORE: each image is new, a hundred of them are a study. PS3.4 B.

use std::sync::Arc;

use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::{Association, choose_contexts};
use pacslab_model::{Uid, uids};

use super::{At, release, succeeded};
use crate::bench::images::{Form, Kinds, Object};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::bench::size::Size;

/// Images of one study that a connection sends.
const PER_STUDY: u64 = 100;

#[derive(Debug)]
pub(crate) struct Store {
    at: Arc<At>,
    kinds: Kinds,
}

impl Store {
    pub(crate) fn new(at: Arc<At>, size: Size) -> Self {
        let kinds = Kinds::of(size, &at.naming, Form::Bare);
        Self { at, kinds }
    }
}

impl Workload for Store {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let sender = Sender::open(self.at.clone(), &self.kinds).await?;
            let study = self.at.next_study();
            let worker: Box<dyn Worker> = Box::new(Storing { sender, study, sent: 0 });
            Ok(worker)
        })
    }
}

/// An association that stores images of any study.
pub(crate) struct Sender {
    at: Arc<At>,
    association: Association,
    objects: Vec<Object>,
    syntax: Uid,
}

impl Sender {
    pub(crate) async fn open(at: Arc<At>, kinds: &Kinds) -> Result<Self, Fault> {
        let syntax = Uid::new(uids::EXPLICIT_VR_LE);
        let pairs = kinds.classes().into_iter().map(|class| (class, syntax.clone()));
        let association = at.site.associate(choose_contexts(pairs).concat()).await?;
        Ok(Self { at, association, objects: kinds.objects(), syntax })
    }

    /// Stores the image with this number of a study; gives the bytes of its data set.
    pub(crate) async fn send(&mut self, study: u64, index: u64) -> Result<u64, Fault> {
        let kinds = self.objects.len();
        let Some(object) = self.objects.get_mut(index as usize % kinds.max(1)) else {
            return Err(Fault::wrong("nothing to send"));
        };
        object.become_image(&self.at.naming, study, index);
        let (class, instance) = (object.class(), &object.instance);
        let request = StoreRequest::new(class, instance, &self.syntax, &object.bytes);
        let reply = self.association.store(request).await?;
        succeeded("C-STORE", &reply)?;
        let bytes = object.bytes.len() as u64;
        self.at.wrote(1, bytes);
        Ok(bytes)
    }

    pub(crate) async fn close(self) {
        release(self.association).await;
    }
}

struct Storing {
    sender: Sender,
    study: u64,
    sent: u64,
}

impl Worker for Storing {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            if self.sent == PER_STUDY {
                (self.study, self.sent) = (self.sender.at.next_study(), 0);
            }
            // an image that was refused is not sent again
            self.sent += 1;
            let bytes = self.sender.send(self.study, self.sent).await?;
            Ok(Done { bytes, objects: 1, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(self.sender.close())
    }
}
