//! Responses to orders: ORR^O02 to ORM, ORG^O20 to OMG, ORI^O24 to OMI. An acknowledgement with what
//! became of each order, its numbers among it. HL7 v2.5.1 4.4.2, 4.4.5 and 4.4.9; table 0119.

use pacslab_model::order::Order;

use crate::coding::Coding;
use crate::message::{Line, Message};
use crate::write::{OrderForm, Sending, order_lines};

/// What became of one order of a message.
#[derive(Clone, PartialEq, Debug)]
pub struct Settled {
    /// ORC-1 of the message.
    pub code: String,
    /// The order as it now is, with the steps that were told.
    pub order: Order,
}

/// Which order message this is; `None`: it is none.
pub(crate) fn form(message: &Message) -> Option<OrderForm> {
    match message.kind().0.as_str() {
        "ORM" => Some(OrderForm::Orm),
        "OMG" => Some(OrderForm::Omg),
        "OMI" => Some(OrderForm::Omi),
        _ => None,
    }
}

/// MSH-9 of the response.
pub(crate) const fn kind(form: OrderForm) -> &'static str {
    match form {
        OrderForm::Orm => "ORR^O02^ORR_O02",
        OrderForm::Omg => "ORG^O20^ORG_O20",
        OrderForm::Omi => "ORI^O24^ORI_O24",
    }
}

/// Table 0119: the reply to an order control code.
fn reply(code: &str) -> &'static str {
    match code {
        "XO" => "XR",
        "CA" => "CR",
        "DC" => "DR",
        "RP" => "RQ",
        _ => "OK",
    }
}

/// ORC, OBR and, in ORI, IPC of each order.
pub(crate) fn lines(
    coding: &Coding,
    form: OrderForm,
    orders: &[Settled],
    sending: &Sending,
) -> Vec<Line> {
    let told = orders.iter().filter(|settled| !settled.order.steps.is_empty());
    told.flat_map(|Settled { code, order }| order_lines(coding, form, order, reply(code), sending))
        .collect()
}

#[cfg(test)]
mod tests {
    use pacslab_model::Moment;
    use pacslab_model::order::{Identifier, ScheduledStep, StepStatus};
    use pacslab_model::{AeTitle, Uid};

    use super::*;
    use crate::ack::{self, Reply};
    use crate::finding::{Code, Finding};
    use crate::options::Responses;

    fn message(kind: &str, application: &str) -> Message {
        let text = format!(
            "MSH|#$!@|HIS|A|RIS|B|20260105||{}|M1|P|2.5.1|||NE|{application}\r",
            kind.replace('^', "#")
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    fn settled(code: &str) -> Settled {
        let step = |id: &str| ScheduledStep {
            id: id.to_owned(),
            description: String::new(),
            protocol: Default::default(),
            modality: "CT".to_owned(),
            station: AeTitle::new("CT1").unwrap(),
            station_name: String::new(),
            location: String::new(),
            start_date: "20260105".to_owned(),
            start_time: "090000".to_owned(),
            performing_physician: Default::default(),
            status: StepStatus::Scheduled,
        };
        let mut order = Order { accession: "PL1".to_owned(), ..Order::default() };
        order.placer = Identifier::new("P#1", "HIS");
        order.procedure.id = "RP1".to_owned();
        order.procedure.study_uid = Uid::new("1.2.3");
        order.steps = vec![step("S1"), step("S2")];
        Settled { code: code.to_owned(), order }
    }

    fn answered(message: &Message, responses: Responses, orders: &[Settled]) -> String {
        let reply = Reply { responses, orders, ..Reply::plain("K1", Moment::new(0, 0)) };
        ack::accept(message, &reply).to_text()
    }

    #[test]
    fn each_order_message_has_its_response_and_tells_the_numbers() {
        let rows = [
            ("ORM^O01", "ORR#O02#ORR_O02"),
            ("OMG^O19", "ORG#O20#ORG_O20"),
            ("OMI^O23", "ORI#O24#ORI_O24"),
        ];
        for (kind, expected) in rows {
            let text = answered(&message(kind, "AL"), Responses::Asked, &[settled("NW")]);
            assert!(text.contains(expected) && text.contains("\rMSA|AA|M1\r"), "{text}");
            // in the delimiters of the sender
            assert!(text.contains("\rORC|OK|P!S!1#HIS|"), "{text}");
            assert!(text.contains("PL1") && text.contains("S2"), "{text}");
            let plain = answered(&message(kind, "AL"), Responses::Never, &[settled("NW")]);
            assert!(plain.contains("|ACK#") && !plain.contains("ORC"), "{plain}");
        }
        let omi = answered(&message("OMI^O23", "AL"), Responses::Asked, &[settled("NW")]);
        assert_eq!(omi.matches("\rIPC|PL1|RP1|1.2.3|S").count(), 2, "{omi}");
        let adt = answered(&message("ADT^A04", "AL"), Responses::Always, &[]);
        assert!(adt.contains("|ACK#A04#ACK|"), "{adt}");
    }

    #[test]
    fn a_response_says_what_was_done_as_asked_and_a_refusal_says_only_why() {
        for (code, reply) in [("XO", "XR"), ("CA", "CR"), ("DC", "DR"), ("SC", "OK"), ("RP", "RQ")]
        {
            let text = answered(&message("ORM^O01", "AL"), Responses::Asked, &[settled(code)]);
            assert!(text.contains(&format!("\rORC|{reply}|")), "{code}: {text}");
        }
        let missing = Finding::error("OBR", 1, Code::RequiredFieldMissing, "none").at(18, 1);
        let reply = Reply { responses: Responses::Always, ..Reply::plain("K1", Moment::new(0, 0)) };
        let original = Message::parse(b"MSH|^~\\&|H|A|R|B|2026||ORM^O01|M1|P|2.5\r").unwrap();
        let refused = ack::refuse(&original, &[missing], &reply).to_text();
        assert!(
            refused.contains("|ORR^O02^ORR_O02|") && refused.contains("MSA|AE|M1\rERR||OBR^1^18"),
            "{refused}"
        );
        // a commit answer is an ACK in any case
        let enhanced =
            Message::parse(b"MSH|^~\\&|H|A|R|B|2026||ORM^O01|M1|P|2.5|||AL|AL\r").unwrap();
        let commit = ack::accept(&enhanced, &reply).to_text();
        assert!(commit.contains("|ACK^O01^ACK|") && commit.contains("MSA|CA|M1"), "{commit}");
    }
}
