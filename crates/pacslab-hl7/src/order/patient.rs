//! The patient and the visit of an order: PID, PV1, AL1 and what OBR and OBX add.

use pacslab_model::order::{Identifier, Patient, Visit};

use super::read::{Reader, described};
use crate::finding::Code;
use crate::message::Value;
use crate::types::{self, Timestamp, component, first};

impl Reader<'_, '_> {
    pub(super) fn patient(&mut self, required: bool) -> Patient {
        let pid = |field| self.group.field("PID", field);
        let ids = pid(3).repetitions().map(types::identifier_from_cx);
        let mut ids: Vec<Identifier> = ids.filter(|id| !id.id.is_empty()).collect();
        let authority = self.options.patient_authority.as_deref();
        let wanted = ids.iter().position(|id| {
            authority.is_some_and(|name| id.issuer == name || id.universal_id == name)
        });
        let old_id = types::identifier_from_cx(pid(2));
        let name = types::name_from_xpn(pid(5));
        let mother_birth_name = types::name_from_xpn(pid(6));
        let address = one_line(pid(11));
        let observed = |wanted: &[&str], units: fn(&str) -> Option<f64>| {
            let obx = self.group.all("OBX").find(|obx| {
                let names = [component(obx.field(3), 1), component(obx.field(3), 2)];
                names.iter().any(|name| wanted.iter().any(|w| w.eq_ignore_ascii_case(name)))
            })?;
            let value: f64 = first(obx.field(5)).parse().ok()?;
            let value = value * units(&first(obx.field(6)).to_ascii_lowercase())?;
            (value.is_finite() && value > 0.0).then(|| decimal(value))
        };
        let weight = observed(&["Body Weight", "29463-7", "3141-9"], kilograms);
        let size = observed(&["Body Height", "8302-2", "3137-7"], metres);
        let allergies = self.group.all("AL1").map(|al1| described(al1.field(3)));
        let allergies: Vec<String> = allergies.filter(|text| !text.is_empty()).collect();

        let mut id = Identifier::default();
        match wanted {
            _ if !ids.is_empty() => id = ids.remove(wanted.unwrap_or(0)),
            _ if !old_id.id.is_empty() && !self.options.strict => {
                self.remark(("PID", 3, 1), "no patient identifier; that of PID-2 is taken");
                id = old_id;
            }
            _ if required => {
                let text = "the patient identifier is missing".to_owned();
                self.fault(("PID", 3, 1), Code::RequiredFieldMissing, text);
            }
            _ => {}
        }
        if id.id.chars().count() > 64 {
            let text = format!("patient identifier '{}' has more than 64 characters", id.id);
            self.fault(("PID", 3, 1), Code::DataType, text);
        }
        if name.is_empty() && required {
            let problem = "the patient name is missing";
            self.gap(("PID", 5, 1), Code::RequiredFieldMissing, problem, "left empty");
        }
        if name.as_str().split('=').any(|part| part.chars().count() > 64) {
            let problem = "the patient name has more than 64 characters in a group";
            self.gap(("PID", 5, 0), Code::DataType, problem, "kept as it is");
        }
        Patient {
            id,
            other_ids: ids,
            name,
            birth_date: self.birth_date(),
            sex: self.sex(),
            weight: weight.unwrap_or_default(),
            size: size.unwrap_or_default(),
            address,
            mother_birth_name,
            state: described(self.group.field("OBR", 12)),
            allergies: allergies.join("\\"),
            medical_alerts: first(self.group.field("OBR", 13)),
            pregnancy: self.pregnancy(),
        }
    }

    fn birth_date(&mut self) -> String {
        let place = ("PID", 7, 1);
        let text = first(self.group.field("PID", 7));
        if text.is_empty() {
            return text;
        }
        match Timestamp::parse(&text) {
            Some(time) if time.has_day() => {
                let sent = Timestamp::parse(&self.group.message.text("MSH-7.1"));
                if sent.is_some_and(|sent| sent.has_day() && time.date > sent.date) {
                    self.remark(place, &format!("birth date {} is in the future", time.date));
                }
                time.date
            }
            Some(_) => {
                let problem = format!("birth date '{text}' has no day, which DICOM needs");
                self.gap(place, Code::DataType, &problem, "left empty");
                String::new()
            }
            None => {
                let problem = format!("birth date '{text}' is not a date (YYYYMMDD)");
                self.gap(place, Code::DataType, &problem, "left empty");
                String::new()
            }
        }
    }

    fn sex(&mut self) -> String {
        let text = first(self.group.field("PID", 8));
        types::sex(&text).map(str::to_owned).unwrap_or_else(|| {
            let problem = format!("sex '{text}' is not in table 0001 (F, M, O, U, A, N)");
            self.gap(("PID", 8, 1), Code::TableValueNotFound, &problem, "left empty");
            String::new()
        })
    }

    fn pregnancy(&self) -> Option<u16> {
        let status = self.group.field("PV1", 15);
        status.repetitions().any(|code| first(code).eq_ignore_ascii_case("B6")).then_some(3)
    }

    pub(super) fn visit(&self) -> Visit {
        let pv1 = |field| self.group.field("PV1", field);
        let number = types::identifier_from_cx(pv1(19));
        let account = types::identifier_from_cx(self.group.field("PID", 18));
        let class = first(pv1(2)).to_ascii_uppercase();
        let location = (1..=4).map(|n| component(pv1(3), n)).collect::<Vec<_>>().join("^");
        Visit {
            admission: if number.id.is_empty() { account } else { number },
            // U says that nobody knows
            class: if class == "U" { String::new() } else { class },
            location: location.trim_end_matches('^').to_owned(),
            referring_physician: types::name_from_xcn(pv1(8)),
        }
    }
}

/// XAD as one line: street, other designation, city, state, code, country.
fn one_line(field: Value<'_>) -> String {
    let parts = (1..=6).map(|n| component(field, n)).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ")
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
        "m" => Some(1.0),
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
