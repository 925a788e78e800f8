//! Identifiers of query/retrieve: data set to question, and row to answer.
//! PS3.4 C.4.1.1.3 (C-FIND), C.4.2.1.4 (C-MOVE), C.4.3.1.3 (C-GET), C.6 (information models).

use pacslab_archive::{Row, Scope};
use pacslab_dicom::{Dataset, Element, Value, dict, query_keys};
use pacslab_dimse::{Status, StatusReply};
use pacslab_model::{AeTitle, Level, Query, Tag, Uid, Vr, tags};

/// Which levels an information model has. PS3.4 C.6.1.1, C.6.2.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Root {
    Patient,
    Study,
}

/// A C-FIND identifier, understood.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) query: Query,
    /// A key with a value was not matched, because the archive does not index it: the answers
    /// are FF01 instead of FF00. PS3.4 C.4.1.1.4.
    pub(crate) unmatched: bool,
    asked: Vec<(Tag, Vr)>,
}

/// # Errors
/// 0xA900 with a comment that names the key: no level, a level the model does not have, a value
/// that its VR forbids.
pub(crate) fn question(root: Root, identifier: &Dataset) -> Result<Question, StatusReply> {
    let level = level(root, identifier)?;
    let keys = query_keys(identifier).map_err(|bad| {
        StatusReply::new(
            Status::DATA_SET_MISMATCH,
            format!("{} '{}' is no {}", dict::name(bad.tag), bad.value, bad.vr),
        )
        .offending(bad.tag)
    })?;
    let asked = identifier
        .iter()
        .filter(|element| !is_about_the_query(element.tag))
        .map(|element| (element.tag, element.vr))
        .collect();
    let (indexed, others): (Vec<_>, Vec<_>) =
        keys.into_iter().partition(|key| Level::of(key.tag).is_some_and(|of| of <= level));
    let unmatched = others.iter().any(|key| !key.is_universal());
    let mut query = Query::new(level);
    query.keys = indexed;
    Ok(Question { query, unmatched, asked })
}

fn level(root: Root, identifier: &Dataset) -> Result<Level, StatusReply> {
    let refuse = |text: String| {
        StatusReply::new(Status::DATA_SET_MISMATCH, text).offending(tags::QUERY_RETRIEVE_LEVEL)
    };
    match identifier.str(tags::QUERY_RETRIEVE_LEVEL) {
        "" => Err(refuse("QueryRetrieveLevel (0008,0052) is missing".into())),
        text => match Level::parse(text) {
            Some(Level::Patient) if root == Root::Study => {
                Err(refuse("Study Root has no level PATIENT".into()))
            }
            Some(level) => Ok(level),
            None => Err(refuse(format!("there is no QueryRetrieveLevel '{text}'"))),
        },
    }
}

fn is_about_the_query(tag: Tag) -> bool {
    tag.is_group_length()
        || matches!(
            tag,
            tags::SPECIFIC_CHARACTER_SET
                | tags::QUERY_RETRIEVE_LEVEL
                | tags::RETRIEVE_AE_TITLE
                | tags::TIMEZONE_OFFSET_FROM_UTC
        )
}

/// What is answered for one row: the keys that were asked, those that are not held empty, and
/// how to retrieve it. PS3.4 C.4.1.1.3.2.
pub(crate) fn answer(question: &Question, row: &Row, aet: &AeTitle) -> Dataset {
    let mut dataset = Dataset::new();
    for (tag, vr) in &question.asked {
        let value = match vr {
            Vr::SQ => Value::Items(Vec::new()),
            vr if vr.is_text() => Value::Text(row.str(*tag).to_owned()),
            vr => Value::Bytes(numbers(*vr, row.str(*tag))),
        };
        dataset.put(Element { tag: *tag, vr: *vr, value });
    }
    dataset.put_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, question.query.level.as_str());
    dataset.put_str(tags::RETRIEVE_AE_TITLE, Vr::AE, aet.as_str());
    dataset.put_str(tags::INSTANCE_AVAILABILITY, Vr::CS, "ONLINE");
    if dataset.iter().any(|e| matches!(&e.value, Value::Text(text) if !text.is_ascii())) {
        dataset.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, pacslab_dicom::charset::UTF8);
    }
    dataset
}

/// The index keeps numbers as decimal text.
fn numbers(vr: Vr, text: &str) -> Vec<u8> {
    let values = text.split('\\').filter(|v| !v.is_empty());
    match vr {
        Vr::US => values.filter_map(|v| v.parse::<u16>().ok()).flat_map(u16::to_le_bytes).collect(),
        Vr::UL => values.filter_map(|v| v.parse::<u32>().ok()).flat_map(u32::to_le_bytes).collect(),
        Vr::SS => values.filter_map(|v| v.parse::<i16>().ok()).flat_map(i16::to_le_bytes).collect(),
        Vr::SL => values.filter_map(|v| v.parse::<i32>().ok()).flat_map(i32::to_le_bytes).collect(),
        _ => Vec::new(),
    }
}

/// What a C-MOVE or C-GET identifier selects. PS3.4 C.4.2.1.4.1, C.4.3.1.3.1: the unique keys of the level and above;
/// a UID may be a list.
///
/// # Errors
/// 0xA900: no level, or no unique key at it.
pub(crate) fn scope(root: Root, identifier: &Dataset) -> Result<(Level, Scope), StatusReply> {
    let level = level(root, identifier)?;
    let list = |tag: Tag| -> Vec<String> {
        identifier
            .str(tag)
            .split('\\')
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let uids = |tag: Tag| -> Vec<Uid> { list(tag).into_iter().map(Uid::new).collect() };
    let mut scope = Scope::default();
    if level >= Level::Patient {
        scope.patient_ids = list(tags::PATIENT_ID);
    }
    if level >= Level::Study {
        scope.study_uids = uids(tags::STUDY_INSTANCE_UID);
    }
    if level >= Level::Series {
        scope.series_uids = uids(tags::SERIES_INSTANCE_UID);
    }
    if level == Level::Instance {
        scope.sop_instances = uids(tags::SOP_INSTANCE_UID);
    }
    let selects = match level {
        Level::Patient => !scope.patient_ids.is_empty(),
        Level::Study => !scope.study_uids.is_empty(),
        Level::Series => !scope.series_uids.is_empty(),
        Level::Instance => !scope.sop_instances.is_empty(),
    };
    if !selects {
        let name = dict::name(level.key());
        let text = format!("{name} is needed at level {}", level.as_str());
        return Err(StatusReply::new(Status::DATA_SET_MISMATCH, text).offending(level.key()));
    }
    Ok((level, scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(level: &str) -> Dataset {
        Dataset::new().with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, level)
    }

    #[test]
    fn levels_are_checked_against_the_model() {
        assert!(question(Root::Patient, &asks("PATIENT")).is_ok());
        for (root, level, word) in [
            (Root::Study, "PATIENT", "Study Root"),
            (Root::Study, "", "missing"),
            (Root::Study, "INSTANCE", "'INSTANCE'"),
        ] {
            let reply = question(root, &asks(level)).unwrap_err();
            assert_eq!(reply.status, Status::DATA_SET_MISMATCH);
            assert!(reply.comment.unwrap().contains(word), "{level}");
            assert_eq!(reply.offending, [tags::QUERY_RETRIEVE_LEVEL]);
        }
    }

    #[test]
    fn keys_that_are_not_indexed_are_only_returned() {
        let identifier = asks("STUDY")
            .with_str(tags::PATIENT_NAME, Vr::PN, "DOE*")
            .with_str(tags::MODALITY, Vr::CS, "CT")
            .with_str(tags::STUDY_DATE, Vr::DA, "20260101-");
        let question = question(Root::Study, &identifier).unwrap();
        assert_eq!(question.query.keys.len(), 2, "Modality belongs to a lower level");
        assert!(question.unmatched);
        assert_eq!(question.asked.len(), 3);
    }

    #[test]
    fn bad_values_name_their_key() {
        let identifier = asks("STUDY").with_str(tags::STUDY_DATE, Vr::DA, "yesterday");
        let reply = question(Root::Study, &identifier).unwrap_err();
        assert_eq!(reply.offending, [tags::STUDY_DATE]);
        assert!(reply.comment.unwrap().contains("'yesterday'"));
    }

    #[test]
    fn a_retrieval_needs_its_unique_key() {
        let reply = scope(Root::Study, &asks("SERIES")).unwrap_err();
        assert!(reply.comment.unwrap().contains("SeriesInstanceUID"));
        let identifier = asks("STUDY").with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2\\1.3");
        let (level, scope) = scope(Root::Study, &identifier).unwrap();
        assert_eq!((level, scope.study_uids.len()), (Level::Study, 2));
    }
}
