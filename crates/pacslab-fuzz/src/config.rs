//! Configuration files. They come from whoever runs the lab, but a slip of the pen has to be told.

use pacslab::fuzz;

/// A `pacslab.toml`.
pub(crate) fn toml(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    told(&fuzz::toml(&text), &text);
    assert_eq!(fuzz::toml(&text), fuzz::toml(&text));
}

/// An `orthanc.json` with comments, and the same as a variable.
pub(crate) fn orthanc(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let read = fuzz::orthanc_json(&text);
    told(&read, &text);
    let variable = |name: &str| [(name.to_owned(), text.clone().into_owned())];
    let whole = fuzz::orthanc_variables(variable("ORTHANC_JSON"));
    told(&whole, &text);
    // what needs no comments taken out means the same in both
    if !text.contains('/') && !text.contains("${") && !text.contains('\u{feff}') {
        assert_eq!(read.is_ok(), whole.is_ok(), "{read:?} {whole:?}");
    }
    let (name, value) = text.split_once('=').unwrap_or(("DICOM_AET", &text));
    told(&fuzz::orthanc_variables([(format!("ORTHANC__{name}"), value.to_owned())]), &text);
}

/// A complaint is words on a few lines, not all of the file again.
fn told(read: &Result<(), String>, text: &str) {
    if let Err(why) = read {
        assert!(!why.is_empty() && why.len() <= 8 * text.len() + 2000, "{why}");
    }
}
