//! Instance Availability Notification: what peers tell of their studies becomes an event. PS3.4 R.

use std::sync::Arc;

use pacslab_archive::events::AVAILABILITY_TOLD;
use pacslab_dimse::message::Request;
use pacslab_dimse::service::normalized::{self, NormalizedHandler, NormalizedRequest, Performed};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Status, StatusReply};
use pacslab_model::{Direction, Event, Identifiers, tags};

use crate::door::Door;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    normalized::scp(association, &context, &request, &Notices(door)).await
}

struct Notices<'a>(&'a Door);

impl NormalizedHandler for Notices<'_> {
    fn perform(&self, request: NormalizedRequest) -> BoxFuture<'_, Performed> {
        Box::pin(std::future::ready(self.take(&request)))
    }
}

impl Notices<'_> {
    fn take(&self, request: &NormalizedRequest) -> Performed {
        let notice = &request.attributes;
        let study = notice.str(tags::STUDY_INSTANCE_UID);
        for (tag, missing) in [
            (tags::STUDY_INSTANCE_UID, study.is_empty()),
            (
                tags::REFERENCED_SERIES_SEQUENCE,
                notice.items(tags::REFERENCED_SERIES_SEQUENCE).is_empty(),
            ),
        ] {
            if missing {
                let comment = format!("{tag} is missing or has no value");
                return StatusReply::new(Status::MISSING_ATTRIBUTE, comment).attribute(tag).into();
            }
        }
        let series = notice.items(tags::REFERENCED_SERIES_SEQUENCE).iter();
        let instances = series.flat_map(|one| one.items(tags::REFERENCED_SOP_SEQUENCE));
        let (mut online, mut others) = (0, 0);
        for one in instances {
            match one.str(tags::INSTANCE_AVAILABILITY) {
                "ONLINE" => online += 1,
                _ => others += 1,
            }
        }
        let from = &request.association;
        let mut text = format!("{} has {online} instances of a study online", from.calling);
        if others > 0 {
            text += &format!(", {others} are not");
        }
        let ids = Identifiers { study_uid: study.to_owned(), ..Identifiers::default() };
        let event = Event::new(self.0.clock.now(), AVAILABILITY_TOLD, text)
            .peer(from.peer_name(), Direction::In)
            .ids(ids.clone())
            .field("online", online)
            .field("others", others);
        self.0.events.emit(event);
        Performed { ids, ..StatusReply::SUCCESS.into() }
    }
}
