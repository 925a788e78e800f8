//! An appointment as SIU. HL7 v2.5.1 10.3 and 10.6; IHE RAD TF-2 4.48.

use super::{Sending, msh, pid, pv1, ts};
use crate::coding::Coding;
use crate::incoming::{Appointment, Resource, ResourceKind};
use crate::message::{self, Line, Message};
use crate::types;

/// One SIU of one appointment. What is booked is [`Appointment::resources`], in the order of the
/// structure; the steps of its order are not told beside them.
pub fn build_siu(appointment: &Appointment, sending: &Sending) -> Message {
    let coding = Coding::new(sending.charset);
    let order = &appointment.order;
    let event = appointment.action.event();
    let mut message = Message::new(coding);
    // S13 and the others have the structure of S12 (table 0354)
    message.push(msh(&coding, &format!("SIU^{event}^SIU_S12"), sending));
    message.push(sch(&coding, appointment, sending));
    if !order.patient.id.id.is_empty() {
        message.push(pid(&coding, &order.patient));
        message.push(pv1(&coding, &order.patient, &order.visit));
    }
    message.push(Line::new("RGS").with(1, "1").with(2, "A"));
    for kind in ResourceKind::ALL {
        let booked = appointment.resources.iter().filter(|resource| resource.kind == kind);
        for (at, resource) in booked.enumerate() {
            message.push(line(&coding, at + 1, resource));
        }
    }
    message
}

fn sch(coding: &Coding, appointment: &Appointment, sending: &Sending) -> Line {
    let order = &appointment.order;
    let (event, means) = (appointment.action.event(), appointment.action.means());
    let reason = &appointment.reason;
    let minutes = appointment.minutes.map(|minutes| minutes.to_string()).unwrap_or_default();
    let lasts = if minutes.is_empty() { String::new() } else { format!("M{minutes}") };
    let start = ts(&appointment.start);
    let timing = match start.is_empty() {
        true => String::new(),
        false => coding.components(&[
            "1",
            "Once",
            &lasts,
            &start,
            "",
            types::priority_code(order.procedure.priority),
        ]),
    };
    let who = coding.components(&[&sending.app]);
    let since_2_5 = message::is_since_2_5(&sending.version);
    let number = |id| if since_2_5 { types::ei_from_identifier(coding, id) } else { String::new() };
    Line::new("SCH")
        .with(1, types::ei_from_identifier(coding, &appointment.placer))
        .with(2, types::ei_from_identifier(coding, &appointment.filler))
        .with(6, coding.components(&[event, means, "99PACSLAB"]))
        .with(7, coding.components(&[&reason.value, &reason.meaning, &reason.scheme]))
        .with(9, minutes.as_str())
        .with(10, if minutes.is_empty() { "" } else { MINUTES })
        .with(11, timing)
        .with(16, who.as_str())
        .with(20, who.as_str())
        .with(25, coding.escape(&appointment.status))
        .with(26, number(&order.placer))
        .with(27, number(&order.filler))
}

const MINUTES: &str = "min^minute^ISO+";

/// AIS, AIG, AIL or AIP.
fn line(coding: &Coding, seq: usize, resource: &Resource) -> Line {
    let code = &resource.code;
    let coded = coding.components(&[&code.value, &code.meaning, &code.scheme]);
    let (name, told, sort, start, duration) = match resource.kind {
        ResourceKind::Service => ("AIS", coded, None, 4, 7),
        ResourceKind::Equipment => {
            ("AIG", coded, Some("EQUIPMENT^Imaging equipment^99PACSLAB"), 8, 11)
        }
        ResourceKind::Location => {
            let place: Vec<&str> = code.meaning.split('^').collect();
            let place = coding.components(&place);
            ("AIL", place, Some("ROOM^Examination room^99PACSLAB"), 6, 9)
        }
        ResourceKind::Person => {
            let name = types::xcn_from_name(coding, &code.meaning.as_str().into());
            let person = format!("{}{name}", coding.escape(&code.value));
            ("AIP", person, Some("TECH^Technologist^99PACSLAB"), 6, 9)
        }
    };
    let minutes = resource.minutes.map(|minutes| minutes.to_string()).unwrap_or_default();
    let line = Line::new(name).with(1, seq.to_string()).with(2, "A").with(3, told);
    let line = match sort {
        Some(sort) => line.with(4, sort),
        None => line,
    };
    let units = if minutes.is_empty() { "" } else { MINUTES };
    line.with(start, ts(&resource.start)).with(duration, minutes).with(duration + 1, units)
}
