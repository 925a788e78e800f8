//! What is ordered, as options.

use pacslab_model::Clock;
use serde_json::{Map, Value};

use crate::clock::When;

/// What is not said is filled, or stays.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The order")]
pub(crate) struct WishArgs {
    /// Exam of the catalogue, e.g. CTCHW: tells procedure and modality
    #[arg(long, value_name = "CODE")]
    exam: Option<String>,
    /// What is to be done, where it is not in the catalogue
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Modality, where no exam tells it
    #[arg(long, value_name = "TEXT")]
    modality: Option<String>,
    /// AE title of the scanner [default: by worklist.stations]
    #[arg(long, value_name = "TITLE")]
    station: Option<String>,
    /// Room [default: by worklist.stations]
    #[arg(long, value_name = "TEXT")]
    location: Option<String>,
    /// When: now, now+10m or 2026-01-05T08:00
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// stat, high, routine, medium or low
    #[arg(long, value_name = "WORD")]
    priority: Option<String>,
    /// Referring physician, as FAMILY^GIVEN
    #[arg(long, value_name = "NAME")]
    referring: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl WishArgs {
    pub(crate) fn json(&self, clock: &dyn Clock) -> Map<String, Value> {
        let mut wish = Map::new();
        let texts = [
            ("exam", &self.exam),
            ("description", &self.description),
            ("modality", &self.modality),
            ("station", &self.station),
            ("location", &self.location),
            ("referring", &self.referring),
            ("reason", &self.reason),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                wish.insert(name.to_owned(), text.as_str().into());
            }
        }
        if let Some(priority) = &self.priority {
            wish.insert("priority".to_owned(), priority.to_uppercase().into());
        }
        if let Some(at) = self.at.as_ref().map(|at| at.moment(clock)) {
            wish.insert("date".to_owned(), at.da().into());
            wish.insert("time".to_owned(), at.tm().into());
        }
        wish
    }
}
