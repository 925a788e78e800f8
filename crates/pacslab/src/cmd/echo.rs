//! `pacslab echo`: C-ECHO. PS3.4 A.

use std::time::{Duration, Instant};

use pacslab_dimse::Proposal;
use pacslab_model::uids;

use crate::client::PeerArgs;
use crate::cmd::{Context, Example, help};
use crate::exit::{Exit, Result};

/// Ask whether a peer answers (C-ECHO)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The peer: AET@host:port, host:port, or a name from [peers]
    #[arg(value_name = "PEER", conflicts_with = "pacs")]
    peer_name: Option<String>,
    /// How often, over one association
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    #[command(flatten)]
    peer: PeerArgs,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab echo", "asks the embedded PACS: PACSLAB on port 4242"),
        ("pacslab echo ORTHANC@127.0.0.1:4242 --calling PYMOD1", "asks an Orthanc"),
        ("pacslab echo --count 10 --json", "ten times, one JSON line each"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let config = context.client()?;
        let peer = PeerArgs { pacs: self.peer_name.or(self.peer.pacs), ..self.peer };
        let target = peer.resolve(&config)?;
        let begun = Instant::now();
        let mut association = target.connect(Proposal::of(uids::VERIFICATION)).await?;
        tell(context, &target.peer.to_string(), "association", begun.elapsed(), None);
        let mut refused = None;
        for _ in 0..self.count {
            let begun = Instant::now();
            let reply = association.echo().await?;
            tell(
                context,
                &target.peer.to_string(),
                "C-ECHO",
                begun.elapsed(),
                Some(reply.status.0),
            );
            if !reply.status.is_success() {
                refused = Some(reply);
            }
        }
        // the answers are here; how the peer takes the release is of no use to anybody
        let _ = association.release().await;
        match refused {
            Some(reply) => Err(target.refused("C-ECHO", &reply)),
            None => Ok(Exit::Done),
        }
    }
}

fn tell(context: &Context<'_>, peer: &str, what: &str, took: Duration, status: Option<u16>) {
    let millis = took.as_secs_f64() * 1000.0;
    if context.out.json {
        if let Some(status) = status {
            context.out.json(&serde_json::json!({
                "peer": peer, "status": format!("0x{status:04X}"), "ms": millis,
            }));
        }
        return;
    }
    let status = status.map_or("accepted".to_owned(), |s| format!("status 0x{s:04X}"));
    context.out.line(format!("{what:<12} {peer}  {status}  {millis:.1} ms"));
}
