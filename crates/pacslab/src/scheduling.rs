//! From an exam of the catalogue to a room and a station, as configured.

use pacslab_hl7::order::StationRule;
use pacslab_modality::catalogue;
use pacslab_model::AeTitle;
use pacslab_ris::clerk::{ExamEntry, Scheduling};

use crate::config::{Config, Setting};

/// Which station takes what: `CT=CT1@Room 1; CT/CTHEAD=CT2@Room 2`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stations(pub(crate) Vec<StationRule>);

impl Setting for Stations {
    const KIND: &'static str = "stations by modality or exam, separated by semicolons";

    fn read(text: &str) -> Result<Self, String> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        let mut rules: Vec<StationRule> = rules.map(rule).collect::<Result<_, _>>()?;
        // the one that says more is looked at first
        rules.sort_by_key(|rule| rule.code.is_empty());
        Ok(Self(rules))
    }
}

fn rule(text: &str) -> Result<StationRule, String> {
    let wrong = || format!("'{text}' is no rule: write MODALITY=TITLE, MODALITY/EXAM=TITLE@ROOM");
    let (what, place) = text.split_once('=').ok_or_else(wrong)?;
    let (modality, code) = what.split_once('/').unwrap_or((what, ""));
    let (title, room) = place.split_once('@').unwrap_or((place, ""));
    let (title, room) = (title.trim(), room.trim());
    let station = AeTitle::new(title).map_err(|error| format!("'{text}': {error}"))?;
    if room.chars().count() > 16 {
        return Err(format!("'{text}': DICOM has 16 characters for a room"));
    }
    let (modality, code) = (modality.trim().to_uppercase(), code.trim().to_uppercase());
    let modality = if modality == "*" { String::new() } else { modality };
    let (name, location) = (station.to_string(), room.to_owned());
    Ok(StationRule { modality, code, station, name, location })
}

/// What can be ordered, and where it is done.
pub(crate) fn scheduling(config: &Config) -> Scheduling {
    let exam = |exam: &catalogue::Exam| ExamEntry {
        code: exam.procedure(),
        modality: exam.modality.clone(),
    };
    Scheduling {
        exams: catalogue::exams().iter().map(exam).collect(),
        stations: config.worklist.stations.0.clone(),
        default_station: Some(config.modality.aet.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_the_exact_one_comes_first() {
        let read = Stations::read("CT=CT1@Room 1; ct/cthead=CT2; *=ANY1").unwrap().0;
        let shown: Vec<String> = read
            .iter()
            .map(|r| format!("{}/{}={}@{}", r.modality, r.code, r.station, r.location))
            .collect();
        assert_eq!(shown, ["CT/CTHEAD=CT2@", "CT/=CT1@Room 1", "/=ANY1@"]);
        for (bad, why) in
            [("CT", "no rule"), ("CT=", "CT="), ("CT=CT1@a room of 17 chars", "16 characters")]
        {
            assert!(Stations::read(bad).unwrap_err().contains(why), "{bad}");
        }
    }
}
