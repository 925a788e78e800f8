//! What a step that has ended lists, compared with what the archive has. IHE RAD TF-2 4.7: images
//! may still be on their way then, so it is told when no more of them come.

use pacslab_model::{Event, Moment, Outcome, Uid};
use pacslab_store::StoreError;
use serde::{Deserialize, Serialize};

use super::PerformedStep;
use crate::arrivals::Images;
use crate::drawer::Drawer;
use crate::events;
use crate::orders::{RefusedOrder, Ris, Work};

/// A list that was not complete when it was last looked at.
#[derive(Serialize, Deserialize)]
struct Waiting {
    missing: usize,
    /// When the last of them came, or the list itself.
    since: Moment,
}

const WAITING: Drawer<Waiting> = Drawer::new("mpps-listed");

/// So many lists are looked at in one go.
const BATCH: usize = 100;
/// So many missing objects are named.
const NAMED: usize = 5;

impl Work<'_> {
    /// Leaves the list of a step to be compared.
    pub(super) fn expect_listed(&self, performed: &PerformedStep) -> Result<(), StoreError> {
        let missing = performed.listed().len();
        if missing == 0 {
            return Ok(());
        }
        let waiting = Waiting { missing, since: self.now() };
        self.wake_comparing();
        WAITING.put(self.papers(), performed.uid.as_str(), &waiting, self.now())
    }
}

impl Ris {
    /// Compares lists of steps with what has come; answers whether more is waited for. A list that
    /// stays incomplete is told once, and is let go of then.
    ///
    /// # Errors
    /// The desk or the images cannot be read.
    pub fn compare_listed(&self, images: &(impl Images + ?Sized)) -> Result<bool, RefusedOrder> {
        let mut waits = false;
        let mut after = String::new();
        loop {
            let batch = WAITING.after(&*self.desk, &after, BATCH)?;
            let Some((last, _)) = batch.last() else { return Ok(waits) };
            after.clone_from(last);
            for (key, waiting) in batch {
                waits |= self.compare(&Uid::new(key), waiting, images)?;
            }
        }
    }

    /// Answers when there may be a list to compare, and at once when one came since the last time.
    pub async fn to_compare(&self) {
        self.comparing.notified().await;
    }

    fn compare(
        &self,
        uid: &Uid,
        mut waiting: Waiting,
        images: &(impl Images + ?Sized),
    ) -> Result<bool, RefusedOrder> {
        let now = self.clock.now();
        let Some(performed) = self.performed(uid)? else {
            WAITING.remove(&*self.desk, uid.as_str())?;
            return Ok(false);
        };
        let listed = performed.listed();
        let missing = images.missing(&listed)?;
        if missing.is_empty() {
            WAITING.remove(&*self.desk, uid.as_str())?;
            return Ok(false);
        }
        if missing.len() < waiting.missing {
            waiting = Waiting { missing: missing.len(), since: now };
            WAITING.put(&*self.desk, uid.as_str(), &waiting, now)?;
            return Ok(true);
        }
        let patience = self.settings.listed_within.saturating_mul(1_000_000);
        if now.micros.saturating_sub(waiting.since.micros) < patience {
            return Ok(true);
        }
        // told first: twice is better than not at all
        let named: Vec<&str> = missing.iter().take(NAMED).map(Uid::as_str).collect();
        let more = if missing.len() > NAMED { ", …" } else { "" };
        let text = format!(
            "{} reported {} objects, and {} of them have not come: {}{more}; have the scanner send \
             them again",
            performed.station(),
            listed.len(),
            missing.len(),
            named.join(", ")
        );
        let event = Event::new(now, events::MISSING, text).outcome(Outcome::Warning);
        self.emit.emit(event.ids(performed.ids()));
        WAITING.remove(&*self.desk, uid.as_str())?;
        Ok(false)
    }
}
