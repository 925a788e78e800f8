//! Command sets to bytes.

use pacslab_model::{Tag, Uid};

use super::*;

/// Appends a command set, group length first, elements in ascending order.
pub fn encode(command: &Command, out: &mut Vec<u8>) {
    let mut w = Writer::start(out);
    match command {
        Command::Cancel { message_id } => {
            w.us(el::FIELD, CANCEL);
            w.us(el::RESPONDED_ID, *message_id);
            w.us(el::DATA_SET_TYPE, NO_DATA);
        }
        Command::Request(request) => w.request(request),
        Command::Response(response) => w.response(response),
    }
    w.finish();
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Writer<'a> {
    fn start(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend([0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        Self { out, start }
    }

    fn finish(self) {
        let length = (self.out.len() - self.start - 12) as u32;
        self.out[self.start + 8..self.start + 12].copy_from_slice(&length.to_le_bytes());
    }

    fn element(&mut self, element: u16, value: &[u8], pad: u8) {
        let padded = value.len() + value.len() % 2;
        self.out.extend([0, 0]);
        self.out.extend(element.to_le_bytes());
        self.out.extend((padded as u32).to_le_bytes());
        self.out.extend_from_slice(value);
        if padded > value.len() {
            self.out.push(pad);
        }
    }

    fn us(&mut self, element: u16, value: u16) {
        self.element(element, &value.to_le_bytes(), 0);
    }

    fn uid(&mut self, element: u16, uid: &Uid) {
        if !uid.is_empty() {
            self.element(element, uid.as_str().as_bytes(), 0);
        }
    }

    fn tags(&mut self, element: u16, tags: &[Tag]) {
        if !tags.is_empty() {
            let halves = |tag: &Tag| [tag.group().to_le_bytes(), tag.element().to_le_bytes()];
            let value: Vec<u8> = tags.iter().flat_map(halves).flatten().collect();
            self.element(element, &value, 0);
        }
    }

    fn request(&mut self, request: &Request) {
        use Operation as O;
        let operation = &request.operation;
        let requested = matches!(
            operation.field(),
            Field::NGet | Field::NSet | Field::NAction | Field::NDelete
        );
        let (class, instance) = match requested {
            true => (el::REQUESTED_CLASS, el::REQUESTED_INSTANCE),
            false => (el::AFFECTED_CLASS, el::AFFECTED_INSTANCE),
        };
        self.uid(class, operation.sop_class());
        self.us(el::FIELD, operation.field().code());
        self.us(el::MESSAGE_ID, request.message_id);
        if let O::Move { destination, .. } = operation {
            self.element(el::DESTINATION, destination.as_bytes(), b' ');
        }
        if let O::Store { priority, .. }
        | O::Find { priority, .. }
        | O::Get { priority, .. }
        | O::Move { priority, .. } = operation
        {
            self.us(el::PRIORITY, *priority as u16);
        }
        self.us(el::DATA_SET_TYPE, if request.has_data { 1 } else { NO_DATA });
        if let Some(uid) = operation.sop_instance() {
            self.uid(instance, uid);
        }
        match operation {
            O::EventReport { event_type, .. } => self.us(el::EVENT_TYPE, *event_type),
            O::NAction { action_type, .. } => self.us(el::ACTION_TYPE, *action_type),
            O::NGet { attributes, .. } => self.tags(el::ATTRIBUTES, attributes),
            O::Store { originator: Some(originator), .. } => {
                self.element(el::ORIGINATOR, originator.aet.as_bytes(), b' ');
                self.us(el::ORIGINATOR_ID, originator.message_id);
            }
            _ => {}
        }
    }

    fn response(&mut self, response: &Response) {
        self.uid(el::AFFECTED_CLASS, &response.sop_class);
        self.us(el::FIELD, response.field.code() | RESPONSE);
        self.us(el::RESPONDED_ID, response.message_id);
        self.us(el::DATA_SET_TYPE, if response.has_data { 1 } else { NO_DATA });
        self.us(el::STATUS, response.reply.status.0);
        self.tags(el::OFFENDING, &response.reply.offending);
        if let Some(comment) = &response.reply.comment {
            self.element(el::COMMENT, comment.as_bytes(), b' ');
        }
        if let Some(id) = response.reply.error_id {
            self.us(el::ERROR_ID, id);
        }
        self.uid(el::AFFECTED_INSTANCE, &response.sop_instance);
        if let (Some(id), Field::EventReport) = (response.type_id, response.field) {
            self.us(el::EVENT_TYPE, id);
        }
        self.tags(el::ATTRIBUTES, &response.reply.attributes);
        match (response.type_id, response.field) {
            (Some(id), field) if field != Field::EventReport => self.us(el::ACTION_TYPE, id),
            _ => {}
        }
        if let Some(counts) = response.counts {
            if let Some(remaining) = counts.remaining {
                self.us(el::REMAINING, remaining);
            }
            self.us(el::COMPLETED, counts.completed);
            self.us(el::FAILED, counts.failed);
            self.us(el::WARNING, counts.warning);
        }
    }
}
