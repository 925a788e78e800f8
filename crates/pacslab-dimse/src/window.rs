//! The asynchronous operations window: how many requests may wait for their answers at a time.
//! PS3.7 D.3.3.3.
//!
//! Both numbers are the requestor's, in its request and in our answer: what it may invoke, and
//! what it performs for us (the sub-operations of its C-GET). 0 stands for any number. Without the
//! item there is one request at a time in each direction.

use crate::fsm::Role;
use crate::pdu::{AssociateAc, AssociateRq};

/// As many as we take and as many as we ask for: enough for one sender to fill a batch.
pub const MOST: u16 = 16;

/// What was agreed on, seen from our end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Requests of ours that may wait for their answers.
    pub ours: usize,
    /// Requests of the peer's.
    pub theirs: usize,
}

impl Window {
    /// One at a time: what holds without negotiation.
    pub const SYNCHRONOUS: Self = Self { ours: 1, theirs: 1 };

    pub(crate) fn agreed(role: Role, rq: &AssociateRq, ac: &AssociateAc) -> Self {
        let (Some(asked), Some(answered)) = (rq.user.async_window, ac.user.async_window) else {
            return Self::SYNCHRONOUS;
        };
        // an answer may only lower what was asked for
        let (invoked, performed) = (lower(asked.0, answered.0), lower(asked.1, answered.1));
        let (ours, theirs) = match role {
            Role::Requestor => (invoked, performed),
            Role::Acceptor => (performed, invoked),
        };
        let number = |window| usize::from(lower(window, MOST));
        Self { ours: number(ours), theirs: number(theirs) }
    }
}

/// What is answered to a requestor that asked.
pub(crate) fn answer((invoked, performed): (u16, u16)) -> (u16, u16) {
    (lower(invoked, MOST), lower(performed, MOST))
}

/// The lower of two numbers of which 0 is the highest.
fn lower(one: u16, other: u16) -> u16 {
    match (one, other) {
        (0, number) | (number, 0) => number,
        (one, other) => one.min(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::UserInformation;

    fn agreed(role: Role, asked: Option<(u16, u16)>, answered: Option<(u16, u16)>) -> Window {
        let user = |async_window| UserInformation { async_window, ..UserInformation::default() };
        let rq = AssociateRq {
            protocol_version: 1,
            called: "PACS".into(),
            calling: "CT".into(),
            application_context: "1.2".into(),
            contexts: Vec::new(),
            user: user(asked),
        };
        let ac = AssociateAc {
            protocol_version: 1,
            called: "PACS".into(),
            calling: "CT".into(),
            application_context: "1.2".into(),
            contexts: Vec::new(),
            user: user(answered),
        };
        Window::agreed(role, &rq, &ac)
    }

    #[test]
    fn zero_is_any_number_and_an_answer_never_raises() {
        assert_eq!(answer((0, 0)), (MOST, MOST));
        assert_eq!(answer((4, 1)), (4, 1));
        assert_eq!(answer((1000, 0)), (MOST, MOST));
        let window = |ours, theirs| Window { ours, theirs };
        for (asked, answered, requestor) in [
            (Some((8, 1)), Some((4, 1)), window(4, 1)),
            (Some((8, 1)), Some((0, 0)), window(8, 1)),
            (Some((0, 0)), Some((0, 3)), window(16, 3)),
            (Some((8, 4)), None, Window::SYNCHRONOUS),
            (None, Some((8, 4)), Window::SYNCHRONOUS),
        ] {
            assert_eq!(agreed(Role::Requestor, asked, answered), requestor);
            let acceptor = Window { ours: requestor.theirs, theirs: requestor.ours };
            assert_eq!(agreed(Role::Acceptor, asked, answered), acceptor);
        }
    }
}
