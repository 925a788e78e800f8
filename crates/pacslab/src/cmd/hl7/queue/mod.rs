//! `pacslab hl7 queue …`: messages on their way out, and those that could not be delivered. Asks the
//! server that runs.

use serde_json::Value;

use crate::cmd::{Context, Example};
use crate::exit::{Exit, Failure, Result};
use crate::http::{Server, encode};

/// Look at outgoing HL7 messages, send dead letters again
///
/// Messages wait until their destination has acknowledged them. What a destination refuses, and what
/// could not be delivered for too long, is a dead letter.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

crate::cmd::commands! {
    Command {
        list: List,
        show: Show,
        resend: Resend,
        drop: Drop,
    }
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[];

    async fn run(self, context: &Context<'_>) -> Result {
        Box::pin(self.command.run(context)).await
    }

    fn examples() -> Vec<Example> {
        Command::examples()
    }
}

/// Named by number, or all dead letters.
#[derive(Debug, clap::Args)]
struct Which {
    /// Their numbers in the list
    #[arg(value_name = "NUMBER", required_unless_present = "dead")]
    numbers: Vec<u64>,
    /// All dead letters
    #[arg(long, conflicts_with = "numbers")]
    dead: bool,
    /// Only of this destination
    #[arg(long, value_name = "NAME", requires = "dead")]
    destination: Option<String>,
}

const QUEUE: &str = "/ris/hl7/queue";

/// Does something with each message that is meant.
async fn each(
    server: &Server,
    which: &Which,
    context: &Context<'_>,
    done: &str,
    act: impl AsyncFn(u64) -> Result<Value>,
) -> Result {
    let numbers = match which.dead {
        true => {
            let found = letters(server, true, which.destination.as_deref()).await?;
            found.iter().filter_map(|letter| letter["number"].as_u64()).collect()
        }
        false => which.numbers.clone(),
    };
    let mut told = Vec::new();
    for number in &numbers {
        told.push(act(*number).await?);
    }
    match context.out.json {
        true => context.out.json(&told),
        false => context.out.line(match told.len() {
            0 => "no dead letters".to_owned(),
            1 => format!("1 message {done}"),
            count => format!("{count} messages {done}"),
        }),
    }
    Ok(Exit::Done)
}

/// All that are meant, a page after the other of each destination.
async fn letters(server: &Server, dead: bool, destination: Option<&str>) -> Result<Vec<Value>> {
    let known = crate::rest::get(server, "/ris/hl7/destinations").await?;
    let rows = known.as_array().into_iter().flatten();
    let names: Vec<&str> = rows.filter_map(|row| row["destination"].as_str()).collect();
    if let Some(name) = destination
        && !names.contains(&name)
    {
        return Err(Failure::failed(format!("there is no destination {name}"))
            .hint(format!("those that are known: {}", names.join(", "))));
    }
    let mut found = Vec::new();
    for name in names.into_iter().filter(|name| destination.is_none_or(|wanted| wanted == *name)) {
        let mut after = 0;
        loop {
            let name = encode(name);
            let path = format!("{QUEUE}?dead={dead}&destination={name}&after={after}");
            let page = crate::rest::get(server, &path).await?;
            let page = page.as_array().cloned().unwrap_or_default();
            let Some(last) = page.last().and_then(|letter| letter["number"].as_u64()) else { break };
            after = last;
            found.extend(page);
        }
    }
    Ok(found)
}
