//! What the themes share: the lab under test, its peers, and small clients of our own that do
//! not depend on the code they test.

pub(crate) mod cli;
pub(crate) mod dcmtk;
pub(crate) mod http;
pub(crate) mod lab;
pub(crate) mod mllp;
pub(crate) mod orthanc;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod raw_dimse;
pub(crate) mod wait;

pub(crate) use lab::Lab;
pub(crate) use peers::needs;

use std::path::{Path, PathBuf};

/// A file of `tests/fixtures`. All of them belong to one synthetic study.
pub(crate) fn fixture(name: &str) -> PathBuf {
    fixtures().join(name)
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A script of `tools/interop`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/interop").join(name)
}

/// The study that the fixtures belong to, and how many there are.
pub(crate) mod study {
    pub(crate) const UID: &str = "2.25.78963233193291594951742183797652316136";
    pub(crate) const ACCESSION: &str = "A2500001";
    pub(crate) const PATIENT_ID: &str = "PL000001";
    pub(crate) const INSTANCES: usize = 8;
    /// `ct.dcm`
    pub(crate) const CT_INSTANCE: &str = "2.25.111261928786757668653841684149858354348";
    pub(crate) const CT_SERIES: &str = "2.25.335369211953437377691273166510934418747";
}

/// Files below a folder with this extension, sorted.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
