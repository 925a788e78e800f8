//! The sequence that a scanner plays on the network, with any archive: worklist, acquisition,
//! store. IHE RAD TF-1 3 (Scheduled Workflow), PS3.4 K and B. What it reports of it is in `report`.

use std::collections::HashSet;

use pacslab_dicom::{Dataset, encode};
use pacslab_dimse::service::store::StoreRequest;
use pacslab_dimse::status::Category;
use pacslab_dimse::{Association, Proposal, Remote, Requestor, StatusReply, choose_contexts};
use pacslab_model::{Tag, Uid, Vr, tags, uids};

use crate::acquire::{Acquisition, Instance};
use crate::item::{BadItem, WorklistItem};

/// A modality on the network.
#[derive(Clone, Debug)]
pub struct Scanner {
    /// Its AE title, timeouts and where its events go.
    pub requestor: Requestor,
    /// Who answers worklist queries and is told of performed steps.
    pub worklist: Remote,
    /// Who takes the images.
    pub archive: Remote,
}

/// What the scanner asks the worklist for. Empty text asks for everything.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorklistKeys {
    pub station: String,
    pub modality: String,
    /// A date or a range, `20260105-`.
    pub date: String,
    pub accession: String,
    pub patient_id: String,
    pub patient_name: String,
}

/// What the worklist answered.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Found {
    /// Earliest step first.
    pub items: Vec<WorklistItem>,
    /// Answers that no images can be made from, and why: they must not hide the others.
    pub unusable: Vec<BadItem>,
}

/// What became of the images that were sent.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sent {
    pub stored: usize,
    /// Which ones, those with warnings included.
    pub instances: HashSet<Uid>,
    /// Stored with a warning (PS3.4 B.2.3), and what the archive said.
    pub warnings: Vec<(Uid, StatusReply)>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("worklist of {remote}: {source}")]
    Worklist { remote: Remote, source: pacslab_dimse::Error },
    #[error("worklist of {remote}: the query ended with {reply}")]
    Refused { remote: Remote, reply: StatusReply },
    #[error("performed step, {remote}: {source}")]
    Report { remote: Remote, source: pacslab_dimse::Error },
    #[error("storage commitment, {remote}: {source}")]
    Commitment { remote: Remote, source: pacslab_dimse::Error },
    #[error("archive {remote}, after {stored} images: {source}")]
    Store { remote: Remote, stored: usize, source: pacslab_dimse::Error },
    #[error(
        "archive {remote}, after {stored} images: image {sop_instance} was answered with {reply}"
    )]
    NotStored { remote: Remote, stored: usize, sop_instance: Uid, reply: StatusReply },
}

/// More items than a department schedules in a day are a query gone wrong.
const MOST_ITEMS: usize = 10_000;

impl Scanner {
    /// Asks the worklist.
    ///
    /// # Errors
    /// The association or the query failed.
    pub async fn query(&self, keys: &WorklistKeys) -> Result<Found, Error> {
        let remote = || self.worklist.clone();
        let failed = |source| Error::Worklist { remote: remote(), source };
        let proposal = Proposal::of(uids::MODALITY_WORKLIST_FIND);
        let mut association = Association::connect(&self.requestor, &self.worklist, proposal)
            .await
            .map_err(failed)?;
        let asked = association
            .find_all(uids::MODALITY_WORKLIST_FIND, &keys.identifier(), MOST_ITEMS)
            .await;
        let (answers, reply) = asked.map_err(failed)?;
        // the answers are complete: a peer that closes badly changes nothing
        let _ = association.release().await;
        let cut = answers.len() == MOST_ITEMS;
        if !reply.status.is_success() && !cut {
            return Err(Error::Refused { remote: remote(), reply });
        }
        let mut found = Found::default();
        for answer in answers {
            match WorklistItem::new(answer) {
                Ok(item) => found.items.push(item),
                Err(bad) => found.unusable.push(bad),
            }
        }
        found.items.sort_by_key(|item| item.scheduled());
        Ok(found)
    }

    /// Sends all images over as few associations as their kinds need.
    ///
    /// # Errors
    /// The association failed, or the archive refused an image.
    pub async fn send(&self, acquisition: &Acquisition) -> Result<Sent, Error> {
        let mut sent = Sent::default();
        self.send_into(acquisition, &mut sent).await?;
        Ok(sent)
    }

    /// The same; `sent` tells what the archive took also when it fails in between.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_into(&self, acquisition: &Acquisition, sent: &mut Sent) -> Result<(), Error> {
        let kinds = acquisition
            .instances()
            .map(|one| (one.meta.sop_class.as_str(), one.meta.transfer_syntax.uid()));
        for contexts in choose_contexts(kinds) {
            let ours = |one: &&Instance| {
                contexts.iter().any(|context| {
                    context.abstract_syntax == one.meta.sop_class
                        && context
                            .transfer_syntaxes
                            .iter()
                            .any(|syntax| syntax.as_str() == one.meta.transfer_syntax.uid())
                })
            };
            let batch: Vec<&Instance> = acquisition.instances().filter(ours).collect();
            self.send_batch(contexts.into(), &batch, sent).await?;
        }
        Ok(())
    }

    async fn send_batch(
        &self,
        proposal: Proposal,
        batch: &[&Instance],
        sent: &mut Sent,
    ) -> Result<(), Error> {
        let failed = |stored, source| Error::Store { remote: self.archive.clone(), stored, source };
        let mut association = Association::connect(&self.requestor, &self.archive, proposal)
            .await
            .map_err(|source| failed(sent.stored, source))?;
        for instance in batch {
            let meta = &instance.meta;
            let data = encode(&instance.dataset, &meta.transfer_syntax);
            let syntax = Uid::new(meta.transfer_syntax.uid());
            let request = StoreRequest::new(&meta.sop_class, &meta.sop_instance, &syntax, &data);
            let reply =
                association.store(request).await.map_err(|source| failed(sent.stored, source))?;
            if reply.status.category() == Category::Warning {
                sent.warnings.push((meta.sop_instance.clone(), reply));
            } else if !reply.status.is_success() {
                let _ = association.release().await;
                return Err(Error::NotStored {
                    remote: self.archive.clone(),
                    stored: sent.stored,
                    sop_instance: meta.sop_instance.clone(),
                    reply,
                });
            }
            sent.stored += 1;
            sent.instances.insert(meta.sop_instance.clone());
        }
        association.release().await.map_err(|source| failed(sent.stored, source))
    }
}

impl WorklistKeys {
    /// The identifier of the C-FIND: matching keys, and every attribute that images carry over.
    fn identifier(&self) -> Dataset {
        let mut step = Dataset::new();
        for (tag, vr, value) in [
            (tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, self.station.as_str()),
            (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, &self.date),
            (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, ""),
            (tags::MODALITY, Vr::CS, &self.modality),
            (tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME, Vr::PN, ""),
            (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, ""),
            (tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, ""),
            (tags::SCHEDULED_STATION_NAME, Vr::SH, ""),
            (tags::SCHEDULED_PROCEDURE_STEP_LOCATION, Vr::SH, ""),
            (tags::REQUESTED_CONTRAST_AGENT, Vr::LO, ""),
        ] {
            step.put_str(tag, vr, value);
        }
        step.put_items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, Vec::new());

        let mut identifier = Dataset::new();
        for (tag, vr, value) in [
            (tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192"),
            (tags::ACCESSION_NUMBER, Vr::SH, self.accession.as_str()),
            (tags::PATIENT_ID, Vr::LO, &self.patient_id),
            (tags::PATIENT_NAME, Vr::PN, &self.patient_name),
        ] {
            identifier.put_str(tag, vr, value);
        }
        for tag in RETURNED {
            match pacslab_dicom::dict::vr(*tag) {
                Some(Vr::SQ) => identifier.put_items(*tag, Vec::new()),
                Some(Vr::US) => identifier.put_bytes(*tag, Vr::US, Vec::new()),
                vr => identifier.put_str(*tag, vr.unwrap_or(Vr::LO), ""),
            }
        }
        identifier.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
        identifier
    }
}

/// Return keys: PS3.4 table K.6-1, as far as images carry them.
const RETURNED: &[Tag] = &[
    tags::STUDY_DATE,
    tags::STUDY_TIME,
    tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
    tags::REFERRING_PHYSICIAN_NAME,
    tags::REFERENCED_STUDY_SEQUENCE,
    tags::REFERENCED_PATIENT_SEQUENCE,
    tags::ISSUER_OF_PATIENT_ID,
    tags::PATIENT_BIRTH_DATE,
    tags::PATIENT_SEX,
    tags::OTHER_PATIENT_IDS_SEQUENCE,
    tags::PATIENT_SIZE,
    tags::PATIENT_WEIGHT,
    tags::MEDICAL_ALERTS,
    tags::ALLERGIES,
    tags::PREGNANCY_STATUS,
    tags::STUDY_INSTANCE_UID,
    tags::REQUESTING_PHYSICIAN,
    tags::REQUESTED_PROCEDURE_DESCRIPTION,
    tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
    tags::ADMISSION_ID,
    tags::CURRENT_PATIENT_LOCATION,
    tags::PATIENT_STATE,
    tags::REQUESTED_PROCEDURE_ID,
    tags::REASON_FOR_THE_REQUESTED_PROCEDURE,
    tags::REQUESTED_PROCEDURE_PRIORITY,
    tags::PATIENT_TRANSPORT_ARRANGEMENTS,
    tags::PLACER_ORDER_NUMBER,
    tags::FILLER_ORDER_NUMBER,
];
