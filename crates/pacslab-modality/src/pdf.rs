//! A document of a report as Encapsulated PDF. PS3.3 A.45.1 (the object), C.24 (its modules); IHE
//! RAD TF-2 4.128 (RAD-128).

use pacslab_dicom::TransferSyntax;
use pacslab_dicom::file::FileMeta;
use pacslab_model::order::Order;
use pacslab_model::{Moment, Uid, Vr, tags};

use crate::acquire::Instance;
use crate::files::file_name;
use crate::iod::{Object, code};
use crate::sr::{Reading, patient_and_study};

/// Encapsulated PDF Storage.
pub const ENCAPSULATED_PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

/// The object of one document of a version; `number` counts the documents of it from 1. `at` is when
/// it is made. Whatever the document says: its title says that it is synthetic.
pub fn encapsulated(
    order: &Order,
    reading: &Reading,
    number: u32,
    pdf: &[u8],
    at: Moment,
) -> Instance {
    let study = order.procedure.study_uid.as_str();
    let uid = |what: &str, of: &[&str]| {
        Uid::from_parts(&[&["report document", what, study, &order.accession], of].concat())
    };
    let (version, count) = (reading.version.to_string(), number.to_string());
    let sop_instance = uid("object", &[&version, &count]);
    let instance_number =
        reading.version.saturating_sub(1).saturating_mul(100).saturating_add(number);
    let mut object = Object::default();
    object
        .set(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .set(tags::SOP_CLASS_UID, ENCAPSULATED_PDF)
        .set(tags::SOP_INSTANCE_UID, sop_instance.as_str())
        .set(tags::INSTANCE_CREATION_DATE, at.da())
        .set(tags::INSTANCE_CREATION_TIME, at.tm())
        .set(tags::TIMEZONE_OFFSET_FROM_UTC, at.zone(""));
    patient_and_study(&mut object, order, reading);
    object
        .set(tags::MODALITY, "DOC")
        .set(tags::SERIES_INSTANCE_UID, uid("series", &[]).as_str())
        .set(tags::SERIES_NUMBER, "901")
        .set(tags::SERIES_DESCRIPTION, "Report document")
        .set(tags::MANUFACTURER, "PACS Lab")
        .set(tags::MANUFACTURER_MODEL_NAME, "Simulated reporting")
        .set(tags::INSTITUTION_NAME, "PACS Lab")
        .set(tags::CONVERSION_TYPE, "WSD")
        .set(tags::INSTANCE_NUMBER, instance_number.to_string())
        .set(tags::CONTENT_DATE, reading.date.as_str())
        .set(tags::CONTENT_TIME, reading.time.as_str())
        .set(tags::ACQUISITION_DATE_TIME, "")
        // nobody has looked into it
        .set(tags::BURNED_IN_ANNOTATION, "YES")
        .set(tags::DOCUMENT_TITLE, format!("SYNTHETIC report {}", order.accession))
        .items(
            tags::CONCEPT_NAME_CODE_SEQUENCE,
            vec![code("18748-4", "LN", "Diagnostic imaging study")],
        )
        .set(tags::VERIFICATION_FLAG, if reading.verified { "VERIFIED" } else { "UNVERIFIED" })
        .set(tags::MIME_TYPE_OF_ENCAPSULATED_DOCUMENT, "application/pdf");
    let length = u32::try_from(pdf.len()).unwrap_or(u32::MAX);
    let mut even = pdf.to_vec();
    if even.len() % 2 == 1 {
        even.push(0);
    }
    object.0.put_bytes(tags::ENCAPSULATED_DOCUMENT, Vr::OB, even);
    let length = length.to_le_bytes().to_vec();
    object.0.put_bytes(tags::ENCAPSULATED_DOCUMENT_LENGTH, Vr::UL, length);
    let meta = FileMeta {
        sop_class: Uid::new(ENCAPSULATED_PDF),
        sop_instance,
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: None,
    };
    let name = file_name("DOC", &order.patient.id.id, &order.accession, 901, instance_number);
    Instance { file_name: name, meta, dataset: object.0 }
}
