//! FHIR R4 resources of imaging, made from orders and studies.
