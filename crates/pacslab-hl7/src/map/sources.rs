//! Where each attribute is looked for: the table, or what a site has put in its place.

use super::{Attribute, TABLE};
use crate::path::Path;

/// The sources of every attribute; [`Sources::default`] is the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sources(Vec<Vec<Source>>);

/// One place to look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    pub path: Path,
    /// Not where the standard has it: read leniently only, and told. What a site names itself is
    /// always read.
    pub practice: bool,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadSource {
    #[error(
        "'{0}' names no attribute and its fields; write it like AccessionNumber=OBR-3.1,ORC-3.1"
    )]
    Form(String),
    #[error("'{0}' is no attribute that HL7 brings; the keywords are in docs/hl7.md{1}")]
    Attribute(String, String),
    #[error(transparent)]
    Path(#[from] crate::path::BadPath),
}

impl Default for Sources {
    fn default() -> Self {
        let read = |paths: &[&str], practice| {
            let paths = paths.iter().filter_map(|text| text.parse().ok());
            paths.map(|path| Source { path, practice }).collect::<Vec<_>>()
        };
        let row = |row: &super::Row| [read(row.standard, false), read(row.practice, true)].concat();
        Self(TABLE.iter().map(row).collect())
    }
}

impl Sources {
    pub fn of(&self, attribute: Attribute) -> &[Source] {
        &self.0[attribute as usize]
    }

    /// Looks for an attribute in these places, in this order, and nowhere else.
    pub fn set(&mut self, attribute: Attribute, paths: Vec<Path>) {
        let source = |path| Source { path, practice: false };
        self.0[attribute as usize] = paths.into_iter().map(source).collect();
    }

    /// As [`Sources::set`], from a line of configuration: `AccessionNumber=OBR-3.1,ORC-3.1`.
    ///
    /// # Errors
    /// No attribute of the table, or no path.
    pub fn set_line(&mut self, line: &str) -> Result<(), BadSource> {
        let (keyword, paths) =
            line.split_once('=').ok_or_else(|| BadSource::Form(line.to_owned()))?;
        let attribute = Attribute::by_keyword(keyword).ok_or_else(|| {
            let keyword = keyword.trim();
            BadSource::Attribute(keyword.to_owned(), similar(keyword))
        })?;
        let paths: Vec<Path> = paths
            .split([',', ' '])
            .filter(|path| !path.trim().is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if paths.is_empty() {
            return Err(BadSource::Form(line.to_owned()));
        }
        self.set(attribute, paths);
        Ok(())
    }
}

/// Keywords that contain what was typed, or the other way round.
fn similar(typed: &str) -> String {
    let typed = typed.to_ascii_lowercase();
    let near = TABLE.iter().map(|row| row.keyword).filter(|keyword| {
        let keyword = keyword.to_ascii_lowercase();
        typed.len() > 2 && (keyword.contains(&typed) || typed.contains(&keyword))
    });
    let near: Vec<&str> = near.collect();
    if near.is_empty() { String::new() } else { format!("; perhaps {}", near.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_configuration_replaces_the_sources_of_one_attribute() {
        let mut sources = Sources::default();
        let table = sources.clone();
        sources.set_line("accessionnumber = OBR-3.1, ORC-3.1").unwrap();
        let paths = |attribute| {
            let of = sources.of(attribute).iter();
            of.map(|source| source.path.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(paths(Attribute::AccessionNumber), ["OBR-3.1", "ORC-3.1"]);
        assert_eq!(sources.of(Attribute::Modality), table.of(Attribute::Modality));
        assert!(table.of(Attribute::AccessionNumber).iter().any(|source| source.practice));
        for (bad, word) in [
            ("OBR-3.1", "write it like"),
            ("AccessionNumber=", "write it like"),
            ("Accession=OBR-3.1", "perhaps AccessionNumber"),
            ("AccessionNumber=OBRX-3", "'OBRX-3'"),
        ] {
            let told = Sources::default().set_line(bad).unwrap_err().to_string();
            assert!(told.contains(word), "{told}");
        }
    }
}
