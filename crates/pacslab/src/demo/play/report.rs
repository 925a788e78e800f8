//! What the scanner reports of its work: before the images, and after them.

use pacslab_modality::{Acquisition, Done, Ending, Options, Reason, Reported, Sent, WorklistItem};
use pacslab_model::Uid;

use super::Play;
use crate::exit::{Failure, Result};

/// A step that the scanner has begun.
pub(super) struct Begun {
    pub(super) item: WorklistItem,
    /// With the report that images refer to, if there is one.
    pub(super) options: Options,
}

impl Play<'_> {
    /// The RIS is told that the exam begins, if the PACS takes such reports.
    pub(super) async fn begin_step(&mut self, item: WorklistItem) -> Result<Begun> {
        self.begin();
        let mut options = Options::new(self.seed(), self.clock.now(), self.scanner.clone());
        let reported =
            self.scanner().begin_step(&item, &options).await.map_err(|e| self.refused(&e))?;
        let text = match reported.without(self.profile.pacs.aet.as_str()) {
            Some(why) => why,
            None => format!("step {} IN PROGRESS", item.step_id()),
        };
        if let Reported::As(uid) = reported {
            options.mpps = Some(uid);
        }
        self.done("MPPS N-CREATE", self.associates(), text, None);
        Ok(Begun { item, options })
    }

    /// It is told how the exam has ended, and with which images; nothing where nothing was begun.
    pub(super) async fn end_step(
        &mut self,
        begun: &Begun,
        acquisition: &Acquisition,
        sent: &Sent,
    ) -> Result<()> {
        let Some(uid) = &begun.options.mpps else { return Ok(()) };
        self.begin();
        self.end_as(begun, uid, Ending::Completed, Some(acquisition), sent).await?;
        let images = sent.instances.len();
        let text = format!("step {} COMPLETED with {images} images", begun.item.step_id());
        self.done("MPPS N-SET", self.associates(), text, None);
        Ok(())
    }

    /// What went wrong goes on being what is told; the report that says so is best effort.
    pub(super) async fn discontinue(
        &mut self,
        begun: &Begun,
        acquisition: Option<&Acquisition>,
        sent: &Sent,
    ) {
        if let Some(uid) = &begun.options.mpps {
            let reason = acquisition.map_or(Reason::EquipmentFailure, |_| Reason::Unspecified);
            let ending = Ending::Discontinued(reason);
            let _ = self.end_as(begun, uid, ending, acquisition, sent).await;
        }
    }

    async fn end_as(
        &self,
        begun: &Begun,
        uid: &Uid,
        ending: Ending,
        acquisition: Option<&Acquisition>,
        sent: &Sent,
    ) -> Result<()> {
        let done = Done { ending, acquisition, stored: &sent.instances };
        let answered = self.scanner().end_step(uid, &begun.item, &begun.options, done).await;
        let reply = answered.map_err(|error| self.refused(&error))?;
        if reply.status.is_done() {
            return Ok(());
        }
        let text = format!("{} answered N-SET with {reply}", self.profile.pacs);
        Err(self.failed(Failure::failed(text)))
    }
}
