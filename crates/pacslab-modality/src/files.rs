//! Where acquired objects go when they go to a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::acquire::{Acquisition, Instance};

#[derive(Debug, thiserror::Error)]
#[error("{path}: cannot write the image: {source}; check that the folder is writable and not full", path = path.display())]
pub struct WriteError {
    pub path: PathBuf,
    pub source: io::Error,
}

impl Acquisition {
    /// Writes every object as a Part 10 file; the folder is made when it is not there.
    ///
    /// # Errors
    /// The first file or folder that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<Vec<PathBuf>, WriteError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WriteError { path, source }
        };
        fs::create_dir_all(folder).map_err(failed(folder))?;
        self.instances()
            .map(|instance| {
                let path = folder.join(&instance.file_name);
                fs::write(&path, instance.bytes()).map_err(failed(&path))?;
                Ok(path)
            })
            .collect()
    }
}

impl Instance {
    /// The bytes of a Part 10 file, Explicit VR Little Endian.
    pub fn bytes(&self) -> Vec<u8> {
        pacslab_dicom::file::write(&self.meta, &self.dataset)
    }
}

/// `CT_P12345_ACC1001_1_12.dcm`: sortable, and a valid name on every system.
pub fn file_name(
    modality: &str,
    patient_id: &str,
    accession: &str,
    series: u32,
    instance: u32,
) -> String {
    let [modality, patient, accession] = [modality, patient_id, accession].map(safe);
    format!("{modality}_{patient}_{accession}_{series}_{instance:04}.dcm")
}

/// Letters, digits, `-` and `.` stay; everything else becomes `-`. The name as a whole starts
/// with the modality, so that device names of Windows (`CON`, `NUL`) cannot arise.
fn safe(part: &str) -> String {
    let kept: String = part
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    if kept.is_empty() { "none".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        assert_eq!(file_name("CT", "P12345", "ACC1001", 1, 3), "CT_P12345_ACC1001_1_0003.dcm");
        assert_eq!(file_name("CT", r"..\a/b:*?", "Ä 1", 1, 1), "CT_..-a-b---_--1_1_0001.dcm");
        assert_eq!(file_name("CT", "", "", 2, 1), "CT_none_none_2_0001.dcm");
    }
}
