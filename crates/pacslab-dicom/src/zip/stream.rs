//! A ZIP file that arrives in pieces and is never there as a whole: its members one after the
//! other, by their local headers (4.3.7). The directory at its end is not looked at.

use flate2::{Decompress, FlushDecompress, Status};

use super::{
    CENTRAL, END, END_64, LOCAL, LOCAL_LENGTH, ZipError, allowed_with, broken, extra_64, u16_at,
    u32_at, u64_at,
};

/// Archive extra data (4.3.11): of encrypted directories.
const EXTRA_DATA: u32 = 0x0806_4b50;
/// What a data descriptor may begin with (4.3.9.3).
const DESCRIPTOR: u32 = 0x0807_4b50;
/// The longest descriptor. More than that always follows: the directory.
const DESCRIPTOR_LENGTH: usize = 24;
/// Bytes handed out at a time.
const CHUNK: usize = 64 << 10;

/// Takes a ZIP file in pieces ([`Stream::push`]) and gives its members ([`Stream::next_part`]).
#[derive(Debug)]
pub struct Stream {
    held: Vec<u8>,
    /// Of `held`, what is done with.
    done: usize,
    at: At,
    /// What it may become, whatever comes.
    always: u64,
    came: u64,
    made: u64,
}

/// What comes next out of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// A member begins. Its name is for people only; that of a folder ends with `/`.
    Begin(String),
    Data(Vec<u8>),
    /// The member was whole.
    End,
}

#[derive(Debug)]
enum At {
    Header,
    Body(Box<Body>),
    Descriptor(Box<Body>),
    /// The directory, and what else there is.
    End,
}

#[derive(Debug)]
struct Body {
    /// `None`: stored.
    inflate: Option<Decompress>,
    ended: bool,
    /// As the header says; a descriptor may say it later.
    expected: Option<Expected>,
    packed: u64,
    size: u64,
    crc: crc32fast::Hasher,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Expected {
    crc: u32,
    packed: u64,
    size: u64,
}

impl Stream {
    /// `always`: what a small one may become.
    pub fn new(always: u64) -> Self {
        Self { held: Vec::new(), done: 0, at: At::Header, always, came: 0, made: 0 }
    }

    /// The next bytes. Call [`Stream::next_part`] until there is nothing before the next ones.
    pub fn push(&mut self, bytes: &[u8]) {
        self.came += bytes.len() as u64;
        if matches!(self.at, At::End) {
            return;
        }
        self.held.drain(..self.done);
        self.done = 0;
        self.held.extend_from_slice(bytes);
    }

    /// What can be said of the bytes that came; `None`: more are needed.
    ///
    /// # Errors
    /// Not to be read, damaged, or grown out of proportion; see [`ZipError`].
    pub fn next_part(&mut self) -> Result<Option<Part>, ZipError> {
        loop {
            match std::mem::replace(&mut self.at, At::End) {
                At::End => return Ok(None),
                At::Header => return self.header(),
                At::Body(mut body) => {
                    let part = self.body(&mut body)?;
                    let starved = part.is_none();
                    self.at = match body.ended {
                        true => At::Descriptor(body),
                        false => At::Body(body),
                    };
                    if part.is_some() || starved && matches!(self.at, At::Body(_)) {
                        return Ok(part);
                    }
                }
                At::Descriptor(body) => return self.descriptor(body),
            }
        }
    }

    /// After the last bytes.
    ///
    /// # Errors
    /// Something is missing.
    pub fn finish(&self) -> Result<(), ZipError> {
        match self.at {
            At::End => Ok(()),
            _ => Err(broken("it is cut off")),
        }
    }

    fn rest(&self) -> &[u8] {
        self.held.get(self.done..).unwrap_or_default()
    }

    fn header(&mut self) -> Result<Option<Part>, ZipError> {
        let rest = self.rest();
        if rest.len() >= 4 {
            match u32_at(rest, 0) {
                LOCAL => {}
                CENTRAL | END | END_64 | EXTRA_DATA => {
                    self.held = Vec::new();
                    self.done = 0;
                    return Ok(None);
                }
                _ => return Err(broken("a member does not begin where the one before it ends")),
            }
        }
        let name = usize::from(u16_at(rest, 26));
        let length = LOCAL_LENGTH + name + usize::from(u16_at(rest, 28));
        if rest.len() < LOCAL_LENGTH || rest.len() < length {
            self.at = At::Header;
            return Ok(None);
        }
        let (fixed, variable) = rest.split_at(LOCAL_LENGTH);
        let (name, extra) = variable.split_at(name);
        let name = String::from_utf8_lossy(name).into_owned();
        let extra = extra.get(..length - LOCAL_LENGTH - (variable.len() - extra.len()));
        let (flags, method) = (u16_at(fixed, 6), u16_at(fixed, 8));
        let mut wide = extra_64(extra.unwrap_or_default());
        let mut number = |at: usize| match u32_at(fixed, at) {
            u32::MAX => wide.next().unwrap_or(u64::from(u32::MAX)),
            narrow => u64::from(narrow),
        };
        let (size, packed) = (number(22), number(18));
        let known = flags & 8 == 0;
        let unread = |why: String| Err(ZipError::Unread(format!("{name}: {why}")));
        if flags & 1 != 0 {
            return unread("it is encrypted; unpack it first".to_owned());
        }
        let inflate = match method {
            8 => Some(Decompress::new(false)),
            0 if known => None,
            0 => {
                return unread(
                    "it is stored and its length comes behind it; deflate it, or send the files"
                        .to_owned(),
                );
            }
            method => {
                return unread(format!(
                    "it is packed by method {method}, and only deflated or stored is read"
                ));
            }
        };
        let expected = Expected { crc: u32_at(fixed, 14), packed, size };
        self.at = At::Body(Box::new(Body {
            ended: inflate.is_none() && packed == 0,
            inflate,
            expected: known.then_some(expected),
            packed: 0,
            size: 0,
            crc: crc32fast::Hasher::new(),
        }));
        self.done += length;
        Ok(Some(Part::Begin(name)))
    }

    fn body(&mut self, body: &mut Body) -> Result<Option<Part>, ZipError> {
        let rest = self.held.get(self.done..).unwrap_or_default();
        let (taken, data) = match &mut body.inflate {
            None => {
                let left = body.expected.map_or(0, |expected| expected.packed) - body.packed;
                let take = rest.len().min(CHUNK).min(usize::try_from(left).unwrap_or(CHUNK));
                body.ended = take as u64 == left;
                (take, rest.get(..take).unwrap_or_default().to_vec())
            }
            Some(inflate) => {
                let mut data = Vec::with_capacity(CHUNK);
                let before = inflate.total_in();
                let status = inflate
                    .decompress_vec(rest, &mut data, FlushDecompress::None)
                    .map_err(|error| broken(format!("a member is damaged: {error}")))?;
                body.ended = status == Status::StreamEnd;
                ((inflate.total_in() - before) as usize, data)
            }
        };
        self.done += taken;
        body.packed += taken as u64;
        body.size += data.len() as u64;
        body.crc.update(&data);
        self.made += data.len() as u64;
        if self.made > allowed_with(self.always, self.came) {
            return Err(ZipError::Bomb { packed: self.came, size: self.made });
        }
        Ok((!data.is_empty()).then_some(Part::Data(data)))
    }

    /// Whether the member was what it should be, by its header or by what stands behind it.
    fn descriptor(&mut self, body: Box<Body>) -> Result<Option<Part>, ZipError> {
        let crc = body.crc.clone().finalize();
        let found = Expected { crc, packed: body.packed, size: body.size };
        let behind = match body.expected {
            Some(expected) if expected == found => 0,
            Some(_) => return Err(broken("a member is not what its header says: damaged")),
            None => {
                let rest = self.rest();
                if rest.len() < DESCRIPTOR_LENGTH {
                    self.at = At::Descriptor(body);
                    return Ok(None);
                }
                let begin = if u32_at(rest, 0) == DESCRIPTOR { 4 } else { 0 };
                let rest = rest.get(begin..).unwrap_or_default();
                let narrow = Expected {
                    crc: u32_at(rest, 0),
                    packed: u64::from(u32_at(rest, 4)),
                    size: u64::from(u32_at(rest, 8)),
                };
                let (packed, size) = (u64_at(rest, 4), u64_at(rest, 12));
                match found {
                    _ if found == narrow => begin + 12,
                    _ if found == (Expected { crc: narrow.crc, packed, size }) => begin + 20,
                    _ => return Err(broken("a member is not what stands behind it: damaged")),
                }
            }
        };
        self.done += behind;
        self.at = At::Header;
        Ok(Some(Part::End))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::zip;
    use super::*;

    fn read(bytes: &[u8], by: usize, always: u64) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
        let (mut stream, mut all) = (Stream::new(always), Vec::<(String, Vec<u8>)>::new());
        let mut open = false;
        for piece in bytes.chunks(by) {
            stream.push(piece);
            while let Some(part) = stream.next_part()? {
                match part {
                    Part::Begin(name) => {
                        all.push((name, Vec::new()));
                        open = true;
                    }
                    Part::Data(data) => all.last_mut().unwrap().1.extend(data),
                    Part::End => open = false,
                }
            }
        }
        assert!(!open || stream.finish().is_err());
        stream.finish().map(|()| all)
    }

    #[test]
    fn members_come_however_the_bytes_are_cut() {
        let long = vec![7; 200_000];
        let file = zip(&[("a", b"hello"), ("b/", b""), ("c", &long)], None);
        let whole = read(&file, file.len(), 1 << 30).unwrap();
        assert_eq!(whole[0], ("a".to_owned(), b"hello".to_vec()));
        assert_eq!(whole[2], ("c".to_owned(), long));
        for by in [1, 2, 3, 7, 100] {
            assert_eq!(read(&file, by, 1 << 30).unwrap(), whole, "{by}");
        }
        let directory = file.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
        for cut in 0..directory {
            assert!(read(&file[..cut], 100, 1 << 30).is_err(), "{cut}");
        }
    }

    #[test]
    fn what_grows_out_of_proportion_is_refused() {
        let file = zip(&[("a", &vec![0; 4 << 20])], None);
        let error = read(&file, 1_000, 100).unwrap_err();
        assert!(matches!(error, ZipError::Bomb { size, .. } if size < 2 << 20), "{error}");
        assert!(read(&file, 1_000, 4 << 20).is_ok());
    }
}
