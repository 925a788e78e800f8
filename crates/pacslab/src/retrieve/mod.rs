//! What `move` and `get` have in common: what is asked for, and how far it is.
//! PS3.4 C.4.2.1.4, C.4.3.1.3.

mod objects;
pub(crate) mod plan;

pub(crate) use objects::objects;

use indicatif::{ProgressBar, ProgressStyle};
use pacslab_dicom::Dataset;
use pacslab_dimse::Proposal;
use pacslab_dimse::message::SubOperations;
use pacslab_model::{Level, Vr, tags, uids};

use crate::client::Target;
use crate::exit::{Failure, Result};

/// What to retrieve.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["study_uid", "accession", "patient_id"]))]
pub(crate) struct WhatArgs {
    /// Study Instance UID
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Series Instance UID: only this series of the study
    #[arg(long, alias = "series", value_name = "UID", requires = "study_uid")]
    series_uid: Option<String>,
    /// SOP Instance UID: only this object of the series
    #[arg(long, alias = "instance", value_name = "UID", requires = "series_uid")]
    instance_uid: Option<String>,
    /// Accession number: all its studies, looked up with C-FIND
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Patient ID: everything of a patient (Patient Root)
    #[arg(long, value_name = "TEXT")]
    patient_id: Option<String>,
}

impl WhatArgs {
    /// Whether it takes the Patient Root model.
    pub(crate) fn is_patient(&self) -> bool {
        self.patient_id.is_some()
    }

    /// One identifier for a patient or for each study.
    pub(crate) async fn identifiers(&self, target: &Target) -> Result<Vec<Dataset>> {
        if let Some(id) = &self.patient_id {
            return Ok(vec![of_level(Level::Patient).with_str(
                tags::PATIENT_ID,
                Vr::LO,
                id.as_str(),
            )]);
        }
        let studies = match (&self.study_uid, &self.accession) {
            (Some(uid), _) => vec![uid.clone()],
            (None, Some(accession)) => studies(target, accession).await?,
            (None, None) => Vec::new(),
        };
        let lowest = match (&self.series_uid, &self.instance_uid) {
            (_, Some(_)) => Level::Instance,
            (Some(_), None) => Level::Series,
            (None, None) => Level::Study,
        };
        let identifier = |study: String| {
            let mut set = of_level(lowest).with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study);
            if let Some(uid) = &self.series_uid {
                set.put_str(tags::SERIES_INSTANCE_UID, Vr::UI, uid.as_str());
            }
            if let Some(uid) = &self.instance_uid {
                set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, uid.as_str());
            }
            set
        };
        Ok(studies.into_iter().map(identifier).collect())
    }
}

/// An identifier that asks at a level and has no keys yet.
pub(crate) fn of_level(level: Level) -> Dataset {
    Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level.as_str())
}

/// The studies of an accession number: a retrieval names studies by UID only
/// (PS3.4 C.4.2.1.4.1).
async fn studies(target: &Target, accession: &str) -> Result<Vec<String>> {
    let mut association = target.connect(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
    let identifier = of_level(Level::Study)
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, accession)
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "");
    let found = association.find_all(uids::STUDY_ROOT_FIND, &identifier, usize::MAX).await?;
    let _ = association.release().await;
    let (found, reply) = found;
    if !reply.status.is_success() {
        return Err(target.refused("C-FIND", &reply));
    }
    let studies: Vec<String> =
        found.iter().map(|set| set.str(tags::STUDY_INSTANCE_UID).to_owned()).collect();
    if studies.is_empty() {
        return Err(Failure::failed(format!(
            "{} has no study with accession number {accession}",
            target.peer
        ))
        .hint("`pacslab find` lists the studies that are there"));
    }
    Ok(studies)
}

/// What is said when nothing was there.
pub(crate) fn nothing(target: &Target) -> String {
    format!("{} holds nothing of what was asked for; `pacslab find` lists its studies", target.peer)
}

/// How far a retrieval is, on terminals.
pub(crate) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

pub(crate) fn show(bar: &ProgressBar, counts: SubOperations) {
    let done = u64::from(counts.completed) + u64::from(counts.failed) + u64::from(counts.warning);
    bar.set_length(done + u64::from(counts.remaining.unwrap_or(0)));
    bar.set_position(done);
}
