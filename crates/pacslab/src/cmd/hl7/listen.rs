//! `pacslab hl7 listen`: takes what comes over MLLP, shows it and answers. HL7 v2.5.1 2.9 and
//! appendix C.4. Nothing is done with a message: it is for looking at senders.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pacslab_hl7::mllp::{Decoder, encode};
use pacslab_hl7::{Code, Finding, Message, Options, ack, names};
use pacslab_model::Clock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use crate::clock::SystemClock;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::listen::Door;
use crate::mllp::lines;
use crate::output::{FAINT, Output, STRONG, printable};

/// Take HL7 messages, show and acknowledge them
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Port to listen on [default: 2575]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address to listen on; 0.0.0.0 lets other computers in [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<IpAddr>,
    /// What every message is answered with: AA, AE or AR, or READ for what the department's reader makes of it (`hl7.*` of the configuration)
    #[arg(long, default_value = "AA", value_name = "CODE", ignore_case = true)]
    answer: Answer,
    /// Show each field with its name
    #[arg(long)]
    pretty: bool,
    /// Write each message to a file in this folder
    #[arg(long, value_name = "FOLDER")]
    save: Option<PathBuf>,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Answer {
    #[value(name = "AA")]
    Accept,
    #[value(name = "AE")]
    Error,
    #[value(name = "AR")]
    Reject,
    #[value(name = "READ")]
    Read,
}

/// Connections at a time; more wait.
const CONNECTIONS: usize = 64;
/// How long a connection may be silent, and a message take from its first byte on.
const IDLE: Duration = Duration::from_secs(3600);
const MESSAGE: Duration = Duration::from_secs(30);

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 listen --port 2576 --pretty", "shows each message with the names of its fields"),
        ("pacslab hl7 listen --port 2576 --answer AE --save messages", "keeps them, and refuses them all"),
        ("pacslab hl7 listen --port 2576 --answer READ", "says what each means, and which field is at fault"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let bind = self.bind.unwrap_or(config.mllp.bind);
        let port = self.port.unwrap_or(config.mllp.port);
        let door = Door { name: "HL7", bind, port, flag: "--port", key: "mllp.port" };
        let listener = door.open().await?;
        if let Some(folder) = &self.save {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::file("make the folder", folder, &error))?;
        }
        let at = listener
            .local_addr()
            .map_err(|error| Failure::network(format!("no address: {error}")))?;
        let stop = crate::interrupt::interrupted();
        tokio::pin!(stop);
        if context.out.json {
            context.out.json(&serde_json::json!({"ready": true, "port": at.port()}));
        } else {
            context.out.line(format!("HL7 listener on {at}; Ctrl-C ends it"));
        }
        let (done, mut ended) = mpsc::channel(1);
        let most = self.count.unwrap_or(u64::MAX);
        let options = crate::department::hl7_options(&config);
        let taken = AtomicU64::new(0);
        let ear = Arc::new(Ear { args: self, options, out: *context.out, taken, most, done });
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return Ok(Exit::Done) };
            let accepted = tokio::select! {
                () = &mut stop => return Ok(Exit::Done),
                _ = ended.recv() => return Ok(Exit::Done),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let ear = ear.clone();
                    tokio::spawn(async move {
                        ear.connection(stream, peer).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    context.out.warning(&format!("a connection could not be taken: {error}"));
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// What all connections share.
struct Ear {
    args: Args,
    /// For `--answer READ`.
    options: Options,
    out: Output,
    /// Messages so far.
    taken: AtomicU64,
    most: u64,
    /// Told when there were enough.
    done: mpsc::Sender<()>,
}

/// One message and what came of it.
struct Heard<'a> {
    message: &'a Message,
    bytes: usize,
    /// `None`: the sender wants none.
    answer: Option<&'a str>,
    kept: Option<&'a Path>,
    /// What it says, or what is wrong with it; for `--answer READ`.
    means: &'a [String],
}

impl Ear {
    async fn connection(&self, mut stream: TcpStream, peer: SocketAddr) {
        let _ = stream.set_nodelay(true);
        if let Err(why) = self.talk(&mut stream, peer).await {
            let why = printable(&why);
            if self.out.json {
                self.out.json(&serde_json::json!({"peer": peer.to_string(), "closed": why}));
            } else {
                self.out.warning(&format!("{peer} disconnected: {why}"));
            }
        }
        let _ = stream.shutdown().await;
    }

    /// Until the peer has gone; the error is why we part with it.
    async fn talk(&self, stream: &mut TcpStream, peer: SocketAddr) -> std::result::Result<(), String> {
        let mut decoder = Decoder::default();
        let mut buffer = vec![0; 16 * 1024];
        let mut begun = None;
        loop {
            for frame in decoder.by_ref() {
                let frame = frame.map_err(|error| error.to_string())?;
                begun = None;
                if !frame.ended {
                    return Err(cut_off(frame.bytes.len()));
                }
                let number = self.taken.fetch_add(1, Ordering::SeqCst) + 1;
                if number > self.most {
                    return Ok(());
                }
                let answer = self.hear(&frame.bytes, peer)?;
                if let Some(answer) = answer {
                    let written = stream.write_all(&encode(&answer)).await;
                    written.map_err(|error| format!("the answer could not be sent: {error}"))?;
                }
                if number == self.most {
                    let _ = stream.shutdown().await;
                    let _ = self.done.send(()).await;
                    return Ok(());
                }
            }
            let wait = match decoder.pending() {
                0 => IDLE,
                _ => MESSAGE.saturating_sub(begun.get_or_insert_with(std::time::Instant::now).elapsed()),
            };
            match tokio::time::timeout(wait, stream.read(&mut buffer)).await {
                Err(_) if decoder.pending() == 0 => return Ok(()),
                Err(_) => return Err(format!("the rest of a message did not come in {} s", MESSAGE.as_secs())),
                Ok(Ok(0)) => break,
                Ok(Ok(read)) => decoder.push(&buffer[..read]),
                Ok(Err(_)) => break,
            }
        }
        match decoder.finish() {
            Some(frame) => Err(cut_off(frame.bytes.len())),
            None => Ok(()),
        }
    }

    /// Shows and keeps a message; what it is answered with.
    fn hear(&self, bytes: &[u8], peer: SocketAddr) -> std::result::Result<Option<Vec<u8>>, String> {
        let at = SystemClock.now();
        let control_id = format!("L{}", at.micros);
        let reply = ack::Reply::plain(&control_id, at);
        let kept = self.args.save.as_deref().map(|folder| keep(folder, bytes)).transpose()?;
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                let answer = ack::unreadable(bytes, &error, &reply);
                let why = error.to_string();
                self.tell_unreadable(peer, &why, bytes.len());
                return match answer {
                    Some(answer) => Ok(Some(answer.to_bytes())),
                    None => Err(format!("what came is no HL7 message: {why}")),
                };
            }
        };
        let said = |code| {
            let text = format!("answered so because of --answer {code}");
            [Finding::error("MSH", 1, Code::ApplicationInternal, text)]
        };
        let mut means = Vec::new();
        let answer = match self.args.answer {
            Answer::Accept => ack::accept(&message, &reply),
            Answer::Error => ack::error(&message, &said("AE"), &reply),
            Answer::Reject => ack::reject(&message, &said("AR"), &reply),
            Answer::Read => match pacslab_hl7::read(&message, &self.options) {
                Ok(incoming) => {
                    means.extend(incoming.what.sentences());
                    means.extend(incoming.warnings.iter().map(Finding::remark));
                    ack::accept_with(&message, &incoming.warnings, &reply)
                }
                Err(refusal) => {
                    means.extend(refusal.findings.iter().map(Finding::to_string));
                    ack::refuse(&message, &refusal.findings, &reply)
                }
            },
        };
        let code = ack::parse(&answer).map(|ack| ack.code);
        let wanted = ack::wanted(&message, code.is_some_and(ack::AckCode::is_accepted));
        let heard = Heard {
            message: &message,
            bytes: bytes.len(),
            answer: code.filter(|_| wanted).map(ack::AckCode::as_str),
            kept: kept.as_deref(),
            means: &means,
        };
        self.tell(peer, &heard);
        Ok(wanted.then(|| answer.to_bytes()))
    }

    fn tell(&self, peer: SocketAddr, heard: &Heard<'_>) {
        let Heard { message, bytes, answer, kept, means } = *heard;
        let (kind, event) = message.kind();
        let id = message.control_id();
        let from = format!("{}|{}", message.text("MSH-3"), message.text("MSH-4"));
        if self.out.json {
            self.out.json(&serde_json::json!({
                "peer": peer.to_string(), "type": format!("{kind}^{event}"), "control_id": id,
                "from": from, "bytes": bytes, "answer": answer, "means": means,
                "path": kept.map(|path| path.display().to_string()),
                "message": message.to_text(), "remarks": message.remarks(),
            }));
            return;
        }
        let answered = answer.map_or("it wants no answer".to_owned(), |code| format!("answered {code}"));
        let head = printable(&format!("{kind}^{event} {id} from {from} at {peer}, {bytes} bytes: {answered}"));
        let mut text = format!("{STRONG}{head}{STRONG:#}\n");
        match self.args.pretty {
            true => text += &pretty(message),
            false => {
                for line in lines(&message.to_text()).lines() {
                    text += &format!("  {}\n", printable(line));
                }
            }
        }
        for meaning in means {
            text += &format!("  {STRONG}={STRONG:#} {}\n", printable(meaning));
        }
        for remark in message.remarks() {
            text += &format!("  note: {}\n", printable(remark));
        }
        if let Some(path) = kept {
            text += &format!("  kept as {}\n", path.display());
        }
        self.out.say_styled(text.trim_end_matches('\n'));
    }

    fn tell_unreadable(&self, peer: SocketAddr, why: &str, bytes: usize) {
        if self.out.json {
            self.out.json(&serde_json::json!({
                "peer": peer.to_string(), "type": null, "bytes": bytes, "unreadable": why,
            }));
        } else {
            let why = printable(why);
            self.out.warning(&format!("{bytes} bytes from {peer} cannot be read: {why}"));
        }
    }
}

fn cut_off(bytes: usize) -> String {
    format!("a message of {bytes} bytes has no end (0x1C); it is not answered")
}

/// Each field on its line, with its name where it is known.
fn pretty(message: &Message) -> String {
    let mut text = String::new();
    for segment in message.segments() {
        let name = segment.name();
        let means = names::segment(name).unwrap_or_default();
        text += &format!("  {STRONG}{}{STRONG:#}  {means}\n", printable(name));
        // the separator and MSH-2 are the same everywhere
        let first = if name == "MSH" { 3 } else { 1 };
        for seq in first..=segment.len() {
            let raw = segment.field(seq).raw();
            if raw.is_empty() {
                continue;
            }
            let called = names::field(name, seq).unwrap_or_default();
            let value = printable(raw);
            text += &format!("    {seq:>3}  {FAINT}{called:<28}{FAINT:#}  {value}\n");
        }
    }
    text
}

/// Writes a message under the next free number: nothing in it has a say in the name.
fn keep(folder: &Path, bytes: &[u8]) -> std::result::Result<PathBuf, String> {
    for number in 1..=999_999 {
        let path = folder.join(format!("message-{number:06}.hl7"));
        match std::fs::File::create_new(&path) {
            Ok(mut file) => {
                let written = std::io::Write::write_all(&mut file, bytes);
                written.map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(format!("{} cannot be written: {error}", path.display())),
        }
    }
    Err(format!("{} is full of messages; empty it or name another folder", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_have_their_names_and_cannot_move_the_cursor() {
        let message = Message::parse(b"MSH|^~\\&|RIS|H|||2026||ADT^A08|M1|P|2.5\rPID|1||P1||DOE^JANE\x1b[2J\rZZZ|x\r").unwrap();
        let text = anstream::adapter::strip_str(&pretty(&message)).to_string();
        assert!(text.contains("  PID  Patient\n"), "{text}");
        assert!(text.contains("      9  Message type                  ADT^A08\n"), "{text}");
        assert!(text.contains("      3  Patient identifiers           P1\n"), "{text}");
        assert!(text.contains("  ZZZ  \n      1                                x\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn names_of_files_are_numbers_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let first = keep(folder.path(), b"a").unwrap();
        let second = keep(folder.path(), b"b").unwrap();
        assert!(first.ends_with("message-000001.hl7") && second.ends_with("message-000002.hl7"));
        assert_eq!(std::fs::read(first).unwrap(), b"a");
    }
}
