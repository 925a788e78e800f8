//! The kinds of events of this crate.

/// A `.wl` file cannot be read.
pub const WORKLIST_UNREADABLE: &str = "worklist.unreadable";
/// The worklist folder was (re)read, is gone, is full, or is polled.
pub const WORKLIST_FOLDER: &str = "worklist.folder";
/// A `.wl` file of ours was written.
pub const WORKLIST_WRITTEN: &str = "worklist.written";
/// A `.wl` file of ours was removed.
pub const WORKLIST_REMOVED: &str = "worklist.removed";
/// An order was created, changed, ended or refused.
pub const ORDER: &str = "ris.order";
/// A patient was registered, changed, merged, came or left.
pub const PATIENT: &str = "ris.patient";
/// A scanner reported on a performed procedure step.
pub const PERFORMED: &str = "ris.performed";
/// A report came, or was signed.
pub const REPORT: &str = "ris.report";
/// An object of a report was taken by the PACS, or was not.
pub const REPORT_SENT: &str = "ris.report.sent";
/// A step has ended with objects that have not come.
pub const MISSING: &str = "ris.missing";
/// The first images of an order came.
pub const IMAGES: &str = "ris.images";
/// Images or a scanner's report came that fit no order, or the order of another patient.
pub const UNMATCHED: &str = "ris.unmatched";
/// An HL7 message was received and answered.
pub const HL7_IN: &str = "hl7.in";
/// An HL7 message was sent and answered.
pub const HL7_OUT: &str = "hl7.out";
/// A connection to the HL7 door was refused or ended otherwise than expected.
pub const HL7_CONNECTION: &str = "hl7.connection";
