//! Objects made of others over Orthanc's routes: modify, anonymize, create-dicom; beside a real Orthanc.

use crate::support::orthanc::Orthanc;
use crate::support::{Lab, dcmtk, files, fixtures, http, needs, study};
use base64::Engine as _;
use serde_json::{Value, json};

/// A server with the fixtures in it.
#[derive(Clone, Copy)]
struct Server(u16);

impl Server {
    fn filled(self) -> Self {
        for file in files(&fixtures(), "dcm") {
            let body = std::fs::read(file).unwrap();
            http::post(self.0, "/instances", "application/dicom", &body).ok();
        }
        self
    }

    fn get(self, path: &str) -> Value {
        http::get(self.0, path).ok().json()
    }

    fn post(self, path: &str, body: &Value) -> http::Response {
        http::post(self.0, path, "application/json", body.to_string().as_bytes())
    }

    fn lookup(self, word: &str) -> String {
        let found = http::post(self.0, "/tools/lookup", "text/plain", word.as_bytes()).ok().json();
        found[0]["ID"].as_str().unwrap().to_owned()
    }

    fn count(self, what: &str) -> usize {
        self.get(&format!("/{what}")).as_array().unwrap().len()
    }
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn a_study_is_modified_and_anonymized_as_orthanc_does_it() {
    needs!("Orthanc", "dciodvfy");
    let (lab, folder) = (Lab::start(), tempfile::tempdir().unwrap());
    let orthanc = Orthanc::start(folder.path(), &[]);
    let (ours, theirs) = (Server(lab.http).filled(), Server(orthanc.http).filled());
    let id = ours.lookup(study::UID);
    assert_eq!(id, theirs.lookup(study::UID));
    let patient = ours.lookup(study::PATIENT_ID);
    let instance = ours.lookup(study::CT_INSTANCE);
    for (path, body, status) in [
        (format!("/studies/{id}/modify"), json!({"Replace": {"PatientID": "Q"}}), 400),
        (format!("/studies/{id}/modify"), json!({"Replace": {"Nonsense": "Q"}}), 400),
        (format!("/patients/{patient}/modify"), json!({"Replace": {"PatientName": "Q"}}), 400),
        (format!("/instances/{instance}/modify"), json!({"Keep": ["SOPInstanceUID"]}), 400),
        ("/studies/nope/modify".to_owned(), json!({}), 404),
        ("/studies/nope/anonymize".to_owned(), json!({}), 404),
        (
            format!("/studies/{id}/modify"),
            json!({"Replace": {"StudyDescription": "Another"}, "Remove": ["InstitutionName"]}),
            200,
        ),
        (format!("/studies/{id}/anonymize"), json!({}), 200),
    ] {
        let answers = [ours, theirs].map(|server| server.post(&path, &body));
        let [a, b] = &answers;
        assert_eq!(a.status, status, "{path} {body}: {}", a.text());
        // Orthanc calls an attribute that it does not know a fault of its own
        let same = a.status == b.status || (b.status, status) == (500, 400);
        assert!(same, "{path} {body}: {} {}", a.status, b.text());
        if status == 200 {
            let (a, b) = (a.json(), b.json());
            for key in keys(&b) {
                assert!(!a[&key].is_null(), "{key} of {path}: {a}");
            }
            assert_eq!((&a["Type"], &a["IsAnonymization"]), (&b["Type"], &b["IsAnonymization"]));
            let [made, same] = [(ours, &a), (theirs, &b)].map(|(server, answer)| {
                server.get(&format!("{}/instances", answer["Path"].as_str().unwrap()))
            });
            assert_eq!(made.as_array().unwrap().len(), same.as_array().unwrap().len());
        }
    }
    for what in ["patients", "studies", "series", "instances"] {
        assert_eq!(ours.count(what), theirs.count(what), "{what}");
    }
    assert_eq!(ours.count("studies"), 3, "the source is still there");
}

/// What is made can be used: valid, its references right, nothing of the patient left.
#[test]
fn what_is_made_is_whole() {
    needs!("dciodvfy", "dcmdump");
    let lab = Lab::start();
    let server = Server(lab.http).filled();
    let id = server.lookup(study::UID);
    let folder = tempfile::tempdir().unwrap();
    let answer = server.post(&format!("/studies/{id}/anonymize"), &json!({})).ok().json();
    let made = server.get(&format!("{}/instances", answer["Path"].as_str().unwrap()));
    let mut texts = String::new();
    for (number, instance) in made.as_array().unwrap().iter().enumerate() {
        let file = folder.path().join(format!("{number}.dcm"));
        let path = format!("/instances/{}/file", instance["ID"].as_str().unwrap());
        std::fs::write(&file, http::get(lab.http, &path).ok().body).unwrap();
        texts += &dcmtk::dump(&file);
    }
    for gone in [study::UID, study::ACCESSION, study::PATIENT_ID, study::CT_INSTANCE] {
        assert!(!texts.contains(gone), "{gone} is still in it");
    }
    let tags = server.get(&format!("{}?expand", answer["Path"].as_str().unwrap()));
    let name = tags["PatientMainDicomTags"]["PatientName"].as_str().unwrap();
    assert!(name.starts_with("Anonymized"), "{name}");
    // a presentation state and a segmentation refer to images of the study: to the new ones now
    let new: Vec<String> = made
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["MainDicomTags"]["SOPInstanceUID"].as_str().unwrap().to_owned())
        .collect();
    let referenced: Vec<&str> = texts
        .lines()
        .filter(|line| line.trim_start().starts_with("(0008,1155)"))
        .filter_map(|line| line.split_once('[')?.1.split_once(']'))
        .map(|(uid, _)| uid.trim_matches(['\0', ' ']))
        .collect();
    assert!(!referenced.is_empty());
    assert!(referenced.iter().any(|uid| new.iter().any(|one| one == uid)), "{referenced:?}");

    let modified = json!({"Replace": {"PatientName": "ROE^JANE", "PatientID": "Q7"}, "Force": true,
                          "Synchronous": false});
    let job = server.post(&format!("/studies/{id}/modify"), &modified).ok().json();
    let path = job["Path"].as_str().unwrap().to_owned();
    let done = crate::support::wait::until("the job ends", || {
        Some(server.get(&path)).filter(|job| job["State"] == "Success")
    });
    let study = server.get(done["Content"]["Path"].as_str().unwrap());
    assert_eq!(study["PatientMainDicomTags"]["PatientID"], "Q7");
    let gone = json!({"KeepSource": false, "Replace": {"StudyDescription": "MOVED"}});
    let path = done["Content"]["Path"].as_str().unwrap().to_owned();
    let moved = server.post(&format!("{path}/modify"), &gone).ok().json();
    assert_eq!(http::get(lab.http, &path).status, 404, "the source is gone");
    let moved = server.get(moved["Path"].as_str().unwrap());
    assert_eq!(moved["MainDicomTags"]["StudyDescription"], "MOVED");
    let ct = server.lookup(study::CT_INSTANCE);
    let other = server.post(&format!("/instances/{ct}/modify"), &json!({"Remove": ["StudyID"]}));
    let file = folder.path().join("one.dcm");
    std::fs::write(&file, other.ok().body).unwrap();
    assert_eq!(server.count("instances"), 3 * study::INSTANCES, "an instance is not stored");
    assert!(!dcmtk::dump(&file).contains(study::CT_INSTANCE));
}

#[test]
fn objects_are_created_from_tags_and_pictures() {
    needs!("Orthanc");
    let (lab, folder) = (Lab::start(), tempfile::tempdir().unwrap());
    let orthanc = Orthanc::start(folder.path(), &[]);
    let (ours, theirs) = (Server(lab.http).filled(), Server(orthanc.http).filled());
    let parent = ours.lookup(study::UID);
    let picture =
        http::get(lab.http, &format!("/instances/{}/preview", ours.lookup(study::CT_INSTANCE)));
    let png = base64::prelude::BASE64_STANDARD.encode(picture.ok().body);
    let content = format!("data:image/png;base64,{png}");
    let before = ours.count("instances");
    for (body, status) in [
        (
            json!({"Tags": {"PatientID": "C1", "PatientName": "MADE^BY", "Modality": "OT"},
                "Content": content}),
            200,
        ),
        (
            json!({"Tags": {"SeriesDescription": "added"}, "Parent": parent, "Content": content}),
            200,
        ),
        (json!({"Tags": {"PatientID": "other"}, "Parent": parent}), 400),
        (json!({"Tags": {"Nonsense": "1"}}), 400),
        (json!({"Tags": {}, "Parent": "00000000-9c5d7a91-e35df32c-1fa39119-9076f177"}), 404),
        (json!({"Tags": {}, "Content": "data:image/gif;base64,R0lG"}), 400),
    ] {
        let [a, b] = [ours, theirs].map(|server| server.post("/tools/create-dicom", &body));
        assert_eq!(a.status, status, "{body}: {}", a.text());
        if status == 200 {
            for key in keys(&b.ok().json()) {
                assert!(!a.json()[&key].is_null(), "{key}: {}", a.text());
            }
        }
    }
    assert_eq!(ours.count("instances"), before + 2);
    let added = ours.get(&format!("/studies/{parent}/series"));
    let added = added
        .as_array()
        .unwrap()
        .iter()
        .find(|series| series["MainDicomTags"]["SeriesDescription"] == "added");
    let instance = added.unwrap()["Instances"][0].as_str().unwrap().to_owned();
    let shown = http::get(lab.http, &format!("/instances/{instance}/preview")).ok();
    assert!(shown.body.starts_with(b"\x89PNG"));
    for path in ["/tools/now", "/tools/now-local", "/tools/generate-uid?level=study"] {
        let [a, b] = [ours, theirs].map(|server| http::get(server.0, path).ok().text());
        let digits = |text: &str| text.trim_end().chars().filter(char::is_ascii_digit).count();
        assert!(path.contains("uid") || digits(&a) == digits(&b), "{path}: {a} {b}");
    }
    let plugins = ours.get("/plugins");
    for (plugin, known) in plugins.as_array().unwrap().iter().map(|p| (p, theirs.get("/plugins"))) {
        assert!(known.as_array().unwrap().contains(plugin), "{plugin} of {known}");
        ours.get(&format!("/plugins/{}", plugin.as_str().unwrap()));
    }
}
