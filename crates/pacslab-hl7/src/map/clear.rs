//! What a sender deletes (`""`), taken out of an order. HL7 v2.5.1 2.5.3.

use pacslab_model::PersonName;
use pacslab_model::order::{Code, Identifier, Order, Priority, ScheduledStep};

use super::Attribute;

impl Attribute {
    /// Empties the attribute in an order, in all of its steps where it belongs to steps. Numbers
    /// that hold an order together (accession number, ids, study UID), and modality and station,
    /// without which there is no worklist item, stay: they can be replaced, not deleted.
    pub fn clear(self, order: &mut Order) {
        let Order { patient, visit, procedure, steps, .. } = order;
        let mut each = |clear: fn(&mut ScheduledStep)| steps.iter_mut().for_each(clear);
        match self {
            Self::PatientName => patient.name = PersonName::default(),
            Self::PatientBirthDate => patient.birth_date.clear(),
            Self::PatientSex => patient.sex.clear(),
            Self::PatientMotherBirthName => patient.mother_birth_name = PersonName::default(),
            Self::PatientAddress => patient.address.clear(),
            Self::PatientWeight => patient.weight.clear(),
            Self::PatientSize => patient.size.clear(),
            Self::PatientState => patient.state.clear(),
            Self::MedicalAlerts => patient.medical_alerts.clear(),
            Self::Allergies => patient.allergies.clear(),
            Self::PregnancyStatus => patient.pregnancy = None,
            Self::AdmissionID => visit.admission = Identifier::default(),
            Self::RouteOfAdmissions => visit.class.clear(),
            Self::CurrentPatientLocation => visit.location.clear(),
            Self::ReferringPhysicianName => visit.referring_physician = PersonName::default(),
            Self::RequestedProcedureDescription => procedure.description.clear(),
            Self::RequestedProcedureCodeSequence => procedure.code = Code::default(),
            Self::RequestedProcedurePriority => procedure.priority = Priority::default(),
            Self::ReasonForTheRequestedProcedure => procedure.reason.clear(),
            Self::ReasonForRequestedProcedureCodeSequence => {
                procedure.reason_code = Code::default();
            }
            Self::RequestingPhysician => procedure.requesting_physician = PersonName::default(),
            Self::PatientTransportArrangements => procedure.transport.clear(),
            Self::RequestedProcedureComments => procedure.comments.clear(),
            Self::ConfidentialityCode => procedure.confidentiality.clear(),
            Self::InstitutionName => procedure.institution.clear(),
            Self::InstitutionalDepartmentName => procedure.department.clear(),
            Self::ScheduledProcedureStepDescription => each(|step| step.description.clear()),
            Self::ScheduledProtocolCodeSequence => each(|step| step.protocol = Code::default()),
            Self::ScheduledStationName => each(|step| step.station_name.clear()),
            Self::ScheduledProcedureStepLocation => each(|step| step.location.clear()),
            Self::ScheduledPerformingPhysicianName => {
                each(|step| step.performing_physician = PersonName::default());
            }
            Self::PatientID
            | Self::PlacerOrderNumberImagingServiceRequest
            | Self::FillerOrderNumberImagingServiceRequest
            | Self::AccessionNumber
            | Self::RequestedProcedureID
            | Self::StudyInstanceUID
            | Self::ScheduledProcedureStepID
            | Self::Modality
            | Self::ScheduledStationAETitle
            | Self::ScheduledProcedureStepStartDateTime => {}
        }
    }
}
