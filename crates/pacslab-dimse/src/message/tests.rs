//! Round trips, damage, and what is told of it.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn round_trip(command: &Command) {
    let mut bytes = Vec::new();
    encode(command, &mut bytes);
    assert_eq!(bytes.len() % 2, 0);
    assert_eq!(bytes[8..12], ((bytes.len() - 12) as u32).to_le_bytes());
    assert_eq!(decode(&bytes).as_ref(), Ok(command));
}

fn uid() -> impl Strategy<Value = Uid> {
    "[0-9.]{1,64}".prop_map(Uid::new)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let originator = || {
        proptest::option::of(("[A-Z]{1,16}", any::<u16>()))
            .prop_map(|one| one.map(|(aet, message_id)| MoveOriginator { aet, message_id }))
    };
    let tags = vec((0u32..u32::MAX).prop_map(Tag), 0..4);
    let priority = Priority::High;
    prop_oneof![
        uid().prop_map(|sop_class| Echo { sop_class }),
        (uid(), uid(), originator()).prop_map(move |(sop_class, sop_instance, originator)| {
            Store { sop_class, sop_instance, priority, originator }
        }),
        uid().prop_map(move |sop_class| Find { sop_class, priority }),
        uid().prop_map(|sop_class| Get { sop_class, priority: Priority::Low }),
        (uid(), "[A-Z0-9]{1,16}").prop_map(|(sop_class, destination)| Move {
            sop_class,
            priority: Priority::Medium,
            destination
        }),
        (uid(), uid(), any::<u16>()).prop_map(|(sop_class, sop_instance, event_type)| {
            EventReport { sop_class, sop_instance, event_type }
        }),
        (uid(), uid(), tags).prop_map(|(sop_class, sop_instance, attributes)| NGet {
            sop_class,
            sop_instance,
            attributes
        }),
        (uid(), uid()).prop_map(|(sop_class, sop_instance)| NSet { sop_class, sop_instance }),
        (uid(), uid(), any::<u16>()).prop_map(|(sop_class, sop_instance, action_type)| {
            NAction { sop_class, sop_instance, action_type }
        }),
        (uid(), proptest::option::of(uid()))
            .prop_map(|(sop_class, sop_instance)| NCreate { sop_class, sop_instance }),
        (uid(), uid()).prop_map(|(sop_class, sop_instance)| NDelete { sop_class, sop_instance }),
    ]
}

proptest! {
    #[test]
    fn requests_and_their_responses_go_there_and_back(
        operation in operation(), message_id: u16, has_data: bool, status: u16,
        comment in proptest::option::of("[A-Za-z]([a-z ]{0,62}[a-z])?"),
        counts in proptest::option::of((any::<u16>(), any::<u16>())),
    ) {
        let request = Request { message_id, has_data, operation };
        let mut response = request.response(Status(status));
        response.reply.comment = comment;
        response.reply.offending = vec![Tag::new(0x10, 0x20), Tag::new(0x40, 0xA010)];
        response.reply.error_id = counts.map(|(id, _)| id);
        response.reply.attributes = vec![Tag::new(0x40, 0x252)];
        response.counts = counts.map(|(completed, failed)| SubOperations {
            remaining: Some(3), completed, failed, warning: 1,
        });
        round_trip(&Command::Request(request));
        round_trip(&Command::Response(response));
        round_trip(&Command::Cancel { message_id });
    }

    #[test]
    fn nothing_makes_it_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn damage_makes_no_panic(operation in operation(), at: usize, byte: u8) {
        let mut bytes = Vec::new();
        let request = Request { message_id: 1, has_data: true, operation };
        encode(&Command::Request(request), &mut bytes);
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = decode(&bytes);
        let _ = decode(&bytes[..at]);
    }
}

#[test]
fn what_is_missing_is_named() {
    let request = Request {
        message_id: 1,
        has_data: true,
        operation: Operation::Find { sop_class: Uid::default(), priority: Priority::Medium },
    };
    let mut bytes = Vec::new();
    encode(&Command::Request(request), &mut bytes);
    let problem = decode(&bytes).unwrap_err().to_string();
    assert_eq!(problem, "element (0000,0002) affected SOP class UID is missing");
    assert_eq!(decode(&vec![0; MAX_COMMAND + 1]), Err(CommandError::TooLong));
}
