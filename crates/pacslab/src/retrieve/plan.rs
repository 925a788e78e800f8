//! The storage contexts that a C-GET proposes. PS3.4 C.4.3, PS3.8 7.1.1.13.
//!
//! An object can only come if its SOP class and a transfer syntax of it were proposed, and an
//! association has room for 128 contexts, one of which is that of the request. So the peer is
//! asked for the SOP classes first. One that does not tell is asked with all classes there are,
//! common ones first, on one association after the other until nothing is missing.

use std::collections::BTreeSet;

use pacslab_dicom::{Dataset, dict};
use pacslab_dimse::context::MAX_CONTEXTS;
use pacslab_dimse::{Association, Proposal};
use pacslab_model::{Level, Uid, Vr, tags, uids};

use super::of_level;
use crate::client::Target;
use crate::exit::Result;

/// The storage contexts of one association: SOP class and transfer syntaxes.
pub(crate) type Contexts = Vec<(Uid, Vec<Uid>)>;

/// Transfer syntaxes that an object may be stored in, beside the uncompressed ones. Each has a
/// context of its own, because an acceptor chooses one syntax of a context before it knows
/// which object it will be for.
const COMPRESSED: [&str; 14] = [
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.4.202",
    "1.2.840.10008.1.2.4.203",
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.102",
];

/// What most archives hold most of; with the four commonest compressed syntaxes, they fill one
/// association.
const COMMON: [&str; 25] = [
    uids::CT_IMAGE_STORAGE,
    "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.12.1",
    "1.2.840.10008.5.1.4.1.1.12.2",
    "1.2.840.10008.5.1.4.1.1.20",
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.4.1",
    "1.2.840.10008.5.1.4.1.1.13.1.3",
    "1.2.840.10008.5.1.4.1.1.77.1.4",
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.4",
    "1.2.840.10008.5.1.4.1.1.88.11",
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.66.4",
];
const COMMON_COMPRESSED: usize = 4;

/// Storage contexts of one association.
const ROOM: usize = MAX_CONTEXTS - 1;

/// The associations that take these SOP classes, or all that there are. A class stands on one of
/// them only: on a second one a peer that transcodes would send its objects again.
pub(crate) fn associations(classes: Option<&BTreeSet<Uid>>) -> Vec<Contexts> {
    let (first, others, compressed): (Vec<Uid>, Vec<Uid>, usize) = match classes {
        Some(classes) => (classes.iter().cloned().collect(), Vec::new(), COMPRESSED.len()),
        None => {
            let others = dict::storage_classes().iter().filter(|uid| !COMMON.contains(*uid));
            let uids = |uids: &[&str]| uids.iter().map(|uid| Uid::from(*uid)).collect();
            (uids(&COMMON), others.map(|uid| Uid::from(*uid)).collect(), COMMON_COMPRESSED)
        }
    };
    let mut associations: Vec<Contexts> = Vec::new();
    for (classes, compressed) in [(first, compressed), (others, 0)] {
        for classes in classes.chunks(ROOM / (1 + compressed)) {
            // peers that look for a context by SOP class alone find the uncompressed one
            let plain = || vec![uids::EXPLICIT_VR_LE.into(), uids::IMPLICIT_VR_LE.into()];
            let mut contexts: Contexts =
                classes.iter().map(|class| (class.clone(), plain())).collect();
            for class in classes {
                let one = |uid: &&str| (class.clone(), vec![Uid::from(*uid)]);
                contexts.extend(COMPRESSED[..compressed].iter().map(one));
            }
            associations.push(contexts);
        }
    }
    associations
}

/// The SOP classes of what identifiers select, by C-FIND; `None` when the peer does not tell.
/// What it cannot have (a study that is not there) is an empty set.
pub(crate) async fn sop_classes(
    target: &Target,
    identifiers: &[Dataset],
) -> Result<Option<BTreeSet<Uid>>> {
    let mut association = target.connect(Proposal::of(uids::STUDY_ROOT_FIND)).await?;
    let mut classes = BTreeSet::new();
    for identifier in identifiers {
        match classes_of(&mut association, identifier).await {
            Some(found) => classes.extend(found),
            // whatever its reason is: the C-GET will tell
            None => return Ok(None),
        }
    }
    let _ = association.release().await;
    Ok(Some(classes))
}

/// More series than this are not looked into one by one.
const MAX_SERIES: usize = 100;

async fn classes_of(association: &mut Association, identifier: &Dataset) -> Option<BTreeSet<Uid>> {
    let mut study = of_level(Level::Study).with_str(tags::SOP_CLASSES_IN_STUDY, Vr::UI, "");
    study.put_str(tags::STUDY_INSTANCE_UID, Vr::UI, identifier.str(tags::STUDY_INSTANCE_UID));
    if let Some(id) = identifier.text(tags::PATIENT_ID) {
        study.put_str(tags::PATIENT_ID, Vr::LO, id);
    }
    let mut classes = BTreeSet::new();
    for study in find(association, &study).await? {
        let told = study.str(tags::SOP_CLASSES_IN_STUDY);
        match told {
            "" => classes.extend(classes_by_instance(association, &study, identifier).await?),
            told => classes.extend(told.split('\\').map(|uid| Uid::new(uid.trim()))),
        }
    }
    classes.retain(|uid| !uid.is_empty());
    Some(classes)
}

/// SOP Class UID is a required key of the instance level (PS3.4 table C.6-4), so every peer
/// tells it there, series by series.
async fn classes_by_instance(
    association: &mut Association,
    study: &Dataset,
    identifier: &Dataset,
) -> Option<BTreeSet<Uid>> {
    let study = study.text(tags::STUDY_INSTANCE_UID)?;
    let series = of_level(Level::Series)
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, identifier.str(tags::SERIES_INSTANCE_UID));
    let series = find(association, &series).await?;
    if series.len() > MAX_SERIES {
        return None;
    }
    let mut classes = BTreeSet::new();
    for series in series {
        let instance = of_level(Level::Instance)
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, series.str(tags::SERIES_INSTANCE_UID))
            .with_str(tags::SOP_INSTANCE_UID, Vr::UI, "")
            .with_str(tags::SOP_CLASS_UID, Vr::UI, "");
        for found in find(association, &instance).await? {
            classes.insert(Uid::new(found.text(tags::SOP_CLASS_UID)?));
        }
    }
    Some(classes)
}

async fn find(association: &mut Association, identifier: &Dataset) -> Option<Vec<Dataset>> {
    let found = association.find_all(uids::STUDY_ROOT_FIND, identifier, usize::MAX).await;
    found.ok().filter(|(_, reply)| reply.status.is_success()).map(|(found, _)| found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_classes_are_proposed_in_every_syntax() {
        let classes: BTreeSet<Uid> = (0..20).map(|n| Uid::new(format!("1.2.{n}"))).collect();
        let all = associations(Some(&classes));
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [120, 120, 60]);
        let few: BTreeSet<Uid> = [Uid::from("1.2")].into();
        let contexts = &associations(Some(&few))[0];
        assert_eq!((contexts.len(), contexts[0].1.len()), (15, 2));
        assert!(associations(Some(&BTreeSet::new())).is_empty());
    }

    #[test]
    fn without_knowledge_every_class_is_on_one_association() {
        let all = associations(None);
        assert!(all.len() > 1 && all.iter().all(|contexts| contexts.len() <= ROOM));
        assert_eq!(all[0].len(), 125, "the common ones fill the first");
        let classes: Vec<BTreeSet<&Uid>> =
            all.iter().map(|contexts| contexts.iter().map(|(class, _)| class).collect()).collect();
        let count: usize = classes.iter().map(BTreeSet::len).sum();
        assert_eq!(count, dict::storage_classes().len());
        let together: BTreeSet<&Uid> = classes.into_iter().flatten().collect();
        assert_eq!(together.len(), count);
    }

    #[test]
    fn the_dictionary_knows_what_is_proposed() {
        assert!(COMMON.iter().all(|uid| dict::is_storage(uid)));
        assert!(COMPRESSED.iter().all(|uid| dict::uid_name(uid).is_some()));
    }
}
