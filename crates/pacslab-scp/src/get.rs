//! C-GET from the archive, over the association of the request. PS3.4 C.4.3.

use std::sync::Arc;

use pacslab_archive::Outgoing;
use pacslab_dimse::message::Request;
use pacslab_dimse::service::get::{self, Failed, GetHandler, GetRequest, GetTask, Object};
use pacslab_dimse::{Association, BoxFuture, Context, Contexts, Error, StatusReply};

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
    get::scp(association, &context, &request, &Retrieve { root, door }).await
}

struct Retrieve<'a> {
    root: Root,
    door: &'a Door,
}

impl GetHandler for Retrieve<'_> {
    fn begin(&self, request: GetRequest) -> BoxFuture<'_, Result<Box<dyn GetTask>, StatusReply>> {
        Box::pin(async move {
            let (_, scope) = identifier::scope(self.root, &request.identifier)?;
            let archive = &self.door.archive;
            let instances =
                archive.instances(scope).await.map_err(|error| status_map::archive(&error))?;
            let objects = Outgoing::new(archive.clone(), instances);
            let total = objects.len();
            Ok(Box::new(Task { total, objects, contexts: request.contexts }) as Box<dyn GetTask>)
        })
    }
}

struct Task {
    total: usize,
    objects: Outgoing,
    contexts: Arc<Contexts>,
}

impl GetTask for Task {
    fn total(&self) -> usize {
        self.total
    }

    fn next(&mut self) -> BoxFuture<'_, Option<Result<Object, Failed>>> {
        Box::pin(self.objects.next(&self.contexts))
    }

    fn prepare(&mut self) {
        self.objects.prepare();
    }
}
