//! The folder after a crash: files that are missing are written, files of ended steps removed.

use std::collections::HashMap;

use pacslab_model::order::StepStatus;
use pacslab_model::{Event, Outcome};
use pacslab_store::{OrderFilter, OrderRecord};

use super::{RefusedOrder, Ris};
use crate::events;
use crate::machine;
use crate::worklist::file::{self, FileError};

/// What [`Ris::reconcile`] mended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reconciled {
    pub orders_written: usize,
    pub files_removed: usize,
    /// Files that this software wrote for orders that this desk does not know; they stay.
    pub strangers: usize,
}

impl Ris {
    /// Makes the worklist folder show what the desk knows.
    ///
    /// # Errors
    /// The desk cannot be read or the folder cannot be written.
    pub fn reconcile(&self) -> Result<Reconciled, RefusedOrder> {
        let mut done = Reconciled::default();
        self.remove_unfinished()?;
        let mut there: HashMap<(String, String, String), Vec<(String, u64)>> = HashMap::new();
        for found in self.worklist.our_files() {
            let key = (found.accession, found.issuer, found.step_id);
            there.entry(key).or_default().push((found.name.to_string(), found.digest));
        }
        let open = StepStatus::ALL.into_iter().filter(|status| !machine::is_final(*status));
        let filter = OrderFilter { statuses: open.collect(), ..OrderFilter::default() };
        for OrderRecord { order, .. } in self.desk.orders(&filter)? {
            let mut right = true;
            for step in &order.steps {
                let key = (order.accession.clone(), order.key().into_owned(), step.id.clone());
                let files = there.remove(&key).unwrap_or_default();
                right &= match self.offered_as(&order, step)? {
                    Some(status) => {
                        let bytes = file::bytes(&order, step, status);
                        matches!(&files[..], [(_, digest)] if *digest == crate::worklist::digest(&bytes))
                    }
                    None => files.is_empty(),
                };
            }
            if !right {
                self.write_files(&order)?;
                done.orders_written += 1;
            }
        }
        // what is left is of orders that have ended, or of another desk
        for (accession, issuer, step_id) in there.into_keys() {
            let filter =
                OrderFilter { accession: Some(accession.clone()), ..OrderFilter::default() };
            let known = self.desk.orders(&filter)?;
            let known = known.iter().find(|record| record.order.key() == issuer);
            let step = known.and_then(|record| {
                let step = record.order.steps.iter().find(|step| step.id == step_id)?;
                Some((&record.order, step))
            });
            match step {
                Some((order, step)) if machine::is_final(step.status) => {
                    done.files_removed += file::remove(self.worklist.folder(), order, step)?.len();
                }
                Some(_) => {}
                None => done.strangers += 1,
            }
        }
        if done != Reconciled::default() {
            let text = format!(
                "worklist folder compared with the orders: {} orders written again, {} files of \
                 ended steps removed, {} files of unknown orders left alone",
                done.orders_written, done.files_removed, done.strangers
            );
            let event = Event::new(self.clock.now(), events::WORKLIST_FOLDER, text);
            self.emit.emit(event.outcome(Outcome::Ok));
        }
        Ok(done)
    }

    /// Files that were being written when the process ended.
    fn remove_unfinished(&self) -> Result<(), FileError> {
        let folder = self.worklist.folder();
        let fail = |source| FileError::Io { what: "list", path: folder.to_owned(), source };
        for entry in std::fs::read_dir(folder).map_err(fail)?.flatten() {
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.ends_with(file::UNFINISHED)) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(())
    }
}
