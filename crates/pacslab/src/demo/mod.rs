//! The demonstration: one order played through the whole department, over its sockets.
//!
//! The player is given a [`Profile`] (addresses, titles, folders) and nothing else, so that it
//! plays against the department in this process, in another one, or on another computer.

mod introduce;
mod order_entry;
mod play;
mod profile;
mod tell;

pub(crate) use introduce::introduce;
pub(crate) use order_entry::{OrderEntry, Reports};
pub(crate) use play::{Told, play};
pub(crate) use profile::{Profile, Told as ProfileFile, read as read_profile};
pub(crate) use tell::{Teller, Tour};
