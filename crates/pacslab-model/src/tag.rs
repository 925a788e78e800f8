//! Attribute tags and value representations. PS3.5 6.2, PS3.6 6.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A DICOM attribute tag, `(gggg,eeee)`, ordered as in a data set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(pub u32);

impl Tag {
    pub const fn new(group: u16, element: u16) -> Self {
        Self(((group as u32) << 16) | element as u32)
    }

    pub const fn group(self) -> u16 {
        (self.0 >> 16) as u16
    }

    pub const fn element(self) -> u16 {
        self.0 as u16
    }

    pub const fn is_private(self) -> bool {
        self.group() % 2 == 1
    }

    /// `(gggg,0000)`: retired outside command sets and file meta; ignored in queries.
    pub const fn is_group_length(self) -> bool {
        self.element() == 0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04x},{:04x})", self.group(), self.element())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Accepts `0010,0020`, `(0010,0020)` and `00100020`.
impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits: String =
            text.trim().chars().filter(|c| !matches!(c, '(' | ')' | ',')).collect();
        if digits.len() != 8 {
            return Err(format!("'{text}' is no tag: eight hexadecimal digits, like 0010,0020"));
        }
        u32::from_str_radix(&digits, 16)
            .map(Tag)
            .map_err(|_| format!("'{text}' is no tag: eight hexadecimal digits, like 0010,0020"))
    }
}

macro_rules! vrs {
    ($($name:ident)*) => {
        /// Value representation. PS3.5 table 6.2-1.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[allow(clippy::upper_case_acronyms)]
        pub enum Vr { $($name),* }

        impl Vr {
            /// The two letters of an explicit VR encoding; `None` for anything else.
            pub fn from_bytes(code: [u8; 2]) -> Option<Self> {
                $(if code == *stringify!($name).as_bytes() { return Some(Self::$name) })*
                None
            }

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }
        }
    };
}
vrs! { AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV }

impl Vr {
    /// Explicit VR: two reserved bytes and a 32-bit length. PS3.5 7.1.2.
    pub const fn has_long_length(self) -> bool {
        use Vr::*;
        matches!(self, OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV)
    }

    /// Values are characters (decoded by a character set or by the default repertoire).
    pub const fn is_text(self) -> bool {
        use Vr::*;
        matches!(
            self,
            AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT
        )
    }

    /// Values that (0008,0005) applies to. PS3.5 6.1.2.3.
    pub const fn uses_charset(self) -> bool {
        use Vr::*;
        matches!(self, LO | LT | PN | SH | ST | UC | UT)
    }

    /// `*` and `?` are wildcards in a key of this VR. PS3.4 C.2.2.2.4.
    pub const fn allows_wildcards(self) -> bool {
        use Vr::*;
        matches!(self, AE | CS | LO | LT | PN | SH | ST | UC | UR | UT)
    }

    /// Backslash is text, not a delimiter of values.
    pub const fn is_single_text(self) -> bool {
        use Vr::*;
        matches!(self, LT | ST | UT | UR)
    }

    /// Longest value in characters (PS3.5 6.2), where the standard sets one.
    pub const fn max_chars(self) -> Option<usize> {
        use Vr::*;
        Some(match self {
            AE | CS | DS | SH => 16,
            AS => 4,
            DA => 8,
            TM => 14,
            DT => 26,
            IS => 12,
            LO | PN | UI => 64,
            ST => 1024,
            LT => 10240,
            _ => return None,
        })
    }
}

impl fmt::Display for Vr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! tags {
    ($($name:ident = $group:literal, $element:literal;)*) => {
        /// The tags the lab names in code. The full dictionary is in `pacslab-dicom`.
        pub mod tags {
            use super::Tag;
            $(pub const $name: Tag = Tag::new($group, $element);)*
        }
    };
}
tags! {
    FILE_META_GROUP_LENGTH = 0x0002, 0x0000;
    FILE_META_VERSION = 0x0002, 0x0001;
    MEDIA_STORAGE_SOP_CLASS_UID = 0x0002, 0x0002;
    MEDIA_STORAGE_SOP_INSTANCE_UID = 0x0002, 0x0003;
    TRANSFER_SYNTAX_UID = 0x0002, 0x0010;
    IMPLEMENTATION_CLASS_UID = 0x0002, 0x0012;
    IMPLEMENTATION_VERSION_NAME = 0x0002, 0x0013;
    SOURCE_APPLICATION_ENTITY_TITLE = 0x0002, 0x0016;
    SPECIFIC_CHARACTER_SET = 0x0008, 0x0005;
    IMAGE_TYPE = 0x0008, 0x0008;
    INSTANCE_CREATION_DATE = 0x0008, 0x0012;
    INSTANCE_CREATION_TIME = 0x0008, 0x0013;
    SOP_CLASS_UID = 0x0008, 0x0016;
    SOP_INSTANCE_UID = 0x0008, 0x0018;
    SYNTHETIC_DATA = 0x0008, 0x001C;
    STUDY_DATE = 0x0008, 0x0020;
    SERIES_DATE = 0x0008, 0x0021;
    ACQUISITION_DATE = 0x0008, 0x0022;
    CONTENT_DATE = 0x0008, 0x0023;
    ACQUISITION_DATE_TIME = 0x0008, 0x002A;
    STUDY_TIME = 0x0008, 0x0030;
    SERIES_TIME = 0x0008, 0x0031;
    ACQUISITION_TIME = 0x0008, 0x0032;
    CONTENT_TIME = 0x0008, 0x0033;
    ACCESSION_NUMBER = 0x0008, 0x0050;
    ISSUER_OF_ACCESSION_NUMBER_SEQUENCE = 0x0008, 0x0051;
    QUERY_RETRIEVE_LEVEL = 0x0008, 0x0052;
    RETRIEVE_AE_TITLE = 0x0008, 0x0054;
    INSTANCE_AVAILABILITY = 0x0008, 0x0056;
    FAILED_SOP_INSTANCE_UID_LIST = 0x0008, 0x0058;
    MODALITY = 0x0008, 0x0060;
    CONVERSION_TYPE = 0x0008, 0x0064;
    MODALITIES_IN_STUDY = 0x0008, 0x0061;
    SOP_CLASSES_IN_STUDY = 0x0008, 0x0062;
    MANUFACTURER = 0x0008, 0x0070;
    INSTITUTION_NAME = 0x0008, 0x0080;
    INSTITUTION_ADDRESS = 0x0008, 0x0081;
    REFERRING_PHYSICIAN_NAME = 0x0008, 0x0090;
    CODE_VALUE = 0x0008, 0x0100;
    CODING_SCHEME_DESIGNATOR = 0x0008, 0x0102;
    CODING_SCHEME_VERSION = 0x0008, 0x0103;
    CODE_MEANING = 0x0008, 0x0104;
    MAPPING_RESOURCE = 0x0008, 0x0105;
    CODING_SCHEME_IDENTIFICATION_SEQUENCE = 0x0008, 0x0110;
    CODING_SCHEME_NAME = 0x0008, 0x0115;
    CODING_SCHEME_RESPONSIBLE_ORGANIZATION = 0x0008, 0x0116;
    TIMEZONE_OFFSET_FROM_UTC = 0x0008, 0x0201;
    STATION_NAME = 0x0008, 0x1010;
    STUDY_DESCRIPTION = 0x0008, 0x1030;
    PROCEDURE_CODE_SEQUENCE = 0x0008, 0x1032;
    SERIES_DESCRIPTION = 0x0008, 0x103E;
    INSTITUTIONAL_DEPARTMENT_NAME = 0x0008, 0x1040;
    PERFORMING_PHYSICIAN_NAME = 0x0008, 0x1050;
    NAME_OF_PHYSICIANS_READING_STUDY = 0x0008, 0x1060;
    OPERATORS_NAME = 0x0008, 0x1070;
    ADMITTING_DIAGNOSES_DESCRIPTION = 0x0008, 0x1080;
    MANUFACTURER_MODEL_NAME = 0x0008, 0x1090;
    REFERENCED_STUDY_SEQUENCE = 0x0008, 0x1110;
    REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE = 0x0008, 0x1111;
    REFERENCED_SERIES_SEQUENCE = 0x0008, 0x1115;
    REFERENCED_PATIENT_SEQUENCE = 0x0008, 0x1120;
    REFERENCED_IMAGE_SEQUENCE = 0x0008, 0x1140;
    REFERENCED_SOP_CLASS_UID = 0x0008, 0x1150;
    REFERENCED_SOP_INSTANCE_UID = 0x0008, 0x1155;
    RETRIEVE_URL = 0x0008, 0x1190;
    TRANSACTION_UID = 0x0008, 0x1195;
    FAILURE_REASON = 0x0008, 0x1197;
    FAILED_SOP_SEQUENCE = 0x0008, 0x1198;
    REFERENCED_SOP_SEQUENCE = 0x0008, 0x1199;
    PATIENT_NAME = 0x0010, 0x0010;
    PATIENT_ID = 0x0010, 0x0020;
    ISSUER_OF_PATIENT_ID = 0x0010, 0x0021;
    ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE = 0x0010, 0x0024;
    PATIENT_BIRTH_DATE = 0x0010, 0x0030;
    PATIENT_BIRTH_TIME = 0x0010, 0x0032;
    PATIENT_SEX = 0x0010, 0x0040;
    OTHER_PATIENT_IDS_SEQUENCE = 0x0010, 0x1002;
    PATIENT_AGE = 0x0010, 0x1010;
    PATIENT_SIZE = 0x0010, 0x1020;
    PATIENT_WEIGHT = 0x0010, 0x1030;
    PATIENT_ADDRESS = 0x0010, 0x1040;
    PATIENT_MOTHER_BIRTH_NAME = 0x0010, 0x1060;
    MEDICAL_ALERTS = 0x0010, 0x2000;
    ALLERGIES = 0x0010, 0x2110;
    ETHNIC_GROUP = 0x0010, 0x2160;
    PREGNANCY_STATUS = 0x0010, 0x21C0;
    PATIENT_COMMENTS = 0x0010, 0x4000;
    BODY_PART_EXAMINED = 0x0018, 0x0015;
    CONTRAST_BOLUS_AGENT = 0x0018, 0x0010;
    SCAN_OPTIONS = 0x0018, 0x0022;
    SLICE_THICKNESS = 0x0018, 0x0050;
    KVP = 0x0018, 0x0060;
    DATA_COLLECTION_DIAMETER = 0x0018, 0x0090;
    DEVICE_SERIAL_NUMBER = 0x0018, 0x1000;
    SOFTWARE_VERSIONS = 0x0018, 0x1020;
    PROTOCOL_NAME = 0x0018, 0x1030;
    RECONSTRUCTION_DIAMETER = 0x0018, 0x1100;
    GANTRY_DETECTOR_TILT = 0x0018, 0x1120;
    TABLE_HEIGHT = 0x0018, 0x1130;
    ROTATION_DIRECTION = 0x0018, 0x1140;
    EXPOSURE_TIME = 0x0018, 0x1150;
    X_RAY_TUBE_CURRENT = 0x0018, 0x1151;
    EXPOSURE = 0x0018, 0x1152;
    CONVOLUTION_KERNEL = 0x0018, 0x1210;
    PATIENT_POSITION = 0x0018, 0x5100;
    STUDY_INSTANCE_UID = 0x0020, 0x000D;
    SERIES_INSTANCE_UID = 0x0020, 0x000E;
    STUDY_ID = 0x0020, 0x0010;
    SERIES_NUMBER = 0x0020, 0x0011;
    ACQUISITION_NUMBER = 0x0020, 0x0012;
    INSTANCE_NUMBER = 0x0020, 0x0013;
    IMAGE_POSITION_PATIENT = 0x0020, 0x0032;
    IMAGE_ORIENTATION_PATIENT = 0x0020, 0x0037;
    FRAME_OF_REFERENCE_UID = 0x0020, 0x0052;
    LATERALITY = 0x0020, 0x0060;
    IMAGES_IN_ACQUISITION = 0x0020, 0x1002;
    POSITION_REFERENCE_INDICATOR = 0x0020, 0x1040;
    SLICE_LOCATION = 0x0020, 0x1041;
    NUMBER_OF_PATIENT_RELATED_STUDIES = 0x0020, 0x1200;
    NUMBER_OF_PATIENT_RELATED_SERIES = 0x0020, 0x1202;
    NUMBER_OF_PATIENT_RELATED_INSTANCES = 0x0020, 0x1204;
    NUMBER_OF_STUDY_RELATED_SERIES = 0x0020, 0x1206;
    NUMBER_OF_STUDY_RELATED_INSTANCES = 0x0020, 0x1208;
    NUMBER_OF_SERIES_RELATED_INSTANCES = 0x0020, 0x1209;
    IMAGE_COMMENTS = 0x0020, 0x4000;
    SAMPLES_PER_PIXEL = 0x0028, 0x0002;
    PHOTOMETRIC_INTERPRETATION = 0x0028, 0x0004;
    PLANAR_CONFIGURATION = 0x0028, 0x0006;
    NUMBER_OF_FRAMES = 0x0028, 0x0008;
    ROWS = 0x0028, 0x0010;
    COLUMNS = 0x0028, 0x0011;
    PIXEL_SPACING = 0x0028, 0x0030;
    BITS_ALLOCATED = 0x0028, 0x0100;
    BITS_STORED = 0x0028, 0x0101;
    HIGH_BIT = 0x0028, 0x0102;
    PIXEL_REPRESENTATION = 0x0028, 0x0103;
    SMALLEST_IMAGE_PIXEL_VALUE = 0x0028, 0x0106;
    LARGEST_IMAGE_PIXEL_VALUE = 0x0028, 0x0107;
    BURNED_IN_ANNOTATION = 0x0028, 0x0301;
    WINDOW_CENTER = 0x0028, 0x1050;
    WINDOW_WIDTH = 0x0028, 0x1051;
    RESCALE_INTERCEPT = 0x0028, 0x1052;
    RESCALE_SLOPE = 0x0028, 0x1053;
    RESCALE_TYPE = 0x0028, 0x1054;
    WINDOW_CENTER_WIDTH_EXPLANATION = 0x0028, 0x1055;
    LOSSY_IMAGE_COMPRESSION = 0x0028, 0x2110;
    REQUESTING_PHYSICIAN = 0x0032, 0x1032;
    REQUESTING_SERVICE = 0x0032, 0x1033;
    REQUESTED_PROCEDURE_DESCRIPTION = 0x0032, 0x1060;
    REQUESTED_PROCEDURE_CODE_SEQUENCE = 0x0032, 0x1064;
    REQUESTED_CONTRAST_AGENT = 0x0032, 0x1070;
    ADMISSION_ID = 0x0038, 0x0010;
    ROUTE_OF_ADMISSIONS = 0x0038, 0x0016;
    SPECIAL_NEEDS = 0x0038, 0x0050;
    CURRENT_PATIENT_LOCATION = 0x0038, 0x0300;
    PATIENT_STATE = 0x0038, 0x0500;
    SCHEDULED_STATION_AE_TITLE = 0x0040, 0x0001;
    SCHEDULED_PROCEDURE_STEP_START_DATE = 0x0040, 0x0002;
    SCHEDULED_PROCEDURE_STEP_START_TIME = 0x0040, 0x0003;
    SCHEDULED_PERFORMING_PHYSICIAN_NAME = 0x0040, 0x0006;
    SCHEDULED_PROCEDURE_STEP_DESCRIPTION = 0x0040, 0x0007;
    SCHEDULED_PROTOCOL_CODE_SEQUENCE = 0x0040, 0x0008;
    SCHEDULED_PROCEDURE_STEP_ID = 0x0040, 0x0009;
    SCHEDULED_STATION_NAME = 0x0040, 0x0010;
    SCHEDULED_PROCEDURE_STEP_LOCATION = 0x0040, 0x0011;
    PRE_MEDICATION = 0x0040, 0x0012;
    SCHEDULED_PROCEDURE_STEP_STATUS = 0x0040, 0x0020;
    SCHEDULED_PROCEDURE_STEP_SEQUENCE = 0x0040, 0x0100;
    REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE = 0x0040, 0x0220;
    PERFORMED_STATION_AE_TITLE = 0x0040, 0x0241;
    PERFORMED_STATION_NAME = 0x0040, 0x0242;
    PERFORMED_LOCATION = 0x0040, 0x0243;
    PERFORMED_PROCEDURE_STEP_START_DATE = 0x0040, 0x0244;
    PERFORMED_PROCEDURE_STEP_START_TIME = 0x0040, 0x0245;
    PERFORMED_PROCEDURE_STEP_END_DATE = 0x0040, 0x0250;
    PERFORMED_PROCEDURE_STEP_END_TIME = 0x0040, 0x0251;
    PERFORMED_PROCEDURE_STEP_STATUS = 0x0040, 0x0252;
    PERFORMED_PROCEDURE_STEP_ID = 0x0040, 0x0253;
    PERFORMED_PROCEDURE_STEP_DESCRIPTION = 0x0040, 0x0254;
    PERFORMED_PROCEDURE_TYPE_DESCRIPTION = 0x0040, 0x0255;
    PERFORMED_PROTOCOL_CODE_SEQUENCE = 0x0040, 0x0260;
    SCHEDULED_STEP_ATTRIBUTES_SEQUENCE = 0x0040, 0x0270;
    REQUEST_ATTRIBUTES_SEQUENCE = 0x0040, 0x0275;
    COMMENTS_ON_THE_PERFORMED_PROCEDURE_STEP = 0x0040, 0x0280;
    DISCONTINUATION_REASON_CODE_SEQUENCE = 0x0040, 0x0281;
    PERFORMED_SERIES_SEQUENCE = 0x0040, 0x0340;
    REQUESTED_PROCEDURE_ID = 0x0040, 0x1001;
    REASON_FOR_THE_REQUESTED_PROCEDURE = 0x0040, 0x1002;
    REQUESTED_PROCEDURE_PRIORITY = 0x0040, 0x1003;
    PATIENT_TRANSPORT_ARRANGEMENTS = 0x0040, 0x1004;
    CONFIDENTIALITY_CODE = 0x0040, 0x1008;
    REASON_FOR_REQUESTED_PROCEDURE_CODE_SEQUENCE = 0x0040, 0x100A;
    REQUESTED_PROCEDURE_COMMENTS = 0x0040, 0x1400;
    PLACER_ORDER_NUMBER = 0x0040, 0x2016;
    FILLER_ORDER_NUMBER = 0x0040, 0x2017;
    CONFIDENTIALITY_CONSTRAINT_ON_PATIENT_DATA_DESCRIPTION = 0x0040, 0x3001;
    RELATIONSHIP_TYPE = 0x0040, 0xA010;
    VERIFYING_ORGANIZATION = 0x0040, 0xA027;
    VERIFICATION_DATE_TIME = 0x0040, 0xA030;
    VALUE_TYPE = 0x0040, 0xA040;
    CONCEPT_NAME_CODE_SEQUENCE = 0x0040, 0xA043;
    CONTINUITY_OF_CONTENT = 0x0040, 0xA050;
    VERIFYING_OBSERVER_SEQUENCE = 0x0040, 0xA073;
    VERIFYING_OBSERVER_NAME = 0x0040, 0xA075;
    VERIFYING_OBSERVER_IDENTIFICATION_CODE_SEQUENCE = 0x0040, 0xA088;
    PERSON_NAME = 0x0040, 0xA123;
    TEXT_VALUE = 0x0040, 0xA160;
    CONCEPT_CODE_SEQUENCE = 0x0040, 0xA168;
    PREDECESSOR_DOCUMENTS_SEQUENCE = 0x0040, 0xA360;
    REFERENCED_REQUEST_SEQUENCE = 0x0040, 0xA370;
    PERFORMED_PROCEDURE_CODE_SEQUENCE = 0x0040, 0xA372;
    CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE = 0x0040, 0xA375;
    COMPLETION_FLAG = 0x0040, 0xA491;
    VERIFICATION_FLAG = 0x0040, 0xA493;
    CONTENT_TEMPLATE_SEQUENCE = 0x0040, 0xA504;
    CONTENT_SEQUENCE = 0x0040, 0xA730;
    TEMPLATE_IDENTIFIER = 0x0040, 0xDB00;
    DOCUMENT_TITLE = 0x0042, 0x0010;
    ENCAPSULATED_DOCUMENT = 0x0042, 0x0011;
    MIME_TYPE_OF_ENCAPSULATED_DOCUMENT = 0x0042, 0x0012;
    ENCAPSULATED_DOCUMENT_LENGTH = 0x0042, 0x0015;
    PIXEL_DATA = 0x7FE0, 0x0010;
    DATA_SET_TRAILING_PADDING = 0xFFFC, 0xFFFC;
    ITEM = 0xFFFE, 0xE000;
    ITEM_DELIMITATION = 0xFFFE, 0xE00D;
    SEQUENCE_DELIMITATION = 0xFFFE, 0xE0DD;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_read_and_print() {
        for text in ["0010,0020", "(0010,0020)", "00100020"] {
            assert_eq!(text.parse::<Tag>().unwrap(), tags::PATIENT_ID);
        }
        assert_eq!(tags::PIXEL_DATA.to_string(), "(7fe0,0010)");
        assert!("10,20".parse::<Tag>().unwrap_err().contains("10,20"));
    }

    #[test]
    fn vrs_know_their_letters() {
        assert_eq!(Vr::from_bytes(*b"PN"), Some(Vr::PN));
        assert_eq!(Vr::from_bytes(*b"ZZ"), None);
        assert_eq!(Vr::UT.as_str(), "UT");
    }
}
