//! The HTTP doors as a client sees them: requests into `app`, and over a socket where the
//! listener matters.

mod dicomweb;
mod listener;
mod orthanc;
mod page;
mod support;
