//! Images that arrive start the steps they belong to. IHE RAD TF-1 3 (a department without MPPS).
//!
//! The archive notes each receipt in the transaction that makes it durable; here they are read by a
//! durable cursor, so that none is missed and none is acted on for good before it was kept.

use std::collections::HashSet;

use pacslab_model::order::{Order, ScheduledStep, StepStatus};
use pacslab_model::{Event, Identifiers, Outcome, Uid};
use pacslab_store::{Arrival, Index, OrderFilter, OrderRecord, Papers, StoreError};

use crate::events;
use crate::machine::{self, StepEvent};
use crate::orders::{RefusedOrder, Ris, identifiers, which};

/// Where images arrive: the archive of this process, or whatever the binary wires in its place.
pub trait Images: Send + Sync {
    /// Arrivals with a number greater than `cursor`, oldest first.
    ///
    /// # Errors
    /// They cannot be read now.
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError>;

    /// Which of these are not here.
    ///
    /// # Errors
    /// They cannot be looked up now.
    fn missing(&self, sop_instances: &[Uid]) -> Result<Vec<Uid>, StoreError>;
}

impl<T: Index + ?Sized> Images for T {
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        Index::arrivals_after(self, cursor, limit)
    }

    fn missing(&self, sop_instances: &[Uid]) -> Result<Vec<Uid>, StoreError> {
        let known = self.known(sop_instances)?;
        let unknown = sop_instances.iter().zip(known).filter(|(_, known)| known.is_none());
        Ok(unknown.map(|(uid, _)| uid.clone()).collect())
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
            // who writes about images does not take them
            if is_document(&arrival.sop_class) {
                continue;
            }
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
        let Some(record) = ordered(&*self.desk, arrival)? else { return Ok(false) };
        if next(&record.order, arrival).is_none() {
            return Ok(true);
        }
        self.work(|work| {
            // somebody may have moved it meanwhile, and images do not contradict
            let Some(record) = ordered(work.papers(), arrival)? else { return Ok(()) };
            let Some((at, status)) = next(&record.order, arrival) else { return Ok(()) };
            let mut order = record.order.clone();
            let Some(step) = order.steps.get_mut(at) else { return Ok(()) };
            step.status = status;
            let text = format!(
                "images of {} came from {}: step {} is {}",
                record.order.accession,
                sender(arrival),
                step.id,
                status.as_str()
            );
            let event = Event::new(work.now(), events::IMAGES, text).outcome(Outcome::Ok);
            work.keep(&order, Some(&record))?;
            work.tell(event.ids(identifiers(&order)));
            Ok::<_, RefusedOrder>(())
        })?;
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
}

/// Structured reports and encapsulated documents. PS3.4 B.5.
fn is_document(sop_class: &Uid) -> bool {
    let families = ["1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104."];
    families.iter().any(|family| sop_class.as_str().starts_with(family))
}

/// The step that images start, by its place in the order, and what it becomes.
fn next(order: &Order, arrival: &Arrival) -> Option<(usize, StepStatus)> {
    // of several waiting steps it is the sender's own, else the first
    let waiting = |step: &ScheduledStep| step.status.on_worklist();
    let own = |step: &ScheduledStep| waiting(step) && step.station.as_str() == arrival.calling_ae;
    let others = order.steps.iter().any(|step| step.status == StepStatus::Started);
    let first = || if others { None } else { order.steps.iter().position(waiting) };
    let at = order.steps.iter().position(own).or_else(first)?;
    let status = machine::step(order.steps.get(at)?.status, StepEvent::Images).ok()?;
    Some((at, status))
}

/// The order of a study: by its UID, else by accession number and patient. Of several requested
/// procedures it is the one whose step the sender performs, else the first that waits for images.
fn ordered(papers: &dyn Papers, arrival: &Arrival) -> Result<Option<OrderRecord>, StoreError> {
    let study_uid = Some(arrival.study_uid.to_string());
    let filter = OrderFilter { study_uid, ..OrderFilter::default() };
    let mut found = papers.orders(&filter)?;
    if found.is_empty() && !arrival.accession.is_empty() {
        found = which::procedures(papers, &arrival.accession)?;
        found.retain(|record| record.order.patient.id.id == arrival.patient_id);
    }
    let rank = |record: &OrderRecord| {
        let own = |step: &&ScheduledStep| step.station.as_str() == arrival.calling_ae;
        let steps = &record.order.steps;
        let started = steps.iter().filter(own).any(|step| step.status == StepStatus::Started);
        match next(&record.order, arrival).and_then(|(at, _)| steps.get(at)) {
            _ if started => 0,
            Some(step) if own(&step) => 1,
            Some(_) => 2,
            None => 3,
        }
    };
    Ok(found.into_iter().min_by_key(rank))
}

fn sender(arrival: &Arrival) -> &str {
    if arrival.calling_ae.is_empty() { "a peer" } else { &arrival.calling_ae }
}
