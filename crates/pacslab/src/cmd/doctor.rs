//! `pacslab doctor`: what is wrong here, or between here and a PACS, and what mends it.
//!
//! Each check looks at one thing and says one line; what is not well comes with the command or the
//! line of the configuration that mends it, written so that bash and PowerShell take it alike.
//! Nothing is changed, and nothing is asked that leaves a trace beyond a line in a log.

mod clock;
pub(crate) mod disk;
mod folders;
mod pacs;
mod peers;
mod ports;
mod probe;
mod report;
mod settings;
mod titles;

use std::path::PathBuf;
use std::time::Duration;

use crate::client::{PeerArgs, Target};
use crate::cmd::watch::SiteArgs;
use crate::cmd::{Context, Example, help};
use crate::config::{Config, Loaded};
use crate::exit::{Failure, Result};
use crate::http::Server;
use report::Report;

/// Look for what is wrong, and say what mends it
///
/// Looks at ports, AE titles, folders, clock, peers, login and configuration of the department
/// here, whether it runs or not. With --pacs or --url it looks at a PACS of somebody else instead.
#[derive(Debug, clap::Args)]
#[command(after_help = help(<Self as crate::cmd::Run>::EXAMPLES))]
pub(crate) struct Args {
    /// The worklist folder [default: worklists]
    #[arg(long, value_name = "FOLDER")]
    worklists: Option<PathBuf>,
    #[command(flatten)]
    peer: PeerArgs,
    #[command(flatten)]
    site: SiteArgs,
}

/// How long an answer may take, unless somebody says otherwise: a check is no transfer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the checks look at.
#[derive(Debug)]
struct Patient {
    config: Config,
    loaded: Loaded,
    /// The PACS: the embedded one, or that of somebody else.
    pacs: Target,
    /// Its REST API, if it is known where that is.
    rest: Option<Server>,
    /// `--url` and what follows, for the commands that are printed.
    site: String,
    /// The PACS is not ours.
    foreign: bool,
    /// Its DICOM address was given, and not only its URL.
    stated: bool,
}

impl crate::cmd::Run for Args {
    const EXAMPLES: &[Example] = &[
        ("pacslab doctor", "looks at the department here, whether it runs or not"),
        (
            "pacslab doctor --pacs PACSLAB@127.0.0.1:4242 --url http://127.0.0.1:8042",
            "looks at any PACS from here: titles, worklist, and who it knows",
        ),
        ("pacslab doctor --json", "the same for machines; the exit code is 1 if something is wrong"),
    ];

    async fn run(self, context: &Context<'_>) -> Result {
        let mut report = Report::default();
        let patient = context.load([]).and_then(|loaded| self.patient(loaded));
        match patient {
            Ok(patient) => {
                if context.global.log.is_some() {
                    crate::logging::start(patient.config.log.level);
                }
                patient.examine(&mut report, context).await;
            }
            // with a wrong configuration everything else would be looked for in the wrong place
            Err(failure) => settings::unusable(&mut report, failure),
        }
        Ok(report.tell(context.out))
    }
}

impl Args {
    fn patient(self, loaded: Loaded) -> Result<Patient> {
        let mut config = loaded.config.clone();
        config.client.timeout = self.peer.timeout.unwrap_or(config.client.timeout.min(PATIENCE));
        if let Some(folder) = self.worklists {
            config.worklist.dir = folder;
        }
        let stated = self.peer.pacs.is_some() || self.peer.port.is_some() || !config.client.pacs.is_empty();
        let foreign = stated || self.site.url.is_some() || !config.client.http.is_empty();
        let url = self.site.url.clone().or_else(|| {
            Some(config.client.http.clone()).filter(|url| !url.is_empty())
        });
        let rest = match foreign && url.is_none() {
            true => None,
            false => Some(self.site.server(&config)?),
        };
        let mut pacs = self.peer.resolve(&config)?;
        if let (Some(server), true, false) = (&rest, foreign, stated) {
            pacs.peer.host = server.host().to_owned();
        }
        let site = match &url {
            Some(url) => format!(" --url {url}"),
            None => String::new(),
        };
        Ok(Patient { pacs, config, loaded, rest, site, foreign, stated })
    }
}

impl Patient {
    async fn examine(&self, report: &mut Report, context: &Context<'_>) {
        settings::examine(self, report);
        titles::examine(self, report);
        let running = match self.foreign {
            true => true,
            false => {
                let held = folders::data(self, report);
                ports::examine(self, held, report).await
            }
        };
        if !running {
            titles::scanner(self, report);
        }
        folders::worklists(self, report);
        let times = match running {
            true => pacs::examine(self, report).await,
            false => Vec::new(),
        };
        clock::examine(self, &times, &context.clock, report);
        if !self.foreign {
            peers::examine(self, running, report).await;
        }
    }
}

/// What a failure says, and what it says to do.
fn both(failure: Failure) -> (String, Option<String>) {
    (failure.message, failure.hint)
}
