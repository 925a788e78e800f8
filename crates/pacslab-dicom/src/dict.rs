//! The data dictionary and the registry of UIDs. PS3.6.

use dicom_core::dictionary::{DataDictionary, UidDictionary, VirtualVr};
use dicom_dictionary_std::{StandardDataDictionary, StandardSopClassDictionary};
use pacslab_model::{Tag, Vr, tags, uids};

use crate::storage_classes::STORAGE_CLASSES;
use crate::syntax;

/// The VR of a tag in an implicit VR data set. `None`: not in the dictionary (private, or newer).
pub fn vr(tag: Tag) -> Option<Vr> {
    if tag.is_group_length() {
        return Some(Vr::UL);
    }
    // private creators: (gggg,0010-00FF), PS3.5 7.8.1
    if tag.is_private() {
        return matches!(tag.element(), 0x10..=0xFF).then_some(Vr::LO);
    }
    let entry = StandardDataDictionary.by_tag(core_tag(tag))?;
    Some(match entry.vr {
        VirtualVr::Exact(vr) => Vr::from_bytes(vr.to_bytes())?,
        // US or SS depends on PixelRepresentation; the bytes are the same
        VirtualVr::Xs => Vr::US,
        VirtualVr::Lt if tag == tags::PIXEL_DATA => Vr::OW,
        _ => Vr::OW,
    })
}

/// `PatientID` for (0010,0020).
pub fn keyword(tag: Tag) -> Option<&'static str> {
    if tag.is_private() {
        return None;
    }
    StandardDataDictionary.by_tag(core_tag(tag)).map(|entry| entry.alias)
}

/// Keyword, or the tag itself where there is none: for texts that people read.
pub fn name(tag: Tag) -> String {
    keyword(tag).map_or_else(|| tag.to_string(), str::to_owned)
}

/// A tag from its keyword (`PatientID`) or its digits (`0010,0020`, `00100020`).
pub fn tag(keyword_or_digits: &str) -> Option<Tag> {
    let text = keyword_or_digits.trim();
    if let Ok(tag) = text.parse() {
        return Some(tag);
    }
    let entry = StandardDataDictionary.by_name(text)?;
    let dicom_core::Tag(group, element) = entry.tag.inner();
    Some(Tag::new(group, element))
}

/// The name of a SOP class or transfer syntax.
pub fn uid_name(uid: &str) -> Option<&'static str> {
    let named = |list: &[(&str, &'static str)]| {
        list.iter().find(|(known, _)| *known == uid).map(|(_, name)| *name)
    };
    named(syntax::NAMES)
        .or_else(|| named(&[(uids::APPLICATION_CONTEXT, "DICOM Application Context")]))
        .or_else(|| StandardSopClassDictionary.by_uid(uid).map(|entry| entry.name))
}

/// The transfer syntaxes that have a name here.
pub fn transfer_syntaxes() -> impl Iterator<Item = &'static str> {
    syntax::NAMES.iter().map(|(uid, _)| *uid)
}

/// `CT Image Storage (1.2.840.10008.5.1.4.1.1.2)`, or the bare UID.
pub fn describe_uid(uid: &str) -> String {
    uid_name(uid).map_or_else(|| uid.to_owned(), |name| format!("{name} ({uid})"))
}

pub fn is_storage(uid: &str) -> bool {
    STORAGE_CLASSES.contains(&uid)
}

/// All storage SOP classes of the dictionary.
pub fn storage_classes() -> &'static [&'static str] {
    STORAGE_CLASSES
}

fn core_tag(tag: Tag) -> dicom_core::Tag {
    dicom_core::Tag(tag.group(), tag.element())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_uids_and_names_are_known() {
        assert_eq!(vr(tags::PATIENT_NAME), Some(Vr::PN));
        assert_eq!(vr(tags::PIXEL_DATA), Some(Vr::OW));
        assert_eq!(vr(tags::SMALLEST_IMAGE_PIXEL_VALUE), Some(Vr::US));
        assert_eq!(vr(Tag::new(0x0009, 0x0010)), Some(Vr::LO));
        assert_eq!(vr(Tag::new(0x0009, 0x1010)), None);
        assert_eq!(keyword(tags::PATIENT_ID), Some("PatientID"));
        assert_eq!(tag("PatientID"), Some(tags::PATIENT_ID));
        assert_eq!(tag("0010,0020"), Some(tags::PATIENT_ID));
        assert_eq!(tag("Nonsense"), None);
        assert_eq!(uid_name(uids::CT_IMAGE_STORAGE), Some("CT Image Storage"));
        assert_eq!(uid_name(uids::EXPLICIT_VR_LE), Some("Explicit VR Little Endian"));
        assert!(is_storage(uids::CT_IMAGE_STORAGE) && !is_storage(uids::VERIFICATION));
        assert!(!storage_classes().iter().any(|uid| uid_name(uid).is_none()));
    }

    /// The model names tags in code; each must be the one the dictionary means by that keyword.
    #[test]
    fn every_indexed_tag_is_in_the_dictionary() {
        for level in pacslab_model::Level::ALL {
            for tag in level.attributes() {
                assert!(keyword(*tag).is_some(), "{tag}");
            }
        }
    }
}
