//! N-CREATE and N-SET of performed procedure steps, and N-GET of what was reported. PS3.4 F.7, F.8.

use std::sync::Arc;

use pacslab_dicom::Dataset;
use pacslab_dimse::message::{Operation, Request};
use pacslab_dimse::service::normalized::{self, NormalizedHandler, NormalizedRequest, Performed};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Status, StatusReply};
use pacslab_model::{Tag, Uid};
use pacslab_ris::{PerformedStep, RefusedReport, Ris};

use crate::door::Door;
use crate::status_map;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    normalized::scp(association, &context, &request, door).await
}

impl NormalizedHandler for Door {
    fn perform(&self, request: NormalizedRequest) -> BoxFuture<'_, Performed> {
        let ris = self.ris.clone();
        Box::pin(async move {
            // it is answered when it is durable, and that is disk work
            tokio::task::spawn_blocking(move || done(&ris, request.operation, request.attributes))
                .await
                .unwrap_or_else(|_| {
                    StatusReply::new(Status::PROCESSING_FAILURE, "shutting down").into()
                })
        })
    }
}

fn done(ris: &Ris, operation: Operation, attributes: Dataset) -> Performed {
    let answered = |step: Result<PerformedStep, RefusedReport>| match step {
        Ok(step) => Performed {
            ids: step.ids(),
            sop_instance: Some(step.uid),
            ..StatusReply::SUCCESS.into()
        },
        Err(refused) => status_map::report(&refused).into(),
    };
    match operation {
        Operation::NCreate { sop_instance, .. } => {
            answered(ris.begin_performed(sop_instance, attributes))
        }
        Operation::NSet { sop_instance, .. } => {
            answered(ris.set_performed(&sop_instance, &attributes))
        }
        Operation::NGet { sop_instance, attributes, .. } => read(ris, &sop_instance, &attributes),
        _ => StatusReply::of(Status::UNRECOGNIZED_OPERATION).into(),
    }
}

/// The attributes that are asked for; all of them when none is named.
fn read(ris: &Ris, uid: &Uid, wanted: &[Tag]) -> Performed {
    let step = match ris.performed(uid) {
        Ok(Some(step)) => step,
        Ok(None) => return status_map::report(&RefusedReport::Unknown(uid.clone())).into(),
        Err(error) => return status_map::report(&RefusedReport::Store(error)).into(),
    };
    let asked = |tag: Tag| {
        wanted.is_empty()
            || wanted.contains(&tag)
            || tag == pacslab_model::tags::SPECIFIC_CHARACTER_SET
    };
    let found = step.attributes.iter().filter(|one| asked(one.tag)).cloned().collect();
    Performed { attributes: Some(found), ids: step.ids(), ..StatusReply::SUCCESS.into() }
}
