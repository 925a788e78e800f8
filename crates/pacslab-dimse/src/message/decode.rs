//! Bytes to command sets.

use pacslab_model::{Tag, Uid};

use super::*;

/// Reads a command set.
pub fn decode(bytes: &[u8]) -> Result<Command, CommandError> {
    let set = Elements::scan(bytes)?;
    let code = set.us(el::FIELD, "command field")?;
    if code == CANCEL {
        let message_id = set.us(el::RESPONDED_ID, "message id being responded to")?;
        return Ok(Command::Cancel { message_id });
    }
    let field = Field::from_code(code & !RESPONSE).ok_or(CommandError::Field(code))?;
    let has_data = set.us(el::DATA_SET_TYPE, "command data set type")? != NO_DATA;
    if code & RESPONSE != 0 {
        return Ok(Command::Response(Response {
            message_id: set.us(el::RESPONDED_ID, "message id being responded to")?,
            field,
            sop_class: set
                .uid(el::AFFECTED_CLASS)
                .or(set.uid(el::REQUESTED_CLASS))
                .unwrap_or_default(),
            sop_instance: set
                .uid(el::AFFECTED_INSTANCE)
                .or(set.uid(el::REQUESTED_INSTANCE))
                .unwrap_or_default(),
            reply: StatusReply {
                status: Status(set.us(el::STATUS, "status")?),
                comment: set.text(el::COMMENT),
                offending: set.tags(el::OFFENDING),
                error_id: set.us(el::ERROR_ID, "").ok(),
                attributes: set.tags(el::ATTRIBUTES),
            },
            counts: set.counts(),
            type_id: set
                .us(el::EVENT_TYPE, "event type")
                .or(set.us(el::ACTION_TYPE, "action type"))
                .ok(),
            has_data,
        }));
    }
    let message_id = set.us(el::MESSAGE_ID, "message id")?;
    Ok(Command::Request(Request { message_id, has_data, operation: operation(field, &set)? }))
}

fn operation(field: Field, set: &Elements<'_>) -> Result<Operation, CommandError> {
    let affected = || set.needed_uid(el::AFFECTED_CLASS, "affected SOP class UID");
    let requested = || set.needed_uid(el::REQUESTED_CLASS, "requested SOP class UID");
    let instance = || set.needed_uid(el::REQUESTED_INSTANCE, "requested SOP instance UID");
    let priority = set.priority();
    Ok(match field {
        Field::Echo => {
            let sop_class = set.uid(el::AFFECTED_CLASS).unwrap_or_default();
            Operation::Echo { sop_class }
        }
        Field::Store => Operation::Store {
            sop_class: affected()?,
            sop_instance: set.needed_uid(el::AFFECTED_INSTANCE, "affected SOP instance UID")?,
            priority,
            originator: set.text(el::ORIGINATOR).map(|aet| MoveOriginator {
                aet,
                message_id: set.us(el::ORIGINATOR_ID, "").unwrap_or(0),
            }),
        },
        Field::Find => Operation::Find { sop_class: affected()?, priority },
        Field::Get => Operation::Get { sop_class: affected()?, priority },
        Field::Move => Operation::Move {
            sop_class: affected()?,
            priority,
            destination: set.text(el::DESTINATION).unwrap_or_default(),
        },
        Field::EventReport => Operation::EventReport {
            sop_class: affected()?,
            sop_instance: set.needed_uid(el::AFFECTED_INSTANCE, "affected SOP instance UID")?,
            event_type: set.us(el::EVENT_TYPE, "event type id")?,
        },
        Field::NGet => Operation::NGet {
            sop_class: requested()?,
            sop_instance: instance()?,
            attributes: set.tags(el::ATTRIBUTES),
        },
        Field::NSet => Operation::NSet { sop_class: requested()?, sop_instance: instance()? },
        Field::NAction => Operation::NAction {
            sop_class: requested()?,
            sop_instance: instance()?,
            action_type: set.us(el::ACTION_TYPE, "action type id")?,
        },
        Field::NCreate => Operation::NCreate {
            sop_class: affected()?,
            sop_instance: set.uid(el::AFFECTED_INSTANCE),
        },
        Field::NDelete => Operation::NDelete { sop_class: requested()?, sop_instance: instance()? },
    })
}

/// The elements of a command set as slices of it.
struct Elements<'a>(Vec<(u16, &'a [u8])>);

impl<'a> Elements<'a> {
    fn scan(mut bytes: &'a [u8]) -> Result<Self, CommandError> {
        if bytes.len() > MAX_COMMAND {
            return Err(CommandError::TooLong);
        }
        let mut elements = Vec::with_capacity(16);
        while let Some((&[g0, g1, e0, e1, l0, l1, l2, l3], rest)) = bytes.split_first_chunk() {
            let (group, element) = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
            if group != 0 {
                return Err(CommandError::Group(Tag::new(group, element)));
            }
            let length = u32::from_le_bytes([l0, l1, l2, l3]);
            let Some((value, rest)) = rest.split_at_checked(length as usize) else {
                return Err(CommandError::Length(element, length, rest.len()));
            };
            elements.push((element, value));
            bytes = rest;
        }
        match bytes {
            [] => Ok(Self(elements)),
            rest => Err(CommandError::Length(0, 8, rest.len())),
        }
    }

    fn get(&self, element: u16) -> Option<&'a [u8]> {
        self.0.iter().find(|(tag, _)| *tag == element).map(|(_, value)| *value)
    }

    fn us(&self, element: u16, name: &'static str) -> Result<u16, CommandError> {
        match self.get(element) {
            Some(&[a, b]) => Ok(u16::from_le_bytes([a, b])),
            Some(other) => Err(CommandError::NotUs(element, name, other.len())),
            None => Err(CommandError::Missing(element, name)),
        }
    }

    /// Text without padding; `None` where there is none.
    fn text(&self, element: u16) -> Option<String> {
        let text = String::from_utf8_lossy(self.get(element)?);
        let text = text.trim_matches([' ', '\0']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn uid(&self, element: u16) -> Option<Uid> {
        self.text(element).map(Uid::new)
    }

    fn needed_uid(&self, element: u16, name: &'static str) -> Result<Uid, CommandError> {
        self.uid(element).ok_or(CommandError::Missing(element, name))
    }

    fn priority(&self) -> Priority {
        match self.us(el::PRIORITY, "") {
            Ok(1) => Priority::High,
            Ok(2) => Priority::Low,
            _ => Priority::Medium,
        }
    }

    /// Values of VR AT: two 16-bit numbers each.
    fn tags(&self, element: u16) -> Vec<Tag> {
        let value = self.get(element).unwrap_or_default();
        let tag = |b: &[u8; 4]| {
            Tag::new(u16::from_le_bytes([b[0], b[1]]), u16::from_le_bytes([b[2], b[3]]))
        };
        value.as_chunks::<4>().0.iter().map(tag).collect()
    }

    fn counts(&self) -> Option<SubOperations> {
        let count = |element| self.us(element, "").ok();
        let counts = [el::REMAINING, el::COMPLETED, el::FAILED, el::WARNING].map(count);
        counts.iter().any(Option::is_some).then(|| SubOperations {
            remaining: counts[0],
            completed: counts[1].unwrap_or(0),
            failed: counts[2].unwrap_or(0),
            warning: counts[3].unwrap_or(0),
        })
    }
}
