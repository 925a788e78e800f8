//! How messages are read, and answered.

use pacslab_model::AeTitle;

use crate::map::Sources;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Strict: whatever IHE requires and is missing is an error. Lenient: what the lab can fill is
    /// left empty (and named in `fill`) or taken from elsewhere, with a warning.
    pub strict: bool,
    /// Where each attribute is looked for.
    pub sources: Sources,
    /// Stations by modality and procedure code, for orders that name none.
    pub stations: Vec<StationRule>,
    pub default_station: Option<AeTitle>,
    /// The authority (PID-3.4.1 or PID-3.4.2) whose identifier is PatientID; the first repetition
    /// of PID-3 when none is named or present.
    pub patient_authority: Option<String>,
    pub responses: Responses,
}

/// When the application answers an order message with the response of its kind (ORR, ORG, ORI)
/// instead of an ACK. HL7 v2.5.1 2.9.2 and chapter 4.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Responses {
    Never,
    /// Where the sender asks for an application acknowledgement (MSH-16).
    #[default]
    Asked,
    /// In original mode too.
    Always,
}

/// One station and which steps it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StationRule {
    /// Empty takes every modality.
    pub modality: String,
    /// Universal service id (OBR-4.1); empty takes every procedure.
    pub code: String,
    pub station: AeTitle,
    /// (0040,0010) and (0040,0011), where the message names none.
    pub name: String,
    pub location: String,
}

impl StationRule {
    pub(crate) fn takes(&self, modality: &str, code: &str) -> bool {
        (self.modality.is_empty() || self.modality == modality)
            && (self.code.is_empty() || self.code == code)
    }
}
