//! C-FIND over the modality worklist. PS3.4 K.
//!
//! One answer for each scheduled procedure step. When nothing matches although there are items,
//! an event tells which key kept each of them back: the modality's console will not.

use std::sync::Arc;

use pacslab_dicom::{Dataset, dict, query_keys};
use pacslab_dimse::message::Request;
use pacslab_dimse::service::find::{self, FindHandler, FindRequest, FindResults};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Status, StatusReply};
use pacslab_model::matching::Rules;
use pacslab_model::{Direction, Event, Key, Outcome};
use pacslab_ris::worklist::{Item, answer};

use crate::door::Door;

/// More answers than any console can show; a query that matches more is told to be narrower.
const LIMIT: usize = 100_000;

/// An item that did not match has come close: its explanation is kept for so many.
const EXPLAINED: usize = 5;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    find::scp(association, &context, &request, door).await
}

impl FindHandler for Door {
    fn find(
        &self,
        request: FindRequest,
    ) -> BoxFuture<'_, Result<Box<dyn FindResults>, StatusReply>> {
        Box::pin(async move {
            let keys = query_keys(&request.identifier).map_err(|bad| {
                StatusReply::new(
                    Status::DATA_SET_MISMATCH,
                    format!("{} '{}' is no {}", dict::name(bad.tag), bad.value, bad.vr),
                )
                .offending(bad.tag)
            })?;
            let worklist = self.worklist.clone();
            let asked = keys.clone();
            // the folder may have changed: looking at it is disk work
            let items =
                tokio::task::spawn_blocking(move || worklist.find(&asked, &Rules::WORKLIST, LIMIT))
                    .await
                    .map_err(|_| StatusReply::new(Status::PROCESSING_FAILURE, "shutting down"))?;
            if items.is_empty() {
                self.explain(&keys, &request.association.peer_name());
            }
            let results = Items { identifier: request.identifier, items: items.into_iter() };
            Ok(Box::new(results) as Box<dyn FindResults>)
        })
    }
}

impl Door {
    fn explain(&self, keys: &[Key], peer: &str) {
        let reasons = self.worklist.explain(keys, &Rules::WORKLIST);
        let message = match reasons.len() {
            0 => "nothing matches: the worklist is empty".to_owned(),
            items => format!("none of {items} worklist items matches"),
        };
        let mut event = Event::new(self.clock.now(), "worklist.no-match", message)
            .outcome(Outcome::Warning)
            .peer(peer, Direction::In);
        for (item, why) in reasons.iter().take(EXPLAINED) {
            let found = match &why.found {
                Some(found) => format!("has '{found}'"),
                None => "has none".to_owned(),
            };
            let reason = format!(
                "{}: {} {found}, asked for '{}'",
                item.entry().accession,
                dict::name(why.key),
                why.wanted
            );
            event = event.field("because", reason);
        }
        self.events.emit(event);
    }
}

struct Items {
    identifier: Dataset,
    items: std::vec::IntoIter<Arc<Item>>,
}

impl FindResults for Items {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<(Status, Dataset), StatusReply>>> {
        let next =
            self.items.next().map(|item| Ok((Status::PENDING, answer(&item, &self.identifier))));
        Box::pin(std::future::ready(next))
    }
}
