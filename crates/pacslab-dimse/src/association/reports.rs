//! N-EVENT-REPORTs of ours to a peer that asked on this association. PS3.7 10.1.1.
//!
//! They leave between the requests of the peer's, while it is silent, and their answers are taken
//! wherever the next message is read: neither side waits for the other.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::Uid;
use tokio::sync::{mpsc, oneshot};

use super::deferred::{Deferred, poll_done};
use super::{Association, Data};
use crate::context::Context;
use crate::error::Error;
use crate::events::Told;
use crate::message::{Command, Field, Operation, Request, Response};
use crate::service::store::Stored;
use crate::status::StatusReply;

/// What is told.
#[derive(Clone, Debug)]
pub struct EventReport {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub event_type: u16,
    pub information: Dataset,
    /// For people.
    pub summary: String,
}

/// Tells a peer something over an association that somebody else serves, as long as it is open.
#[derive(Clone, Debug)]
pub struct Reporter {
    context: Arc<Context>,
    queue: mpsc::Sender<Report>,
}

/// Reports of an association that wait for their turn; who has more waits longer.
const WAITING: usize = 16;

#[derive(Debug)]
struct Report {
    context: Arc<Context>,
    report: EventReport,
    answered: oneshot::Sender<StatusReply>,
}

/// The queue, and what is not answered yet.
#[derive(Debug, Default)]
pub(super) struct Reports {
    queue: Option<(mpsc::Sender<Report>, mpsc::Receiver<Report>)>,
    sent: Vec<Sent>,
}

#[derive(Debug)]
struct Sent {
    message_id: u16,
    summary: String,
    begun: Instant,
    answered: oneshot::Sender<StatusReply>,
}

impl Reporter {
    /// What the peer answers; `None`: the association has ended, or there is no answer in time.
    pub async fn report(&self, report: EventReport, limit: Duration) -> Option<StatusReply> {
        let (answered, answer) = oneshot::channel();
        let report = Report { context: self.context.clone(), report, answered };
        let telling = async {
            self.queue.send(report).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(limit, telling).await.ok().flatten()
    }

    /// Ready when the association has ended.
    pub async fn ended(&self) {
        self.queue.closed().await;
    }
}

impl Association {
    /// For reports to the peer that come later, on this context.
    pub fn reporter(&mut self, context: &Arc<Context>) -> Reporter {
        let new = || mpsc::channel(WAITING);
        let (queue, _) = self.reports.queue.get_or_insert_with(new);
        Reporter { context: context.clone(), queue: queue.clone() }
    }

    /// Tells the peer something and waits for its answer. PS3.7 10.1.1.
    pub async fn report(&mut self, report: &EventReport) -> Result<StatusReply, Error> {
        let begun = Instant::now();
        let context = self.contexts.notify(report.sop_class.as_str())?.clone();
        let message_id = self.send_report(&context, report).await?;
        let during = "waiting for the response to N-EVENT-REPORT";
        let reply = self.response(message_id, during).await?.reply;
        self.tell(Told::new(Field::EventReport, &report.summary, &reply, begun.elapsed()));
        Ok(reply)
    }

    /// The next command, as [`Self::next_command`]; until the peer begins one, reports leave.
    pub(crate) async fn next_between_reports(
        &mut self,
    ) -> Result<Option<(Arc<Context>, Command)>, Error> {
        loop {
            if self.reports.queue.is_some() {
                self.skip_data().await?;
                while let Some(report) = self.report_due().await? {
                    self.begin_report(report).await?;
                }
            }
            match self.next_command().await? {
                Some((_, Command::Response(response))) if self.reported(&response) => {}
                other => return Ok(other),
            }
        }
    }

    /// Waits for a message of the peer's to begin; whether it did, or ended the association.
    /// Nothing is taken, so that it can be given up at any time.
    pub async fn speaks(&mut self, limit: Duration) -> bool {
        let speaking = std::future::poll_fn(|cx| {
            if !self.fragments.is_empty() || !self.wire.unread().is_empty() {
                return Poll::Ready(());
            }
            self.wire.poll_fill(cx).map(drop)
        });
        tokio::time::timeout(limit, speaking).await.is_ok()
    }

    /// The next report, unless the peer says something first.
    async fn report_due(&mut self) -> Result<Option<Report>, Error> {
        let limit = self.timeouts.idle;
        loop {
            let Self { reports, deferred, fragments, wire, .. } = self;
            let Some((_, queue)) = &mut reports.queue else { return Ok(None) };
            let first = std::future::poll_fn(|cx| {
                let done = poll_done(deferred, cx);
                if !done.is_empty() {
                    return Poll::Ready(First::Done(done));
                }
                if !fragments.is_empty() || !wire.unread().is_empty() {
                    return Poll::Ready(First::Peer);
                }
                if let Poll::Ready(Some(report)) = queue.poll_recv(cx) {
                    return Poll::Ready(First::Report(report));
                }
                wire.poll_fill(cx).map(|_| First::Peer)
            });
            match tokio::time::timeout(limit, first).await {
                Ok(First::Report(report)) if report.answered.is_closed() => {}
                Ok(First::Report(report)) => return Ok(Some(report)),
                Ok(First::Done(done)) => self.answer(done).await?,
                // silence is for who reads the next command to measure
                Ok(First::Peer) | Err(_) => return Ok(None),
            }
        }
    }

    async fn begin_report(&mut self, report: Report) -> Result<(), Error> {
        let Report { context, report, answered } = report;
        let begun = Instant::now();
        let message_id = self.send_report(&context, &report).await?;
        let summary = report.summary;
        self.reports.sent.push(Sent { message_id, summary, begun, answered });
        Ok(())
    }

    async fn send_report(&mut self, context: &Context, report: &EventReport) -> Result<u16, Error> {
        let message_id = self.next_message_id();
        let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
        let data = pacslab_dicom::encode(&report.information, &syntax);
        let operation = Operation::EventReport {
            sop_class: report.sop_class.clone(),
            sop_instance: report.sop_instance.clone(),
            event_type: report.event_type,
        };
        let request = Request { message_id, has_data: true, operation };
        self.send_request(context, request, Data::Bytes(&data)).await?;
        Ok(message_id)
    }

    /// Whether it answers a report of ours; then who waits for it has it.
    pub(super) fn reported(&mut self, response: &Response) -> bool {
        let sent = &mut self.reports.sent;
        let answers = |one: &Sent| one.message_id == response.message_id;
        let Some(at) = sent.iter().position(answers) else { return false };
        if response.field != Field::EventReport {
            return false;
        }
        let Sent { summary, begun, answered, .. } = sent.swap_remove(at);
        self.tell(Told::new(Field::EventReport, summary, &response.reply, begun.elapsed()));
        // who gave up tries it another way
        let _ = answered.send(response.reply.clone());
        true
    }
}

enum First {
    Report(Report),
    Done(Vec<(Deferred, Stored)>),
    Peer,
}
