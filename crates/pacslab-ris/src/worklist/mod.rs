//! The modality worklist: a folder of `.wl` files, indexed in memory. PS3.4 K.

mod answer;
pub mod file;
mod folder;
mod index;
mod item;
mod load;
mod scan;
mod watch;

pub use answer::answer;
pub use folder::{Unreadable, Worklist, WorklistError, WorklistSettings};
pub use item::{Item, WorklistEntry, dataset};
pub(crate) use load::digest;
pub use watch::Poll;

/// What the folder makes of a file with these bytes: for `pacslab-fuzz`.
///
/// # Errors
/// Why it is no worklist file, in words.
#[doc(hidden)]
pub fn items(bytes: &[u8], limit: usize) -> Result<Vec<Item>, String> {
    let (_, dataset) = load::parse(bytes, limit)?;
    Ok(Item::of_file(&"fuzz.wl".into(), dataset))
}
