//! The data types that resources are made of: identifiers, names, concepts, times.

use std::fmt::Write as _;

use pacslab_model::time::{Date, Moment, TimeRange};
use pacslab_model::{PersonName, Uid, order};
use sha2::{Digest, Sha256};

use crate::export::Site;
use crate::resource::{CodeableConcept, Coding, Extension, HumanName, Identifier, Meta, Reference};
use crate::terms;

/// A UUID that is always the same for the same thing: version 8 of RFC 9562, from SHA-256.
pub(crate) fn uuid(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Everything here is synthetic, and each resource says so.
pub(crate) fn synthetic() -> Meta {
    let tag = Coding::new(terms::ACT_REASON, "HTEST", "test health data");
    Meta { tag: vec![tag], ..Meta::default() }
}

pub(crate) fn identifier(usage: &str, kind: &str, system: &str, value: &str) -> Identifier {
    Identifier {
        usage: usage.to_owned(),
        kind: Some(Coding::new(terms::IDENTIFIER_TYPE, kind, "").into()),
        system: system.to_owned(),
        value: value.trim().to_owned(),
    }
}

pub(crate) fn study_identifier(uid: &Uid) -> Identifier {
    Identifier {
        usage: "official".to_owned(),
        kind: None,
        system: "urn:dicom:uid".to_owned(),
        value: format!("urn:oid:{uid}"),
    }
}

pub(crate) fn accession(
    number: &str,
    issuer: &order::Identifier,
    site: &Site,
) -> Option<Identifier> {
    let number = number.trim();
    let system = || system(site, "accession", issuer);
    (!number.is_empty()).then(|| identifier("usual", "ACSN", &system(), number))
}

/// The OID or URI of the authority, or one below the namespace of the site.
pub(crate) fn system(site: &Site, what: &str, id: &order::Identifier) -> String {
    let universal = id.universal_id.trim();
    match id.universal_type.trim() {
        "ISO" if Uid::from(universal).is_valid() => format!("urn:oid:{universal}"),
        "URI" if !universal.is_empty() => universal.to_owned(),
        "UUID" if !universal.is_empty() => format!("urn:uuid:{universal}"),
        _ if id.issuer.trim().is_empty() => format!("{}/{what}", site.namespace),
        _ => format!("{}/{what}/{}", site.namespace, query(id.issuer.trim())),
    }
}

/// Percent-encodes what would end or split a query parameter.
pub(crate) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b':' | b'/' => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

/// One name for each group; ideographic and phonetic ones say what they are.
pub(crate) fn names(name: &PersonName) -> Vec<HumanName> {
    let several = !name.group(1).is_empty() || !name.group(2).is_empty();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let group = |(group, representation): (usize, &str)| {
        let parts = name.components(group);
        let mut given = words(parts.given);
        given.extend(words(parts.middle));
        let extension = Extension {
            url: terms::NAME_REPRESENTATION.to_owned(),
            value_code: representation.to_owned(),
        };
        HumanName {
            extension: if several { vec![extension] } else { Vec::new() },
            usage: "official".to_owned(),
            text: String::new(),
            family: parts.family.to_owned(),
            given,
            prefix: words(parts.prefix),
            suffix: words(parts.suffix),
        }
    };
    let groups = [(0, "ABC"), (1, "IDE"), (2, "SYL")].into_iter();
    groups.filter(|(at, _)| !name.group(*at).is_empty()).map(group).collect()
}

/// A person known by name alone.
pub(crate) fn person(name: &PersonName) -> Option<Reference> {
    let parts = [0, 1, 2].map(|group| name.components(group));
    let parts = parts.iter().find(|parts| !parts.family.is_empty() || !parts.given.is_empty())?;
    let words = [parts.prefix, parts.given, parts.middle, parts.family, parts.suffix];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    Some(Reference::named("Practitioner", words.join(" ")))
}

/// A code with its text. Schemes of the standard have an address, local ones get one below the
/// namespace of the site.
pub(crate) fn concept(code: &order::Code, text: &str, site: &Site) -> Option<CodeableConcept> {
    let text = if text.trim().is_empty() { &code.meaning } else { text }.trim();
    let system = match code.scheme.trim() {
        "DCM" => terms::DCM.to_owned(),
        "SCT" | "SRT" if code.value.bytes().all(|b| b.is_ascii_digit()) => terms::SNOMED.to_owned(),
        "LN" => "http://loinc.org".to_owned(),
        "I10" | "ICD10" => "http://hl7.org/fhir/sid/icd-10".to_owned(),
        "" => String::new(),
        scheme => format!("{}/CodeSystem/{}", site.namespace, query(scheme)),
    };
    let coding = Coding { system, code: code.value.clone(), display: code.meaning.clone() };
    let coded = !code.value.trim().is_empty();
    (coded || !text.is_empty()).then(|| CodeableConcept {
        coding: if coded { vec![coding] } else { Vec::new() },
        text: text.to_owned(),
    })
}

/// `YYYY-MM-DD`, or empty where the DA is none.
pub(crate) fn date(da: &str) -> String {
    Date::parse(da).map_or(String::new(), |date| {
        let (year, month, day) = date.ymd();
        format!("{year:04}-{month:02}-{day:02}")
    })
}

/// A dateTime: the date alone where there is no time, else with the offset of the object or of
/// the site.
pub(crate) fn date_time(da: &str, tm: &str, zone: &str, site: &Site) -> String {
    let (date_part, Some(date)) = (date(da), Date::parse(da)) else { return String::new() };
    let Some(time) = TimeRange::parse(tm) else { return date_part };
    // DICOM's own way of writing a zone is read by the way of writing a moment
    let zoned = format!("{date_part}T00:00{}", zone.trim());
    let offset = Moment::parse(&zoned, site.offset).map_or(site.offset, |moment| moment.offset);
    let Some(moment) = Moment::civil(date, time.first(), offset) else { return date_part };
    // whole seconds are written without a fraction
    moment.rfc3339().replacen(".000000", "", 1)
}

/// An instant, or empty where there is no time.
pub(crate) fn instant(da: &str, tm: &str, zone: &str, site: &Site) -> String {
    let at = date_time(da, tm, zone, site);
    if at.contains('T') { at } else { String::new() }
}

/// IS as unsignedInt; what is negative or no number is left out.
pub(crate) fn number(text: &str) -> Option<u32> {
    text.trim().parse().ok().filter(|number| *number <= 2_147_483_647)
}

pub(crate) fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}
