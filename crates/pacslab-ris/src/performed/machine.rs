//! The states of a performed procedure step. PS3.3 C.4.14 (0040,0252), PS3.4 F.7.2.
//!
//! ```text
//! IN PROGRESS -> COMPLETED
//!           \--> DISCONTINUED
//! ```

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PerformedStatus {
    #[serde(rename = "IN PROGRESS")]
    InProgress,
    #[serde(rename = "COMPLETED")]
    Completed,
    #[serde(rename = "DISCONTINUED")]
    Discontinued,
}

/// What an N-SET does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PerformedEvent {
    Update,
    Complete,
    Discontinue,
}

/// The table; `None`: it has ended and may no longer be updated.
pub(crate) const fn perform(
    state: PerformedStatus,
    event: PerformedEvent,
) -> Option<PerformedStatus> {
    use PerformedEvent as E;
    use PerformedStatus as S;
    match (state, event) {
        (S::InProgress, E::Update) => Some(S::InProgress),
        (S::InProgress, E::Complete) => Some(S::Completed),
        (S::InProgress, E::Discontinue) => Some(S::Discontinued),
        (S::Completed | S::Discontinued, _) => None,
    }
}

impl PerformedStatus {
    pub const ALL: [Self; 3] = [Self::InProgress, Self::Completed, Self::Discontinued];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "IN PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Discontinued => "DISCONTINUED",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub const fn is_final(self) -> bool {
        !matches!(self, Self::InProgress)
    }
}

impl PerformedEvent {
    /// The event that leads to a state, for messages that only name the state.
    pub(crate) const fn towards(state: PerformedStatus) -> Self {
        match state {
            PerformedStatus::InProgress => Self::Update,
            PerformedStatus::Completed => Self::Complete,
            PerformedStatus::Discontinued => Self::Discontinue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cell_is_as_the_table_says() {
        use PerformedEvent as E;
        use PerformedStatus as S;
        let table = [
            (S::InProgress, [Some(S::InProgress), Some(S::Completed), Some(S::Discontinued)]),
            (S::Completed, [None; 3]),
            (S::Discontinued, [None; 3]),
        ];
        for (state, row) in table {
            for (event, next) in [E::Update, E::Complete, E::Discontinue].into_iter().zip(row) {
                assert_eq!(perform(state, event), next, "{state:?} {event:?}");
            }
            assert_eq!(PerformedStatus::parse(state.as_str()), Some(state));
            let frozen = row.iter().all(Option::is_none);
            assert_eq!(state.is_final(), frozen);
        }
    }
}
