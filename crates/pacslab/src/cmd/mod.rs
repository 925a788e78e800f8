//! The command line: one file a command, one line here.

#[cfg(test)]
mod docs_tests;
mod examples;

use std::path::PathBuf;

use clap::{Args, Parser};

use crate::clock::SystemClock;
use crate::config::{Entry, Loaded};
use crate::exit::{self, Result};
use crate::output::Output;

/// Declares modules, the enum of commands, dispatch and the list of examples.
macro_rules! commands {
    ($(#[$meta:meta])* $Enum:ident { $( $(#[$attr:meta])* $module:ident: $Variant:ident, )* }) => {
        $( pub(crate) mod $module; )*

        $(#[$meta])*
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum $Enum { $( $(#[$attr])* $Variant($module::Args), )* }

        impl $Enum {
            /// Threads of the runtime: clients need few.
            #[allow(dead_code, reason = "asked of the outermost commands only")]
            pub(crate) fn workers(&self) -> usize {
                match self { $( Self::$Variant(args) => $crate::cmd::Run::workers(args), )* }
            }

            pub(crate) async fn run(self, context: &$crate::cmd::Context<'_>) -> $crate::exit::Result {
                match self { $( Self::$Variant(args) => $crate::cmd::Run::run(args, context).await, )* }
            }

            /// The examples of all commands.
            pub(crate) fn examples() -> Vec<$crate::cmd::Example> {
                let mut all = Vec::new();
                $( all.extend(<$module::Args as $crate::cmd::Run>::examples()); )*
                all
            }
        }
    };
}
pub(crate) use commands;

commands! {
    /// What `pacslab` does.
    Command {
        demo: Demo,
        serve: Serve,
        hl7: Hl7,
        order: Order,
        patient: Patient,
        report: Report,
        worklist: Worklist,
        acquire: Acquire,
        send: Send,
        commit: Commit,
        import: Import,
        find: Find,
        get: Get,
        r#move: Move,
        receive: Receive,
        echo: Echo,
        modality: Modality,
        push: Push,
        verify: Verify,
        doctor: Doctor,
        delete: Delete,
        compact: Compact,
        check: Check,
        backup: Backup,
        restore: Restore,
        fhir: Fhir,
        watch: Watch,
        top: Top,
        bench: Bench,
        services: Services,
        user: User,
        config: Config,
        tls: Tls,
        completions: Completions,
        #[command(hide = true)]
        help_examples: HelpExamples,
    }
}

/// A radiology department in one binary: orders, worklist, scanner, PACS, viewer, exports.
///
/// Not a medical device; synthetic data only.
#[derive(Debug, Parser)]
#[command(
    name = "pacslab",
    version,
    disable_help_subcommand = true,
    after_help = "Start with `pacslab demo`. Not a medical device; synthetic data only.",
    after_long_help = exit::codes_help(),
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Configuration file [default: pacslab.toml, if there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Certificates of the CAs to trust, for TLS [default: tls/ca-cert.pem]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Our certificate, for TLS [default: tls/server-cert.pem, if there is one]
    #[arg(long, global = true, value_name = "FILE", requires = "cert_key")]
    pub(crate) cert: Option<PathBuf>,
    /// Its key
    #[arg(long, global = true, value_name = "FILE", requires = "cert")]
    pub(crate) cert_key: Option<PathBuf>,
    /// Print JSON for machines
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What is logged: off, error, warn, info, debug, trace
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

/// A command: its arguments, and what it does with them.
pub(crate) trait Run {
    /// Command line and what it does; shown by `--help` and run by the tests.
    const EXAMPLES: &[Example];

    async fn run(self, context: &Context<'_>) -> Result;

    fn workers(&self) -> usize {
        2
    }

    fn examples() -> Vec<Example> {
        Self::EXAMPLES.to_vec()
    }
}

pub(crate) type Example = (&'static str, &'static str);

/// What a command works with beside its arguments.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) global: Global,
    pub(crate) out: &'a Output,
    pub(crate) clock: SystemClock,
}

impl<'a> Context<'a> {
    pub(crate) fn new(global: Global, out: &'a Output) -> Self {
        Self { global, out, clock: SystemClock }
    }

    /// The configuration for a command that talks to others. Its log is off unless asked for,
    /// because the command says itself what happened.
    pub(crate) fn client(&self) -> Result<crate::config::Config> {
        let loaded = self.load([])?;
        if self.global.log.is_some() {
            crate::logging::start(loaded.config.log.level);
        }
        Ok(loaded.config)
    }

    /// The configuration with the flags of the command on top.
    pub(crate) fn load(&self, flags: impl IntoIterator<Item = Entry>) -> Result<Loaded> {
        let Global { log, ca, cert, cert_key, .. } = &self.global;
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let everywhere = [
            Entry::flag("--log", "log.level", log.as_ref()),
            Entry::flag("--ca", "tls.ca", path(ca)),
            Entry::flag("--cert", "tls.cert", path(cert)),
            Entry::flag("--cert-key", "tls.key", path(cert_key)),
        ];
        crate::config::load(
            self.global.config.as_deref(),
            flags.into_iter().chain(everywhere.into_iter().flatten()),
        )
    }
}

/// The `Examples` section of a command's help.
pub(crate) fn help(examples: &[Example]) -> String {
    let mut text = String::from("Examples:\n");
    for (line, meaning) in examples {
        text += &format!("  {line}\n      {meaning}\n");
    }
    text
}

/// What `pacslab` alone prints.
pub(crate) const FIRST_STEPS: &str = "\
pacslab: a radiology department in one binary
Not a medical device; synthetic data only.

  pacslab demo     plays the whole workflow: order, worklist, scan, PACS, retrieve, export
  pacslab serve    starts the department and waits for you: DICOM 4242, HTTP 8042, HL7 2575
  pacslab --help   lists all commands; each has its own --help with examples
";
