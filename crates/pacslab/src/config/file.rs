//! The layer of the file: `pacslab.toml` in the current folder, or the one of `--config`.

use std::path::{Path, PathBuf};

use toml::de::{DeInteger, DeTable, DeValue};

use super::values::{Entry, Origin};
use crate::exit::{Failure, Result};

pub(crate) const FILE: &str = "pacslab.toml";

/// The file that was named must exist; the usual one may.
pub(super) fn read(named: Option<&Path>) -> Result<Vec<Entry>> {
    let path = named.unwrap_or(Path::new(FILE));
    match crate::text_file::read(path) {
        Ok(text) => entries(path, &text),
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        Err(error) => Err(Failure {
            exit: crate::exit::Exit::Usage,
            ..Failure::file("read the configuration", path, &error)
        }),
    }
}

pub(super) fn entries(path: &Path, text: &str) -> Result<Vec<Entry>> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Failure::usage(format!("{}:{line}: {}", path.display(), error.message()))
    })?;
    let mut found = Vec::new();
    collect(document.get_ref(), "", &Source { path: path.to_owned(), text }, &mut found)?;
    Ok(found)
}

struct Source<'a> {
    path: PathBuf,
    text: &'a str,
}

/// Tables become dotted keys, values become text.
fn collect(
    table: &DeTable<'_>,
    prefix: &str,
    source: &Source<'_>,
    found: &mut Vec<Entry>,
) -> Result<()> {
    for (name, value) in table {
        let key = format!("{prefix}{}", name.get_ref());
        let line = line_of(source.text, name.span().start);
        let text = match value.get_ref() {
            // a peer in one of Orthanc's forms
            DeValue::Table(_) | DeValue::Array(_) if prefix == super::values::PEERS => {
                json(value.get_ref()).to_string()
            }
            DeValue::Table(inner) => {
                collect(inner, &format!("{key}."), source, found)?;
                continue;
            }
            DeValue::String(text) => text.to_string(),
            DeValue::Boolean(yes) => yes.to_string(),
            DeValue::Integer(number) => integer(number)
                .map_or_else(|| number.as_str().to_owned(), |number| number.to_string()),
            DeValue::Float(number) => number.as_str().to_owned(),
            other => {
                return Err(Failure::usage(format!(
                    "{}:{line}: {key} is a {}; text or a number is expected",
                    source.path.display(),
                    other.type_str()
                )));
            }
        };
        found.push(Entry { key, text, origin: Origin::File { path: source.path.clone(), line } });
    }
    Ok(())
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// The same value in JSON.
fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(yes) => Value::Bool(*yes),
        DeValue::Integer(number) => {
            integer(number).map_or_else(|| Value::String(number.as_str().to_owned()), Value::from)
        }
        DeValue::Float(number) => Value::String(number.as_str().to_owned()),
        DeValue::Datetime(at) => Value::String(at.to_string()),
        DeValue::Array(values) => values.iter().map(|value| json(value.get_ref())).collect(),
        DeValue::Table(fields) => fields
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|b| *b == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_remember_their_line() {
        let text = "[dicom]\nport = 4_243\naet = \"LAB\"\n[peers]\nA.B = 1\n";
        let found = entries(Path::new("p.toml"), text).unwrap();
        let told: Vec<String> =
            found.iter().map(|e| format!("{}={} {}", e.key, e.text, e.origin)).collect();
        assert!(told.contains(&"dicom.port=4243 p.toml:2".to_owned()), "{told:?}");
        assert!(told.contains(&"dicom.aet=LAB p.toml:3".to_owned()), "{told:?}");
    }

    #[test]
    fn peers_may_have_orthancs_forms() {
        let text = "[peers]\nA = [\"A\", \"h\", 104]\nB = { AET = \"B\", Host = \"h\", Port = 104, AllowFind = false }\n";
        let found = entries(Path::new("p.toml"), text).unwrap();
        let text = |key: &str| found.iter().find(|e| e.key == key).map(|e| e.text.as_str());
        assert_eq!(text("peers.A"), Some(r#"["A","h",104]"#));
        assert_eq!(text("peers.B"), Some(r#"{"AET":"B","AllowFind":false,"Host":"h","Port":104}"#));
    }

    #[test]
    fn broken_files_are_named_with_their_line() {
        let error = entries(Path::new("p.toml"), "[dicom]\nport = \n").unwrap_err();
        assert!(error.message.starts_with("p.toml:2: "), "{}", error.message);
        let error = entries(Path::new("p.toml"), "[dicom]\nport = [1]\n").unwrap_err();
        assert!(error.message.contains("dicom.port is a array") || error.message.contains("array"));
    }
}
