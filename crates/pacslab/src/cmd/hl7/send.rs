//! `pacslab hl7 send`: messages over MLLP.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pacslab_hl7::Message;
use pacslab_ris::mllp::{Answered, MllpClient};

use crate::client::duration;
use crate::cmd::hl7::generate::MessageArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Failure, Result};
use crate::mllp;

/// Send a message over MLLP and print the answer
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// File with one or more messages; - is standard input [default: an order is made]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The receiver [default: 127.0.0.1:2575]
    #[arg(long, value_name = "HOST:PORT")]
    to: Option<String>,
    /// Its host
    #[arg(long, conflicts_with = "to", value_name = "HOST")]
    host: Option<String>,
    /// Its port
    #[arg(long, conflicts_with = "to", value_name = "N")]
    port: Option<u16>,
    /// How long an answer may take [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    #[command(flatten)]
    message: Box<MessageArgs>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab hl7 send", "makes the well-known order and sends it to the embedded RIS"),
        ("pacslab hl7 send order.hl7 --to 127.0.0.1:2575", "sends what is in a file"),
        ("pacslab hl7 send --accession ACC1003 --patient-id P67890 --name ROE^JOHN --at now+20m", "another order, for later"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let messages = match &self.file {
            Some(path) => read(path)?,
            None => vec![self.message.build(&config, &context.clock)?.to_bytes()],
        };
        let to = mllp::receiver(self.to.as_deref(), self.host.as_deref(), self.port, &config)?;
        let wait = self.timeout.unwrap_or(config.client.timeout);
        let mut sender = MllpClient::connect(&to, wait).await?;
        let mut accepted = 0;
        for message in &messages {
            let begun = Instant::now();
            let answer = sender.send(message).await?;
            tell(context, &answer, begun.elapsed());
            accepted += usize::from(answer.ack.code.is_accepted());
        }
        match messages.len() - accepted {
            0 => Ok(Exit::Done),
            _ if accepted == 0 => Ok(Exit::Failed),
            _ => Ok(Exit::Partly),
        }
    }
}

/// The messages of a file. Its line ends may be those of an editor: on the wire segments end
/// with a carriage return (HL7 v2.5.1 2.7.1).
fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .map_err(|error| Failure::file("read", path, &error))?;
    let bytes = carriage_returns(&crate::text_file::utf8(bytes));
    let messages: Vec<Vec<u8>> =
        pacslab_hl7::message::split(&bytes).into_iter().map(<[u8]>::to_vec).collect();
    if messages.is_empty() || !messages.iter().all(|message| message.starts_with(b"MSH")) {
        return Err(Failure::failed(format!("there is no HL7 message in {}", path.display()))
            .hint("a message begins with MSH|; `pacslab hl7 generate` makes one"));
    }
    Ok(messages)
}

fn carriage_returns(bytes: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\n' if out.last() == Some(&b'\r') => {}
            b'\n' => out.push(b'\r'),
            byte => out.push(byte),
        }
    }
    out
}

fn tell(context: &Context<'_>, answer: &Answered, took: Duration) {
    let ack = &answer.ack;
    let millis = took.as_secs_f64() * 1000.0;
    if context.out.json {
        let errors: Vec<_> = ack
            .errors
            .iter()
            .map(|e| serde_json::json!({"place": e.place, "code": e.code, "text": e.text}))
            .collect();
        context.out.json(&serde_json::json!({
            "ack": ack.code.as_str(), "control_id": ack.control_id, "text": ack.text,
            "errors": errors, "ms": millis,
        }));
        return;
    }
    // it has been read once already, to find its code
    if let Ok(message) = Message::parse(&answer.bytes) {
        for line in mllp::lines(&message.to_text()).lines() {
            context.out.line(crate::output::printable(line));
        }
    }
    let told = if ack.text.is_empty() { String::new() } else { format!(": {}", ack.text) };
    let told = crate::output::printable(&told);
    context.out.line(format!(
        "{} for {} in {millis:.1} ms{told}",
        ack.code.as_str(),
        ack.control_id
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_editors_become_messages() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.hl7");
        let text = "MSH|^~\\&|A|B|C|D|20260105||ORM^O01|1|P|2.3.1\r\nPID|1\nMSH|^~\\&|A|B|C|D|20260105||ORM^O01|2|P|2.3.1\n";
        std::fs::write(&path, text).unwrap();
        let messages = read(&path).unwrap();
        assert_eq!(messages.len(), 2);
        assert!(!messages[0].contains(&b'\n'));
        std::fs::write(&path, "hello").unwrap();
        assert!(read(&path).is_err());
    }
}
