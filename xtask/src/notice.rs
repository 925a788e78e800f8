//! `cargo xtask notice`: NOTICE, with the licences of everything that is in the program. Which
//! crates these are says `cargo tree`, what they want to be told say the files that they come with.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE: &str = "NOTICE";
/// What the zips and the image are built for.
const TARGETS: &[&str] = &[
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-pc-windows-msvc",
    "aarch64-apple-darwin",
];
const LIST: &str = "The crates\n----------\n";
const RULE: &str =
    "--------------------------------------------------------------------------------";

/// What is not said by any crate. Nothing is claimed here that has an end which may have passed.
const HEAD: &str = "\
PACS Lab
Copyright (c) 2026 PACS Lab contributors; MIT, see LICENSE.

Made by `cargo xtask notice`: not to be edited.

This software is based in part on the work of the Independent JPEG Group.

SQLite is in the public domain, and so is the time zone database.

DICOM is a standard of NEMA, HL7 and FHIR are registered trademarks of Health Level Seven
International: PACS Lab implements their formats, contains none of their texts, and is neither
endorsed nor certified by them. The FHIR specification is published under CC0.

Codes of SNOMED CT occur as far as the context groups of DICOM (PS3.16) list them. Whoever wants to
use SNOMED CT beyond that, or elsewhere than in DICOM, needs to see whether a licence is needed:
https://www.snomed.org.

No data of patients is contained: names and images are invented.

";

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
    licence: String,
}

/// Writes it.
pub(crate) fn write(root: &Path) -> Result<(), String> {
    let crates = shipped(root)?;
    let sources = sources()?;
    let mut text = format!("{HEAD}{}", list(&crates));
    let (groups, without) = licences(&crates, &sources)?;
    for (body, told) in groups.into_values() {
        text += &format!("\n{RULE}\n\n");
        for line in told {
            text += &format!("{line}\n");
        }
        text += &format!("\n{}\n", body.trim_end());
    }
    if !without.is_empty() {
        text +=
            &format!("\n{RULE}\n\nWithout a licence file of their own, under the terms above:\n");
        text += &without.join("\n");
        text.push('\n');
    }
    fs::write(root.join(FILE), text).map_err(|e| format!("cannot write {FILE}: {e}"))?;
    println!("{FILE} names {} crates", crates.len());
    Ok(())
}

/// Whether it names what would be shipped today.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let text = fs::read_to_string(root.join(FILE)).unwrap_or_default();
    let crates = shipped(root)?;
    if text.starts_with(HEAD) && text.contains(&list(&crates)) {
        println!("{FILE} names all {} crates", crates.len());
        return Ok(());
    }
    Err(format!("{FILE} is not current: `cargo xtask notice` writes it again"))
}

fn list(crates: &[Crate]) -> String {
    let lines: Vec<String> =
        crates.iter().map(|c| format!("{} {} ({})\n", c.name, c.version, c.licence)).collect();
    format!("{LIST}{}", lines.concat())
}

/// All crates that end up in the program on one of its systems.
fn shipped(root: &Path) -> Result<Vec<Crate>, String> {
    let mut tree = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    tree.current_dir(root).args(["tree", "--locked", "--package", "pacslab"]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{l}"]);
    for target in TARGETS {
        tree.args(["--target", target]);
    }
    let output = tree.output().map_err(|e| format!("cannot start cargo tree: {e}"))?;
    if !output.status.success() {
        return Err(format!("cargo tree: {}", String::from_utf8_lossy(&output.stderr)));
    }
    let crates: BTreeSet<Crate> =
        String::from_utf8_lossy(&output.stdout).lines().filter_map(read_line).collect();
    Ok(crates.into_iter().collect())
}

/// `name v1.2.3|MIT (*)`; ours have a path behind the version.
fn read_line(line: &str) -> Option<Crate> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let licence = licence.trim_end_matches("(*)").trim().replace('/', " OR ");
    (!name.starts_with("pacslab")).then(|| Crate {
        name: name.into(),
        version: version.into(),
        licence,
    })
}

/// Where cargo keeps what it has unpacked.
fn sources() -> Result<Vec<PathBuf>, String> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| {
        let home = env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" })?;
        Some(PathBuf::from(home).join(".cargo"))
    });
    let folder = home.ok_or("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    let entries =
        fs::read_dir(&folder).map_err(|e| format!("cannot list {}: {e}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

/// A licence's words, and the lines of those that use it: by its words without their spacing.
type Groups = BTreeMap<String, (String, Vec<String>)>;

fn licences(crates: &[Crate], sources: &[PathBuf]) -> Result<(Groups, Vec<String>), String> {
    let mut groups = Groups::new();
    let mut without = Vec::new();
    for one in crates {
        let folder = format!("{}-{}", one.name, one.version);
        let folder = sources.iter().map(|source| source.join(&folder)).find(|path| path.is_dir());
        let folder = folder.ok_or(format!(
            "{} {} is not unpacked: `cargo fetch` brings it",
            one.name, one.version
        ))?;
        let files = licence_files(&folder);
        if files.is_empty() {
            without.push(format!("{} {} ({})", one.name, one.version, one.licence));
        }
        for file in files {
            let text = fs::read_to_string(&file)
                .map_err(|e| format!("cannot read {}: {e}", file.display()))?;
            let (holders, body) = split(&text);
            let told = match holders.is_empty() {
                true => one.name.clone(),
                false => format!("{}: {}", one.name, holders.join("; ")),
            };
            let key: String = body.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
            groups.entry(key).or_insert_with(|| (body, Vec::new())).1.push(told);
        }
    }
    Ok((groups, without))
}

/// Where there is a choice, MIT is taken; what stands beside it holds as well.
fn licence_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().to_string_lossy().to_lowercase(), entry.path()))
        .filter(|(name, _)| name.starts_with("licen") || name.starts_with("copying"))
        .collect();
    files.sort();
    if files.iter().any(|(name, _)| name.contains("mit")) {
        let others = ["apache", "boost", "0bsd", "zlib", "copying"];
        files.retain(|(name, _)| !others.iter().any(|other| name.contains(other)));
    }
    files.into_iter().map(|(_, path)| path).collect()
}

/// Who holds the copyright, and the words without that.
fn split(text: &str) -> (Vec<String>, String) {
    let is_holder = |line: &&str| {
        let line = line.trim().to_lowercase();
        line.starts_with("copyright")
            && (line.contains("(c)")
                || line.contains('©')
                || line.bytes().any(|b| b.is_ascii_digit()))
            && !line.contains("[yyyy]")
    };
    let holders = text.lines().filter(is_holder).map(|line| line.trim().to_owned()).collect();
    let body: Vec<&str> = text.lines().filter(|line| !is_holder(line)).map(str::trim_end).collect();
    (holders, body.join("\n").trim_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notice_is_current() {
        check(&crate::root()).unwrap_or_else(|why| panic!("{why}"));
    }

    #[test]
    fn lines_of_the_tree() {
        let read =
            |line| read_line(line).map(|c| format!("{} {} {}", c.name, c.version, c.licence));
        assert_eq!(read("bytes v1.12.2|MIT (*)").as_deref(), Some("bytes 1.12.2 MIT"));
        assert_eq!(read("x v1.0.0|MIT/Apache-2.0").as_deref(), Some("x 1.0.0 MIT OR Apache-2.0"));
        assert_eq!(read("pacslab v0.1.0 (somewhere)|MIT"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn holders_are_told_apart_from_the_words() {
        let (holders, body) =
            split("MIT License\n\nCopyright (c) 2020 Somebody\n\nPermission is\n");
        assert_eq!(holders, ["Copyright (c) 2020 Somebody"]);
        assert_eq!(body, "MIT License\n\n\nPermission is");
    }
}
