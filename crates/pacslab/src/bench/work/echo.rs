//! C-ECHO: with an association each, and on one that stays open. PS3.4 A.

use std::sync::Arc;

use pacslab_dimse::{Association, Proposal};
use pacslab_model::uids;

use super::{At, release, succeeded};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};

#[derive(Debug)]
pub(crate) struct Echo {
    pub(crate) at: Arc<At>,
    /// The association stays open.
    pub(crate) open: bool,
}

impl Workload for Echo {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let worker: Box<dyn Worker> = match self.open {
                false => Box::new(Each(self.at.clone())),
                true => Box::new(Open(connect(&self.at).await?)),
            };
            Ok(worker)
        })
    }
}

async fn connect(at: &At) -> Result<Association, Fault> {
    at.site.associate(Proposal::of(uids::VERIFICATION)).await
}

async fn echo(association: &mut Association) -> Result<Done, Fault> {
    let reply = association.echo().await?;
    succeeded("C-ECHO", &reply)?;
    Ok(Done::default())
}

struct Each(Arc<At>);

impl Worker for Each {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let mut association = connect(&self.0).await?;
            let done = echo(&mut association).await?;
            association.release().await?;
            Ok(done)
        })
    }
}

struct Open(Association);

impl Worker for Open {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(echo(&mut self.0))
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.0))
    }
}
