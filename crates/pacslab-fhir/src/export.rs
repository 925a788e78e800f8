//! From studies and orders to resources. The map follows PS3.20 and the ImagingStudy page of R4.

mod report;

pub use report::{AttachmentForExport, ReportForExport, ReportState, diagnostic_report};

use std::collections::BTreeSet;

use pacslab_model::order::{self, Order, Priority, StepStatus};
use pacslab_model::{PersonName, Uid};

use crate::parts::{
    accession, concept, count, date, date_time, identifier, names, number, person, query,
    study_identifier, synthetic, system, uuid,
};
use crate::resource::{
    Address, Annotation, Bundle, BundleEntry, BundleRequest, CodeableConcept, Coding, Endpoint,
    Identifier, ImagingStudy, Instance, Patient, Performer, Reference, Resource, Series,
    ServiceRequest,
};
use crate::terms;

/// A study as the archive knows it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StudyForExport {
    pub uid: Uid,
    pub patient: order::Patient,
    pub accession: String,
    /// (0008,0051); its `id` is not used.
    pub accession_issuer: order::Identifier,
    pub description: String,
    /// DA and TM.
    pub date: String,
    pub time: String,
    /// (0008,0201), or empty for the zone of the site.
    pub timezone: String,
    pub referring_physician: PersonName,
    /// (0008,1060)
    pub reading_physician: PersonName,
    /// First item of ProcedureCodeSequence (0008,1032).
    pub procedure: order::Code,
    pub series: Vec<SeriesForExport>,
    /// What was read of it, as it stands now.
    pub report: Option<ReportForExport>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SeriesForExport {
    pub uid: Uid,
    /// IS, as it stands in the object.
    pub number: String,
    pub modality: String,
    pub description: String,
    pub body_part: String,
    pub laterality: String,
    pub date: String,
    pub time: String,
    pub station: String,
    pub operator: PersonName,
    pub instances: Vec<InstanceForExport>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InstanceForExport {
    pub uid: Uid,
    pub sop_class: Uid,
    pub number: String,
}

/// The department that exports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// Base of the DICOMweb service, without `/studies`.
    pub wado_url: String,
    /// Seconds east of UTC, for times whose object names no zone.
    pub offset: i32,
    /// Base URI of the identifier and code systems whose authority has no OID of its own. It must
    /// not change between exports, or the receiver keeps two patients.
    pub namespace: String,
    /// Name shown for the endpoint.
    pub name: String,
}

impl Site {
    pub fn new(wado_url: impl Into<String>, offset: i32) -> Self {
        Self {
            wado_url: wado_url.into(),
            offset,
            namespace: "https://pacslab.example/fhir".to_owned(),
            name: "PACS Lab DICOMweb".to_owned(),
        }
    }
}

/// How resources name each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// `urn:uuid:…`, inside a bundle.
    Bundle,
    /// `Patient/<id>`, on a server; resources then carry their id.
    Server,
}

/// Everything about a study as a transaction: each entry is a conditional update, so that the
/// same export twice changes nothing.
pub fn bundle(study: &StudyForExport, order: Option<&Order>, site: &Site) -> Bundle {
    let links = Links::Bundle;
    let person = subject(study, order);
    let mut patients = vec![person];
    let imaging = imaging_study(study, order, site, links);
    let request = order.map(|order| {
        let mut request = service_request(order, site, links);
        if order.patient.id.id == person.id.id {
            request.subject = imaging.subject.clone();
        } else {
            patients.push(&order.patient);
        }
        (request_key(order, site), Resource::ServiceRequest(request))
    });
    let patients = patients
        .into_iter()
        .map(|person| (patient_key(person, site), Resource::Patient(patient(person, site, links))));
    let report = study.report.as_ref().map(|report| {
        let report = diagnostic_report(report, study, order, site, links);
        (report::report_key(study), Resource::DiagnosticReport(report))
    });
    let rest = [
        (endpoint_key(site), Resource::Endpoint(endpoint(site, links))),
        (study_key(&study.uid), Resource::ImagingStudy(imaging)),
    ];
    transaction(patients.chain(request).chain(rest).chain(report))
}

/// Images often leave out who assigned the patient's identifier: the order knows.
fn subject<'a>(study: &'a StudyForExport, order: Option<&'a Order>) -> &'a order::Patient {
    let own = &study.patient;
    let told = |id: &order::Identifier| !(id.issuer.is_empty() && id.universal_id.is_empty());
    match order {
        Some(order) if order.patient.id.id == own.id.id && !told(&own.id) => &order.patient,
        _ => own,
    }
}

/// An order that has no images yet: patient, request and, where the study UID is known, the
/// registered study with the endpoint where it will appear.
pub fn order_bundle(order: &Order, site: &Site) -> Bundle {
    let procedure = &order.procedure;
    let study = StudyForExport {
        uid: procedure.study_uid.clone(),
        patient: order.patient.clone(),
        accession: order.accession.clone(),
        accession_issuer: order.accession_issuer.clone(),
        description: procedure.description.clone(),
        referring_physician: order.visit.referring_physician.clone(),
        ..StudyForExport::default()
    };
    let mut bundle = bundle(&study, Some(order), site);
    if study.uid.is_empty() {
        bundle.entry.retain(|entry| {
            matches!(entry.resource, Some(Resource::Patient(_) | Resource::ServiceRequest(_)))
        });
    }
    bundle
}

pub fn patient(patient: &order::Patient, site: &Site, links: Links) -> Patient {
    let ids = std::iter::once(&patient.id).chain(&patient.other_ids);
    let ids = ids.filter(|id| !id.id.is_empty()).enumerate();
    Patient {
        id: links.id(&patient_key(patient, site)),
        meta: synthetic(),
        identifier: ids
            .map(|(at, id)| {
                let usage = if at == 0 { "usual" } else { "secondary" };
                identifier(usage, "MR", &system(site, "patient", id), &id.id)
            })
            .collect(),
        name: names(&patient.name),
        gender: terms::gender(&patient.sex).to_owned(),
        birth_date: date(&patient.birth_date),
        address: match patient.address.trim() {
            "" => Vec::new(),
            text => vec![Address { text: text.to_owned() }],
        },
    }
}

pub fn service_request(order: &Order, site: &Site, links: Links) -> ServiceRequest {
    let procedure = &order.procedure;
    let numbers = [("PLAC", "placer", &order.placer), ("FILL", "filler", &order.filler)];
    let told = numbers.into_iter().filter(|(_, _, id)| !id.id.is_empty());
    let mut ids: Vec<Identifier> = told
        .map(|(kind, what, id)| identifier("usual", kind, &system(site, what, id), &id.id))
        .collect();
    ids.extend(accession(&order.accession, &order.accession_issuer, site));
    let start = order
        .steps
        .iter()
        .filter(|step| !step.start_date.is_empty())
        .min_by_key(|step| (&step.start_date, &step.start_time));
    let mut stations: Vec<&str> = order.steps.iter().map(|step| step.station.as_str()).collect();
    stations.dedup();
    let comments = procedure.comments.trim();
    ServiceRequest {
        id: links.id(&request_key(order, site)),
        meta: synthetic(),
        identifier: ids,
        status: request_status(order).to_owned(),
        intent: "order".to_owned(),
        category: vec![Coding::new(terms::SNOMED, "363679005", "Imaging").into()],
        priority: priority(procedure.priority).to_owned(),
        code: concept(&procedure.code, &procedure.description, site),
        subject: links.to("Patient", &patient_key(&order.patient, site)),
        occurrence_date_time: start
            .map_or(String::new(), |step| date_time(&step.start_date, &step.start_time, "", site)),
        requester: person(&procedure.requesting_physician),
        performer: stations.iter().map(|station| Reference::named("Device", *station)).collect(),
        reason_code: concept(&procedure.reason_code, &procedure.reason, site).into_iter().collect(),
        note: match comments {
            "" => Vec::new(),
            text => vec![Annotation { text: text.to_owned() }],
        },
    }
}

/// Available where there are instances, registered (or cancelled with its order) where not.
pub fn imaging_study(
    study: &StudyForExport,
    order: Option<&Order>,
    site: &Site,
    links: Links,
) -> ImagingStudy {
    let mut ids = vec![study_identifier(&study.uid)];
    let issuer = match order {
        Some(order) if order.accession == study.accession => &order.accession_issuer,
        _ => &study.accession_issuer,
    };
    ids.extend(accession(&study.accession, issuer, site));
    let to_endpoint = links.to("Endpoint", &endpoint_key(site));
    let instances: usize = study.series.iter().map(|series| series.instances.len()).sum();
    let cancelled = order.is_some_and(|order| request_status(order) == "revoked");
    let modalities: BTreeSet<&str> = study
        .series
        .iter()
        .map(|series| series.modality.trim())
        .chain(
            order
                .filter(|_| instances == 0)
                .into_iter()
                .flat_map(|order| order.steps.iter().map(|step| step.modality.trim())),
        )
        .filter(|modality| !modality.is_empty())
        .collect();
    let procedure = match order {
        Some(order) if study.procedure.is_empty() => &order.procedure.code,
        _ => &study.procedure,
    };
    let reason = order
        .and_then(|order| concept(&order.procedure.reason_code, &order.procedure.reason, site));
    ImagingStudy {
        id: links.id(&study_key(&study.uid)),
        meta: synthetic(),
        identifier: ids,
        status: match instances {
            0 if cancelled => "cancelled",
            0 => "registered",
            _ => "available",
        }
        .to_owned(),
        modality: modalities.into_iter().map(terms::modality).collect(),
        subject: links.to("Patient", &patient_key(subject(study, order), site)),
        started: date_time(&study.date, &study.time, &study.timezone, site),
        based_on: order
            .map(|order| links.to("ServiceRequest", &request_key(order, site)))
            .into_iter()
            .collect(),
        referrer: person(&study.referring_physician),
        interpreter: person(&study.reading_physician).into_iter().collect(),
        endpoint: vec![to_endpoint.clone()],
        number_of_series: Some(count(study.series.len())),
        number_of_instances: Some(count(instances)),
        procedure_code: concept(procedure, "", site).into_iter().collect(),
        reason_code: reason.into_iter().collect(),
        description: study.description.trim().to_owned(),
        series: study.series.iter().map(|s| series(s, study, &to_endpoint, site)).collect(),
    }
}

/// The DICOMweb service that has the images.
pub fn endpoint(site: &Site, links: Links) -> Endpoint {
    let identifier = Identifier {
        system: format!("{}/endpoint", site.namespace),
        value: "dicomweb".to_owned(),
        ..Identifier::default()
    };
    Endpoint {
        id: links.id(&endpoint_key(site)),
        meta: synthetic(),
        identifier: vec![identifier],
        status: "active".to_owned(),
        connection_type: Coding::new(terms::CONNECTION_TYPE, "dicom-wado-rs", "DICOM WADO-RS"),
        name: site.name.clone(),
        payload_type: vec![CodeableConcept::text("DICOM")],
        payload_mime_type: vec!["application/dicom".to_owned()],
        address: site.wado_url.trim_end_matches('/').to_owned(),
    }
}

fn series(
    series: &SeriesForExport,
    study: &StudyForExport,
    endpoint: &Reference,
    site: &Site,
) -> Series {
    let station = series.station.trim();
    let station = (!station.is_empty()).then(|| Reference::named("Device", station));
    let performers = person(&series.operator).into_iter().chain(station);
    let instance = |instance: &InstanceForExport| Instance {
        uid: instance.uid.as_str().to_owned(),
        sop_class: Coding {
            system: "urn:ietf:rfc:3986".to_owned(),
            code: format!("urn:oid:{}", instance.sop_class),
            display: String::new(),
        },
        number: number(&instance.number),
        title: String::new(),
    };
    Series {
        uid: series.uid.as_str().to_owned(),
        number: number(&series.number),
        modality: terms::modality(match series.modality.trim() {
            "" => "OT", // R4 requires one
            modality => modality,
        }),
        description: series.description.trim().to_owned(),
        number_of_instances: Some(count(series.instances.len())),
        endpoint: vec![endpoint.clone()],
        body_site: terms::body_site(&series.body_part),
        laterality: terms::laterality(&series.laterality),
        started: date_time(&series.date, &series.time, &study.timezone, site),
        performer: performers.map(|actor| Performer { actor }).collect(),
        instance: series.instances.iter().map(instance).collect(),
    }
}

impl Links {
    fn to(self, kind: &str, key: &str) -> Reference {
        let reference = match self {
            Self::Bundle => format!("urn:uuid:{}", uuid(key)),
            Self::Server => format!("{kind}/{}", uuid(key)),
        };
        Reference { reference, ..Reference::default() }
    }

    fn id(self, key: &str) -> String {
        match self {
            Self::Bundle => String::new(),
            Self::Server => uuid(key),
        }
    }
}

/// The logical id of the patient on a server ([`Links::Server`]).
pub fn patient_id(patient: &order::Patient, site: &Site) -> String {
    uuid(&patient_key(patient, site))
}

/// The logical id of the study on a server.
pub fn study_id(uid: &Uid) -> String {
    uuid(&study_key(uid))
}

/// The logical id of the order on a server.
pub fn request_id(order: &Order, site: &Site) -> String {
    uuid(&request_key(order, site))
}

fn patient_key(patient: &order::Patient, site: &Site) -> String {
    format!("Patient {} {}", system(site, "patient", &patient.id), patient.id.id)
}

fn request_key(order: &Order, site: &Site) -> String {
    let issuer = &order.accession_issuer;
    match order.accession.as_str() {
        "" => {
            let placer = &order.placer;
            format!("ServiceRequest {} {}", system(site, "placer", placer), placer.id)
        }
        accession => format!(
            "ServiceRequest {} {accession} {}",
            system(site, "accession", issuer),
            order.procedure.id
        ),
    }
}

fn study_key(uid: &Uid) -> String {
    format!("ImagingStudy {uid}")
}

fn endpoint_key(site: &Site) -> String {
    format!("Endpoint {}", site.namespace)
}

/// Conditional updates of resources in the order given. The last identifier of a request is its
/// accession number, which is what two systems agree on; elsewhere the first tells the thing.
fn transaction(resources: impl IntoIterator<Item = (String, Resource)>) -> Bundle {
    let entry = |(key, resource): (String, Resource)| {
        let kind = resource.kind();
        let ids = resource.identifiers();
        let id = if kind == "ServiceRequest" { ids.last() } else { ids.first() };
        let request = match id {
            Some(id) => BundleRequest {
                method: "PUT".to_owned(),
                url: format!("{kind}?identifier={}|{}", query(&id.system), query(&id.value)),
            },
            None => BundleRequest { method: "POST".to_owned(), url: kind.to_owned() },
        };
        BundleEntry {
            full_url: format!("urn:uuid:{}", uuid(&key)),
            resource: Some(resource),
            request: Some(request),
        }
    };
    Bundle {
        kind: "transaction".to_owned(),
        entry: resources.into_iter().map(entry).collect(),
        ..Bundle::default()
    }
}

fn request_status(order: &Order) -> &'static str {
    let is_over = |s: &StepStatus| {
        matches!(s, StepStatus::Cancelled | StepStatus::Discontinued | StepStatus::NoShow)
    };
    let all: Vec<StepStatus> = order.steps.iter().map(|step| step.status).collect();
    let left: Vec<&StepStatus> = all.iter().filter(|status| !is_over(status)).collect();
    match (all.is_empty(), left.is_empty()) {
        (true, _) => "draft",
        (_, true) => "revoked",
        _ if left.iter().all(|status| **status == StepStatus::Completed) => "completed",
        _ => "active",
    }
}

fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Stat => "stat",
        Priority::High => "urgent",
        Priority::Medium | Priority::Routine | Priority::Low => "routine",
    }
}

#[cfg(test)]
mod tests;
