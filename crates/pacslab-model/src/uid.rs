//! Unique identifiers. PS3.5 9.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A DICOM UID, kept without padding. Values from outside are held as they came
/// (peers do send malformed ones); [`Uid::is_valid`] tells whether PS3.5 9.1 holds.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Uid(String);

impl Uid {
    pub fn new(text: impl Into<String>) -> Self {
        let mut text: String = text.into();
        text.truncate(text.trim_end_matches(['\0', ' ']).len());
        Self(text)
    }

    /// `2.25.` and the decimal of 128 bits of a SHA-256 over `parts` (PS3.5 B.2):
    /// the same parts give the same UID on every platform.
    pub fn from_parts(parts: &[&str]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        let digest = hash.finalize();
        let mut number = [0u8; 16];
        number.copy_from_slice(&digest[..16]);
        Self(format!("2.25.{}", u128::from_be_bytes(number).max(1)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// PS3.5 9.1: at most 64 characters, digits and dots, no empty component, no leading zero.
    pub fn is_valid(&self) -> bool {
        !self.0.is_empty()
            && self.0.len() <= 64
            && self.0.split('.').all(|part| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_digit())
                    && (part.len() == 1 || !part.starts_with('0'))
            })
    }
}

impl From<&str> for Uid {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl AsRef<str> for Uid {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Uid {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UIDs that the lab names in code. The names of all others are in `pacslab-dicom`.
pub mod uids {
    pub const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";
    pub const IMPLICIT_VR_LE: &str = "1.2.840.10008.1.2";
    pub const EXPLICIT_VR_LE: &str = "1.2.840.10008.1.2.1";
    pub const DEFLATED_EXPLICIT_VR_LE: &str = "1.2.840.10008.1.2.1.99";
    pub const EXPLICIT_VR_BE: &str = "1.2.840.10008.1.2.2";
    pub const VERIFICATION: &str = "1.2.840.10008.1.1";
    pub const CT_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
    pub const PATIENT_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.1.1";
    pub const PATIENT_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.1.2";
    pub const PATIENT_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.1.3";
    pub const STUDY_ROOT_FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";
    pub const STUDY_ROOT_MOVE: &str = "1.2.840.10008.5.1.4.1.2.2.2";
    pub const STUDY_ROOT_GET: &str = "1.2.840.10008.5.1.4.1.2.2.3";
    pub const MODALITY_WORKLIST_FIND: &str = "1.2.840.10008.5.1.4.31";
    pub const MPPS: &str = "1.2.840.10008.3.1.2.3.3";
    pub const MPPS_RETRIEVE: &str = "1.2.840.10008.3.1.2.3.4";
    pub const STORAGE_COMMITMENT_PUSH: &str = "1.2.840.10008.1.20.1";
    /// The one instance of it.
    pub const STORAGE_COMMITMENT_INSTANCE: &str = "1.2.840.10008.1.20.1.1";
    pub const INSTANCE_AVAILABILITY: &str = "1.2.840.10008.5.1.4.33";
    /// The media storage SOP class in the meta header of a `.wl` file: no class of the standard
    /// fits, and this private one of DCMTK is what worklist tools write.
    pub const WORKLIST_FILE: &str = "1.2.276.0.7230010.3.1.0.1";
    /// Ours, derived once by `Uid::from_parts(["pacslab", "implementation"])`.
    pub const IMPLEMENTATION_CLASS: &str = "2.25.65141613089210034052532340463291065553";
    pub const IMPLEMENTATION_VERSION: &str = concat!("PACSLAB_", env!("CARGO_PKG_VERSION"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_implementation_class_is_the_one_it_says() {
        assert_eq!(
            Uid::from_parts(&["pacslab", "implementation"]).as_str(),
            uids::IMPLEMENTATION_CLASS
        );
        assert!(uids::IMPLEMENTATION_VERSION.len() <= 16);
    }

    #[test]
    fn made_uids_are_valid_and_stable() {
        let uid = Uid::from_parts(&["study", "1"]);
        assert!(uid.is_valid(), "{uid}");
        assert_eq!(uid, Uid::from_parts(&["study", "1"]));
        assert_ne!(uid, Uid::from_parts(&["stud", "y1"]));
    }

    #[test]
    fn validity_follows_the_standard() {
        assert!(Uid::new("1.2.840\0").is_valid());
        for bad in ["", "1..2", "1.02", "1.2a", &"1.".repeat(40)] {
            assert!(!Uid::new(bad).is_valid(), "{bad}");
        }
    }
}
