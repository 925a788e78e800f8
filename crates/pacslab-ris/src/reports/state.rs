//! The states of a report, and what an order has come to. HL7 table 0123 (OBR-25); IHE RAD TF-1 3.

use pacslab_hl7::incoming::ReportStatus;
use pacslab_model::order::{Order, StepStatus};
use serde::{Deserialize, Serialize};

/// Where the report of an order is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ReportState {
    #[default]
    None,
    Preliminary,
    Final,
    /// Final before, and said anew since.
    Corrected,
    Cancelled,
}

impl ReportState {
    pub const ALL: [Self; 5] =
        [Self::None, Self::Preliminary, Self::Final, Self::Corrected, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Preliminary => "PRELIMINARY",
            Self::Final => "FINAL",
            Self::Corrected => "CORRECTED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Somebody has put their name to it.
    pub const fn is_signed(self) -> bool {
        matches!(self, Self::Final | Self::Corrected)
    }

    /// OBR-25.
    pub const fn status(self) -> ReportStatus {
        match self {
            Self::None => ReportStatus::Pending,
            Self::Preliminary => ReportStatus::Preliminary,
            Self::Final => ReportStatus::Final,
            Self::Corrected => ReportStatus::Corrected,
            Self::Cancelled => ReportStatus::Cancelled,
        }
    }
}

/// The table; `None`: not foreseen. A final report may be said again as it was; whether it is, the
/// caller knows.
pub const fn report(state: ReportState, told: ReportStatus) -> Option<ReportState> {
    use ReportState as S;
    use ReportStatus as T;
    match (state, told) {
        // there is nothing to read yet
        (_, T::Pending) => Some(state),
        (S::None | S::Preliminary | S::Cancelled, T::Preliminary | T::Partial | T::Unverified) => {
            Some(S::Preliminary)
        }
        (_, T::Final) if !matches!(state, S::Corrected) => Some(S::Final),
        // a correction of what never came is a report all the same
        (S::None | S::Preliminary | S::Final | S::Corrected, T::Corrected) => Some(S::Corrected),
        (S::Preliminary | S::Final | S::Corrected | S::Cancelled, T::Cancelled) => {
            Some(S::Cancelled)
        }
        // what is signed does not become a draft, nor a correction what was before it
        _ => None,
    }
}

/// What an order has come to: derived from its steps and its report, kept nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderState {
    Scheduled,
    Arrived,
    InProgress,
    Completed,
    Discontinued,
    Cancelled,
    #[serde(rename = "NOSHOW")]
    NoShow,
    Preliminary,
    Final,
    Amended,
}

impl OrderState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "SCHEDULED",
            Self::Arrived => "ARRIVED",
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
            Self::Cancelled => "CANCELLED",
            Self::NoShow => "NOSHOW",
            Self::Preliminary => "PRELIMINARY",
            Self::Final => "FINAL",
            Self::Amended => "AMENDED",
        }
    }

    /// The report tells most; else the step that has most to do.
    pub fn of(order: &Order, report: ReportState) -> Self {
        match report {
            ReportState::Preliminary => return Self::Preliminary,
            ReportState::Final => return Self::Final,
            ReportState::Corrected => return Self::Amended,
            ReportState::None | ReportState::Cancelled => {}
        }
        let any =
            |wanted: &[StepStatus]| order.steps.iter().any(|step| wanted.contains(&step.status));
        use StepStatus as S;
        let done = any(&[S::Completed]);
        match () {
            () if any(&[S::Started, S::Departed]) => Self::InProgress,
            // one of several steps is done
            () if done && any(&[S::Scheduled, S::Arrived, S::Ready]) => Self::InProgress,
            () if any(&[S::Arrived, S::Ready]) => Self::Arrived,
            () if any(&[S::Scheduled]) => Self::Scheduled,
            () if done => Self::Completed,
            () if any(&[S::Discontinued]) => Self::Discontinued,
            () if any(&[S::NoShow]) => Self::NoShow,
            () if any(&[S::Cancelled]) => Self::Cancelled,
            () => Self::Scheduled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a state, one column a status, in the order of `ReportStatus::ALL`: P F C A R I X.
    const TABLE: &str = "
        NONE         PRELIMINARY FINAL CORRECTED PRELIMINARY PRELIMINARY NONE        -
        PRELIMINARY  PRELIMINARY FINAL CORRECTED PRELIMINARY PRELIMINARY PRELIMINARY CANCELLED
        FINAL        -           FINAL CORRECTED -           -           FINAL       CANCELLED
        CORRECTED    -           -     CORRECTED -           -           CORRECTED   CANCELLED
        CANCELLED    PRELIMINARY FINAL -         PRELIMINARY PRELIMINARY CANCELLED   CANCELLED
    ";

    #[test]
    fn every_cell_is_as_the_table_says() {
        let rows = TABLE.lines().map(str::trim).filter(|line| !line.is_empty());
        let rows: Vec<Vec<&str>> = rows.map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows.len(), ReportState::ALL.len());
        for (row, state) in rows.iter().zip(ReportState::ALL) {
            assert_eq!(row[0], state.as_str());
            assert_eq!(row.len(), ReportStatus::ALL.len() + 1);
            for (cell, told) in row[1..].iter().zip(ReportStatus::ALL) {
                let found = report(state, told).map_or("-", ReportState::as_str);
                assert_eq!(found, *cell, "{state:?} {told:?}");
            }
        }
    }

    #[test]
    fn an_order_is_what_its_steps_and_its_report_say() {
        use StepStatus as S;
        let order = |statuses: &[S]| {
            let step = |status: &S| pacslab_model::order::ScheduledStep {
                id: String::new(),
                description: String::new(),
                protocol: Default::default(),
                modality: "CT".to_owned(),
                station: pacslab_model::AeTitle::new("CT1").unwrap(),
                station_name: String::new(),
                location: String::new(),
                start_date: String::new(),
                start_time: String::new(),
                performing_physician: Default::default(),
                status: *status,
            };
            Order { steps: statuses.iter().map(step).collect(), ..Order::default() }
        };
        let none = ReportState::None;
        for (steps, report, state) in [
            (&[S::Scheduled][..], none, "SCHEDULED"),
            (&[S::Scheduled, S::Ready], none, "ARRIVED"),
            (&[S::Started, S::Arrived], none, "IN_PROGRESS"),
            (&[S::Completed, S::Scheduled], none, "IN_PROGRESS"),
            (&[S::Completed, S::Cancelled], none, "COMPLETED"),
            (&[S::Discontinued, S::NoShow], none, "DISCONTINUED"),
            (&[S::NoShow], none, "NOSHOW"),
            (&[S::NoShow, S::Scheduled], none, "SCHEDULED"),
            (&[S::Cancelled], none, "CANCELLED"),
            (&[S::Completed], ReportState::Preliminary, "PRELIMINARY"),
            (&[S::Started], ReportState::Final, "FINAL"),
            (&[S::Completed], ReportState::Corrected, "AMENDED"),
            (&[S::Completed], ReportState::Cancelled, "COMPLETED"),
        ] {
            assert_eq!(OrderState::of(&order(steps), report).as_str(), state, "{steps:?}");
        }
    }
}
