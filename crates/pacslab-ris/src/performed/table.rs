//! Which attributes a modality performed procedure step has, and when. PS3.4 table F.7.2-1.
//!
//! The table is the rule; nothing else here knows an attribute by name.

use pacslab_dicom::{Dataset, dict};
use pacslab_model::{Tag, tags};

use Create::{May, Must, Needs};

/// One row of the table.
pub(crate) struct Row {
    pub(crate) tag: Tag,
    create: Create,
    /// N-SET may carry it.
    set: bool,
    /// It has to have a value when the step ends.
    ends: bool,
    /// What each item has to have.
    items: &'static [Row],
}

/// What N-CREATE has to bring: type 1, 2 or 3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Create {
    /// A value.
    Needs,
    /// The attribute, with or without a value.
    Must,
    May,
}

/// One attribute of the step, or of an item of a sequence of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    pub tag: Tag,
    /// The sequence and which of its items, from 1.
    pub within: Option<(Tag, usize)>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // a comment of 64 characters has to hold it: the name first
        match self.within {
            None => write!(f, "{}", dict::name(self.tag)),
            Some((sequence, item)) => {
                let sequence = dict::keyword(sequence).unwrap_or("an item");
                write!(f, "{} of {sequence} {item}", dict::keyword(self.tag).unwrap_or("?"))
            }
        }
    }
}

/// What of the table does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Broken {
    Missing(Place),
    Empty(Place),
    /// N-SET may not carry it.
    Fixed(Tag),
    /// N-CREATE did not bring it.
    NotCreated(Tag),
}

const fn row(tag: Tag, create: Create) -> Row {
    Row { tag, create, set: false, ends: false, items: &[] }
}

impl Row {
    /// N-SET may carry it.
    const fn settable(self) -> Self {
        Self { set: true, ..self }
    }

    /// A value is needed in the end.
    const fn needed_in_the_end(self) -> Self {
        Self { ends: true, ..self }
    }

    const fn of(self, items: &'static [Self]) -> Self {
        Self { items, ..self }
    }
}

pub(crate) static TABLE: &[Row] = &[
    // performed procedure step relationship
    row(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, Needs).of(SCHEDULED),
    row(tags::PATIENT_NAME, Must),
    row(tags::PATIENT_ID, Must),
    row(tags::PATIENT_BIRTH_DATE, Must),
    row(tags::PATIENT_SEX, Must),
    row(tags::REFERENCED_PATIENT_SEQUENCE, Must).of(REFERENCE),
    // performed procedure step information
    row(tags::PERFORMED_PROCEDURE_STEP_ID, Needs),
    row(tags::PERFORMED_STATION_AE_TITLE, Needs),
    row(tags::PERFORMED_STATION_NAME, Must),
    row(tags::PERFORMED_LOCATION, Must),
    row(tags::PERFORMED_PROCEDURE_STEP_START_DATE, Needs),
    row(tags::PERFORMED_PROCEDURE_STEP_START_TIME, Needs),
    row(tags::PERFORMED_PROCEDURE_STEP_STATUS, Needs).settable().needed_in_the_end(),
    row(tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, Must).settable(),
    row(tags::PERFORMED_PROCEDURE_TYPE_DESCRIPTION, Must).settable(),
    row(tags::PROCEDURE_CODE_SEQUENCE, Must).settable(),
    row(tags::PERFORMED_PROCEDURE_STEP_END_DATE, Must).settable().needed_in_the_end(),
    row(tags::PERFORMED_PROCEDURE_STEP_END_TIME, Must).settable().needed_in_the_end(),
    row(tags::COMMENTS_ON_THE_PERFORMED_PROCEDURE_STEP, May).settable(),
    row(tags::DISCONTINUATION_REASON_CODE_SEQUENCE, May).settable(),
    // image acquisition results
    row(tags::MODALITY, Needs),
    row(tags::STUDY_ID, Must),
    row(tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, Must).settable(),
    row(tags::PERFORMED_SERIES_SEQUENCE, Must).settable().needed_in_the_end().of(SERIES),
];

static SCHEDULED: &[Row] = &[
    row(tags::STUDY_INSTANCE_UID, Needs),
    row(tags::REFERENCED_STUDY_SEQUENCE, Must),
    row(tags::ACCESSION_NUMBER, Must),
    row(tags::PLACER_ORDER_NUMBER, May),
    row(tags::FILLER_ORDER_NUMBER, May),
    row(tags::REQUESTED_PROCEDURE_ID, Must),
    row(tags::REQUESTED_PROCEDURE_DESCRIPTION, Must),
    row(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, May),
    row(tags::SCHEDULED_PROCEDURE_STEP_ID, Must),
    row(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Must),
    row(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, Must),
];

static SERIES: &[Row] = &[
    row(tags::PERFORMING_PHYSICIAN_NAME, Must),
    row(tags::OPERATORS_NAME, Must),
    row(tags::PROTOCOL_NAME, Needs),
    row(tags::SERIES_INSTANCE_UID, Needs),
    row(tags::SERIES_DESCRIPTION, Must),
    row(tags::RETRIEVE_AE_TITLE, Must),
    row(tags::REFERENCED_IMAGE_SEQUENCE, Must),
    row(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE, Must),
];

static REFERENCE: &[Row] =
    &[row(tags::REFERENCED_SOP_CLASS_UID, Needs), row(tags::REFERENCED_SOP_INSTANCE_UID, Needs)];

/// Whether N-CREATE may bring this.
pub(crate) fn creates(step: &Dataset) -> Result<(), Broken> {
    TABLE.iter().try_for_each(|row| row.created(step, None))
}

/// Whether N-SET may bring this for a step that is there. Attributes that the table does not name
/// may be changed where N-CREATE brought them.
pub(crate) fn sets(step: &Dataset, changes: &Dataset) -> Result<(), Broken> {
    for element in changes.iter() {
        let tag = element.tag;
        if tag == tags::SPECIFIC_CHARACTER_SET || tag.is_group_length() {
            continue;
        }
        let row = TABLE.iter().find(|row| row.tag == tag);
        if row.is_some_and(|row| !row.set) {
            return Err(Broken::Fixed(tag));
        }
        if !step.contains(tag) {
            return Err(Broken::NotCreated(tag));
        }
        row.map_or(Ok(()), |row| row.items_hold(changes))?;
    }
    Ok(())
}

/// Whether a step may end like this.
pub(crate) fn ends(step: &Dataset) -> Result<(), Broken> {
    TABLE.iter().filter(|row| row.ends).try_for_each(|row| {
        let place = Place { tag: row.tag, within: None };
        match step.get(row.tag) {
            None => Err(Broken::Missing(place)),
            Some(element) if element.is_empty() => Err(Broken::Empty(place)),
            Some(_) => row.items_hold(step),
        }
    })
}

impl Row {
    fn created(&self, set: &Dataset, within: Option<(Tag, usize)>) -> Result<(), Broken> {
        let place = Place { tag: self.tag, within };
        match set.get(self.tag) {
            None if self.create == May => Ok(()),
            None => Err(Broken::Missing(place)),
            Some(element) if element.is_empty() && self.create == Needs => {
                Err(Broken::Empty(place))
            }
            Some(_) => self.items_hold(set),
        }
    }

    /// What there is of items is complete.
    fn items_hold(&self, set: &Dataset) -> Result<(), Broken> {
        for (at, item) in set.items(self.tag).iter().enumerate() {
            let within = Some((self.tag, at + 1));
            self.items.iter().try_for_each(|row| row.created(item, within))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Type of N-CREATE, N-SET (`x`: not allowed) and in the end, as the table of the standard.
    const STANDARD: &str = "
        ScheduledStepAttributesSequence              1 x -
        PatientName                                  2 x -
        PatientID                                    2 x -
        PatientBirthDate                             2 x -
        PatientSex                                   2 x -
        ReferencedPatientSequence                    2 x -
        PerformedProcedureStepID                     1 x -
        PerformedStationAETitle                      1 x -
        PerformedStationName                         2 x -
        PerformedLocation                            2 x -
        PerformedProcedureStepStartDate              1 x -
        PerformedProcedureStepStartTime              1 x -
        PerformedProcedureStepStatus                 1 3 1
        PerformedProcedureStepDescription            2 3 -
        PerformedProcedureTypeDescription            2 3 -
        ProcedureCodeSequence                        2 3 -
        PerformedProcedureStepEndDate                2 3 1
        PerformedProcedureStepEndTime                2 3 1
        CommentsOnThePerformedProcedureStep          3 3 -
        PerformedProcedureStepDiscontinuationReasonCodeSequence 3 3 -
        Modality                                     1 x -
        StudyID                                      2 x -
        PerformedProtocolCodeSequence                2 3 -
        PerformedSeriesSequence                      2 3 1
    ";

    #[test]
    fn the_table_is_that_of_the_standard() {
        let standard: Vec<Vec<&str>> = STANDARD
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|words: &Vec<_>| !words.is_empty())
            .collect();
        assert_eq!(standard.len(), TABLE.len());
        for (words, row) in standard.iter().zip(TABLE) {
            assert_eq!(dict::tag(words[0]), Some(row.tag), "{}", words[0]);
            let create = match row.create {
                Needs => "1",
                Must => "2",
                May => "3",
            };
            let own = [create, if row.set { "3" } else { "x" }, if row.ends { "1" } else { "-" }];
            assert_eq!(own, words[1..], "{}", words[0]);
        }
    }

    #[test]
    fn places_are_named_within_a_comment() {
        let deepest = Place {
            tag: tags::SERIES_INSTANCE_UID,
            within: Some((tags::PERFORMED_SERIES_SEQUENCE, 3)),
        };
        assert_eq!(deepest.to_string(), "SeriesInstanceUID of PerformedSeriesSequence 3");
    }
}
