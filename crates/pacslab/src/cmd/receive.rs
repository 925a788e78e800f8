//! `pacslab receive`: a C-STORE SCP that writes files. PS3.4 B.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use pacslab_model::AeTitle;
use tokio::sync::{mpsc, oneshot};

use crate::clock::SystemClock;
use crate::cmd::{Context, Example, help};
use crate::config::Entry;
use crate::exit::{Exit, Failure, Result};
use crate::inbox::{Inbox, Received};
use crate::listen::Door;
use crate::logging::Logged;
use crate::tls;

/// Take in what a PACS sends (C-STORE SCP)
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// Where files go [default: data/inbox]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// AE title [default: PYNETSCP]
    #[arg(long, value_name = "TITLE")]
    aet: Option<AeTitle>,
    /// Port; 0 takes a free one [default: 11112]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Address to listen on; 0.0.0.0 lets other computers in [default: 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// Speak TLS
    #[arg(long)]
    tls: bool,
    /// End after N objects instead of on Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab receive", "PYNETSCP on port 11112, files go to data/inbox"),
        ("pacslab receive --port 0 --count 1 --json", "a free port, ends after one object"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let loaded = context.load(self.flags())?;
        if context.global.log.is_some() {
            crate::logging::start(loaded.config.log.level);
        }
        let config = loaded.config;
        let receiver = &config.receiver;
        let (sender, mut received) = mpsc::unbounded_channel();
        let inbox = Inbox::new(&receiver.dir, sender)
            .map_err(|error| Failure::file("make the folder", &receiver.dir, &error))?;
        let door = Door {
            name: "DICOM",
            bind: receiver.bind,
            port: receiver.port,
            flag: "--port",
            key: "receiver.port",
        };
        let secure = tls::Door::of_receiver(&config)?;
        let listener = door.open().await?;
        let port = listener.local_addr().map_or(receiver.port, |address| address.port());
        let dir = receiver.dir.display().to_string();
        let interrupted = crate::interrupt::interrupted();
        if context.out.json {
            context.out.json(&serde_json::json!({
                "ready": true, "aet": receiver.aet, "port": port, "dir": dir,
                "pid": std::process::id(),
            }));
        } else {
            context.out.line(format!(
                "{} listens on {}:{port} and writes to {dir}; Ctrl-C ends",
                receiver.aet, receiver.bind
            ));
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let idle = config.dicom.idle_timeout;
        let serving =
            inbox.serve(listener, secure, idle, Arc::new(Logged), Arc::new(SystemClock), async move {
                let _ = stopped.await;
            });
        let telling = async {
            let mut left = self.count;
            tokio::pin!(interrupted);
            loop {
                tokio::select! {
                    one = received.recv() => match one {
                        Some(one) => tell(context, &one),
                        None => break,
                    },
                    () = &mut interrupted => break,
                }
                left = left.map(|n| n.saturating_sub(1));
                if left == Some(0) {
                    break;
                }
            }
            // what is in flight gets its answer, then `serving` ends
            let _ = stop.send(());
        };
        tokio::join!(serving, telling);
        while let Ok(one) = received.try_recv() {
            tell(context, &one);
        }
        Ok(Exit::Done)
    }
}

impl Args {
    fn flags(&self) -> Vec<Entry> {
        let out = self.out.as_ref().map(|path| path.display().to_string());
        [
            Entry::flag("--out", "receiver.dir", out),
            Entry::flag("--aet", "receiver.aet", self.aet.as_ref()),
            Entry::flag("--port", "receiver.port", self.port),
            Entry::flag("--bind", "receiver.bind", self.bind),
            Entry::flag("--tls", "receiver.tls", self.tls.then_some(true)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn tell(context: &Context<'_>, one: &Received) {
    if context.out.json {
        context.out.json(&one.json());
    } else {
        let path = one.path.display();
        context.out.line(format!("{path}  {} bytes from {}", one.bytes, one.peer));
    }
}
