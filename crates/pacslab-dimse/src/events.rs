//! What associations tell: one event for each beginning and end and for each DIMSE message,
//! except C-STORE, which is one event an association.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_model::open::Listed;
use pacslab_model::{Clock, Direction, Emit, Event, Identifiers, METRICS, Outcome};

use crate::association::AssociationInfo;
use crate::context::Contexts;
use crate::fsm::Role;
use crate::message::Field;
use crate::status::{Category, Status, StatusReply};

/// Kinds of events.
pub mod kinds {
    /// An association was established.
    pub const ASSOCIATED: &str = "dimse.associated";
    /// An association was rejected, by us or by the peer.
    pub const REJECTED: &str = "dimse.rejected";
    pub const RELEASED: &str = "dimse.released";
    /// An association ended in any other way.
    pub const ABORTED: &str = "dimse.aborted";
    /// A connection ended before there was an association.
    pub const NO_ASSOCIATION: &str = "dimse.no-association";
    /// All C-STORE operations of an association.
    pub const STORED: &str = "dimse.store";
    /// The listener cannot accept connections, or sheds them.
    pub const LISTENER: &str = "dimse.listener";

    /// The event of one DIMSE operation.
    pub fn of(field: crate::message::Field) -> &'static str {
        use crate::message::Field::*;
        match field {
            Store => STORED,
            Echo => "dimse.echo",
            Find => "dimse.find",
            Move => "dimse.move",
            Get => "dimse.get",
            EventReport => "dimse.n-event-report",
            NGet => "dimse.n-get",
            NSet => "dimse.n-set",
            NAction => "dimse.n-action",
            NCreate => "dimse.n-create",
            NDelete => "dimse.n-delete",
        }
    }
}

/// One finished operation, as its service tells it.
#[derive(Debug)]
pub struct Told<'a> {
    pub field: Field,
    /// What was asked and what came of it, without names of the peers.
    pub summary: String,
    pub reply: &'a StatusReply,
    pub took: Duration,
    pub ids: Identifiers,
    pub fields: Vec<(&'static str, String)>,
    /// The request's identifier as it was on the wire.
    pub raw: Option<Arc<[u8]>>,
}

impl<'a> Told<'a> {
    pub fn new(
        field: Field,
        summary: impl Into<String>,
        reply: &'a StatusReply,
        took: Duration,
    ) -> Self {
        let ids = Identifiers::default();
        Self { field, summary: summary.into(), reply, took, ids, fields: Vec::new(), raw: None }
    }
}

/// Tells and counts for one association.
pub(crate) struct Journal {
    emit: Arc<dyn Emit>,
    clock: Arc<dyn Clock>,
    info: Arc<AssociationInfo>,
    begun: Instant,
    counts: Vec<(Field, u32)>,
    stores: Stores,
    ended: bool,
    listed: Listed,
}

#[derive(Debug, Default)]
struct Stores {
    count: u64,
    failed: u64,
    bytes: u64,
    first: Option<Instant>,
    took: Duration,
    /// The first failure: what a person wants to know of a thousand.
    why: Option<String>,
    /// Objects that somebody told the study of, by study.
    studies: Vec<OfStudy>,
    /// Bytes of the last object.
    last: u64,
}

/// The objects of one study: its timeline tells them.
#[derive(Debug)]
struct OfStudy {
    ids: Identifiers,
    count: u64,
    bytes: u64,
}

/// So many studies of one association are told one by one, the rest together.
const STUDIES: usize = 256;

impl Journal {
    pub(crate) fn begin(
        emit: Arc<dyn Emit>,
        clock: Arc<dyn Clock>,
        info: Arc<AssociationInfo>,
        begun: Instant,
        agreed: &Contexts,
        proposed: usize,
    ) -> Self {
        let contexts = agreed.accepted().len();
        let refused = agreed.refused_in_words();
        let direction = match info.role {
            Role::Acceptor => Direction::In,
            Role::Requestor => Direction::Out,
        };
        let listed = Listed::new(
            info.calling.clone(),
            info.called.clone(),
            info.peer_name(),
            direction,
            clock.now(),
        );
        let journal = Self {
            emit,
            clock,
            info,
            begun,
            counts: Vec::new(),
            stores: Stores::default(),
            ended: false,
            listed,
        };
        let info = &journal.info;
        let message = match info.role {
            Role::Acceptor => format!(
                "{} opened an association to {}: {contexts} of {proposed} presentation contexts accepted",
                info.calling, info.called
            ),
            Role::Requestor => format!(
                "{} accepted the association of {}: {contexts} of {proposed} presentation contexts",
                info.called, info.calling
            ),
        };
        let message = match &refused {
            Some(refused) => format!("{message}; refused: {refused}"),
            None => message,
        };
        let mut event = journal
            .event(kinds::ASSOCIATED, message)
            .field("calling", &info.calling)
            .field("called", &info.called)
            .field("contexts", contexts)
            .field("proposed", proposed)
            .field("implementation", &info.implementation_version)
            .field("implementation_class", &info.implementation_class)
            .field("max_pdu", info.peer_max_pdu);
        if let Some(user) = &info.user {
            event = event.field("user", user);
        }
        if contexts == 0 {
            event = event.outcome(Outcome::Warning);
        }
        journal.emit.emit(event);
        if journal.serves() {
            METRICS.associations_accepted.add(1);
            METRICS.associations_open.add(1);
        }
        journal
    }

    fn event(&self, kind: &'static str, message: String) -> Event {
        let direction = match self.info.role {
            Role::Acceptor => Direction::In,
            Role::Requestor => Direction::Out,
        };
        Event::new(self.clock.now(), kind, message).peer(self.info.peer_name(), direction)
    }

    /// Whether operations are performed for the other end.
    fn serves(&self) -> bool {
        self.info.role == Role::Acceptor
    }

    fn count(&mut self, field: Field) {
        match self.counts.iter_mut().find(|(one, _)| *one == field) {
            Some((_, count)) => *count += 1,
            None => self.counts.push((field, 1)),
        }
    }

    pub(crate) fn told(&mut self, told: Told<'_>) {
        self.count(told.field);
        self.listed.count(told.field.name(), 0);
        if self.serves() {
            METRICS.operations.count(told.field.name(), kind(told.reply));
        }
        let outcome = match told.reply.status.category() {
            Category::Success | Category::Pending => Outcome::Ok,
            Category::Warning | Category::Cancel => Outcome::Warning,
            Category::Failure => Outcome::Failed,
        };
        let message = match outcome {
            Outcome::Ok => format!("{} {}", told.field, told.summary),
            // the numbers say what this code means here; in C-STORE it means something else
            Outcome::Warning if told.reply.status == Status::SUBOPERATIONS_WARNING => {
                format!("{} {} (0xB000)", told.field, told.summary)
            }
            _ => format!("{} {}: {}", told.field, told.summary, told.reply),
        };
        let mut event = self
            .event(kinds::of(told.field), message)
            .outcome(outcome)
            .took(told.took)
            .ids(told.ids)
            .field("status", format_args!("0x{:04X}", told.reply.status.0));
        for (name, value) in told.fields {
            event = event.field(name, value);
        }
        event.raw = told.raw;
        self.emit.emit(event);
    }

    pub(crate) fn stored(&mut self, bytes: u64, begun: Instant, reply: &StatusReply) {
        self.count(Field::Store);
        self.listed.count(Field::Store.name(), bytes);
        if self.serves() {
            METRICS.operations.count(Field::Store.name(), kind(reply));
            METRICS.stored_bytes.add(bytes);
            METRICS.store_time.took(begun.elapsed());
        }
        let stores = &mut self.stores;
        let first = *stores.first.get_or_insert(begun);
        stores.took = first.elapsed();
        stores.count += 1;
        stores.bytes += bytes;
        stores.last = bytes;
        if !reply.status.is_done() {
            stores.failed += 1;
            stores.why.get_or_insert_with(|| reply.to_string());
        }
    }

    /// The study of the object that was stored last.
    pub(crate) fn stored_in(&mut self, ids: Identifiers) {
        let Stores { studies, last, .. } = &mut self.stores;
        // an association sends study after study: the last one is the likely one
        match studies.iter().rposition(|study| study.ids.study_uid == ids.study_uid) {
            Some(at) => {
                studies[at].count += 1;
                studies[at].bytes += *last;
            }
            None if studies.len() < STUDIES => {
                studies.push(OfStudy { ids, count: 1, bytes: *last });
            }
            None => {}
        }
    }

    /// The association is over; the first to say so is right.
    pub(crate) fn end(&mut self, kind: &'static str, how: &str) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if self.serves() {
            METRICS.associations_open.add(-1);
        }
        self.end_stores();
        let messages: Vec<String> =
            self.counts.iter().map(|(field, count)| format!("{count} {field}")).collect();
        let messages = if messages.is_empty() { "no message".into() } else { messages.join(", ") };
        let mut event = self
            .event(kind, format!("{how} after {messages}"))
            .took(self.begun.elapsed())
            .field("calling", &self.info.calling)
            .field("called", &self.info.called);
        if kind != kinds::RELEASED {
            event = event.outcome(Outcome::Warning);
        }
        for (field, count) in &self.counts {
            event = event.field(field.name(), count);
        }
        self.emit.emit(event);
    }

    fn end_stores(&self) {
        let Stores { count, failed, bytes, took, why, studies, .. } = &self.stores;
        for study in studies {
            let OfStudy { ids, count, bytes } = study;
            let message =
                format!("C-STORE of {count} objects of study {}, {bytes} bytes", ids.study_uid);
            let event = self.event(kinds::STORED, message).took(*took).ids(ids.clone());
            self.emit.emit(event.field("count", count).field("bytes", bytes));
        }
        let told: u64 = studies.iter().map(|study| study.count).sum();
        if *count == told {
            return;
        }
        let mut message = match told {
            0 => format!("C-STORE of {count} objects, {bytes} bytes"),
            told => format!("C-STORE of {} further objects", count - told),
        };
        if let Some(why) = why {
            message += &format!("; {failed} failed, the first with {why}");
        }
        let outcome = match failed {
            0 => Outcome::Ok,
            failed if failed < count => Outcome::Warning,
            _ => Outcome::Failed,
        };
        self.emit.emit(
            self.event(kinds::STORED, message)
                .outcome(outcome)
                .took(*took)
                .field("count", count - told)
                .field("failed", failed)
                .field("bytes", bytes),
        );
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }
}

/// PS3.7 C, as a label.
fn kind(reply: &StatusReply) -> &'static str {
    match reply.status.category() {
        Category::Success | Category::Pending => "success",
        Category::Warning => "warning",
        Category::Cancel => "cancel",
        Category::Failure => "failure",
    }
}

/// Nobody ended it: the task was cut, or a caller let go.
impl Drop for Journal {
    fn drop(&mut self) {
        self.end(kinds::ABORTED, "the association was dropped");
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// What answers an A-ASSOCIATE-RQ with something that is no DICOM, if it is known.
pub(crate) fn answers_like(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        // the alert that a TLS server sends when it gets no TLS
        [0x15, 3, ..] => Some("it speaks TLS on this port: call it with TLS"),
        [b'H', b'T', b'T', b'P', ..] => Some("a web server answers: DICOM has another port"),
        [b'S', b'S', b'H', b'-', ..] => Some("an SSH server answers: DICOM has another port"),
        [0x0b, ..] => Some("an HL7 receiver (MLLP) answers: DICOM has another port"),
        _ => None,
    }
}

/// What the first bytes of something that is no DICOM look like.
pub(crate) fn looks_like(bytes: &[u8]) -> &'static str {
    const METHODS: [&[u8]; 6] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"DELE"];
    match bytes {
        _ if METHODS.iter().any(|method| bytes.starts_with(method)) => {
            "an HTTP request: this is the DICOM port, not the HTTP port"
        }
        [0x16, 3, ..] => {
            "a TLS handshake: this port is not encrypted; let it call without TLS, or switch TLS \
             on here (dicom.tls = true)"
        }
        [0x0b, ..] => "an MLLP frame: this is the DICOM port, not the HL7 port",
        [b'M', b'S', b'H', ..] => "an HL7 message: this is the DICOM port",
        [b'S', b'S', b'H', b'-', ..] => "an SSH client",
        [] => "nothing",
        _ => "no DICOM",
    }
}
