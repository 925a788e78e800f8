//! Storage Commitment, push model: requests go to the archive, which reports on them. PS3.4 J.

use std::sync::Arc;

use pacslab_dimse::message::Request;
use pacslab_dimse::service::commitment::{self, Asked, CommitmentHandler};
use pacslab_dimse::{Association, BoxFuture, Context, Error, StatusReply};

use crate::door::Door;
use crate::status_map;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    commitment::scp(association, &context, &request, door).await
}

impl CommitmentHandler for Door {
    fn keep(&self, asked: Asked) -> BoxFuture<'_, Result<(), StatusReply>> {
        Box::pin(async move {
            let Asked { association, request, reporter } = asked;
            let from = association.peer.to_string();
            let kept = self.commitments.keep(request, &association.calling, from, reporter).await;
            kept.map_err(|error| status_map::commitment(&error))
        })
    }
}
