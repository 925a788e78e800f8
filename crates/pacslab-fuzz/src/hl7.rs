//! HL7 messages, what they order, and their framing.

use pacslab_hl7::ack::{self, Reply};
use pacslab_hl7::mllp::{self, Decoder, Frame, MllpError};
use pacslab_hl7::order::Options;
use pacslab_hl7::write::{self, OrderForm, Sending};
use pacslab_hl7::{Charset, Finding, Message, What, message};
use pacslab_model::Moment;
use pacslab_model::order::{Order, StepStatus};
use pacslab_ris::worklist;

use crate::{pieces, split_first};

fn reply() -> Reply<'static> {
    Reply::plain("FUZZ1", at())
}

fn at() -> Moment {
    Moment::new(0, 0)
}

/// One message, or several in one frame.
pub(crate) fn message(data: &[u8]) {
    let cut: usize = message::split(data).iter().map(|message| message.len()).sum();
    assert!(cut <= data.len());
    let read = match Message::parse(data) {
        Ok(read) => read,
        Err(error) => {
            if let Some(answer) = ack::unreadable(data, &error, &reply()) {
                answered(&answer, data.len());
            }
            return;
        }
    };
    let text = read.to_text();
    assert!(text.len() <= 3 * data.len() + 8, "{} of {}", text.len(), data.len());
    // what is written is read as the same, and written as the same
    let written = read.to_bytes();
    let again = match Message::parse(&written) {
        Ok(again) => again,
        Err(error) => panic!("what was written cannot be read: {error}"),
    };
    assert_eq!(again.to_bytes(), written, "{text:?}");
    for segment in read.segments() {
        for seq in 1..=segment.len().min(60) {
            let field = segment.field(seq);
            let escaped = read.coding().escape(&field.text());
            // MSH-1 and MSH-2 are what the escapes are made of
            if read.coding().delimiters.escape.is_some() && !escaped.is_empty() {
                assert_eq!(read.coding().unescape(&escaped), field.text());
            }
            let _ = (field.component(2).text(), field.subcomponent(2).text());
        }
    }
    answered(&ack::accept(&read, &reply()), data.len());
    let refused = pacslab_hl7::read(&read, &Options::default()).err();
    let findings = refused.map(|refusal| refusal.findings).unwrap_or_default();
    answered(&ack::refuse(&read, &findings, &reply()), data.len());
    if let Some(answer) = ack::application(&read, ack::AckCode::Error, &findings, &reply()) {
        answered(&answer, data.len());
    }
}

/// An answer can be read by who gets it, and is no flood.
fn answered(answer: &Message, asked: usize) {
    let bytes = answer.to_bytes();
    assert!(bytes.len() <= 64 * asked + 4096, "{} bytes to {asked}", bytes.len());
    match Message::parse(&bytes) {
        Ok(read) => assert!(ack::parse(&read).is_some(), "{:?}", read.to_text()),
        Err(error) => panic!("an answer that nobody can read: {error}"),
    }
}

/// A message, leniently and strictly read, and what it says written again.
pub(crate) fn order(data: &[u8]) {
    let Ok(read) = Message::parse(data) else { return };
    let strict = Options { strict: true, ..Options::default() };
    for options in [Options::default(), strict] {
        let incoming = match pacslab_hl7::read(&read, &options) {
            Err(refusal) => {
                assert!(!refusal.findings.is_empty());
                refusal.findings.iter().for_each(|finding: &Finding| drop(finding.to_string()));
                continue;
            }
            Ok(incoming) => incoming,
        };
        answered(&ack::accept_with(&read, &incoming.warnings, &reply()), data.len());
        match incoming.what {
            What::Orders(requests) => {
                for request in requests {
                    let mut order = request.order;
                    ordered(&order, data.len());
                    request.cleared.iter().for_each(|attribute| attribute.clear(&mut order));
                }
            }
            What::Patients(changes) => {
                assert!(!changes.is_empty());
                for change in changes {
                    assert!(!change.patient.id.id.is_empty(), "a patient that is nobody");
                    let (known, visit) = change.onto(&change.patient, &change.visit);
                    assert_eq!(known.id, change.patient.id);
                    assert_eq!(change.onto(&known, &visit), (known, visit), "told twice");
                }
            }
            What::Reports(reports) => {
                for report in reports {
                    legible(&write::build_oru(&report, &sending()), data.len());
                }
            }
            What::Appointment(appointment) => {
                legible(&write::build_siu(&appointment, &sending()), data.len());
            }
        }
    }
}

fn sending() -> Sending {
    Sending {
        app: "FUZZ".into(),
        facility: String::new(),
        receiving_app: "LAB".into(),
        receiving_facility: String::new(),
        version: "2.5.1".into(),
        control_id: "1".into(),
        at: at(),
        charset: Charset::UTF_8,
    }
}

/// What we write can be read, and is no flood.
fn legible(built: &Message, most: usize) {
    let bytes = built.to_bytes();
    assert!(bytes.len() <= 64 * (most + 64), "{} bytes of {most}", bytes.len());
    match Message::parse(&bytes) {
        Ok(again) => assert_eq!(again.to_bytes(), bytes),
        Err(error) => panic!("a message that nobody can read: {error}"),
    }
}

fn ordered(order: &Order, asked: usize) {
    for form in OrderForm::ALL {
        let built = write::build_order(form, order, "NW", &sending());
        legible(&built, (asked + 64) * order.steps.len().max(1));
    }
    // each step becomes a file: in the folder, readable, and its own
    for step in order.steps.iter().take(8) {
        for several in [true, false] {
            for name in worklist::file::names(order, step, several) {
                assert_file_name(&name);
            }
        }
        let file = worklist::file::bytes(order, step, StepStatus::Scheduled);
        let items = match worklist::items(&file, usize::MAX) {
            Ok(items) => items,
            Err(error) => panic!("a worklist file that nobody can read: {error}"),
        };
        assert_eq!(items.len(), 1);
        // an accession number has 16 characters, and no line ends or backslashes
        if order.accession.chars().all(|c| !c.is_control() && c != '\\') {
            assert_eq!(items[0].entry().accession, order.accession.trim());
        }
    }
}

/// A name that stays in its folder on every system.
fn assert_file_name(name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
    assert!(name.chars().all(plain) && !name.starts_with('.') && name.len() < 120, "{name:?}");
    assert!(name.ends_with(".wl"), "{name:?}");
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let digit = |rest: &str| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit());
    let device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str())
        || ["COM", "LPT"].iter().any(|kind| stem.strip_prefix(kind).is_some_and(digit));
    assert!(!device, "{name:?} is a device");
}

/// What comes over a connection, and how it is cut.
pub(crate) fn mllp(data: &[u8]) {
    const LIMIT: usize = 600;
    let (cuts, bytes) = split_first(data);
    let whole = frames([bytes], LIMIT);
    let cut = frames(pieces(bytes, cuts), LIMIT);
    let told = |(frames, error, rest): &(Vec<Frame>, Option<MllpError>, Option<Frame>)| {
        // how much of what is none has come when it is told depends on the pieces
        let error = error.as_ref().map(std::mem::discriminant);
        (frames.clone(), error, rest.clone())
    };
    assert_eq!(told(&whole), told(&cut));
    assert!(whole.0.iter().all(|frame| frame.bytes.len() <= LIMIT));
    for frame in &whole.0 {
        let sent = frames([mllp::encode(&frame.bytes).as_slice()], LIMIT);
        let received = Frame { bytes: frame.bytes.clone(), ended: true };
        assert_eq!(sent, (vec![received], None, None));
    }
}

fn frames<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    limit: usize,
) -> (Vec<Frame>, Option<MllpError>, Option<Frame>) {
    let mut decoder = Decoder::new(limit);
    let (mut frames, mut error) = (Vec::new(), None);
    for piece in pieces {
        decoder.push(piece);
        for next in decoder.by_ref() {
            match next {
                Ok(frame) => frames.push(frame),
                Err(why) => error = Some(why),
            }
        }
        assert!(decoder.pending() <= limit + 1, "{} bytes wait", decoder.pending());
    }
    (frames, error, decoder.finish())
}
