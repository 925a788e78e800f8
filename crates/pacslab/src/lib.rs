//! `pacslab`: a radiology department in one binary.
//!
//! Reads the command line, gathers the configuration, runs one command ([`cmd`]) and turns its
//! result into messages and an exit code ([`exit`]). The department itself, what listens where,
//! is put together in [`department`].

mod arrivals;
mod bench;
mod browser;
mod client;
mod clock;
mod cmd;
mod commitment;
mod config;
mod demo;
mod department;
mod double_click;
mod exit;
mod export;
mod hl7_out;
mod host;
mod http;
mod identifier;
mod import;
mod inbox;
mod interrupt;
mod listen;
mod logging;
mod mllp;
mod offline;
mod one_file;
mod open_files;
mod order_args;
mod outbox;
mod output;
mod random;
mod reception;
mod refile;
mod reports;
mod rest;
mod retrieve;
mod scheduling;
mod temporary;
mod text_file;
mod tls;

use std::process::ExitCode;

use clap::Parser;

#[doc(hidden)]
pub use config::fuzz;

/// The program.
pub fn main() -> ExitCode {
    let double_click = double_click::command();
    let cli = double_click.map_or_else(cmd::Cli::parse, cmd::Cli::parse_from);
    let output = output::Output::new(cli.global.json);
    match run(cli, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            if double_click.is_some() {
                double_click::keep_window();
            }
            failure.exit.into()
        }
    }
}

fn run(cli: cmd::Cli, output: &output::Output) -> exit::Result {
    let Some(command) = cli.command else {
        output.text(cmd::FIRST_STEPS);
        return Ok(exit::Exit::Done);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(command.workers())
        .enable_all()
        .build()
        .map_err(|error| exit::Failure::failed(format!("no threads to work with: {error}")))?;
    runtime.block_on(command.run(&cmd::Context::new(cli.global, output)))
}
