//! The states of a scheduled procedure step. IHE RAD TF-1 3, PS3.3 C.4.10 (0040,0020).
//!
//! ```text
//! SCHEDULED -> ARRIVED -> READY -> STARTED -> DEPARTED -> COMPLETED
//!      \__________\________\__________\___________\-----> DISCONTINUED
//!       \__________\________\----> CANCELLED, NOSHOW (only before work has begun)
//! ```

use pacslab_model::order::StepStatus;

/// What happens to a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StepEvent {
    /// The order is changed (XO): when, where or what.
    Revise,
    Arrive,
    /// The patient is not here after all.
    Unarrive,
    MakeReady,
    Start,
    /// Images of its study came.
    Images,
    Depart,
    Complete,
    Discontinue,
    Cancel,
    /// The patient did not come to the appointment (S26).
    Miss,
}

/// The table does not foresee it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a step that is {} cannot {}{}", .state.as_str(), .event.phrase(), advice(*.state, *.event))]
pub struct Unexpected {
    pub state: StepStatus,
    pub event: StepEvent,
}

/// The table.
pub const fn step(state: StepStatus, event: StepEvent) -> Result<StepStatus, Unexpected> {
    use StepEvent as E;
    use StepStatus as S;
    Ok(match (state, event) {
        (S::Scheduled | S::Arrived | S::Ready, E::Revise) => state,

        (S::Scheduled | S::Arrived, E::Arrive) => S::Arrived,
        (S::Scheduled | S::Arrived | S::Ready, E::Unarrive) => S::Scheduled,
        (S::Scheduled | S::Arrived | S::Ready, E::MakeReady) => S::Ready,
        (S::Scheduled | S::Arrived | S::Ready | S::Started, E::Start) => S::Started,

        (S::Scheduled | S::Arrived | S::Ready, E::Images) => S::Started,
        // images that come later, or after all, change nothing
        (
            S::Started | S::Departed | S::Completed | S::Discontinued | S::Cancelled | S::NoShow,
            E::Images,
        ) => state,

        (S::Started | S::Departed, E::Depart) => S::Departed,

        // a department without MPPS tells the end only
        (
            S::Scheduled | S::Arrived | S::Ready | S::Started | S::Departed | S::Completed,
            E::Complete,
        ) => S::Completed,
        (
            S::Scheduled | S::Arrived | S::Ready | S::Started | S::Departed | S::Discontinued,
            E::Discontinue,
        ) => S::Discontinued,
        (S::Scheduled | S::Arrived | S::Ready | S::Cancelled, E::Cancel) => S::Cancelled,
        (S::Scheduled | S::Arrived | S::Ready | S::NoShow, E::Miss) => S::NoShow,
        // whoever withdraws an order after it was missed has what they want
        (S::NoShow, E::Cancel | E::Discontinue) => S::NoShow,

        _ => return Err(Unexpected { state, event }),
    })
}

/// The event that leads to a state, for messages that only name the state.
pub const fn towards(state: StepStatus) -> Option<StepEvent> {
    match state {
        StepStatus::Scheduled => None,
        StepStatus::Arrived => Some(StepEvent::Arrive),
        StepStatus::Ready => Some(StepEvent::MakeReady),
        StepStatus::Started => Some(StepEvent::Start),
        StepStatus::Departed => Some(StepEvent::Depart),
        StepStatus::Completed => Some(StepEvent::Complete),
        StepStatus::Discontinued => Some(StepEvent::Discontinue),
        StepStatus::Cancelled => Some(StepEvent::Cancel),
        StepStatus::NoShow => Some(StepEvent::Miss),
    }
}

/// No event leads on from here.
pub const fn is_final(state: StepStatus) -> bool {
    matches!(
        state,
        StepStatus::Completed
            | StepStatus::Discontinued
            | StepStatus::Cancelled
            | StepStatus::NoShow
    )
}

impl StepEvent {
    pub const ALL: [Self; 11] = [
        Self::Revise,
        Self::Arrive,
        Self::Unarrive,
        Self::MakeReady,
        Self::Start,
        Self::Images,
        Self::Depart,
        Self::Complete,
        Self::Discontinue,
        Self::Cancel,
        Self::Miss,
    ];

    const fn phrase(self) -> &'static str {
        match self {
            Self::Revise => "be changed",
            Self::Arrive => "arrive",
            Self::Unarrive => "go back to waiting",
            Self::MakeReady => "become ready",
            Self::Start => "start",
            Self::Images => "take images",
            Self::Depart => "depart",
            Self::Complete => "complete",
            Self::Discontinue => "be discontinued",
            Self::Cancel => "be cancelled",
            Self::Miss => "be missed",
        }
    }
}

fn advice(state: StepStatus, event: StepEvent) -> &'static str {
    match (state, event) {
        (StepStatus::Started | StepStatus::Departed, StepEvent::Cancel | StepEvent::Miss) => {
            "; discontinue it (DC) instead"
        }
        (state, _) if is_final(state) => "; send a new order",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a state, one column an event, in the order of `StepEvent::ALL`; `-`: unexpected.
    const TABLE: &str = "
        SCHEDULED     SCHEDULED ARRIVED   SCHEDULED READY STARTED STARTED - COMPLETED DISCONTINUED CANCELLED NOSHOW
        ARRIVED       ARRIVED   ARRIVED   SCHEDULED READY STARTED STARTED - COMPLETED DISCONTINUED CANCELLED NOSHOW
        READY         READY     -         SCHEDULED READY STARTED STARTED - COMPLETED DISCONTINUED CANCELLED NOSHOW
        STARTED       -         -         -         - STARTED STARTED DEPARTED COMPLETED DISCONTINUED - -
        DEPARTED      -         -         -         - - DEPARTED DEPARTED COMPLETED DISCONTINUED - -
        COMPLETED     -         -         -         - - COMPLETED - COMPLETED - - -
        DISCONTINUED  -         -         -         - - DISCONTINUED - - DISCONTINUED - -
        CANCELLED     -         -         -         - - CANCELLED - - - CANCELLED -
        NOSHOW        -         -         -         - - NOSHOW - - NOSHOW NOSHOW NOSHOW
    ";

    #[test]
    fn every_cell_is_as_the_table_says() {
        let rows: Vec<Vec<&str>> = TABLE
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<_>| !row.is_empty())
            .collect();
        assert_eq!(rows.len(), StepStatus::ALL.len());
        for (row, state) in rows.iter().zip(StepStatus::ALL) {
            assert_eq!(row[0], state.as_str());
            for (cell, event) in row[1..].iter().zip(StepEvent::ALL) {
                let found = step(state, event).map_or("-", StepStatus::as_str);
                assert_eq!(found, *cell, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn what_ends_stays_ended() {
        for state in StepStatus::ALL.into_iter().filter(|state| is_final(*state)) {
            for event in StepEvent::ALL {
                assert!(
                    step(state, event).is_ok_and(|next| next == state)
                        || step(state, event).is_err()
                );
            }
        }
        let refused = step(StepStatus::Started, StepEvent::Cancel).unwrap_err().to_string();
        assert_eq!(
            refused,
            "a step that is STARTED cannot be cancelled; discontinue it (DC) instead"
        );
    }
}
