//! The workloads, one file each; and what their connections share.

pub(crate) mod echo;
pub(crate) mod find;
pub(crate) mod get;
pub(crate) mod move_;
pub(crate) mod order;
pub(crate) mod qido;
pub(crate) mod store;
pub(crate) mod stow;
pub(crate) mod wado;
pub(crate) mod workflow;
pub(crate) mod worklist;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pacslab_dicom::Dataset;
use pacslab_dimse::{Association, StatusReply};

use super::data::Naming;
use super::runner::Fault;
use super::site::Site;
use super::size::Size;

/// A site in this run: what it has got so far.
#[derive(Debug)]
pub(crate) struct At {
    pub(crate) site: Site,
    pub(crate) naming: Naming,
    studies: AtomicU64,
    turn: AtomicU64,
    pub(crate) written: Written,
}

/// What the site said it has taken.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) objects: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) orders: AtomicU64,
}

impl At {
    pub(crate) fn new(site: Site, naming: Naming) -> Arc<Self> {
        let studies = AtomicU64::new(site.first_study());
        Arc::new(Self {
            site,
            naming,
            studies,
            turn: AtomicU64::new(0),
            written: Written::default(),
        })
    }

    /// The number of a study that nobody has had.
    pub(crate) fn next_study(&self) -> u64 {
        self.studies.fetch_add(1, Ordering::Relaxed)
    }

    /// Goes through `all`, far from one to the next, so that neighbours in time are none in the
    /// index.
    pub(crate) fn next_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let length = all.len() as u64;
        let at = turn.checked_mul(stride(length))?.checked_rem(length)?;
        all.get(at as usize)
    }

    pub(crate) fn wrote(&self, objects: u64, bytes: u64) {
        if self.site.is_sink {
            return;
        }
        self.written.objects.fetch_add(objects, Ordering::Relaxed);
        self.written.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// About the golden section of a length, and without a common factor with it: repeated, it comes
/// by everything.
fn stride(length: u64) -> u64 {
    let near = (length * 618 / 1000).max(1);
    (near..).find(|step| gcd(*step, length) == 1).unwrap_or(1)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A study that the PACS has got before the clock started.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) study: u64,
    pub(crate) images: u64,
    /// Of all its data sets.
    pub(crate) bytes: u64,
    /// Of the smallest pixel data among its images.
    pub(crate) pixels: usize,
}

/// Everything that was put there to be asked for.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// One image each.
    pub(crate) small: Vec<Known>,
    /// Their names, sorted, and their days, sorted.
    pub(crate) names: Vec<String>,
    pub(crate) days: Vec<u64>,
    /// To be fetched.
    pub(crate) sets: Vec<(Size, Vec<Known>)>,
    /// Accession numbers of orders that nobody performs.
    pub(crate) orders: Vec<u64>,
}

impl Prepared {
    pub(crate) fn set(&self, size: Size) -> &[Known] {
        let found = self.sets.iter().find(|(known, _)| *known == size);
        found.map(|(_, studies)| studies.as_slice()).unwrap_or_default()
    }
}

/// The matches of a C-FIND, all of them.
async fn matches(
    association: &mut Association,
    model: &str,
    identifier: &Dataset,
) -> Result<Vec<Dataset>, Fault> {
    let (found, reply) = association.find_all(model, identifier, usize::MAX).await?;
    succeeded("C-FIND", &reply)?;
    Ok(found)
}

fn succeeded(what: &str, reply: &StatusReply) -> Result<(), Fault> {
    match reply.status.is_done() {
        true => Ok(()),
        false => Err(Fault::status(what, reply)),
    }
}

/// A good answer has at least what we have put there, and for a key that is unique no more.
fn expect(found: usize, least: usize, most: usize) -> Result<(), Fault> {
    if (least..=most).contains(&found) {
        return Ok(());
    }
    let kind = if found < least { "matches are missing" } else { "too many matches" };
    Err(Fault::wrong(kind).detail(format!("{kind}: {found} came, {least} are expected")))
}

async fn release(association: Association) {
    // the work is done; how the peer takes the release is of no use to anybody
    let _ = association.release().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_come_by_before_anything_again() {
        for length in [1, 2, 3, 10, 50, 200, 997] {
            let step = stride(length);
            let seen: std::collections::HashSet<u64> =
                (0..length).map(|turn| turn * step % length).collect();
            assert_eq!(seen.len() as u64, length, "{step}");
        }
    }

    #[test]
    fn answers_are_counted() {
        assert!(expect(1, 1, 1).is_ok());
        assert_eq!(expect(0, 1, 1).unwrap_err().kind, "matches are missing");
        assert_eq!(expect(2, 1, 1).unwrap_err().kind, "too many matches");
    }
}
