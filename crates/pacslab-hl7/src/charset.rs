//! Character sets of MSH-18. HL7 table 0211; the DICOM terms are those of PS3.3 C.12.1.1.2.
//!
//! A message is decoded as a whole before it is split, because the second byte of a multi-byte
//! character may look like a delimiter.

use std::borrow::Cow;
use std::fmt;

use encoding_rs as enc;

/// A character set that can be declared in MSH-18.
#[derive(Clone, Copy)]
pub struct Charset(&'static Row);

struct Row {
    hl7: &'static str,
    dicom: &'static str,
    coder: Coder,
}

enum Coder {
    Ascii,
    Table(&'static enc::Encoding),
    /// ISO 2022 with the Japanese sets; `true` where single-byte katakana is the base set.
    Japanese(bool),
}

const fn row(hl7: &'static str, dicom: &'static str, encoding: &'static enc::Encoding) -> Row {
    Row { hl7, dicom, coder: Coder::Table(encoding) }
}

static ROWS: [Row; 19] = [
    Row { hl7: "ASCII", dicom: "", coder: Coder::Ascii },
    row("UNICODE UTF-8", "ISO_IR 192", enc::UTF_8),
    row("8859/1", "ISO_IR 100", enc::WINDOWS_1252),
    row("8859/2", "ISO_IR 101", enc::ISO_8859_2),
    row("8859/3", "ISO_IR 109", enc::ISO_8859_3),
    row("8859/4", "ISO_IR 110", enc::ISO_8859_4),
    row("8859/5", "ISO_IR 144", enc::ISO_8859_5),
    row("8859/6", "ISO_IR 127", enc::ISO_8859_6),
    row("8859/7", "ISO_IR 126", enc::ISO_8859_7),
    row("8859/8", "ISO_IR 138", enc::ISO_8859_8),
    row("8859/9", "ISO_IR 148", enc::WINDOWS_1254),
    row("8859/15", "ISO_IR 203", enc::ISO_8859_15),
    Row { hl7: "ISO IR14", dicom: "ISO_IR 13", coder: Coder::Japanese(true) },
    Row { hl7: "ISO IR87", dicom: "ISO 2022 IR 87", coder: Coder::Japanese(false) },
    Row { hl7: "ISO IR159", dicom: "ISO 2022 IR 159", coder: Coder::Japanese(false) },
    row("KS X 1001", "ISO 2022 IR 149", enc::EUC_KR),
    row("GB 18030-2000", "GB18030", enc::GB18030),
    // DICOM has no term for these two: what goes there is Unicode
    row("BIG-5", "ISO_IR 192", enc::BIG5),
    row("CNS 11643-1992", "ISO_IR 192", enc::BIG5),
];

impl Charset {
    pub const ASCII: Self = Self(&ROWS[0]);
    pub const UTF_8: Self = Self(&ROWS[1]);
    pub const LATIN_1: Self = Self(&ROWS[2]);

    /// By the name in MSH-18, forgiving case and the spelling of separators (`ISO-8859-1`,
    /// `UTF8`, `GB18030`).
    pub fn by_name(name: &str) -> Option<Self> {
        let wanted = plain(name);
        let wanted = match wanted.strip_prefix("ISO8859").filter(|part| !part.is_empty()) {
            Some(part) => format!("8859{part}"),
            None => wanted,
        };
        let alias = match wanted.as_str() {
            "" | "ISOIR6" => "ASCII",
            "UTF8" | "ISOIR192" => "UNICODEUTF8",
            "ISOIR100" | "WINDOWS1252" => "88591",
            "GB18030" => "GB180302000",
            "ISOIR13" => "ISOIR14",
            "KSC5601" | "EUCKR" => "KSX1001",
            other => other,
        };
        ROWS.iter().find(|row| plain(row.hl7) == alias).map(Self)
    }

    /// The name for MSH-18.
    pub fn name(self) -> &'static str {
        self.0.hl7
    }

    /// The matching value of SpecificCharacterSet (0008,0005).
    pub fn dicom(self) -> &'static str {
        self.0.dicom
    }

    /// Text, and whether every byte meant something. Bytes above 0x7F in ASCII are read as
    /// Latin-1.
    pub fn decode(self, bytes: &[u8]) -> (String, bool) {
        match self.0.coder {
            Coder::Ascii => {
                (enc::WINDOWS_1252.decode_without_bom_handling(bytes).0.into(), bytes.is_ascii())
            }
            Coder::Table(encoding) => {
                let (text, bad) = encoding.decode_without_bom_handling(bytes);
                // Korean senders announce the set by an escape sequence that adds nothing here
                let text = match text {
                    Cow::Borrowed(text) => text.to_owned(),
                    Cow::Owned(text) if text.contains("\u{1b}$)C") => text.replace("\u{1b}$)C", ""),
                    Cow::Owned(text) => text,
                };
                (text, !bad)
            }
            Coder::Japanese(_) => decode_japanese(bytes),
        }
    }

    /// Bytes, or `None` when a character has no place in the set.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self.0.coder {
            Coder::Ascii => text.is_ascii().then(|| text.as_bytes().to_vec()),
            Coder::Japanese(true) => text
                .chars()
                .map(|c| match c {
                    '\0'..='\x7f' => Some(c as u8),
                    '\u{ff61}'..='\u{ff9f}' => Some((c as u32 - 0xff61 + 0xa1) as u8),
                    _ => None,
                })
                .collect(),
            Coder::Japanese(false) => fits(enc::ISO_2022_JP, text),
            Coder::Table(encoding) => fits(encoding, text),
        }
    }
}

impl PartialEq for Charset {
    fn eq(&self, other: &Self) -> bool {
        self.0.hl7 == other.0.hl7
    }
}

impl Eq for Charset {}

impl fmt::Debug for Charset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.hl7)
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn fits(encoding: &'static enc::Encoding, text: &str) -> Option<Vec<u8>> {
    let (bytes, _, unmappable) = encoding.encode(text);
    (!unmappable).then(|| bytes.into_owned())
}

/// ISO 2022 as Japanese HL7 and DICOM use it: JIS X 0201 (both halves), 0208 and 0212.
/// The web's ISO-2022-JP lacks 0212 and 8-bit katakana, so the pairs go through EUC-JP.
fn decode_japanese(bytes: &[u8]) -> (String, bool) {
    #[derive(PartialEq)]
    enum Set {
        Single,
        Katakana,
        Jis0208,
        Jis0212,
    }
    const ESCAPES: [(&[u8], Set); 7] = [
        (b"\x1b(B", Set::Single),
        (b"\x1b(J", Set::Single),
        (b"\x1b)I", Set::Single),
        (b"\x1b(I", Set::Katakana),
        (b"\x1b$@", Set::Jis0208),
        (b"\x1b$B", Set::Jis0208),
        (b"\x1b$(D", Set::Jis0212),
    ];
    let (mut text, mut whole, mut rest) = (String::with_capacity(bytes.len()), true, bytes);
    let mut set = &Set::Single;
    while let [first, tail @ ..] = rest {
        if let Some((escape, next)) = ESCAPES.iter().find(|(escape, _)| rest.starts_with(escape)) {
            (set, rest) = (next, &rest[escape.len()..]);
            continue;
        }
        let double = matches!(set, Set::Jis0208 | Set::Jis0212);
        rest = tail;
        match (*first, tail) {
            // a line end always returns to ASCII
            (b'\r' | b'\n', _) => {
                set = &Set::Single;
                text.push(char::from(*first));
            }
            (0x21..=0x7e, [second @ 0x21..=0x7e, after @ ..]) if double => {
                let pair = [0x8f, first | 0x80, second | 0x80];
                let pair = if *set == Set::Jis0208 { &pair[1..] } else { &pair[..] };
                let (decoded, bad) = enc::EUC_JP.decode_without_bom_handling(pair);
                whole &= !bad;
                text.push_str(&decoded);
                rest = after;
            }
            (0x21..=0x5f, _) if *set == Set::Katakana => text.push(katakana(first | 0x80)),
            (0xa1..=0xdf, _) if !double => text.push(katakana(*first)),
            (0..=0x7f, _) if !double => text.push(char::from(*first)),
            _ => {
                whole = false;
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
    }
    (text, whole)
}

/// Half-width katakana of JIS X 0201.
fn katakana(byte: u8) -> char {
    char::from_u32(0xff61 + u32::from(byte) - 0xa1).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_every_spelling() {
        for (name, dicom) in [
            ("8859/1", "ISO_IR 100"),
            ("ISO-8859-1", "ISO_IR 100"),
            ("8859/15", "ISO_IR 203"),
            ("UNICODE UTF-8", "ISO_IR 192"),
            ("utf-8", "ISO_IR 192"),
            ("ISO IR87", "ISO 2022 IR 87"),
            ("GB 18030-2000", "GB18030"),
            ("ASCII", ""),
        ] {
            assert_eq!(Charset::by_name(name).unwrap().dicom(), dicom, "{name}");
        }
        assert!(Charset::by_name("UNICODE UTF-16").is_none());
    }

    #[test]
    fn text_goes_out_and_comes_back() {
        for (name, text) in [
            ("8859/1", "Müller^Åsa"),
            ("8859/2", "Dvořák"),
            ("8859/5", "Иванов"),
            ("8859/7", "Διονυσιος"),
            ("8859/8", "שרון"),
            ("8859/9", "Çavuşoğlu"),
            ("ISO IR14", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
            ("ISO IR87", "山田^太郎|やまだ"),
            ("KS X 1001", "김희중"),
            ("GB 18030-2000", "王^小东"),
            ("BIG-5", "王小東"),
            ("UNICODE UTF-8", "Wang^小東"),
        ] {
            let charset = Charset::by_name(name).unwrap();
            let bytes = charset.encode(text).unwrap();
            assert_eq!(charset.decode(&bytes), (text.to_owned(), true), "{name}");
        }
        assert_eq!(Charset::LATIN_1.encode("太郎"), None);
        assert_eq!(Charset::ASCII.encode("ü"), None);
    }

    #[test]
    fn the_supplementary_kanji_set_is_read() {
        // 丂 is 0x3021 of JIS X 0212
        let charset = Charset::by_name("ISO IR159").unwrap();
        assert_eq!(charset.decode(b"A\x1b$(D\x30\x21\x1b(BB"), ("A丂B".to_owned(), true));
        assert!(!charset.decode(b"\x1b$B\xff").1);
    }
}
