//! Why a report of a scanner is refused, for the person who sent it: within 64 characters, as far
//! as that goes, because that is what an Error Comment holds.

use pacslab_dicom::dict;
use pacslab_model::{Tag, Uid, tags};
use pacslab_store::StoreError;

use super::machine::PerformedStatus;
use super::table::{Broken, Place};
use crate::orders::RefusedOrder;

#[derive(Debug, thiserror::Error)]
pub enum RefusedReport {
    #[error("{0} is missing")]
    Missing(Place),

    #[error("{0} has no value")]
    Empty(Place),

    #[error("{} may not be changed", dict::name(*.0))]
    Fixed(Tag),

    #[error("{} was not created", dict::name(*.0))]
    NotCreated(Tag),

    /// An attribute with a value that it may not have here.
    #[error("status '{value}'; allowed: {wanted}")]
    Value { tag: Tag, value: String, wanted: &'static str },

    #[error("a performed procedure step has this UID already")]
    Duplicate(Uid),

    #[error("no performed procedure step has this UID")]
    Unknown(Uid),

    #[error("'{0}' is no valid UID")]
    Uid(Uid),

    #[error("it is {} and may no longer be updated", .1.as_str())]
    Ended(Uid, PerformedStatus),

    #[error(transparent)]
    Order(#[from] RefusedOrder),

    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RefusedReport {
    pub(super) fn status(value: &str, wanted: &'static str) -> Self {
        let value = value.to_owned();
        Self::Value { tag: tags::PERFORMED_PROCEDURE_STEP_STATUS, value, wanted }
    }

    /// The attribute that it is about.
    pub fn tag(&self) -> Option<Tag> {
        match self {
            Self::Missing(place) | Self::Empty(place) => Some(place.tag),
            Self::Fixed(tag) | Self::NotCreated(tag) | Self::Value { tag, .. } => Some(*tag),
            _ => None,
        }
    }
}

impl From<Broken> for RefusedReport {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Missing(place) => Self::Missing(place),
            Broken::Empty(place) => Self::Empty(place),
            Broken::Fixed(tag) => Self::Fixed(tag),
            Broken::NotCreated(tag) => Self::NotCreated(tag),
        }
    }
}
