//! C-FIND of the worklist: one order by its accession number, and what a scanner asks all day: its
//! own items of today. PS3.4 K.4.1.

use std::sync::Arc;

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, Proposal};
use pacslab_model::{Clock, Moment, Vr, tags, uids};

use super::{At, Prepared, expect, matches, release};
use crate::bench::data::Naming;
use crate::bench::runner::{BoxFuture, Done, Fault, Worker, Workload};
use crate::clock::SystemClock;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    Accession,
    StationToday,
}

impl Question {
    pub(crate) const ALL: [Self; 2] = [Self::Accession, Self::StationToday];

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Accession => "accession",
            Self::StationToday => "station and date",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Worklist {
    pub(crate) at: Arc<At>,
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) question: Question,
}

impl Workload for Worklist {
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Worker>, Fault>> {
        Box::pin(async move {
            let proposal = Proposal::of(uids::MODALITY_WORKLIST_FIND);
            let association = self.at.site.associate(proposal).await?;
            let (at, prepared) = (self.at.clone(), self.prepared.clone());
            let question = self.question;
            let worker: Box<dyn Worker> = Box::new(Asking { at, prepared, question, association });
            Ok(worker)
        })
    }
}

struct Asking {
    at: Arc<At>,
    prepared: Arc<Prepared>,
    question: Question,
    association: Association,
}

impl Worker for Asking {
    fn once(&mut self) -> BoxFuture<'_, Result<Done, Fault>> {
        Box::pin(async move {
            // without orders of ours, one that nobody has: the whole list is looked through
            let next = self.at.next_of(&self.prepared.orders);
            let (keys, least, most) = match (self.question, next) {
                (Question::Accession, Some(study)) => {
                    let station = station_name(&self.at, place(*study).0);
                    (asked(&station, "", &self.at.naming.accession(*study)), 1, 1)
                }
                (Question::Accession, None) => (keys(&self.at, self.at.next_study()), 0, 0),
                (Question::StationToday, next) => {
                    // another station each time, as scanners ask; others may have orders there
                    let (station, today) = next.map_or((0, true), |study| place(*study));
                    let day = day(SystemClock.now(), if today { 0 } else { 1 });
                    let expected = self.prepared.orders.iter();
                    let expected = expected.filter(|study| place(**study) == (station, today));
                    let station = station_name(&self.at, station);
                    (asked(&station, &day, ""), expected.count(), usize::MAX)
                }
            };
            let model = uids::MODALITY_WORKLIST_FIND;
            let found = matches(&mut self.association, model, &keys).await?;
            expect(found.len(), least, most)?;
            Ok(Done { objects: found.len() as u64, ..Done::default() })
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(release(self.association))
    }
}

/// Stations that a department's orders are spread over; 0 is the one that we are.
const STATIONS: u64 = 100;

/// The station of an order that is there to be found, and whether it is of today.
fn place(study: u64) -> (u64, bool) {
    (study % STATIONS, (study / STATIONS).is_multiple_of(10))
}

fn station_name(at: &At, station: u64) -> String {
    match station {
        0 => at.site.target.calling.to_string(),
        other => format!("PLBENCH{other:02}"),
    }
}

/// DA, so many days on.
fn day(now: Moment, days: i64) -> String {
    Moment { micros: now.micros + days * 86_400_000_000, ..now }.da()
}

/// What a scanner asks for one order.
pub(crate) fn keys(at: &At, study: u64) -> Dataset {
    let accession = at.naming.accession(study);
    asked(at.site.target.calling.as_str(), "", &accession)
}

fn asked(station: &str, day: &str, accession: &str) -> Dataset {
    let mut step = Dataset::new().with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, station);
    for (tag, vr) in [
        (tags::MODALITY, Vr::CS),
        (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO),
        (tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH),
    ] {
        step.put_str(tag, vr, "");
    }
    step.put_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, day);
    let mut keys = Dataset::new().with_str(tags::ACCESSION_NUMBER, Vr::SH, accession);
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
    written(at, study, at.site.target.calling.as_str(), now)
}

/// The same for a station and a day of its own: what fills a worklist.
pub(crate) fn order_to_find(at: &At, study: u64, now: Moment) -> String {
    let (station, today) = place(study);
    let day = Moment { micros: now.micros + if today { 0 } else { 86_400_000_000 }, ..now };
    written(at, study, &station_name(at, station), day)
}

fn written(at: &At, study: u64, station: &str, now: Moment) -> String {
    let naming = &at.naming;
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
