//! Character sets: (0008,0005) SpecificCharacterSet. PS3.3 C.12.1.1.2, PS3.5 6.1 and H to K.
//!
//! Text is Unicode inside the lab. It is decoded here when a data set is read, and encoded here
//! when one is written.

use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_8859_2, ISO_8859_3, ISO_8859_4, ISO_8859_5,
    ISO_8859_6, ISO_8859_7, ISO_8859_8, ISO_8859_15, SHIFT_JIS, WINDOWS_874, WINDOWS_1252,
    WINDOWS_1254,
};
use pacslab_model::Vr;

/// How the text values of one data set are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charset {
    first: Repertoire,
    /// More than one value, or one with `ISO 2022`: escape sequences switch sets.
    escapes: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repertoire {
    /// No (0008,0005), or ISO_IR 6.
    Default,
    Utf8,
    /// A set that an `Encoding` covers whole.
    Whole(&'static Encoding),
    /// JIS X 0201: Latin with yen, and half-width katakana above 0x80.
    JisX0201,
}

/// The value to declare when text is written as UTF-8.
pub const UTF8: &str = "ISO_IR 192";

impl Charset {
    pub const DEFAULT: Self = Self { first: Repertoire::Default, escapes: false };
    pub const UTF8: Self = Self { first: Repertoire::Utf8, escapes: false };

    /// From the value of (0008,0005). Terms that nobody knows are read as the default, which
    /// guesses; [`Charset::is_known`] tells them apart for a warning.
    pub fn parse(value: &str) -> Self {
        let mut terms = value.split('\\').map(str::trim);
        let first = terms.next().unwrap_or("");
        let escapes = value.contains('\\') || first.starts_with("ISO 2022");
        Self { first: repertoire(first).unwrap_or(Repertoire::Default), escapes }
    }

    pub fn is_known(value: &str) -> bool {
        value
            .split('\\')
            .map(str::trim)
            .all(|term| repertoire(term).is_some() || is_escape_only(term))
    }

    /// Decodes a value. Bytes that mean nothing in the set become U+FFFD; nothing is refused,
    /// because an image with a spoiled name is still an image.
    pub fn decode(&self, vr: Vr, bytes: &[u8]) -> String {
        if bytes.is_ascii() && !(self.escapes && bytes.contains(&0x1B)) {
            return String::from_utf8_lossy(bytes).into_owned();
        }
        if !vr.uses_charset() {
            return latin(bytes);
        }
        if self.escapes {
            return decode_iso_2022(self.first, vr, bytes);
        }
        self.first.decode(bytes)
    }

    /// Encodes a value, or `None` if the set lacks a character of it (then use UTF-8). A value whose
    /// VR knows no sets (a UID beyond ASCII, say) is wrong in any of them and read back from UTF-8.
    pub fn encode(&self, vr: Vr, text: &str) -> Option<Vec<u8>> {
        if text.is_ascii() || !vr.uses_charset() {
            return Some(text.as_bytes().to_vec());
        }
        match self.first {
            Repertoire::Utf8 => Some(text.as_bytes().to_vec()),
            Repertoire::Whole(encoding) if !self.escapes => {
                let (bytes, _, unmappable) = encoding.encode(text);
                (!unmappable).then(|| bytes.into_owned())
            }
            _ => None,
        }
    }
}

impl Repertoire {
    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Default => latin(bytes),
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Whole(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Self::JisX0201 => SHIFT_JIS.decode_without_bom_handling(bytes).0.into_owned(),
        }
    }
}

/// Bytes above 0x7F although no set was declared: UTF-8 if it reads as such, else Latin-1, which
/// is what senders mean in practice.
fn latin(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// PS3.3 tables C.12-2 to C.12-5: defined terms for single-byte and multi-byte sets.
fn repertoire(term: &str) -> Option<Repertoire> {
    let number = term.strip_prefix("ISO_IR ").or_else(|| term.strip_prefix("ISO 2022 IR "));
    Some(match (term, number) {
        ("" | "ISO_IR 6" | "ISO 2022 IR 6", _) => Repertoire::Default,
        ("GB18030", _) => Repertoire::Whole(GB18030),
        ("GBK", _) => Repertoire::Whole(GBK),
        ("BIG5", _) => Repertoire::Whole(BIG5),
        (_, Some("192")) => Repertoire::Utf8,
        (_, Some("13")) => Repertoire::JisX0201,
        (_, Some(ir)) => Repertoire::Whole(single_byte(ir)?),
        _ => return None,
    })
}

fn single_byte(ir: &str) -> Option<&'static Encoding> {
    Some(match ir {
        "100" => WINDOWS_1252,
        "101" => ISO_8859_2,
        "109" => ISO_8859_3,
        "110" => ISO_8859_4,
        "144" => ISO_8859_5,
        "127" => ISO_8859_6,
        "126" => ISO_8859_7,
        "138" => ISO_8859_8,
        "148" => WINDOWS_1254,
        "203" => ISO_8859_15,
        "166" => WINDOWS_874,
        _ => return None,
    })
}

fn is_escape_only(term: &str) -> bool {
    matches!(term, "ISO 2022 IR 87" | "ISO 2022 IR 159" | "ISO 2022 IR 149" | "ISO 2022 IR 58")
}

/// What the bytes below and above 0x80 mean at one place of an ISO 2022 value.
#[derive(Clone, Copy)]
struct Designated {
    g0: G0,
    g1: G1,
}

#[derive(Clone, Copy, PartialEq)]
enum G0 {
    Single,
    Jis0208,
    Jis0212,
}

#[derive(Clone, Copy)]
enum G1 {
    Single(Repertoire),
    Korean,
    Chinese,
}

/// PS3.3 table C.12-3 and C.12-4: escape sequence, what it designates, its length.
fn escape(bytes: &[u8], now: Designated) -> Option<(Designated, usize)> {
    let g1 = |ir| Some(G1::Single(Repertoire::Whole(single_byte(ir)?)));
    Some(match bytes {
        [b'$', b'(', b'D', ..] => (Designated { g0: G0::Jis0212, ..now }, 3),
        [b'$', b')', b'C', ..] => (Designated { g1: G1::Korean, ..now }, 3),
        [b'$', b')', b'A', ..] => (Designated { g1: G1::Chinese, ..now }, 3),
        [b'$', b'B' | b'@', ..] => (Designated { g0: G0::Jis0208, ..now }, 2),
        [b'(', b'B' | b'J', ..] => (Designated { g0: G0::Single, ..now }, 2),
        [b')', b'I', ..] => (Designated { g1: G1::Single(Repertoire::JisX0201), ..now }, 2),
        [b'-', set, ..] => {
            let g1 = match set {
                b'A' => g1("100"),
                b'B' => g1("101"),
                b'C' => g1("109"),
                b'D' => g1("110"),
                b'L' => g1("144"),
                b'G' => g1("127"),
                b'F' => g1("126"),
                b'H' => g1("138"),
                b'M' => g1("148"),
                b'b' => g1("203"),
                b'T' => g1("166"),
                _ => None,
            }?;
            (Designated { g1, ..now }, 2)
        }
        _ => return None,
    })
}

fn decode_iso_2022(first: Repertoire, vr: Vr, bytes: &[u8]) -> String {
    let initial = Designated { g0: G0::Single, g1: G1::Single(first) };
    let mut now = initial;
    let mut text = String::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte == 0x1B {
            match escape(&bytes[at + 1..], now) {
                Some((next, length)) => {
                    now = next;
                    at += 1 + length;
                }
                None => {
                    text.push('\u{FFFD}');
                    at += 1;
                }
            }
            continue;
        }
        let pair = bytes.get(at + 1).copied();
        if byte < 0x80 {
            match (now.g0, pair) {
                (G0::Jis0208, Some(low)) if byte > 0x20 => {
                    text.push_str(&decode_with(EUC_JP, &[byte | 0x80, low | 0x80]));
                    at += 2;
                    continue;
                }
                (G0::Jis0212, Some(low)) if byte > 0x20 => {
                    text.push_str(&decode_with(EUC_JP, &[0x8F, byte | 0x80, low | 0x80]));
                    at += 2;
                    continue;
                }
                _ => {}
            }
            // PS3.5 6.1.2.5.3: delimiters bring the initial sets back
            if matches!(byte, b'\\' | b'\r' | b'\n' | 0x0C | b'\t')
                || (vr == Vr::PN && matches!(byte, b'^' | b'='))
            {
                now = initial;
            }
            text.push(char::from(byte));
            at += 1;
            continue;
        }
        match (now.g1, pair) {
            (G1::Korean, Some(low)) => {
                text.push_str(&decode_with(EUC_KR, &[byte, low]));
                at += 2;
            }
            (G1::Chinese, Some(low)) => {
                text.push_str(&decode_with(GBK, &[byte, low]));
                at += 2;
            }
            (G1::Single(set), _) => {
                text.push_str(&set.decode(&[byte]));
                at += 1;
            }
            _ => {
                text.push('\u{FFFD}');
                at += 1;
            }
        }
    }
    text
}

fn decode_with(encoding: &'static Encoding, bytes: &[u8]) -> String {
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(charset: &str, bytes: &[u8]) -> String {
        Charset::parse(charset).decode(Vr::PN, bytes)
    }

    /// The examples of PS3.5 annexes H, I, J and K.
    #[test]
    fn names_of_the_standard() {
        assert_eq!(
            name("\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"),
            "Yamada^Tarou=山田^太郎=やまだ^たろう"
        );
        assert_eq!(
            name(
                "ISO 2022 IR 13\\ISO 2022 IR 87",
                b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J"
            ),
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎"
        );
        assert_eq!(
            name("\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf"),
            "Hong^Gildong=洪^吉洞=홍^길동"
        );
        assert_eq!(name("ISO_IR 100", b"Buc^J\xe9r\xf4me"), "Buc^Jérôme");
        assert_eq!(
            name("ISO_IR 144", b"\xbb\xee\xda\x63\xd5\xdc\xd1\xe3\xe0\xd3"),
            "Люкc\u{435}мбург"
        );
        assert_eq!(name("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"), "Διονυσιος");
        assert_eq!(
            name("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),
            "Wang^XiaoDong=王^小东="
        );
        assert_eq!(name("ISO_IR 192", "Äneas^Rüdiger".as_bytes()), "Äneas^Rüdiger");
    }

    #[test]
    fn undeclared_bytes_are_guessed_and_never_refused() {
        assert_eq!(name("", b"J\xe9r\xf4me"), "Jérôme");
        assert_eq!(name("", "Jérôme".as_bytes()), "Jérôme");
        assert_eq!(name("ISO 2022 IR 87", b"A\x1bZ\x1b"), "A\u{FFFD}Z\u{FFFD}");
        assert!(!Charset::is_known("KLINGON"));
        assert!(Charset::is_known("\\ISO 2022 IR 149"));
    }

    #[test]
    fn encoding_tells_when_it_cannot() {
        assert_eq!(Charset::parse("ISO_IR 100").encode(Vr::PN, "Jérôme").unwrap(), b"J\xe9r\xf4me");
        assert_eq!(Charset::parse("ISO_IR 100").encode(Vr::PN, "山田"), None);
        assert_eq!(Charset::DEFAULT.encode(Vr::PN, "Jérôme"), None);
        // a UID beyond ASCII once turned the whole data set into UTF-8, and that back again
        assert_eq!(Charset::parse("ISO_IR 101").encode(Vr::UI, "1.2®").unwrap(), "1.2®".as_bytes());
        assert_eq!(Charset::UTF8.encode(Vr::PN, "山田").unwrap(), "山田".as_bytes());
    }
}
