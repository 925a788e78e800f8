//! Who lies on the table: size, sex and age shape the anatomy, chance does the rest.

use pacslab_dicom::Dataset;
use pacslab_model::time::Date;
use pacslab_model::{Moment, Seed, tags};

use crate::random::Random;

/// The body of one patient: the same in every scan of the same seed.
#[derive(Clone, PartialEq, Debug)]
pub struct Habitus {
    pub(super) seed: Seed,
    pub(super) patient: String,
    pub(super) female: bool,
    pub(super) age: f32,
    /// Bones and organs against the reference body.
    pub(super) frame: f32,
    /// Subcutaneous fat at the flank, millimetres.
    pub(super) fat: f32,
}

impl Habitus {
    /// From the attributes of a worklist item; what it does not tell is drawn.
    pub fn of(item: &Dataset, seed: Seed, at: Moment) -> Self {
        let patient = item.str(tags::PATIENT_ID).to_owned();
        let mut random = Random::new(seed, &["habitus", &patient]);
        let female = match item.str(tags::PATIENT_SEX) {
            "F" => true,
            "M" => false,
            _ => random.below(2) == 0,
        };
        let (drawn_height, drawn_bmi) = (
            if female { 1.64 } else { 1.77 } + 0.06 * random.normal(),
            (25.0 + 3.5 * random.normal()).clamp(18.0, 38.0),
        );
        let drawn_age = random.between(35.0, 80.0);
        let told = |tag, low: f64, high: f64| {
            item.number(tag).filter(|value| (low..=high).contains(value)).map(|value| value as f32)
        };
        let height = told(tags::PATIENT_SIZE, 1.2, 2.3).unwrap_or(drawn_height);
        let bmi = match told(tags::PATIENT_WEIGHT, 25.0, 300.0) {
            Some(weight) => (weight / (height * height)).clamp(16.0, 45.0),
            None => drawn_bmi,
        };
        let age = Date::parse(item.str(tags::PATIENT_BIRTH_DATE)).map_or(drawn_age, |birth| {
            f32::from(at.date().ymd().0.saturating_sub(birth.ymd().0).min(110))
        });
        Self {
            seed,
            patient,
            female,
            age,
            frame: (height / 1.70).clamp(0.85, 1.12),
            fat: (6.0 + 1.6 * (bmi - 18.0)).clamp(5.0, 40.0),
        }
    }

    /// How wide the scanner opens its field, in millimetres: whole centimetres.
    pub fn field_of_view(&self) -> f32 {
        let wide = 2.0 * (158.0 * self.frame + self.fat) + 20.0;
        (wide / 20.0).ceil().clamp(17.0, 25.0) * 20.0
    }

    /// A stream that depends on the patient and on what is built.
    pub(super) fn random(&self, what: &str) -> Random {
        Random::new(self.seed, &["anatomy", &self.patient, what])
    }
}
