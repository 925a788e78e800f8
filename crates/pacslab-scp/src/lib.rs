//! The embedded PACS's DIMSE door: the service table and the services behind it.
