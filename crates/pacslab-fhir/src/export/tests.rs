use pacslab_model::AeTitle;
use pacslab_model::order::{Code, Identifier as Id, ScheduledStep, StepStatus};

use super::*;

fn site() -> Site {
    Site::new("http://localhost:8042/dicom-web/", 3600)
}

fn study() -> StudyForExport {
    let series = |n: u32, modality: &str, instances: u32| SeriesForExport {
        uid: Uid::new(format!("1.2.3.{n}")),
        number: n.to_string(),
        modality: modality.to_owned(),
        instances: (1..=instances)
            .map(|i| InstanceForExport {
                uid: Uid::new(format!("1.2.3.{n}.{i}")),
                sop_class: Uid::from("1.2.840.10008.5.1.4.1.1.2"),
                number: format!("{i} "),
            })
            .collect(),
        ..SeriesForExport::default()
    };
    StudyForExport {
        uid: Uid::from("1.2.3"),
        accession: "ACC1001".to_owned(),
        date: "20260105".to_owned(),
        time: "081000".to_owned(),
        series: vec![series(1, "CT", 2), series(2, "SR", 1), series(3, "CT", 4)],
        ..StudyForExport::default()
    }
}

fn order(status: &[StepStatus]) -> Order {
    let step = |status: &StepStatus| ScheduledStep {
        id: "S".to_owned(),
        description: String::new(),
        protocol: Code::default(),
        modality: "CT".to_owned(),
        station: AeTitle::new("PYMOD1").unwrap(),
        station_name: String::new(),
        location: String::new(),
        start_date: "20260105".to_owned(),
        start_time: "0810".to_owned(),
        performing_physician: PersonName::default(),
        status: *status,
    };
    Order {
        accession: "ACC1001".to_owned(),
        steps: status.iter().map(step).collect(),
        ..Order::default()
    }
}

#[test]
fn counts_are_those_of_the_study() {
    let study = imaging_study(&study(), None, &site(), Links::Bundle);
    assert_eq!((study.number_of_series, study.number_of_instances), (Some(3), Some(7)));
    let counts: Vec<_> = study.series.iter().map(|s| s.number_of_instances).collect();
    assert_eq!(counts, [Some(2), Some(1), Some(4)]);
    let modalities: Vec<&str> = study.modality.iter().map(|m| m.code.as_str()).collect();
    assert_eq!(modalities, ["CT", "SR"]);
    assert_eq!(study.status, "available");
    assert_eq!(study.series[0].instance[1].number, Some(2));
}

#[test]
fn study_and_order_agree_on_the_patient() {
    let mut order = order(&[StepStatus::Scheduled]);
    order.patient.id = Id::new("P1", "PACSLAB");
    order.accession_issuer = Id::new("", "PACSLAB");
    let mut study = study();
    study.patient.id.id = "P1".to_owned();
    let subjects = |study: &StudyForExport| {
        let bundle = bundle(study, Some(&order), &site());
        let subjects = bundle.resources().filter_map(|resource| match resource {
            Resource::ServiceRequest(request) => Some(request.subject.reference.clone()),
            Resource::ImagingStudy(study) => Some(study.subject.reference.clone()),
            _ => None,
        });
        let subjects: Vec<String> = subjects.collect();
        let known = bundle.entry.iter().map(|entry| &entry.full_url);
        let known: Vec<String> = known.cloned().collect();
        assert!(subjects.iter().all(|subject| known.contains(subject)));
        (subjects[0] == subjects[1], known.len())
    };
    assert_eq!(subjects(&study), (true, 4));
    study.patient.id.issuer = "OTHER".to_owned();
    assert_eq!(subjects(&study), (true, 4), "one identifier is one patient");
    study.patient.id.id = "P2".to_owned();
    assert_eq!(subjects(&study), (false, 5), "both are told");
}

#[test]
fn every_reference_points_to_an_entry_and_every_entry_is_marked() {
    let order = order(&[StepStatus::Completed]);
    for bundle in [bundle(&study(), Some(&order), &site()), order_bundle(&order, &site())] {
        let json = serde_json::to_value(&bundle).unwrap();
        let known: Vec<&str> = bundle.entry.iter().map(|e| e.full_url.as_str()).collect();
        let text = json.to_string();
        for reference in text.match_indices("\"reference\":\"").map(|(at, m)| &text[at + m.len()..])
        {
            let reference = reference.split('"').next().unwrap();
            assert!(known.contains(&reference), "{reference}");
        }
        for entry in json["entry"].as_array().unwrap() {
            assert_eq!(entry["resource"]["meta"]["tag"][0]["code"], "HTEST");
        }
    }
}

#[test]
fn the_same_thing_has_the_same_identity() {
    let patient = |issuer: &str| order::Patient { id: Id::new("1", issuer), ..Default::default() };
    assert_eq!(patient_id(&patient("A"), &site()), patient_id(&patient("A"), &site()));
    assert_ne!(patient_id(&patient("A"), &site()), patient_id(&patient("B"), &site()));
    let id = study_id(&Uid::from("1.2.3"));
    assert_eq!(imaging_study(&study(), None, &site(), Links::Server).id, id);
    assert_eq!((id.len(), &id[14..15]), (36, "8"));
}

#[test]
fn what_has_no_images_is_registered_or_cancelled() {
    let status = |steps: &[StepStatus]| {
        let order = Order {
            procedure: order::RequestedProcedure {
                study_uid: Uid::from("1.2.3"),
                ..Default::default()
            },
            ..order(steps)
        };
        let bundle = order_bundle(&order, &site());
        let statuses: Vec<String> = bundle
            .resources()
            .filter_map(|resource| match resource {
                Resource::ServiceRequest(request) => Some(request.status.clone()),
                Resource::ImagingStudy(study) => Some(study.status.clone()),
                _ => None,
            })
            .collect();
        statuses.join(" ")
    };
    use StepStatus::{Cancelled, Completed, Discontinued, Scheduled, Started};
    assert_eq!(status(&[Scheduled]), "active registered");
    assert_eq!(status(&[Started, Cancelled]), "active registered");
    assert_eq!(status(&[Completed, Discontinued]), "completed registered");
    assert_eq!(status(&[Cancelled, Discontinued]), "revoked cancelled");
    assert_eq!(order_bundle(&order(&[Scheduled]), &site()).entry.len(), 2, "no study UID yet");
}

#[test]
fn times_have_a_zone_when_they_have_a_time() {
    let at = |da, tm, zone| date_time(da, tm, zone, &site());
    assert_eq!(at("20260105", "081000", ""), "2026-01-05T08:10:00+01:00");
    assert_eq!(at("20260105", "081000", "-0530"), "2026-01-05T08:10:00-05:30");
    assert_eq!(at("20260105", "08", "+0000"), "2026-01-05T08:00:00Z");
    assert_eq!(at("20260105", "081000.25", "junk"), "2026-01-05T08:10:00.250000+01:00");
    assert_eq!(at("20260105", "", ""), "2026-01-05");
    assert_eq!(at("", "081000", ""), "");
    assert_eq!(date("19800230"), "");
}

#[test]
fn names_keep_their_groups() {
    let names = names(&PersonName::new("Yamada^Tarou^^Dr^PhD=山田^太郎=やまだ^たろう"));
    let shown: Vec<(&str, &str)> = names
        .iter()
        .map(|name| (name.family.as_str(), name.extension[0].value_code.as_str()))
        .collect();
    assert_eq!(shown, [("Yamada", "ABC"), ("山田", "IDE"), ("やまだ", "SYL")]);
    assert_eq!((&*names[0].prefix[0], &*names[0].suffix[0]), ("Dr", "PhD"));
    assert!(super::names(&PersonName::new("DOE^JANE"))[0].extension.is_empty());
    let house = person(&PersonName::new("HOUSE^GREGORY^^Dr")).unwrap();
    assert_eq!(house.display, "Dr GREGORY HOUSE");
}

#[test]
fn systems_come_from_the_authority() {
    let id = |issuer: &str, universal: &str, kind: &str| Id {
        issuer: issuer.to_owned(),
        universal_id: universal.to_owned(),
        universal_type: kind.to_owned(),
        ..Id::default()
    };
    let base = "https://pacslab.example/fhir/patient";
    assert_eq!(system(&site(), "patient", &id("A", "1.2.3", "ISO")), "urn:oid:1.2.3");
    assert_eq!(system(&site(), "patient", &id("A B", "", "")), format!("{base}/A%20B"));
    assert_eq!(system(&site(), "patient", &id("", "not an oid", "ISO")), base);
}
