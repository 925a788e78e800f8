//! What is to change, as the request says it, and doing it to one data set.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pacslab_archive::Stored;
use pacslab_dicom::{Dataset, Value as Held};
use pacslab_model::{Level, Tag, Uid, Vr, tags};
use serde::Deserialize;
use serde_json::Value;

use super::profile::{EMPTIED, REMOVED};
use super::value;
use crate::error::{Error, Result};
use crate::orthanc::modalities::from_json;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    Modify,
    Anonymize,
}

/// The body, by the names that Orthanc gave its fields.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Request {
    replace: BTreeMap<String, Value>,
    remove: Vec<String>,
    keep: Vec<String>,
    keep_source: Option<bool>,
    keep_private_tags: bool,
    remove_private_tags: bool,
    force: bool,
    transcode: Option<String>,
    synchronous: Option<bool>,
    asynchronous: Option<bool>,
    pub(super) permissive: bool,
    pub(super) priority: i64,
}

impl Request {
    /// What it was made of goes when all is there.
    pub(super) fn replaces_source(&self) -> bool {
        self.keep_source == Some(false)
    }

    pub(super) fn asynchronous(&self) -> bool {
        self.asynchronous.unwrap_or(self.synchronous == Some(false))
    }
}

pub(super) fn read(body: &[u8]) -> Result<Request> {
    if body.trim_ascii().is_empty() { Ok(Request::default()) } else { from_json(body) }
}

/// The same change for every instance of a resource.
#[derive(Debug)]
pub(super) struct Edit {
    purpose: Purpose,
    replace: Vec<(Tag, Value)>,
    remove: BTreeSet<Tag>,
    keep: BTreeSet<Tag>,
    private_goes: bool,
    /// The UIDs of what is changed, and what they become. Wherever they stand: references between
    /// the images of a study stay right.
    uids: HashMap<Uid, Uid>,
    salt: String,
}

/// Who an object is: nobody changes that by accident.
const IDENTITY: [Tag; 4] =
    [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID, tags::SOP_INSTANCE_UID];

impl Edit {
    pub(super) fn new(
        request: Request,
        purpose: Purpose,
        level: Level,
        instances: &[Stored],
        salt: &str,
    ) -> Result<Self> {
        let tags_of = |names: &[String]| -> Result<BTreeSet<Tag>> {
            names.iter().map(|name| value::tag(name)).collect()
        };
        let keep = tags_of(&request.keep)?;
        let replace: Vec<(Tag, Value)> = request
            .replace
            .iter()
            .map(|(name, value)| Ok((value::tag(name)?, value.clone())))
            .collect::<Result<_>>()?;
        if level < Level::Instance && keep.contains(&tags::SOP_INSTANCE_UID) {
            return Err(Error::BadRequest(
                "Keep SOPInstanceUID: of two objects with the same UID the first one is kept, so \
                 that nothing would change; modify a single instance, DELETE it and store the new one"
                    .to_owned(),
            ));
        }
        if let Some(syntax) = &request.transcode {
            return Err(Error::BadRequest(format!(
                "Transcode: objects keep their transfer syntax here; leave '{syntax}' out"
            )));
        }
        let identity = |tag: &Tag| IDENTITY.contains(tag);
        let touched = replace.iter().map(|(tag, _)| tag).filter(|tag| identity(tag));
        let kept = keep.iter().filter(|tag| identity(tag) && **tag != tags::PATIENT_ID);
        let forced = match purpose {
            Purpose::Modify => touched.chain(kept).next(),
            Purpose::Anonymize => None,
        };
        if let Some(tag) = forced.filter(|_| !request.force) {
            return Err(Error::BadRequest(format!(
                "{tag} says which object it is: to replace or keep it, set \"Force\": true"
            )));
        }
        let replaces = |tag: Tag| replace.iter().any(|(replaced, _)| *replaced == tag);
        if purpose == Purpose::Modify && level == Level::Patient && !replaces(tags::PATIENT_ID) {
            return Err(Error::BadRequest(
                "a patient is modified by giving another PatientID in Replace".to_owned(),
            ));
        }
        let mut edit = Self {
            purpose,
            replace,
            remove: tags_of(&request.remove)?,
            private_goes: match purpose {
                Purpose::Modify => request.remove_private_tags,
                Purpose::Anonymize => !request.keep_private_tags,
            },
            keep,
            uids: HashMap::new(),
            salt: salt.to_owned(),
        };
        // below the level all are new; anonymized ones are new from the study down
        let first = match purpose {
            Purpose::Modify => level.max(Level::Study),
            Purpose::Anonymize => Level::Study,
        };
        for stored in instances {
            for (of, tag, uid) in [
                (Level::Study, tags::STUDY_INSTANCE_UID, &stored.study_uid),
                (Level::Series, tags::SERIES_INSTANCE_UID, &stored.series_uid),
                (Level::Instance, tags::SOP_INSTANCE_UID, &stored.sop_instance),
            ] {
                if of >= first && !edit.keep.contains(&tag) && !edit.uids.contains_key(uid) {
                    let made = edit.other(uid);
                    edit.uids.insert(uid.clone(), made);
                }
            }
        }
        Ok(edit)
    }

    fn other(&self, uid: &Uid) -> Uid {
        Uid::from_parts(&["pacslab", "modify", &self.salt, uid.as_str()])
    }

    pub(super) fn apply(&self, set: &mut Dataset) -> Result<()> {
        let patient = set.str(tags::PATIENT_ID).to_owned();
        self.walk(set, true);
        if self.purpose == Purpose::Anonymize {
            self.sign(set, &patient);
        }
        for (tag, value) in &self.replace {
            value::put(set, *tag, value)?;
        }
        Ok(())
    }

    fn walk(&self, set: &mut Dataset, top: bool) {
        let tags: Vec<(Tag, Vr)> = set.iter().map(|element| (element.tag, element.vr)).collect();
        for (tag, vr) in tags {
            if self.keep.contains(&tag) && vr != Vr::SQ {
                continue;
            }
            let goes = (self.private_goes && tag.group() % 2 == 1)
                || (top && self.remove.contains(&tag))
                || self.is_removed(tag);
            if goes {
                set.remove(tag);
            } else if self.is_emptied(tag, vr) {
                set.put_str(tag, vr, "");
            } else if vr == Vr::SQ {
                if let Some(items) = set.items_mut(tag) {
                    items.iter_mut().for_each(|item| self.walk(item, false));
                }
            } else if vr == Vr::UI {
                self.rename(set, tag);
            }
        }
    }

    fn is_removed(&self, tag: Tag) -> bool {
        self.purpose == Purpose::Anonymize && REMOVED.contains(&tag)
    }

    fn is_emptied(&self, tag: Tag, vr: Vr) -> bool {
        let whose = matches!(vr, Vr::PN | Vr::DA | Vr::TM | Vr::DT);
        self.purpose == Purpose::Anonymize && (whose || EMPTIED.contains(&tag))
    }

    fn rename(&self, set: &mut Dataset, tag: Tag) {
        /// The registered ones: classes, syntaxes, coding schemes. PS3.6 A.
        const OF_DICOM: &str = "1.2.840.10008.";
        let all = self.purpose == Purpose::Anonymize;
        let other = |uid: &str| match self.uids.get(uid) {
            Some(made) => made.to_string(),
            None if all && !uid.is_empty() && !uid.starts_with(OF_DICOM) => {
                self.other(&Uid::new(uid)).to_string()
            }
            None => uid.to_owned(),
        };
        if let Some(Held::Text(text)) = set.get(tag).map(|element| &element.value) {
            let renamed: Vec<String> = text.split('\\').map(other).collect();
            set.put_str(tag, Vr::UI, renamed.join("\\"));
        }
    }

    /// Says that it was done and how. PS3.15 E.1.1 item 6, PS3.3 C.7.1.1.
    fn sign(&self, set: &mut Dataset, patient: &str) {
        const IDENTITY_REMOVED: Tag = Tag::new(0x0012, 0x0062);
        const METHOD: Tag = Tag::new(0x0012, 0x0063);
        set.put_str(IDENTITY_REMOVED, Vr::CS, "YES");
        set.put_str(METHOD, Vr::LO, "PACS Lab, after PS3.15 E.1 (synthetic data only)");
        let made = self.other(&Uid::new(patient));
        let digits = made.as_str().trim_start_matches("2.25.");
        let name = &digits[..digits.len().min(12)];
        if !self.keep.contains(&tags::PATIENT_ID) {
            set.put_str(tags::PATIENT_ID, Vr::LO, format!("ANON{name}"));
        }
        if !self.keep.contains(&tags::PATIENT_NAME) {
            set.put_str(tags::PATIENT_NAME, Vr::PN, format!("Anonymized^{name}"));
        }
    }
}
