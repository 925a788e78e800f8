//! FHIR R4 export: from the headers of objects to studies and orders, and to files.
//!
//! Headers come from files, from DICOMweb, or are put together from the answers of a PACS; either
//! way one data set an object, with the attributes of its series and its study.

mod report;

pub(crate) use report::DOCUMENTS;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pacslab_dicom::{Dataset, Element, Value};
use pacslab_fhir::export::{
    bundle, diagnostic_report, endpoint, imaging_study, patient, service_request,
};
use pacslab_fhir::{InstanceForExport, Links, Resource, SeriesForExport, Site, StudyForExport};
use pacslab_model::order::{
    Code, Identifier, Order, Patient, RequestedProcedure, ScheduledStep, StepStatus, Visit,
};
use pacslab_model::{AeTitle, PersonName, Tag, Uid, Vr, tags};
use serde_json::Value as Json;

use crate::exit::{Failure, Result};
use crate::http::{Server, encode};

/// Exports one study of a server that speaks DICOMweb. The order is told by who knows it, else
/// made of what the images say.
pub(crate) async fn export(
    server: &Server,
    study_uid: &Uid,
    order: Option<&Order>,
    offset: i32,
    out: &Path,
) -> Result<Exported> {
    let headers = metadata(server, study_uid.as_str()).await?;
    let station = order.and_then(|order| order.steps.first()).map(|step| &step.station);
    let Some(mut told) = studies(&headers, station).into_iter().next() else {
        return Err(Failure::failed(format!("{} has no study {study_uid}", server.url())));
    };
    if let Some(order) = order {
        told.order = Some(order.clone());
    }
    write(&told, &Site::new(format!("{}{}", server.url(), server.dicom_web()), offset), out)
}

/// The headers of all objects of a study. PS3.18 10.4.1.1.2.
pub(crate) async fn metadata(server: &Server, study_uid: &str) -> Result<Vec<Dataset>> {
    let path = format!("{}/studies/{}/metadata", server.dicom_web(), encode(study_uid));
    data_sets(server, &path).await
}

/// The studies of an accession number. PS3.18 10.6.
pub(crate) async fn study_uids(server: &Server, accession: &str) -> Result<Vec<String>> {
    let path = format!("{}/studies?AccessionNumber={}", server.dicom_web(), encode(accession));
    let found = data_sets(server, &path).await?;
    Ok(found.iter().map(|set| set.str(tags::STUDY_INSTANCE_UID).to_owned()).collect())
}

async fn data_sets(server: &Server, path: &str) -> Result<Vec<Dataset>> {
    let body = server.get(path, "application/dicom+json").await?;
    // PS3.18 8.3.4.4: a search without matches may answer with nothing at all
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let json: Json = serde_json::from_slice(&body).map_err(|error| {
        Failure::failed(format!("{} answered {path} with no JSON: {error}", server.url()))
    })?;
    Ok(json.as_array().into_iter().flatten().map(data_set).collect())
}

/// Texts, numbers and sequences of the DICOM JSON model (PS3.18 F.2): what an export needs.
fn data_set(json: &Json) -> Dataset {
    let elements = json.as_object().into_iter().flatten().filter_map(|(tag, attribute)| {
        let tag: Tag = tag.parse().ok()?;
        let vr = Vr::from_bytes(attribute.get("vr")?.as_str()?.as_bytes().try_into().ok()?)?;
        let values = attribute.get("Value").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let value = match vr {
            Vr::SQ => Value::Items(values.iter().map(data_set).collect()),
            Vr::PN => Value::Text(values.iter().map(person).collect::<Vec<_>>().join("\\")),
            vr if vr.is_text() => {
                Value::Text(values.iter().map(plain).collect::<Vec<_>>().join("\\"))
            }
            _ => return None,
        };
        Some(Element { tag, vr, value })
    });
    elements.collect()
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn person(value: &Json) -> String {
    let group = |key| value.get(key).and_then(Json::as_str).unwrap_or_default();
    let groups = [group("Alphabetic"), group("Ideographic"), group("Phonetic")].join("=");
    groups.trim_end_matches('=').to_owned()
}

/// What was written.
#[derive(Debug, Clone)]
pub(crate) struct Exported {
    pub(crate) series: usize,
    pub(crate) instances: usize,
    /// How far the report is and who read it, if there is one.
    pub(crate) report: Option<String>,
    /// The kinds of resources, without the bundle.
    pub(crate) resources: Vec<&'static str>,
    /// Each with its file, the bundle last.
    pub(crate) files: Vec<(&'static str, PathBuf)>,
    /// The bundle: a transaction of all resources.
    pub(crate) path: PathBuf,
}

/// One file a resource, with ids and references as on a server, and a transaction of them all.
pub(crate) fn write(told: &Told, site: &Site, out: &Path) -> Result<Exported> {
    let Told { study, order } = told;
    let order = order.as_ref();
    let links = Links::Server;
    let mut all = vec![("Patient", Resource::Patient(patient(&study.patient, site, links)))];
    if let Some(order) = order {
        let request = service_request(order, site, links);
        all.push(("ServiceRequest", Resource::ServiceRequest(request)));
    }
    let imaging = imaging_study(study, order, site, links);
    all.push(("ImagingStudy", Resource::ImagingStudy(imaging)));
    all.push(("Endpoint", Resource::Endpoint(endpoint(site, links))));
    let report = study.report.as_ref().map(|one| diagnostic_report(one, study, order, site, links));
    let of_report = report.as_ref().map(|report| match report.results_interpreter.first() {
        Some(by) => format!("{}, by {}", report.status, by.display),
        None => report.status.clone(),
    });
    all.extend(report.map(|report| ("DiagnosticReport", Resource::DiagnosticReport(report))));
    let resources = all.iter().map(|(kind, _)| *kind).collect();
    all.push(("Bundle", Resource::Bundle(bundle(study, order, site))));

    std::fs::create_dir_all(out).map_err(|e| Failure::file("make the folder", out, &e))?;
    let stem = stem(study);
    let files = all
        .into_iter()
        .map(|(kind, resource)| {
            let path = out.join(format!("{stem}_{kind}.json"));
            let text = serde_json::to_string_pretty(&resource)
                .map_err(|error| Failure::failed(format!("{kind}: {error}")))?;
            std::fs::write(&path, text + "\n").map_err(|e| Failure::file("write", &path, &e))?;
            Ok((kind, path))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Exported {
        series: study.series.len(),
        instances: study.series.iter().map(|series| series.instances.len()).sum(),
        report: of_report,
        resources,
        path: files.last().map(|(_, path)| path.clone()).unwrap_or_default(),
        files,
    })
}

/// `FHIR_P12345_ACC1001`: a valid name on every system, whatever the identifiers are.
fn stem(study: &StudyForExport) -> String {
    let name = if study.accession.is_empty() { study.uid.as_str() } else { &study.accession };
    let safe = |text: &str| -> String {
        let keep = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        text.chars().take(64).map(|c| if keep(c) { c } else { '-' }).collect()
    };
    format!("FHIR_{}_{}", safe(&study.patient.id.id), safe(name))
}

/// A study and, as far as its objects tell, the order it was made for.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) study: StudyForExport,
    pub(crate) order: Option<Order>,
}

/// Groups objects into studies and series, each object once, in order of numbers.
pub(crate) fn studies(headers: &[Dataset], station: Option<&AeTitle>) -> Vec<Told> {
    let mut studies = BTreeMap::<&str, Vec<&Dataset>>::new();
    for header in headers {
        studies.entry(header.str(tags::STUDY_INSTANCE_UID)).or_default().push(header);
    }
    let told = studies.into_iter().filter_map(|(uid, objects)| {
        // documents tell less of the order
        let document = |object: &&&Dataset| DOCUMENTS.contains(&object.str(tags::SOP_CLASS_UID));
        let first = objects.iter().find(|object| !document(object)).or(objects.first())?;
        let mut study = study(uid, first);
        study.series = series(&objects);
        study.report = report::report(&objects);
        let order = order(first, &study, station);
        Some(Told { study, order })
    });
    told.collect()
}

fn study(uid: &str, first: &Dataset) -> StudyForExport {
    let text = |tag: Tag| first.str(tag).to_owned();
    StudyForExport {
        uid: Uid::new(uid),
        patient: Patient {
            id: Identifier::new(text(tags::PATIENT_ID), text(tags::ISSUER_OF_PATIENT_ID)),
            name: PersonName::new(first.str(tags::PATIENT_NAME)),
            birth_date: text(tags::PATIENT_BIRTH_DATE),
            sex: text(tags::PATIENT_SEX),
            ..Patient::default()
        },
        accession: text(tags::ACCESSION_NUMBER),
        description: text(tags::STUDY_DESCRIPTION),
        date: text(tags::STUDY_DATE),
        time: text(tags::STUDY_TIME),
        timezone: text(tags::TIMEZONE_OFFSET_FROM_UTC),
        referring_physician: PersonName::new(first.str(tags::REFERRING_PHYSICIAN_NAME)),
        reading_physician: PersonName::new(first.str(tags::NAME_OF_PHYSICIANS_READING_STUDY)),
        procedure: code(first, tags::PROCEDURE_CODE_SEQUENCE),
        ..StudyForExport::default()
    }
}

fn series(objects: &[&Dataset]) -> Vec<SeriesForExport> {
    let mut series = BTreeMap::<&str, SeriesForExport>::new();
    for object in objects {
        let uid = object.str(tags::SERIES_INSTANCE_UID);
        let text = |tag: Tag| object.text_of(tag).unwrap_or_default().into_owned();
        let one = series.entry(uid).or_insert_with(|| SeriesForExport {
            uid: Uid::new(uid),
            number: text(tags::SERIES_NUMBER),
            modality: text(tags::MODALITY),
            description: text(tags::SERIES_DESCRIPTION),
            body_part: text(tags::BODY_PART_EXAMINED),
            laterality: text(tags::LATERALITY),
            date: text(tags::SERIES_DATE),
            time: text(tags::SERIES_TIME),
            station: text(tags::STATION_NAME),
            operator: PersonName::new(object.str(tags::OPERATORS_NAME)),
            instances: Vec::new(),
        });
        let instance = InstanceForExport {
            uid: Uid::new(object.str(tags::SOP_INSTANCE_UID)),
            sop_class: Uid::new(object.str(tags::SOP_CLASS_UID)),
            number: text(tags::INSTANCE_NUMBER),
        };
        // the same object in two files is one object
        if !instance.uid.is_empty() && one.instances.iter().all(|i| i.uid != instance.uid) {
            one.instances.push(instance);
        }
    }
    let number = |text: &str| text.trim().parse::<i64>().unwrap_or(i64::MAX);
    let mut series: Vec<SeriesForExport> = series.into_values().collect();
    series.sort_by_key(|one| number(&one.number));
    for one in &mut series {
        one.instances.sort_by_key(|instance| number(&instance.number));
    }
    series
}

/// What the objects say about their order: nothing without an accession number.
fn order(first: &Dataset, study: &StudyForExport, station: Option<&AeTitle>) -> Option<Order> {
    if study.accession.is_empty() {
        return None;
    }
    let request = first.items(tags::REQUEST_ATTRIBUTES_SEQUENCE).first();
    // the request of the series, else the same attribute of the study
    let told = |tag: Tag| match request.map_or("", |item| item.str(tag)) {
        "" => first.str(tag).to_owned(),
        text => text.to_owned(),
    };
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let coded = request
        .map_or_else(Code::default, |item| code(item, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE));
    let code = if coded.is_empty() { study.procedure.clone() } else { coded };
    let modality = study.series.first().map_or(String::new(), |one| one.modality.clone());
    // images name their station, not its AE title; often both are the same
    let named = AeTitle::new(first.str(tags::STATION_NAME)).ok().or_else(|| station.cloned());
    let station = named.or_else(|| AeTitle::new("UNKNOWN").ok())?;
    Some(Order {
        accession: study.accession.clone(),
        patient: study.patient.clone(),
        visit: Visit { referring_physician: study.referring_physician.clone(), ..Visit::default() },
        procedure: RequestedProcedure {
            id: told(tags::REQUESTED_PROCEDURE_ID),
            description: or(told(tags::REQUESTED_PROCEDURE_DESCRIPTION), &study.description),
            code: code.clone(),
            study_uid: study.uid.clone(),
            requesting_physician: PersonName::new(&told(tags::REQUESTING_PHYSICIAN)),
            ..RequestedProcedure::default()
        },
        steps: vec![ScheduledStep {
            id: told(tags::SCHEDULED_PROCEDURE_STEP_ID),
            description: told(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION),
            protocol: code,
            modality,
            station,
            station_name: first.str(tags::STATION_NAME).to_owned(),
            location: String::new(),
            start_date: study.date.clone(),
            start_time: study.time.clone(),
            performing_physician: PersonName::new(first.str(tags::PERFORMING_PHYSICIAN_NAME)),
            // there are images
            status: StepStatus::Completed,
        }],
        ..Order::default()
    })
}

fn code(set: &Dataset, sequence: Tag) -> Code {
    set.items(sequence).first().map_or_else(Code::default, |item| {
        Code::new(
            item.str(tags::CODE_VALUE),
            item.str(tags::CODING_SCHEME_DESIGNATOR),
            item.str(tags::CODE_MEANING),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(series: &str, number: &str, uid: &str) -> Dataset {
        Dataset::new()
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2")
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, series)
            .with_str(tags::SOP_INSTANCE_UID, Vr::UI, uid)
            .with_str(tags::SOP_CLASS_UID, Vr::UI, "1.2.840.10008.5.1.4.1.1.2")
            .with_str(tags::INSTANCE_NUMBER, Vr::IS, number)
            .with_str(tags::MODALITY, Vr::CS, "CT")
            .with_str(tags::PATIENT_ID, Vr::LO, "P12345")
            .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1001")
    }

    #[test]
    fn objects_become_one_study_with_its_order() {
        let station = AeTitle::new("PYMOD1").unwrap();
        let objects =
            [object("1.3", "2", "1.5"), object("1.3", "1", "1.4"), object("1.3", "1", "1.4")];
        let told = studies(&objects, Some(&station));
        assert_eq!(told.len(), 1);
        let study = &told[0].study;
        assert_eq!((study.series.len(), study.series[0].instances.len()), (1, 2));
        assert_eq!(study.series[0].instances[0].uid.as_str(), "1.4");
        let order = told[0].order.as_ref().unwrap();
        assert_eq!(
            (order.accession.as_str(), order.steps[0].station.as_str()),
            ("ACC1001", "PYMOD1")
        );
        let written = tempfile::tempdir().unwrap();
        let site = Site::new("http://localhost:8042/dicom-web", 0);
        let exported = write(&told[0], &site, written.path()).unwrap();
        assert_eq!((exported.series, exported.instances), (1, 2));
        assert_eq!(exported.resources, ["Patient", "ServiceRequest", "ImagingStudy", "Endpoint"]);
        assert!(exported.path.ends_with("FHIR_P12345_ACC1001_Bundle.json"));
        let text =
            std::fs::read_to_string(written.path().join("FHIR_P12345_ACC1001_ImagingStudy.json"));
        let json: Json = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(json["numberOfInstances"], 2);

        let mut plain = object("1.3", "1", "1.4");
        plain.remove(tags::ACCESSION_NUMBER);
        assert!(studies(&[plain], Some(&station))[0].order.is_none());
    }

    #[test]
    fn dicom_json_is_read_back() {
        let set = object("1.3", "1", "1.4")
            .with_str(tags::PATIENT_NAME, Vr::PN, "Yamada^Tarou=山田^太郎")
            .with_items(
                tags::REQUEST_ATTRIBUTES_SEQUENCE,
                vec![Dataset::new().with_str(tags::REQUESTED_PROCEDURE_ID, Vr::SH, "RP1001")],
            );
        assert_eq!(data_set(&pacslab_dicom::json::to_json(&set)), set);
    }
}
