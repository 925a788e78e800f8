//! DICOMweb.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use pacslab_dicom::{Dataset, Element, TransferSyntax, Value, file};
use pacslab_model::{Vr, tags, uids};
use serde_json::json;

use crate::support::{Lab, ct, part_10};

async fn filled() -> Lab {
    let lab = Lab::new();
    lab.store(&ct("1.2", 1)).await;
    lab.store_as(&ct("1.2", 2), TransferSyntax::ImplicitLe).await;
    lab.store(&ct("1.3", 1)).await;
    lab
}

#[tokio::test(flavor = "multi_thread")]
async fn studies_are_found() {
    let lab = filled().await;
    let answer = lab.get("/dicom-web/studies?StudyInstanceUID=1.2").await.ok();
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/dicom+json");
    let found = answer.json();
    let study = &found[0];
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(study["00100010"]["Value"][0]["Alphabetic"], "Dö^Jane");
    assert_eq!(study["00080061"], json!({"vr": "CS", "Value": ["CT"]}));
    assert_eq!(study["00201206"]["Value"], json!([1]));
    assert_eq!(study["00201208"], json!({"vr": "IS", "Value": [2]}));
    assert_eq!(study["00081190"]["Value"][0], "/dicom-web/studies/1.2");
    assert_eq!(study["00080056"]["Value"][0], "ONLINE");

    let count = async |query: &str| {
        let found = lab.get(&format!("/dicom-web/{query}")).await.ok().json();
        found.as_array().unwrap().len()
    };
    assert_eq!(count("studies").await, 2);
    assert_eq!(count("studies?00100020=P12345&PatientName=d%C3%B6*").await, 2);
    assert_eq!(count("studies?PatientName=do*").await, 0);
    assert_eq!(count("studies?PatientName=do*&fuzzymatching=true").await, 2);
    assert_eq!(count("studies?StudyInstanceUID=1.2,1.3").await, 2);
    assert_eq!(count("studies?StudyDate=20260106-").await, 0);
    assert_eq!(count("studies?limit=1&offset=1").await, 1);
    assert_eq!(count("studies?ModalitiesInStudy=MR").await, 0);
    assert_eq!(count("studies/1.2/series").await, 1);
    assert_eq!(count("studies/1.2/instances").await, 2);
    assert_eq!(count("studies/1.2/series/1.2.1/instances?InstanceNumber=2").await, 1);
    assert_eq!(count("studies/1.3/series/1.2.1/instances").await, 0);
    assert_eq!(count("series").await, 2);
    assert_eq!(count("instances").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn results_hold_what_is_asked() {
    let lab = filled().await;
    let get =
        async |query: &str| lab.get(&format!("/dicom-web/{query}")).await.ok().json()[0].take();
    let own = get("studies/1.2/series").await;
    assert_eq!(own["00080060"]["Value"][0], "CT");
    assert_eq!(own["00100020"], json!(null), "the address says the study");
    assert_eq!(own["0020000D"]["Value"][0], "1.2");
    let more = get("studies/1.2/series?includefield=PatientID,00081030&includefield=all").await;
    assert_eq!(more["00100020"]["Value"][0], "P12345");
    let image = get("studies/1.2/series/1.2.1/instances").await;
    assert_eq!(image["00280010"], json!({"vr": "US", "Value": [4]}));
    assert_eq!(
        image["00081190"]["Value"][0],
        "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1"
    );
    let empty = get("studies?includefield=00200010").await;
    assert_eq!(empty["00200010"], json!({"vr": "SH"}), "asked for, known, without a value");
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_that_cannot_be_answered() {
    let lab = filled().await;
    for (query, word) in [
        ("Nonsense=1", "Nonsense"),
        ("StudyDate=yesterday", "yesterday"),
        ("limit=many", "many"),
        ("includefield=Rubbish", "Rubbish"),
    ] {
        let answer = lab.get(&format!("/dicom-web/studies?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    let answer = lab.get("/dicom-web/studies?Modality=CT&fuzzymatching=true&limit=1").await.ok();
    let warnings: Vec<&str> = answer
        .headers
        .get_all(header::WARNING)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let xml = "multipart/related; type=\"application/dicom+xml\"";
    assert_eq!(lab.get_as("/dicom-web/studies", xml).await.status, StatusCode::NOT_ACCEPTABLE);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_retrieved() {
    let lab = filled().await;
    let answer = lab.get("/dicom-web/studies/1.2").await.ok();
    assert!(
        answer
            .header(header::CONTENT_TYPE)
            .starts_with("multipart/related; type=\"application/dicom\"; boundary=")
    );
    let parts = answer.parts();
    assert_eq!(parts.len(), 2);
    for (number, (kind, bytes)) in parts.iter().enumerate() {
        assert_eq!(*kind, format!("application/dicom; transfer-syntax={}", uids::EXPLICIT_VR_LE));
        let (_, set) = file::read(bytes).unwrap();
        assert_eq!(set, ct("1.2", number as u16 + 1), "the second one was stored implicit");
    }
    let stored = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    let parts = lab.get_as("/dicom-web/studies/1.2/series/1.2.1", stored).await.ok().parts();
    assert!(parts[1].0.ends_with(uids::IMPLICIT_VR_LE));
    assert_eq!(parts[1].1, part_10(&ct("1.2", 2), TransferSyntax::ImplicitLe));

    let instance = "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1";
    let single = lab.get_as(instance, "application/dicom").await.ok();
    assert_eq!(single.bytes, part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe));
    let by_parameter = lab.get(&format!("{instance}?accept=application/dicom")).await.ok();
    assert_eq!(by_parameter.bytes, single.bytes);
    for wrong in ["/dicom-web/studies/9.9", "/dicom-web/studies/1.3/series/1.2.1"] {
        let answer = lab.get(wrong).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert!(answer.text().contains("not in the archive"), "{}", answer.text());
    }
    for refused in [
        "image/png",
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.70",
        "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90",
    ] {
        assert_eq!(lab.get_as(instance, refused).await.status, StatusCode::NOT_ACCEPTABLE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_have_no_pixels_but_their_address() {
    let lab = filled().await;
    let all = lab.get("/dicom-web/studies/1.2/metadata").await.ok().json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let uri = all[0]["7FE00010"]["BulkDataURI"].as_str().unwrap().to_owned();
    assert_eq!(uri, "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/7FE00010");
    assert_eq!(all[0]["00080018"]["Value"][0], "1.2.1.1");
    let parts = lab.get(&uri).await.ok().parts();
    assert_eq!(parts.len(), 1);
    assert_eq!(parts[0].1.len(), 32);
    let absent = uri.replace("7FE00010", "54000100/0/54001010");
    assert_eq!(lab.get(&absent).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_leave_as_they_are_stored() {
    let lab = filled().await;
    let instance = "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1";
    let octets = "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*";
    let parts = lab.get_as(&format!("{instance}/frames/1"), octets).await.ok().parts();
    let pixels: Vec<u8> = (1..=16u16).flat_map(u16::to_le_bytes).collect();
    assert_eq!(parts, [("application/octet-stream".to_owned(), pixels.clone())]);
    let plain = lab.get_as(&format!("{instance}/frames/1"), "application/octet-stream").await.ok();
    assert_eq!(plain.bytes, pixels);
    for (frames, status) in [("2", 404), ("0", 400), ("1,x", 400)] {
        assert_eq!(lab.get(&format!("{instance}/frames/{frames}")).await.status.as_u16(), status);
    }

    let mut compressed = ct("1.4", 1);
    compressed.put_str(tags::NUMBER_OF_FRAMES, Vr::IS, "2");
    compressed.put(Element {
        tag: tags::PIXEL_DATA,
        vr: Vr::OB,
        value: Value::Fragments(vec![vec![], b"one.".to_vec(), b"two.".to_vec()]),
    });
    lab.store_as(&compressed, TransferSyntax::from_uid("1.2.840.10008.1.2.4.70")).await;
    let instance = "/dicom-web/studies/1.4/series/1.4.1/instances/1.4.1.1";
    let parts = lab.get_as(&format!("{instance}/frames/2,1"), octets).await.ok().parts();
    let kind = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.70".to_owned();
    assert_eq!(parts, [(kind.clone(), b"two.".to_vec()), (kind, b"one.".to_vec())]);
    let refused = lab.get_as(&format!("{instance}/frames/1"), "application/octet-stream").await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    let whole = lab.get("/dicom-web/studies/1.4").await.ok().parts();
    assert!(whole[0].0.ends_with("4.70"), "what is compressed stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_rendered() {
    let lab = filled().await;
    let instance = "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1";
    let jpeg = lab.get(&format!("{instance}/rendered")).await.ok();
    assert_eq!(jpeg.header(header::CONTENT_TYPE), "image/jpeg");
    assert!(jpeg.bytes.starts_with(b"\xFF\xD8"));
    let png = lab.get_as(&format!("{instance}/frames/1/rendered?window=8,8"), "image/png").await;
    assert!(png.ok().bytes.starts_with(b"\x89PNG"));
    lab.get(&format!("{instance}/thumbnail")).await.ok();
    for (path, status) in [
        ("rendered?window=8", 400),
        ("rendered?viewport=0,0", 400),
        ("frames/2/rendered", 404),
        ("frames/0/rendered", 404),
        ("rendered?accept=text/plain", 406),
    ] {
        let answer = lab.get(&format!("{instance}/{path}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path}: {}", answer.text());
    }
}

fn multipart(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut body = b"preamble\r\n".to_vec();
    for object in objects {
        body.extend_from_slice(b"--b0undary\r\nContent-Type: application/dicom\r\n\r\n");
        body.extend_from_slice(object);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b0undary--\r\n");
    body
}

async fn stow(lab: &Lab, path: &str, body: Vec<u8>) -> crate::support::Answer {
    let request = Request::post(path).header(
        header::CONTENT_TYPE,
        "multipart/related; type=\"application/dicom\"; boundary=b0undary",
    );
    lab.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_stored() {
    let lab = Lab::new();
    let file = |set: &Dataset| part_10(set, TransferSyntax::ExplicitLe);
    let mut large = ct("1.2", 2);
    large.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![1; 3 << 20]);
    let body = multipart(&[file(&ct("1.2", 1)), file(&large)]);
    let answer = stow(&lab, "/dicom-web/studies", body).await.ok().json();
    let stored = answer["00081199"]["Value"].as_array().unwrap();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0]["00081155"]["Value"][0], "1.2.1.1");
    lab.get(stored[1]["00081190"]["Value"][0].as_str().unwrap()).await.ok();

    let mixed = multipart(&[file(&ct("1.2", 3)), b"junk".to_vec(), file(&ct("7.7", 1))]);
    let answer = stow(&lab, "/dicom-web/studies/1.2", mixed).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let json = answer.json();
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 1);
    assert_eq!(json["00081198"]["Value"][0]["00081155"]["Value"][0], "7.7.1.1");
    assert_eq!(json["00081198"]["Value"][0]["00081197"]["Value"][0], 0xA900);
    assert_eq!(json["0008119A"]["Value"][0]["00081197"]["Value"][0], 0xC000);
    assert_eq!(answer.headers.get_all(header::WARNING).iter().count(), 2);
    assert_eq!(lab.get("/statistics").await.json()["CountInstances"], 3);

    let nothing = stow(&lab, "/dicom-web/studies", multipart(&[b"junk".to_vec()])).await;
    assert_eq!(nothing.status, StatusCode::CONFLICT);
    for body in [b"".to_vec(), b"no boundary here".to_vec(), multipart(&[])] {
        let answer = stow(&lab, "/dicom-web/studies", body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    }
    let json = lab.post("/dicom-web/studies", "{}").await;
    assert_eq!(json.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}
