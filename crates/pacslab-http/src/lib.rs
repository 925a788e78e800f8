//! The HTTP doors: web page, Orthanc's routes, DICOMweb, FHIR.
