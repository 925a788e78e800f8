//! ORC-1 and ORC-5: what is asked for, and which state a step has. HL7 tables 0119 and 0038; IHE
//! RAD TF-2 4.2 to 4.4 and 4.13.

use pacslab_model::order::{OrderControl, StepStatus};

/// What an order control code comes to here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Effect {
    Do(OrderControl),
    /// The answer to an order of ours: nothing to do.
    Reply,
    /// A code of the table that has no effect here.
    NotHere,
    Unknown,
}

/// The table.
const CODES: &[(&str, Effect)] = &[
    ("NW", Effect::Do(OrderControl::New)),
    // the filler made the order and asks for a placer number
    ("SN", Effect::Do(OrderControl::New)),
    // the order in place of a replaced one, and the child of a parent order
    ("RO", Effect::Do(OrderControl::New)),
    ("CH", Effect::Do(OrderControl::New)),
    ("XO", Effect::Do(OrderControl::Change)),
    ("XX", Effect::Do(OrderControl::Change)),
    // the placer's number for an order that the filler made
    ("NA", Effect::Do(OrderControl::Change)),
    ("CA", Effect::Do(OrderControl::Cancel)),
    ("OC", Effect::Do(OrderControl::Cancel)),
    ("RP", Effect::Do(OrderControl::Cancel)),
    ("RU", Effect::Do(OrderControl::Cancel)),
    ("DC", Effect::Do(OrderControl::Discontinue)),
    ("OD", Effect::Do(OrderControl::Discontinue)),
    ("SC", Effect::Do(OrderControl::StatusChange)),
    ("OK", Effect::Reply),
    ("CR", Effect::Reply),
    ("DR", Effect::Reply),
    ("HR", Effect::Reply),
    ("OR", Effect::Reply),
    ("UR", Effect::Reply),
    ("XR", Effect::Reply),
    ("PR", Effect::Reply),
    ("UA", Effect::Reply),
    ("UC", Effect::Reply),
    ("UD", Effect::Reply),
    ("UF", Effect::Reply),
    ("UH", Effect::Reply),
    ("UM", Effect::Reply),
    ("UN", Effect::Reply),
    ("UX", Effect::Reply),
    // a parent order is made of its children
    ("PA", Effect::Reply),
    ("HD", Effect::NotHere),
    ("OH", Effect::NotHere),
    ("RL", Effect::NotHere),
    ("OE", Effect::NotHere),
    ("RF", Effect::NotHere),
    ("RE", Effect::NotHere),
    ("RQ", Effect::NotHere),
    ("SS", Effect::NotHere),
];

pub(super) fn effect(code: &str) -> Effect {
    CODES.iter().find(|(known, _)| *known == code).map_or(Effect::Unknown, |(_, effect)| *effect)
}

/// NW and XO tell the whole order; the others only name it.
pub(super) fn schedules(control: OrderControl) -> bool {
    matches!(control, OrderControl::New | OrderControl::Change)
}

/// ORC-1 and ORC-5 (table 0038) to the state of the step.
pub(super) fn status(control: OrderControl, orc5: &str) -> StepStatus {
    match (control, orc5) {
        (OrderControl::Cancel, _) => StepStatus::Cancelled,
        (OrderControl::Discontinue, _) => StepStatus::Discontinued,
        (OrderControl::New, _) => StepStatus::Scheduled,
        (_, "CM" | "A") => StepStatus::Completed,
        (_, "CA" | "RP") => StepStatus::Cancelled,
        (_, "DC") => StepStatus::Discontinued,
        (OrderControl::StatusChange, "IP") => StepStatus::Started,
        _ => StepStatus::Scheduled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice_in_the_table() {
        for (at, (code, _)) in CODES.iter().enumerate() {
            assert!(CODES[..at].iter().all(|(other, _)| other != code), "{code}");
        }
        assert_eq!(effect("OC"), Effect::Do(OrderControl::Cancel));
        assert_eq!(effect("ZZ"), Effect::Unknown);
    }
}
