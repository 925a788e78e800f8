//! Values as rows hold them: tag, length and text, one behind the other, ascending by tag. Reading
//! one value walks over the others; nothing is taken apart that nobody asks for.

use pacslab_model::{Tag, Uid};

use crate::index::Texts;

pub(crate) fn encode<'a>(texts: impl Iterator<Item = (Tag, &'a str)>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    for (tag, text) in texts {
        bytes.extend(tag.0.to_be_bytes());
        let mut len = text.len();
        while len >= 0x80 {
            bytes.push(len as u8 | 0x80);
            len >>= 7;
        }
        bytes.push(len as u8);
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// Ends where the bytes make no sense: the index can be made again.
pub(crate) fn iter(mut bytes: &[u8]) -> impl Iterator<Item = (Tag, &str)> {
    std::iter::from_fn(move || {
        let (tag, mut rest) = bytes.split_first_chunk::<4>()?;
        let (mut len, mut shift) = (0_usize, 0_u32);
        loop {
            let (byte, behind) = rest.split_first()?;
            rest = behind;
            len |= usize::from(byte & 0x7F).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        let (text, behind) = rest.split_at_checked(len)?;
        bytes = behind;
        Some((Tag(u32::from_be_bytes(*tag)), std::str::from_utf8(text).ok()?))
    })
}

pub(crate) fn decode(bytes: &[u8]) -> Texts {
    iter(bytes).map(|(tag, text)| (tag, text.to_owned())).collect()
}

/// The number by which a UID is found: of the part before the last dot and of the rest, so that
/// the UIDs of one series lie side by side in the index. Different UIDs may have the same number.
pub(crate) fn uid_key(uid: &str) -> i64 {
    let (stem, last) = uid.rsplit_once('.').unwrap_or(("", uid));
    let low = match last.parse::<u32>() {
        Ok(number) => number,
        Err(_) => hash(last) as u32,
    };
    (hash(stem) << 32 | u64::from(low)).cast_signed()
}

/// FNV-1a, mixed once more at the end: it is in files, so it never changes.
fn hash(text: &str) -> u64 {
    let sum = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (sum ^ sum >> 32).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32
}

/// Padding goes; matching does not see it either.
pub(crate) fn clean(text: &str) -> &str {
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
}

pub(crate) fn clean_uid(uid: &Uid) -> &str {
    clean(uid.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back() {
        let long = "ü".repeat(20_000);
        let texts = [(Tag(1), "a"), (Tag(0x0010_0010), long.as_str()), (Tag(u32::MAX), "")];
        let bytes = encode(texts.into_iter());
        assert_eq!(iter(&bytes).collect::<Vec<_>>(), texts);
        for cut in [1, 5, 7, bytes.len() - 1] {
            assert!(iter(&bytes[..cut]).count() < 3);
        }
        assert_eq!(iter(&[0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]).count(), 0);
    }

    #[test]
    fn uids_of_one_series_are_neighbours() {
        assert_eq!(uid_key("1.2.3.7") + 1, uid_key("1.2.3.8"));
        assert_ne!(uid_key("1.2.3.7") >> 32, uid_key("1.2.4.7") >> 32);
        assert_ne!(uid_key("2.25.329800735698586629295641978511506172918"), uid_key("2.25.1"));
        // it is in files: these numbers never change
        assert_eq!(uid_key("1.2.840.10008.1.1"), UNCHANGED);
    }

    const UNCHANGED: i64 = 8_503_217_604_565_925_889;
}
