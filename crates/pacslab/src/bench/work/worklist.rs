//! C-FIND of the worklist: one order by its accession number. PS3.4 K.4.1.

use std::sync::Arc;

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Proposal};
use pacslab_model::{Moment, Vr, tags, uids};

use super::{At, Prepared, expect, matches, release};
use crate::bench::data::Naming;
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};

#[derive(Debug)]
pub(crate) struct Worklist {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
}

impl Workload for Worklist {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let proposal = Proposal::of(uids::MODALITY_WORKLIST_FIND);
            let association = self.at.site.associate(proposal).await?;
            let (at, prepared) = (self.at.clone(), self.prepared.clone());
            let worker: Box<dyn Worker> = Box::new(Asking { at, prepared, association });
            Ok(worker)
        })
    }
}

struct Asking {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    association: Association,
}

impl Worker for Asking {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            // without orders of ours, one that nobody has: the whole list is looked through
            let (study, matching) = match self.at.next_of(&self.prepared.orders) {
                Some(study) => (*study, 1),
                None => (self.at.next_study(), 0),
            };
            let keys = keys(&self.at, study);
            let model = uids::MODALITY_WORKLIST_FIND;
            let found = matches(&mut self.association, model, &keys).await?;
            expect(found.len(), matching, matching)?;
            Ok(Done { objects: found.len() as u64, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.association))
    }
}

/// What a scanner asks for one order.
pub(crate) fn keys(at: &At, study: u64) -> Dataset {
    let mut step = Dataset::new().with_str(
        tags::SCHEDULED_STATION_AE_TITLE,
        Vr::AE,
        at.site.target.calling.as_str(),
    );
    for (tag, vr) in [
        (tags::MODALITY, Vr::CS),
        (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA),
        (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO),
        (tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH),
    ] {
        step.put_str(tag, vr, "");
    }
    let mut keys =
        Dataset::new().with_str(tags::ACCESSION_NUMBER, Vr::SH, at.naming.accession(study));
    for (tag, vr) in [
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
        (tags::PATIENT_BIRTH_DATE, Vr::DA),
        (tags::PATIENT_SEX, Vr::CS),
        (tags::STUDY_INSTANCE_UID, Vr::UI),
        (tags::REQUESTED_PROCEDURE_ID, Vr::SH),
        (tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO),
    ] {
        keys.put_str(tag, vr, "");
    }
    keys.with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step])
}

/// A new order for the station that we are: ORM^O01 of HL7 v2.3.1, chapter 4.
pub(crate) fn order(at: &At, study: u64, now: Moment) -> String {
    let (naming, station) = (&at.naming, &at.site.target.calling);
    let (accession, patient) = (naming.accession(study), naming.patient_id(study));
    let (name, when) = (Naming::name(study), format!("{}{}", now.da(), &now.tm()[..6]));
    // IHE RAD 4.4: OBR-18 accession, 19 procedure, 20 step, 21 station, 24 modality
    format!(
        "MSH|^~\\&|PLBENCH|PLBENCH|PACS|PACS|{when}||ORM^O01|{accession}|P|2.3.1\r\
         PID|1||{patient}^^^PLBENCH||{name}||19800101|O\r\
         PV1|1|O\r\
         ORC|NW|{accession}|{accession}||SC||1^Once^^{when}^^R\r\
         OBR|1|{accession}|{accession}|PLBENCH^SYNTHETIC BENCH^99PACSLAB||||||||||||||\
         {accession}|RP{study:010}|SP{study:010}|{station}|||CT|||1^Once^^{when}^^R\r"
    )
}
