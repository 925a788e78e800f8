//! DICOMDIR: the list of the files on a medium. PS3.3 F.3, PS3.10 8, PS3.12.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use pacslab_dicom::file;
use pacslab_model::Tag;

/// Media Storage Directory Storage. PS3.4 annex I.
pub(crate) const CLASS: &str = "1.2.840.10008.1.3.10";

const RECORDS: Tag = Tag::new(0x0004, 0x1220);
const IN_USE: Tag = Tag::new(0x0004, 0x1410);
const FILE_ID: Tag = Tag::new(0x0004, 0x1500);

/// A DICOMDIR of a million images has some 600 MB; no medium holds so many.
const LONGEST: u64 = 256 << 20;

/// A file that a DICOMDIR names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    There(PathBuf),
    /// What is written, and why it is not followed.
    Not(String, String),
}

/// The files that a DICOMDIR names.
///
/// # Errors
/// It cannot be read or is no DICOMDIR.
pub(crate) fn listed(path: &Path) -> Result<Vec<Listed>, String> {
    let length = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > LONGEST {
        return Err(format!("a DICOMDIR of {length} bytes is not read; import its folder instead"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let (meta, set) = file::read(&bytes).map_err(|error| error.to_string())?;
    if meta.sop_class.as_str() != CLASS {
        return Err("it is no DICOMDIR".to_owned());
    }
    let root = path.parent().unwrap_or(Path::new("")).to_owned();
    let mut folders = Folders::at(&root)?;
    let mut all = Vec::new();
    for record in set.items(RECORDS) {
        let id = record.str(FILE_ID);
        // 0000H: no longer in use
        if id.is_empty() || record.u16(IN_USE) == Some(0) {
            continue;
        }
        all.push(match folders.resolve(id) {
            Ok(path) => Listed::There(path),
            Err(why) => Listed::Not(id.replace('\\', "/"), why),
        });
    }
    Ok(all)
}

/// The names in folders, each folder read once: ISO 9660 writes names in capitals, other systems
/// show them as they like.
struct Folders {
    root: PathBuf,
    /// The same without links: nothing outside it is followed.
    real: PathBuf,
    seen: HashMap<PathBuf, HashMap<String, OsString>>,
}

impl Folders {
    fn at(root: &Path) -> Result<Self, String> {
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        let real = root.canonicalize().map_err(|error| error.to_string())?;
        Ok(Self { root: root.to_owned(), real, seen: HashMap::new() })
    }

    /// A file ID: names from the folder of the DICOMDIR down. PS3.10 8.2.
    fn resolve(&mut self, id: &str) -> Result<PathBuf, String> {
        let mut path = self.root.clone();
        for name in id.split('\\').map(str::trim) {
            let strange = name.is_empty()
                || name.starts_with('.')
                || name.contains(['/', ':', '\0'])
                || name.contains(char::is_control);
            if strange {
                return Err("this is no name of a file on a medium; it is not followed".to_owned());
            }
            let name = self.called(&path, name).ok_or("there is no such file")?;
            path.push(name);
        }
        let real = path.canonicalize().map_err(|error| error.to_string())?;
        if !real.starts_with(&self.real) {
            return Err("it is a link that leads out of the folder; it is not followed".to_owned());
        }
        Ok(path)
    }

    /// What the entry is really called.
    fn called(&mut self, folder: &Path, name: &str) -> Option<OsString> {
        let names = self.seen.entry(folder.to_owned()).or_insert_with(|| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| (plain(&entry.file_name().to_string_lossy()), entry.file_name()))
                .collect()
        });
        names.get(&plain(name)).cloned()
    }
}

/// Capitals, without what ISO 9660 puts behind a name (`.` and `;1`).
fn plain(name: &str) -> String {
    let name = name.split(';').next().unwrap_or_default();
    name.trim_end_matches('.').to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use pacslab_dicom::{Dataset, FileMeta, TransferSyntax};
    use pacslab_model::{Uid, Vr};

    use super::*;

    #[test]
    fn names_are_found_in_any_case_and_nothing_outside_is() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("SECRET"), "x").unwrap();
        let root = outside.path().join("medium");
        std::fs::create_dir_all(root.join("dicom/Pat1")).unwrap();
        std::fs::write(root.join("dicom/Pat1/im0001.;1"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outside.path(), root.join("link")).unwrap();
        let ids = [
            "DICOM\\PAT1\\IM0001",
            "DICOM\\PAT1\\IM0002",
            "..\\SECRET",
            "LINK\\SECRET",
            "/etc/passwd",
            "C:\\SECRET",
            "DICOM\\\\IM0001",
        ];
        let record = |id: &&str| Dataset::new().with_str(FILE_ID, Vr::CS, *id);
        let set = Dataset::new().with_items(RECORDS, ids.iter().map(record).collect());
        let meta = FileMeta {
            sop_class: Uid::new(CLASS),
            sop_instance: Uid::new("1.2.3"),
            transfer_syntax: TransferSyntax::ExplicitLe,
            source_aet: None,
        };
        let path = root.join("DICOMDIR");
        std::fs::write(&path, file::write(&meta, &set)).unwrap();
        let all = listed(&path).unwrap();
        assert_eq!(all.len(), ids.len());
        assert_eq!(all[0], Listed::There(root.join("dicom/Pat1/im0001.;1")));
        for not in &all[1..] {
            assert!(matches!(not, Listed::Not(..)), "{not:?}");
        }
    }
}
