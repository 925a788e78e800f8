//! Code systems and the values of DICOM in their terms.

use crate::resource::Coding;

pub(crate) const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
pub(crate) const SNOMED: &str = "http://snomed.info/sct";
pub(crate) const IDENTIFIER_TYPE: &str = "http://terminology.hl7.org/CodeSystem/v2-0203";
pub(crate) const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
/// Table 0074: diagnostic service sections.
pub(crate) const SECTION: &str = "http://terminology.hl7.org/CodeSystem/v2-0074";
pub(crate) const CONNECTION_TYPE: &str =
    "http://terminology.hl7.org/CodeSystem/endpoint-connection-type";
pub(crate) const NAME_REPRESENTATION: &str =
    "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation";

/// Modalities of PS3.16 CID 29 with their meaning.
const MODALITIES: [(&str, &str); 23] = [
    ("CR", "Computed Radiography"),
    ("CT", "Computed Tomography"),
    ("DOC", "Document"),
    ("DX", "Digital Radiography"),
    ("ECG", "Electrocardiography"),
    ("ES", "Endoscopy"),
    ("KO", "Key Object Selection"),
    ("MG", "Mammography"),
    ("MR", "Magnetic Resonance"),
    ("NM", "Nuclear Medicine"),
    ("OP", "Ophthalmic Photography"),
    ("OT", "Other"),
    ("PR", "Presentation State"),
    ("PT", "Positron emission tomography"),
    ("RF", "Radiofluoroscopy"),
    ("RTDOSE", "RT Dose"),
    ("RTIMAGE", "RT Image"),
    ("RTPLAN", "RT Plan"),
    ("RTSTRUCT", "RT Structure Set"),
    ("SEG", "Segmentation"),
    ("SR", "Structured Report Document"),
    ("US", "Ultrasound"),
    ("XA", "X-Ray Angiography"),
];

/// Values of BodyPartExamined with their concept, PS3.16 annex L.
const BODY_PARTS: [(&str, &str, &str); 32] = [
    ("ABDOMEN", "818981001", "Abdomen"),
    ("ABDOMENPELVIS", "818982008", "Abdomen and pelvis"),
    ("ANKLE", "70258002", "Ankle joint"),
    ("AORTA", "15825003", "Aorta"),
    ("BRAIN", "12738006", "Brain"),
    ("BREAST", "76752008", "Breast"),
    ("CAROTID", "69105007", "Carotid artery"),
    ("CHEST", "816094009", "Chest"),
    ("CHESTABDPELVIS", "416775004", "Chest abdomen and pelvis"),
    ("CSPINE", "122494005", "Cervical spine"),
    ("ELBOW", "16953009", "Elbow joint"),
    ("ESOPHAGUS", "32849002", "Esophagus"),
    ("FOOT", "56459004", "Foot"),
    ("HAND", "85562004", "Hand"),
    ("HEAD", "69536005", "Head"),
    ("HEADNECK", "774007", "Head and neck"),
    ("HEART", "80891009", "Heart"),
    ("HIP", "29836001", "Hip"),
    ("KIDNEY", "64033007", "Kidney"),
    ("KNEE", "72696002", "Knee"),
    ("LEG", "61685007", "Lower limb"),
    ("LSPINE", "122496007", "Lumbar spine"),
    ("NECK", "45048000", "Neck"),
    ("PELVIS", "816092008", "Pelvis"),
    ("PROSTATE", "41216001", "Prostate"),
    ("RIB", "113197003", "Rib"),
    ("SHOULDER", "16982005", "Shoulder"),
    ("SINUS", "2095001", "Paranasal sinus"),
    ("THYROID", "69748006", "Thyroid"),
    ("TSPINE", "122495006", "Thoracic spine"),
    ("WHOLEBODY", "38266002", "Entire body"),
    ("WRIST", "74670003", "Wrist joint"),
];

pub(crate) fn modality(code: &str) -> Coding {
    let known = MODALITIES.iter().find(|(known, _)| *known == code);
    Coding::new(DCM, code, known.map_or("", |(_, meaning)| *meaning))
}

/// A body part without a known concept is told by its name alone.
pub(crate) fn body_site(examined: &str) -> Option<Coding> {
    let examined = examined.trim();
    if examined.is_empty() {
        return None;
    }
    let known = BODY_PARTS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(examined));
    Some(match known {
        Some((_, code, display)) => Coding::new(SNOMED, *code, *display),
        None => Coding { display: examined.to_owned(), ..Coding::default() },
    })
}

/// (0020,0060) Laterality and (0020,0062) ImageLaterality.
pub(crate) fn laterality(value: &str) -> Option<Coding> {
    match value.trim() {
        "L" => Some(Coding::new(SNOMED, "7771000", "Left")),
        "R" => Some(Coding::new(SNOMED, "24028007", "Right")),
        "B" => Some(Coding::new(SNOMED, "51440002", "Right and left")),
        _ => None,
    }
}

/// PatientSex to administrative gender.
pub(crate) fn gender(sex: &str) -> &'static str {
    match sex.trim() {
        "M" => "male",
        "F" => "female",
        "O" => "other",
        _ => "unknown",
    }
}
