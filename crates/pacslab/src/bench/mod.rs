//! `pacslab bench`: what a PACS does per second, and how long one request takes.
//!
//! From the inside out: [`data`] names things and [`images`] makes them, [`work`] has one file for each workload,
//! [`runner`] lets connections repeat it and keeps the clock, [`stats`] turns times into
//! percentiles, [`plan`] decides what is played in which order, [`report`] tells it.
//!
//! What is measured is another program, so nothing of ours may be in the way: objects are made
//! before the clock starts and only their identifiers are changed in place; connections stay open
//! where a real client's would; times are monotonic and each answer is looked at, because a fast
//! wrong answer is no success.

pub(crate) mod data;
pub(crate) mod images;
pub(crate) mod plan;
pub(crate) mod prepare;
pub(crate) mod report;
pub(crate) mod runner;
pub(crate) mod sink;
pub(crate) mod site;
pub(crate) mod size;
pub(crate) mod stats;
pub(crate) mod web;
pub(crate) mod work;
