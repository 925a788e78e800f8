//! Looks for objects below the paths that were named. Runs beside the import, which takes what was
//! found through a channel that holds a few hundred: a folder of any size needs the same memory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use pacslab_dicom::dict;
use pacslab_dicom::zip::{Directory, Member};
use tokio::sync::mpsc::Sender;

use super::dicomdir::{self, Listed};
use super::{Found, Place, is_zip};

/// Folders in folders; deeper than any real tree: a link that goes round in circles.
const DEEPEST: usize = 64;

/// What was come across.
#[derive(Debug)]
pub(crate) enum Seen {
    Object(Box<Found>),
    /// No DICOM. `meant`: it was named, or is called like a DICOM file.
    Other {
        name: String,
        why: String,
        meant: bool,
    },
    /// Somebody wants it imported, and it cannot be.
    Refused {
        name: String,
        why: String,
    },
}

/// Nobody takes what is found any more.
struct Over;

/// Looks through everything, in order of names. Blocks.
pub(crate) fn search(paths: &[PathBuf], to: &Sender<Seen>) {
    let search = Search { to };
    for path in paths {
        if search.at(path, 0).is_err() {
            return;
        }
    }
}

struct Search<'a> {
    to: &'a Sender<Seen>,
}

impl Search<'_> {
    fn tell(&self, seen: Seen) -> Result<(), Over> {
        self.to.blocking_send(seen).map_err(|_| Over)
    }

    fn refuse(&self, name: impl ToString, why: impl ToString) -> Result<(), Over> {
        self.tell(Seen::Refused { name: name.to_string(), why: why.to_string() })
    }

    fn at(&self, path: &Path, depth: usize) -> Result<(), Over> {
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() && depth > DEEPEST => {
                self.refuse(path.display(), "too many folders deep")
            }
            Ok(meta) if meta.is_dir() => match names(path) {
                Ok(names) => names.iter().try_for_each(|path| self.at(path, depth + 1)),
                Err(error) => self.refuse(path.display(), error),
            },
            // a pipe would be waited for without end
            Ok(meta) if !meta.is_file() => self.refuse(path.display(), "it is no file"),
            Ok(meta) => self.file(path, meta.len(), depth == 0),
            Err(error) => self.refuse(path.display(), error),
        }
    }

    fn file(&self, path: &Path, length: u64, named: bool) -> Result<(), Over> {
        match is_zip(path) {
            Ok(true) => return self.zip(path),
            Ok(false) => {}
            Err(error) => return self.refuse(path.display(), error),
        }
        let place = Place::File(path.to_owned());
        match self.object(place, length, named)? {
            // in a folder the files that it lists are come across anyway
            Some(_) => self.directory(path, named),
            None => Ok(()),
        }
    }

    /// Tells of an object; gives it back if it is a DICOMDIR.
    fn object(&self, place: Place, length: u64, named: bool) -> Result<Option<Found>, Over> {
        let name = place.name();
        let found = match Found::look(place, length) {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => {
                let lower = name.to_ascii_lowercase();
                let meant = named || lower.ends_with(".dcm") || lower.ends_with(".dicom");
                self.tell(Seen::Other { name, why: why.to_string(), meant })?;
                return Ok(None);
            }
            Err(error) => {
                self.refuse(name, error)?;
                return Ok(None);
            }
        };
        let class = found.meta.sop_class.as_str();
        if class == dicomdir::CLASS {
            return Ok(Some(found));
        }
        if !dict::is_storage(class) && dict::uid_name(class).is_some() {
            let why = format!("{} is nothing that is stored", dict::describe_uid(class));
            self.tell(Seen::Other { name, why, meant: named })?;
            return Ok(None);
        }
        self.tell(Seen::Object(Box::new(found)))?;
        Ok(None)
    }

    /// The files of a DICOMDIR, or only those that are missing.
    fn directory(&self, path: &Path, follow: bool) -> Result<(), Over> {
        let listed = match dicomdir::listed(path) {
            Ok(listed) => listed,
            Err(why) => return self.refuse(path.display(), why),
        };
        for one in listed {
            match one {
                Listed::There(path) if follow => match std::fs::metadata(&path) {
                    Ok(meta) => {
                        self.object(Place::File(path), meta.len(), true)?;
                    }
                    Err(error) => self.refuse(path.display(), error)?,
                },
                Listed::There(_) => {}
                Listed::Not(id, why) => {
                    self.refuse(format!("{}: {id}", path.display()), why)?;
                }
            }
        }
        Ok(())
    }

    fn zip(&self, path: &Path) -> Result<(), Over> {
        let mut directory = match File::open(path).map_err(Into::into).and_then(Directory::open) {
            Ok(directory) => directory,
            Err(why) => return self.refuse(path.display(), why),
        };
        loop {
            match directory.next_member() {
                Ok(Some(member)) => self.member(path, member)?,
                Ok(None) => return Ok(()),
                Err(why) => return self.refuse(path.display(), why),
            }
        }
    }

    fn member(&self, zip: &Path, member: Member) -> Result<(), Over> {
        let length = member.size;
        // a DICOMDIR in a ZIP file lists what is come across anyway
        self.object(Place::Member { zip: zip.to_owned(), member }, length, false).map(drop)
    }
}

fn names(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
