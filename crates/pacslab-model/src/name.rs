//! Person names. PS3.5 6.2.1.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of VR PN: up to three component groups (alphabetic, ideographic, phonetic)
/// separated by `=`, each of up to five components separated by `^`.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonName(String);

/// The components of one group, in the order of PS3.5 6.2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Components<'a> {
    pub family: &'a str,
    pub given: &'a str,
    pub middle: &'a str,
    pub prefix: &'a str,
    pub suffix: &'a str,
}

impl PersonName {
    /// Keeps the text as it is, without trailing empty components and groups.
    pub fn new(text: &str) -> Self {
        let groups: Vec<&str> = text.split('=').map(|g| g.trim_end_matches(['^', ' '])).collect();
        let kept = groups.iter().rposition(|g| !g.is_empty()).map_or(0, |last| last + 1);
        Self(groups[..kept].join("="))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `alphabetic`, `ideographic`, `phonetic` for 0, 1, 2; empty where absent.
    pub fn group(&self, index: usize) -> &str {
        self.0.split('=').nth(index).unwrap_or("")
    }

    pub fn components(&self, group: usize) -> Components<'_> {
        let mut parts = self.group(group).split('^').map(str::trim);
        let mut next = || parts.next().unwrap_or("");
        Components { family: next(), given: next(), middle: next(), prefix: next(), suffix: next() }
    }
}

impl From<&str> for PersonName {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl fmt::Display for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_only_what_means_nothing() {
        assert_eq!(PersonName::new("DOE^JANE^^^").as_str(), "DOE^JANE");
        assert_eq!(PersonName::new("Yamada^Tarou=山田^太郎=").as_str(), "Yamada^Tarou=山田^太郎");
        assert_eq!(PersonName::new("=山田^太郎").group(1), "山田^太郎");
        let name = PersonName::new("Adams^John Robert Quincy^^Rev.^B.A. M.Div.");
        assert_eq!(name.components(0).prefix, "Rev.");
        assert_eq!(name.components(0).suffix, "B.A. M.Div.");
    }
}
