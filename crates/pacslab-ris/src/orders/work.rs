//! Several changes as one: durable together, or none of them.
//!
//! What the department learns by one message or one button is one transaction of the desk: orders,
//! patients, performed steps, what is to be sent, and the answer that is kept. Files and events
//! follow it, so that nobody is told of what did not happen.

use std::cell::RefCell;

use pacslab_hl7::map::Attribute;
use pacslab_model::order::{Order, OrderChange, OrderControl};
use pacslab_model::{Event, Moment, Outcome};
use pacslab_store::{Expect, OrderRecord, Papers, Put, StoreError};

use super::refused::RefusedOrder;
use super::which::Which;
use super::{Applied, Done, Ris, identifiers, moved, word};
use crate::events;
use crate::machine::{self, StepEvent};

/// One transaction of the RIS, see [`Ris::work`].
pub struct Work<'a> {
    ris: &'a Ris,
    papers: &'a dyn Papers,
    after: RefCell<Afterwards>,
}

/// What is left to do when it is durable.
#[derive(Default, Debug)]
pub(crate) struct Afterwards {
    /// Orders whose files have to follow.
    changed: Vec<Changed>,
    told: Vec<Event>,
    /// The archive has something to do.
    refiles: bool,
    /// A report is to become an object.
    reports: bool,
    /// The destination of each message that was queued.
    queued: Vec<String>,
    /// There is a list to compare.
    compares: bool,
}

/// An order before a transaction and as it is at its end.
#[derive(Debug)]
struct Changed {
    before: Option<Order>,
    now: Order,
}

/// An order that was changed, and the files of the worklist folder that show it.
#[derive(Clone, PartialEq, Debug)]
pub struct Shown {
    pub order: Order,
    pub files: Vec<String>,
}

impl Ris {
    /// Runs `work` in one transaction: with an error nothing of it has happened. Blocks until the
    /// effect is durable and the worklist shows it. The closure must not wait for anything.
    ///
    /// # Errors
    /// Those of `work`; the desk or the worklist folder cannot be written.
    pub fn work<T, E>(
        &self,
        work: impl FnOnce(&Work<'_>) -> Result<T, E>,
    ) -> Result<(T, Vec<Shown>), E>
    where
        E: From<StoreError> + From<RefusedOrder>,
    {
        let (answer, Afterwards { changed, told, refiles, reports, queued, compares }) =
            pacslab_store::together(&*self.desk, |papers| {
                let unit = Work { ris: self, papers, after: RefCell::default() };
                let answer = work(&unit)?;
                unit.tell_orders()?;
                Ok::<_, E>((answer, unit.after.into_inner()))
            })?;
        if refiles {
            self.refiling.notify_one();
        }
        if reports {
            self.reporting.notify_one();
        }
        queued.iter().for_each(|destination| self.outbox.queued(destination));
        if compares {
            self.comparing.notify_one();
        }
        let mut shown = Vec::with_capacity(changed.len());
        for Changed { now: order, .. } in changed {
            let (order, files) = self.publish(order)?;
            shown.push(Shown { order, files });
        }
        for event in told {
            self.emit.emit(event);
        }
        Ok((answer, shown))
    }
}

impl<'a> Work<'a> {
    pub fn ris(&self) -> &'a Ris {
        self.ris
    }

    /// The desk as this transaction sees it.
    pub fn papers(&self) -> &'a dyn Papers {
        self.papers
    }

    pub fn now(&self) -> Moment {
        self.ris.clock.now()
    }

    /// To be told once it has happened.
    pub fn tell(&self, event: Event) {
        self.after.borrow_mut().told.push(event);
    }

    /// Wakes whoever does what follows for the archive.
    pub(crate) fn wake_refiling(&self) {
        self.after.borrow_mut().refiles = true;
    }

    pub(crate) fn wake_reporting(&self) {
        self.after.borrow_mut().reports = true;
    }

    /// Wakes whoever sends to a destination.
    pub(crate) fn wake_sender(&self, destination: &str) {
        self.after.borrow_mut().queued.push(destination.to_owned());
    }

    /// Tells what became of the orders, all in all: once, however many changes it took.
    fn tell_orders(&self) -> Result<(), StoreError> {
        let changed = std::mem::take(&mut self.after.borrow_mut().changed);
        for Changed { before, now } in &changed {
            self.tell_order(before.as_ref(), now)?;
        }
        self.after.borrow_mut().changed = changed;
        Ok(())
    }

    /// Wakes whoever compares lists with what has come.
    pub(crate) fn wake_comparing(&self) {
        self.after.borrow_mut().compares = true;
    }

    /// Does what a change of an order asks for; [`Applied::files`] are those of [`Shown`].
    ///
    /// # Errors
    /// See [`RefusedOrder`]: nothing has changed by this, and the caller decides about the rest.
    pub fn apply(&self, change: OrderChange) -> Result<Applied, RefusedOrder> {
        let (what, asked) = (word(change.control), change.order.clone());
        self.attempt(change)
            .inspect(|applied| {
                let repeated =
                    if applied.done == Done::Repeated { ", as it was already" } else { "" };
                let text = format!("{what} {}{repeated}", applied.order.shown());
                let event = Event::new(self.now(), events::ORDER, text);
                let event = match applied.remarks.is_empty() {
                    true => event,
                    false => event.field("remarks", applied.remarks.join("; ")),
                };
                self.tell(event.ids(identifiers(&applied.order)));
            })
            .inspect_err(|refused| {
                let text = format!("{what} {} refused: {refused}", asked.accession);
                let event = Event::new(self.now(), events::ORDER, text).outcome(Outcome::Failed);
                // that it was refused remains true
                self.ris.emit.emit(event.ids(identifiers(&asked)));
            })
    }

    /// Takes out of an order what its sender deletes; what a worklist item must have is filled
    /// again. `order` is as the desk has it.
    ///
    /// # Errors
    /// The desk cannot be read or written.
    pub fn clear(&self, order: Order, cleared: &[Attribute]) -> Result<Order, RefusedOrder> {
        let mut next = order.clone();
        cleared.iter().for_each(|attribute| attribute.clear(&mut next));
        if next == order {
            return Ok(order);
        }
        let known = self.again(&order)?;
        let held = known.as_ref().map(|known| &known.order);
        let next = self.ris.filled(self.papers, next, held, &mut Vec::new())?;
        self.keep(&next, known.as_ref())?;
        Ok(next)
    }

    /// Keeps an order as it now is; its files follow, and messages to those who are to know.
    ///
    /// # Errors
    /// The desk cannot be written.
    pub fn keep(&self, order: &Order, known: Option<&OrderRecord>) -> Result<Done, StoreError> {
        let expect = known.map_or(Expect::New, |known| Expect::Version(known.version));
        let done = match self.papers.put_order(order, expect, self.now())? {
            Put::Stored { .. } if known.is_none() => Done::Created,
            Put::Stored { .. } => Done::Changed,
            Put::Unchanged { .. } => Done::Repeated,
            Put::Conflict(_) | Put::Gone => {
                let text = format!("order {} was changed in between", order.accession);
                return Err(StoreError::Other(text));
            }
        };
        {
            let changed = &mut self.after.borrow_mut().changed;
            match changed.iter_mut().find(|held| held.now.same_key(order)) {
                Some(held) => held.now.clone_from(order),
                None => {
                    let before = known.map(|known| known.order.clone());
                    changed.push(Changed { before, now: order.clone() });
                }
            }
        }
        if done == Done::Created {
            self.attach_report(order)?;
        }
        Ok(done)
    }

    pub(super) fn attempt(&self, change: OrderChange) -> Result<Applied, RefusedOrder> {
        let OrderChange { control, mut order, mut remarks } = change;
        let (ris, papers) = (self.ris, self.papers);
        let known = match self.which(&order, control)? {
            Which::All(those) => return self.end_all(&those, control, &order, remarks),
            Which::Nobody => None,
            Which::One(known) => Some(*known),
            Which::Further(first) => {
                let first = first.order;
                order.accession = first.accession;
                order.filler.issuer = first.filler.issuer;
                order.further = true;
                None
            }
        };
        let next = match (control, &known) {
            (OrderControl::New, None) => ris.filled(papers, order, None, &mut remarks)?,
            (OrderControl::New, Some(known)) => ris.repeated(papers, order, known, &mut remarks)?,
            (_, None) => return Err(RefusedOrder::unknown(&order)),
            (OrderControl::Change, Some(known)) => {
                ris.revised(papers, order, known, &mut remarks)?
            }
            (OrderControl::Cancel | OrderControl::Discontinue, Some(known)) => {
                ended(known, &order, control)?
            }
            (OrderControl::StatusChange, Some(_)) if order.steps.is_empty() => {
                return Err(RefusedOrder::Missing {
                    what: "scheduled procedure step id, which tells the step whose status changes",
                    place: ("OBR", 20, 1),
                });
            }
            (OrderControl::StatusChange, Some(known)) => moved(known, &order.steps, |step| {
                step.and_then(|step| machine::towards(step.status))
            })?,
        };
        let done = self.keep(&next, known.as_ref())?;
        Ok(Applied { done, order: next, remarks, files: Vec::new() })
    }

    /// Ends all requested procedures of an order that have not ended: those, or none.
    fn end_all(
        &self,
        those: &[OrderRecord],
        control: OrderControl,
        told: &Order,
        remarks: Vec<String>,
    ) -> Result<Applied, RefusedOrder> {
        let open = |record: &&OrderRecord| {
            record.order.steps.iter().any(|step| !machine::is_final(step.status))
        };
        let mut left: Vec<&OrderRecord> = those.iter().filter(open).collect();
        if left.is_empty() {
            left = those.iter().collect();
        }
        let mut applied = None;
        for known in left {
            let next = ended(known, told, control)?;
            let done = self.keep(&next, Some(known))?;
            let first: &mut Applied = applied.get_or_insert(Applied {
                done,
                order: next,
                remarks: remarks.clone(),
                files: Vec::new(),
            });
            if done == Done::Changed {
                first.done = done;
            }
        }
        applied.ok_or_else(|| RefusedOrder::unknown(told))
    }

    /// It has been changed, or looked at, in this transaction.
    pub(super) fn has_touched(&self, order: &Order) -> bool {
        self.after.borrow().changed.iter().any(|held| held.now.same_key(order))
    }
}

/// CA and DC, of the steps that are named or of all.
fn ended(known: &OrderRecord, told: &Order, control: OrderControl) -> Result<Order, RefusedOrder> {
    let event = match control {
        OrderControl::Discontinue => StepEvent::Discontinue,
        _ => StepEvent::Cancel,
    };
    moved(known, &told.steps, |_| Some(event))
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("after", &self.after).finish_non_exhaustive()
    }
}
