//! Which field of a message becomes which attribute of the worklist: one table, whose sources a
//! site may replace. IHE RAD TF-2 appendix B; PS3.4 K.6.1.2.2.
//!
//! An attribute is looked for in its sources from left to right; the first that has a value counts.
//! Segments that a kind of message lacks (IPC outside OMI, AIS outside SIU) are simply not found, so
//! that one list serves every kind.

mod clear;
mod sources;

pub use sources::{BadSource, Source, Sources};

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The first subcomponent of the component.
    Text,
    /// XPN in PID and MRG, NDL where the first component has subcomponents, else XCN.
    Name,
    /// Value, meaning and scheme from the component on.
    Code,
    /// The meaning of a code, or the code where there is none.
    Described,
    /// CX in PID, PV1 and MRG, else EI.
    Identifier,
    /// The components of an address or a place as one text.
    Joined,
    /// Date and time.
    Time,
    /// Every segment of that name, every repetition.
    Each,
    /// OBX-5 of the OBX whose OBX-3 is one of these, in kilograms or metres.
    Observed(&'static [&'static str]),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub attribute: Attribute,
    /// The DICOM keyword.
    pub keyword: &'static str,
    /// `(0008,0050)`
    pub tag: &'static str,
    /// What people call it.
    pub what: &'static str,
    pub kind: Kind,
    /// Where the standard and IHE have it.
    pub standard: &'static [&'static str],
    /// Where it is met as well; strict reading does not look there.
    pub practice: &'static [&'static str],
}

macro_rules! attributes {
    ($($keyword:ident $tag:literal $what:literal $kind:expr, [$($standard:literal)*] [$($practice:literal)*])*) => {
        /// An attribute that a message may bring.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Attribute {
            $( #[doc = concat!($tag, ": ", $what)] $keyword, )*
        }

        /// The table, in the order of [`Attribute`].
        pub static TABLE: &[Row] = &[$( Row {
            attribute: Attribute::$keyword,
            keyword: stringify!($keyword),
            tag: $tag,
            what: $what,
            kind: $kind,
            standard: &[$($standard),*],
            practice: &[$($practice),*],
        } ),*];
    };
}

use Kind::{Code, Described, Each, Identifier, Joined, Name, Observed, Text, Time};

attributes! {
    PatientID "(0010,0020)" "patient identifier" Identifier, ["PID-3"] ["PID-2"]
    PatientName "(0010,0010)" "patient name" Name, ["PID-5"] []
    PatientBirthDate "(0010,0030)" "birth date" Time, ["PID-7.1"] []
    PatientSex "(0010,0040)" "sex" Text, ["PID-8.1"] []
    PatientMotherBirthName "(0010,1060)" "mother's birth name" Name, ["PID-6"] []
    PatientAddress "(0010,1040)" "address" Joined, ["PID-11"] []
    PatientWeight "(0010,1030)" "body weight" Observed(&["Body Weight", "29463-7", "3141-9"]), ["OBX-5"] []
    PatientSize "(0010,1020)" "body height" Observed(&["Body Height", "8302-2", "3137-7"]), ["OBX-5"] []
    PatientState "(0038,0500)" "danger code" Described, ["OBR-12"] []
    MedicalAlerts "(0010,2000)" "medical alerts" Text, ["OBR-13.1"] []
    Allergies "(0010,2110)" "allergies" Each, ["AL1-3"] []
    PregnancyStatus "(0010,21C0)" "pregnancy status" Each, ["PV1-15"] []
    AdmissionID "(0038,0010)" "visit number" Identifier, ["PV1-19" "PID-18"] []
    RouteOfAdmissions "(0038,0016)" "patient class" Text, ["PV1-2.1"] []
    CurrentPatientLocation "(0038,0300)" "patient location" Joined, ["PV1-3"] []
    ReferringPhysicianName "(0008,0090)" "referring physician" Name, ["PV1-8"] []
    PlacerOrderNumberImagingServiceRequest "(0040,2016)" "placer order number" Identifier, ["ORC-2" "OBR-2" "SCH-26"] []
    FillerOrderNumberImagingServiceRequest "(0040,2017)" "filler order number" Identifier, ["ORC-3" "OBR-3" "SCH-27"] []
    AccessionNumber "(0008,0050)" "accession number" Identifier, ["IPC-1" "OBR-18.1"] ["OBR-3.1" "ORC-3.1" "OBR-2.1" "ORC-2.1"]
    RequestedProcedureID "(0040,1001)" "requested procedure id" Text, ["IPC-2.1" "OBR-19.1"] []
    RequestedProcedureDescription "(0032,1060)" "procedure description" Text, ["OBR-44.2" "OBR-4.2" "OBR-4.1" "AIS-3.2" "AIS-3.1"] []
    RequestedProcedureCodeSequence "(0032,1064)" "procedure code" Code, ["OBR-44.1" "OBR-4.1" "AIS-3.1"] []
    StudyInstanceUID "(0020,000D)" "study instance UID" Text, ["IPC-3.1" "ZDS-1.1"] []
    RequestedProcedurePriority "(0040,1003)" "priority" Text, ["TQ1-9.1" "ORC-7.6" "OBR-27.6" "OBR-5.1"] []
    ReasonForTheRequestedProcedure "(0040,1002)" "reason" Described, ["OBR-31"] []
    ReasonForRequestedProcedureCodeSequence "(0040,100A)" "reason code" Code, ["OBR-31.1"] []
    RequestingPhysician "(0032,1032)" "requesting physician" Name, ["OBR-16" "ORC-12"] []
    PatientTransportArrangements "(0040,1004)" "transport" Text, ["OBR-30.1"] []
    RequestedProcedureComments "(0040,1400)" "comments" Each, ["NTE-3"] []
    ConfidentialityCode "(0040,1008)" "confidentiality" Described, ["ORC-28"] []
    InstitutionName "(0008,0080)" "institution" Described, ["ORC-17"] []
    InstitutionalDepartmentName "(0008,1040)" "department" Text, ["ORC-13.9"] []
    ScheduledProcedureStepID "(0040,0009)" "scheduled procedure step id" Text, ["IPC-4.1" "OBR-20.1"] []
    ScheduledProcedureStepDescription "(0040,0007)" "step description" Text, ["IPC-6.2" "OBR-4.5"] []
    ScheduledProtocolCodeSequence "(0040,0008)" "protocol code" Code, ["IPC-6.1" "OBR-4.4"] []
    Modality "(0008,0060)" "modality" Text, ["IPC-5.1" "OBR-24.1"] []
    ScheduledStationAETitle "(0040,0001)" "station" Text, ["IPC-9.1" "OBR-21.1" "ORC-18.1" "AIG-3.1"] []
    ScheduledStationName "(0040,0010)" "station name" Text, ["IPC-7.1"] []
    ScheduledProcedureStepLocation "(0040,0011)" "location" Described, ["IPC-8" "AIL-3"] []
    ScheduledProcedureStepStartDateTime "(0040,0002)" "scheduled start" Time, ["TQ1-7.1" "ORC-7.4" "OBR-27.4" "OBR-36.1" "SCH-11.4" "AIS-4.1"] []
    ScheduledPerformingPhysicianName "(0040,0006)" "performing physician" Name, ["OBR-34"] []
}

impl Attribute {
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// By its DICOM keyword, in any case.
    pub fn by_keyword(text: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.keyword.eq_ignore_ascii_case(text.trim()))?;
        Some(row.attribute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Path;

    /// The table of `docs/hl7.md` is this one.
    #[test]
    fn the_documentation_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/hl7.md");
        let page = std::fs::read_to_string(path).unwrap().replace('\r', "");
        let (begin, end) = ("pacslab-hl7 current -->\n\n", "<!-- end of the table -->");
        let (head, rest) = page.split_once(begin).unwrap();
        let (_, tail) = rest.split_once(end).unwrap();
        let mut table = "| attribute | | fields |\n|---|---|---|\n".to_owned();
        for row in TABLE {
            let practice = match row.practice {
                [] => String::new(),
                paths => format!(" ({})", paths.join(", ")),
            };
            let standard = row.standard.join(", ");
            table +=
                &format!("| {} {} | {} | {standard}{practice} |\n", row.keyword, row.tag, row.what);
        }
        let wanted = format!("{head}{begin}{table}\n{end}{tail}");
        #[allow(clippy::disallowed_methods, reason = "asked for by a person")]
        if std::env::var_os("PACSLAB_REFRESH").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap().replace('\r', "");
        assert!(
            found == wanted,
            "docs/hl7.md is not current; refresh it with PACSLAB_REFRESH=1 cargo test -p pacslab-hl7 current"
        );
    }

    #[test]
    fn every_row_stands_where_its_attribute_points_and_its_paths_can_be_read() {
        for (at, row) in TABLE.iter().enumerate() {
            assert_eq!(row.attribute as usize, at, "{}", row.keyword);
            assert_eq!(Attribute::by_keyword(row.keyword), Some(row.attribute));
            assert!(!row.standard.is_empty(), "{}", row.keyword);
            for path in row.standard.iter().chain(row.practice) {
                assert_eq!(path.parse::<Path>().unwrap().to_string(), *path);
            }
        }
    }
}
