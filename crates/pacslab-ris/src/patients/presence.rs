//! Whether a patient is here. HL7 v2.5.1 3.3.1 to 3.3.13; IHE RAD TF-2 4.1 and 4.12.
//!
//! ```text
//! ABSENT -> EXPECTED -> HERE -> GONE
//!    \___________________/ \_____/      (A01 and A04 need no A05; A13 takes an A03 back)
//! ```

use pacslab_hl7::incoming::PatientAction;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Presence {
    /// No visit is known.
    #[default]
    Absent,
    /// Pre-admitted.
    Expected,
    Here,
    /// Discharged.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum VisitEvent {
    /// A05
    Expect,
    /// A01, A04
    Arrive,
    /// A02, A06, A07
    Move,
    /// A03
    Leave,
    /// A11, A23
    Cancel,
    /// A12
    CancelMove,
    /// A13
    CancelLeave,
}

/// The table; `None`: not foreseen.
pub const fn visit(state: Presence, event: VisitEvent) -> Option<Presence> {
    use Presence as P;
    use VisitEvent as E;
    Some(match (state, event) {
        (P::Absent | P::Expected | P::Gone, E::Expect) => P::Expected,
        (_, E::Arrive) | (P::Here, E::Move | E::CancelMove) | (P::Gone, E::CancelLeave) => P::Here,
        (P::Here | P::Gone, E::Leave) => P::Gone,
        (_, E::Cancel) => P::Absent,
        _ => return None,
    })
}

impl Presence {
    pub const ALL: [Self; 4] = [Self::Absent, Self::Expected, Self::Here, Self::Gone];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "ABSENT",
            Self::Expected => "EXPECTED",
            Self::Here => "HERE",
            Self::Gone => "GONE",
        }
    }
}

impl VisitEvent {
    pub const ALL: [Self; 7] = [
        Self::Expect,
        Self::Arrive,
        Self::Move,
        Self::Leave,
        Self::Cancel,
        Self::CancelMove,
        Self::CancelLeave,
    ];

    /// What a message says about the visit, if it does.
    pub const fn of(action: &PatientAction) -> Option<Self> {
        Some(match action {
            PatientAction::Visit { arrived: true } => Self::Arrive,
            PatientAction::Visit { arrived: false } => Self::Expect,
            PatientAction::Transfer { .. } | PatientAction::Class { .. } => Self::Move,
            PatientAction::Discharge { .. } => Self::Leave,
            PatientAction::CancelVisit => Self::Cancel,
            PatientAction::CancelTransfer => Self::CancelMove,
            PatientAction::CancelDischarge => Self::CancelLeave,
            PatientAction::Create
            | PatientAction::Update
            | PatientAction::Merge { .. }
            | PatientAction::ChangeId { .. } => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row a state, one column an event, in the order of `VisitEvent::ALL`.
    const TABLE: &str = "
        ABSENT    EXPECTED HERE -    -    ABSENT -    -
        EXPECTED  EXPECTED HERE -    -    ABSENT -    -
        HERE      -        HERE HERE GONE ABSENT HERE -
        GONE      EXPECTED HERE -    GONE ABSENT -    HERE
    ";

    #[test]
    fn every_cell_is_as_the_table_says() {
        let rows: Vec<Vec<&str>> = TABLE
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|row: &Vec<_>| !row.is_empty())
            .collect();
        assert_eq!(rows.len(), Presence::ALL.len());
        for (row, state) in rows.iter().zip(Presence::ALL) {
            assert_eq!(row[0], state.as_str());
            for (cell, event) in row[1..].iter().zip(VisitEvent::ALL) {
                let found = visit(state, event).map_or("-", Presence::as_str);
                assert_eq!(found, *cell, "{state:?} {event:?}");
            }
        }
    }
}
