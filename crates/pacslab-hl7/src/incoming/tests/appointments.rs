//! SIU: what is booked, and what is left of it when it is not to be.

use super::*;
use crate::order::Fill;

fn appointment(message: &Message) -> Appointment {
    match lenient(message) {
        What::Appointment(appointment) => *appointment,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_appointment_is_a_time_a_scanner_a_room_and_an_exam() {
    for name in ["siu_s12_231", "siu_s12_251"] {
        let booked = appointment(&fixture(name));
        assert_eq!(booked.action, AppointmentAction::Book);
        assert_eq!((&*booked.placer.id, &*booked.filler.id), ("APT0001", "FAPT0001"));
        assert_eq!((&*booked.start.date, &*booked.start.time), ("20250115", "100000"));
        assert_eq!((booked.minutes, booked.status.as_str()), (Some(20), "Booked"));
        let kinds: Vec<ResourceKind> = booked.resources.iter().map(|r| r.kind).collect();
        assert_eq!(kinds, [ResourceKind::Service, ResourceKind::Equipment, ResourceKind::Location]);
        let order = &booked.order;
        assert_eq!(order.patient.id.id, "PL000001");
        assert_eq!(order.procedure.code.value, "CTCHW");
        assert_eq!(order.procedure.description, "CT CHEST W CONTRAST");
        let [step] = order.steps.as_slice() else { panic!("{order:?}") };
        assert_eq!((step.modality.as_str(), step.station.as_str()), ("CT", "CT1SIM"));
        assert_eq!((&*step.start_date, &*step.start_time), ("20250115", "100000"));
        assert_eq!(step.location, "CT1");
        let numbered = name.ends_with("251");
        assert_eq!(order.placer.id, if numbered { "PON0001" } else { "" });
        assert_eq!(order.filler.id, if numbered { "FON0001" } else { "" });
        assert!(booked.fill.contains(&Fill::AccessionNumber), "{:?}", booked.fill);
    }
}

#[test]
fn each_event_of_siu_is_an_action() {
    for action in AppointmentAction::ALL {
        let message =
            edited("siu_s12_251", "SIU^S12^SIU_S12", &format!("SIU^{}^SIU_S12", action.event()));
        let told = appointment(&message);
        assert_eq!(told.action, action);
        assert_eq!(told.order.steps.len(), usize::from(action.stands()), "{action:?}");
        assert_eq!(told.order.placer.id, "PON0001");
    }
}

#[test]
fn a_cancelled_appointment_needs_no_more_than_its_number() {
    let text = "MSH|^~\\&|A|B|C|D|20250115||SIU^S15|1|P|2.5.1\nSCH|A1\n";
    let told = appointment(&message(text));
    assert_eq!((told.action, &*told.placer.id), (AppointmentAction::Cancel, "A1"));
    let booked = message(&text.replace("S15", "S12"));
    let missing = refused(&booked, &Options::default());
    assert!(missing.contains(&"SCH-11.4 101".to_owned()), "{missing:?}");
    assert!(missing.contains(&"PID-3.1 101".to_owned()), "{missing:?}");
    assert_eq!(
        refused(&message(&text.replace("SCH|A1", "SCH|")), &Options::default()),
        ["SCH-1.1 101"]
    );
}
