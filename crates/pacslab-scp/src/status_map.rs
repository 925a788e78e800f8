//! Errors of the archive as DIMSE statuses: the one place of this door (invariant 7).
//!
//! | error | status | PS3.4 |
//! |---|---|---|
//! | storage is full | 0xA700 out of resources | B.2.3 |
//! | SOP class or instance of command and data set differ | 0xA900 data set does not match | B.2.3 |
//! | no DICOM, or no UIDs to file it by | 0xC000 cannot understand | B.2.3 |
//! | too many requests for commitment wait | 0x0213 resource limitation | PS3.7 C.5.16 |
//! | storage fails, shutting down | 0x0110 processing failure | PS3.7 C.5.11 |
//!
//! And those of performed procedure steps, PS3.4 F.7.2, PS3.7 C.5:
//!
//! | error | status |
//! |---|---|
//! | an attribute is missing, or has no value | 0x0120, 0x0121 |
//! | an attribute may not be changed, or was not created | 0x0105 |
//! | another status than allowed | 0x0106 invalid attribute value |
//! | the UID is known already, is unknown, is no UID | 0x0111, 0x0112, 0x0117 |
//! | the step has ended | 0x0110 with Error ID 0xA710 |

use pacslab_archive::{ArchiveError, IngestError, NotKept};
use pacslab_dimse::{Status, StatusReply};
use pacslab_ris::RefusedReport;

/// The answer to a C-STORE that failed.
pub(crate) fn ingest(error: &IngestError) -> StatusReply {
    let status = match error {
        IngestError::Full(_) => Status::OUT_OF_RESOURCES,
        IngestError::Mismatch { tag, .. } => {
            return StatusReply::new(Status::DATA_SET_MISMATCH, error.to_string()).offending(*tag);
        }
        IngestError::NotDicom(_) | IngestError::Header(_) => Status::CANNOT_UNDERSTAND,
        IngestError::Store(_) | IngestError::Closed => Status::PROCESSING_FAILURE,
    };
    StatusReply::new(status, error.to_string())
}

/// The answer to a query or retrieval that failed in the archive.
pub(crate) fn archive(error: &ArchiveError) -> StatusReply {
    StatusReply::new(Status::PROCESSING_FAILURE, error.to_string())
}

/// PS3.4 F.7.2.2.4: the step may no longer be updated.
const NO_LONGER_UPDATED: u16 = 0xA710;

/// The answer to a report of a scanner that is refused.
pub(crate) fn report(refused: &RefusedReport) -> StatusReply {
    let status = match refused {
        RefusedReport::Missing(_) => Status::MISSING_ATTRIBUTE,
        RefusedReport::Empty(_) => Status::MISSING_ATTRIBUTE_VALUE,
        RefusedReport::Fixed(_) | RefusedReport::NotCreated(_) => Status::NO_SUCH_ATTRIBUTE,
        RefusedReport::Value { .. } => Status::INVALID_ATTRIBUTE_VALUE,
        RefusedReport::Duplicate(_) => Status::DUPLICATE_INSTANCE,
        RefusedReport::Unknown(_) => Status::NO_SUCH_INSTANCE,
        RefusedReport::Uid(_) => Status::INVALID_INSTANCE,
        RefusedReport::Ended(..) | RefusedReport::Order(_) | RefusedReport::Store(_) => {
            Status::PROCESSING_FAILURE
        }
    };
    let mut reply = StatusReply::new(status, refused.to_string());
    if let RefusedReport::Ended(..) = refused {
        reply = reply.error_id(NO_LONGER_UPDATED);
    }
    match refused.tag() {
        Some(tag) => reply.attribute(tag),
        None => reply,
    }
}

/// The answer to a request for commitment that was not kept.
pub(crate) fn commitment(error: &NotKept) -> StatusReply {
    let status = match error {
        NotKept::TooMany => Status::RESOURCE_LIMITATION,
        NotKept::Store(_) => Status::PROCESSING_FAILURE,
    };
    StatusReply::new(status, error.to_string())
}
