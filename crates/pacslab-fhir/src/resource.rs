//! The resources and data types of FHIR R4 (4.0.1) that the lab writes.
//! <https://hl7.org/fhir/R4/resourcelist.html>

use serde::{Deserialize, Serialize, Serializer};

/// Any resource the lab writes; `resourceType` tells which.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(tag = "resourceType")]
pub enum Resource {
    Patient(Patient),
    ServiceRequest(ServiceRequest),
    ImagingStudy(ImagingStudy),
    DiagnosticReport(DiagnosticReport),
    Endpoint(Endpoint),
    Bundle(Bundle),
    OperationOutcome(OperationOutcome),
}

/// Each resource writes its own `resourceType`, alone as well as here.
impl Serialize for Resource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Patient(resource) => resource.serialize(serializer),
            Self::ServiceRequest(resource) => resource.serialize(serializer),
            Self::ImagingStudy(resource) => resource.serialize(serializer),
            Self::DiagnosticReport(resource) => resource.serialize(serializer),
            Self::Endpoint(resource) => resource.serialize(serializer),
            Self::Bundle(resource) => resource.serialize(serializer),
            Self::OperationOutcome(resource) => resource.serialize(serializer),
        }
    }
}

/// Leaves out what is not told: FHIR knows neither empty text nor empty lists.
fn is_absent<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares structs in FHIR's spelling whose absent elements are not written.
macro_rules! elements {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attr:meta])* $field:ident: $kind:ty,)* })*) => {$(
        #[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        $(#[$doc])*
        pub struct $name {
            $($(#[$attr])* #[serde(skip_serializing_if = "is_absent")] pub $field: $kind,)*
        }
    )*};
}

elements! {
    Meta { last_updated: String, tag: Vec<Coding>, }
    Coding { system: String, code: String, display: String, }
    CodeableConcept { coding: Vec<Coding>, text: String, }
    Identifier {
        #[serde(rename = "use")]
        usage: String,
        #[serde(rename = "type")]
        kind: Option<CodeableConcept>,
        system: String,
        value: String,
    }
    /// Either to a resource or, with `display` alone, to something only known by name.
    Reference {
        reference: String,
        #[serde(rename = "type")]
        kind: String,
        display: String,
    }
    Extension { url: String, value_code: String, }
    HumanName {
        extension: Vec<Extension>,
        #[serde(rename = "use")]
        usage: String,
        text: String,
        family: String,
        given: Vec<String>,
        prefix: Vec<String>,
        suffix: Vec<String>,
    }
    Address { text: String, }
    Annotation { text: String, }

    /// <https://hl7.org/fhir/R4/patient.html>
    #[serde(tag = "resourceType")]
    Patient {
        id: String,
        meta: Meta,
        identifier: Vec<Identifier>,
        name: Vec<HumanName>,
        gender: String,
        birth_date: String,
        address: Vec<Address>,
    }

    /// <https://hl7.org/fhir/R4/servicerequest.html>
    #[serde(tag = "resourceType")]
    ServiceRequest {
        id: String,
        meta: Meta,
        identifier: Vec<Identifier>,
        status: String,
        intent: String,
        category: Vec<CodeableConcept>,
        priority: String,
        code: Option<CodeableConcept>,
        subject: Reference,
        occurrence_date_time: String,
        requester: Option<Reference>,
        performer: Vec<Reference>,
        reason_code: Vec<CodeableConcept>,
        note: Vec<Annotation>,
    }

    /// <https://hl7.org/fhir/R4/imagingstudy.html>
    #[serde(tag = "resourceType")]
    ImagingStudy {
        id: String,
        meta: Meta,
        identifier: Vec<Identifier>,
        status: String,
        modality: Vec<Coding>,
        subject: Reference,
        started: String,
        based_on: Vec<Reference>,
        referrer: Option<Reference>,
        interpreter: Vec<Reference>,
        endpoint: Vec<Reference>,
        number_of_series: Option<u32>,
        number_of_instances: Option<u32>,
        procedure_code: Vec<CodeableConcept>,
        reason_code: Vec<CodeableConcept>,
        description: String,
        series: Vec<Series>,
    }
    Series {
        uid: String,
        number: Option<u32>,
        modality: Coding,
        description: String,
        number_of_instances: Option<u32>,
        endpoint: Vec<Reference>,
        body_site: Option<Coding>,
        laterality: Option<Coding>,
        started: String,
        performer: Vec<Performer>,
        instance: Vec<Instance>,
    }
    Performer { actor: Reference, }
    Instance { uid: String, sop_class: Coding, number: Option<u32>, title: String, }

    /// <https://hl7.org/fhir/R4/diagnosticreport.html>
    #[serde(tag = "resourceType")]
    DiagnosticReport {
        id: String,
        meta: Meta,
        identifier: Vec<Identifier>,
        based_on: Vec<Reference>,
        status: String,
        category: Vec<CodeableConcept>,
        code: CodeableConcept,
        subject: Reference,
        effective_date_time: String,
        issued: String,
        performer: Vec<Reference>,
        results_interpreter: Vec<Reference>,
        imaging_study: Vec<Reference>,
        conclusion: String,
        presented_form: Vec<Attachment>,
    }
    Attachment {
        content_type: String,
        data: String,
        url: String,
        size: Option<u32>,
        title: String,
        creation: String,
    }

    /// <https://hl7.org/fhir/R4/endpoint.html>
    #[serde(tag = "resourceType")]
    Endpoint {
        id: String,
        meta: Meta,
        identifier: Vec<Identifier>,
        status: String,
        connection_type: Coding,
        name: String,
        payload_type: Vec<CodeableConcept>,
        payload_mime_type: Vec<String>,
        address: String,
    }

    /// <https://hl7.org/fhir/R4/bundle.html>
    #[serde(tag = "resourceType")]
    Bundle {
        #[serde(rename = "type")]
        kind: String,
        total: Option<u32>,
        link: Vec<BundleLink>,
        entry: Vec<BundleEntry>,
    }
    BundleLink { relation: String, url: String, }
    BundleEntry {
        full_url: String,
        resource: Option<Resource>,
        request: Option<BundleRequest>,
    }
    BundleRequest { method: String, url: String, }

    /// <https://hl7.org/fhir/R4/operationoutcome.html>
    #[serde(tag = "resourceType")]
    OperationOutcome { meta: Meta, issue: Vec<Issue>, }
    Issue { severity: String, code: String, diagnostics: String, }
}

impl Bundle {
    /// The same resources to be handed over, not to be carried out.
    #[must_use]
    pub fn into_collection(mut self) -> Self {
        self.kind = "collection".to_owned();
        self.entry.iter_mut().for_each(|entry| entry.request = None);
        self
    }

    /// One page of the answer to a search. `base` is the URL of the service.
    pub fn searchset(base: &str, total: u32, resources: Vec<Resource>) -> Self {
        let entry = resources.into_iter().map(|resource| {
            let full_url = format!("{base}/{}/{}", resource.kind(), resource.id());
            BundleEntry { full_url, resource: Some(resource), request: None }
        });
        Self {
            kind: "searchset".to_owned(),
            total: Some(total),
            entry: entry.collect(),
            ..Self::default()
        }
    }

    /// The resources in order.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.entry.iter().filter_map(|entry| entry.resource.as_ref())
    }
}

impl OperationOutcome {
    /// One error; `code` is an IssueType such as `not-found`, `invalid` or `not-supported`.
    pub fn error(code: &str, diagnostics: impl Into<String>) -> Self {
        let issue = Issue {
            severity: "error".to_owned(),
            code: code.to_owned(),
            diagnostics: diagnostics.into(),
        };
        Self { issue: vec![issue], ..Self::default() }
    }
}

impl Resource {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Patient(_) => "Patient",
            Self::ServiceRequest(_) => "ServiceRequest",
            Self::ImagingStudy(_) => "ImagingStudy",
            Self::DiagnosticReport(_) => "DiagnosticReport",
            Self::Endpoint(_) => "Endpoint",
            Self::Bundle(_) => "Bundle",
            Self::OperationOutcome(_) => "OperationOutcome",
        }
    }

    /// The logical id; empty where the resource has none yet.
    pub fn id(&self) -> &str {
        match self {
            Self::Patient(resource) => &resource.id,
            Self::ServiceRequest(resource) => &resource.id,
            Self::ImagingStudy(resource) => &resource.id,
            Self::DiagnosticReport(resource) => &resource.id,
            Self::Endpoint(resource) => &resource.id,
            Self::Bundle(_) | Self::OperationOutcome(_) => "",
        }
    }

    pub fn identifiers(&self) -> &[Identifier] {
        match self {
            Self::Patient(resource) => &resource.identifier,
            Self::ServiceRequest(resource) => &resource.identifier,
            Self::ImagingStudy(resource) => &resource.identifier,
            Self::DiagnosticReport(resource) => &resource.identifier,
            Self::Endpoint(resource) => &resource.identifier,
            Self::Bundle(_) | Self::OperationOutcome(_) => &[],
        }
    }
}

impl Coding {
    pub fn new(system: &str, code: impl Into<String>, display: impl Into<String>) -> Self {
        Self { system: system.to_owned(), code: code.into(), display: display.into() }
    }
}

impl CodeableConcept {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

impl From<Coding> for CodeableConcept {
    fn from(coding: Coding) -> Self {
        Self { coding: vec![coding], text: String::new() }
    }
}

impl Reference {
    pub fn named(kind: &str, display: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), display: display.into(), ..Self::default() }
    }
}
