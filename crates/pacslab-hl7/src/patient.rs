//! The patient and the visit that a message tells: PID, PV1, AL1 and what OBR and OBX add.

use pacslab_model::order::{Identifier, Patient, Visit};

use crate::finding::Code;
use crate::map::Attribute;
use crate::message::Value;
use crate::reader::{Reader, described};
use crate::types::{self, Timestamp, component, first};

impl Reader<'_> {
    /// `identified`: it is an error when nobody says who it is. `named`: a name is expected.
    pub(crate) fn patient(&mut self, identified: bool, named: bool) -> Patient {
        let (id, other_ids) = self.patient_ids(identified);
        let name = self.name(Attribute::PatientName);
        let name_spot = self.missing(Attribute::PatientName);
        if name.is_empty() && named {
            let problem = "the patient name is missing";
            self.gap(&name_spot, Code::RequiredFieldMissing, problem, "left empty");
        }
        if name.as_str().split('=').any(|part| part.chars().count() > 64) {
            let problem = "the patient name has more than 64 characters in a group";
            self.gap(&name_spot, Code::DataType, problem, "kept as it is");
        }
        let weight = self.measure(Attribute::PatientWeight, kilograms);
        let size = self.measure(Attribute::PatientSize, metres);
        Patient {
            id,
            other_ids,
            name,
            birth_date: self.birth_date(),
            sex: self.sex(),
            weight,
            size,
            address: self.address(),
            mother_birth_name: self.name(Attribute::PatientMotherBirthName),
            state: self.described(Attribute::PatientState),
            allergies: self.each(Attribute::Allergies, described).join("\\"),
            medical_alerts: self.text(Attribute::MedicalAlerts).1,
            pregnancy: self.pregnancy(),
        }
    }

    /// PatientID and the others. Of several repetitions it is the one of the configured authority.
    fn patient_ids(&mut self, identified: bool) -> (Identifier, Vec<Identifier>) {
        let mut ids = self.identifiers(Attribute::PatientID);
        let authority = self.options.patient_authority.as_deref();
        let wanted = ids.iter().position(|id| {
            authority.is_some_and(|name| id.issuer == name || id.universal_id == name)
        });
        let spot = self.missing(Attribute::PatientID);
        if ids.is_empty() {
            if identified {
                let text = "the patient identifier is missing".to_owned();
                self.fault(&spot, Code::RequiredFieldMissing, text);
            }
            return Default::default();
        }
        let id = ids.remove(wanted.unwrap_or(0));
        if id.id.chars().count() > 64 {
            let text = format!("patient identifier '{}' has more than 64 characters", id.id);
            self.fault(&spot, Code::DataType, text);
        }
        if id.id.contains(|c: char| c == '\\' || c.is_control()) {
            let text = format!(
                "patient identifier {:?} has a backslash or control character in it",
                id.id
            );
            self.fault(&spot, Code::DataType, text);
        }
        (id, ids)
    }

    fn birth_date(&mut self) -> String {
        let (spot, time) = self.time(Attribute::PatientBirthDate);
        match time {
            Ok(None) => String::new(),
            Ok(Some(time)) if time.has_day() => {
                let sent = Timestamp::parse(&self.group.message.text("MSH-7.1"));
                if sent.is_some_and(|sent| sent.has_day() && time.date > sent.date) {
                    let text = format!("birth date {} is in the future", time.date);
                    self.warn(&spot, Code::DataType, text);
                }
                time.date
            }
            Ok(Some(time)) => {
                let problem = format!("birth date '{}' has no day, which DICOM needs", time.date);
                self.gap(&spot, Code::DataType, &problem, "left empty");
                String::new()
            }
            Err(text) => {
                let problem = format!("birth date '{text}' is not a date (YYYYMMDD)");
                self.gap(&spot, Code::DataType, &problem, "left empty");
                String::new()
            }
        }
    }

    fn sex(&mut self) -> String {
        let (spot, text) = self.text(Attribute::PatientSex);
        types::sex(&text).map(str::to_owned).unwrap_or_else(|| {
            let problem = format!("sex '{text}' is not in table 0001 (F, M, O, U, A, N)");
            self.gap(&spot, Code::TableValueNotFound, &problem, "left empty");
            String::new()
        })
    }

    /// XAD as one line: street, other designation, city, state, code, country.
    fn address(&mut self) -> String {
        self.joined(Attribute::PatientAddress, |field| {
            let parts = (1..=6).map(|n| component(field, n)).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(", ")
        })
    }

    fn measure(&self, attribute: Attribute, units: fn(&str) -> Option<f64>) -> String {
        let Some((value, unit)) = self.observed(attribute) else { return String::new() };
        let value = units(&unit).map(|factor| value * factor);
        value.filter(|value| value.is_finite() && *value > 0.0).map(decimal).unwrap_or_default()
    }

    fn pregnancy(&mut self) -> Option<u16> {
        let codes = self.each(Attribute::PregnancyStatus, first);
        codes.iter().any(|code| code.eq_ignore_ascii_case("B6")).then_some(3)
    }

    pub(crate) fn visit(&mut self) -> Visit {
        let class = self.text(Attribute::RouteOfAdmissions).1.to_ascii_uppercase();
        Visit {
            admission: self.identifier(Attribute::AdmissionID).1,
            // U says that nobody knows, N that there is no visit
            class: if matches!(class.as_str(), "U" | "N") { String::new() } else { class },
            location: self.joined(Attribute::CurrentPatientLocation, location),
            referring_physician: self.name(Attribute::ReferringPhysicianName),
        }
    }
}

/// PL with its first four components, as `WARD^ROOM^BED^FACILITY`.
pub(crate) fn location(field: Value<'_>) -> String {
    let parts = (1..=4).map(|n| component(field, n)).collect::<Vec<_>>().join("^");
    parts.trim_end_matches('^').to_owned()
}

fn kilograms(unit: &str) -> Option<f64> {
    match unit {
        "" | "kg" => Some(1.0),
        "g" => Some(0.001),
        "lb" | "lbs" | "[lb_av]" => Some(0.453_592_37),
        _ => None,
    }
}

fn metres(unit: &str) -> Option<f64> {
    match unit {
        // a number from elsewhere than an OBX
        "" | "m" => Some(1.0),
        "cm" => Some(0.01),
        "in" | "[in_i]" => Some(0.0254),
        _ => None,
    }
}

/// A DS without noise from the arithmetic.
fn decimal(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
