//! Patients admitted, moved, changed, merged: ADT messages. HL7 v2.5.1 chapter 3; IHE RAD TF-2 4.1
//! (patient registration, RAD-1) and 4.12 (patient update, RAD-12).
//!
//! One table says for each event which structure it has and what is in it; a further event is a
//! row. Structures have other names before 2.5 for some events (table 0354).

use pacslab_model::PersonName;
use pacslab_model::order::{Identifier, Patient, Visit};

use crate::coding::Coding;
use crate::message::{self, Line, Message};
use crate::types;
use crate::write::{Sending, allergies, msh, pid};

/// A trigger event of ADT.
#[derive(Debug, PartialEq, Eq)]
pub struct AdtEvent {
    /// `A08`
    pub code: &'static str,
    /// What has happened, in a few words.
    pub means: &'static str,
    /// MSH-9.3 since 2.5.
    structure: &'static str,
    /// MSH-9.3 before 2.5.
    structure_before: &'static str,
    has: &'static [Part],
}

/// What a message has beside MSH, EVN and PID, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// MRG: who is no longer.
    Merge,
    /// PV1 with where the patient is.
    Visit,
    /// PV1 with where the patient is and was.
    Transfer,
    /// PV1 with when the patient left, and where to.
    Discharge,
    /// PV1 that says that there is no visit: the structure wants one.
    NoVisit,
    Allergies,
}

use Part::{Allergies, Discharge, Merge, NoVisit, Transfer};

macro_rules! events {
    ($($code:literal $means:literal: $structure:literal $before:literal [$($part:expr),*])*) => {
        /// All events that can be built.
        pub const EVENTS: &[AdtEvent] = &[$( AdtEvent {
            code: $code, means: $means, structure: $structure, structure_before: $before,
            has: &[$($part),*],
        } ),*];
    };
}

events! {
    "A01" "admitted":                   "ADT_A01" "ADT_A01" [Part::Visit, Allergies]
    "A02" "transferred":                "ADT_A02" "ADT_A02" [Transfer]
    "A03" "discharged":                 "ADT_A03" "ADT_A03" [Discharge]
    "A04" "registered":                 "ADT_A01" "ADT_A01" [Part::Visit, Allergies]
    "A05" "pre-admitted":               "ADT_A05" "ADT_A01" [Part::Visit, Allergies]
    "A06" "outpatient to inpatient":    "ADT_A06" "ADT_A06" [Transfer]
    "A07" "inpatient to outpatient":    "ADT_A06" "ADT_A06" [Transfer]
    "A08" "changed":                    "ADT_A01" "ADT_A01" [Part::Visit, Allergies]
    "A11" "admission cancelled":        "ADT_A09" "ADT_A09" [Part::Visit]
    "A12" "transfer cancelled":         "ADT_A12" "ADT_A12" [Transfer]
    "A13" "discharge cancelled":        "ADT_A01" "ADT_A01" [Part::Visit]
    "A23" "visit deleted":              "ADT_A21" "ADT_A02" [Part::Visit]
    "A28" "person added":               "ADT_A05" "ADT_A01" [NoVisit, Allergies]
    "A31" "person changed":             "ADT_A05" "ADT_A01" [NoVisit, Allergies]
    "A40" "merged":                     "ADT_A39" "ADT_A39" [Merge]
    "A47" "identifier changed":         "ADT_A30" "ADT_A30" [Merge]
}

impl AdtEvent {
    /// By `A08` or `ADT^A08`, in any case.
    pub fn by_code(text: &str) -> Option<&'static Self> {
        let text = text.trim().to_ascii_uppercase();
        let code = text.strip_prefix("ADT^").unwrap_or(&text);
        EVENTS.iter().find(|event| event.code == code)
    }

    /// The event of a message that came. Before 2.3.1 merges had other numbers.
    pub(crate) fn of_message(code: &str) -> Option<&'static Self> {
        let code = match code {
            "A18" | "A34" => "A40",
            "A46" => "A47",
            code => code,
        };
        EVENTS.iter().find(|event| event.code == code)
    }

    /// Whether it names somebody or something that is replaced.
    pub fn merges(&self) -> bool {
        self.has.contains(&Merge)
    }

    /// Whether it names where the patient was before.
    pub fn transfers(&self) -> bool {
        self.has.contains(&Transfer)
    }
}

/// What a message tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Adt<'a> {
    pub event: &'static AdtEvent,
    /// As the patient is from now on.
    pub patient: &'a Patient,
    pub visit: &'a Visit,
    /// PV1-6, in components: where the patient was.
    pub prior_location: &'a str,
    /// MRG-1: the identifier that is replaced, and MRG-7, the name that went with it.
    pub prior_id: &'a Identifier,
    pub prior_name: &'a PersonName,
}

/// One ADT message; `sending.at` is when it happened.
pub fn build_adt(adt: &Adt<'_>, sending: &Sending) -> Message {
    let coding = Coding::new(sending.charset);
    let event = adt.event;
    let since_2_5 = message::is_since_2_5(&sending.version);
    let structure = if since_2_5 { event.structure } else { event.structure_before };
    let mut message = Message::new(coding);
    message.push(msh(&coding, &format!("ADT^{}^{structure}", event.code), sending));
    let at = format!("{}{}", sending.at.da(), sending.at.tm());
    message.push(
        Line::new("EVN")
            // the same as MSH-9.2, and no longer wanted since 2.5
            .with(1, if since_2_5 { "" } else { event.code })
            .with(2, at.as_str())
            .with(6, at.as_str()),
    );
    message.push(pid(&coding, adt.patient));
    for part in event.has {
        match part {
            Merge => message.push(mrg(&coding, adt)),
            Allergies => {
                allergies(&coding, adt.patient).into_iter().for_each(|line| message.push(line));
            }
            visit => message.push(pv1(&coding, adt, *visit, &at)),
        }
    }
    message
}

fn pv1(coding: &Coding, adt: &Adt<'_>, part: Part, at: &str) -> Line {
    let visit = adt.visit;
    let line = Line::new("PV1").with(1, "1");
    if part == NoVisit {
        return line.with(2, "N");
    }
    let place = |text: &str| coding.components(&text.split('^').collect::<Vec<_>>());
    // A06 and A07 are about the class; A04 and A05 about somebody who is not in yet
    let class = match (adt.event.code, visit.class.as_str()) {
        ("A06", _) => "I",
        ("A07" | "A04", "") => "O",
        ("A05", "") => "P",
        (_, "") => "I",
        (_, class) => class,
    };
    let line = line.with(2, coding.escape(class)).with(3, place(&visit.location));
    let line = match part {
        Transfer => line.with(6, place(adt.prior_location)),
        _ => line,
    };
    let line = line
        .with(8, types::xcn_from_name(coding, &visit.referring_physician))
        .with(19, types::cx_from_identifier(coding, &visit.admission, ""));
    match part {
        // 01: home or self care (table 0112)
        Discharge => line.with(36, "01").with(45, at),
        _ if adt.event.code == "A01" => line.with(44, at),
        _ => line,
    }
}

fn mrg(coding: &Coding, adt: &Adt<'_>) -> Line {
    Line::new("MRG")
        .with(1, types::cx_from_identifier(coding, adt.prior_id, "MR"))
        .with(7, types::xpn_from_name(coding, adt.prior_name, ""))
}

#[cfg(test)]
mod tests {
    use pacslab_model::Moment;

    use super::*;
    use crate::charset::Charset;

    fn text(code: &str, version: &str) -> String {
        let patient = Patient {
            id: Identifier::new("P1", "PACSLAB"),
            name: PersonName::new("DOE^JANE"),
            birth_date: "19800101".to_owned(),
            sex: "F".to_owned(),
            allergies: "Penicillin".to_owned(),
            ..Patient::default()
        };
        let visit = Visit {
            admission: Identifier::new("V1", "PACSLAB"),
            location: "WARD2^201^1".to_owned(),
            ..Visit::default()
        };
        let adt = Adt {
            event: AdtEvent::by_code(code).unwrap(),
            patient: &patient,
            visit: &visit,
            prior_location: "WARD1^101^1",
            prior_id: &Identifier::new("P0", "PACSLAB"),
            prior_name: &PersonName::new("DOE^UNKNOWN"),
        };
        let sending = Sending {
            app: "ADT".to_owned(),
            facility: "H".to_owned(),
            receiving_app: "PACS".to_owned(),
            receiving_facility: "H".to_owned(),
            version: version.to_owned(),
            control_id: "M1".to_owned(),
            at: Moment::parse("2026-01-05T08:00", 0).unwrap(),
            charset: Charset::UTF_8,
        };
        build_adt(&adt, &sending).to_text()
    }

    #[test]
    fn each_event_has_its_segments() {
        let cases = [
            ("A01", "MSH EVN PID PV1 AL1"),
            ("A02", "MSH EVN PID PV1"),
            ("A08", "MSH EVN PID PV1 AL1"),
            ("A31", "MSH EVN PID PV1 AL1"),
            ("A40", "MSH EVN PID MRG"),
            ("A47", "MSH EVN PID MRG"),
        ];
        for (code, names) in cases {
            let text = text(code, "2.5.1");
            let found: Vec<&str> = text.split_terminator('\r').map(|line| &line[..3]).collect();
            assert_eq!(found.join(" "), names, "{code}");
        }
    }

    #[test]
    fn a_transfer_says_from_where_and_where_to() {
        let a02 = text("A02", "2.5.1");
        assert!(a02.contains("PV1|1|I|WARD2^201^1|||WARD1^101^1|"), "{a02}");
        assert!(a02.contains("|ADT^A02^ADT_A02|M1|P|2.5.1|"), "{a02}");
        assert!(a02.contains("EVN||20260105080000||||20260105080000"), "{a02}");
    }

    #[test]
    fn structures_have_other_names_before_2_5() {
        assert!(text("A31", "2.3.1").contains("|ADT^A31^ADT_A01|"));
        assert!(text("A31", "2.5").contains("|ADT^A31^ADT_A05|"));
        assert!(text("A23", "2.3.1").contains("\rEVN|A23|20260105080000"));
        assert!(text("A40", "2.5").contains("\rMRG|P0^^^PACSLAB^MR||||||DOE^UNKNOWN\r"));
    }

    #[test]
    fn events_are_found_as_people_write_them() {
        assert_eq!(AdtEvent::by_code("adt^a08").map(|e| e.means), Some("changed"));
        assert_eq!(AdtEvent::by_code("A99"), None);
    }
}
