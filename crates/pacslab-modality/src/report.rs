//! What the scanner reports of its work: the performed procedure step. PS3.4 F.7.2 (SCU), and what
//! the worklist item contributes (IHE RAD TF-2 4.6 and 4.7).

use std::collections::HashSet;

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Error as Dimse, Proposal, StatusReply};
use pacslab_model::{Tag, Uid, Vr, tags, uids};

use crate::acquire::{Acquisition, Options, Series};
use crate::iod::{self, Object, code};
use crate::item::WorklistItem;
use crate::scanner::{Error, Scanner};

/// What came of the report that a step begins.
#[derive(Clone, PartialEq, Debug)]
pub enum Reported {
    /// The performed procedure step, which images refer to ([`Options::mpps`]).
    As(Uid),
    /// The peer does not accept the service.
    NotOffered,
    /// It accepts the service, and not this report.
    Refused(StatusReply),
}

impl Reported {
    /// Why images go without a report, in words.
    pub fn without(&self, pacs: &str) -> Option<String> {
        match self {
            Self::As(_) => None,
            Self::NotOffered => Some(format!(
                "{pacs} takes no reports of performed steps (MPPS): the images go without"
            )),
            Self::Refused(reply) => Some(format!(
                "{pacs} refused the report of the step with {reply}: the images go without"
            )),
        }
    }
}

/// How a step ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    Completed,
    Discontinued(Reason),
}

/// How long an exam takes, from its start to the report of its end.
const SECONDS: u64 = 300;

/// Why a step was discontinued. PS3.16 CID 9301.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    EquipmentFailure,
    Unspecified,
}

impl Reason {
    const fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::EquipmentFailure => ("110501", "Equipment failure"),
            Self::Unspecified => ("110513", "Discontinued for unspecified reason"),
        }
    }
}

impl Scanner {
    /// Reports that the step of an item begins (N-CREATE, IN PROGRESS).
    ///
    /// # Errors
    /// The association failed. That the peer does not take reports is no error: images go without.
    pub async fn begin_step(
        &self,
        item: &WorklistItem,
        options: &Options,
    ) -> Result<Reported, Error> {
        let study = iod::study_uid(item, options);
        let uid = iod::derived_uid(&study, options, &["mpps", item.step_id()]);
        let begun = begun(item, options, &study);
        let asked = self.reporting().await;
        let mut association = match asked {
            Ok(association) => association,
            Err(error) => return Err(self.report_failed(error)),
        };
        let answer = association.n_create(uids::MPPS, Some(&uid), &begun).await;
        if !matches!(&answer, Err(error) if !is_refused_context(error)) {
            // the answer is there: a peer that closes badly changes nothing
            let _ = association.release().await;
        }
        match answer {
            Ok(answer) if answer.reply.status.is_done() => Ok(Reported::As(answer.sop_instance)),
            Ok(answer) => Ok(Reported::Refused(answer.reply)),
            Err(error) if is_refused_context(&error) => Ok(Reported::NotOffered),
            Err(error) => Err(self.report_failed(error)),
        }
    }

    /// Reports that a step has ended (N-SET), with the images that `stored` names.
    ///
    /// # Errors
    /// The association failed.
    pub async fn end_step(
        &self,
        uid: &Uid,
        item: &WorklistItem,
        options: &Options,
        done: Done<'_>,
    ) -> Result<StatusReply, Error> {
        let ended = ended(item, options, &done, self.archive.aet.as_str());
        let failed = |error| self.report_failed(error);
        let mut association = self.reporting().await.map_err(failed)?;
        let answer = association.n_set(uids::MPPS, uid, &ended).await.map_err(failed)?;
        let _ = association.release().await;
        Ok(answer.reply)
    }

    async fn reporting(&self) -> Result<Association, Dimse> {
        Association::connect(&self.requestor, &self.worklist, Proposal::of(uids::MPPS)).await
    }

    fn report_failed(&self, source: Dimse) -> Error {
        Error::Report { remote: self.worklist.clone(), source }
    }
}

/// What was done when a step ends.
#[derive(Clone, Debug)]
pub struct Done<'a> {
    pub ending: Ending,
    /// `None`: it came to no images.
    pub acquisition: Option<&'a Acquisition>,
    /// The images that the archive took, which are those that are listed.
    pub stored: &'a HashSet<Uid>,
}

fn is_refused_context(error: &Dimse) -> bool {
    matches!(error, Dimse::ContextRefused { .. })
}

/// Everything of type 1 and 2, and what may be told later.
fn begun(item: &WorklistItem, options: &Options, study: &Uid) -> Dataset {
    let source = item.dataset();
    let mut step = Object::default();
    step.copy(source.get(tags::SPECIFIC_CHARACTER_SET))
        .items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![scheduled(item, study)]);
    for tag in [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX] {
        step.set(tag, source.str(tag));
    }
    step.copy(source.get(tags::ISSUER_OF_PATIENT_ID));
    let station = options.station.as_str();
    step.items(
        tags::REFERENCED_PATIENT_SEQUENCE,
        source.items(tags::REFERENCED_PATIENT_SEQUENCE).to_vec(),
    )
    .set(tags::PERFORMED_PROCEDURE_STEP_ID, iod::performed_step_id(study, item, options))
    .set(tags::PERFORMED_STATION_AE_TITLE, station)
    .set(tags::PERFORMED_STATION_NAME, station)
    .set(tags::PERFORMED_LOCATION, item.step().str(tags::SCHEDULED_PROCEDURE_STEP_LOCATION))
    .set(tags::PERFORMED_PROCEDURE_STEP_START_DATE, options.at.da())
    .set(tags::PERFORMED_PROCEDURE_STEP_START_TIME, options.at.tm())
    .set(tags::PERFORMED_PROCEDURE_STEP_STATUS, "IN PROGRESS")
    .set(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, iod::performed_description(item))
    .set(tags::PERFORMED_PROCEDURE_TYPE_DESCRIPTION, "")
    .items(tags::PROCEDURE_CODE_SEQUENCE, codes(source, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE))
    .set(tags::PERFORMED_PROCEDURE_STEP_END_DATE, "")
    .set(tags::PERFORMED_PROCEDURE_STEP_END_TIME, "")
    // what is not there from the beginning may not be set in the end
    .items(tags::DISCONTINUATION_REASON_CODE_SEQUENCE, Vec::new())
    .set(tags::MODALITY, item.modality())
    .set(tags::STUDY_ID, item.procedure_id())
    .items(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, protocol(item))
    .items(tags::PERFORMED_SERIES_SEQUENCE, Vec::new());
    step.0
}

/// The item of (0040,0270).
fn scheduled(item: &WorklistItem, study: &Uid) -> Dataset {
    let (source, step) = (item.dataset(), item.step());
    let mut scheduled = Object::default();
    scheduled
        .set(tags::STUDY_INSTANCE_UID, study.as_str())
        .items(tags::REFERENCED_STUDY_SEQUENCE, codes(source, tags::REFERENCED_STUDY_SEQUENCE))
        .set(tags::ACCESSION_NUMBER, item.accession())
        .copy(source.get(tags::PLACER_ORDER_NUMBER))
        .copy(source.get(tags::FILLER_ORDER_NUMBER))
        .set(tags::REQUESTED_PROCEDURE_ID, item.procedure_id())
        .set(
            tags::REQUESTED_PROCEDURE_DESCRIPTION,
            source.str(tags::REQUESTED_PROCEDURE_DESCRIPTION),
        )
        .copy(source.get(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE))
        .set(tags::SCHEDULED_PROCEDURE_STEP_ID, item.step_id())
        .set(
            tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
            step.str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION),
        )
        .items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, protocol(item));
    scheduled.0
}

fn ended(item: &WorklistItem, options: &Options, done: &Done<'_>, archive: &str) -> Dataset {
    let mut step = Object::default();
    let end = iod::after(options.at, SECONDS);
    let status = match done.ending {
        Ending::Completed => "COMPLETED",
        Ending::Discontinued(_) => "DISCONTINUED",
    };
    let made = done.acquisition.map_or(&[][..], |acquisition| &acquisition.series);
    let mut series: Vec<Dataset> =
        made.iter().map(|one| performed(item, one, done, archive)).collect();
    if series.is_empty() {
        // a step never ends without a series, not even one that came to nothing
        let study = iod::study_uid(item, options);
        let uid = iod::derived_uid(&study, options, &["series", "none"]);
        let none = Series {
            uid,
            number: 1,
            modality: item.modality().to_owned(),
            description: String::new(),
            instances: Vec::new(),
        };
        series.push(performed(item, &none, done, archive));
    }
    step.copy(item.dataset().get(tags::SPECIFIC_CHARACTER_SET))
        .set(tags::PERFORMED_PROCEDURE_STEP_STATUS, status)
        .set(tags::PERFORMED_PROCEDURE_STEP_END_DATE, end.da())
        .set(tags::PERFORMED_PROCEDURE_STEP_END_TIME, end.tm())
        .items(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, protocol(item))
        .items(tags::PERFORMED_SERIES_SEQUENCE, series);
    if let Ending::Discontinued(reason) = done.ending {
        let (value, meaning) = reason.code();
        step.items(tags::DISCONTINUATION_REASON_CODE_SEQUENCE, vec![code(value, "DCM", meaning)]);
    }
    step.0
}

/// One item of (0040,0340).
fn performed(item: &WorklistItem, series: &Series, done: &Done<'_>, archive: &str) -> Dataset {
    let taken = series.instances.iter().filter(|one| done.stored.contains(&one.meta.sop_instance));
    let images = taken.map(|one| {
        Dataset::new()
            .with_str(tags::REFERENCED_SOP_CLASS_UID, Vr::UI, one.meta.sop_class.as_str())
            .with_str(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, one.meta.sop_instance.as_str())
    });
    let first = series.instances.first().map(|one| one.dataset.str(tags::PROTOCOL_NAME));
    let name = [first.unwrap_or(""), iod::performed_description(item), item.modality()];
    let mut performed = Object::default();
    performed
        .set(
            tags::PERFORMING_PHYSICIAN_NAME,
            item.step().str(tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME),
        )
        .set(tags::OPERATORS_NAME, "")
        .set(tags::PROTOCOL_NAME, name.into_iter().find(|name| !name.is_empty()).unwrap_or("NONE"))
        .set(tags::SERIES_INSTANCE_UID, series.uid.as_str())
        .set(tags::SERIES_DESCRIPTION, series.description.as_str())
        .set(tags::RETRIEVE_AE_TITLE, archive)
        .items(tags::REFERENCED_IMAGE_SEQUENCE, images.collect())
        .items(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE, Vec::new());
    performed.0
}

fn protocol(item: &WorklistItem) -> Vec<Dataset> {
    codes(item.step(), tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE)
}

fn codes(set: &Dataset, tag: Tag) -> Vec<Dataset> {
    set.items(tag).to_vec()
}
