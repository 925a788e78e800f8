//! C-FIND, study root: the questions of every day. PS3.4 C.4.1.

use std::sync::Arc;

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Proposal};
use pacslab_model::{Vr, tags, uids};

use super::{At, Known, Prepared, expect, matches, release};
use crate::bench::data::{Naming, PREFIX, date_of_day, day};
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Accession,
    /// The beginning of a patient's name and `*`.
    Name,
    /// The studies of seven days.
    Week,
    /// The series of a study.
    Series,
}

impl Question {
    pub(crate) const ALL: [Self; 4] = [Self::Accession, Self::Name, Self::Week, Self::Series];

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Accession => "accession",
            Self::Name => "name wildcard",
            Self::Week => "7 days",
            Self::Series => "series of a study",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Find {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) question: Question,
}

impl Workload for Find {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let association = self.at.site.associate(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
            let worker: Box<dyn Worker> = Box::new(Finding {
                at: self.at.clone(),
                prepared: self.prepared.clone(),
                question: self.question,
                association,
            });
            Ok(worker)
        })
    }
}

struct Finding {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    question: Question,
    association: Association,
}

impl Worker for Finding {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            let Some(known) = self.at.next_of(&self.prepared.small) else {
                return Err(Fault::wrong("nothing to find"));
            };
            let asked = ask(self.question, known, &self.at.naming, &self.prepared);
            let model = uids::STUDY_ROOT_FIND;
            let found = matches(&mut self.association, model, &asked.identifier).await?;
            expect(found.len(), asked.least, asked.most)?;
            Ok(Done { objects: found.len() as u64, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.association))
    }
}

/// A question and how many answers are right.
struct Asked {
    identifier: Dataset,
    least: usize,
    most: usize,
}

fn ask(question: Question, known: &Known, naming: &Naming, prepared: &Prepared) -> Asked {
    let study = known.study;
    let one = |identifier| Asked { identifier, least: 1, most: 1 };
    // others may have studies of the same days, and names of earlier runs begin alike
    let many = |identifier, least| Asked { identifier, least, most: usize::MAX };
    match question {
        Question::Accession => {
            let key = naming.accession(study);
            one(study_keys().with_str(tags::ACCESSION_NUMBER, Vr::SH, key))
        }
        Question::Name => {
            // PLBENCH- and two to four letters
            let letters = PREFIX.len() + 1 + 2 + study as usize % 3;
            let begin = Naming::name(study)[..letters].to_owned();
            let first = prepared.names.partition_point(|name| *name < begin);
            let least =
                prepared.names[first..].iter().take_while(|n| n.starts_with(&begin)).count();
            let wildcard = format!("{begin}*");
            many(study_keys().with_str(tags::PATIENT_NAME, Vr::PN, wildcard), least)
        }
        Question::Week => {
            let first = day(study).saturating_sub(study % 7);
            let days = first..first + 7;
            let from = prepared.days.partition_point(|day| *day < days.start);
            let least = prepared.days[from..].iter().take_while(|day| days.contains(day)).count();
            let range = format!("{}-{}", date_of_day(days.start), date_of_day(days.end - 1));
            many(study_keys().with_str(tags::STUDY_DATE, Vr::DA, range), least)
        }
        Question::Series => {
            let mut keys = Dataset::new()
                .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "SERIES")
                .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, naming.study_uid(study));
            for (tag, vr) in [
                (tags::SERIES_INSTANCE_UID, Vr::UI),
                (tags::MODALITY, Vr::CS),
                (tags::SERIES_NUMBER, Vr::IS),
                (tags::SERIES_DESCRIPTION, Vr::LO),
            ] {
                keys.put_str(tag, vr, "");
            }
            one(keys)
        }
    }
}

/// What a worklist of a reader shows.
fn study_keys() -> Dataset {
    let mut keys = Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "STUDY");
    for (tag, vr) in [
        (tags::STUDY_INSTANCE_UID, Vr::UI),
        (tags::STUDY_DATE, Vr::DA),
        (tags::STUDY_DESCRIPTION, Vr::LO),
        (tags::ACCESSION_NUMBER, Vr::SH),
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_ID, Vr::LO),
    ] {
        keys.put_str(tag, vr, "");
    }
    keys
}

/// Matches on one study by its UID: how a workflow sees that its images are there.
pub(crate) fn study_of(uid: &str) -> Dataset {
    study_keys().with_str(tags::STUDY_INSTANCE_UID, Vr::UI, uid)
}

/// All studies of a run with their numbers of images.
pub(crate) fn studies_of_run(naming: &Naming) -> Dataset {
    study_keys().with_str(tags::PATIENT_ID, Vr::LO, naming.patients()).with_str(
        tags::NUMBER_OF_STUDY_RELATED_INSTANCES,
        Vr::IS,
        "",
    )
}

#[cfg(test)]
mod tests {
    use pacslab_model::Seed;

    use super::*;

    #[test]
    fn questions_differ_and_know_their_answers() {
        let naming = Naming::new(Seed(7));
        let studies = 1..=2000u64;
        let mut names: Vec<String> = studies.clone().map(Naming::name).collect();
        names.sort();
        let mut days: Vec<u64> = studies.clone().map(day).collect();
        days.sort_unstable();
        let prepared = Prepared { names, days, ..Prepared::default() };
        let known = |study| Known { study, images: 1, bytes: 0, pixels: 0 };
        for question in Question::ALL {
            let first = ask(question, &known(1), &naming, &prepared);
            let second = ask(question, &known(2), &naming, &prepared);
            assert_ne!(first.identifier, second.identifier, "{question:?}");
            assert!(first.least >= 1);
        }
        let week = ask(Question::Week, &known(10), &naming, &prepared);
        // 2,000 studies in ten years: about four in a week
        assert!((2..=7).contains(&week.least), "{}", week.least);
        let name = ask(Question::Name, &known(3), &naming, &prepared);
        let key = name.identifier.str(tags::PATIENT_NAME).to_owned();
        assert!(key.starts_with("PLBENCH-") && key.ends_with('*'), "{key}");
    }
}
