//! The bodies of all fuzz targets on stable, where overflows are checked: with the corpus, with
//! what was found once (`fuzz/regressions/`), and with mutations that follow from a seed. Where there
//! is no libFuzzer, `PACSLAB_FUZZ_SECONDS=60` goes on for so long, from `PACSLAB_FUZZ_SEED`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pacslab_fuzz::TARGETS;
use pacslab_fuzz::mutate::{Random, mutated};

/// Mutations of each target, unless time runs out on a slow machine.
const MUTATIONS: usize = 4000;
const TIME: Duration = Duration::from_secs(3);

fn folder(kind: &str, target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(kind).join(target)
}

#[allow(clippy::disallowed_methods, reason = "how long a person wants it to go on")]
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Name and bytes of each file, in the order of their names.
fn files(kind: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder(kind, target)).into_iter().flatten().flatten();
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a file of the corpus"))
        })
        .collect();
    files.sort();
    files
}

fn check(name: &str) {
    let begun = Instant::now();
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let corpus = files("corpus", name);
    let regressions = files("regressions", name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
    let run = |what: &str, data: &[u8]| {
        if catch_unwind(AssertUnwindSafe(|| (target.body)(data))).is_err() {
            let kept = std::env::temp_dir().join(format!("pacslab-fuzz-{name}"));
            let _ = fs::write(&kept, data);
            panic!(
                "{name}: {what} breaks it; the bytes are in {0}. Mend it, and keep them:\n    \
                 cp {0} fuzz/regressions/{name}/WHAT-IT-IS",
                kept.display()
            );
        }
    };
    for (file, data) in regressions.iter().chain(&corpus) {
        run(file, data);
    }
    let seeds: Vec<&[u8]> =
        corpus.iter().chain(&regressions).map(|(_, data)| data.as_slice()).collect();
    let longer = number("PACSLAB_FUZZ_SECONDS").map(Duration::from_secs);
    let (most, time) = longer.map_or((MUTATIONS, TIME), |time| (usize::MAX, time));
    let mut random = Random::new(number("PACSLAB_FUZZ_SEED").unwrap_or(7));
    let mut done = 0;
    while done < most && begun.elapsed() < time {
        let seed = seeds[random.below(seeds.len())];
        let other = seeds[random.below(seeds.len())];
        run(&format!("mutation {done}"), &mutated(seed, other, &mut random));
        done += 1;
    }
    println!("{name}: {} files, {done} mutations, {:?}", seeds.len(), begun.elapsed());
}

/// A test for each target, so that they run beside each other and are named.
macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*

        #[test]
        fn every_target_is_here_and_in_the_fuzz_folder() {
            let here = [$(stringify!($name)),*];
            let all: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(here.as_slice(), all);
            let manifest = folder("Cargo.toml", "");
            let manifest = fs::read_to_string(manifest.parent().expect("fuzz").join("Cargo.toml"));
            let manifest = manifest.expect("fuzz/Cargo.toml");
            for name in all {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
                assert!(folder("fuzz_targets", &format!("{name}.rs")).is_file(), "{name}");
            }
        }
    };
}

targets! {
    pdu command dataset scanner part10 query hl7_message hl7_order mllp worklist_file multipart
    config_toml config_orthanc
}
