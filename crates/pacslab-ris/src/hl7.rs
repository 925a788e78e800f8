//! What is done with one HL7 message: read, applied, answered. HL7 v2.5.1 2.9 (acknowledgement).

mod orders;
mod patients;
mod reports;
mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use pacslab_hl7::response::Settled;
use pacslab_hl7::{Code, Finding, Message, Options, What, ack};
use pacslab_model::{Direction, Event, Identifiers, METRICS, Outcome};
use pacslab_store::StoreError;
use sha2::{Digest, Sha256};

use crate::events;
use crate::orders::{RefusedOrder, Ris, Work};

/// Answers HL7 messages for an RIS. Holds no connection.
pub struct Hl7Inbox {
    ris: Arc<Ris>,
    options: Options,
    answers: AtomicU64,
}

/// What came of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The acknowledgement; `None`: the sender wants none, or nothing can be made out.
    pub answer: Option<Vec<u8>>,
    /// The application acknowledgement after a commit acknowledgement, where MSH-16 asks for it.
    pub application: Option<Vec<u8>>,
    pub accepted: bool,
    /// Nothing of an HL7 message could be made out: a peer to part with.
    pub hopeless: bool,
}

impl std::fmt::Debug for Hl7Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hl7Inbox").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What was understood of a message, for the event.
#[derive(Default)]
struct Story {
    kind: String,
    sender: String,
    ids: Identifiers,
    said: Vec<String>,
}

impl Hl7Inbox {
    pub fn new(ris: Arc<Ris>, options: Options) -> Self {
        Self { ris, options, answers: AtomicU64::new(0) }
    }

    pub fn ris(&self) -> &Arc<Ris> {
        &self.ris
    }

    /// Does what a message asks for and answers it. Blocks until the effect is durable.
    pub fn receive(&self, bytes: &[u8], peer: &str) -> Heard {
        let begun = Instant::now();
        let mut story = Story::default();
        let heard = match Message::parse(bytes) {
            Ok(message) => self.answer(&message, bytes, &mut story),
            Err(error) => {
                story.said.push(error.to_string());
                let answer = self.reply(&[], |reply| ack::unreadable(bytes, &error, reply));
                Heard {
                    hopeless: answer.is_none(),
                    answer: answer.map(|answer| answer.to_bytes()),
                    application: None,
                    accepted: false,
                }
            }
        };
        let Story { kind, sender, ids, said } = story;
        let code = heard.answer.as_deref().and_then(acknowledged).unwrap_or("other");
        METRICS.hl7.count(kind.split('^').next().unwrap_or_default(), code);
        let kind = if kind.is_empty() { "HL7 message".to_owned() } else { kind };
        let verdict = if heard.accepted { "accepted" } else { "refused" };
        let from = if sender.is_empty() { String::new() } else { format!(" from {sender}") };
        let text = format!("{kind}{from} {verdict}: {}", said.join("; "));
        let event = Event::new(self.ris.clock.now(), events::HL7_IN, text)
            .outcome(if heard.accepted { Outcome::Ok } else { Outcome::Failed })
            .peer(peer, Direction::In)
            .took(begun.elapsed())
            .ids(ids)
            .field("answer", heard.answer.as_deref().map(readable).unwrap_or_default())
            .raw(bytes);
        self.ris.emit.emit(event);
        heard
    }

    fn answer(&self, message: &Message, bytes: &[u8], story: &mut Story) -> Heard {
        let (kind, event) = message.kind();
        story.kind = format!("{kind}^{event} {}", message.control_id());
        story.sender = message.text("MSH-3.1");
        let sender = format!("{}|{}", message.text("MSH-3"), message.text("MSH-4"));
        let control_id = message.control_id();
        let digest: [u8; 32] = Sha256::digest(bytes).into();
        // a sender that lost our answer sends again; one that counts from 1 each morning does not
        if !control_id.is_empty()
            && let Ok(Some(kept)) = self.ris.desk.answer(&sender, &control_id)
            && let Some(answer) = kept.strip_prefix(&digest)
        {
            story.said.push("the same message again, answered as before".to_owned());
            let (answer, application) = Kept::read(answer);
            return Heard { answer, application, accepted: true, hopeless: false };
        }
        let imaging = message.segment("IPC").is_some();
        // all that the message does and the answer that is kept for a repetition: one transaction
        let applied = self.ris.work(|work| {
            let (told, orders) = self.apply(work, message, story)?;
            let answer = ack::wanted(message, true).then(|| {
                self.reply(&orders, |reply| ack::accept_with(message, &told, reply)).to_bytes()
            });
            let application = self.application(message, ack::AckCode::Accept, &told, &orders);
            if !control_id.is_empty() {
                let mut kept = digest.to_vec();
                Kept::write(&mut kept, answer.as_deref(), application.as_deref());
                work.papers().put_answer(&sender, &control_id, &kept, work.now())?;
            }
            Ok::<_, Refused>((answer, application))
        });
        match applied {
            Ok(((answer, application), _)) => {
                Heard { answer, application, accepted: true, hopeless: false }
            }
            Err(refused) => {
                let findings = match refused {
                    Refused::Sender(findings) => findings,
                    Refused::Lab(refused) => {
                        story.said.push(refused.to_string());
                        vec![of_the_header(refused.finding(imaging))]
                    }
                };
                let answer = ack::wanted(message, false).then(|| {
                    self.reply(&[], |reply| ack::refuse(message, &findings, reply)).to_bytes()
                });
                let code = ack::refusal(&findings);
                let application = self.application(message, code, &findings, &[]);
                Heard { answer, application, accepted: false, hopeless: false }
            }
        }
    }

    fn application(
        &self,
        message: &Message,
        code: ack::AckCode,
        told: &[Finding],
        orders: &[Settled],
    ) -> Option<Vec<u8>> {
        let made = self.reply(orders, |reply| ack::application(message, code, told, reply));
        made.map(|answer| answer.to_bytes())
    }

    /// Does what the message says; gives what the sender is told of it.
    fn apply(
        &self,
        work: &Work<'_>,
        message: &Message,
        story: &mut Story,
    ) -> Result<(Vec<Finding>, Vec<Settled>), Refused> {
        let incoming = pacslab_hl7::read(message, &self.options).map_err(|refusal| {
            story.said.extend(refusal.findings.iter().map(Finding::to_string));
            Refused::Sender(refusal.findings)
        })?;
        let of_header = incoming.warnings.iter().filter(|warning| warning.segment == "MSH");
        story.said.extend(of_header.map(|warning| warning.text.clone()));
        let (mut told, mut settled) = (incoming.warnings, Vec::new());
        match incoming.what {
            What::Orders(requests) => {
                let imaging = message.segment("IPC").is_some();
                let (more, orders) = orders::apply(work, requests, imaging, story)?;
                told.extend(more);
                settled = orders;
            }
            What::Patients(changes) => {
                told.extend(patients::apply(work, &changes, self.options.strict, story)?);
            }
            What::Appointment(appointment) => {
                told.extend(schedule::apply(work, &appointment, self.options.strict, story)?);
            }
            What::Reports(reports) => {
                told.extend(reports::apply(work, &reports, self.options.strict, story)?);
            }
        }
        Ok((told, settled))
    }

    fn reply<T>(&self, orders: &[Settled], make: impl FnOnce(&ack::Reply<'_>) -> T) -> T {
        let at = self.ris.clock.now();
        let number = self.answers.fetch_add(1, Ordering::Relaxed) % 1_000_000;
        // MSH-10 of 2.3.1 holds 20 characters
        let control_id = format!("{}{}{number:06}", at.da(), at.tm());
        let responses = self.options.responses;
        make(&ack::Reply { control_id: &control_id, at, responses, orders })
    }
}

/// How the answers to a message are kept: one after the other, with the end of a frame between, which
/// begins no segment.
struct Kept;

impl Kept {
    const BETWEEN: &[u8] = b"\r\x1c";

    fn write(kept: &mut Vec<u8>, answer: Option<&[u8]>, application: Option<&[u8]>) {
        kept.extend_from_slice(answer.unwrap_or_default());
        if let Some(application) = application {
            kept.push(0x1c);
            kept.extend_from_slice(application);
        }
    }

    fn read(kept: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
        let between = kept.windows(2).position(|two| two == Self::BETWEEN);
        let (answer, application) = match between {
            Some(at) => (&kept[..=at], Some(kept[at + 2..].to_vec())),
            None => (kept, None),
        };
        ((!answer.is_empty()).then(|| answer.to_vec()), application)
    }
}

/// Why a message had no effect.
#[derive(Debug)]
enum Refused {
    /// It is for the sender to mend.
    Sender(Vec<Finding>),
    /// The lab could not, and the same may succeed later.
    Lab(RefusedOrder),
}

impl From<RefusedOrder> for Refused {
    fn from(refused: RefusedOrder) -> Self {
        Self::Lab(refused)
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Lab(error.into())
    }
}

/// What the lab could not do is no fault of a field.
fn of_the_header(finding: Finding) -> Finding {
    match finding.code {
        Code::ApplicationInternal => Finding { segment: "MSH".into(), ..finding },
        _ => finding,
    }
}

/// The code of an acknowledgement: MSA-1.
fn acknowledged(answer: &[u8]) -> Option<&str> {
    let at = answer.windows(4).position(|here| here == b"MSA|")? + 4;
    std::str::from_utf8(answer.get(at..at + 2)?).ok()
}

/// Segments on lines of their own.
fn readable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end().replace('\r', "\n")
}
