//! From a worklist item to the objects of a study.

use pacslab_dicom::{Dataset, FileMeta};
use pacslab_model::{AeTitle, Moment, Seed, Uid};

use crate::catalogue::{self, Exam};
use crate::ct;
use crate::item::WorklistItem;

/// Where, when and by which chance.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    pub seed: Seed,
    /// When the procedure step starts.
    pub at: Moment,
    pub station: AeTitle,
    /// 1 for the first acquisition of an item; a repetition is a series of its own.
    pub run: u32,
    /// The performed procedure step that the images belong to, where one was opened.
    pub mpps: Option<Uid>,
}

impl Options {
    pub fn new(seed: Seed, at: Moment, station: AeTitle) -> Self {
        Self { seed, at, station, run: 1, mpps: None }
    }
}

/// What one procedure step produced.
#[derive(Clone, PartialEq, Debug)]
pub struct Acquisition {
    pub study_uid: Uid,
    /// (0040,0253)
    pub performed_step_id: String,
    pub series: Vec<Series>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    pub uid: Uid,
    pub number: u32,
    pub modality: String,
    pub description: String,
    pub instances: Vec<Instance>,
}

/// One object, ready to be stored or sent.
#[derive(Clone, PartialEq, Debug)]
pub struct Instance {
    pub meta: FileMeta,
    pub dataset: Dataset,
    pub file_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the scanner cannot make '{wanted}' ({modality}) yet; at this stage it makes {can}")]
    NotModelled { wanted: String, modality: String, can: String },
}

impl Acquisition {
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.series.iter().flat_map(|series| &series.instances)
    }
}

/// Plays the exam that the item asks for.
///
/// # Errors
/// [`Error::NotModelled`], when there is no anatomy or no modality for it yet.
pub fn acquire(item: &WorklistItem, options: &Options) -> Result<Acquisition, Error> {
    let Some(region) = region_of(item) else {
        return Err(Error::NotModelled {
            wanted: match item.procedure_description() {
                "" => "an exam without description".to_owned(),
                text => text.to_owned(),
            },
            modality: item.modality().to_owned(),
            can: possible().map(|exam| exam.code.as_str()).collect::<Vec<_>>().join(", "),
        });
    };
    Ok(ct::acquire(item, region, options))
}

/// The exams of the catalogue that [`acquire`] can make.
pub fn possible() -> impl Iterator<Item = &'static Exam> {
    catalogue::exams()
        .iter()
        .filter(|exam| exam.modality == "CT" && Region::of_body_part(&exam.body_part).is_some())
}

/// The parts of the body that have an anatomy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Region {
    Chest,
    Head,
}

impl Region {
    fn of_body_part(body_part: &str) -> Option<Self> {
        match body_part {
            "CHEST" | "HEART" => Some(Self::Chest),
            "HEAD" => Some(Self::Head),
            _ => None,
        }
    }
}

/// By the catalogue, else by the words that departments use.
fn region_of(item: &WorklistItem) -> Option<Region> {
    if item.modality() != "CT" {
        return None;
    }
    if let Some(exam) = item.exam() {
        return Region::of_body_part(&exam.body_part);
    }
    let text = format!("{} {}", item.procedure_description(), item.step_description());
    let text = text.to_uppercase();
    let words: [(Region, &[&str]); 2] = [
        (Region::Chest, &["CHEST", "THORA", "LUNG", "PULMON", "CARDIAC", "HEART", "CORONARY"]),
        (Region::Head, &["HEAD", "BRAIN", "SKULL", "CRANI", "CEREBR"]),
    ];
    words
        .iter()
        .find(|(_, words)| words.iter().any(|word| text.contains(word)))
        .map(|(region, _)| *region)
}
