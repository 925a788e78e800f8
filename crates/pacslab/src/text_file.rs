//! Text files as people make them. Editors on Windows put a byte order mark in front, and what its
//! older PowerShell writes with `>` is UTF-16: both say the same as the plain text.

use std::io;
use std::path::Path;

/// A file of text, in UTF-8 or UTF-16.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    String::from_utf8(utf8(std::fs::read(path)?)).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8 text: save it as UTF-8")
    })
}

/// The bytes without a byte order mark; UTF-16 that begins with one becomes UTF-8.
pub(crate) fn utf8(bytes: Vec<u8>) -> Vec<u8> {
    match bytes.as_slice() {
        [0xEF, 0xBB, 0xBF, rest @ ..] => rest.to_vec(),
        [0xFF, 0xFE, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => bytes,
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_wide_characters_are_taken_for_what_they_say() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        let text = "[dicom]\r\naet = \"LÜBECK\"";
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}".chars().chain(text.chars()).flat_map(|c| order(c as u16)).collect()
        };
        let marked = format!("\u{feff}{text}").into_bytes();
        for bytes in [text.into(), marked, wide(u16::to_le_bytes), wide(u16::to_be_bytes)] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(read(&path).unwrap(), text);
        }
        std::fs::write(&path, b"L\xdcBECK").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("UTF-8"));
    }
}
