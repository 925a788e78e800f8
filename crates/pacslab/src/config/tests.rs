use std::path::Path;

use super::*;

fn flags(entries: &[(&'static str, &str)]) -> Vec<Entry> {
    entries.iter().filter_map(|(key, text)| Entry::flag("--x", key, Some(text))).collect()
}

fn with(entries: &[(&'static str, &str)]) -> crate::exit::Result<Config> {
    let mut values = Values::defaults(KEYS);
    values.apply(flags(entries))?;
    Config::from_values(&values)
}

#[test]
fn defaults_are_valid() {
    let config = with(&[]).unwrap();
    assert_eq!((config.dicom.port, config.dicom.aet.as_str()), (4242, "PACSLAB"));
    assert_eq!(config.peers["PYNETSCP"].to_string(), "PYNETSCP@127.0.0.1:11112");
    assert_eq!(config.client.timeout, Duration::from_secs(30));
}

#[test]
fn later_layers_win_and_are_remembered() {
    let mut values = Values::defaults(KEYS);
    let layer = |text: &str, origin| Entry { key: "dicom.port".into(), text: text.into(), origin };
    let file = Origin::File { path: "pacslab.toml".into(), line: 3 };
    values.apply([layer("1", file)]).unwrap();
    values.apply([layer("2", Origin::Variable("PACSLAB__DICOM__PORT".into()))]).unwrap();
    assert_eq!(Config::from_values(&values).unwrap().dicom.port, 2);
    let (_, text, _, origin) = values.shown()[2];
    assert_eq!((text, origin.to_string().as_str()), ("2", "environment PACSLAB__DICOM__PORT"));
}

#[test]
fn samples_and_inbox_stay_in_the_data_folder() {
    let read = |entries: &[(&'static str, &str)]| {
        let config = load(None, flags(entries)).unwrap().config;
        (config.modality.out, config.receiver.dir)
    };
    let other = read(&[("storage.dir", "x")]);
    assert_eq!(other, (Path::new("x").join("samples"), Path::new("x").join("inbox")));
    let chosen = read(&[("storage.dir", "x"), ("modality.out", "y")]);
    assert_eq!(chosen.0, Path::new("y"));
}

#[test]
fn wrong_values_and_keys_say_what_to_do() {
    let error = with(&[("dicom.port", "70000")]).unwrap_err();
    assert_eq!(error.exit, crate::exit::Exit::Usage);
    assert!(error.message.contains("dicom.port = '70000'"), "{}", error.message);
    assert!(error.message.contains("0 to 65535"), "{}", error.message);

    let error = with(&[("dicom.prot", "1")]).unwrap_err();
    assert!(error.message.contains("unknown configuration key dicom.prot"), "{}", error.message);
    assert_eq!(error.hint.as_deref(), Some("did you mean dicom.port?"));

    let variable = Origin::Variable("PACSLAB__DICOM__PROT".into());
    let entry = Entry { key: "dicom.prot".into(), text: "1".into(), origin: variable };
    let error = Values::defaults(KEYS).apply([entry]).unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean PACSLAB__DICOM__PORT?"));

    let error = with(&[("peers.X", "nonsense")]).unwrap_err();
    assert!(error.message.contains("AET@host:port"), "{}", error.message);
    assert!(load(Some(Path::new("no/such.toml")), []).is_err());
}

#[test]
fn secrets_stay_secret() {
    let mut values = Values::defaults(KEYS);
    values.apply(flags(&[("http.password", "hunter2")])).unwrap();
    let config = Config::from_values(&values).unwrap();
    assert_eq!(config.http.password.0, "hunter2");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!format!("{:?}", values.shown()).contains("hunter2"));
}

#[test]
fn durations_and_peers_are_read() {
    use value::read_duration;
    assert_eq!(read_duration("500ms"), Some(Duration::from_millis(500)));
    assert_eq!(read_duration("90"), Some(Duration::from_secs(90)));
    assert_eq!(read_duration("2h"), Some(Duration::from_secs(7200)));
    for bad in ["", "s", "1y", "-1s", "99999999999999999999"] {
        assert_eq!(read_duration(bad), None, "{bad}");
    }
    let peer: Peer = "ORTHANC@[::1]:4242".parse().unwrap();
    assert_eq!((peer.host.as_str(), peer.port), ("::1", 4242));
    assert_eq!(peer.to_string(), "ORTHANC@[::1]:4242");
}

/// `docs/configuration.md` follows from the declaration.
#[test]
fn the_documentation_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let wanted = super::docs::page();
    if std::env::var_os("PACSLAB_REFRESH").is_some() {
        std::fs::write(path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default().replace('\r', "");
    assert!(
        found == wanted,
        "docs/configuration.md is not current; refresh it with \
         PACSLAB_REFRESH=1 cargo test -p pacslab the_documentation_is_current"
    );
}
