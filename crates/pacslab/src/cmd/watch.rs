//! `pacslab watch`: the events of a department, from its HTTP door.

use pacslab_model::{Direction, Event, Outcome};
use serde_json::Value;

use crate::client::{bracketed, reachable};
use crate::cmd::{Context, Example, help};
use crate::config::Config;
use crate::department::scheme;
use crate::exit::{Exit, Failure, Result};
use crate::http::{Server, encode};
use crate::output::printable;
use crate::tls::Files;

/// Follow what happens in the department
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Only this accession number
    #[arg(long, value_name = "TEXT")]
    accession: Option<String>,
    /// Only this Study Instance UID
    #[arg(long, alias = "study", value_name = "UID")]
    study_uid: Option<String>,
    /// Only this patient
    #[arg(long, value_name = "TEXT")]
    patient_id: Option<String>,
    /// Only events whose kind begins so, e.g. dimse or hl7
    #[arg(long, value_name = "WORD")]
    kind: Option<String>,
    /// How many events of the past to begin with
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    last: u32,
    /// Print what has happened and end
    #[arg(long)]
    no_follow: bool,
    #[command(flatten)]
    site: SiteArgs,
}

/// The HTTP door that a command talks to.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "The server")]
pub(crate) struct SiteArgs {
    /// Its address [default: http://127.0.0.1:8042]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Login [default: that of the configuration]
    #[arg(long = "login", alias = "user", value_name = "NAME:PASSWORD")]
    pub(crate) user: Option<String>,
}

impl SiteArgs {
    pub(crate) fn server(&self, config: &Config) -> Result<Server> {
        let http = &config.http;
        let url = match self.url.as_deref().unwrap_or(&config.client.http) {
            "" => format!("{}://{}:{}", scheme(config), bracketed(&reachable(http.bind)), http.port),
            url => url.to_owned(),
        };
        let login = match &self.user {
            Some(login) => login.clone(),
            None => format!("{}:{}", http.user, http.password.reveal()),
        };
        let server = Server::new(&url, Some(&login), config.client.timeout)?;
        Ok(server.trusting(Files::of(&config.tls)))
    }
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab watch", "the last events, then each as it happens; Ctrl-C ends"),
        ("pacslab watch --accession ACC1001 --no-follow", "the story of one order"),
        ("pacslab watch --kind dimse --json", "what happens on the DICOM port, one JSON line each"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let server = self.site.server(&config)?;
        let path = self.path();
        let follow = async {
            let mut body = server.open(&path, "application/x-ndjson").await?;
            let mut rest = Vec::new();
            // between two events any time may pass: no timeout
            while let Some(piece) = body.next().await.map_err(|error| gone(&server, &error))? {
                rest.extend_from_slice(&piece);
                while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    tell(context, line.trim_ascii());
                }
            }
            tell(context, rest.trim_ascii());
            Ok(Exit::Done)
        };
        tokio::select! {
            ended = follow => ended,
            () = crate::interrupt::interrupted() => Ok(Exit::Done),
        }
    }
}

impl Args {
    fn path(&self) -> String {
        let mut path = format!("/pacslab/events?limit={}&follow={}", self.last, !self.no_follow);
        for (name, value) in [
            ("accession", &self.accession),
            ("study", &self.study_uid),
            ("patient", &self.patient_id),
            ("kind", &self.kind),
        ] {
            if let Some(value) = value {
                path += &format!("&{name}={}", encode(value));
            }
        }
        path
    }
}

fn gone(server: &Server, error: &std::io::Error) -> Failure {
    Failure::network(format!("{} has gone: {error}", server.url()))
        .hint("is `pacslab serve` still running?")
}

fn tell(context: &Context<'_>, line: &[u8]) {
    if line.is_empty() {
        return;
    }
    let text = String::from_utf8_lossy(line);
    if context.out.json {
        context.out.line(text);
        return;
    }
    match serde_json::from_slice::<Event>(line) {
        Ok(event) => {
            context.out.line(one_line(&event));
            for reason in reasons(&event) {
                context.out.line(format!("{:13}{reason}", ""));
            }
        }
        Err(_) => {
            let missed = serde_json::from_slice::<Value>(line)
                .ok()
                .and_then(|value| value.get("missed").and_then(Value::as_u64));
            match missed {
                Some(missed) => context.out.warning(&format!("{missed} events were missed")),
                None => context.out.line(printable(&text)),
            }
        }
    }
}

/// `08:00:00.123 failed dimse.store <- PYMOD1@127.0.0.1:50112 1.2 ms: …`
fn one_line(event: &Event) -> String {
    let time = event.at.rfc3339();
    let time = time.get(11..23).unwrap_or_default();
    let outcome = match event.outcome {
        Outcome::Ok => "ok     ",
        Outcome::Warning => "warning",
        Outcome::Failed => "failed ",
    };
    let peer = match event.direction {
        _ if event.peer.is_empty() => String::new(),
        Some(Direction::In) => format!(" <- {}", event.peer),
        _ => format!(" -> {}", event.peer),
    };
    let took = event.micros.map_or(String::new(), |n| format!(" {:.1} ms", n as f64 / 1000.0));
    printable(&format!("{time} {outcome} {}{peer}{took}: {}", event.kind, event.message))
}

/// Why it went so, where the event knows: each reason has a line of its own below it.
fn reasons(event: &Event) -> impl Iterator<Item = String> {
    event.fields.iter().filter(|(name, _)| name == "because").map(|(_, why)| printable(why))
}

#[cfg(test)]
mod tests {
    use pacslab_model::Moment;

    use super::*;

    #[test]
    fn events_are_one_line_each() {
        let at = Moment::parse("2026-01-05T08:00", 0).unwrap();
        let event = Event::new(at, "dimse.echo", "answered\r\nwith a trick")
            .peer("PYMOD1@127.0.0.1:50112", Direction::In)
            .took(std::time::Duration::from_micros(1500));
        let line = one_line(&event);
        assert!(
            line.starts_with("08:00:00.000 ok      dimse.echo <- PYMOD1@127.0.0.1:50112 1.5 ms: "),
            "{line}"
        );
        assert!(!line.contains('\n'));
    }

    #[test]
    fn reasons_are_told() {
        let at = Moment::parse("2026-01-05T08:00", 0).unwrap();
        let event = Event::new(at, "worklist.no-match", "none matches")
            .field("items", "2")
            .field("because", "A1: Modality has 'MR', asked for 'CT'")
            .field("because", "A2: Modality has none,\nasked for 'CT'");
        let told: Vec<String> = reasons(&event).collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].starts_with("A1") && !told[1].contains('\n'), "{told:?}");
    }
}
