//! The log: every event is one line on standard error.

use pacslab_model::{Direction, Emit, Event, Outcome};
use tracing::level_filters::LevelFilter;

use crate::config::LogLevel;

/// Starts the log; the first call decides.
pub(crate) fn start(level: LogLevel) {
    if level.0 == LevelFilter::OFF {
        return;
    }
    // which asks Windows' console to understand colours, if it can
    let colours = anstream::AutoStream::auto(std::io::stderr()).current_choice();
    // a second call finds the first one's subscriber, which stays
    let _ = tracing_subscriber::fmt()
        .with_max_level(level.0)
        .with_writer(std::io::stderr)
        .with_ansi(colours == anstream::ColorChoice::AlwaysAnsi)
        .with_target(false)
        .try_init();
}

/// Writes events to the log.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Logged;

impl Emit for Logged {
    fn emit(&self, event: Event) {
        let name = crate::output::printable(&event.peer);
        let peer = match (event.direction, name.as_str()) {
            (_, "") => String::new(),
            (Some(Direction::In), peer) => format!(" <- {peer}"),
            (_, peer) => format!(" -> {peer}"),
        };
        let kind = &event.kind;
        let text = crate::output::printable(&event.message);
        match event.outcome {
            Outcome::Ok => tracing::info!("{kind}{peer}: {text}"),
            Outcome::Warning => tracing::warn!("{kind}{peer}: {text}"),
            Outcome::Failed => tracing::error!("{kind}{peer}: {text}"),
        }
    }
}
