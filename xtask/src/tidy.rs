//! Checks of the repository itself: what ARCHITECTURE.md promises and no compiler enforces.
//! They run as tests with all others, and alone by `cargo xtask tidy`.
//!
//! A check reads text, not syntax trees: it may be a little coarse, as long as it is fast and
//! its message says what to do.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::links::{self, Page};
use crate::powershell;

/// Who may use whom. A new edge here needs an ADR: the graph is what keeps a rebuild short and
/// the doors ignorant of each other (`modality` never links `archive`, `archive` never links
/// `ris`, `scp` and `http` never know each other).
const EDGES: &[(&str, &[&str])] = &[
    ("pacslab-model", &[]),
    ("pacslab-dicom", &["model"]),
    ("pacslab-codec", &["model", "dicom"]),
    ("pacslab-dimse", &["model", "dicom"]),
    ("pacslab-hl7", &["model"]),
    ("pacslab-fhir", &["model"]),
    ("pacslab-store", &["model"]),
    ("pacslab-ris", &["model", "dicom", "hl7", "store"]),
    ("pacslab-modality", &["model", "dicom", "dimse"]),
    ("pacslab-archive", &["model", "dicom", "codec", "dimse", "store"]),
    ("pacslab-scp", &["model", "dicom", "dimse", "archive", "ris"]),
    ("pacslab-http", &["model", "dicom", "codec", "archive", "ris", "store"]),
    (
        "pacslab",
        &[
            "model", "dicom", "codec", "dimse", "hl7", "fhir", "store", "ris", "modality",
            "archive", "scp", "http",
        ],
    ),
    // no part of the program: what its tests and cargo-fuzz assert of each parser (ADR 0008)
    ("pacslab-fuzz", &["model", "dicom", "dimse", "hl7", "ris", "http"]),
];

/// dicom-rs stays behind these (ADR 0001).
const DICOM_RS_USERS: &[&str] = &["pacslab-dicom", "pacslab-codec"];

/// A file longer than this hides its rooms from a newcomer.
const LONG: usize = 700;
/// Longer ones that have a reason to be.
const LONG_FOR_A_REASON: &[(&str, &str)] = &[];

/// How the wall clock, the environment and randomness are reached (invariant 5).
const AMBIENT: &[&str] = &[
    "SystemTime::now",
    "Zoned::now",
    "Timestamp::now",
    "env::var",
    "env::var_os",
    "env::temp_dir",
    "thread_rng",
    "rand::rng",
    "OsRng",
    "getrandom",
];

/// All problems of the repository, a line each.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let repository = Repository::read(root);
    CHECKS.iter().flat_map(|(_, check)| check(&repository)).collect()
}

/// Whether any documentation holds code that `cargo test --doc` would run.
pub(crate) fn has_doctests(root: &Path) -> bool {
    Repository::read(root).sources.iter().any(|source| {
        let mut inside = false;
        source.text.lines().map(str::trim_start).any(|line| {
            let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let Some(fence) = doc.and_then(|doc| doc.trim().strip_prefix("```")) else {
                return false;
            };
            inside = !inside;
            inside && ["", "rust", "no_run", "should_panic"].contains(&fence)
        })
    })
}

type Check = fn(&Repository) -> Vec<String>;

const CHECKS: &[(&str, Check)] = &[
    ("the crate graph is the one of ARCHITECTURE.md", crate_graph),
    ("SQL stays in pacslab-store", sql_in_store_only),
    ("dicom-rs stays behind pacslab-dicom and pacslab-codec", dicom_rs_behind_two),
    ("time, environment and randomness are parameters", nothing_ambient),
    ("nothing panics on outside input", no_unwrap),
    ("every module says what it is", module_docs),
    ("files stay short", short_files),
    ("TLS is rustls with ring", no_other_tls),
    ("every ADR is in the index", adrs_indexed),
    ("links of documents lead somewhere", links_lead_somewhere),
    ("PowerShell is PowerShell", powershell_is_none_of_bash),
    ("nothing names a path of somebody's machine", no_machine_paths),
];

fn crate_graph(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for manifest in &repository.manifests {
        let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == manifest.krate) else {
            problems.push(format!(
                "crates/{}: a new crate needs a line in EDGES (xtask/src/tidy.rs) and an ADR",
                manifest.krate
            ));
            continue;
        };
        let used: Vec<&str> =
            manifest.uses.iter().filter_map(|name| name.strip_prefix("pacslab-")).collect();
        for name in &used {
            if !allowed.contains(name) {
                problems.push(format!(
                    "crates/{}/Cargo.toml: uses pacslab-{name}, which is not in EDGES: a new \
                     edge needs an ADR",
                    manifest.krate
                ));
            }
        }
        for name in *allowed {
            if !used.contains(name) {
                problems.push(format!(
                    "crates/{}/Cargo.toml: no longer uses pacslab-{name}: take it out of EDGES \
                     and ARCHITECTURE.md",
                    manifest.krate
                ));
            }
        }
    }
    problems
}

fn sql_in_store_only(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for source in repository.outside(&["pacslab-store"]) {
        for (number, line) in source.uncommented() {
            if looks_like_sql(line) {
                problems.push(format!(
                    "{}:{number}: SQL belongs to pacslab-store (invariant 1)",
                    source.path
                ));
            }
        }
    }
    for manifest in &repository.manifests {
        if manifest.krate != "pacslab-store" && manifest.uses.iter().any(|n| n == "rusqlite") {
            problems.push(format!(
                "crates/{}/Cargo.toml: only pacslab-store talks to a database",
                manifest.krate
            ));
        }
    }
    problems
}

fn looks_like_sql(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let both = |first: &str, second: &str| {
        lower.find(first).is_some_and(|at| lower[at..].contains(second))
    };
    line.contains('"')
        && (["create table ", "create index ", "insert into ", "delete from ", "pragma "]
            .iter()
            .any(|words| lower.contains(words))
            || line.contains("SELECT ")
            || both("select ", " from ") && both(" from ", " where ")
            || both("\"update ", " set "))
}

fn dicom_rs_behind_two(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for manifest in &repository.manifests {
        if DICOM_RS_USERS.contains(&manifest.krate.as_str()) {
            continue;
        }
        for name in manifest.uses.iter().filter(|name| name.starts_with("dicom-")) {
            problems.push(format!(
                "crates/{}/Cargo.toml: uses {name}: go through pacslab-dicom (ADR 0001)",
                manifest.krate
            ));
        }
    }
    problems
}

fn nothing_ambient(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for source in repository.outside(&["pacslab"]) {
        for (number, line) in source.code() {
            if let Some(found) = AMBIENT.iter().find(|found| line.contains(**found)) {
                problems.push(format!(
                    "{}:{number}: {found} below the binary: take a Clock, a Seed or a setting \
                     as a parameter (invariant 5)",
                    source.path
                ));
            }
        }
    }
    problems
}

fn no_unwrap(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for source in repository.outside(&[]) {
        for (number, line) in source.code() {
            if line.contains(".unwrap()") || line.contains(".expect(\"") {
                problems.push(format!(
                    "{}:{number}: unwrap/expect outside tests: return an error that says what \
                     happened",
                    source.path
                ));
            }
        }
    }
    problems
}

fn module_docs(repository: &Repository) -> Vec<String> {
    repository
        .sources
        .iter()
        .filter(|source| !source.path.ends_with("/tests.rs"))
        .filter(|source| !source.text.trim_start().starts_with("//!"))
        .map(|source| format!("{}: starts without a module comment (//!)", source.path))
        .collect()
}

fn short_files(repository: &Repository) -> Vec<String> {
    repository
        .sources
        .iter()
        .filter(|source| !LONG_FOR_A_REASON.iter().any(|(path, _)| *path == source.path))
        .filter_map(|source| {
            let lines = source.text.lines().count();
            (lines > LONG).then(|| {
                format!(
                    "{}: {lines} lines (over {LONG}): split it, or list it with its reason in \
                     LONG_FOR_A_REASON",
                    source.path
                )
            })
        })
        .collect()
}

/// Those want NASM, CMake or Perl on Windows, or a library of the system: with ring a C compiler
/// is enough. Mostly they come in by a default feature of something else.
fn no_other_tls(repository: &Repository) -> Vec<String> {
    let lock = repository.texts.iter().find(|text| text.path == "Cargo.lock");
    lock.iter()
        .flat_map(|lock| lock.text.lines())
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
        .filter(|name| ["aws-lc-sys", "openssl-sys", "native-tls"].contains(name))
        .map(|name| format!("Cargo.lock: {name}: `cargo tree --target all -i {name}` says why"))
        .collect()
}

fn adrs_indexed(repository: &Repository) -> Vec<String> {
    let index = repository
        .texts
        .iter()
        .find(|text| text.path == "docs/adr/README.md")
        .map_or("", |text| text.text.as_str());
    repository
        .texts
        .iter()
        .filter_map(|text| text.path.strip_prefix("docs/adr/"))
        .filter(|name| *name != "README.md" && !index.contains(&format!("({name})")))
        .map(|name| format!("docs/adr/{name}: not in docs/adr/README.md"))
        .collect()
}

fn links_lead_somewhere(repository: &Repository) -> Vec<String> {
    // the template links to what a new record will be called
    let documents = repository
        .texts
        .iter()
        .filter(|text| text.path.ends_with(".md") && !text.path.ends_with("000-template.md"));
    let pages: Vec<Page<'_>> =
        documents.map(|text| Page { path: &text.path, text: &text.text }).collect();
    links::dead(&pages, &repository.paths)
}

fn powershell_is_none_of_bash(repository: &Repository) -> Vec<String> {
    let documents = repository.texts.iter().filter(|text| text.path.ends_with(".md"));
    documents
        .flat_map(|text| {
            let slips = powershell::slips(&text.text).into_iter();
            slips.map(|(number, why)| format!("{}:{number}: PowerShell: {why}", text.path))
        })
        .collect()
}

fn no_machine_paths(repository: &Repository) -> Vec<String> {
    // written so that this file does not contain what it looks for
    let folders = [concat!("/", "work/"), concat!("/", "root/"), concat!("/", "home/")];
    let outside = concat!("..", "/shared/");
    let mut problems = Vec::new();
    for text in repository.sources.iter().chain(&repository.texts) {
        for (number, line) in text.text.lines().enumerate() {
            let named = folders.iter().any(|folder| {
                line.match_indices(folder).any(|(at, _)| {
                    // `https://host/work/` and `network/work/` are not paths of a machine
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "./-_~}".contains(c))
                })
            });
            if named || line.contains(outside) {
                problems.push(format!(
                    "{}:{}: names a path outside the repository",
                    text.path,
                    number + 1
                ));
            }
        }
    }
    problems
}

/// What the checks read, once.
struct Repository {
    /// Rust files of `crates/` and `xtask/`.
    sources: Vec<Text>,
    /// Documents, scripts and settings.
    texts: Vec<Text>,
    manifests: Vec<Manifest>,
    /// All files and folders, whatever is in them.
    paths: BTreeSet<String>,
}

struct Text {
    /// From the root, with `/` on every platform.
    path: String,
    text: String,
}

struct Manifest {
    krate: String,
    /// Names under `[dependencies]`; development dependencies link nothing into the product.
    uses: Vec<String>,
}

impl Repository {
    fn read(root: &Path) -> Self {
        let mut repository = Self {
            sources: Vec::new(),
            texts: Vec::new(),
            manifests: Vec::new(),
            paths: BTreeSet::new(),
        };
        repository.walk(root, root);
        repository.sources.sort_by(|a, b| a.path.cmp(&b.path));
        repository.texts.sort_by(|a, b| a.path.cmp(&b.path));
        for text in &repository.texts {
            let parts: Vec<&str> = text.path.split('/').collect();
            if let ["crates", krate, "Cargo.toml"] = parts.as_slice() {
                let krate = (*krate).to_string();
                repository.manifests.push(Manifest { krate, uses: dependencies(&text.text) });
            }
        }
        repository
    }

    fn walk(&mut self, root: &Path, folder: &Path) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let from_root = parts.join("/");
            self.paths.insert(from_root.clone());
            if path.is_dir() {
                let made = [".git", ".peers", "node_modules", "__pycache__"];
                let made_here = folder == root
                    && (["data", "worklists"].contains(&name.as_str())
                        || name.starts_with("target"));
                if !made.contains(&name.as_str()) && !made_here {
                    self.walk(root, &path);
                }
                continue;
            }
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            let wanted =
                ["rs", "toml", "md", "py", "txt", "json", "ts", "sh", "yml", "yaml", "lock"];
            if !wanted.contains(&extension.as_str()) && !path.starts_with(root.join(".ci")) {
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let text = Text { path: from_root, text };
            if extension == "rs" { self.sources.push(text) } else { self.texts.push(text) }
        }
    }

    /// Sources of all crates but these (and not of xtask, which is no part of the product).
    fn outside<'a>(&'a self, krates: &'a [&str]) -> impl Iterator<Item = &'a Text> {
        self.sources.iter().filter(|source| {
            let krate = source.path.strip_prefix("crates/").and_then(|rest| rest.split('/').next());
            krate.is_some_and(|krate| !krates.contains(&krate))
        })
    }
}

impl Text {
    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.contains("/benches/")
            || self.path.contains("/examples/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }

    /// Lines that are no comments, with their numbers.
    fn uncommented(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Like `uncommented`, without tests: whole test files, and items under `#[cfg(test)]`.
    fn code(&self) -> Vec<(usize, &str)> {
        let mut code = Vec::new();
        if self.is_test() {
            return code;
        }
        // the indentation of the attribute whose item is being skipped
        let mut skipping: Option<usize> = None;
        for (number, line) in self.uncommented() {
            let trimmed = line.trim_start();
            let indent = line.len() - trimmed.len();
            match skipping {
                Some(outer) => {
                    let closed = indent == outer && (trimmed == "}" || line.ends_with(';'));
                    if closed || (indent == outer && line.ends_with('}')) {
                        skipping = None;
                    }
                }
                None if trimmed.starts_with("#[cfg(test)]") => {
                    skipping = (!line.ends_with([';', '}'])).then_some(indent);
                }
                None => code.push((number, line)),
            }
        }
        code
    }
}

/// Names under `[dependencies]` and `[target.….dependencies]`, read line by line: the
/// manifests of this workspace name one dependency a line.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut names = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[dependencies]"
                || line.starts_with("[target.") && line.ends_with(".dependencies]");
        } else if inside && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            names.push(line[..end].to_string());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repository() -> Repository {
        Repository::read(&crate::root())
    }

    fn assert_none(problems: &[String]) {
        assert!(problems.is_empty(), "\n  {}\n", problems.join("\n  "));
    }

    #[test]
    fn crate_graph_is_the_promised_one() {
        assert_none(&crate_graph(&repository()));
    }

    #[test]
    fn sql_stays_in_the_store() {
        assert_none(&sql_in_store_only(&repository()));
    }

    #[test]
    fn dicom_rs_stays_behind_two_crates() {
        assert_none(&dicom_rs_behind_two(&repository()));
    }

    #[test]
    fn time_environment_and_randomness_are_parameters() {
        assert_none(&nothing_ambient(&repository()));
    }

    #[test]
    fn nothing_unwraps_outside_tests() {
        assert_none(&no_unwrap(&repository()));
    }

    #[test]
    fn modules_say_what_they_are() {
        assert_none(&module_docs(&repository()));
    }

    #[test]
    fn files_are_short() {
        assert_none(&short_files(&repository()));
    }

    #[test]
    fn adrs_are_indexed() {
        assert_none(&adrs_indexed(&repository()));
    }

    #[test]
    fn links_are_alive() {
        assert_none(&links_lead_somewhere(&repository()));
    }

    #[test]
    fn powershell_is_powershell() {
        assert_none(&powershell_is_none_of_bash(&repository()));
    }

    #[test]
    fn no_machine_is_named() {
        assert_none(&no_machine_paths(&repository()));
    }

    /// Guards the guards: a check that reads nothing finds nothing.
    #[test]
    fn checks_see_the_repository() {
        let repository = repository();
        assert_eq!(repository.manifests.len(), EDGES.len());
        assert!(repository.sources.iter().any(|s| s.path == "crates/pacslab/src/main.rs"));
        assert!(repository.texts.iter().any(|t| t.path == "docs/adr/README.md"));
    }

    #[test]
    fn each_check_finds_what_it_forbids() {
        let source = |path: &str, text: &str| Text { path: path.into(), text: text.into() };
        let bad = Repository {
            sources: vec![source(
                "crates/pacslab-ris/src/lib.rs",
                "fn f() {\n    db.run(\"SELECT * FROM orders\").unwrap();\n    SystemTime::now();\n}\n",
            )],
            texts: vec![
                source("docs/adr/0099-lost.md", concat!("see ", "/", "work/notes")),
                source("docs/adr/README.md", "[nothing](nowhere.md)\n```powershell\na && b\n```\n"),
                source("Cargo.lock", "name = \"openssl-sys\"\n"),
            ],
            paths: BTreeSet::new(),
            manifests: vec![Manifest {
                krate: "pacslab-modality".into(),
                uses: vec!["pacslab-archive".into(), "dicom-object".into()],
            }],
        };
        for (name, check) in CHECKS.iter().filter(|(name, _)| *name != "files stay short") {
            assert!(!check(&bad).is_empty(), "nothing found: {name}");
        }
    }

    #[test]
    fn tests_are_not_code() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        let file = Text { path: "crates/x/src/lib.rs".into(), text: text.into() };
        let lines: Vec<&str> = file.code().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["fn a() {}", "fn c() {}"]);
    }

    #[test]
    fn prose_is_not_sql() {
        assert!(!looks_like_sql(r#"let help = "select the study from the list";"#));
        assert!(looks_like_sql(r#"db.execute("insert into orders values (?)")"#));
    }
}
