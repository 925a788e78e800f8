//! The header scanner for data sets that are never in memory whole.
//!
//! [`Scanner`] takes the bytes as they arrive and walks the same structure as [`crate::scan`]:
//! wanted values of the top level are kept, everything else is stepped over by its length. What it
//! holds does not grow with the data set: a header, the wanted values up to [`LONGEST`] each, and
//! one frame for each open sequence and item, of which there are at most [`MAX_DEPTH`] pairs.
//!
//! Sequences of defined length are walked as well, so that nesting that nobody could read again is
//! refused here; what is merely strange inside one is stepped over as a whole.

use std::borrow::Cow;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress, Status};
use pacslab_model::{Tag, Vr, tags};

use crate::parse::inflated_limit;
use crate::scan::Scan;
use crate::syntax::TransferSyntax;
use crate::wire::{Cursor, Encoding, Header, MAX_DEPTH, ParseError, UNDEFINED};

/// Of a longer wanted value only the beginning is kept.
pub const LONGEST: usize = 64 << 10;

/// Scans a data set piece by piece.
#[derive(Debug)]
pub struct Scanner {
    walk: Walk,
    inflate: Option<Inflate>,
}

impl Scanner {
    /// `wanted` must ascend.
    pub fn new(syntax: &TransferSyntax, wanted: impl Into<Arc<[Tag]>>) -> Self {
        let inflate = (*syntax == TransferSyntax::DeflatedLe).then(Inflate::new);
        Self { walk: Walk::new(syntax, wanted.into()), inflate }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// The first thing wrong with the structure. What is pushed after that is not looked at.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ParseError> {
        match &mut self.inflate {
            None => self.walk.push(bytes),
            Some(inflate) => inflate.push(bytes, &mut self.walk),
        }
    }

    /// What was found, once all bytes were pushed.
    ///
    /// # Errors
    /// The data set goes on beyond the bytes that came.
    pub fn finish(self) -> Result<Scan<'static>, ParseError> {
        if let Some(inflate) = &self.inflate
            && !inflate.ended
        {
            return Err(ParseError::Inflate("it ends early".to_owned()));
        }
        self.walk.finish()
    }
}

/// Undoes deflation a small piece at a time. PS3.5 A.5.
struct Inflate {
    stream: Decompress,
    plain: Box<[u8]>,
    ended: bool,
}

impl Inflate {
    fn new() -> Self {
        let plain = vec![0; 32 << 10].into_boxed_slice();
        Self { stream: Decompress::new(false), plain, ended: false }
    }

    fn push(&mut self, mut bytes: &[u8], walk: &mut Walk) -> Result<(), ParseError> {
        while !self.ended {
            let (taken, made) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(bytes, &mut self.plain, FlushDecompress::None)
                .map_err(|error| ParseError::Inflate(error.to_string()))?;
            bytes = &bytes[(self.stream.total_in() - taken) as usize..];
            let limit = inflated_limit(self.stream.total_in());
            if self.stream.total_out() > limit {
                return Err(ParseError::InflateLimit { limit: limit as usize });
            }
            let made = (self.stream.total_out() - made) as usize;
            walk.push(&self.plain[..made])?;
            self.ended = status == Status::StreamEnd;
            if bytes.is_empty() && made < self.plain.len() {
                break;
            }
        }
        // a byte may follow the end, to make the length even
        Ok(())
    }
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").field("made", &self.stream.total_out()).finish_non_exhaustive()
    }
}

/// Where in the structure the next byte belongs.
#[derive(Debug)]
struct Walk {
    wanted: Arc<[Tag]>,
    next_wanted: usize,
    found: Scan<'static>,
    encoding: Encoding,
    open: Vec<Frame>,
    sequences: usize,
    previous: Option<Tag>,
    at: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Gathering a header: the longest has 12 bytes.
    Header { bytes: [u8; 12], have: usize },
    /// Within a value; `keep` is what there is of one that is wanted.
    Value { header: Header, left: u64, keep: Option<Vec<u8>> },
}

impl State {
    const START: Self = Self::Header { bytes: [0; 12], have: 0 };
}

/// Something that has been begun.
#[derive(Debug)]
struct Frame {
    kind: Kind,
    /// `None`: until its delimiter.
    end: Option<u64>,
    tag: Tag,
    /// What is used again behind it.
    around: Encoding,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Sequence,
    Item,
    Fragments,
}

impl Walk {
    fn new(syntax: &TransferSyntax, wanted: Arc<[Tag]>) -> Self {
        debug_assert!(wanted.is_sorted());
        Self {
            found: Scan::empty(wanted.len(), syntax.is_big_endian()),
            wanted,
            next_wanted: 0,
            encoding: Encoding::of(syntax),
            open: Vec::new(),
            sequences: 0,
            previous: None,
            at: 0,
            state: State::START,
        }
    }

    fn push(&mut self, mut bytes: &[u8]) -> Result<(), ParseError> {
        while !bytes.is_empty() {
            let room = self.room();
            match &mut self.state {
                State::Value { left, keep, .. } => {
                    let (now, rest) = bytes.split_at((*left).min(bytes.len() as u64) as usize);
                    if let Some(keep) = keep {
                        keep.extend_from_slice(&now[..now.len().min(LONGEST - keep.len())]);
                    }
                    *left -= now.len() as u64;
                    self.at += now.len() as u64;
                    bytes = rest;
                }
                State::Header { bytes: header, have } => {
                    // all have 8 bytes; 4 more where those turn out not to be enough
                    let wants = if *have < 8 { 8 - *have } else { 12 - *have };
                    if wants as u64 > room {
                        let (at, what) = (self.at as usize, "an element's header".to_owned());
                        self.strange(ParseError::Truncated { at, what })?;
                        continue;
                    }
                    let (now, rest) = bytes.split_at(wants.min(bytes.len()));
                    header[*have..*have + now.len()].copy_from_slice(now);
                    *have += now.len();
                    self.at += now.len() as u64;
                    bytes = rest;
                }
            }
            self.step()?;
        }
        Ok(())
    }

    /// Goes on as far as that takes no more bytes.
    fn step(&mut self) -> Result<(), ParseError> {
        match &mut self.state {
            State::Value { left: 1.., .. } => return Ok(()),
            State::Value { header, keep, .. } => {
                if let Some(value) = keep.take() {
                    let (tag, vr) = (header.tag, header.vr);
                    self.keep(tag, vr, value);
                }
                self.state = State::START;
            }
            State::Header { bytes, have } => {
                if *have < 8 {
                    return Ok(());
                }
                let at = self.at - *have as u64;
                let read = Cursor::new(&bytes[..*have], self.encoding).raw_header();
                let header = match read {
                    // explicit VR with a long length
                    Err(ParseError::Truncated { .. }) if *have < 12 => return Ok(()),
                    Err(error) => return self.strange(error.moved(at as usize)),
                    Ok(header) => Header { at: at as usize, ..header },
                };
                self.state = State::START;
                if let Err(error) = self.begin(&header) {
                    return self.strange(error);
                }
            }
        }
        self.close()
    }

    /// A header, and what it begins.
    fn begin(&mut self, header: &Header) -> Result<(), ParseError> {
        let Some(frame) = self.open.last() else { return self.top(header) };
        let (kind, tag, room) = (frame.kind, frame.tag, self.room());
        if header.length != UNDEFINED && u64::from(header.length) > room {
            return Err(too_long(header, room));
        }
        match (kind, header.tag) {
            (Kind::Item, tags::ITEM_DELIMITATION)
            | (Kind::Sequence | Kind::Fragments, tags::SEQUENCE_DELIMITATION) => {
                // some writers close what has a defined length as well
                if self.open.last().is_some_and(|frame| frame.end.is_none()) {
                    self.pop();
                }
                Ok(())
            }
            (Kind::Item, _) => self.element(header, None),
            (Kind::Sequence, tags::ITEM) => {
                self.enter(Kind::Item, header);
                Ok(())
            }
            (Kind::Fragments, tags::ITEM) if header.length == UNDEFINED => {
                Err(ParseError::Undefined { tag, at: header.at, vr: header.vr })
            }
            (Kind::Fragments, tags::ITEM) => {
                self.value(*header, None);
                Ok(())
            }
            (Kind::Sequence | Kind::Fragments, found) => {
                Err(ParseError::NoItem { tag, found, at: header.at })
            }
        }
    }

    /// An element of the top level.
    fn top(&mut self, header: &Header) -> Result<(), ParseError> {
        let tag = header.tag;
        if let Some(previous) = self.previous
            && tag <= previous
        {
            return Err(ParseError::Order { tag, previous, at: header.at });
        }
        self.previous = Some(tag);
        while self.wanted.get(self.next_wanted).is_some_and(|wanted| *wanted < tag) {
            self.next_wanted += 1;
        }
        let wanted = self.wanted.get(self.next_wanted) == Some(&tag);
        if tag == tags::PIXEL_DATA {
            let length = (header.length != UNDEFINED).then_some(header.length as usize);
            self.found.pixel_data = Some((self.at as usize, length));
        }
        let keep = wanted || tag == tags::SPECIFIC_CHARACTER_SET;
        self.element(header, keep.then(Vec::new))
    }

    fn element(&mut self, header: &Header, keep: Option<Vec<u8>>) -> Result<(), ParseError> {
        if header.is_sequence() {
            if self.sequences >= MAX_DEPTH {
                return Err(ParseError::TooDeep { tag: header.tag, at: header.at });
            }
            let inside = header.item_encoding(self.encoding);
            self.enter(Kind::Sequence, header);
            self.encoding = inside;
        } else if header.length == UNDEFINED {
            self.enter(Kind::Fragments, header);
        } else {
            self.value(*header, keep);
        }
        Ok(())
    }

    fn enter(&mut self, kind: Kind, header: &Header) {
        self.sequences += usize::from(kind == Kind::Sequence);
        let end = (header.length != UNDEFINED).then(|| self.at + u64::from(header.length));
        self.open.push(Frame { kind, end, tag: header.tag, around: self.encoding });
    }

    fn value(&mut self, header: Header, keep: Option<Vec<u8>>) {
        let left = u64::from(header.length);
        if left > 0 {
            self.state = State::Value { header, left, keep };
        } else if let Some(value) = keep {
            self.keep(header.tag, header.vr, value);
        }
    }

    fn keep(&mut self, tag: Tag, vr: Vr, value: Vec<u8>) {
        let wanted = self.wanted.binary_search(&tag).is_ok();
        self.found.keep(tag, vr, Cow::Owned(value), wanted);
    }

    fn pop(&mut self) {
        if let Some(frame) = self.open.pop() {
            self.sequences -= usize::from(frame.kind == Kind::Sequence);
            self.encoding = frame.around;
        }
    }

    /// Bytes to the nearest end that is known.
    fn room(&self) -> u64 {
        let end = self.open.iter().rev().find_map(|frame| frame.end);
        end.map_or(u64::MAX, |end| end.saturating_sub(self.at))
    }

    /// Leaves what ends here.
    fn close(&mut self) -> Result<(), ParseError> {
        if !matches!(self.state, State::Header { have: 0, .. }) {
            return Ok(());
        }
        while let Some(frame) = self.open.last()
            && self.room() == 0
        {
            if frame.end.is_none() {
                let (at, what) = (self.at as usize, frame.tag.to_string());
                return self.strange(ParseError::Truncated { at, what });
            }
            self.pop();
        }
        Ok(())
    }

    /// Something that makes no sense. Within a defined length it is stepped over with the rest.
    fn strange(&mut self, error: ParseError) -> Result<(), ParseError> {
        let outermost = self.open.iter().position(|frame| frame.end.is_some());
        let (Some(outermost), false) = (outermost, matches!(error, ParseError::TooDeep { .. }))
        else {
            return Err(error);
        };
        let Some(end) = self.open[outermost].end.filter(|end| *end >= self.at) else {
            return Err(error);
        };
        let tag = self.open[outermost].tag;
        while self.open.len() > outermost {
            self.pop();
        }
        let left = end - self.at;
        let header = Header { tag, vr: Vr::UN, length: left as u32, at: self.at as usize };
        self.state = State::START;
        self.value(header, None);
        self.close()
    }

    fn finish(self) -> Result<Scan<'static>, ParseError> {
        let at = self.at as usize;
        match self.state {
            State::Value { header, left, .. } => {
                return Err(too_long(&header, u64::from(header.length) - left));
            }
            State::Header { have: 1.., .. } => {
                return Err(ParseError::Truncated { at, what: "the header of an element".into() });
            }
            State::Header { .. } => {}
        }
        match self.open.first() {
            None => Ok(self.found),
            Some(frame) => Err(ParseError::Truncated { at, what: frame.tag.to_string() }),
        }
    }
}

fn too_long(header: &Header, left: u64) -> ParseError {
    let Header { tag, at, length, .. } = *header;
    ParseError::TooLong { tag, at, length, left: left as usize }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Dataset, Element, Value, encode, scan};

    const WANTED: [Tag; 3] = [tags::PATIENT_NAME, tags::PATIENT_ID, tags::ROWS];

    fn pushed(
        bytes: &[u8],
        syntax: &TransferSyntax,
        step: usize,
    ) -> Result<Vec<String>, ParseError> {
        let mut scanner = Scanner::new(syntax, WANTED);
        for piece in bytes.chunks(step) {
            scanner.push(piece)?;
        }
        Ok(scanner.finish()?.texts().map(|(tag, text)| format!("{tag} {text}")).collect())
    }

    fn sample() -> Dataset {
        let nested = Dataset::new()
            .with_items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![Dataset::new(), Dataset::new()])
            .with_str(tags::PATIENT_ID, Vr::LO, "inside");
        let mut set = Dataset::new()
            .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
            .with_str(tags::PATIENT_NAME, Vr::PN, "Buc^Jérôme")
            .with_str(tags::PATIENT_ID, Vr::LO, "P1")
            .with_items(Tag::new(0x0040, 0x0100), vec![nested]);
        set.put_bytes(Tag::new(0x0009, 0x1001), Vr::OB, vec![3; 5000]);
        set.put_u16(tags::ROWS, 64);
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![7; 3000]);
        set
    }

    /// A CT with three megabytes of a maker's own before its UIDs was refused as having none.
    #[test]
    fn what_comes_late_is_found_and_what_is_large_is_not_kept() {
        let mut set = Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P1");
        set.put_bytes(Tag::new(0x0009, 0x1001), Vr::OB, vec![3; 3 << 20]);
        let bytes = encode(&set, &TransferSyntax::ExplicitLe);
        let mut scanner = Scanner::new(&TransferSyntax::ExplicitLe, WANTED);
        for piece in bytes.chunks(16_000) {
            scanner.push(piece).unwrap();
        }
        assert_eq!(scanner.finish().unwrap().text(tags::PATIENT_ID).as_deref(), Some("P1"));
        set.put_str(tags::PATIENT_ID, Vr::LO, "x".repeat(1 << 20));
        let bytes = encode(&set, &TransferSyntax::ImplicitLe);
        let found = pushed(&bytes, &TransferSyntax::ImplicitLe, 100_000).unwrap();
        assert_eq!(found[0].len(), "(0010,0020) ".len() + LONGEST);
    }

    #[test]
    fn pieces_of_any_size_give_what_the_whole_gives() {
        let mut compressed = sample();
        compressed.put(Element {
            tag: tags::PIXEL_DATA,
            vr: Vr::OB,
            value: Value::Fragments(vec![vec![], vec![1, 2], vec![3; 700]]),
        });
        for (set, syntax) in [
            (sample(), TransferSyntax::ImplicitLe),
            (sample(), TransferSyntax::ExplicitLe),
            (sample(), TransferSyntax::ExplicitBe),
            (sample(), TransferSyntax::DeflatedLe),
            (compressed, TransferSyntax::Encapsulated("1.2.840.10008.1.2.4.50".into())),
        ] {
            let bytes = encode(&set, &syntax);
            let whole = scan::scan(&bytes, &syntax, &WANTED).unwrap();
            let whole: Vec<_> = whole.texts().map(|(tag, text)| format!("{tag} {text}")).collect();
            assert_eq!(whole, ["(0010,0010) Buc^Jérôme", "(0010,0020) P1", "(0028,0010) 64"]);
            for step in [1, 2, 3, 7, 8, 11, 100, 4096, bytes.len()] {
                assert_eq!(pushed(&bytes, &syntax, step).as_ref(), Ok(&whole), "{syntax:?} {step}");
            }
            for cut in 1..bytes.len() - 1 {
                let ended = pushed(&bytes[..cut], &syntax, 64).is_ok();
                // between two elements of the top level a data set may end
                let may = syntax != TransferSyntax::DeflatedLe
                    && scan::scan(&bytes[..cut], &syntax, &WANTED).is_ok();
                assert_eq!(ended, may, "{syntax:?} cut at {cut}");
            }
        }
    }

    fn nested(depth: usize, defined: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let (outer, inner) = match defined {
                true => (bytes.len() as u32 + 8, bytes.len() as u32),
                false => (UNDEFINED, UNDEFINED),
            };
            let mut around = vec![0x40, 0, 0, 1];
            around.extend(outer.to_le_bytes());
            around.extend([0xFE, 0xFF, 0, 0xE0]);
            around.extend(inner.to_le_bytes());
            around.extend(&bytes);
            if !defined {
                around.extend([0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0]);
                around.extend([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]);
            }
            bytes = around;
        }
        bytes
    }

    /// Two thousand sequences, each with its length, were stored and could not be read again.
    #[test]
    fn nesting_ends_where_reading_does() {
        let syntax = TransferSyntax::ImplicitLe;
        for defined in [true, false] {
            let deep = nested(2_000, defined);
            assert!(matches!(pushed(&deep, &syntax, 999), Err(ParseError::TooDeep { .. })));
            let whole = scan::scan(&deep, &syntax, &WANTED);
            assert!(matches!(whole, Err(ParseError::TooDeep { .. })), "{defined} {whole:?}");
            assert!(crate::parse(&deep, &syntax).is_err());
            for depth in [1, MAX_DEPTH] {
                let fine = nested(depth, defined);
                assert!(pushed(&fine, &syntax, 999).is_ok(), "{depth} {defined}");
                assert!(scan::scan(&fine, &syntax, &WANTED).is_ok(), "{depth} {defined}");
                assert!(crate::parse(&fine, &syntax).is_ok(), "{depth} {defined}");
            }
        }
    }

    /// A maker's sequence in another encoding than the rest: stepped over, the rest is found.
    #[test]
    fn what_is_strange_within_a_length_is_stepped_over() {
        let syntax = TransferSyntax::ImplicitLe;
        let mut bytes = encode(&Dataset::new().with_str(tags::PATIENT_ID, Vr::LO, "P1"), &syntax);
        for inside in [&b"what is this?"[..], &[0xFE, 0xFF, 0, 0xE0, 4, 0, 0, 0, 9], b"1", b""] {
            let mut strange = bytes.clone();
            strange.extend([0x40, 0, 0, 1]);
            strange.extend((inside.len() as u32).to_le_bytes());
            strange.extend(inside);
            strange.extend([0x40, 0, 1, 1, 0, 0, 0, 0]);
            for step in [1, 5, 100] {
                assert_eq!(pushed(&strange, &syntax, step).unwrap(), ["(0010,0020) P1"]);
            }
            assert!(scan::scan(&strange, &syntax, &WANTED).is_ok());
        }
        bytes.extend([0x40, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend(b"what is this?");
        assert!(pushed(&bytes, &syntax, 5).is_err(), "nobody knows where this ends");
    }

    /// A megabyte that inflates to one gigabyte took that gigabyte.
    #[test]
    fn a_bomb_is_refused_when_it_has_grown_out_of_proportion() {
        let mut set = Dataset::new();
        set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![0; 120 << 20]);
        let syntax = TransferSyntax::DeflatedLe;
        let bomb = encode(&set, &syntax);
        assert!(bomb.len() < 200_000);
        let refused = |result: Result<(), ParseError>| {
            assert!(matches!(result, Err(ParseError::InflateLimit { .. })), "{result:?}");
        };
        refused(pushed(&bomb, &syntax, 4096).map(drop));
        refused(scan::scan(&bomb, &syntax, &WANTED).map(drop));
        refused(crate::parse(&bomb, &syntax).map(drop));
    }

    proptest! {
        #[test]
        fn damage_never_panics_and_pieces_never_matter(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            step in 1usize..600,
            syntax in prop::sample::select(vec![
                TransferSyntax::ImplicitLe, TransferSyntax::ExplicitLe, TransferSyntax::ExplicitBe,
            ]),
        ) {
            let mut bytes = encode(&sample(), &syntax);
            for (at, byte) in damage {
                let at = at.index(bytes.len().min(400));
                bytes[at] = byte;
            }
            let whole = pushed(&bytes, &syntax, bytes.len());
            prop_assert_eq!(pushed(&bytes, &syntax, step).ok(), whole.clone().ok());
            let scanned = scan::scan(&bytes, &syntax, &WANTED);
            prop_assert_eq!(whole.is_ok(), scanned.is_ok(), "{:?} {:?}", whole, scanned.err());
        }
    }
}
