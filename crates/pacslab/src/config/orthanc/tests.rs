use super::*;

fn from_variables(variables: &[(&str, &str)]) -> Result<Layer> {
    let owned = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    environment(owned, &|path| Ok(format!("secret of {path}\n")))
}

fn told(layer: &Layer) -> Vec<String> {
    layer.entries.iter().map(|e| format!("{}={} ({})", e.key, e.text, e.origin)).collect()
}

#[test]
fn variables_of_a_compose_file_become_keys() {
    let layer = from_variables(&[
        ("ORTHANC__DICOM_AET", "LAB"),
        ("ORTHANC__DICOM_PORT", "4343"),
        ("ORTHANC__REMOTE_ACCESS_ALLOWED", "true"),
        ("ORTHANC__DICOM_MODALITIES", r#"{"PYMOD1":["PYMOD1","*",11112]}"#),
        ("ORTHANC__REGISTERED_USERS", r#"{"orthanc":"orthanc"}"#),
        ("ORTHANC__WORKLISTS__DATABASE", "/var/lib/orthanc/worklists"),
        ("ORTHANC__WORKLISTS__ENABLE", "true"),
        ("ORTHANC__DICOM_SCP_TIMEOUT", "0"),
        ("ORTHANC__ORTHANC_EXPLORER_2__IS_DEFAULT_ORTHANC_UI", "true"),
        ("WORKLISTS_PLUGIN_ENABLED", "true"),
    ])
    .unwrap();
    assert_eq!(
        told(&layer),
        [
            "dicom.aet=LAB (environment ORTHANC__DICOM_AET, DicomAet)",
            "peers.PYMOD1=[\"PYMOD1\",\"*\",11112] (environment ORTHANC__DICOM_MODALITIES, DicomModalities)",
            "dicom.port=4343 (environment ORTHANC__DICOM_PORT, DicomPort)",
            "dicom.idle_timeout=1d (environment ORTHANC__DICOM_SCP_TIMEOUT, DicomScpTimeout)",
            "http.users.orthanc=plain:orthanc (environment ORTHANC__REGISTERED_USERS, RegisteredUsers)",
            "http.user=orthanc (environment ORTHANC__REGISTERED_USERS, RegisteredUsers)",
            "http.password=orthanc (environment ORTHANC__REGISTERED_USERS, RegisteredUsers)",
            "dicom.bind=0.0.0.0 (environment ORTHANC__REMOTE_ACCESS_ALLOWED, RemoteAccessAllowed)",
            "http.bind=0.0.0.0 (environment ORTHANC__REMOTE_ACCESS_ALLOWED, RemoteAccessAllowed)",
            "worklist.dir=/var/lib/orthanc/worklists (environment ORTHANC__WORKLISTS__DATABASE, Worklists.Database)",
        ]
    );
    assert_eq!(layer.unused, ["OrthancExplorer2", "Worklists.Enable"]);
    let warning = layer.warning("the environment").unwrap();
    assert!(warning.ends_with("not used here: OrthancExplorer2, Worklists.Enable"), "{warning}");
}

#[test]
fn single_variables_win_over_the_whole_document() {
    let layer = from_variables(&[
        ("ORTHANC__DICOM_AET", "LATER"),
        ("ORTHANC_JSON", r#"{"DicomAet": "FIRST", "HttpPort": 8043}"#),
        ("ORTHANC_PASSWORD", "word"),
    ])
    .unwrap();
    let keys: Vec<String> = layer.entries.iter().map(|e| format!("{}={}", e.key, e.text)).collect();
    assert_eq!(keys[..2], ["dicom.aet=FIRST", "http.port=8043"]);
    assert!(keys[2..].contains(&"dicom.aet=LATER".to_owned()), "{keys:?}");
    assert!(keys[2..].contains(&"http.users.orthanc=plain:word".to_owned()), "{keys:?}");
}

#[test]
fn secrets_come_from_files() {
    let layer = from_variables(&[("ORTHANC__DICOM_AET_SECRET", "aet")]).unwrap();
    assert_eq!(layer.entries[0].text, "secret of aet");
}

#[test]
fn a_file_has_comments_variables_and_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("orthanc.json");
    let text = "{\n  // ours\n  \"Name\" : \"${WHO}\",\n  \"StableAge\" : 5,\n\
                \x20 \"DicomModalities\" : {\n    \"a\" : { \"AET\":\"A\", \"Host\":\"h\", \"Port\":\"104\", \"AllowFind\":false }\n  }\n}";
    std::fs::write(&path, text).unwrap();
    let layer = file(&path, &|name| (name == "WHO").then(|| "Lab 3".to_owned())).unwrap();
    assert_eq!(layer.unused, ["StableAge"]);
    let at = path.display();
    let told = told(&layer);
    assert!(told.contains(&format!("http.name=Lab 3 ({at}:3, Name)")), "{told:?}");
    assert!(
        told.iter().any(|line| line.starts_with("peers.a={") && line.contains(":5,")),
        "{told:?}"
    );
    std::fs::write(&path, "{\n \"Name\": \n}").unwrap();
    let error = file(&path, &|_| None).unwrap_err();
    assert!(error.message.starts_with(&format!("{at}:3: ")), "{}", error.message);
}

#[test]
fn ports_are_refused_with_the_sentence_that_people_search_for() {
    for text in ["0", "-1", "65535", "\"dicom\"", "4242.5"] {
        let error = from_variables(&[("ORTHANC__DICOM_PORT", text)]).unwrap_err();
        let found = text.trim_matches('"');
        let sentence = format!("A TCP port number must be in range [1..65534], but found: {found}");
        assert!(error.message.contains(&sentence), "{}", error.message);
        assert_eq!(error.hint.as_deref(), Some("give a port such as 4242"));
    }
}

#[test]
fn names_that_orthanc_does_not_have_are_errors() {
    let hint = |name: &str| {
        let error = from_variables(&[(name, "1")]).unwrap_err();
        assert!(error.message.contains(name), "{}", error.message);
        error.hint.unwrap()
    };
    assert_eq!(hint("ORTHANC__DICOM_PROT"), "did you mean DicomPort?");
    assert_eq!(hint("ORTHANC__WORKLISTS__DIRECTOY"), "did you mean Directory?");
    assert!(hint("ORTHANC__NONSENSE_OF_MINE").contains("docs/configuration.md"));
    let error = from_variables(&[("ORTHANC__DICOM_CHECK_CALLED_AET", "perhaps")]).unwrap_err();
    assert!(error.message.contains("true or false is expected"), "{}", error.message);
    let error = from_variables(&[("ORTHANC__WORKLISTS", "true")]).unwrap_err();
    assert!(error.message.contains("an object is expected"), "{}", error.message);
}

/// Every name stands for a key that exists, and once only.
#[test]
fn names_and_keys_fit() {
    let keys: Vec<&str> = crate::config::KEYS.iter().map(|info| info.key).collect();
    let mut seen = std::collections::BTreeSet::new();
    for known in names::NAMES {
        assert!(seen.insert(known.name.to_ascii_lowercase()), "{} stands twice", known.name);
        let inner: &[Name] = if let How::Section(inner) = &known.how { inner } else { &[] };
        for name in inner.iter().chain([known]) {
            if let How::Text(key) | How::Switch(key) | How::Seconds(key) | How::Port(key) = name.how
            {
                assert!(keys.contains(&key), "{key}");
            }
        }
    }
}

/// Orthanc wants certificates of those who call unless it is told otherwise.
#[test]
fn dicom_tls_is_not_weaker_than_it_was() {
    let asked = |more: &str| {
        let document =
            format!(r#"{{"DicomTlsEnabled": true, "DicomTlsCertificate": "c.pem"{more}}}"#);
        let layer = from_variables(&[("ORTHANC_JSON", &document)]).unwrap();
        let entry = layer.entries.iter().rfind(|e| e.key == "tls.client_certificates");
        (layer.entries.iter().any(|e| e.key == "tls.cert"), entry.unwrap().text.clone())
    };
    assert_eq!(asked(""), (true, "required".to_owned()));
    assert_eq!(asked(r#", "DicomTlsRemoteCertificateRequired": false"#), (true, "none".to_owned()));
}
