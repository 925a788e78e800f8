//! Orders: what a change of one does, whichever door it came through. IHE RAD TF-2 4.2 to 4.4, 4.13.
//!
//! A change is durable in the desk, then in the `.wl` files, and only then answered. What a crash
//! leaves undone between the two is done when the RIS is opened again.

mod appointments;
mod fill;
mod reconcile;
mod refused;
pub(crate) mod which;
mod work;

use std::sync::Arc;

use pacslab_model::order::{Order, OrderChange, OrderControl, ScheduledStep, StepStatus};
use pacslab_model::{Clock, Emit, Event, Identifiers, Outcome};
use pacslab_store::{Desk, OrderFilter, OrderRecord, Papers, StoreError};
use serde::{Deserialize, Serialize};

use crate::events;
use crate::machine::{self, StepEvent};
use crate::outbox::Outbox;
use crate::worklist::{Worklist, file};

pub use appointments::{Booked, BookingState};
pub use reconcile::Reconciled;
pub use refused::{Place, RefusedOrder};
pub use work::{Shown, Work};

/// The RIS: orders in the desk, their steps on the worklist.
pub struct Ris {
    pub(crate) desk: Arc<dyn Desk>,
    pub(crate) worklist: Arc<Worklist>,
    pub(crate) settings: RisSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) emit: Arc<dyn Emit>,
    /// Wakes whoever does what follows for the archive.
    pub(crate) refiling: tokio::sync::Notify,
    /// The same for reports.
    pub(crate) reporting: tokio::sync::Notify,
    /// Who is told of it all.
    pub(crate) outbox: Outbox,
    /// Wakes whoever compares what steps list with what has come.
    pub(crate) comparing: tokio::sync::Notify,
    pub(crate) scheduling: crate::clerk::Scheduling,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RisSettings {
    /// Makes the study UIDs of one lab differ from those of another.
    pub site: String,
    /// Before the numbers of orders that come without an accession number.
    pub accession_prefix: String,
    /// The first images of a study start its step.
    pub images_start_steps: bool,
    /// A step that images have started is offered no longer. Otherwise its `.wl` file goes on
    /// saying SCHEDULED until the step ends, as with a worklist server that only knows files. One
    /// that its scanner has reported on says STARTED in any case.
    pub started_leaves: bool,
    /// XO may change a step that has started.
    pub change_started: bool,
    /// Seconds that the next of the objects that an ended step lists may take to come.
    pub listed_within: i64,
}

impl Default for RisSettings {
    fn default() -> Self {
        Self {
            site: "PACSLAB".to_owned(),
            accession_prefix: "PL".to_owned(),
            images_start_steps: true,
            started_leaves: false,
            change_started: false,
            listed_within: 10,
        }
    }
}

/// What a change came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Applied {
    pub done: Done,
    /// The order as it now is.
    pub order: Order,
    /// What was missing or unusual and how it was filled.
    pub remarks: Vec<String>,
    /// Names of the files in the worklist folder that show it.
    pub files: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Done {
    Created,
    Changed,
    /// It was as asked already.
    Repeated,
}

impl Ris {
    /// Mends what a crash left undone between the desk and the worklist folder.
    ///
    /// # Errors
    /// The desk cannot be read or the folder cannot be written.
    pub fn open(
        desk: Arc<dyn Desk>,
        worklist: Arc<Worklist>,
        settings: RisSettings,
        clock: Arc<dyn Clock>,
        emit: Arc<dyn Emit>,
    ) -> Result<Self, RefusedOrder> {
        let refiling = tokio::sync::Notify::new();
        let reporting = tokio::sync::Notify::new();
        refiling.notify_one();
        reporting.notify_one();
        let outbox = Outbox::default();
        let comparing = tokio::sync::Notify::new();
        let scheduling = crate::clerk::Scheduling::default();
        let ris = Self {
            desk,
            worklist,
            settings,
            clock,
            emit,
            refiling,
            reporting,
            outbox,
            comparing,
            scheduling,
        };
        ris.reconcile()?;
        Ok(ris)
    }

    /// How orders by hand find their exam and their room.
    #[must_use]
    pub fn scheduling(mut self, scheduling: crate::clerk::Scheduling) -> Self {
        self.scheduling = scheduling;
        self
    }

    pub fn worklist(&self) -> &Arc<Worklist> {
        &self.worklist
    }

    pub fn desk(&self) -> &Arc<dyn Desk> {
        &self.desk
    }

    /// Does what a change asks for. Blocks until the effect is durable.
    ///
    /// # Errors
    /// See [`RefusedOrder`]; a refused change has changed nothing, except that
    /// [`RefusedOrder::File`] leaves an order whose file is still to be written: sending the same
    /// again, or starting again, mends that.
    pub fn apply(&self, change: OrderChange) -> Result<Applied, RefusedOrder> {
        let (mut applied, shown) = self.work(|work| work.apply(change))?;
        if let Some(shown) = shown.into_iter().next() {
            (applied.order, applied.files) = (shown.order, shown.files);
        }
        Ok(applied)
    }

    /// A new order that is there already: the same, or another one with its number.
    fn repeated(
        &self,
        papers: &dyn Papers,
        order: Order,
        known: &OrderRecord,
        remarks: &mut Vec<String>,
    ) -> Result<Order, RefusedOrder> {
        let mut order = self.filled(papers, order, Some(&known.order), remarks)?;
        for (step, there) in order.steps.iter_mut().zip(&known.order.steps) {
            step.status = there.status;
        }
        let withdrawn = |step: &ScheduledStep| {
            matches!(
                step.status,
                StepStatus::Cancelled | StepStatus::Discontinued | StepStatus::NoShow
            )
        };
        match fill::difference(&known.order, &order) {
            None if known.order.steps.iter().all(withdrawn) => Err(RefusedOrder::Duplicate {
                accession: order.accession,
                differs: "it has been cancelled".to_owned(),
            }),
            None => Ok(known.order.clone()),
            Some(differs) => Err(RefusedOrder::Duplicate { accession: order.accession, differs }),
        }
    }

    /// XO: what it tells replaces what was known, except the identifiers that images carry already.
    fn revised(
        &self,
        papers: &dyn Papers,
        order: Order,
        known: &OrderRecord,
        remarks: &mut Vec<String>,
    ) -> Result<Order, RefusedOrder> {
        let (mut next, asked) = fill::merged(order, &known.order, remarks);
        let open = |step: &ScheduledStep| !machine::is_final(step.status);
        let all_ended = !known.order.steps.iter().any(open);
        for (at, step) in next.steps.iter_mut().enumerate() {
            let Some(there) = known.order.steps.iter().find(|there| there.id == step.id) else {
                step.status = StepStatus::Scheduled;
                continue;
            };
            let wanted = asked.iter().find(|(asked, _)| *asked == at).map(|(_, status)| *status);
            let event = wanted.and_then(machine::towards).unwrap_or(StepEvent::Revise);
            step.status = there.status;
            let ignored = event == StepEvent::Revise
                && ((self.settings.change_started && open(there)) || (!open(there) && !all_ended));
            if !ignored {
                step.status = machine::step(there.status, event)
                    .map_err(|unexpected| RefusedOrder::step(&known.order, step, unexpected))?;
            }
        }
        self.filled(papers, next, Some(&known.order), remarks)
    }

    /// Makes the folder show an order as the desk has it; names its files.
    pub(crate) fn publish(&self, mut order: Order) -> Result<(Order, Vec<String>), RefusedOrder> {
        loop {
            let files = self.write_files(&order)?;
            // another change may have come between: the folder must end with the last one
            let filter =
                OrderFilter { accession: Some(order.accession.clone()), ..OrderFilter::default() };
            let last = self
                .desk
                .orders(&filter)?
                .into_iter()
                .find(|record| record.order.same_key(&order) && record.order != order);
            match last {
                None => return Ok((order, files)),
                Some(record) => order = record.order,
            }
        }
    }

    pub(crate) fn write_files(&self, order: &Order) -> Result<Vec<String>, RefusedOrder> {
        let folder = self.worklist.folder();
        let mut files = Vec::new();
        for step in &order.steps {
            let Some(status) = self.offered_as(order, step)? else {
                for name in file::remove(folder, order, step)? {
                    let text = format!("{name} removed: the step is {}", step.status.as_str());
                    self.tell(events::WORKLIST_REMOVED, text, order);
                }
                continue;
            };
            let written = file::write(folder, order, step, status)?;
            if let Some(wanted) = &written.instead_of {
                let text = format!(
                    "{} written, because {wanted} is a file of somebody else's",
                    written.name
                );
                let event = Event::new(self.clock.now(), events::WORKLIST_WRITTEN, text)
                    .outcome(Outcome::Warning);
                self.emit.emit(event.ids(identifiers(order)));
            } else if written.changed {
                self.tell(events::WORKLIST_WRITTEN, format!("{} written", written.name), order);
            }
            files.push(written.name);
        }
        Ok(files)
    }

    /// What the file of a step says about it; `None`: it has none.
    pub(crate) fn offered_as(
        &self,
        order: &Order,
        step: &ScheduledStep,
    ) -> Result<Option<StepStatus>, StoreError> {
        Ok(match step.status {
            StepStatus::Started | StepStatus::Departed
                if !self.settings.started_leaves
                    && self.performed_of(order, &step.id)?.is_empty() =>
            {
                Some(StepStatus::Scheduled)
            }
            status if machine::is_final(status) => None,
            status => Some(status),
        })
    }

    pub(crate) fn tell(&self, kind: &'static str, text: String, order: &Order) {
        self.emit.emit(Event::new(self.clock.now(), kind, text).ids(identifiers(order)));
    }
}

impl std::fmt::Debug for Ris {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ris").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Moves the steps that are named; all that have not ended when none is, or one without an id.
fn moved(
    known: &OrderRecord,
    named: &[ScheduledStep],
    event: impl Fn(Option<&ScheduledStep>) -> Option<StepEvent>,
) -> Result<Order, RefusedOrder> {
    let mut next = known.order.clone();
    let move_on = |step: &mut ScheduledStep, event| {
        step.status = machine::step(step.status, event)
            .map_err(|unexpected| RefusedOrder::step(&known.order, step, unexpected))?;
        Ok::<_, RefusedOrder>(())
    };
    let whole = named.iter().find(|step| step.id.is_empty());
    if named.is_empty() || whole.is_some() {
        let Some(event) = event(whole) else { return Ok(next) };
        let all_ended = next.steps.iter().all(|step| machine::is_final(step.status));
        for step in &mut next.steps {
            if all_ended || !machine::is_final(step.status) {
                move_on(step, event)?;
            }
        }
        return Ok(next);
    }
    for wanted in named {
        let Some(step) = next.steps.iter_mut().find(|step| step.id == wanted.id) else {
            return Err(RefusedOrder::NoSuchStep {
                accession: next.accession,
                step: wanted.id.clone(),
            });
        };
        if let Some(event) = event(Some(wanted)) {
            move_on(step, event)?;
        }
    }
    Ok(next)
}

const fn word(control: OrderControl) -> &'static str {
    match control {
        OrderControl::New => "new order",
        OrderControl::Change => "change of order",
        OrderControl::Cancel => "cancellation of order",
        OrderControl::Discontinue => "discontinuation of order",
        OrderControl::StatusChange => "status change of order",
    }
}

pub(crate) fn identifiers(order: &Order) -> Identifiers {
    Identifiers {
        accession: order.accession.clone(),
        patient_id: order.patient.id.id.clone(),
        study_uid: order.procedure.study_uid.to_string(),
        ..Identifiers::default()
    }
}
