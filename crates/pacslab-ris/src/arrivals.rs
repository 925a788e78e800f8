//! Images that arrive start the steps they belong to. IHE RAD TF-1 3 (a department without MPPS).
//!
//! The archive notes each receipt in the transaction that makes it durable; here they are read by a
//! durable cursor, so that none is missed and none is acted on for good before it was kept.

use std::collections::HashSet;

use pacslab_model::order::StepStatus;
use pacslab_model::{Event, Identifiers, Outcome};
use pacslab_store::{Arrival, Index, OrderFilter, OrderRecord, StepChange, StoreError};

use crate::events;
use crate::machine::{self, StepEvent};
use crate::orders::{RefusedOrder, Ris, identifiers};

/// Where images arrive: the archive of this process, or whatever the binary wires in its place.
pub trait Images: Send + Sync {
    /// Arrivals with a number greater than `cursor`, oldest first.
    ///
    /// # Errors
    /// They cannot be read now.
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError>;
}

impl<T: Index + ?Sized> Images for T {
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        Index::arrivals_after(self, cursor, limit)
    }
}

const CURSOR: &str = "ris.arrivals";
const BATCH: usize = 1000;

impl Ris {
    /// Takes a batch of arrivals in; 0 when there are no more. Call it when something has arrived,
    /// and at start, until it answers 0.
    ///
    /// # Errors
    /// The desk or the images cannot be read; the cursor stays where it was.
    pub fn arrivals(&self, images: &(impl Images + ?Sized)) -> Result<usize, RefusedOrder> {
        let cursor = self.desk.cursor(CURSOR)?;
        let batch = images.arrivals_after(cursor, BATCH)?;
        let Some(last) = batch.last() else { return Ok(0) };
        let mut seen = HashSet::new();
        let mut strangers = Vec::new();
        for arrival in &batch {
            if seen.insert((&arrival.study_uid, &arrival.calling_ae)) && !self.arrived(arrival)? {
                strangers.push(arrival);
            }
        }
        self.tell_strangers(&strangers)?;
        self.desk.set_cursor(CURSOR, last.number)?;
        Ok(batch.len())
    }

    /// Answers whether there is an order for it.
    fn arrived(&self, arrival: &Arrival) -> Result<bool, RefusedOrder> {
        if !self.settings.images_start_steps {
            return Ok(true);
        }
        let Some(record) = self.ordered(arrival)? else { return Ok(false) };
        let order = &record.order;
        // of several waiting steps it is the sender's own, else the first
        let waiting = || order.steps.iter().filter(|step| step.status.on_worklist());
        let own = waiting().find(|step| step.station.as_str() == arrival.calling_ae);
        let others = || order.steps.iter().any(|step| step.status == StepStatus::Started);
        let Some(step) = own.or_else(|| if others() { None } else { waiting().next() }) else {
            return Ok(true);
        };
        let Ok(next) = machine::step(step.status, StepEvent::Images) else { return Ok(true) };
        let now = self.clock.now();
        let change = self.desk.set_step(&order.accession, &step.id, step.status, next, now)?;
        // anything else: somebody moved it meanwhile, and images do not contradict
        if let StepChange::Done(record) = change {
            let text = format!(
                "images of {} came from {}: step {} is {}",
                order.accession,
                sender(arrival),
                step.id,
                next.as_str()
            );
            let event = Event::new(now, events::IMAGES, text).outcome(Outcome::Ok);
            self.emit.emit(event.ids(identifiers(&record.order)));
            self.publish(record.order)?;
        }
        Ok(true)
    }

    /// Images without an order stay where they are; who looks for them has to be told. One event
    /// for a batch: a PACS without a RIS takes thousands of such studies in a second. But each
    /// study that has the accession number of another patient's order is told by itself.
    fn tell_strangers(&self, strangers: &[&Arrival]) -> Result<(), StoreError> {
        let mut unknown = Vec::new();
        for arrival in strangers {
            let record = match arrival.accession.is_empty() {
                true => None,
                false => self.desk.order(&arrival.accession)?,
            };
            let Some(record) = record else {
                unknown.push(arrival);
                continue;
            };
            let text = format!(
                "images of patient '{}' came from {} with accession number {}, which was ordered \
                 for patient '{}': the order stays open; correct one of the two",
                arrival.patient_id,
                sender(arrival),
                arrival.accession,
                record.order.patient.id.id
            );
            let event = Event::new(self.clock.now(), events::UNMATCHED, text);
            self.emit.emit(event.outcome(Outcome::Warning).ids(identifiers(&record.order)));
        }
        let Some(first) = unknown.first() else { return Ok(()) };
        let others = match unknown.iter().map(|a| &a.study_uid).collect::<HashSet<_>>().len() {
            1 => String::new(),
            studies => format!(", and those of {} more studies", studies - 1),
        };
        let text = format!(
            "no order fits the images of study {} (accession number '{}', patient '{}', from \
             {}){others}",
            first.study_uid,
            first.accession,
            first.patient_id,
            sender(first)
        );
        self.emit.emit(Event::new(self.clock.now(), events::UNMATCHED, text).ids(Identifiers {
            accession: first.accession.clone(),
            study_uid: first.study_uid.to_string(),
            patient_id: first.patient_id.clone(),
            ..Identifiers::default()
        }));
        Ok(())
    }

    /// The order of a study: by its UID, else by accession number and patient.
    fn ordered(&self, arrival: &Arrival) -> Result<Option<OrderRecord>, StoreError> {
        let study_uid = Some(arrival.study_uid.to_string());
        let filter = OrderFilter { study_uid, ..OrderFilter::default() };
        if let Some(record) = self.desk.orders(&filter)?.into_iter().next() {
            return Ok(Some(record));
        }
        if arrival.accession.is_empty() {
            return Ok(None);
        }
        let record = self.desk.order(&arrival.accession)?;
        Ok(record.filter(|record| record.order.patient.id.id == arrival.patient_id))
    }
}

fn sender(arrival: &Arrival) -> &str {
    if arrival.calling_ae.is_empty() { "a peer" } else { &arrival.calling_ae }
}
