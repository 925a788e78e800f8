//! The modules that every object of a study shares. PS3.3 C.7.1 to C.7.5, C.12.1, and what the
//! worklist item contributes (IHE RAD TF-2, Appendix A).

use pacslab_dicom::{Dataset, Element, Value, dict};
use pacslab_model::time::Date;
use pacslab_model::{Moment, Tag, Uid, Vr, tags, uids};

use crate::acquire::Options;
use crate::item::WorklistItem;
use crate::{CODING_SCHEME, GENERATOR_VERSION};

/// Tags that only images of this crate need.
pub(crate) mod tag {
    use pacslab_model::Tag;
    pub(crate) const IRRADIATION_EVENT_UID: Tag = Tag::new(0x0008, 0x3010);
    pub(crate) const ANATOMIC_REGION_SEQUENCE: Tag = Tag::new(0x0008, 0x2218);
    pub(crate) const CODING_SCHEME_UID: Tag = Tag::new(0x0008, 0x010C);
    pub(crate) const CONTRAST_BOLUS_ROUTE: Tag = Tag::new(0x0018, 0x1040);
    pub(crate) const FILTER_TYPE: Tag = Tag::new(0x0018, 0x1160);
    pub(crate) const FOCAL_SPOTS: Tag = Tag::new(0x0018, 0x1190);
    pub(crate) const SPACING_BETWEEN_SLICES: Tag = Tag::new(0x0018, 0x0088);
    pub(crate) const CTDI_VOL: Tag = Tag::new(0x0018, 0x9345);
    pub(crate) const CTDI_PHANTOM_TYPE_CODE_SEQUENCE: Tag = Tag::new(0x0018, 0x9346);
    pub(crate) const PATIENT_ORIENTATION: Tag = Tag::new(0x0020, 0x0020);
}

/// A data set under construction that looks up each VR in the dictionary.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object(pub(crate) Dataset);

impl Object {
    pub(crate) fn set(&mut self, tag: Tag, text: impl Into<String>) -> &mut Self {
        self.0.put_str(tag, dict::vr(tag).unwrap_or(Vr::LO), text);
        self
    }

    /// Type 3: left out when there is nothing to say.
    pub(crate) fn set_if(&mut self, tag: Tag, text: &str) -> &mut Self {
        if text.is_empty() { self } else { self.set(tag, text) }
    }

    pub(crate) fn number(&mut self, tag: Tag, value: f64) -> &mut Self {
        self.set(tag, decimal(value))
    }

    pub(crate) fn items(&mut self, tag: Tag, items: Vec<Dataset>) -> &mut Self {
        self.0.put_items(tag, items);
        self
    }

    pub(crate) fn copy(&mut self, element: Option<&Element>) -> &mut Self {
        if let Some(element) = element.filter(|element| !element.is_empty()) {
            self.0.put(element.clone());
        }
        self
    }
}

/// The time course of a step, in seconds after its start.
pub(crate) fn after(at: Moment, seconds: u64) -> Moment {
    at.plus(std::time::Duration::from_secs(seconds))
}

pub(crate) fn code(value: &str, scheme: &str, meaning: &str) -> Dataset {
    Dataset::new()
        .with_str(tags::CODE_VALUE, Vr::SH, value)
        .with_str(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, scheme)
        .with_str(tags::CODE_MEANING, Vr::LO, meaning)
}

/// The study that the item belongs to: its own, or one that follows from the seed.
pub(crate) fn study_uid(item: &WorklistItem, options: &Options) -> Uid {
    item.study_uid().unwrap_or_else(|| {
        let seed = options.seed.0.to_string();
        let parts = [item.patient_id(), item.accession(), item.procedure_id(), item.step_id()];
        Uid::from_parts(&["study", &seed, parts[0], parts[1], parts[2], parts[3]])
    })
}

/// A UID below the study: stable for one seed, generator version and run.
pub(crate) fn derived_uid(study: &Uid, options: &Options, what: &[&str]) -> Uid {
    let (seed, run) = (options.seed.0.to_string(), options.run.to_string());
    let mut parts = vec!["acquisition", GENERATOR_VERSION, &seed, study.as_str(), &run];
    parts.extend(what);
    Uid::from_parts(&parts)
}

/// (0040,0253): as unique as a UID is, in the 16 characters of an SH.
pub(crate) fn performed_step_id(study: &Uid, item: &WorklistItem, options: &Options) -> String {
    let uid = derived_uid(study, options, &["performed step", item.step_id()]);
    let digits = uid.as_str().strip_prefix("2.25.").unwrap_or("0");
    let mut number = digits.parse::<u128>().unwrap_or(0);
    let mut id = String::from("PP");
    for _ in 0..12 {
        id.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0').to_ascii_uppercase());
        number /= 36;
    }
    id
}

/// Patient, study, series, equipment and SOP common: everything but the image.
pub(crate) fn common(
    item: &WorklistItem,
    options: &Options,
    study: &Uid,
    series: &Uid,
    number: u32,
) -> Object {
    let mut object = Object::default();
    patient(&mut object, item, options);
    study_module(&mut object, item, options, study);
    let start = options.at;
    let performed = performed_step_id(study, item, options);
    object
        .set(tags::MODALITY, item.modality())
        .set(tags::SERIES_INSTANCE_UID, series.as_str())
        .set(tags::SERIES_NUMBER, number.to_string())
        .set(tags::SERIES_DATE, after(start, 60).da())
        .set(tags::SERIES_TIME, after(start, 60).tm())
        .set(tags::PERFORMED_PROCEDURE_STEP_ID, performed)
        .set(tags::PERFORMED_PROCEDURE_STEP_START_DATE, start.da())
        .set(tags::PERFORMED_PROCEDURE_STEP_START_TIME, start.tm())
        .set_if(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, performed_description(item))
        .items(tags::REQUEST_ATTRIBUTES_SEQUENCE, vec![request(item, study)]);
    let protocol = item.step().items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE);
    if !protocol.is_empty() {
        object.items(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, protocol.to_vec());
    }
    object.copy(item.step().get(tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME).map(renamed).as_ref());
    if let Some(mpps) = &options.mpps {
        let reference = Dataset::new()
            .with_str(tags::REFERENCED_SOP_CLASS_UID, Vr::UI, uids::MPPS)
            .with_str(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, mpps.as_str());
        object.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, vec![reference]);
    }
    equipment(&mut object, options);
    if names_own_codes(&object.0) {
        object.items(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE, vec![coding_scheme()]);
    }
    object
        .copy(item.dataset().get(tags::SPECIFIC_CHARACTER_SET))
        .set(tags::TIMEZONE_OFFSET_FROM_UTC, start.zone(""));
    object
}

/// C.7.1.1 and C.7.2.2.
fn patient(object: &mut Object, item: &WorklistItem, options: &Options) {
    let source = item.dataset();
    for tag in [tags::PATIENT_NAME, tags::PATIENT_ID, tags::PATIENT_BIRTH_DATE, tags::PATIENT_SEX] {
        object.set(tag, source.str(tag));
    }
    for tag in [
        tags::ISSUER_OF_PATIENT_ID,
        tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE,
        tags::OTHER_PATIENT_IDS_SEQUENCE,
        tags::REFERENCED_PATIENT_SEQUENCE,
        tags::PATIENT_SIZE,
        tags::PATIENT_WEIGHT,
        tags::MEDICAL_ALERTS,
        tags::ALLERGIES,
        tags::PREGNANCY_STATUS,
        tags::ADMISSION_ID,
    ] {
        object.copy(source.get(tag));
    }
    if let Some(age) = age(source.str(tags::PATIENT_BIRTH_DATE), options.at.date()) {
        object.set(tags::PATIENT_AGE, age);
    }
}

/// C.7.2.1. The same in every object of a study, whichever step made it.
fn study_module(object: &mut Object, item: &WorklistItem, options: &Options, study: &Uid) {
    let source = item.dataset();
    let (date, time) = match (source.str(tags::STUDY_DATE), source.str(tags::STUDY_TIME)) {
        ("", _) | (_, "") => (options.at.da(), options.at.tm()),
        (date, time) => (date.to_owned(), time.to_owned()),
    };
    object
        .set(tags::STUDY_INSTANCE_UID, study.as_str())
        .set(tags::STUDY_DATE, date)
        .set(tags::STUDY_TIME, time)
        .set(tags::ACCESSION_NUMBER, item.accession())
        .set(tags::REFERRING_PHYSICIAN_NAME, source.str(tags::REFERRING_PHYSICIAN_NAME))
        .set(tags::STUDY_ID, item.procedure_id())
        .set_if(tags::STUDY_DESCRIPTION, item.procedure_description())
        .copy(source.get(tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE))
        .copy(source.get(tags::REFERENCED_STUDY_SEQUENCE));
    let codes = source.items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE);
    if !codes.is_empty() {
        object.items(tags::PROCEDURE_CODE_SEQUENCE, codes.to_vec());
    }
}

/// C.7.5.1, with what Enhanced General Equipment demands as well.
fn equipment(object: &mut Object, options: &Options) {
    let station = options.station.as_str();
    object
        .set(tags::MANUFACTURER, "PACS Lab")
        .set(tags::MANUFACTURER_MODEL_NAME, "Simulated scanner")
        .set(tags::DEVICE_SERIAL_NUMBER, format!("SIM-{station}"))
        .set(tags::SOFTWARE_VERSIONS, format!("generator {GENERATOR_VERSION}"))
        .set(tags::INSTITUTION_NAME, "PACS Lab")
        .set(tags::STATION_NAME, station);
}

/// The item of (0040,0275). PS3.3 table 10-9.
fn request(item: &WorklistItem, study: &Uid) -> Dataset {
    let source = item.dataset();
    let step = item.step();
    let mut request = Object::default();
    request
        .set(tags::STUDY_INSTANCE_UID, study.as_str())
        .set_if(tags::ACCESSION_NUMBER, item.accession())
        .set_if(tags::REQUESTED_PROCEDURE_ID, item.procedure_id())
        .set_if(tags::SCHEDULED_PROCEDURE_STEP_ID, item.step_id());
    for tag in [
        tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE,
        tags::REFERENCED_STUDY_SEQUENCE,
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
        tags::REASON_FOR_THE_REQUESTED_PROCEDURE,
        tags::REASON_FOR_REQUESTED_PROCEDURE_CODE_SEQUENCE,
    ] {
        request.copy(source.get(tag));
    }
    request
        .copy(step.get(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION))
        .copy(step.get(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE));
    request.0
}

pub(crate) fn performed_description(item: &WorklistItem) -> &str {
    match item.step_description() {
        "" => item.procedure_description(),
        text => text,
    }
}

/// Who was scheduled to perform it has performed it.
fn renamed(scheduled: &Element) -> Element {
    Element { tag: tags::PERFORMING_PHYSICIAN_NAME, ..scheduled.clone() }
}

/// Whether a private code of the lab occurs anywhere. C.12.1.1.1 wants it identified then.
fn names_own_codes(dataset: &Dataset) -> bool {
    dataset.iter().any(|element| match &element.value {
        Value::Items(items) => items.iter().any(names_own_codes),
        Value::Text(text) => element.tag == tags::CODING_SCHEME_DESIGNATOR && text == CODING_SCHEME,
        _ => false,
    })
}

fn coding_scheme() -> Dataset {
    let uid = Uid::from_parts(&["pacslab", "coding scheme"]);
    let mut scheme = Object::default();
    scheme
        .set(tags::CODING_SCHEME_DESIGNATOR, CODING_SCHEME)
        .set(tag::CODING_SCHEME_UID, uid.as_str())
        .set(tags::CODING_SCHEME_NAME, "PACS Lab local codes")
        .set(tags::CODING_SCHEME_RESPONSIBLE_ORGANIZATION, "PACS Lab");
    scheme.0
}

/// An AS value. PS3.5 6.2; years only, as adults are counted.
fn age(birth_date: &str, on: Date) -> Option<String> {
    let ((by, bm, bd), (y, m, d)) = (Date::parse(birth_date)?.ymd(), on.ymd());
    let years = y.checked_sub(by)?.checked_sub(u16::from((m, d) < (bm, bd)))?;
    (years <= 999).then(|| format!("{years:03}Y"))
}

/// A DS value: at most 16 characters, however long the number.
pub(crate) fn decimal(value: f64) -> String {
    (0..=10)
        .rev()
        .map(|places| {
            let text = format!("{value:.places$}");
            match text.trim_end_matches('0').trim_end_matches('.') {
                _ if !text.contains('.') => text,
                "-0" | "" => "0".to_owned(),
                short => short.to_owned(),
            }
        })
        .find(|text| text.len() <= 16)
        .unwrap_or_else(|| format!("{value:e}"))
}

/// Several numbers of one DS element.
pub(crate) fn decimals(values: &[f64]) -> String {
    values.iter().map(|value| decimal(*value)).collect::<Vec<_>>().join("\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_strings_fit() {
        for (value, text) in [
            (1.875, "1.875"),
            (-179.0625, "-179.0625"),
            (100.0, "100"),
            (-0.0, "0"),
            (1.0 / 3.0, "0.3333333333"),
            (-123_456_789.123_456_79, "-123456789.12346"),
        ] {
            assert_eq!(decimal(value), text);
        }
        assert!(decimal(1e300).len() <= 16);
        assert_eq!(decimals(&[1.0, 0.0]), r"1\0");
    }

    #[test]
    fn ages_change_on_the_birthday() {
        let on = |text| Date::parse(text).unwrap();
        assert_eq!(age("19800101", on("20260101")).unwrap(), "046Y");
        assert_eq!(age("19800102", on("20260101")).unwrap(), "045Y");
        assert_eq!(age("", on("20260101")), None);
        assert_eq!(age("20300101", on("20260101")), None);
    }
}
