//! Errors of the archive as DIMSE statuses: the one place of this door (invariant 7).
//!
//! | error | status | PS3.4 |
//! |---|---|---|
//! | storage is full | 0xA700 out of resources | B.2.3 |
//! | SOP class or instance of command and data set differ | 0xA900 data set does not match | B.2.3 |
//! | no DICOM, or no UIDs to file it by | 0xC000 cannot understand | B.2.3 |
//! | storage fails, shutting down | 0x0110 processing failure | PS3.7 C.5.11 |

use pacslab_archive::{ArchiveError, IngestError};
use pacslab_dimse::{Status, StatusReply};

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
