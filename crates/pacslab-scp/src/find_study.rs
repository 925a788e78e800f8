//! C-FIND over the archive: Patient Root and Study Root. PS3.4 C.4.1, C.6.

use std::sync::Arc;

use pacslab_archive::{Archive, Row};
use pacslab_dicom::Dataset;
use pacslab_dimse::message::Request;
use pacslab_dimse::service::find::{self, FindHandler, FindRequest, FindResults};
use pacslab_dimse::{Association, BoxFuture, Context, Error, Status, StatusReply};
use pacslab_model::AeTitle;

use crate::door::Door;
use crate::identifier::{self, Question, Root};
use crate::status_map;

pub(crate) async fn perform(
    root: Root,
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    find::scp(association, &context, &request, &Studies { root, door }).await
}

struct Studies<'a> {
    root: Root,
    door: &'a Door,
}

impl FindHandler for Studies<'_> {
    fn find(
        &self,
        request: FindRequest,
    ) -> BoxFuture<'_, Result<Box<dyn FindResults>, StatusReply>> {
        Box::pin(async move {
            let question = identifier::question(self.root, &request.identifier)?;
            let mut pages = Pages {
                archive: self.door.archive.clone(),
                aet: self.door.aet.clone(),
                question,
                rows: Vec::new().into_iter(),
                more: true,
            };
            // the first page now, so that a failing index is the answer and not a torn stream
            pages.turn().await?;
            Ok(Box::new(pages) as Box<dyn FindResults>)
        })
    }
}

/// Rows are fetched by the page: a query that matches everything holds little memory.
const PAGE: usize = 1_000;

struct Pages {
    archive: Arc<Archive>,
    aet: AeTitle,
    question: Question,
    rows: std::vec::IntoIter<Row>,
    more: bool,
}

impl Pages {
    async fn turn(&mut self) -> Result<(), StatusReply> {
        let mut query = self.question.query.clone();
        query.limit = Some(PAGE);
        let rows = self.archive.find(query).await.map_err(|error| status_map::archive(&error))?;
        self.more = rows.len() == PAGE;
        self.question.query.after = rows.last().map(Row::cursor);
        self.rows = rows.into_iter();
        Ok(())
    }
}

impl FindResults for Pages {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<(Status, Dataset), StatusReply>>> {
        Box::pin(async move {
            if self.rows.len() == 0
                && self.more
                && let Err(reply) = self.turn().await
            {
                return Some(Err(reply));
            }
            let row = self.rows.next()?;
            let status = match self.question.unmatched {
                true => Status::PENDING_WARNING,
                false => Status::PENDING,
            };
            Some(Ok((status, identifier::answer(&self.question, &row, &self.aet))))
        })
    }
}
