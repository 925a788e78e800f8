//! The layer of environment variables: `PACSLAB__DICOM__PORT=4243`.

use super::values::{Entry, Origin};

const PREFIX: &str = "PACSLAB__";

/// The variable that sets a key.
pub(super) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// The whole environment, as far as its names are text.
pub(super) fn all() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    })
}

pub(super) fn read() -> Vec<Entry> {
    entries(all())
}

/// Keys are lower case whatever the variable is; names of peers and destinations stay as they are.
fn entries(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = variables
        .into_iter()
        .filter_map(|(name, text)| {
            let (section, key) = name
                .strip_prefix(PREFIX)?
                .split_once("__")
                .unwrap_or_else(|| (name.strip_prefix(PREFIX).unwrap_or_default(), ""));
            let section = section.to_lowercase();
            let key = match (section.as_str(), destination(key)) {
                ("peers", _) => key.to_owned(),
                ("hl7", Some((name, key))) => format!("destinations.{name}.{}", key.to_lowercase()),
                _ => key.to_lowercase(),
            };
            let key = format!("{section}.{}", key.replace("__", "."));
            Some(Entry { key, text, origin: Origin::Variable(name) })
        })
        .collect();
    // the environment has no order of its own: the same error on every run
    entries.sort_by(|a, b| a.key.cmp(&b.key));
    entries
}

/// `DESTINATIONS__NAME__KEY`
fn destination(key: &str) -> Option<(&str, &str)> {
    let (word, rest) = key.split_once("__")?;
    rest.split_once("__").filter(|_| word.eq_ignore_ascii_case("destinations"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_keys() {
        let found = entries([
            ("PACSLAB__DICOM__MAX_PDU".to_owned(), "16384".to_owned()),
            ("PACSLAB__PEERS__ORTHANC".to_owned(), "ORTHANC@pacs:4242".to_owned()),
            ("PACSLAB__HL7__DESTINATIONS__PACS_1__PORT".to_owned(), "2576".to_owned()),
            ("PATH".to_owned(), "/bin".to_owned()),
        ]);
        let keys: Vec<&str> = found.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["dicom.max_pdu", "hl7.destinations.PACS_1.port", "peers.ORTHANC"]);
        assert_eq!(variable("dicom.max_pdu"), "PACSLAB__DICOM__MAX_PDU");
    }
}
