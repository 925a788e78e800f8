//! What a pack record of an instance tells besides the object.

use pacslab_model::{Moment, Uid};
use pacslab_store::{Location, NewInstance, Source};
use serde::{Deserialize, Serialize};

use crate::header::Header;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    #[serde(flatten)]
    pub(crate) header: Header,
    #[serde(rename = "ts")]
    pub(crate) transfer_syntax: Uid,
    pub(crate) digest: [u8; 32],
    #[serde(rename = "at")]
    pub(crate) received_at: Moment,
    #[serde(rename = "from")]
    pub(crate) source: Source,
}

impl Note {
    pub(crate) fn encode(&self) -> Vec<u8> {
        // strings, numbers and lists only: it cannot fail
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// A record's note as an entry of the index.
pub(crate) fn index_entry(note: Note, location: Location) -> NewInstance {
    NewInstance {
        attributes: note.header.attributes,
        patient_id: note.header.patient_id,
        study_uid: note.header.study_uid,
        series_uid: note.header.series_uid,
        sop_instance: note.header.sop_instance,
        sop_class: note.header.sop_class,
        transfer_syntax: note.transfer_syntax,
        size: location.len,
        digest: note.digest,
        location,
        received_at: note.received_at,
        source: note.source,
    }
}
