//! The wire half of the DICOM network: PDUs, associations, DIMSE messages, services.
