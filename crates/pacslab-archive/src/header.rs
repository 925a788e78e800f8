//! What the archive wants to know of an instance: the header, taken from its data set.

use std::sync::LazyLock;

use pacslab_dicom::scan::{self, Scan};
use pacslab_dicom::scanner::Scanner;
use pacslab_dicom::{ParseError, TransferSyntax, dict};
use pacslab_model::{Identifiers, Level, Tag, Uid, tags};
use serde::{Deserialize, Serialize};

/// The indexed attributes of one instance. It goes into the record's note as well, so that the
/// index can be rebuilt without reading the objects again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Header {
    #[serde(rename = "class")]
    pub sop_class: Uid,
    #[serde(rename = "sop")]
    pub sop_instance: Uid,
    #[serde(rename = "series")]
    pub series_uid: Uid,
    #[serde(rename = "study")]
    pub study_uid: Uid,
    #[serde(rename = "patient")]
    pub patient_id: String,
    #[serde(rename = "values")]
    pub attributes: Vec<(Tag, String)>,
}

/// The instance cannot be filed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HeaderError {
    #[error("{0}")]
    Parse(#[from] ParseError),
    #[error(
        "the data set has no {} {tag}; without it the instance has no place in a study",
        dict::name(*.tag)
    )]
    Missing { tag: Tag },
    #[error("{} {tag} has the value '{value}', which is no UID", dict::name(*.tag))]
    BadUid { tag: Tag, value: String },
    #[error(
        "the indexed attributes take {bytes} bytes, {limit} are allowed; are they what they say they are?"
    )]
    TooMuch { bytes: usize, limit: usize },
}

/// All attributes of all levels, ascending: what a scan looks for.
static WANTED: LazyLock<Vec<Tag>> = LazyLock::new(|| {
    let mut wanted: Vec<Tag> =
        Level::ALL.iter().flat_map(|level| level.attributes()).copied().collect();
    wanted.sort_unstable();
    wanted
});

impl Header {
    /// From a data set that is in memory whole.
    ///
    /// # Errors
    /// A broken structure, or a UID that is missing or none.
    pub fn read(dataset: &[u8], syntax: &TransferSyntax) -> Result<Self, HeaderError> {
        Self::from_scan(&scan::scan(dataset, syntax, &WANTED)?)
    }

    fn from_scan(found: &Scan<'_>) -> Result<Self, HeaderError> {
        let attributes: Vec<(Tag, String)> = found
            .texts()
            .filter(|(_, text)| !text.is_empty())
            .map(|(tag, text)| (tag, shortened(text)))
            .collect();
        let text = |tag: Tag| {
            attributes.iter().find(|(found, _)| *found == tag).map_or("", |(_, text)| text.as_str())
        };
        let uid = |tag: Tag| match text(tag) {
            "" => Err(HeaderError::Missing { tag }),
            value if plausible(value) => Ok(Uid::new(value)),
            value => Err(HeaderError::BadUid { tag, value: value.chars().take(80).collect() }),
        };
        Ok(Self {
            sop_class: uid(tags::SOP_CLASS_UID)?,
            sop_instance: uid(tags::SOP_INSTANCE_UID)?,
            series_uid: uid(tags::SERIES_INSTANCE_UID)?,
            study_uid: uid(tags::STUDY_INSTANCE_UID)?,
            patient_id: text(tags::PATIENT_ID).to_owned(),
            attributes,
        })
    }

    /// By what the timeline of the study finds it.
    pub fn study(&self) -> Identifiers {
        Identifiers {
            accession: self.text(tags::ACCESSION_NUMBER).to_owned(),
            patient_id: self.patient_id.clone(),
            study_uid: self.study_uid.to_string(),
            ..Identifiers::default()
        }
    }

    pub fn text(&self, tag: Tag) -> &str {
        self.attributes.iter().find(|(found, _)| *found == tag).map_or("", |(_, text)| text)
    }
}

/// Reads a header out of a data set that is never in memory whole.
#[derive(Debug)]
pub(crate) struct HeaderReader(Scanner);

impl HeaderReader {
    pub(crate) fn new(syntax: &TransferSyntax) -> Self {
        Self(Scanner::new(syntax, WANTED.as_slice()))
    }

    /// The next bytes of the data set.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), HeaderError> {
        Ok(self.0.push(bytes)?)
    }

    pub(crate) fn finish(self) -> Result<Header, HeaderError> {
        Header::from_scan(&self.0.finish()?)
    }
}

/// The index keeps so many bytes of a value: the longest comment that the standard allows is
/// longer, whatever is searched by is far shorter. The object keeps it all.
const LONGEST: usize = 2048;

fn shortened(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

/// UIDs of real objects break PS3.5 9.1 in small ways (leading zeros); those are filed. What
/// could not be a UID at all is refused.
fn plausible(uid: &str) -> bool {
    uid.len() <= 64 && uid.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

#[cfg(test)]
mod tests {
    use pacslab_dicom::{Dataset, encode};
    use pacslab_model::Vr;

    use super::*;

    fn sample() -> Dataset {
        Dataset::new()
            .with_str(tags::SOP_CLASS_UID, Vr::UI, "1.2.840.10008.5.1.4.1.1.2")
            .with_str(tags::SOP_INSTANCE_UID, Vr::UI, "1.2.3.4")
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2")
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.3")
            .with_str(tags::PATIENT_NAME, Vr::PN, "Buc^Jérôme")
    }

    #[test]
    fn headers_are_read_decoded() {
        let bytes = encode(&sample(), &TransferSyntax::ImplicitLe);
        let header = Header::read(&bytes, &TransferSyntax::ImplicitLe).unwrap();
        assert_eq!(header.text(tags::PATIENT_NAME), "Buc^Jérôme");
        assert_eq!(header.study_uid.as_str(), "1.2");
        assert_eq!(header.patient_id, "", "an empty patient ID is allowed: it is Type 2");
    }

    #[test]
    fn what_cannot_be_filed_is_named() {
        let mut set = sample();
        set.remove(tags::STUDY_INSTANCE_UID);
        let bytes = encode(&set, &TransferSyntax::ExplicitLe);
        let error = Header::read(&bytes, &TransferSyntax::ExplicitLe).unwrap_err().to_string();
        assert!(error.contains("StudyInstanceUID (0020,000d)"), "{error}");
        set.put_str(tags::STUDY_INSTANCE_UID, Vr::UI, "../../etc");
        let bytes = encode(&set, &TransferSyntax::ExplicitLe);
        let error = Header::read(&bytes, &TransferSyntax::ExplicitLe).unwrap_err().to_string();
        assert!(error.contains("'../../etc'"), "{error}");
    }

    #[test]
    fn of_a_novel_in_an_attribute_the_index_keeps_the_beginning() {
        let mut set = sample();
        set.put_str(tags::PATIENT_COMMENTS, Vr::LT, "ü".repeat(100_000));
        let bytes = encode(&set, &TransferSyntax::ImplicitLe);
        let header = Header::read(&bytes, &TransferSyntax::ImplicitLe).unwrap();
        assert_eq!(header.text(tags::PATIENT_COMMENTS), "ü".repeat(1024));
    }
}
