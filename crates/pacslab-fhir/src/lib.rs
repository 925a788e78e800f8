//! FHIR R4 resources of imaging, made from orders and studies.
//!
//! Only what the lab says is modelled: a resource here has the elements that are filled, not all
//! that R4 knows. [`export`] holds the map from DICOM and orders; [`resource`] the shapes.

pub mod export;
mod parts;
pub mod resource;
mod terms;

pub use export::{
    AttachmentForExport, InstanceForExport, Links, ReportForExport, ReportState, SeriesForExport,
    Site, StudyForExport,
};
pub use resource::{Bundle, OperationOutcome, Resource};
