//! What `pacslab import` works with: objects in folders, files, ZIP files and DICOMDIRs
//! ([`search`]), and where they go ([`door`]).

pub(crate) mod dicomdir;
pub(crate) mod door;
pub(crate) mod search;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{self, Poll};

use pacslab_dicom::zip::Member;
use pacslab_dicom::{FileMeta, ParseError, file};
use tokio::io::ReadBuf;

use crate::outbox::Item;

/// The meta information of nearly every file is shorter.
const HEAD: u64 = 4 * 1024;
/// And of all of them.
const LONG_HEAD: u64 = 64 * 1024;

/// An object that can be imported.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The path; for a member of a ZIP file, its name behind it.
    pub(crate) name: String,
    pub(crate) meta: FileMeta,
    /// Where its data set begins.
    pub(crate) start: u64,
    /// How long all of it is.
    pub(crate) length: u64,
    place: Place,
}

/// Where the bytes are.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    File(PathBuf),
    Member { zip: PathBuf, member: Member },
}

impl Place {
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::File(path) => Ok(Box::new(File::open(path)?)),
            Self::Member { zip, member } => {
                Ok(Box::new(member.open(File::open(zip)?).map_err(io::Error::other)?))
            }
        }
    }

    /// All of it.
    pub(crate) async fn read(&self) -> io::Result<Vec<u8>> {
        let place = self.clone();
        elsewhere(move || {
            let mut bytes = Vec::new();
            place.open()?.read_to_end(&mut bytes)?;
            Ok(bytes)
        })
        .await
    }

    /// What is behind `start`, as it is asked for.
    pub(crate) async fn from(&self, start: u64) -> io::Result<Blocking> {
        let place = self.clone();
        elsewhere(move || {
            let mut source = place.open()?;
            io::copy(&mut source.by_ref().take(start), &mut io::sink())?;
            Ok(Blocking(source))
        })
        .await
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Member { zip, member } => format!("{}: {}", zip.display(), member.name),
        }
    }
}

impl Found {
    /// Looks at the beginning of it.
    ///
    /// # Errors
    /// It cannot be read, or the inner value: it is no DICOM.
    pub(crate) fn look(place: Place, length: u64) -> io::Result<Result<Self, ParseError>> {
        let mut source = place.open()?;
        let mut head = Vec::new();
        source.by_ref().take(HEAD).read_to_end(&mut head)?;
        let mut read = file::read_meta(&head);
        if read.is_err() && head.len() as u64 == HEAD {
            source.take(LONG_HEAD - HEAD).read_to_end(&mut head)?;
            read = file::read_meta(&head);
        }
        let name = place.name();
        Ok(read.map(|(meta, start)| Self { name, meta, start: start as u64, length, place }))
    }

    /// The same for who sends it.
    pub(crate) fn item(self) -> Item {
        let Self { meta, start, length, place, .. } = self;
        Item { place, meta, start, length: length.saturating_sub(start) }
    }

    /// The file it is, or the ZIP file it is in, and its bytes from the beginning.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        self.place.open()
    }
}

/// A source that blocks, for who reads as tokio does; other tasks go on meanwhile.
pub(crate) struct Blocking(Box<dyn Read + Send>);

impl tokio::io::AsyncRead for Blocking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut task::Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = tokio::task::block_in_place(|| self.0.read(into.initialize_unfilled()));
        Poll::Ready(read.map(|count| into.advance(count)))
    }
}

/// Bytes that are read where waiting for a disk is allowed.
pub(crate) struct Pieces(Option<Box<dyn Read + Send>>);

impl Pieces {
    pub(crate) async fn of(found: &Found) -> io::Result<Self> {
        let found = found.clone();
        Ok(Self(Some(elsewhere(move || found.open()).await?)))
    }

    /// The next piece, of 1 MiB if there is so much; empty: the end.
    pub(crate) async fn next(&mut self) -> io::Result<Vec<u8>> {
        let Some(mut source) = self.0.take() else { return Ok(Vec::new()) };
        let (source, piece) = elsewhere(move || {
            let mut piece = Vec::new();
            source.by_ref().take(1 << 20).read_to_end(&mut piece)?;
            Ok((source, piece))
        })
        .await?;
        self.0 = Some(source);
        Ok(piece)
    }
}

async fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Whether a file begins as ZIP files do.
pub(crate) fn is_zip(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(0))?;
    file.take(4).read_to_end(&mut magic)?;
    // the second one: a ZIP file without members
    Ok(magic == pacslab_dicom::zip::MAGIC || magic == b"PK\x05\x06")
}
