//! A message as a tree that keeps everything: segments of fields as they were written, split
//! further only when somebody asks. HL7 v2.5.1 chapter 2.

use std::borrow::Cow;

use crate::charset::Charset;
use crate::coding::{Coding, Delimiters};
use crate::path::Path;

/// One message. `parse` and then `to_bytes` gives the same bytes for every message whose segments
/// end with CR and whose bytes are what MSH-18 says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    coding: Coding,
    lines: Vec<Line>,
    remarks: Vec<String>,
}

/// A segment as it stands in a message: its name and its raw fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// The name, then the fields; MSH-1 is the separator itself.
    parts: Vec<String>,
}

/// A segment to read from.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    line: &'a Line,
    coding: &'a Coding,
}

/// A field, repetition, component or subcomponent to read from.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    raw: &'a str,
    /// `None` for MSH-1 and MSH-2, in which delimiters are text.
    coding: Option<&'a Coding>,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    #[error("the message is empty")]
    Empty,
    #[error("not an HL7 v2 message: it begins with '{start}', not with MSH{hint}")]
    NotHl7 { start: String, hint: &'static str },
    #[error("unusable delimiters '{0}' in MSH-1 and MSH-2; the usual ones are '|^~\\&'")]
    Delimiters(String),
    #[error("the message has more than {MAX_SEGMENTS} segments or {MAX_FIELDS} fields; split it")]
    TooLarge,
}

/// What a message may hold: a tree takes many times the memory of its bytes.
const MAX_SEGMENTS: usize = 100_000;
const MAX_FIELDS: usize = 1_000_000;

impl Message {
    pub fn new(coding: Coding) -> Self {
        Self { coding, lines: Vec::new(), remarks: Vec::new() }
    }

    /// Reads a message. A byte order mark, MLLP framing around a saved message, LF or CRLF as
    /// segment ends and empty lines are tolerated; nothing else is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let bytes = bare(bytes);
        let header = Header::read(bytes)?;
        let mut remarks = Vec::new();
        let (charset, declared) = header.charset(bytes, &mut remarks);
        let (text, whole) = charset.decode(bytes);
        if !whole && declared {
            remarks.push(format!(
                "some bytes mean nothing in the character set '{}' of MSH-18 and read as \u{fffd}",
                charset.name()
            ));
        }
        let field = header.delimiters.field;
        if segment_texts(&text, field).nth(MAX_SEGMENTS).is_some()
            || text.matches(field).nth(MAX_FIELDS).is_some()
        {
            return Err(ParseError::TooLarge);
        }
        let lines: Vec<Line> =
            segment_texts(&text, field).map(|line| Line::read(line, field)).collect();
        for line in lines.iter().filter(|line| !is_segment_name(line.name())).take(5) {
            let start: String = line.name().chars().take(20).collect();
            remarks.push(format!("a line that begins with '{start}' is not a segment; ignored"));
        }
        let coding = Coding { delimiters: header.delimiters, charset };
        Ok(Self { coding, lines, remarks })
    }

    /// The message with CR after each segment, in the character set it came in. Should a text
    /// have been put in that does not fit, everything is UTF-8 and MSH-18 says so.
    pub fn to_bytes(&self) -> Vec<u8> {
        if let Some(bytes) = self.coding.charset.encode(&self.to_text()) {
            return bytes;
        }
        let mut unicode = self.clone();
        if let Some(msh) = unicode.lines.iter_mut().find(|line| line.name() == "MSH") {
            msh.set_raw(18, Charset::UTF_8.name().to_owned());
        }
        unicode.to_text().into_bytes()
    }

    /// The message as text, still escaped, with CR after each segment.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            // between the name, MSH-1 and MSH-2 there is nothing
            let joined = if is_header(line.name()) { 2 } else { 0 };
            for (at, part) in line.parts.iter().enumerate() {
                if at > joined {
                    text.push(self.coding.delimiters.field);
                }
                text.push_str(part);
            }
            text.push('\r');
        }
        text
    }

    pub fn coding(&self) -> &Coding {
        &self.coding
    }

    /// What was unusual about the bytes.
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    pub fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    pub fn segments(&self) -> impl Iterator<Item = Segment<'_>> + Clone {
        self.lines.iter().map(|line| Segment { line, coding: &self.coding })
    }

    /// The first segment of that name.
    pub fn segment(&self, name: &str) -> Option<Segment<'_>> {
        self.segments().find(|segment| segment.name() == name)
    }

    /// `Ok` with the value at `PID-3.1`, `OBX[2]-5`, `PID-3[2].4.1`; empty where absent.
    pub fn get(&self, path: &Path) -> Value<'_> {
        path.find(self.segments())
    }

    /// The text at a path written in code or typed by a person; empty where absent or when the
    /// path is none.
    pub fn text(&self, path: &str) -> String {
        path.parse().map(|path: Path| self.get(&path).text().into_owned()).unwrap_or_default()
    }

    /// MSH-9.1 and MSH-9.2: `("ORM", "O01")`. Old senders leave the event out.
    pub fn kind(&self) -> (String, String) {
        (self.text("MSH-9.1"), self.text("MSH-9.2"))
    }

    /// MSH-10
    pub fn control_id(&self) -> String {
        self.text("MSH-10")
    }

    /// MSH-12.1
    pub fn version(&self) -> String {
        self.text("MSH-12.1")
    }

    /// Whether MSH-12 names a version from 2.5 on, where ERR and MSA changed. Unknown is old.
    pub fn since_2_5(&self) -> bool {
        is_since_2_5(&self.version())
    }
}

pub(crate) fn is_since_2_5(version: &str) -> bool {
    let mut numbers = version.trim().split('.').map(|n| n.parse::<u32>().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(2), Some(5))
}

impl Line {
    pub fn new(name: &str) -> Self {
        Self { parts: vec![name.to_owned()] }
    }

    /// MSH with its delimiters.
    pub fn msh(delimiters: &Delimiters) -> Self {
        Self { parts: vec!["MSH".to_owned(), delimiters.field.into(), delimiters.encoding()] }
    }

    fn read(line: &str, field: char) -> Self {
        let mut parts: Vec<String> = line.split(field).map(str::to_owned).collect();
        if parts.len() > 1 && is_header(&parts[0]) {
            parts.insert(1, field.into());
        }
        Self { parts }
    }

    pub fn name(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// Sets field `seq` to text that is already escaped and delimited. MSH-1 stays as it is.
    pub fn set_raw(&mut self, seq: usize, raw: String) {
        if seq == 0 || (seq == 1 && is_header(self.name())) {
            return;
        }
        if self.parts.len() <= seq {
            if raw.is_empty() {
                return;
            }
            self.parts.resize(seq + 1, String::new());
        }
        self.parts[seq] = raw;
    }

    /// As [`Line::set_raw`], for building.
    #[must_use]
    pub fn with(mut self, seq: usize, raw: impl Into<String>) -> Self {
        self.set_raw(seq, raw.into());
        self
    }
}

impl<'a> Segment<'a> {
    pub fn name(&self) -> &'a str {
        self.line.name()
    }

    /// Field `seq`, counted from 1 as the standard does; empty where absent.
    pub fn field(&self, seq: usize) -> Value<'a> {
        let raw = if seq == 0 { None } else { self.line.parts.get(seq) };
        let verbatim = is_header(self.name()) && seq <= 2;
        Value { raw: raw.map_or("", String::as_str), coding: (!verbatim).then_some(self.coding) }
    }

    /// How many fields are written, empty ones at the end included.
    pub fn len(&self) -> usize {
        self.line.parts.len().saturating_sub(1)
    }

    pub fn is_empty(&self) -> bool {
        self.line.parts.iter().skip(1).all(String::is_empty)
    }
}

impl<'a> Value<'a> {
    pub(crate) const ABSENT: Value<'static> = Value { raw: "", coding: None };

    /// The value as written.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// `""`: the sender asks to delete the value.
    pub fn is_delete(&self) -> bool {
        self.raw == "\"\""
    }

    /// The value with escapes resolved; empty for `""`.
    pub fn text(&self) -> Cow<'a, str> {
        match self.coding {
            _ if self.is_delete() => Cow::Borrowed(""),
            Some(coding) => coding.unescape(self.raw),
            None => Cow::Borrowed(self.raw),
        }
    }

    pub fn repetitions(&self) -> impl Iterator<Item = Value<'a>> + Clone + use<'a> {
        self.split(self.coding.map(|coding| coding.delimiters.repetition))
    }

    /// Component `n` of the first repetition, counted from 1.
    pub fn component(&self, n: usize) -> Value<'a> {
        let component = self.coding.map(|coding| coding.delimiters.component);
        Self::nth(self.first_repetition().split(component), n)
    }

    /// Subcomponent `n` of the first component, counted from 1.
    pub fn subcomponent(&self, n: usize) -> Value<'a> {
        let subcomponent = self.coding.and_then(|coding| coding.delimiters.subcomponent);
        Self::nth(self.component(1).split(subcomponent), n)
    }

    fn first_repetition(&self) -> Value<'a> {
        Self::nth(self.repetitions(), 1)
    }

    pub(crate) fn nth(mut parts: impl Iterator<Item = Value<'a>>, n: usize) -> Value<'a> {
        n.checked_sub(1).and_then(|skip| parts.nth(skip)).unwrap_or(Value::ABSENT)
    }

    pub(crate) fn split(
        &self,
        separator: Option<char>,
    ) -> impl Iterator<Item = Value<'a>> + Clone + use<'a> {
        let coding = self.coding;
        self.raw.split(move |c| Some(c) == separator).map(move |raw| Value { raw, coding })
    }
}

/// Cuts what came in one frame before every MSH after the first: some senders put several
/// messages into one frame.
pub fn split(bytes: &[u8]) -> Vec<&[u8]> {
    let bytes = bare(bytes);
    let mut starts = vec![0];
    if let Some(header) = bytes.get(..4).filter(|header| header.starts_with(b"MSH")) {
        let ends = bytes.iter().enumerate().filter(|(_, b)| matches!(b, b'\r' | b'\n'));
        starts.extend(ends.map(|(at, _)| at + 1).filter(|at| bytes[*at..].starts_with(header)));
    }
    starts.push(bytes.len());
    starts.windows(2).map(|range| &bytes[range[0]..range[1]]).collect()
}

/// Without byte order mark, framing and blank lines around the message.
fn bare(bytes: &[u8]) -> &[u8] {
    let mut bytes = bytes;
    while let [0x0b | b'\r' | b'\n' | b' ', rest @ ..] | [0xef, 0xbb, 0xbf, rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., 0x1c] | [rest @ .., 0x1c, b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

/// What has to be known before the message can be decoded, read from its bytes.
struct Header {
    delimiters: Delimiters,
    charset: String,
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, ParseError> {
        if bytes.is_empty() {
            return Err(ParseError::Empty);
        }
        if !bytes.starts_with(b"MSH") {
            let start = bytes.iter().take(24).map(|b| printable(*b)).collect();
            return Err(ParseError::NotHl7 { start, hint: hint(bytes) });
        }
        let end = bytes.iter().position(|b| matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
        let line = &bytes[3..end];
        let separator = line.first().copied().unwrap_or(b' ');
        let mut fields = line.split(|b| *b == separator).skip(1);
        // bytes beyond ASCII become letters that no delimiter may be
        let encoding: String =
            fields.next().unwrap_or_default().iter().map(|b| char::from(*b)).collect();
        let delimiters = Delimiters::new(char::from(separator), &encoding).ok_or_else(|| {
            let printed = |c| if matches!(c, ' '..='~') { c } else { '.' };
            let shown: String = encoding.chars().take(12).map(printed).collect();
            ParseError::Delimiters(format!("{}{shown}", printable(separator)))
        })?;
        let charset = fields.nth(15).unwrap_or_default();
        Ok(Self { delimiters, charset: String::from_utf8_lossy(charset).into_owned() })
    }

    /// The character set to decode with, and whether the message declared it.
    fn charset(&self, bytes: &[u8], remarks: &mut Vec<String>) -> (Charset, bool) {
        let guess = match std::str::from_utf8(bytes) {
            Ok(_) => Charset::UTF_8,
            Err(_) => Charset::LATIN_1,
        };
        let names = self.charset.split(self.delimiters.repetition).map(str::trim);
        let mut found = Vec::new();
        for name in names.filter(|name| !name.is_empty()) {
            match Charset::by_name(name) {
                Some(charset) => found.push(charset),
                None => remarks.push(format!(
                    "character set '{name}' of MSH-18 is not known; read as {}",
                    guess.name()
                )),
            }
        }
        // an ISO 2022 set in a later repetition contains the first one
        let wide = found.iter().rev().find(|set| set.name() != "ISO IR14" && is_iso_2022(**set));
        match wide.or(found.first()) {
            Some(charset) if *charset != Charset::ASCII => (*charset, true),
            _ => {
                if !bytes.is_ascii() {
                    remarks.push(format!(
                        "MSH-18 names no character set for the letters beyond ASCII; read as {}",
                        guess.name()
                    ));
                }
                (guess, false)
            }
        }
    }
}

fn is_iso_2022(charset: Charset) -> bool {
    charset.dicom().starts_with("ISO 2022") || charset.dicom() == "ISO_IR 13"
}

fn hint(bytes: &[u8]) -> &'static str {
    match bytes {
        [0, b'M', ..] | [b'M', 0, ..] | [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "; it looks like UTF-16, send UTF-8"
        }
        [b'F' | b'B', b'H', b'S', ..] => "; batches are not read, send the messages one by one",
        [b'<', ..] => "; it looks like XML",
        [b'{', ..] => "; it looks like JSON",
        _ => "",
    }
}

pub(crate) fn printable(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        _ => '.',
    }
}

/// MSH and the headers of files and batches, whose first field is the separator.
fn is_header(name: &str) -> bool {
    matches!(name, "MSH" | "FHS" | "BHS")
}

fn is_segment_name(name: &str) -> bool {
    name.len() == 3
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// The non-empty lines. CR ends a segment. LF does so in a message without any CR, after a CR,
/// and where a segment follows; elsewhere it is text that a sender did not escape.
fn segment_texts(text: &str, field: char) -> impl Iterator<Item = &str> {
    let only_lf = !text.contains('\r');
    let begins = move |rest: &str| {
        let name = rest.get(..3).unwrap_or("");
        rest.is_empty() || (is_segment_name(name) && rest[3..].starts_with(field))
    };
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches(['\r', '\n']);
            if rest.is_empty() {
                return None;
            }
            let ends = rest.match_indices(['\r', '\n']);
            let end = ends
                .filter(|(at, end)| *end == "\r" || only_lf || begins(&rest[at + 1..]))
                .map(|(at, _)| at)
                .next();
            let (line, tail) = rest.split_at(end.unwrap_or(rest.len()));
            rest = tail;
            if !line.trim().is_empty() {
                return Some(line);
            }
        }
    })
}

#[cfg(test)]
mod tests;
