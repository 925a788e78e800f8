//! The PACS proper: ingest, query, retrieve.
