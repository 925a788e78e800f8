//! Acknowledgements: original mode (AA, AE, AR) and the commit answers of enhanced mode (CA, CE,
//! CR). HL7 v2.5.1 chapter 2.9; tables 0008, 0155 and 0357. The application's answer to an order may
//! be the response of its kind ([`crate::response`]).

use pacslab_model::Moment;

use crate::charset::Charset;
use crate::coding::{Coding, Delimiters};
use crate::finding::{Finding, Severity};
use crate::message::{self, Line, Message, Value};
use crate::options::Responses;
use crate::path::Path;
use crate::response::{self, Settled};
use crate::write::Sending;

/// The identity of the answer, and what it tells.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Reply<'a> {
    /// MSH-10 of the acknowledgement.
    pub control_id: &'a str,
    pub at: Moment,
    pub responses: Responses,
    /// What became of the orders of the message, for its response.
    pub orders: &'a [Settled],
}

impl<'a> Reply<'a> {
    /// An ACK, whatever the message is.
    pub const fn plain(control_id: &'a str, at: Moment) -> Self {
        Self { control_id, at, responses: Responses::Never, orders: &[] }
    }
}

/// An acknowledgement as the sender reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ack {
    /// MSA-1
    pub code: AckCode,
    /// MSA-2: MSH-10 of the message that is acknowledged.
    pub control_id: String,
    /// MSA-3, or the user message of the first ERR.
    pub text: String,
    pub errors: Vec<AckError>,
}

/// One ERR of an acknowledgement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AckError {
    /// `OBR-18`, `IPC-3.1`, …; empty when not told.
    pub place: String,
    /// Table 0357, as sent.
    pub code: String,
    pub text: String,
}

/// Table 0008.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AckCode {
    Accept,
    Error,
    Reject,
    CommitAccept,
    CommitError,
    CommitReject,
}

impl AckCode {
    pub const ALL: [Self; 6] = [
        Self::Accept,
        Self::Error,
        Self::Reject,
        Self::CommitAccept,
        Self::CommitError,
        Self::CommitReject,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "AA",
            Self::Error => "AE",
            Self::Reject => "AR",
            Self::CommitAccept => "CA",
            Self::CommitError => "CE",
            Self::CommitReject => "CR",
        }
    }

    /// AA and CA.
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Accept | Self::CommitAccept)
    }

    const fn commit(self) -> Self {
        match self {
            Self::Accept | Self::CommitAccept => Self::CommitAccept,
            Self::Error | Self::CommitError => Self::CommitError,
            Self::Reject | Self::CommitReject => Self::CommitReject,
        }
    }
}

/// The message was understood and its effect is durable: AA, or CA in enhanced mode.
pub fn accept(message: &Message, reply: &Reply<'_>) -> Message {
    answer(message, immediate(message, AckCode::Accept), &[], reply)
}

/// [`accept`], telling the warnings among these: an ERR of severity W each since 2.5, else MSA-3.
pub fn accept_with(message: &Message, told: &[Finding], reply: &Reply<'_>) -> Message {
    let warnings = told.iter().filter(|finding| finding.severity == Severity::Warning);
    let warnings: Vec<Finding> = warnings.take(MOST_WARNINGS).cloned().collect();
    answer(message, immediate(message, AckCode::Accept), &warnings, reply)
}

/// More than anybody reads.
const MOST_WARNINGS: usize = 20;

/// The content is at fault and the sender may mend it: AE, or CE.
pub fn error(message: &Message, findings: &[Finding], reply: &Reply<'_>) -> Message {
    answer(message, immediate(message, AckCode::Error), findings, reply)
}

/// The message as such is refused: AR, or CR.
pub fn reject(message: &Message, findings: &[Finding], reply: &Reply<'_>) -> Message {
    answer(message, immediate(message, AckCode::Reject), findings, reply)
}

/// [`reject`] or [`error`], as [`refusal`] says.
pub fn refuse(message: &Message, findings: &[Finding], reply: &Reply<'_>) -> Message {
    answer(message, immediate(message, refusal(findings)), findings, reply)
}

/// AR when a finding says that type, event, processing id or version is not supported or the lab
/// itself failed, else AE.
pub fn refusal(findings: &[Finding]) -> AckCode {
    match findings.iter().any(|finding| finding.code.rejects()) {
        true => AckCode::Reject,
        false => AckCode::Error,
    }
}

/// Whether the sender wants an answer at once (table 0155: AL always, NE never, ER on error, SU
/// on success). Original mode always does; in enhanced mode a sender that waives the commit
/// answer but asks for the application's gets that one.
pub fn wanted(message: &Message, accepted: bool) -> bool {
    match enhanced(message) {
        None => true,
        Some((commit, application)) => asks(&commit, accepted) || asks(&application, accepted),
    }
}

/// The application acknowledgement (AA, AE, AR) that MSH-16 asks for after a commit answer; to
/// be sent on the receiver's own initiative.
pub fn application(
    message: &Message,
    code: AckCode,
    findings: &[Finding],
    reply: &Reply<'_>,
) -> Option<Message> {
    let (commit, application) = enhanced(message)?;
    let due = asks(&commit, code.is_accepted()) && asks(&application, code.is_accepted());
    due.then(|| {
        let told = findings
            .iter()
            .filter(|finding| !code.is_accepted() || finding.severity == Severity::Warning);
        let told: Vec<Finding> = told.take(MOST_WARNINGS).cloned().collect();
        answer(message, code, &told, reply)
    })
}

/// AR for bytes that [`Message::parse`] refused, if an MSH can be made out in them.
pub fn unreadable(bytes: &[u8], why: &message::ParseError, reply: &Reply<'_>) -> Option<Message> {
    let start = bytes.windows(3).position(|window| window == b"MSH")?;
    let line = bytes[start..].split(|b| matches!(b, b'\r' | b'\n')).next()?;
    // take the separator at its word, whatever the other delimiters are
    let separator = *line.get(3)?;
    if separator.is_ascii_alphanumeric() || !separator.is_ascii_graphic() {
        return None;
    }
    let text = |b: &[u8]| b.iter().map(|b| message::printable(*b)).collect::<String>();
    let fields: Vec<String> = line.split(|b| *b == separator).map(text).collect();
    let coding = Coding::new(Charset::UTF_8);
    let field = |seq: usize| fields.get(seq - 1).cloned().unwrap_or_default();
    let mut line = Line::msh(&Delimiters::default());
    for seq in [3, 4, 5, 6, 10, 12] {
        line.set_raw(seq, coding.escape(&field(seq)));
    }
    let mut original = Message::new(coding);
    original.push(line);
    let code = crate::finding::Code::DataType;
    let finding = Finding::error("MSH", 1, code, why.to_string()).at(2, 0);
    Some(reject(&original, &[finding], reply))
}

/// Reads an acknowledgement; `None` when the message has no MSA with a known code.
pub fn parse(message: &Message) -> Option<Ack> {
    let code = message.text("MSA-1.1").trim().to_ascii_uppercase();
    let code = AckCode::ALL.into_iter().find(|known| known.as_str() == code)?;
    let errors: Vec<AckError> = message
        .segments()
        .filter(|segment| segment.name() == "ERR")
        .flat_map(|err| {
            let old = err.field(1).repetitions().filter(|r| !r.is_empty()).map(old_error);
            let part = |value: Value<'_>, n| value.component(n).text().into_owned();
            let user = err.field(8).text().into_owned();
            let new = (!err.field(3).is_empty()).then(|| AckError {
                place: place(&[1, 2, 3, 5].map(|n| part(err.field(2), n))),
                code: part(err.field(3), 1),
                text: if user.is_empty() { part(err.field(3), 2) } else { user },
            });
            old.chain(new).collect::<Vec<_>>()
        })
        .collect();
    let told = message.text("MSA-3");
    let text = match (told.is_empty(), errors.first()) {
        (true, Some(error)) => error.text.clone(),
        _ => told,
    };
    Some(Ack { code, control_id: message.text("MSA-2"), text, errors })
}

/// ELD of 2.3.1: `segment^sequence^field^code&text`.
fn old_error(value: Value<'_>) -> AckError {
    let part = |n| value.component(n).text().into_owned();
    let code = |n| value.component(4).subcomponent(n).text().into_owned();
    AckError {
        place: place(&[part(1), part(2), part(3), String::new()]),
        code: code(1),
        text: code(2),
    }
}

/// Segment, sequence, field and component as a path.
fn place([segment, sequence, field, component]: &[String; 4]) -> String {
    let number = |text: &str| text.parse().ok().filter(|n| *n > 0);
    match number(field) {
        None => segment.clone(),
        Some(field) => Path {
            segment: segment.clone(),
            occurrence: number(sequence).unwrap_or(1),
            field,
            repetition: None,
            component: number(component),
            subcomponent: None,
        }
        .to_string(),
    }
}

/// MSH-15 and MSH-16 where one of them is valued: enhanced mode.
fn enhanced(message: &Message) -> Option<(String, String)> {
    let condition = |path| message.text(path).trim().to_ascii_uppercase();
    let (commit, application) = (condition("MSH-15"), condition("MSH-16"));
    (!(commit.is_empty() && application.is_empty())).then_some((commit, application))
}

/// Table 0155. An empty condition beside a valued one is never (2.9.2).
fn asks(condition: &str, accepted: bool) -> bool {
    match condition {
        "AL" => true,
        "ER" => !accepted,
        "SU" => accepted,
        _ => false,
    }
}

/// The code of the first answer: a commit code in enhanced mode, unless the sender waives the
/// commit answer and waits for the application's.
fn immediate(message: &Message, code: AckCode) -> AckCode {
    match enhanced(message) {
        None => code,
        Some((commit, application)) => {
            let accepted = code.is_accepted();
            if !asks(&commit, accepted) && asks(&application, accepted) {
                code
            } else {
                code.commit()
            }
        }
    }
}

fn answer(message: &Message, code: AckCode, findings: &[Finding], reply: &Reply<'_>) -> Message {
    let coding = *message.coding();
    let (_, event) = message.kind();
    let version = match message.version() {
        version if version.is_empty() => "2.3.1".to_owned(),
        version => version,
    };
    let sending = Sending {
        app: message.text("MSH-5"),
        facility: message.text("MSH-6"),
        receiving_app: message.text("MSH-3"),
        receiving_facility: message.text("MSH-4"),
        version,
        control_id: reply.control_id.to_owned(),
        at: reply.at,
        charset: coding.charset,
    };
    let form = response::form(message).filter(|_| responds(message, code, reply));
    let kind = match form {
        Some(form) => response::kind(form).to_owned(),
        None if event.is_empty() => "ACK".to_owned(),
        None => format!("ACK^{event}^ACK"),
    };
    let mut msh = crate::write::msh(&coding, &kind, &sending);
    for seq in [3, 4, 5, 6, 11, 18] {
        // as the sender wrote them: the applications change sides, the rest is echoed
        let from = match seq {
            3 | 4 => seq + 2,
            5 | 6 => seq - 2,
            seq => seq,
        };
        let raw = message.segment("MSH").map_or("", |segment| segment.field(from).raw());
        msh.set_raw(seq, if seq == 11 && raw.is_empty() { "P" } else { raw }.to_owned());
    }
    let mut ack = Message::new(coding);
    ack.push(msh);
    let new = message.since_2_5();
    let mut msa = Line::new("MSA").with(1, code.as_str());
    msa.set_raw(2, message.segment("MSH").map_or("", |msh| msh.field(10).raw()).to_owned());
    if let (false, Some(first)) = (new, findings.first()) {
        let text = match code.is_accepted() {
            true => findings.iter().map(Finding::remark).collect::<Vec<_>>().join("; "),
            false => first.to_string(),
        };
        // MSA-3 of 2.3.1 holds 80 characters
        let text: String = text.chars().take(80).collect();
        msa.set_raw(3, coding.escape(&text));
    }
    ack.push(msa);
    match new {
        true => findings.iter().for_each(|finding| ack.push(err(&coding, finding))),
        // ERR has no severity there, and would be taken for an error
        false if findings.is_empty() || code.is_accepted() => {}
        false => {
            let all: Vec<String> = findings.iter().map(|f| eld(&coding, f)).collect();
            let repetitions = all.join(&coding.delimiters.repetition.to_string());
            ack.push(Line::new("ERR").with(1, repetitions));
        }
    }
    if let Some(form) = form.filter(|_| code.is_accepted()) {
        let lines = response::lines(&coding, form, reply.orders, &sending);
        lines.into_iter().for_each(|line| ack.push(line));
    }
    ack
}

/// Whether this is the application's answer, and to be more than an ACK.
fn responds(message: &Message, code: AckCode, reply: &Reply<'_>) -> bool {
    let of_application = code.commit() != code;
    of_application
        && match reply.responses {
            Responses::Never => false,
            Responses::Asked => enhanced(message).is_some(),
            Responses::Always => true,
        }
}

/// ERR of 2.5: ERL in ERR-2, CWE in ERR-3, severity, diagnostic and user message.
fn err(coding: &Coding, finding: &Finding) -> Line {
    let number = |n: usize| if n == 0 { String::new() } else { n.to_string() };
    let repetition = if finding.component > 0 { "1" } else { "" };
    let place = [
        finding.segment.clone(),
        number(finding.seq),
        number(finding.field),
        repetition.to_owned(),
        number(finding.component),
    ];
    let place: Vec<&str> = place.iter().map(String::as_str).collect();
    let code = finding.code.number().to_string();
    Line::new("ERR")
        .with(2, coding.components(&place))
        .with(3, coding.components(&[&code, finding.code.meaning(), "HL70357"]))
        .with(4, finding.severity.as_str())
        .with(8, coding.escape(&finding.text))
}

/// ELD of 2.3.1.
fn eld(coding: &Coding, finding: &Finding) -> String {
    let code = finding.code.number().to_string();
    let component = coding.delimiters.component;
    let field = if finding.field == 0 { String::new() } else { finding.field.to_string() };
    format!(
        "{}{component}{field}{component}{}",
        coding.components(&[&finding.segment, &finding.seq.to_string()]),
        coding.subcomponents(&[&code, finding.code.meaning(), "HL70357"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Code;

    const AT: Moment = Moment::new(1_736_929_800_000_000, 0);

    fn message(version: &str, accept: &str, application: &str) -> Message {
        let text = format!(
            "MSH|^~\\&|RIS|A|PACS|B|20250115083000||ORM^O01|M1|T|{version}|||{accept}|{application}||8859/1\r"
        );
        Message::parse(text.as_bytes()).unwrap()
    }

    fn reply() -> Reply<'static> {
        Reply::plain("K1", AT)
    }

    fn missing() -> Finding {
        Finding::error("OBR", 2, Code::RequiredFieldMissing, "no accession | number").at(18, 1)
    }

    #[test]
    fn an_answer_swaps_the_sides_and_echoes_the_version() {
        let ack = accept(&message("2.3.1", "", ""), &reply());
        assert_eq!(
            ack.to_text(),
            "MSH|^~\\&|PACS|B|RIS|A|20250115083000+0000||ACK^O01^ACK|K1|T|2.3.1||||||8859/1\r\
             MSA|AA|M1\r"
        );
        assert_eq!(parse(&ack).unwrap().code, AckCode::Accept);
    }

    #[test]
    fn errors_are_told_in_the_dialect_of_the_version() {
        let old = error(&message("2.3.1", "", ""), &[missing(), missing()], &reply()).to_text();
        assert!(
            old.ends_with(
                "MSA|AE|M1|OBR[2]-18.1: no accession \\F\\ number (101 Required field missing)\r\
                 ERR|OBR^2^18^101&Required field missing&HL70357\
                 ~OBR^2^18^101&Required field missing&HL70357\r"
            ),
            "{old}"
        );
        let new = error(&message("2.5.1", "", ""), &[missing()], &reply());
        assert!(
            new.to_text().ends_with(
                "MSA|AE|M1\rERR||OBR^2^18^1^1|101^Required field missing^HL70357|E\
                 ||||no accession \\F\\ number\r"
            ),
            "{}",
            new.to_text()
        );
        let read = parse(&new).unwrap();
        assert_eq!((read.code, read.control_id.as_str()), (AckCode::Error, "M1"));
        assert_eq!(read.text, "no accession | number");
        assert_eq!(read.errors[0].place, "OBR[2]-18.1");
        let old = error(&message("2.3.1", "", ""), &[missing()], &reply());
        assert_eq!(parse(&old).unwrap().errors[0].place, "OBR[2]-18");
    }

    #[test]
    fn an_accepted_message_says_what_was_bridged() {
        let warning = Finding { severity: Severity::Warning, ..missing() };
        let told = Finding { severity: Severity::Information, ..missing() };
        let ack = |version: &str| {
            accept_with(&message(version, "", ""), &[warning.clone(), told.clone()], &reply())
                .to_text()
        };
        let new = ack("2.5.1");
        assert!(
            new.ends_with(
                "MSA|AA|M1\rERR||OBR^2^18^1^1|101^Required field missing^HL70357|W\
                 ||||no accession \\F\\ number\r"
            ),
            "{new}"
        );
        let old = ack("2.3.1");
        assert!(old.ends_with("MSA|AA|M1|OBR[2]-18.1: no accession \\F\\ number\r"), "{old}");
        let many = vec![warning; 5000];
        let flood = accept_with(&message("2.5.1", "", ""), &many, &reply());
        assert_eq!(flood.segments().count(), 2 + MOST_WARNINGS);
    }

    #[test]
    fn after_the_commit_answer_comes_that_of_the_application() {
        let message = message("2.5.1", "AL", "AL");
        let commit = parse(&accept(&message, &reply())).unwrap();
        assert_eq!(commit.code, AckCode::CommitAccept);
        let refused = [missing()];
        let later = application(&message, refusal(&refused), &refused, &reply()).unwrap();
        let later = parse(&later).unwrap();
        assert_eq!((later.code, later.errors[0].place.as_str()), (AckCode::Error, "OBR[2]-18.1"));
        let version = Finding::error("MSH", 1, Code::UnsupportedVersion, "no");
        assert_eq!(refusal(&[missing(), version]), AckCode::Reject);
    }

    #[test]
    fn enhanced_mode_answers_what_is_asked_for() {
        let code = |accept_ack, application_ack| {
            let message = message("2.5.1", accept_ack, application_ack);
            parse(&accept(&message, &reply())).unwrap().code
        };
        assert_eq!(code("AL", "NE"), AckCode::CommitAccept);
        assert_eq!(code("AL", "AL"), AckCode::CommitAccept);
        assert_eq!(code("NE", "AL"), AckCode::Accept);
        for (conditions, on_success, on_error) in [
            (("", ""), true, true),
            (("AL", ""), true, true),
            (("NE", "NE"), false, false),
            (("ER", "NE"), false, true),
            (("SU", ""), true, false),
        ] {
            let message = message("2.5.1", conditions.0, conditions.1);
            assert_eq!(wanted(&message, true), on_success, "{conditions:?}");
            assert_eq!(wanted(&message, false), on_error, "{conditions:?}");
        }
        let both = message("2.5.1", "AL", "AL");
        let later = application(&both, AckCode::Accept, &[], &reply()).unwrap();
        assert_eq!(parse(&later).unwrap().code, AckCode::Accept);
        assert!(application(&message("2.5.1", "", ""), AckCode::Accept, &[], &reply()).is_none());
    }

    #[test]
    fn what_is_not_supported_is_rejected() {
        let version = Finding::error("MSH", 1, Code::UnsupportedVersion, "no 3.0").at(12, 1);
        let code = |findings: &[Finding]| {
            parse(&refuse(&message("2.5", "", ""), findings, &reply())).unwrap().code
        };
        assert_eq!(code(&[missing(), version]), AckCode::Reject);
        assert_eq!(code(&[missing()]), AckCode::Error);
    }

    #[test]
    fn bytes_that_cannot_be_read_are_rejected_when_the_sender_is_known() {
        let bytes = b"MSH|AAAA|RIS|A|PACS|B|2025||ORM^O01|M7|P|2.5\rPID|1\r";
        let why = Message::parse(bytes).unwrap_err();
        let ack = parse(&unreadable(bytes, &why, &reply()).unwrap()).unwrap();
        assert_eq!((ack.code, ack.control_id.as_str()), (AckCode::Reject, "M7"));
        assert!(ack.text.contains("delimiters"), "{}", ack.text);
        assert!(unreadable(b"GET / HTTP/1.1\r\n", &why, &reply()).is_none());
        assert!(unreadable(b"MSH", &why, &reply()).is_none());
    }
}
