//! Invented people. Names come from own lists and syllables, so that they belong to nobody.

use pacslab_model::order::Patient;
use pacslab_model::time::Date;
use pacslab_model::{Moment, PersonName, Seed};

use crate::random::Random;

const FEMALE: &[&str] = &[
    "ADA", "BIRTE", "CARLA", "DORIT", "ELSA", "FARAH", "GRETA", "HANNE", "INES", "JUNO", "KAYA",
    "LEONIE", "MIRA", "NADJA", "OLIVE", "PETRA",
];
const MALE: &[&str] = &[
    "ALVIN", "BODO", "CASPER", "DARIO", "EMIL", "FINN", "GUSTAV", "HUGO", "IVAN", "JONAS", "KARIM",
    "LEO", "MILAN", "NILS", "OSKAR", "PAVEL",
];
const ONSETS: &[&str] = &["B", "BR", "D", "F", "G", "K", "L", "M", "N", "P", "R", "S", "T", "V"];
const VOWELS: &[&str] = &["A", "E", "I", "O", "U", "EI", "AU"];
const CODAS: &[&str] = &["L", "N", "R", "S", "ND", "RT", "LM", ""];

/// Who the seed stands for.
pub(crate) fn patient(seed: Seed, at: Moment, adult_sex: Option<&str>) -> Patient {
    let mut random = Random::new(seed, &["patient"]);
    let sex = match adult_sex {
        Some(sex) => sex,
        None => ["F", "M"][random.below(2)],
    };
    let given = random.pick(if sex == "M" { MALE } else { FEMALE });
    let (height, girth) = if sex == "M" { (1.76, 1.03) } else { (1.63, 1.0) };
    let height = height + 0.07 * random.normal();
    let bmi = (26.0 * girth + 3.6 * random.normal()).clamp(18.0, 42.0);
    let mut patient = Patient {
        name: PersonName::new(&format!("{}^{given}", family(&mut random))),
        birth_date: birth(&mut random, at),
        sex: sex.to_owned(),
        size: format!("{height:.2}"),
        weight: format!("{:.0}", bmi * height * height),
        ..Patient::default()
    };
    patient.id.id = format!("PL{:06}", random.below(1_000_000));
    patient.id.issuer = "PACSLAB".to_owned();
    patient
}

/// A referring physician, by the same rules.
pub(crate) fn physician(seed: Seed) -> PersonName {
    let mut random = Random::new(seed, &["referring physician"]);
    let names = [FEMALE, MALE][random.below(2)];
    let given = random.pick(names);
    PersonName::new(&format!("{}^{given}^^DR", family(&mut random)))
}

fn family(random: &mut Random) -> String {
    let syllables = 2 + random.below(2);
    let mut name = String::new();
    for _ in 0..syllables {
        name += random.pick(ONSETS);
        name += random.pick(VOWELS);
    }
    name + random.pick(CODAS)
}

/// An adult between 20 and 89.
fn birth(random: &mut Random, at: Moment) -> String {
    let (year, _, _) = at.date().ymd();
    let age = (55.0 + 17.0 * random.normal()).clamp(20.0, 89.0) as u16;
    let (month, day) = (1 + random.below(12) as u8, 1 + random.below(28) as u8);
    Date::new(year.saturating_sub(age + 1), month, day).map_or_else(String::new, |d| d.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_follow_from_the_seed_and_fit_their_attributes() {
        let at = Moment::parse("2026-01-05T08:00", 0).unwrap();
        for seed in 0..200 {
            let someone = patient(Seed(seed), at, None);
            assert_eq!(someone, patient(Seed(seed), at, None));
            assert!(someone.name.as_str().len() <= 64 && someone.id.id.len() == 8, "{someone:?}");
            assert!(Date::parse(&someone.birth_date).is_some());
            let kilograms: f64 = someone.weight.parse().unwrap();
            assert!((35.0..180.0).contains(&kilograms), "{someone:?}");
            assert!(!physician(Seed(seed)).is_empty());
        }
        assert_ne!(patient(Seed(1), at, None).name, patient(Seed(2), at, None).name);
    }
}
