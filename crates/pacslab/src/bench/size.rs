//! How large images are: `8KB`, `512KB`, `mixed`.

use std::fmt;
use std::str::FromStr;

/// The pixels of one image, or the mixture of a department.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Bytes(usize),
    /// Six CT of 512 KB, three MR of 128 KB and one radiograph of 2 MB, in turns.
    Mixed,
}

impl Size {
    pub(crate) const SMALL: Self = Self::Bytes(8 << 10);
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("mixed") {
            return Ok(Self::Mixed);
        }
        let wrong = || "a size such as 8KB, 512KB, 2MB or mixed is expected".to_owned();
        let bytes = read_bytes(text).ok_or_else(wrong)?;
        match usize::try_from(bytes) {
            Ok(bytes @ 512..=0x400_0000) => Ok(Self::Bytes(bytes)),
            _ => Err("an image has 512 bytes to 64 MB of pixels".to_owned()),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mixed => f.write_str("mixed"),
            Self::Bytes(bytes) if bytes % (1 << 20) == 0 => write!(f, "{} MB", bytes >> 20),
            Self::Bytes(bytes) if bytes % (1 << 10) == 0 => write!(f, "{} KB", bytes >> 10),
            Self::Bytes(bytes) => write!(f, "{bytes} B"),
        }
    }
}

/// `8KB`, `1.5 MB`, `2GB` or a number of bytes. As PACS do, a KB has 1024.
pub(crate) fn read_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| *number >= 0.0)?;
    Some((number * factor as f64).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Size>().map(|size| size.to_string());
        assert_eq!(read("8KB").unwrap(), "8 KB");
        assert_eq!(read("512k").unwrap(), "512 KB");
        assert_eq!(read("1.5 MB").unwrap(), "1536 KB");
        assert_eq!(read("2097152").unwrap(), "2 MB");
        assert_eq!(read("Mixed").unwrap(), "mixed");
        for bad in ["", "KB", "8 parsecs", "10B", "1GB", "-8KB"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
