//! Patients by hand: registered, changed, merged, as ADT would do it.

use pacslab_hl7::adt::AdtEvent;
use pacslab_hl7::incoming::{PatientAction, PatientChange};
use pacslab_hl7::types::Timestamp;
use pacslab_model::order::{Identifier, Patient, Visit};
use pacslab_model::time::Date;
use pacslab_model::{PersonName, Vr};
use serde::{Deserialize, Serialize};

use crate::orders::{RefusedOrder, Ris};
use crate::patients::{PatientApplied, RefusedPatient};

/// A patient, or what is to be changed: what is empty is not said.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PatientWish {
    pub id: String,
    pub issuer: String,
    /// FAMILY^GIVEN
    pub name: String,
    /// YYYYMMDD
    pub birth_date: String,
    /// F, M or O
    pub sex: String,
    pub address: String,
}

impl PatientWish {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What it says, over what is known.
    pub(super) fn onto_patient(&self, mut patient: Patient) -> Result<Patient, RefusedPatient> {
        let wrong = |what: &'static str, value: &str, problem: &str| {
            let (value, problem) = (value.to_owned(), problem.to_owned());
            let place = ("PID", 3, 1);
            Err(RefusedPatient::Order(RefusedOrder::Value { what, value, problem, place }))
        };
        let most = Vr::LO.max_chars().unwrap_or(64);
        let bad = |text: &str| text.contains(|c: char| c == '\\' || c.is_control());
        if self.id.chars().count() > most || bad(&self.id) || bad(&self.issuer) {
            return wrong(
                "patient identifier",
                &self.id,
                "does not fit into DICOM (64 characters)",
            );
        }
        if !self.birth_date.is_empty() && Date::parse(&self.birth_date).is_none() {
            return wrong("birth date", &self.birth_date, "is no date: YYYYMMDD");
        }
        let sex = self.sex.to_uppercase();
        if !matches!(&*sex, "" | "F" | "M" | "O") {
            return wrong("sex", &self.sex, "is none of F, M, O");
        }
        if bad(&self.name) || self.name.chars().count() > 64 {
            return wrong("patient's name", &self.name, "does not fit into DICOM (64 characters)");
        }
        let take = |to: &mut String, from: &str| {
            if !from.is_empty() {
                from.clone_into(to);
            }
        };
        if !self.id.is_empty() {
            patient.id = Identifier::new(self.id.trim(), &*self.issuer);
        }
        if !self.name.is_empty() {
            patient.name = PersonName::new(&self.name);
        }
        take(&mut patient.birth_date, &self.birth_date);
        take(&mut patient.sex, &sex);
        take(&mut patient.address, &self.address);
        Ok(patient)
    }
}

impl Ris {
    /// The patient that an order is for: known, or as told.
    pub(super) fn wished(&self, wish: &PatientWish) -> Result<Patient, RefusedPatient> {
        let id = Identifier::new(wish.id.trim(), &*wish.issuer);
        let known = self.patient(&id)?;
        match known {
            Some(record) if id.id == record.patient.id.id => {
                PatientWish { id: String::new(), ..wish.clone() }.onto_patient(record.patient)
            }
            Some(record) if !id.id.is_empty() => Err(RefusedPatient::Retired {
                id: wish.id.clone(),
                into: crate::patients::shown(&record.patient.id),
            }),
            _ => wish.onto_patient(Patient::default()),
        }
    }

    /// Makes a patient known; one that is there already is refused.
    ///
    /// # Errors
    /// See [`RefusedPatient`]; nothing has changed then.
    pub fn register_patient(&self, wish: &PatientWish) -> Result<PatientApplied, RefusedPatient> {
        let patient = wish.onto_patient(Patient::default())?;
        if patient.id.id.is_empty() {
            return Err(RefusedOrder::Missing {
                what: "the patient identifier",
                place: ("PID", 3, 1),
            }
            .into());
        }
        if let Some(known) = self.patient(&patient.id)? {
            let name = known.patient.name.to_string();
            return Err(RefusedPatient::Taken { id: wish.id.clone(), name });
        }
        self.by_hand("A28", PatientAction::Create, patient)
    }

    /// Demographics change; orders and studies follow.
    ///
    /// # Errors
    /// See [`RefusedPatient`]; nothing has changed then.
    pub fn update_patient(
        &self,
        id: &Identifier,
        wish: &PatientWish,
    ) -> Result<PatientApplied, RefusedPatient> {
        let told = PatientWish { id: String::new(), issuer: String::new(), ..wish.clone() };
        let patient = told.onto_patient(Patient { id: id.clone(), ..Patient::default() })?;
        self.by_hand("A31", PatientAction::Update, patient)
    }

    /// Everything of `retired` belongs to `id` from now on, as by A40.
    ///
    /// # Errors
    /// See [`RefusedPatient`]; nothing has changed then.
    pub fn merge_patients(
        &self,
        id: &Identifier,
        retired: &Identifier,
    ) -> Result<PatientApplied, RefusedPatient> {
        let action =
            PatientAction::Merge { retired: vec![retired.clone()], name: PersonName::default() };
        self.by_hand("A40", action, Patient { id: id.clone(), ..Patient::default() })
    }

    fn by_hand(
        &self,
        code: &str,
        action: PatientAction,
        patient: Patient,
    ) -> Result<PatientApplied, RefusedPatient> {
        // whoever types an identifier wants that patient
        if !matches!(action, PatientAction::Create) && self.patient(&patient.id)?.is_none() {
            return Err(RefusedPatient::Unknown(crate::patients::shown(&patient.id)));
        }
        let Some(event) = AdtEvent::by_code(code) else {
            return Err(RefusedPatient::Unknown(code.to_owned()));
        };
        let change = PatientChange {
            event,
            at: Timestamp::default(),
            action,
            patient,
            visit: Visit::default(),
            cleared: Vec::new(),
        };
        self.change_patient(&change, true)
    }
}
