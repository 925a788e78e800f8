//! What anonymizing takes away: the attributes of the Basic Application Level Confidentiality Profile
//! that images and documents here have. PS3.15 E.1.
//!
//! Beside these tables go all private attributes, every person's name, every date and time, and all
//! UIDs become others. It is for lessons with synthetic data: nobody has validated it for patients.

use pacslab_model::Tag;

const fn t(group: u16, element: u16) -> Tag {
    Tag::new(group, element)
}

/// Gone.
pub(super) const REMOVED: &[Tag] = &[
    t(0x0008, 0x0081), // Institution Address
    t(0x0008, 0x0082), // Institution Code Sequence
    t(0x0008, 0x0092), // Referring Physician's Address
    t(0x0008, 0x0094), // Referring Physician's Telephone Numbers
    t(0x0008, 0x0096), // Referring Physician Identification Sequence
    t(0x0008, 0x0201), // Timezone Offset From UTC
    t(0x0008, 0x1030), // Study Description
    t(0x0008, 0x103E), // Series Description
    t(0x0008, 0x1040), // Institutional Department Name
    t(0x0008, 0x1049), // Physician(s) of Record Identification Sequence
    t(0x0008, 0x1052), // Performing Physician Identification Sequence
    t(0x0008, 0x1062), // Physician(s) Reading Study Identification Sequence
    t(0x0008, 0x1072), // Operator Identification Sequence
    t(0x0008, 0x1080), // Admitting Diagnoses Description
    t(0x0008, 0x1084), // Admitting Diagnoses Code Sequence
    t(0x0008, 0x2111), // Derivation Description
    t(0x0008, 0x4000), // Identifying Comments
    t(0x0010, 0x0021), // Issuer of Patient ID
    t(0x0010, 0x0050), // Patient's Insurance Plan Code Sequence
    t(0x0010, 0x1000), // Other Patient IDs
    t(0x0010, 0x1002), // Other Patient IDs Sequence
    t(0x0010, 0x1010), // Patient's Age
    t(0x0010, 0x1020), // Patient's Size
    t(0x0010, 0x1030), // Patient's Weight
    t(0x0010, 0x1040), // Patient's Address
    t(0x0010, 0x1080), // Military Rank
    t(0x0010, 0x1081), // Branch of Service
    t(0x0010, 0x1090), // Medical Record Locator
    t(0x0010, 0x2000), // Medical Alerts
    t(0x0010, 0x2110), // Allergies
    t(0x0010, 0x2150), // Country of Residence
    t(0x0010, 0x2152), // Region of Residence
    t(0x0010, 0x2154), // Patient's Telephone Numbers
    t(0x0010, 0x2160), // Ethnic Group
    t(0x0010, 0x2180), // Occupation
    t(0x0010, 0x21A0), // Smoking Status
    t(0x0010, 0x21B0), // Additional Patient History
    t(0x0010, 0x21C0), // Pregnancy Status
    t(0x0010, 0x21F0), // Patient's Religious Preference
    t(0x0010, 0x4000), // Patient Comments
    t(0x0012, 0x0051), // Clinical Trial Time Point Description
    t(0x0018, 0x1000), // Device Serial Number
    t(0x0018, 0x1004), // Plate ID
    t(0x0018, 0x1005), // Generator ID
    t(0x0018, 0x1007), // Cassette ID
    t(0x0018, 0x1008), // Gantry ID
    t(0x0018, 0x1030), // Protocol Name
    t(0x0018, 0x1400), // Acquisition Device Processing Description
    t(0x0018, 0x4000), // Acquisition Comments
    t(0x0018, 0x700A), // Detector ID
    t(0x0020, 0x3401), // Modifying Device ID
    t(0x0020, 0x4000), // Image Comments
    t(0x0028, 0x4000), // Image Presentation Comments
    t(0x0032, 0x1020), // Scheduled Study Location
    t(0x0032, 0x1030), // Reason for Study
    t(0x0032, 0x1060), // Requested Procedure Description
    t(0x0032, 0x1064), // Requested Procedure Code Sequence
    t(0x0032, 0x1070), // Requested Contrast Agent
    t(0x0038, 0x0010), // Admission ID
    t(0x0038, 0x0300), // Current Patient Location
    t(0x0038, 0x0500), // Patient State
    t(0x0038, 0x4000), // Visit Comments
    t(0x0040, 0x0001), // Scheduled Station AE Title
    t(0x0040, 0x0007), // Scheduled Procedure Step Description
    t(0x0040, 0x0010), // Scheduled Station Name
    t(0x0040, 0x0011), // Scheduled Procedure Step Location
    t(0x0040, 0x0241), // Performed Station AE Title
    t(0x0040, 0x0242), // Performed Station Name
    t(0x0040, 0x0243), // Performed Location
    t(0x0040, 0x0253), // Performed Procedure Step ID
    t(0x0040, 0x0254), // Performed Procedure Step Description
    t(0x0040, 0x0275), // Request Attributes Sequence
    t(0x0040, 0x0280), // Comments on the Performed Procedure Step
    t(0x0040, 0x0555), // Acquisition Context Sequence
    t(0x0040, 0x1001), // Requested Procedure ID
    t(0x0040, 0x1002), // Reason for the Requested Procedure
    t(0x0040, 0x1400), // Requested Procedure Comments
    t(0x0040, 0x2016), // Placer Order Number
    t(0x0040, 0x2017), // Filler Order Number
    t(0x0040, 0x2400), // Imaging Service Request Comments
    t(0x0400, 0x0561), // Original Attributes Sequence
];

/// Left, without a value: an object has to have them.
pub(super) const EMPTIED: &[Tag] = &[
    t(0x0008, 0x0050), // Accession Number
    t(0x0008, 0x0080), // Institution Name
    t(0x0008, 0x1010), // Station Name
    t(0x0010, 0x0040), // Patient's Sex
    t(0x0018, 0x0010), // Contrast/Bolus Agent
    t(0x0020, 0x0010), // Study ID
    t(0x0070, 0x0084), // Content Creator's Name
];
