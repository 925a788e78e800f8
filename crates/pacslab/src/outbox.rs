//! Files to send: which there are, what they are, and the associations that take them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use pacslab_dicom::{FileMeta, dict, file};
use pacslab_dimse::choose_contexts;
use pacslab_dimse::pdu::ProposedContext;
use pacslab_model::uids;

use crate::import::Place;

/// The meta information of every real file is shorter.
const HEAD: u64 = 64 * 1024;

/// A DICOM file that can be sent.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) place: Place,
    pub(crate) meta: FileMeta,
    /// Where its data set begins.
    pub(crate) start: u64,
    /// How long its data set is.
    pub(crate) length: u64,
}

/// A file that stays here, and why.
#[derive(Debug, Clone)]
pub(crate) struct Skipped {
    pub(crate) path: PathBuf,
    pub(crate) why: String,
    /// It was named, or is called like a DICOM file: somebody meant it to be sent.
    pub(crate) meant: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) items: Vec<Item>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Outbox {
    /// Looks through files and folders (recursively, in order of names).
    pub(crate) fn collect(paths: &[PathBuf]) -> Self {
        let mut outbox = Self::default();
        for path in paths {
            outbox.add(path, 0);
        }
        outbox
    }

    fn add(&mut self, path: &Path, depth: usize) {
        let added = match std::fs::metadata(path) {
            // deeper than any real tree: a link that goes round in circles
            Ok(meta) if meta.is_dir() && depth > 64 => Err("too many folders deep".to_owned()),
            Ok(meta) if meta.is_dir() => self.add_folder(path, depth).map_err(|e| e.to_string()),
            Ok(_) => read_item(path).map(|item| self.items.push(item)),
            Err(error) => Err(error.to_string()),
        };
        if let Err(why) = added {
            let called = path.extension().and_then(|extension| extension.to_str());
            let called = called.map(str::to_ascii_lowercase);
            let meant = depth == 0 || matches!(called.as_deref(), Some("dcm" | "dicom"));
            self.skipped.push(Skipped { path: path.to_owned(), why, meant });
        }
    }

    fn add_folder(&mut self, folder: &Path, depth: usize) -> io::Result<()> {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        paths.sort();
        for path in paths {
            self.add(&path, depth + 1);
        }
        Ok(())
    }

    /// The associations that are needed: for each the contexts to propose and the files that it
    /// takes. More than 128 pairs of SOP class and transfer syntax need several.
    pub(crate) fn associations(&self) -> Vec<(Vec<ProposedContext>, Vec<&Item>)> {
        let mut pairs = BTreeMap::<(&str, &str), Vec<&Item>>::new();
        for item in &self.items {
            let key = (item.meta.sop_class.as_str(), item.meta.transfer_syntax.uid());
            pairs.entry(key).or_default().push(item);
        }
        let mut groups = Vec::new();
        let mut proposed = BTreeSet::new();
        let mut group: Vec<&Item> = Vec::new();
        for ((class, syntax), items) in pairs {
            let mut wanted = vec![(class, syntax)];
            // PS3.5 10.1: the default transfer syntax is offered for whatever can be sent in it
            let held = &items[0].meta.transfer_syntax;
            if !held.is_encapsulated() || pacslab_codec::can_decode(held) {
                wanted.push((class, uids::IMPLICIT_VR_LE));
            }
            let more = wanted.iter().filter(|pair| !proposed.contains(*pair)).count();
            if proposed.len() + more > pacslab_dimse::context::MAX_CONTEXTS {
                groups.push((std::mem::take(&mut proposed), std::mem::take(&mut group)));
            }
            proposed.extend(wanted);
            group.extend(items);
        }
        groups.push((proposed, group));
        groups
            .into_iter()
            .filter(|(_, items)| !items.is_empty())
            .map(|(pairs, items)| (choose_contexts(pairs).concat(), items))
            .collect()
    }
}

fn read_item(path: &Path) -> Result<Item, String> {
    let mut source = File::open(path).map_err(|error| error.to_string())?;
    let total = source.seek(SeekFrom::End(0)).map_err(|error| error.to_string())?;
    source.rewind().map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    source.take(HEAD).read_to_end(&mut head).map_err(|error| error.to_string())?;
    let (meta, start) = file::read_meta(&head).map_err(|error| error.to_string())?;
    if !dict::is_storage(meta.sop_class.as_str())
        && dict::uid_name(meta.sop_class.as_str()).is_some()
    {
        let class = dict::describe_uid(meta.sop_class.as_str());
        return Err(format!("{class} is nothing that is stored"));
    }
    let start = start as u64;
    Ok(Item {
        place: Place::File(path.to_owned()),
        meta,
        start,
        length: total.saturating_sub(start),
    })
}

#[cfg(test)]
mod tests {
    use pacslab_dicom::Dataset;
    use pacslab_model::{Uid, Vr, tags};

    use pacslab_dicom::TransferSyntax;

    use super::*;

    fn put(folder: &Path, name: &str, class: &str, syntax: TransferSyntax) {
        let meta = FileMeta {
            sop_class: Uid::new(class),
            sop_instance: Uid::new("1.2.3"),
            transfer_syntax: syntax,
            source_aet: None,
        };
        let set = Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P1");
        std::fs::write(folder.join(name), file::write(&meta, &set)).unwrap();
    }

    #[test]
    fn folders_are_searched_and_other_files_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        put(&folder.path().join("b"), "2.dcm", uids::CT_IMAGE_STORAGE, TransferSyntax::ExplicitLe);
        put(folder.path(), "a.dcm", uids::CT_IMAGE_STORAGE, TransferSyntax::ImplicitLe);
        put(folder.path(), "worklist.wl", uids::MODALITY_WORKLIST_FIND, TransferSyntax::ExplicitLe);
        std::fs::write(folder.path().join("notes.txt"), "hello").unwrap();
        let missing = folder.path().join("missing");
        let outbox = Outbox::collect(&[folder.path().to_owned(), missing]);
        let names: Vec<_> = outbox.items.iter().map(|i| i.place.name()).collect();
        assert!(names[0].ends_with("a.dcm") && names[1].ends_with("2.dcm"), "{names:?}");
        assert!(outbox.items[0].length > 0);
        let why: Vec<&str> = outbox.skipped.iter().map(|s| s.why.as_str()).collect();
        assert!(why[0].contains("DICM"), "{why:?}");
        assert_eq!(why.len(), 3);

        let associations = outbox.associations();
        assert_eq!(associations.len(), 1);
        // explicit, and implicit once for both
        assert_eq!((associations[0].0.len(), associations[0].1.len()), (2, 2));
    }

    #[test]
    fn many_kinds_of_files_take_several_associations() {
        let item = |n: usize| Item {
            place: Place::File(PathBuf::new()),
            meta: FileMeta {
                sop_class: Uid::new(format!("1.2.{n}")),
                sop_instance: Uid::new("1.2.3"),
                transfer_syntax: TransferSyntax::ExplicitLe,
                source_aet: None,
            },
            start: 0,
            length: 0,
        };
        let outbox = Outbox { items: (0..100).map(item).collect(), skipped: vec![] };
        let associations = outbox.associations();
        assert_eq!(associations.iter().map(|a| a.1.len()).collect::<Vec<_>>(), [64, 36]);
        assert!(associations.iter().all(|a| a.0.len() == 2 * a.1.len()));
    }
}
