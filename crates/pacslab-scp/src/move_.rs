//! C-MOVE from the archive to a known destination. PS3.4 C.4.2.

use std::sync::Arc;

use pacslab_archive::{Delivered, Delivery};
use pacslab_dimse::message::{MoveOriginator, Request};
use pacslab_dimse::service::move_::{self, MoveHandler, MoveRequest, MoveTask, SubOperation};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Status, StatusReply};

use crate::door::Door;
use crate::identifier::{self, Root};
use crate::status_map;

pub(crate) async fn perform(
    root: Root,
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    move_::scp(association, &context, &request, &Retrieve { root, door }).await
}

struct Retrieve<'a> {
    root: Root,
    door: &'a Door,
}

impl MoveHandler for Retrieve<'_> {
    fn begin(&self, request: MoveRequest) -> BoxFuture<'_, Result<Box<dyn MoveTask>, StatusReply>> {
        Box::pin(async move {
            let title = request.destination.trim_matches(' ');
            // the policy has seen it; a peer may have been removed since
            let Some(remote) = self.door.destination(title).map(|peer| peer.remote()) else {
                return Err(Status::MOVE_DESTINATION_UNKNOWN.into());
            };
            let (_, scope) = identifier::scope(self.root, &request.identifier)?;
            let archive = &self.door.archive;
            let instances =
                archive.instances(scope).await.map_err(|error| status_map::archive(&error))?;
            let total = instances.len();
            let originator = MoveOriginator {
                aet: request.association.calling.clone(),
                message_id: request.message_id,
            };
            let requestor = self.door.requestor.clone();
            let delivery =
                Delivery::new(archive.clone(), requestor, remote, instances, Some(originator));
            Ok(Box::new(Task { total, delivery }) as Box<dyn MoveTask>)
        })
    }
}

struct Task {
    total: usize,
    delivery: Delivery,
}

impl MoveTask for Task {
    fn total(&self) -> usize {
        self.total
    }

    fn next_operation(&mut self) -> BoxFuture<'_, Option<SubOperation>> {
        Box::pin(async move {
            Some(match self.delivery.next().await? {
                Delivered::Completed => SubOperation::Completed,
                Delivered::Warning(uid) => SubOperation::Warning(uid),
                Delivered::Failed { sop_instance, why } => {
                    SubOperation::Failed(move_::Failed { sop_instance, why })
                }
            })
        })
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.delivery.finish().await;
        })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.delivery.stop().await;
        })
    }
}
