//! What has to hold for bytes from outside, whatever they are: one function a parser.
//!
//! cargo-fuzz calls these functions (`fuzz/`, `cargo xtask fuzz`), and so does `tests/seeded.rs`
//! on stable, with the corpus, with what was found once, and with thousands of mutations of both.
//! A body asserts more than that nothing panics: what is built from bytes is not much larger than
//! they are, what was read is written and read again as the same, and it does not matter in which
//! pieces the bytes come.
#![allow(clippy::panic, reason = "a broken promise has to end the run")]

mod config;
mod dataset;
mod dimse;
mod hl7;
mod http;
pub mod mutate;
mod scanner;
mod worklist;

/// A parser, and what is asserted of it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Of the target, its corpus and its regressions.
    pub name: &'static str,
    pub body: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "pdu", body: dimse::pdu },
    Target { name: "command", body: dimse::command },
    Target { name: "dataset", body: dataset::dataset },
    Target { name: "scanner", body: scanner::scanner },
    Target { name: "part10", body: dataset::part10 },
    Target { name: "query", body: dataset::query },
    Target { name: "hl7_message", body: hl7::message },
    Target { name: "hl7_order", body: hl7::order },
    Target { name: "mllp", body: hl7::mllp },
    Target { name: "worklist_file", body: worklist::file },
    Target { name: "multipart", body: http::multipart },
    Target { name: "config_toml", body: config::toml },
    Target { name: "config_orthanc", body: config::orthanc },
];

/// Runs the body of a target.
///
/// # Panics
/// When it finds something, and when there is no target of that name.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|target| target.name == name) {
        Some(target) => (target.body)(data),
        None => panic!("no target is called {name}"),
    }
}

/// The first byte, which says how the others are meant.
fn split_first(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// Pieces of sizes that follow from `seed`: 1 to 32 bytes, now and then a large one.
fn pieces(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let mut random = mutate::Random::new(u64::from(seed));
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let most = if random.below(8) == 0 { 5000 } else { 32 };
        let (piece, after) = rest.split_at((1 + random.below(most)).min(rest.len()));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}
