//! Reports that came before their order. HL7 v2.5.1 7.3.1 says nothing of it; interfaces that are
//! restarted at different times do it every day.

use pacslab_model::order::Order;
use pacslab_model::{Event, Outcome};
use pacslab_store::StoreError;

use super::{
    DOCUMENTS, REPORTS, RefusedReport, ReportRecord, UNMATCHED, UNMATCHED_KEYS, document_key, key,
};
use crate::events;
use crate::orders::{Work, identifiers};

impl Work<'_> {
    /// An order is new: the report that waits for it is attached, with all that follows from one
    /// that comes in time.
    pub(crate) fn attach_report(&self, order: &Order) -> Result<(), StoreError> {
        // nearly always: none waits, and an order costs one look
        if UNMATCHED_KEYS.after(self.papers(), "", 1)?.is_empty() {
            return Ok(());
        }
        let study = order.procedure.study_uid.as_str();
        let numbers = [order.accession.as_str(), &order.filler.id, &order.placer.id, study];
        for number in numbers.into_iter().filter(|number| !number.is_empty()) {
            let at = key(number, UNMATCHED);
            let Some(waiting) = REPORTS.get(self.papers(), &at)? else { continue };
            if !waiting.patient_id.is_empty() && waiting.patient_id != order.patient.id.id {
                self.tell_other_patient(order, &waiting);
                continue;
            }
            return self.attach(order, &at, waiting);
        }
        Ok(())
    }

    fn attach(&self, order: &Order, at: &str, waiting: ReportRecord) -> Result<(), StoreError> {
        let mut record = ReportRecord {
            accession: order.accession.clone(),
            issuer: order.key().into_owned(),
            patient_id: order.patient.id.id.clone(),
            study_uid: order.procedure.study_uid.clone(),
            unmatched: false,
            late: true,
            ..waiting
        };
        REPORTS.remove(self.papers(), at)?;
        UNMATCHED_KEYS.remove(self.papers(), at)?;
        let mut contents = Vec::new();
        let own = key(&record.accession, &record.issuer);
        for (number, document) in record.documents.iter_mut().enumerate() {
            contents.push(DOCUMENTS.get(self.papers(), &document.key)?.unwrap_or_default());
            DOCUMENTS.remove(self.papers(), &document.key)?;
            document.key = document_key(&own, number);
        }
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        let told = record.state.status();
        match self.keep_report(record, told, &contents, false, Vec::new()) {
            Ok(_) => Ok(()),
            Err(RefusedReport::Store(error)) => Err(error),
            // leniently nothing else is refused
            Err(refused) => Err(StoreError::Other(refused.to_string())),
        }
    }

    fn tell_other_patient(&self, order: &Order, waiting: &ReportRecord) {
        let text = format!(
            "a report of patient '{}' came with the number {} before the order, which is for patient \
             '{}': it stays without an order; correct one of the two",
            waiting.patient_id, waiting.accession, order.patient.id.id
        );
        let event = Event::new(self.now(), events::UNMATCHED, text).outcome(Outcome::Warning);
        self.tell(event.ids(identifiers(order)));
    }
}
