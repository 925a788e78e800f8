//! An order as options: shared by `hl7 generate`, `hl7 send` and `worklist create`.

use pacslab_model::order::{
    Code, Identifier, Order, Patient, Priority, RequestedProcedure, ScheduledStep, StepStatus,
    Visit,
};
use pacslab_model::time::Date;
use pacslab_model::{AeTitle, Clock, PersonName, Uid};

use crate::clock::When;
use crate::config::Config;
use crate::exit::{Failure, Result};

/// The order; every field has a value that works.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The order")]
pub(crate) struct OrderArgs {
    /// Accession number
    #[arg(long, default_value = "ACC1001", value_name = "TEXT")]
    pub(crate) accession: String,
    /// Patient ID
    #[arg(long, default_value = "P12345", value_name = "TEXT")]
    pub(crate) patient_id: String,
    /// Patient's name, as FAMILY^GIVEN
    #[arg(long, default_value = "DOE^JANE", value_name = "NAME")]
    pub(crate) name: String,
    /// Patient's birth date, as YYYYMMDD
    #[arg(long, default_value = "19800101", value_name = "DATE")]
    pub(crate) birth_date: String,
    /// Patient's sex: F, M or O
    #[arg(long, default_value = "F", value_name = "SEX")]
    pub(crate) sex: String,
    /// Referring physician, as FAMILY^GIVEN
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    pub(crate) referring: String,
    /// Requested procedure ID
    #[arg(long, default_value = "RP1001", value_name = "TEXT")]
    pub(crate) procedure_id: String,
    /// What is to be done
    #[arg(long, default_value = "CT CHEST W CONTRAST", value_name = "TEXT")]
    pub(crate) description: String,
    /// Procedure code, as VALUE^MEANING^SCHEME
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Scheduled procedure step ID [default: SPS and the digits of the procedure ID]
    #[arg(long, value_name = "TEXT")]
    pub(crate) step_id: Option<String>,
    /// Modality
    #[arg(long, default_value = "CT", value_name = "TEXT")]
    pub(crate) modality: String,
    /// AE title of the scanner [default: PYMOD1]
    #[arg(long, value_name = "TITLE")]
    pub(crate) station: Option<AeTitle>,
    /// When: now, now+10m or 2026-01-05T08:00
    #[arg(long, default_value = "now+10m", value_name = "TIME")]
    pub(crate) at: When,
    /// Priority: stat, high, routine, medium or low
    #[arg(long, default_value = "routine", value_parser = priority, value_name = "WORD")]
    pub(crate) priority: Priority,
    /// Study Instance UID [default: made from the accession number]
    #[arg(long, value_name = "UID")]
    pub(crate) study_uid: Option<String>,
}

impl OrderArgs {
    /// When, if nobody says.
    pub(crate) fn usual_time() -> When {
        When::Relative { forward: true, by: std::time::Duration::from_secs(600) }
    }

    pub(crate) fn order(&self, config: &Config, clock: &dyn Clock) -> Result<Order> {
        self.check()?;
        let at = self.at.moment(clock);
        let code = match &self.code {
            None => self.procedure(),
            Some(text) => {
                let mut parts = text.splitn(3, '^').map(str::trim);
                let mut part = |default: &str| match parts.next() {
                    None | Some("") => default.to_owned(),
                    Some(part) => part.to_owned(),
                };
                let (value, meaning) = (part(""), part(&self.description));
                Code::new(value, part("99PACSLAB"), meaning)
            }
        };
        let station = self.station.clone().unwrap_or_else(|| config.modality.aet.clone());
        let step = ScheduledStep {
            id: self.step_id(),
            description: self.description.clone(),
            protocol: code.clone(),
            modality: self.modality.to_uppercase(),
            station_name: station.to_string(),
            station,
            location: String::new(),
            start_date: at.da(),
            start_time: at.tm(),
            performing_physician: PersonName::new(""),
            status: StepStatus::Scheduled,
        };
        Ok(Order {
            accession: self.accession.clone(),
            placer: Identifier::new(&self.accession, "PACSLAB"),
            filler: Identifier::new(&self.accession, "PACSLAB"),
            patient: Patient {
                id: Identifier::new(&self.patient_id, "PACSLAB"),
                name: PersonName::new(&self.name),
                birth_date: self.birth_date.clone(),
                sex: self.sex.to_uppercase(),
                ..Patient::default()
            },
            visit: Visit {
                class: "O".to_owned(),
                referring_physician: PersonName::new(&self.referring),
                ..Visit::default()
            },
            procedure: RequestedProcedure {
                id: self.procedure_id.clone(),
                description: self.description.clone(),
                code,
                study_uid: self.study_uid(),
                priority: self.priority,
                ..RequestedProcedure::default()
            },
            steps: vec![step],
            ..Order::default()
        })
    }

    /// The exam of the catalogue by this description, else a code of its own.
    fn procedure(&self) -> Code {
        pacslab_modality::catalogue::exams()
            .iter()
            .find(|exam| exam.name.eq_ignore_ascii_case(self.description.trim()))
            .map_or_else(
                || Code::new(&self.procedure_id, "99PACSLAB", &self.description),
                |exam| exam.procedure(),
            )
    }

    /// `SPS1001` for `RP1001`.
    fn step_id(&self) -> String {
        self.step_id.clone().unwrap_or_else(|| {
            let id = self.procedure_id.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            format!("SPS{id}").chars().take(16).collect()
        })
    }

    /// The same order gives the same study, however often its item is written.
    fn study_uid(&self) -> Uid {
        match &self.study_uid {
            Some(uid) => Uid::new(uid.as_str()),
            None => Uid::from_parts(&["order", &self.accession, &self.procedure_id]),
        }
    }

    /// What DICOM allows (PS3.5 6.2), before anything is written.
    fn check(&self) -> Result<()> {
        let step_id = self.step_id();
        for (flag, value, limit) in [
            ("--accession", &self.accession, 16),
            ("--procedure-id", &self.procedure_id, 16),
            ("--step-id", &step_id, 16),
            ("--modality", &self.modality, 16),
            ("--patient-id", &self.patient_id, 64),
            ("--description", &self.description, 64),
        ] {
            let long = value.chars().count();
            if long > limit {
                let text = format!("{flag} '{value}' has {long} characters; the limit is {limit}");
                return Err(Failure::usage(text));
            }
            if value.trim().is_empty() {
                return Err(Failure::usage(format!("{flag} must not be empty")));
            }
            if value.contains(|c: char| c == '\\' || c.is_control()) {
                let text = format!("{flag} '{value}' has a backslash or a control character");
                return Err(Failure::usage(text));
            }
        }
        if !self.birth_date.is_empty() && Date::parse(&self.birth_date).is_none() {
            let text = format!("--birth-date '{}' is no date: YYYYMMDD", self.birth_date);
            return Err(Failure::usage(text));
        }
        if !matches!(self.sex.to_uppercase().as_str(), "" | "F" | "M" | "O") {
            return Err(Failure::usage(format!("--sex '{}' is none of F, M, O", self.sex)));
        }
        if let Some(uid) = self.study_uid.as_ref().filter(|uid| !Uid::new(uid.as_str()).is_valid())
        {
            return Err(Failure::usage(format!("--study-uid '{uid}' is no valid UID")));
        }
        Ok(())
    }
}

fn priority(text: &str) -> std::result::Result<Priority, String> {
    [Priority::Stat, Priority::High, Priority::Routine, Priority::Medium, Priority::Low]
        .into_iter()
        .find(|priority| priority.as_str().eq_ignore_ascii_case(text))
        .ok_or_else(|| "stat, high, routine, medium or low is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use pacslab_model::Moment;
    use pacslab_model::time::FixedClock;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        order: OrderArgs,
    }

    fn order(words: &[&str]) -> Result<Order> {
        let line = Line::parse_from(["x"].iter().chain(words));
        let values = crate::config::Values::defaults(crate::config::KEYS);
        let config = Config::from_values(&values)?;
        line.order.order(&config, &FixedClock(Moment::parse("2026-01-05T08:00", 0).unwrap()))
    }

    #[test]
    fn defaults_are_the_well_known_order() {
        let order = order(&[]).unwrap();
        assert_eq!(order.accession, "ACC1001");
        assert_eq!(order.patient.name.as_str(), "DOE^JANE");
        let step = &order.steps[0];
        assert_eq!((step.station.as_str(), step.start_time.as_str()), ("PYMOD1", "081000"));
        assert_eq!(step.id, "SPS1001");
        assert!(order.procedure.study_uid.is_valid());
    }

    #[test]
    fn values_that_dicom_forbids_are_named() {
        for (words, name) in [
            (["--accession", "12345678901234567"], "--accession"),
            (["--birth-date", "19801301"], "--birth-date"),
            (["--sex", "X"], "--sex"),
            (["--study-uid", "1..2"], "--study-uid"),
            (["--patient-id", "A\\B"], "--patient-id"),
        ] {
            let failure = order(&words).unwrap_err();
            assert!(failure.message.contains(name), "{}", failure.message);
            assert_eq!(failure.exit, crate::exit::Exit::Usage);
        }
    }
}
