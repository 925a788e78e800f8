//! ZIP files that are written while they are sent (PKWARE's APPNOTE 6.3.9). Members are stored: what
//! is in them is known before its header is written, so that nothing has to be changed afterwards.

use std::io::{self, Read, Seek, SeekFrom, Write};

use bytes::Bytes;

/// Holds the directory only; the members are gone when it is asked for its end.
#[derive(Debug)]
pub struct Zip {
    /// What was handed out so far.
    offset: u64,
    directory: Vec<u8>,
    members: u64,
    /// Day and time of all members, as MS-DOS writes them.
    stamp: u32,
}

const LOCAL: u32 = 0x0403_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
const END_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
/// ZIP64, for what does not fit in 32 bits (4.5.3).
const EXTRA_64: u16 = 1;
/// Names are UTF-8 (4.4.4).
const UTF_8: u16 = 1 << 11;
const VERSION: u16 = 45;
const MANY: u64 = u32::MAX as u64;

impl Zip {
    /// `year`, `month`, `day`, `hour`, `minute`, `second`.
    pub fn new(at: [u16; 6]) -> Self {
        let [year, month, day, hour, minute, second] = at.map(u32::from);
        let date = (year.saturating_sub(1980).min(127) << 9) | (month << 5) | day;
        let time = (hour << 11) | (minute << 5) | (second / 2);
        Self { offset: 0, directory: Vec::new(), members: 0, stamp: date << 16 | time }
    }

    /// What goes before the bytes of a member, of which CRC-32 and length are known.
    pub(crate) fn member(&mut self, name: &str, crc: u32, size: u64) -> Bytes {
        let offset = self.offset;
        let mut header = Vec::with_capacity(64 + name.len());
        header.extend(LOCAL.to_le_bytes());
        self.common(&mut header, crc, size);
        let mut extra = Vec::new();
        if size >= MANY {
            put_extra(&mut extra, &[size, size]);
        }
        header.extend((name.len() as u16).to_le_bytes());
        header.extend((extra.len() as u16).to_le_bytes());
        header.extend(name.as_bytes());
        header.extend(extra);

        self.directory.extend(CENTRAL.to_le_bytes());
        self.directory.extend(VERSION.to_le_bytes());
        let mut entry = Vec::new();
        self.common(&mut entry, crc, size);
        let mut wide = Vec::new();
        if size >= MANY {
            wide.extend([size, size]);
        }
        if offset >= MANY {
            wide.push(offset);
        }
        let mut extra = Vec::new();
        if !wide.is_empty() {
            put_extra(&mut extra, &wide);
        }
        entry.extend((name.len() as u16).to_le_bytes());
        entry.extend((extra.len() as u16).to_le_bytes());
        // no comment, first disk, no attributes
        entry.extend([0; 10]);
        entry.extend(narrow(offset).to_le_bytes());
        entry.extend(name.as_bytes());
        entry.extend(extra);
        self.directory.extend(entry);
        self.members += 1;
        self.offset += header.len() as u64 + size;
        header.into()
    }

    /// Writes a file as a member. It is read twice, because its checksum goes before it.
    ///
    /// # Errors
    /// Those of reading and writing, and that the file changed in between.
    pub fn file(
        &mut self,
        name: &str,
        source: &mut (impl Read + Seek),
        into: &mut impl Write,
    ) -> io::Result<u64> {
        let mut chunk = vec![0; 1 << 20];
        let mut pass = |each: &mut dyn FnMut(&[u8]) -> io::Result<()>| {
            source.seek(SeekFrom::Start(0))?;
            let (mut crc, mut size) = (crc32fast::Hasher::new(), 0);
            loop {
                let read = source.read(&mut chunk)?;
                if read == 0 {
                    return Ok::<_, io::Error>((crc.finalize(), size));
                }
                crc.update(&chunk[..read]);
                size += read as u64;
                each(&chunk[..read])?;
            }
        };
        let (crc, size) = pass(&mut |_| Ok(()))?;
        into.write_all(&self.member(name, crc, size))?;
        match pass(&mut |bytes| into.write_all(bytes))? == (crc, size) {
            true => Ok(size),
            false => Err(io::Error::other("the file was changed while it was read")),
        }
    }

    /// Versions, method, time, CRC and sizes: alike in both headers.
    fn common(&self, into: &mut Vec<u8>, crc: u32, size: u64) {
        into.extend(VERSION.to_le_bytes());
        into.extend(UTF_8.to_le_bytes());
        // stored
        into.extend([0; 2]);
        into.extend(self.stamp.to_le_bytes());
        into.extend(crc.to_le_bytes());
        into.extend(narrow(size).to_le_bytes());
        into.extend(narrow(size).to_le_bytes());
    }

    /// What goes behind the last member.
    pub fn end(self) -> Bytes {
        let (begin, size, members) = (self.offset, self.directory.len() as u64, self.members);
        let mut end = self.directory;
        if begin >= MANY || size >= MANY || members >= u64::from(u16::MAX) {
            end.extend(END_64.to_le_bytes());
            end.extend(44_u64.to_le_bytes());
            end.extend(VERSION.to_le_bytes());
            end.extend(VERSION.to_le_bytes());
            end.extend([0; 8]);
            for number in [members, members, size, begin] {
                end.extend(number.to_le_bytes());
            }
            end.extend(LOCATOR_64.to_le_bytes());
            end.extend([0; 4]);
            end.extend((begin + size).to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        end.extend(END.to_le_bytes());
        end.extend([0; 4]);
        let count = members.min(u64::from(u16::MAX)) as u16;
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(narrow(size).to_le_bytes());
        end.extend(narrow(begin).to_le_bytes());
        end.extend([0; 2]);
        end.into()
    }
}

fn put_extra(into: &mut Vec<u8>, numbers: &[u64]) {
    into.extend(EXTRA_64.to_le_bytes());
    into.extend((numbers.len() as u16 * 8).to_le_bytes());
    for number in numbers {
        into.extend(number.to_le_bytes());
    }
}

/// What stands where a number does not fit: the extra field has it.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that `zip -0 -X` writes for one member, but for the version and the UTF-8 flag.
    #[test]
    fn one_member_and_the_end() {
        let mut zip = Zip::new([2026, 1, 5, 8, 0, 0]);
        let mut file = zip.member("a.txt", crc32fast::hash(b"hello"), 5).to_vec();
        file.extend(b"hello");
        let begin = file.len();
        file.extend(zip.end());
        assert_eq!(&file[..4], b"PK\x03\x04");
        assert_eq!(&file[14..18], &0x3610_A686_u32.to_le_bytes());
        assert_eq!(&file[30..40], b"a.txthello");
        assert_eq!(&file[begin..begin + 4], b"PK\x01\x02");
        let end = &file[file.len() - 22..];
        assert_eq!(&end[..4], b"PK\x05\x06");
        assert_eq!(&end[16..20], &(begin as u32).to_le_bytes());
    }
}
