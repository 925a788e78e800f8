//! The state machine of the upper layer: PS3.8 9.2, table 9-10, as data.
//!
//! ```text
//!             requestor                                     acceptor
//!   Sta1 idle ── AE-1 ─▶ Sta4 ── AE-2 ─▶ Sta5     Sta1 ── AE-5 ─▶ Sta2 ── AE-6 ─▶ Sta3
//!                                 │ AE-3                                    │ AE-7
//!                                 └───────────▶ Sta6 data ◀─────────────────┘
//!            we release: AR-1 ─▶ Sta7 ── AR-3 ─▶ Sta1   peer releases: AR-2 ─▶ Sta8 ── AR-4 ─▶ Sta13
//!            both at once: Sta9 to Sta12                any abort: Sta13, then the transport closes
//! ```

/// PS3.8 9.2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Idle.
    Sta1 = 1,
    /// Transport open, awaiting A-ASSOCIATE-RQ.
    Sta2,
    /// Awaiting the local A-ASSOCIATE response.
    Sta3,
    /// Awaiting the transport to open.
    Sta4,
    /// Awaiting A-ASSOCIATE-AC or -RJ.
    Sta5,
    /// Association established: data transfer.
    Sta6,
    /// Awaiting A-RELEASE-RP.
    Sta7,
    /// Awaiting the local A-RELEASE response.
    Sta8,
    /// Release collision, requestor's side: awaiting the local A-RELEASE response.
    Sta9,
    /// Release collision, acceptor's side: awaiting A-RELEASE-RP.
    Sta10,
    /// Release collision, requestor's side: awaiting A-RELEASE-RP.
    Sta11,
    /// Release collision, acceptor's side: awaiting the local A-RELEASE response.
    Sta12,
    /// Awaiting the transport to close.
    Sta13,
}

/// Who opened the association.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Requestor,
    Acceptor,
}

/// PS3.8 9.2.1. Two events carry what the standard decides inside their action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Evt1: A-ASSOCIATE request (local user).
    AssociateRequest,
    /// Evt2: transport connection confirmed.
    TransportOpened,
    /// Evt3.
    AssociateAcPdu,
    /// Evt4.
    AssociateRjPdu,
    /// Evt5: transport connection indication.
    TransportAccepted,
    /// Evt6; `acceptable` is the outcome of action AE-6.
    AssociateRqPdu { acceptable: bool },
    /// Evt7: A-ASSOCIATE response, accept (local user).
    Accept,
    /// Evt8: A-ASSOCIATE response, reject (local user).
    Reject,
    /// Evt9: P-DATA request (local user).
    DataRequest,
    /// Evt10.
    DataPdu,
    /// Evt11: A-RELEASE request (local user).
    ReleaseRequest,
    /// Evt12; action AR-8 goes on by the role of this side.
    ReleaseRqPdu { role: Role },
    /// Evt13.
    ReleaseRpPdu,
    /// Evt14: A-RELEASE response (local user).
    ReleaseResponse,
    /// Evt15: A-ABORT request (local user).
    AbortRequest,
    /// Evt16.
    AbortPdu,
    /// Evt17.
    TransportClosed,
    /// Evt18.
    ArtimExpired,
    /// Evt19: unrecognized or invalid PDU.
    InvalidPdu,
}

/// PS3.8 9.2.3, tables 9-6 to 9-9: what is to be done on the way to the next state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Open the transport.
    AE1,
    /// Send A-ASSOCIATE-RQ.
    AE2,
    /// Confirm the association.
    AE3,
    /// Tell of the rejection, close the transport.
    AE4,
    /// Start ARTIM.
    AE5,
    /// Stop ARTIM; indicate the request, or send A-ASSOCIATE-RJ and start ARTIM.
    AE6,
    /// Send A-ASSOCIATE-AC.
    AE7,
    /// Send A-ASSOCIATE-RJ, start ARTIM.
    AE8,
    /// Send P-DATA-TF.
    DT1,
    /// Indicate P-DATA.
    DT2,
    /// Send A-RELEASE-RQ.
    AR1,
    /// Indicate the release.
    AR2,
    /// Confirm the release, close the transport.
    AR3,
    /// Send A-RELEASE-RP, start ARTIM.
    AR4,
    /// Stop ARTIM.
    AR5,
    /// Indicate P-DATA.
    AR6,
    /// Send P-DATA-TF.
    AR7,
    /// Indicate the release (collision).
    AR8,
    /// Send A-RELEASE-RP.
    AR9,
    /// Confirm the release.
    AR10,
    /// Send A-ABORT (user, or unexpected PDU), start ARTIM.
    AA1,
    /// Stop ARTIM, close the transport.
    AA2,
    /// Indicate the abort, close the transport.
    AA3,
    /// Indicate an abort by the provider.
    AA4,
    /// Stop ARTIM.
    AA5,
    /// Ignore the PDU.
    AA6,
    /// Send A-ABORT.
    AA7,
    /// Send A-ABORT (provider), indicate an abort by the provider, start ARTIM.
    AA8,
}

/// An empty cell of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{event:?} cannot happen in {state:?}")]
pub struct Unexpected {
    pub state: State,
    pub event: Event,
}

/// One cell of table 9-10.
pub const fn step(state: State, event: Event) -> Result<(State, Action), Unexpected> {
    use Action::*;
    use Event as E;
    use State::*;
    Ok(match (event, state) {
        (E::AssociateRequest, Sta1) => (Sta4, AE1),
        (E::TransportOpened, Sta4) => (Sta5, AE2),
        (E::TransportAccepted, Sta1) => (Sta2, AE5),

        (E::AssociateAcPdu, Sta5) => (Sta6, AE3),
        (E::AssociateRjPdu, Sta5) => (Sta1, AE4),
        (E::AssociateRqPdu { acceptable: true }, Sta2) => (Sta3, AE6),
        (E::AssociateRqPdu { acceptable: false }, Sta2) => (Sta13, AE6),
        (E::Accept, Sta3) => (Sta6, AE7),
        (E::Reject, Sta3) => (Sta13, AE8),

        (E::DataRequest, Sta6) => (Sta6, DT1),
        (E::DataRequest, Sta8) => (Sta8, AR7),
        (E::DataPdu, Sta6) => (Sta6, DT2),
        (E::DataPdu, Sta7) => (Sta7, AR6),

        (E::ReleaseRequest, Sta6) => (Sta7, AR1),
        (E::ReleaseRqPdu { .. }, Sta6) => (Sta8, AR2),
        (E::ReleaseRqPdu { role: Role::Requestor }, Sta7) => (Sta9, AR8),
        (E::ReleaseRqPdu { role: Role::Acceptor }, Sta7) => (Sta10, AR8),
        (E::ReleaseRpPdu, Sta7 | Sta11) => (Sta1, AR3),
        (E::ReleaseRpPdu, Sta10) => (Sta12, AR10),
        (E::ReleaseResponse, Sta8 | Sta12) => (Sta13, AR4),
        (E::ReleaseResponse, Sta9) => (Sta11, AR9),

        (E::AbortRequest, Sta4) => (Sta1, AA2),
        (E::AbortRequest, Sta3 | Sta5 | Sta6 | Sta7 | Sta8 | Sta9 | Sta10 | Sta11 | Sta12) => {
            (Sta13, AA1)
        }

        (E::AbortPdu, Sta2 | Sta13) => (Sta1, AA2),
        (E::AbortPdu, Sta3 | Sta5 | Sta6 | Sta7 | Sta8 | Sta9 | Sta10 | Sta11 | Sta12) => {
            (Sta1, AA3)
        }

        (E::TransportClosed, Sta2) => (Sta1, AA5),
        (E::TransportClosed, Sta13) => (Sta1, AR5),
        (
            E::TransportClosed,
            Sta3 | Sta4 | Sta5 | Sta6 | Sta7 | Sta8 | Sta9 | Sta10 | Sta11 | Sta12,
        ) => (Sta1, AA4),

        (E::ArtimExpired, Sta2 | Sta13) => (Sta1, AA2),

        // a PDU of a kind that the state has no use for
        (
            E::AssociateAcPdu
            | E::AssociateRjPdu
            | E::DataPdu
            | E::ReleaseRqPdu { .. }
            | E::ReleaseRpPdu
            | E::InvalidPdu,
            Sta2,
        ) => (Sta13, AA1),
        (
            E::AssociateAcPdu
            | E::AssociateRjPdu
            | E::DataPdu
            | E::ReleaseRqPdu { .. }
            | E::ReleaseRpPdu,
            Sta13,
        ) => (Sta13, AA6),
        (E::AssociateRqPdu { .. } | E::InvalidPdu, Sta13) => (Sta13, AA7),
        (
            E::AssociateAcPdu
            | E::AssociateRjPdu
            | E::AssociateRqPdu { .. }
            | E::DataPdu
            | E::ReleaseRqPdu { .. }
            | E::ReleaseRpPdu
            | E::InvalidPdu,
            Sta3 | Sta5 | Sta6 | Sta7 | Sta8 | Sta9 | Sta10 | Sta11 | Sta12,
        ) => (Sta13, AA8),

        _ => return Err(Unexpected { state, event }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::*;
    use State::*;

    const STATES: [State; 13] =
        [Sta1, Sta2, Sta3, Sta4, Sta5, Sta6, Sta7, Sta8, Sta9, Sta10, Sta11, Sta12, Sta13];

    /// PS3.8 table 9-10, a row for each event and a column for each state; `-` is an empty cell.
    /// AE-6 and AR-8 have the next state of the requestor's or accepting case before the bar.
    const TABLE: &str = "
        1  AE1:4 -      -      -     -      -     -      -     -     -      -     -     -
        2  -     -      -      AE2:5 -      -     -      -     -     -      -     -     -
        3  -     AA1:13 AA8:13 -     AE3:6  AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA6:13
        4  -     AA1:13 AA8:13 -     AE4:1  AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA6:13
        5  AE5:2 -      -      -     -      -     -      -     -     -      -     -     -
        6  -     AE6:3|13 AA8:13 -   AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA7:13
        7  -     -      AE7:6  -     -      -     -      -     -     -      -     -     -
        8  -     -      AE8:13 -     -      -     -      -     -     -      -     -     -
        9  -     -      -      -     -      DT1:6 -      AR7:8 -     -      -     -     -
        10 -     AA1:13 AA8:13 -     AA8:13 DT2:6 AR6:7  AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA6:13
        11 -     -      -      -     -      AR1:7 -      -     -     -      -     -     -
        12 -     AA1:13 AA8:13 -     AA8:13 AR2:8 AR8:9|10 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA6:13
        13 -     AA1:13 AA8:13 -     AA8:13 AA8:13 AR3:1 AA8:13 AA8:13 AR10:12 AR3:1 AA8:13 AA6:13
        14 -     -      -      -     -      -     -      AR4:13 AR9:11 -    -     AR4:13 -
        15 -     -      AA1:13 AA2:1 AA1:13 AA1:13 AA1:13 AA1:13 AA1:13 AA1:13 AA1:13 AA1:13 -
        16 -     AA2:1  AA3:1  -     AA3:1  AA3:1 AA3:1  AA3:1 AA3:1 AA3:1  AA3:1 AA3:1 AA2:1
        17 -     AA5:1  AA4:1  AA4:1 AA4:1  AA4:1 AA4:1  AA4:1 AA4:1 AA4:1  AA4:1 AA4:1 AR5:1
        18 -     AA2:1  -      -     -      -     -      -     -     -      -     -     AA2:1
        19 -     AA1:13 AA8:13 -     AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA8:13 AA7:13
    ";

    /// The event of a row, in the case before the bar and in the case behind it.
    fn events(row: u8) -> [Event; 2] {
        use Event::*;
        let one = match row {
            1 => AssociateRequest,
            2 => TransportOpened,
            3 => AssociateAcPdu,
            4 => AssociateRjPdu,
            5 => TransportAccepted,
            6 => return [true, false].map(|acceptable| AssociateRqPdu { acceptable }),
            7 => Accept,
            8 => Reject,
            9 => DataRequest,
            10 => DataPdu,
            11 => ReleaseRequest,
            12 => return [Requestor, Acceptor].map(|role| ReleaseRqPdu { role }),
            13 => ReleaseRpPdu,
            14 => ReleaseResponse,
            15 => AbortRequest,
            16 => AbortPdu,
            17 => TransportClosed,
            18 => ArtimExpired,
            19 => InvalidPdu,
            other => panic!("row {other}"),
        };
        [one, one]
    }

    #[test]
    fn every_cell_is_that_of_the_standard() {
        let mut cells = 0;
        for line in TABLE.lines().filter(|line| !line.trim().is_empty()) {
            let mut words = line.split_whitespace();
            let row: u8 = words.next().unwrap().parse().unwrap();
            let columns: Vec<&str> = words.collect();
            assert_eq!(columns.len(), 13, "event {row}");
            for (state, cell) in STATES.into_iter().zip(columns) {
                for (case, event) in events(row).into_iter().enumerate() {
                    let found = match step(state, event) {
                        Ok((next, action)) => format!("{action:?}:{}", next as u8),
                        Err(unexpected) => {
                            assert_eq!(unexpected, Unexpected { state, event });
                            "-".to_owned()
                        }
                    };
                    let wanted = match cell.split_once(['|']) {
                        None => cell.to_owned(),
                        Some((first, _)) if case == 0 => first.to_owned(),
                        Some((first, second)) => {
                            format!("{}:{second}", first.split_once(':').unwrap().0)
                        }
                    };
                    assert_eq!(found, wanted, "event {row} in {state:?}");
                    cells += 1;
                }
            }
        }
        assert_eq!(cells, 19 * 13 * 2);
    }
}
