//! ZIP files of DICOM files, read. PS3.12 Annex V; PKWARE APPNOTE 6.3.3, numbers in brackets.
//!
//! [`Stream`] reads one that is still arriving. [`Directory`] walks the central directory of a file that can be sought in, one member at a
//! time, and [`Member::open`] reads one. Nothing is believed: members that overlap, a whole that
//! would grow out of proportion and a member that is longer than it says are refused. A name from
//! inside is text for people and never becomes a path.

mod stream;

use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};

use flate2::read::DeflateDecoder;

pub use stream::{Part, Stream};

/// What every ZIP file with a member begins with (4.3.7).
pub const MAGIC: &[u8; 4] = b"PK\x03\x04";
const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// Lengths of the fixed parts.
const LOCAL_LENGTH: usize = 30;
const CENTRAL_LENGTH: usize = 46;
const END_LENGTH: usize = 22;
const LOCATOR_LENGTH: u64 = 20;

/// What a ZIP file may grow to, whatever it is: real images become a few times smaller.
const ALWAYS: u64 = 1 << 30;
/// And for each of its bytes: deflation gains a factor of 1,032 at most, on nothing but zeros.
const FOR_EACH: u64 = 200;

#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    #[error("cannot read it: {0}")]
    Io(#[from] io::Error),
    #[error("it is no whole ZIP file: {0}")]
    Broken(String),
    #[error(
        "its {packed} bytes would become {size}: no images are packed that well, so it is refused"
    )]
    Bomb { packed: u64, size: u64 },
    #[error("{0}")]
    Unread(String),
}

fn broken(why: impl Into<String>) -> ZipError {
    ZipError::Broken(why.into())
}

/// The most bytes that may come of so many.
fn allowed(packed: u64) -> u64 {
    allowed_with(ALWAYS, packed)
}

fn allowed_with(always: u64, packed: u64) -> u64 {
    always.saturating_add(packed.saturating_mul(FOR_EACH))
}

/// One file in a ZIP file, as the central directory has it (4.3.12).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// For people only.
    pub name: String,
    /// Bytes when unpacked.
    pub size: u64,
    packed: u64,
    crc: u32,
    method: u16,
    encrypted: bool,
    /// Where its local header begins.
    at: u64,
}

/// The central directory, read as it is walked.
#[derive(Debug)]
pub struct Directory<R> {
    source: BufReader<R>,
    begin: u64,
    /// Bytes in front of what offsets are counted from.
    base: u64,
    members: u64,
    left: u64,
}

impl<R: Read + Seek> Directory<R> {
    /// Finds the directory and walks through it once, so that what is out of proportion is
    /// refused before a byte of it is unpacked.
    ///
    /// # Errors
    /// No ZIP file, a part of one, or one of several; see [`ZipError`].
    pub fn open(mut source: R) -> Result<Self, ZipError> {
        let length = source.seek(SeekFrom::End(0))?;
        let End { members, size, offset, at } = find_end(&mut source, length)?;
        let begin = at.checked_sub(size).ok_or_else(|| broken("its directory is cut off"))?;
        let base = begin.checked_sub(offset).ok_or_else(|| broken("its directory is elsewhere"))?;
        let source = BufReader::with_capacity(64 << 10, source);
        let mut directory = Self { source, begin, base, members, left: members };
        directory.rewind()?;
        let (mut packed, mut size) = (0_u64, 0_u64);
        while let Some(member) = directory.next_member()? {
            packed = packed.saturating_add(member.packed);
            size = size.saturating_add(member.size);
        }
        if packed > length {
            return Err(broken("its members overlap"));
        }
        if size > allowed(length) {
            return Err(ZipError::Bomb { packed: length, size });
        }
        directory.rewind()?;
        Ok(directory)
    }

    fn rewind(&mut self) -> Result<(), ZipError> {
        self.source.seek(SeekFrom::Start(self.begin))?;
        self.left = self.members;
        Ok(())
    }

    /// The next member that is no folder.
    ///
    /// # Errors
    /// The directory is damaged or cannot be read.
    pub fn next_member(&mut self) -> Result<Option<Member>, ZipError> {
        while self.left > 0 {
            self.left -= 1;
            let member = self.entry()?;
            if !member.name.ends_with('/') {
                return Ok(Some(member));
            }
        }
        Ok(None)
    }

    fn entry(&mut self) -> Result<Member, ZipError> {
        let mut fixed = [0; CENTRAL_LENGTH];
        self.source.read_exact(&mut fixed)?;
        if u32_at(&fixed, 0) != CENTRAL {
            return Err(broken("its directory is damaged"));
        }
        let mut name = vec![0; usize::from(u16_at(&fixed, 28))];
        self.source.read_exact(&mut name)?;
        let mut extra = vec![0; usize::from(u16_at(&fixed, 30))];
        self.source.read_exact(&mut extra)?;
        self.source.seek_relative(i64::from(u16_at(&fixed, 32)))?;
        let mut wide = extra_64(&extra);
        let mut number = |at: usize| match u32_at(&fixed, at) {
            u32::MAX => wide.next().ok_or_else(|| broken("a length is missing")),
            narrow => Ok(u64::from(narrow)),
        };
        let (size, packed, offset) = (number(24)?, number(20)?, number(42)?);
        let method = u16_at(&fixed, 10);
        if method == 0 && size != packed {
            return Err(broken("a member has two lengths"));
        }
        Ok(Member {
            name: String::from_utf8_lossy(&name).into_owned(),
            size,
            packed,
            crc: u32_at(&fixed, 16),
            method,
            encrypted: u16_at(&fixed, 8) & 1 != 0,
            at: offset.checked_add(self.base).ok_or_else(|| broken("a member is nowhere"))?,
        })
    }
}

impl Member {
    /// Its bytes, unpacked; `source` is the file it was found in. Reading fails at the end if
    /// length or checksum are not as the directory says.
    ///
    /// # Errors
    /// It is encrypted, packed in another way than deflated, or not where it should be.
    pub fn open<R: Read + Seek>(&self, mut source: R) -> Result<Contents<R>, ZipError> {
        if self.encrypted {
            return Err(ZipError::Unread("it is encrypted; unpack it first".to_owned()));
        }
        source.seek(SeekFrom::Start(self.at))?;
        let mut fixed = [0; LOCAL_LENGTH];
        source.read_exact(&mut fixed)?;
        if u32_at(&fixed, 0) != LOCAL {
            return Err(broken("a member is not where the directory says"));
        }
        let skip = i64::from(u16_at(&fixed, 26)) + i64::from(u16_at(&fixed, 28));
        source.seek(SeekFrom::Current(skip))?;
        let packed = source.take(self.packed);
        let bytes = match self.method {
            0 => Bytes::Stored(packed),
            8 => Bytes::Deflated(Box::new(DeflateDecoder::new(packed))),
            method => {
                return Err(ZipError::Unread(format!(
                    "it is packed by method {method}, and only deflated or stored is read; \
                     unpack it first"
                )));
            }
        };
        Ok(Contents { bytes, left: self.size, crc: self.crc, seen: crc32fast::Hasher::new() })
    }
}

/// The bytes of one member.
pub struct Contents<R> {
    bytes: Bytes<R>,
    left: u64,
    crc: u32,
    seen: crc32fast::Hasher,
}

enum Bytes<R> {
    Stored(Take<R>),
    Deflated(Box<DeflateDecoder<Take<R>>>),
}

impl<R> std::fmt::Debug for Contents<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").field("left", &self.left).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Contents<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let count = match &mut self.bytes {
            Bytes::Stored(bytes) => bytes.read(into)?,
            Bytes::Deflated(bytes) => bytes.read(into)?,
        };
        let damaged = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| damaged("it is longer than the ZIP file says"))?;
        self.seen.update(into.get(..count).unwrap_or_default());
        if count == 0 && self.left > 0 {
            return Err(damaged("it is shorter than the ZIP file says"));
        }
        if count == 0 && self.seen.clone().finalize() != self.crc {
            return Err(damaged("its checksum is not that of the ZIP file: it is damaged"));
        }
        Ok(count)
    }
}

/// Where the directory is (4.3.16, 4.3.14).
struct End {
    members: u64,
    size: u64,
    offset: u64,
    /// Where the directory ends.
    at: u64,
}

fn find_end<R: Read + Seek>(source: &mut R, length: u64) -> Result<End, ZipError> {
    // behind it is a comment of up to 64 KiB
    let from = length.saturating_sub((END_LENGTH + usize::from(u16::MAX)) as u64);
    source.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    source.by_ref().take(length - from).read_to_end(&mut tail)?;
    let at = tail
        .windows(END_LENGTH)
        .rposition(|end| u32_at(end, 0) == END)
        .ok_or_else(|| broken("it has no directory; is it cut off?"))?;
    let end = tail.get(at..).unwrap_or_default();
    if u16_at(end, 4) != 0 && u16_at(end, 4) != u16::MAX {
        return Err(ZipError::Unread("it is a part of several; join them first".to_owned()));
    }
    let at = from + at as u64;
    let narrow = End {
        members: u64::from(u16_at(end, 10)),
        size: u64::from(u32_at(end, 12)),
        offset: u64::from(u32_at(end, 16)),
        at,
    };
    let wide = narrow.members == u64::from(u16::MAX)
        || narrow.size == u64::from(u32::MAX)
        || narrow.offset == u64::from(u32::MAX);
    let Some(locator) = at.checked_sub(LOCATOR_LENGTH).filter(|_| wide) else {
        return Ok(narrow);
    };
    let mut fixed = [0; LOCATOR_LENGTH as usize];
    source.seek(SeekFrom::Start(locator))?;
    source.read_exact(&mut fixed)?;
    if u32_at(&fixed, 0) != LOCATOR_64 {
        return Ok(narrow);
    }
    let at = u64_at(&fixed, 8);
    let mut fixed = [0; 56];
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut fixed)?;
    if u32_at(&fixed, 0) != END_64 {
        return Err(broken("the long form of its directory is not where it says"));
    }
    Ok(End {
        members: u64_at(&fixed, 32),
        size: u64_at(&fixed, 40),
        offset: u64_at(&fixed, 48),
        at,
    })
}

/// The numbers of the ZIP64 field (4.5.3).
fn extra_64(mut extra: &[u8]) -> impl Iterator<Item = u64> + use<> {
    let mut numbers = Vec::new();
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let length = usize::from(u16_at(head, 2)).min(rest.len());
        let (value, rest) = rest.split_at(length);
        if u16_at(head, 0) == 1 {
            numbers = value.chunks_exact(8).map(|number| u64_at(number, 0)).collect();
        }
        extra = rest;
    }
    numbers.into_iter()
}

/// Zero where there are no such bytes: all callers have looked at the length.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |two| u16::from_le_bytes(*two))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..)
        .and_then(|bytes| bytes.first_chunk())
        .map_or(0, |four| u32::from_le_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|bytes| bytes.first_chunk()).map_or(0, |all| u64::from_le_bytes(*all))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use super::*;

    /// A ZIP file of deflated members; `size` of the directory may be a lie.
    pub(super) fn zip(members: &[(&str, &[u8])], lie: Option<u32>) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in members {
            let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), Default::default());
            packed.write_all(bytes).unwrap();
            let packed = packed.finish().unwrap();
            let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
            common.extend(crc32fast::hash(bytes).to_le_bytes());
            common.extend((packed.len() as u32).to_le_bytes());
            common.extend(lie.unwrap_or(bytes.len() as u32).to_le_bytes());
            common.extend((name.len() as u16).to_le_bytes());
            common.extend([0, 0]);
            let at = file.len() as u32;
            file.extend(LOCAL.to_le_bytes());
            file.extend(&common);
            file.extend(name.as_bytes());
            file.extend(packed);
            directory.extend(CENTRAL.to_le_bytes());
            directory.extend([20, 0]);
            directory.extend(common);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let (at, count) = (file.len() as u32, members.len() as u16);
        file.extend(&directory);
        file.extend(END.to_le_bytes());
        file.extend([0; 4]);
        file.extend(count.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend((directory.len() as u32).to_le_bytes());
        file.extend(at.to_le_bytes());
        file.extend([0, 0]);
        file
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
        let mut directory = Directory::open(Cursor::new(bytes))?;
        let mut all = Vec::new();
        while let Some(member) = directory.next_member()? {
            let mut content = Vec::new();
            member.open(Cursor::new(bytes))?.read_to_end(&mut content)?;
            all.push((member.name, content));
        }
        Ok(all)
    }

    #[test]
    fn members_are_read_also_behind_other_bytes() {
        let file = zip(&[("a", b"hello"), ("b/", b""), ("../c", &[7; 9_000])], None);
        let expected = vec![("a".into(), b"hello".to_vec()), ("../c".into(), vec![7; 9_000])];
        assert_eq!(read_all(&file).unwrap(), expected);
        let behind = [b"#!/bin/sh\n".to_vec(), file].concat();
        assert_eq!(read_all(&behind).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_named() {
        let file = zip(&[("a", b"hello hello hello")], None);
        for cut in 0..file.len() {
            assert!(read_all(&file[..cut]).is_err(), "{cut}");
        }
        let mut damaged = file.clone();
        damaged[16] ^= 1; // local checksum: not looked at
        assert!(read_all(&damaged).is_ok());
        let at = damaged.len() - END_LENGTH - 1 - CENTRAL_LENGTH + 16;
        damaged[at] ^= 1;
        assert!(read_all(&damaged).unwrap_err().to_string().contains("checksum"));
    }

    #[test]
    fn bombs_are_refused() {
        let zeros = vec![0; 1 << 20];
        let longer = read_all(&zip(&[("a", &zeros)], Some(1_000))).unwrap_err().to_string();
        assert!(longer.contains("longer"), "{longer}");
        let large = read_all(&zip(&[("a", &zeros)], Some(u32::MAX - 1))).unwrap_err().to_string();
        assert!(large.contains("4294967294"), "{large}");
        // the same bytes again and again
        let one = zip(&[("a", &zeros)], None);
        let begin = one.len() - END_LENGTH - CENTRAL_LENGTH - 1;
        let mut many = one[..begin].to_vec();
        let entry = &one[begin..one.len() - END_LENGTH];
        many.extend(entry.repeat(40));
        let mut end = one[one.len() - END_LENGTH..].to_vec();
        end[8] = 40;
        end[10] = 40;
        end[12..16].copy_from_slice(&(entry.len() as u32 * 40).to_le_bytes());
        many.extend(end);
        let overlap = read_all(&many).unwrap_err().to_string();
        assert!(overlap.contains("overlap"), "{overlap}");
    }
}
