//! Application entity titles. PS3.5 6.2 (VR AE), PS3.8 9.3.2.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An AE title: 1 to 16 characters of the default repertoire, no backslash, no control
/// characters, leading and trailing spaces not significant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AeTitle(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadAeTitle {
    #[error("an AE title must not be empty")]
    Empty,
    #[error("AE title '{0}' has {1} characters; the limit is 16")]
    Long(String, usize),
    #[error(
        "AE title '{0}' contains {1:?}; letters, digits and other ASCII except backslash are allowed"
    )]
    Character(String, char),
}

impl AeTitle {
    pub fn new(text: &str) -> Result<Self, BadAeTitle> {
        let title = text.trim_matches(' ');
        if title.is_empty() {
            return Err(BadAeTitle::Empty);
        }
        if let Some(bad) = title.chars().find(|c| !(' '..='~').contains(c) || *c == '\\') {
            return Err(BadAeTitle::Character(title.to_owned(), bad));
        }
        if title.len() > 16 {
            return Err(BadAeTitle::Long(title.to_owned(), title.len()));
        }
        Ok(Self(title.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 16 bytes of an A-ASSOCIATE field, padded with spaces.
    pub fn to_field(&self) -> [u8; 16] {
        let mut field = [b' '; 16];
        field[..self.0.len()].copy_from_slice(self.0.as_bytes());
        field
    }
}

impl TryFrom<String> for AeTitle {
    type Error = BadAeTitle;
    fn try_from(text: String) -> Result<Self, BadAeTitle> {
        Self::new(&text)
    }
}

impl From<AeTitle> for String {
    fn from(title: AeTitle) -> String {
        title.0
    }
}

impl FromStr for AeTitle {
    type Err = BadAeTitle;
    fn from_str(text: &str) -> Result<Self, BadAeTitle> {
        Self::new(text)
    }
}

impl fmt::Display for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AeTitle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_trimmed_and_bounded() {
        assert_eq!(AeTitle::new(" PYMOD1  ").unwrap().as_str(), "PYMOD1");
        assert_eq!(AeTitle::new("A").unwrap().to_field(), *b"A               ");
        assert_eq!(AeTitle::new("   "), Err(BadAeTitle::Empty));
        assert!(matches!(AeTitle::new("SEVENTEEN_LETTERS"), Err(BadAeTitle::Long(_, 17))));
        assert!(matches!(AeTitle::new("A\\B"), Err(BadAeTitle::Character(_, '\\'))));
        assert!(matches!(AeTitle::new("Ä"), Err(BadAeTitle::Character(_, 'Ä'))));
    }
}
