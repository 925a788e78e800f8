//! Appointments: what SIU says is what the worklist offers. HL7 v2.5.1 10.3.

use crate::support::{Lab, dcmtk, mllp, needs};

const LATER: &str = "20260107140000";

/// SIU of an appointment; `more`: SCH-26 and SCH-27, whose order it is for.
fn siu(event: &str, control_id: &str, number: &str, start: &str, booked: &str) -> String {
    format!(
        "MSH|^~\\&|SCHED|HOSP|RIS|PACSLAB|20260105080000||SIU^{event}^SIU_S12|{control_id}|P|2.5.1\r\
         SCH|P{number}|{number}||||{event}|ROUTINE||20|min|1^^M20^{start}|||||SAM||||SAM|||||\
         Booked|{}\r\
         PID|1||P12345^^^HOSP||DOE^JANE||19800101|F\r\
         PV1|1|O\r\
         RGS|1\r\
         {booked}",
        number.strip_prefix("APT-").unwrap_or_default(),
    )
}

/// An exam on a scanner in a room.
fn booked(start: &str, station: &str, room: &str) -> String {
    format!(
        "AIS|1||CTCHW^CT CHEST W CONTRAST^99PACSLAB|{start}|||20|min\r\
         AIG|1||{station}^Scanner {station}\rAIL|1||RAD^{room}\r"
    )
}

#[track_caller]
fn accepted(lab: &Lab, message: &str) -> String {
    let answer = mllp::exchange(lab.mllp, message.as_bytes());
    assert_eq!(mllp::field(&answer, "MSA", 1), "AA", "{answer}");
    answer
}

/// What findscu is told of the patient's items: when, on which scanner, in which room, which step.
fn items(lab: &Lab) -> Vec<[String; 4]> {
    let step = "(0040,0100)[0]";
    let keys = ["0002", "0003", "0001", "0011", "0009"].map(|tag| format!("{step}.0040,{tag}"));
    let mut asked = vec!["0010,0020=P12345", "0008,0050"];
    asked.extend(keys.iter().map(String::as_str));
    let found = dcmtk::find(lab.dicom, "-W", &asked);
    let value = |answer: &String, tag| dcmtk::value(answer, tag).unwrap_or_default();
    let item = |answer| {
        let time = value(answer, "(0040,0003)");
        let when = format!("{} {}", value(answer, "(0040,0002)"), time);
        let place = value(answer, "(0040,0011)");
        [when, value(answer, "(0040,0001)"), place, value(answer, "(0040,0009)")]
    };
    found.iter().map(item).collect()
}

#[track_caller]
fn only(lab: &Lab) -> [String; 4] {
    let found = items(lab);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn an_appointment_is_made_moved_changed_and_cancelled() {
    needs!("findscu");
    let lab = Lab::start();
    let nine = "20260105090000";
    accepted(&lab, &siu("S12", "1", "APT1", nine, &booked(nine, "CT1", "R1")));
    let made = only(&lab);
    assert_eq!(made[..3], ["20260105 090000", "CT1", "R1"].map(str::to_owned));
    // the same again changes nothing, S13 moves it, S14 gives it another scanner and room
    accepted(&lab, &siu("S12", "2", "APT1", nine, &booked(nine, "CT1", "R1")));
    assert_eq!(only(&lab), made);
    let eleven = "20260106110000";
    accepted(&lab, &siu("S13", "3", "APT1", eleven, &booked(eleven, "CT1", "R1")));
    assert_eq!(only(&lab)[..2], ["20260106 110000", "CT1"].map(str::to_owned));
    accepted(&lab, &siu("S14", "4", "APT1", eleven, &booked(eleven, "CT2", "R2")));
    let changed = only(&lab);
    assert_eq!(changed[..3], ["20260106 110000", "CT2", "R2"].map(str::to_owned));
    assert_eq!(changed[3], made[3], "it is the same step all along");
    let lab = lab.kill_and_restart();
    assert_eq!(only(&lab), changed);
    accepted(&lab, &siu("S15", "5", "APT1", "", ""));
    assert_eq!(items(&lab), Vec::<[String; 4]>::new());
    // what was cancelled is not moved, it is booked again: another step of the same order
    let refused = mllp::exchange(
        lab.mllp,
        siu("S13", "6", "APT1", nine, &booked(nine, "CT1", "R1")).as_bytes(),
    );
    assert_eq!(mllp::field(&refused, "MSA", 1), "AE", "{refused}");
    assert!(refused.contains("appointment APT1 has been cancelled"), "{refused}");
    assert!(refused.contains("ERR||SCH^1^2^1^1|204"), "{refused}");
    accepted(&lab, &siu("S12", "7", "APT1", nine, &booked(nine, "CT1", "R1")));
    let again = only(&lab);
    assert_eq!(again[..2], ["20260105 090000", "CT1"].map(str::to_owned));
    assert_ne!(again[3], made[3]);
}

#[test]
fn whoever_does_not_come_leaves_the_worklist_until_another_time_is_found() {
    needs!("findscu");
    let lab = Lab::start();
    let nine = "20260105090000";
    accepted(&lab, &siu("S12", "1", "APT1", nine, &booked(nine, "CT1", "R1")));
    let missed = only(&lab);
    accepted(&lab, &siu("S26", "2", "APT1", "", ""));
    assert_eq!(items(&lab), Vec::<[String; 4]>::new());
    let lab = lab.kill_and_restart();
    assert_eq!(items(&lab), Vec::<[String; 4]>::new());
    accepted(&lab, &siu("S13", "3", "APT1", LATER, &booked(LATER, "CT1", "R1")));
    let found = only(&lab);
    assert_eq!(found[0], "20260107 140000");
    assert_ne!(found[3], missed[3], "the missed step stays missed");
}

#[test]
fn an_order_that_is_known_gets_its_time_and_keeps_its_scanner() {
    needs!("findscu");
    let lab = Lab::start();
    lab.place("ACC1001", "P12345", "PYMOD1");
    let placed = only(&lab);
    let at = "20260108100000";
    let exam = format!("AIS|1||CTCHW^CT CHEST W CONTRAST^99PACSLAB|{at}|||20|min\r");
    let known = siu("S12", "1", "APT-ACC1001", at, &exam);
    accepted(&lab, &known);
    let found = only(&lab);
    assert_eq!(found[..2], ["20260108 100000", "PYMOD1"].map(str::to_owned));
    assert_eq!(found[3], placed[3]);
    // a step that runs is neither moved nor missed
    accepted(
        &lab,
        &mllp::orm("ACC1001", "P12345", "PYMOD1", at)
            .replace("MACC1001", "MSC")
            .replace("ORC|NW|", "ORC|SC|")
            .replace("||SC||", "||IP||"),
    );
    for event in ["S13", "S26"] {
        let message = known.replace("S12^", &format!("{event}^")).replace("|1|P|", "|x|P|");
        let refused = mllp::exchange(lab.mllp, message.as_bytes());
        assert_eq!(mllp::field(&refused, "MSA", 1), "AE", "{event}: {refused}");
        assert!(refused.contains("STARTED"), "{refused}");
    }
}

#[test]
fn an_appointment_nobody_knows_is_made_leniently_and_refused_strictly() {
    needs!("findscu");
    let at = "20260108100000";
    let moved = siu("S13", "1", "APT9", at, &booked(at, "CT1", "R1"));
    let lab = Lab::start();
    let answer = accepted(&lab, &moved);
    assert!(answer.contains("appointment APT9 was not known and is made"), "{answer}");
    assert_eq!(only(&lab)[0], "20260108 100000");
    // nothing is there that could be cancelled
    let answer = mllp::exchange(lab.mllp, siu("S15", "2", "APT8", "", "").as_bytes());
    assert!(answer.contains("MSA|AE|") && answer.contains("|204^"), "{answer}");
    let strict = Lab::setup().config("[hl7]\nstrict = true\n").start();
    let answer = mllp::exchange(strict.mllp, moved.as_bytes());
    assert_eq!(mllp::field(&answer, "MSA", 1), "AE", "{answer}");
    assert!(items(&strict).is_empty());
}
