//! The layers of files and variables without files and variables: for `pacslab-fuzz`.

use std::path::Path;

use super::{Config, KEYS, Values, file, orthanc};
use crate::exit::Failure;

/// A `pacslab.toml`.
///
/// # Errors
/// What a person would be told.
pub fn toml(text: &str) -> Result<(), String> {
    let path = Path::new("pacslab.toml");
    read(|values| values.apply(file::entries(path, text)?))
}

/// An `orthanc.json`, in which `${HOME}` is known.
///
/// # Errors
/// What a person would be told.
pub fn orthanc_json(text: &str) -> Result<(), String> {
    let path = Path::new("orthanc.json");
    let variable = |name: &str| (name == "HOME").then(|| "/here".to_owned());
    read(|values| values.apply(orthanc::layer(path, text, &variable)?.entries))
}

/// `ORTHANC__…`, `ORTHANC_JSON`: pairs of name and text.
///
/// # Errors
/// What a person would be told.
pub fn orthanc_variables(
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<(), String> {
    let no_secret = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    read(|values| values.apply(orthanc::environment(variables, &no_secret)?.entries))
}

fn read(
    layer: impl FnOnce(&mut Values) -> crate::exit::Result<()>,
) -> std::result::Result<(), String> {
    let told = |failure: Failure| match failure.hint {
        Some(hint) => format!("{}; {hint}", failure.message),
        None => failure.message,
    };
    let mut values = Values::defaults(KEYS);
    layer(&mut values).map_err(told)?;
    values.follow("storage.dir", &[("modality.out", "samples"), ("receiver.dir", "inbox")]);
    Config::from_values(&values).map_err(told)?;
    Ok(())
}
