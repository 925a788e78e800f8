//! `pacslab modality register`: PUT /modalities/NAME.

use serde_json::{Value, json};

use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::config::Peer;
use crate::exit::{Exit, Failure, Result};
use crate::rest;

/// Make a peer known to a PACS: a destination for `push` and C-MOVE
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The peer as the PACS reaches it: AET@host:port
    #[arg(value_name = "PEER", value_parser = peer)]
    peer: Peer,
    /// What the PACS calls it [default: its AE title]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its maker, where Orthanc makes a difference
    #[arg(long, value_name = "WORD")]
    manufacturer: Option<String>,
    /// Let the PACS ask it right away whether it is there (C-ECHO)
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    site: SiteArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        (
            "pacslab modality register PYNETSCP@127.0.0.1:11112",
            "the receiver on this computer, in the embedded PACS",
        ),
        (
            "pacslab modality register VIEWER@host.docker.internal:11112 --url http://localhost:8042",
            "a viewer on this computer, as a PACS in a container reaches it",
        ),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let server = self.site.server(&context.client()?)?;
        let name = self.name.unwrap_or_else(|| self.peer.aet.to_string());
        let more: Vec<(&str, Value)> =
            self.manufacturer.into_iter().map(|maker| ("Manufacturer", json!(maker))).collect();
        rest::register(&server, &name, &self.peer, &more).await?;
        if !context.out.json {
            context.out.line(format!("{} knows {name} as {}", server.url(), self.peer));
        }
        if self.check {
            rest::echo(&server, &name, 10).await?.success().map_err(|failure| {
                Failure { message: format!("{name} is registered, but: {}", failure.message), ..failure }
                    .hint("is it running, and is host:port right as seen from the PACS?")
            })?;
            context.out.say(format!("{name} answers"));
        }
        if context.out.json {
            let peer = &self.peer;
            context.out.json(&json!({
                "name": name, "aet": peer.aet.as_str(), "host": peer.host, "port": peer.port,
                "checked": self.check,
            }));
        }
        Ok(Exit::Done)
    }
}

/// For clap: a peer, or what to write.
fn peer(text: &str) -> std::result::Result<Peer, String> {
    text.parse().map_err(|why| {
        format!("{why}; give title, host and the port it listens on, e.g. PYNETSCP@127.0.0.1:11112")
    })
}
