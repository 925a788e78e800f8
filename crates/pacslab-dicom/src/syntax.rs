//! Transfer syntaxes. PS3.5 10, A.

use pacslab_model::{Uid, uids};

/// How a data set is encoded. Encapsulated pixel data always travels in Explicit VR Little
/// Endian (PS3.5 A.4), so that every syntax not named here is read as such.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum TransferSyntax {
    ImplicitLe,
    ExplicitLe,
    ExplicitBe,
    DeflatedLe,
    Encapsulated(Uid),
}

impl TransferSyntax {
    pub fn from_uid(uid: &str) -> Self {
        match uid.trim_end_matches(['\0', ' ']) {
            uids::IMPLICIT_VR_LE => Self::ImplicitLe,
            uids::EXPLICIT_VR_LE => Self::ExplicitLe,
            uids::EXPLICIT_VR_BE => Self::ExplicitBe,
            uids::DEFLATED_EXPLICIT_VR_LE => Self::DeflatedLe,
            other => Self::Encapsulated(Uid::new(other)),
        }
    }

    pub fn uid(&self) -> &str {
        match self {
            Self::ImplicitLe => uids::IMPLICIT_VR_LE,
            Self::ExplicitLe => uids::EXPLICIT_VR_LE,
            Self::ExplicitBe => uids::EXPLICIT_VR_BE,
            Self::DeflatedLe => uids::DEFLATED_EXPLICIT_VR_LE,
            Self::Encapsulated(uid) => uid.as_str(),
        }
    }

    pub const fn is_explicit(&self) -> bool {
        !matches!(self, Self::ImplicitLe)
    }

    pub const fn is_big_endian(&self) -> bool {
        matches!(self, Self::ExplicitBe)
    }

    pub const fn is_encapsulated(&self) -> bool {
        matches!(self, Self::Encapsulated(_))
    }
}

/// Names of the transfer syntaxes in use. PS3.6 A.1.
pub(crate) const NAMES: &[(&str, &str)] = &[
    ("1.2.840.10008.1.2", "Implicit VR Little Endian"),
    ("1.2.840.10008.1.2.1", "Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
    ("1.2.840.10008.1.2.2", "Explicit VR Big Endian"),
    ("1.2.840.10008.1.2.4.50", "JPEG Baseline (Process 1)"),
    ("1.2.840.10008.1.2.4.51", "JPEG Extended (Process 2 & 4)"),
    ("1.2.840.10008.1.2.4.57", "JPEG Lossless (Process 14)"),
    ("1.2.840.10008.1.2.4.70", "JPEG Lossless SV1"),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS Near-Lossless"),
    ("1.2.840.10008.1.2.4.90", "JPEG 2000 Lossless"),
    ("1.2.840.10008.1.2.4.91", "JPEG 2000"),
    ("1.2.840.10008.1.2.4.100", "MPEG2 Main Profile"),
    ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile"),
    ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.4.201", "HTJ2K Lossless"),
    ("1.2.840.10008.1.2.4.202", "HTJ2K Lossless RPCL"),
    ("1.2.840.10008.1.2.4.203", "HTJ2K"),
    ("1.2.840.10008.1.2.5", "RLE Lossless"),
];
