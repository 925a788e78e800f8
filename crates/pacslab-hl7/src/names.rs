//! What segments and fields are called, for those that radiology sees. HL7 v2.5.1 chapters 2
//! (MSH, MSA, ERR, NTE), 3 (EVN, PID, PV1, MRG, AL1), 4 (ORC, TQ1, OBR, IPC), 7 (OBX),
//! 10 (SCH, RGS, AIS, AIG, AIL, AIP); ZDS is IHE's.

/// Segment, what it is, and its fields from 1 on; an empty name is one that nobody asks for.
const SEGMENTS: &[(&str, &str, &str)] = &[
    (
        "MSH",
        "Message header",
        "Field separator|Encoding characters|Sending application|Sending facility|Receiving application|Receiving facility|Date/time of message|Security|Message type|Message control ID|Processing ID|Version ID|Sequence number|Continuation pointer|Accept acknowledgement|Application acknowledgement|Country|Character set|Language",
    ),
    ("MSA", "Acknowledgement", "Acknowledgement code|Message control ID|Text"),
    (
        "ERR",
        "Error",
        "Code and location|Error location|HL7 error code|Severity|Application error code|Parameter|Diagnostic information|User message",
    ),
    ("EVN", "Event", "Event type|Recorded|Planned|Reason|Operator|Occurred|Facility"),
    (
        "PID",
        "Patient",
        "Set ID|Patient ID (external)|Patient identifiers|Alternate patient ID|Name|Mother's maiden name|Birth date|Sex|Alias|Race|Address|County|Phone, home|Phone, business|Language|Marital status|Religion|Account number|SSN",
    ),
    (
        "PV1",
        "Visit",
        "Set ID|Patient class|Assigned location|Admission type|Preadmit number|Prior location|Attending doctor|Referring doctor|Consulting doctor|Hospital service|Temporary location|Preadmit test|Re-admission|Admit source|Ambulatory status|VIP|Admitting doctor|Patient type|Visit number|||||||||||||||||Discharge disposition||||||||Admitted|Discharged",
    ),
    (
        "MRG",
        "Merge",
        "Prior patient identifiers|Prior alternate ID|Prior account number|Prior patient ID|Prior visit number|Prior alternate visit ID|Prior name",
    ),
    ("AL1", "Allergy", "Set ID|Type|Allergen|Severity|Reaction|Identified"),
    ("NTE", "Note", "Set ID|Source|Comment"),
    (
        "ORC",
        "Common order",
        "Order control|Placer order number|Filler order number|Placer group|Order status|Response flag|Quantity/timing|Parent|Transaction time|Entered by|Verified by|Ordering provider|Enterer's location|Call back|Effective|Control reason|Entering organization|Entering device|Action by",
    ),
    (
        "TQ1",
        "Timing",
        "Set ID|Quantity|Repeat pattern|Explicit time|Relative time|Service duration|Start|End|Priority",
    ),
    (
        "OBR",
        "Observation request",
        "Set ID|Placer order number|Filler order number|Universal service ID|Priority|Requested|Observation start|Observation end|Volume|Collector|Action code|Danger code|Relevant clinical information|Specimen received|Specimen source|Ordering provider|Call back|Accession number (placer 1)|Requested procedure ID (placer 2)|Scheduled step ID (filler 1)|Station (filler 2)|Results reported|Charge|Modality (section)|Result status|Parent result|Quantity/timing|Copies to|Parent|Transport|Reason|Principal interpreter|Assistant|Technician|Transcriptionist|Scheduled|||||||Transport arranged|Procedure code",
    ),
    (
        "OBX",
        "Observation",
        "Set ID|Value type|Observation ID|Sub-ID|Value|Units|Reference range|Abnormal flags|Probability|Nature|Result status",
    ),
    (
        "IPC",
        "Imaging procedure control",
        "Accession number|Requested procedure ID|Study instance UID|Scheduled step ID|Modality|Protocol|Station name|Location|Station AE title",
    ),
    (
        "SCH",
        "Schedule",
        "Placer appointment ID|Filler appointment ID|Occurrence|Placer group|Schedule ID|Event reason|Appointment reason|Appointment type|Duration|Duration units|Timing|Placer contact|Placer phone|Placer address|Placer location|Filler contact|Filler phone|Filler address|Filler location|Entered by|Entered by phone|Entered by location|Parent placer ID|Parent filler ID|Status|Placer order number|Filler order number",
    ),
    ("RGS", "Resource group", "Set ID|Action code|Resource group ID"),
    (
        "AIS",
        "Service booked",
        "Set ID|Action code|Service|Start|Start offset|Offset units|Duration|Duration units|Substitution|Status",
    ),
    (
        "AIG",
        "Equipment booked",
        "Set ID|Action code|Resource|Resource type|Resource group|Quantity|Quantity units|Start|Start offset|Offset units|Duration|Duration units",
    ),
    (
        "AIL",
        "Location booked",
        "Set ID|Action code|Location|Location type|Location group|Start|Start offset|Offset units|Duration|Duration units",
    ),
    (
        "AIP",
        "Person booked",
        "Set ID|Action code|Person|Role|Person group|Start|Start offset|Offset units|Duration|Duration units",
    ),
    ("ZDS", "Study (IHE)", "Study instance UID"),
];

/// What a segment is.
pub fn segment(name: &str) -> Option<&'static str> {
    SEGMENTS.iter().find(|(known, ..)| *known == name).map(|(_, means, _)| *means)
}

/// What a field is called.
pub fn field(segment: &str, seq: usize) -> Option<&'static str> {
    let (.., fields) = SEGMENTS.iter().find(|(known, ..)| *known == segment)?;
    fields.split('|').nth(seq.checked_sub(1)?).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_where_the_standard_has_them() {
        let cases = [
            ("MSH", 9, "Message type"),
            ("MSH", 18, "Character set"),
            ("PID", 3, "Patient identifiers"),
            ("PID", 8, "Sex"),
            ("PV1", 19, "Visit number"),
            ("PV1", 36, "Discharge disposition"),
            ("PV1", 45, "Discharged"),
            ("OBR", 18, "Accession number (placer 1)"),
            ("OBR", 24, "Modality (section)"),
            ("OBR", 36, "Scheduled"),
            ("OBR", 44, "Procedure code"),
            ("MRG", 7, "Prior name"),
            ("SCH", 11, "Timing"),
            ("SCH", 25, "Status"),
            ("AIG", 8, "Start"),
        ];
        for (name, seq, called) in cases {
            assert_eq!(field(name, seq), Some(called), "{name}-{seq}");
        }
        assert_eq!((field("PV1", 30), field("ZZZ", 1), field("PID", 0)), (None, None, None));
        assert_eq!(segment("EVN"), Some("Event"));
    }
}
