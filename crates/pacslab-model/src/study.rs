//! The study hierarchy and which attributes belong to which level.
//! PS3.4 C.6.1.1 (Patient Root), C.6.2.1 (Study Root).

use serde::{Deserialize, Serialize};

use crate::tag::{Tag, tags};

/// A level of the query/retrieve model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Patient,
    Study,
    Series,
    Instance,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Patient, Self::Study, Self::Series, Self::Instance];

    /// The value of (0008,0052) QueryRetrieveLevel.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "PATIENT",
            Self::Study => "STUDY",
            Self::Series => "SERIES",
            Self::Instance => "IMAGE",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text.trim())
    }

    /// The unique key of the level.
    pub const fn key(self) -> Tag {
        match self {
            Self::Patient => tags::PATIENT_ID,
            Self::Study => tags::STUDY_INSTANCE_UID,
            Self::Series => tags::SERIES_INSTANCE_UID,
            Self::Instance => tags::SOP_INSTANCE_UID,
        }
    }

    /// The attributes kept in the index for one resource of this level. A query may match any of
    /// them; what the index does not keep is returned empty.
    pub const fn attributes(self) -> &'static [Tag] {
        use tags::*;
        match self {
            Self::Patient => &[
                PATIENT_NAME,
                PATIENT_ID,
                ISSUER_OF_PATIENT_ID,
                PATIENT_BIRTH_DATE,
                PATIENT_BIRTH_TIME,
                PATIENT_SEX,
                ETHNIC_GROUP,
                PATIENT_COMMENTS,
            ],
            Self::Study => &[
                STUDY_INSTANCE_UID,
                STUDY_DATE,
                STUDY_TIME,
                ACCESSION_NUMBER,
                STUDY_ID,
                STUDY_DESCRIPTION,
                REFERRING_PHYSICIAN_NAME,
                NAME_OF_PHYSICIANS_READING_STUDY,
                ADMITTING_DIAGNOSES_DESCRIPTION,
                INSTITUTION_NAME,
                REQUESTED_PROCEDURE_DESCRIPTION,
                REQUESTING_PHYSICIAN,
                PATIENT_AGE,
                PATIENT_SIZE,
                PATIENT_WEIGHT,
                TIMEZONE_OFFSET_FROM_UTC,
            ],
            Self::Series => &[
                SERIES_INSTANCE_UID,
                MODALITY,
                SERIES_NUMBER,
                SERIES_DESCRIPTION,
                SERIES_DATE,
                SERIES_TIME,
                BODY_PART_EXAMINED,
                LATERALITY,
                PROTOCOL_NAME,
                STATION_NAME,
                MANUFACTURER,
                MANUFACTURER_MODEL_NAME,
                INSTITUTIONAL_DEPARTMENT_NAME,
                OPERATORS_NAME,
                PERFORMING_PHYSICIAN_NAME,
                PATIENT_POSITION,
                FRAME_OF_REFERENCE_UID,
                PERFORMED_PROCEDURE_STEP_ID,
                PERFORMED_PROCEDURE_STEP_START_DATE,
                PERFORMED_PROCEDURE_STEP_START_TIME,
                PERFORMED_PROCEDURE_STEP_DESCRIPTION,
                IMAGE_ORIENTATION_PATIENT,
                CONTRAST_BOLUS_AGENT,
            ],
            Self::Instance => &[
                SOP_CLASS_UID,
                SOP_INSTANCE_UID,
                INSTANCE_NUMBER,
                CONTENT_DATE,
                CONTENT_TIME,
                ACQUISITION_NUMBER,
                ACQUISITION_DATE,
                ACQUISITION_TIME,
                ACQUISITION_DATE_TIME,
                INSTANCE_CREATION_DATE,
                INSTANCE_CREATION_TIME,
                IMAGE_TYPE,
                NUMBER_OF_FRAMES,
                ROWS,
                COLUMNS,
                BITS_ALLOCATED,
                IMAGE_POSITION_PATIENT,
                SLICE_LOCATION,
                IMAGE_COMMENTS,
            ],
        }
    }

    /// The level whose resources carry `tag`, counted and collected attributes included.
    pub fn of(tag: Tag) -> Option<Self> {
        use tags::*;
        match tag {
            NUMBER_OF_PATIENT_RELATED_STUDIES
            | NUMBER_OF_PATIENT_RELATED_SERIES
            | NUMBER_OF_PATIENT_RELATED_INSTANCES => return Some(Self::Patient),
            MODALITIES_IN_STUDY
            | SOP_CLASSES_IN_STUDY
            | NUMBER_OF_STUDY_RELATED_SERIES
            | NUMBER_OF_STUDY_RELATED_INSTANCES => return Some(Self::Study),
            NUMBER_OF_SERIES_RELATED_INSTANCES => return Some(Self::Series),
            _ => {}
        }
        Self::ALL.into_iter().find(|level| level.attributes().contains(&tag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_indexed_attribute_has_one_level() {
        for level in Level::ALL {
            for tag in level.attributes() {
                assert_eq!(Level::of(*tag), Some(level), "{tag}");
            }
            assert_eq!(Level::parse(level.as_str()), Some(level));
            assert!(level.attributes().contains(&level.key()));
        }
    }
}
