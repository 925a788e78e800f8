//! Orthanc's configuration as a layer: what moves over from an Orthanc runs unchanged.
//!
//! An `orthanc.json`, the variable `ORTHANC_JSON` and variables `ORTHANC__…` (as Orthanc's own
//! container images take them) are read into JSON, and [`names`] says which key of ours each name
//! is. Names that mean nothing here are told, names that Orthanc does not have are errors.

mod json;
pub(super) mod names;

use std::path::Path;

use serde_json::{Map, Value};

use self::names::{How, Name};
use super::values::{Entry, Origin, PEERS, USERS};
use crate::exit::{Failure, Result};

/// What a source of Orthanc's names brings.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) entries: Vec<Entry>,
    /// Names that Orthanc knows and we have no use for.
    pub(super) unused: Vec<String>,
}

impl Layer {
    /// One line for people, if there is something to tell.
    pub(super) fn warning(&self, source: &str) -> Option<String> {
        match self.unused.as_slice() {
            [] => None,
            unused => Some(format!(
                "{source} has settings of Orthanc that are not used here: {}",
                unused.join(", ")
            )),
        }
    }
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// An `orthanc.json`: JSON with comments, in which `${NAME}` stands for a variable.
pub(super) fn file(path: &Path, variable: Lookup<'_>) -> Result<Layer> {
    let text = crate::text_file::read(path).map_err(|error| Failure {
        exit: crate::exit::Exit::Usage,
        ..Failure::file("read the configuration", path, &error)
    })?;
    layer(path, &text, variable)
}

/// What stands in such a file.
pub(super) fn layer(path: &Path, text: &str, variable: Lookup<'_>) -> Result<Layer> {
    let text = json::plain(text, variable)
        .map_err(|wrong| Failure::usage(format!("{}:{wrong}", path.display())))?;
    let document = object(&text)
        .map_err(|(line, why)| Failure::usage(format!("{}:{line}: {why}", path.display())))?;
    let origin = |name: &str| {
        let quoted = format!("\"{name}\"");
        let line = text.find(&quoted).map_or(1, |at| json::line_of(&text, at));
        Origin::File { path: path.to_owned(), line }
    };
    translate(&document, &origin)
}

/// `ORTHANC_JSON`, and `ORTHANC__…` over it.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    read_secret: &dyn Fn(&str) -> std::io::Result<String>,
) -> Result<Layer> {
    let mut variables: Vec<(String, String)> =
        variables.into_iter().filter(|(name, _)| name.starts_with("ORTHANC_")).collect();
    variables.sort();
    let mut layer = Layer::default();
    // the whole document first: single variables win
    for whole in [true, false] {
        for (name, text) in &variables {
            let document = match name.strip_prefix("ORTHANC__") {
                None if whole && name == "ORTHANC_JSON" => {
                    object(text).map_err(|(_, why)| Failure::usage(format!("{name}: {why}")))?
                }
                None if !whole && name == "ORTHANC_PASSWORD" => {
                    nested(&["RegisteredUsers", "orthanc"], Value::String(text.clone()))
                }
                Some(path) if !whole => variable(path, text, read_secret)
                    .map_err(|error| Failure::usage(format!("{name} = '{text}': {error}")))?,
                _ => continue,
            };
            let found = translate(&document, &|_| Origin::Variable(name.clone()))?;
            layer.entries.extend(found.entries);
            layer.unused.extend(found.unused);
        }
    }
    layer.unused.dedup();
    Ok(layer)
}

/// `DICOM_WEB__ROOT` with its text; `…_SECRET` names a file that holds it.
fn variable(
    path: &str,
    text: &str,
    read_secret: &dyn Fn(&str) -> std::io::Result<String>,
) -> std::io::Result<Map<String, Value>> {
    let (path, text) = match path.strip_suffix("_SECRET") {
        Some(path) => (path, read_secret(text)?.trim_end().to_owned()),
        None => (path, text.to_owned()),
    };
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let names: Vec<String> = path.split("__").map(json::capitalised).collect();
    Ok(nested(&names, value))
}

/// `{"A": {"B": value}}`
fn nested(names: &[impl AsRef<str>], value: Value) -> Map<String, Value> {
    let Some((first, rest)) = names.split_first() else { return Map::new() };
    let inner = if rest.is_empty() { value } else { Value::Object(nested(rest, value)) };
    Map::from_iter([(first.as_ref().to_owned(), inner)])
}

fn object(text: &str) -> std::result::Result<Map<String, Value>, (usize, String)> {
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err((1, "a JSON object is expected".to_owned())),
        Err(error) => Err((error.line(), error.to_string())),
    }
}

/// Names of Orthanc to keys of ours.
fn translate(document: &Map<String, Value>, at: &dyn Fn(&str) -> Origin) -> Result<Layer> {
    let mut layer = Layer::default();
    for (name, value) in document {
        let Some(known) = names::find(name) else { return Err(unknown(name, &at(name), None)) };
        match (&known.how, value) {
            (How::Section(inner), Value::Object(fields)) => {
                for (field, value) in fields {
                    let full = format!("{}.{field}", known.name);
                    let Some(known) = names::find_in(inner, field) else {
                        return Err(unknown(&full, &at(field), Some(inner)));
                    };
                    layer.take(known, &full, value, at(field))?;
                }
            }
            _ => layer.take(known, known.name, value, at(name))?,
        }
    }
    Ok(layer)
}

impl Layer {
    /// One name and its value.
    fn take(&mut self, known: &Name, name: &str, value: &Value, within: Origin) -> Result<()> {
        let origin = Origin::Orthanc { name: name.to_owned(), within: Box::new(within) };
        let wrong = |expected: &str| {
            Failure::usage(format!("{name} = {value}: {expected} is expected ({origin})"))
        };
        let mut put = |key: &str, text: String| {
            self.entries.push(Entry { key: key.to_owned(), text, origin: origin.clone() });
        };
        match &known.how {
            How::Unused => self.unused.push(name.to_owned()),
            How::Section(_) => return Err(wrong("an object")),
            How::Text(key) => {
                put(key, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            }
            How::Switch(key) => {
                put(key, switch(value).ok_or_else(|| wrong("true or false"))?.to_string())
            }
            How::Seconds(key) => match number(value).ok_or_else(|| wrong("a number of seconds"))? {
                // without end, as far as anybody waits
                0 => put(key, "1d".to_owned()),
                seconds => put(key, format!("{seconds}s")),
            },
            How::Port(key) => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                super::value::read_port(&text).map_err(|why| {
                    Failure::usage(format!("{name} = {text}: {why} ({origin})"))
                        .hint(format!("give a port such as {}", known.example()))
                })?;
                put(key, text);
            }
            How::RemoteAccess => {
                let open = switch(value).ok_or_else(|| wrong("true or false"))?;
                for key in ["dicom.bind", "http.bind"] {
                    put(key, if open { "0.0.0.0" } else { "127.0.0.1" }.to_owned());
                }
            }
            // names come in the order of the alphabet: what says otherwise comes later
            How::DicomTls => {
                let on = switch(value).ok_or_else(|| wrong("true or false"))?;
                put("dicom.tls", on.to_string());
                if on {
                    put("tls.client_certificates", "required".to_owned());
                }
            }
            // `MaximumStorageMode` lies between these two in the alphabet: it goes first of all
            How::MaximumPatients | How::MaximumSize => {
                let limit = number(value).ok_or_else(|| wrong("a whole number"))?;
                match known.how {
                    How::MaximumPatients => put("storage.max_patients", limit.to_string()),
                    _ => put("storage.quota", format!("{limit} MiB")),
                }
                if limit > 0 {
                    let text = "delete-oldest".to_owned();
                    let key = "storage.when_full".to_owned();
                    self.entries.insert(0, Entry { key, text, origin });
                }
            }
            How::WhenFull => {
                let mode = value.as_str().filter(|mode| matches!(*mode, "Recycle" | "Reject"));
                let recycles = mode.ok_or_else(|| wrong("Recycle or Reject"))? == "Recycle";
                let word = if recycles { "delete-oldest" } else { "refuse" };
                put("storage.when_full", word.to_owned());
            }
            How::ClientCertificates => {
                let required = switch(value).ok_or_else(|| wrong("true or false"))?;
                let word = if required { "required" } else { "none" };
                put("tls.client_certificates", word.to_owned());
            }
            How::Users => {
                let users = value.as_object().ok_or_else(|| wrong("an object"))?;
                for (index, (user, password)) in users.iter().enumerate() {
                    let password = password.as_str().ok_or_else(|| wrong("names and passwords"))?;
                    put(&format!("{USERS}{user}"), format!("plain:{password}"));
                    // the login of our own commands
                    if index == 0 {
                        put("http.user", user.clone());
                        put("http.password", password.to_owned());
                    }
                }
            }
            How::Modalities => {
                let modalities = value.as_object().ok_or_else(|| wrong("an object"))?;
                for (name, peer) in modalities {
                    put(&format!("{PEERS}{name}"), peer.to_string());
                }
            }
        }
        Ok(())
    }
}

fn switch(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_str()?.parse().ok())
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn unknown(name: &str, origin: &Origin, section: Option<&[Name]>) -> Failure {
    let failure = Failure::usage(format!("Orthanc's configuration has no {name} ({origin})"));
    let word = name.rsplit('.').next().unwrap_or(name);
    let near = match section {
        Some(names) => super::nearest::nearest(word, names.iter().map(|known| known.name)),
        None => super::nearest::nearest(word, names::NAMES.iter().map(|known| known.name)),
    };
    match near {
        Some(known) => failure.hint(format!("did you mean {known}?")),
        None => failure.hint("docs/configuration.md lists the names that are known"),
    }
}

#[cfg(test)]
mod tests;
