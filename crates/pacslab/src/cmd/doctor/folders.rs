//! The data folder and the worklist folder: there, readable, writable, whose, with room.

use std::path::Path;

use pacslab_store::DataDir;
use pacslab_store::data_dir::FORMAT;

use super::report::{Check, Report};
use super::{Patient, disk};
use crate::cmd::worklist::list;
use crate::config::StorageLayout;
use crate::output::shown;

const GROUP: &str = "folders";

/// Less than this does not hold a morning's work.
const LITTLE: u64 = 1 << 30;

/// Looks at the data folder; the answer is whether a department holds it.
pub(super) fn data(patient: &Patient, report: &mut Report) -> bool {
    let storage = &patient.config.storage;
    let path = &storage.dir;
    let (name, at) = ("data folder", shown(path).display().to_string());
    if storage.layout == StorageLayout::Memory {
        report.add(GROUP, Check::warn(name, "storage.layout is memory: everything is gone at the end")
            .fix("layout = \"pack\"   under [storage] of pacslab.toml"));
        return false;
    }
    if !path.exists() {
        report.add(GROUP, match writable(path) {
            Ok(()) => Check::ok(name, format!("{at} is made when the department opens first")),
            Err(why) => Check::fail(name, format!("{at} cannot be made: {why}"))
                .fix("pacslab serve --data OTHER-FOLDER"),
        });
        return false;
    }
    let seen = match DataDir::look(path) {
        Ok(seen) => seen,
        Err(error) => {
            report.add(GROUP, Check::fail(name, error.to_string()).fix("pacslab serve --data OTHER-FOLDER"));
            return false;
        }
    };
    let mut add = |check| report.add(GROUP, check);
    let format = seen.format.map_or("no data yet".to_owned(), |n| format!("format {n}"));
    add(match (seen.format, seen.locked, seen.pid) {
        (Some(found), ..) if found > FORMAT => Check::fail(
            name,
            format!("{at} has format {found}, which a newer pacslab wrote; this one reads up to {FORMAT}"),
        )
        .fix("pacslab serve --data OTHER-FOLDER"),
        (_, true, Some(pid)) => Check::ok(name, format!("{at}: {format}; in use by process {pid}")),
        (_, true, None) => Check::ok(name, format!("{at}: {format}; in use by a running pacslab")),
        _ => match writable(path) {
            Ok(()) => Check::ok(name, format!("{at}: {format}, can be written, in use by nobody")),
            Err(why) => Check::fail(name, format!("{at} cannot be written: {why}"))
                .fix("pacslab serve --data OTHER-FOLDER"),
        },
    });
    if let Some(free) = disk::free(path) {
        let says = format!("{} free in {at}", size(free));
        add(match free < LITTLE {
            true => Check::warn("room", says).fix("pacslab serve --data FOLDER-ON-ANOTHER-DRIVE"),
            false => Check::ok("room", says),
        });
    }
    if let Some(why) = disk::doubtful(path) {
        add(Check::warn("data folder", format!("{at}: {why}; databases break there"))
            .fix("pacslab serve --data FOLDER-OF-THIS-COMPUTER"));
    }
    seen.locked
}

pub(super) fn worklists(patient: &Patient, report: &mut Report) {
    let path = &patient.config.worklist.dir;
    let (name, at) = ("worklist folder", shown(path).display().to_string());
    let mut add = |check| report.add(GROUP, check);
    if !path.is_dir() {
        let (is_file, makes) = (path.exists(), format!("mkdir {}", quoted(&at)));
        add(match (is_file, patient.foreign) {
            (true, _) => Check::fail(name, format!("{at} is a file")).fix(format!("mv {0} {0}.old", at)),
            (false, true) => Check::warn(
                name,
                format!("there is no {at}; give the folder that the PACS serves with --worklists"),
            )
            .fix(makes),
            (false, false) => Check::ok(name, format!("{at} is made when the department opens first")),
        });
        return;
    }
    if let Err(why) = writable(path) {
        add(Check::fail(name, format!("{at} cannot be written: {why}")).fix("dir = \"OTHER-FOLDER\"   under [worklist] of pacslab.toml"));
    }
    let worklist = match list::open(path) {
        Ok(worklist) => worklist,
        Err(failure) => {
            add(Check::fail(name, failure.message).fix("dir = \"OTHER-FOLDER\"   under [worklist] of pacslab.toml"));
            return;
        }
    };
    let entries = worklist.entries();
    for bad in worklist.unreadable() {
        let file = quoted(&path.join(&bad.file).display().to_string());
        add(Check::fail("worklist file", format!("{} cannot be read: {}", bad.file, bad.reason))
            .fix(format!("mv {file} {}", quoted(&format!("{}.bad", path.join(&bad.file).display())))));
    }
    let scanner = &patient.pacs.calling;
    let own = entries.iter().filter(|entry| entry.station == scanner.as_str()).count();
    let near = entries.iter().find(|entry| {
        entry.station != scanner.as_str() && entry.station.eq_ignore_ascii_case(scanner.as_str())
    });
    add(match (entries.len(), own, near) {
        (0, ..) => Check::warn(name, format!("{at} is empty: every worklist query matches nothing"))
            .fix("pacslab worklist create"),
        (count, 0, Some(near)) => Check::warn(
            name,
            format!(
                "{count} items, none for {scanner}: {} is for '{}', and case counts",
                near.file, near.station
            ),
        )
        .fix(format!("pacslab worklist find --station {}", near.station)),
        (count, 0, None) => Check::warn(
            name,
            format!("{count} items, none for the scanner {scanner} (the first is for '{}')", entries[0].station),
        )
        .fix(format!("pacslab worklist create --station {scanner}")),
        (count, own, _) => Check::ok(name, format!("{at}: {count} items, {own} for {scanner}")),
    });
    if let Some(why) = disk::doubtful(path) {
        add(Check::warn(name, format!("{at}: {why}; there are no file events")).fix("poll = \"always\"   under [worklist] of pacslab.toml"));
    }
    below(path, &mut add);
}

/// DCMTK's wlmscpfs serves a folder for each called title, below its own, and wants a file
/// `lockfile` in it. Others serve the folder itself and do not look into those below.
fn below(path: &Path, add: &mut impl FnMut(Check)) {
    let is_item = |file: &std::path::PathBuf| {
        file.extension().is_some_and(|end| end.eq_ignore_ascii_case("wl"))
    };
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in files(path).filter(|path| path.is_dir()) {
        if !files(&folder).any(|file| is_item(&file)) {
            continue;
        }
        let at = shown(&folder).display().to_string();
        let title = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder.join("lockfile").is_file() {
            let says = format!("{at}: for DCMTK's wlmscpfs, as {title}; pacslab and Orthanc do not look into it");
            add(Check::ok("worklist folder", says));
            continue;
        }
        let says = format!(
            "{at} has .wl files: pacslab and Orthanc do not look into folders below, and DCMTK's \
             wlmscpfs, which serves it as {title}, finds no file named lockfile in it"
        );
        let lock = quoted(&folder.join("lockfile").display().to_string());
        add(Check::warn("worklist folder", says).fix(format!("echo \"\" > {lock}")));
    }
}

/// Whether files can be made in the folder, or in the nearest one above that is there.
fn writable(folder: &Path) -> Result<(), String> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let there = folder.ancestors().find(|path| path.exists()).unwrap_or(&folder);
    if !there.is_dir() {
        return Err(format!("{} is a file", there.display()));
    }
    let file = there.join(format!(".pacslab-doctor-{}", std::process::id()));
    std::fs::write(&file, b"").map_err(|error| error.to_string())?;
    std::fs::remove_file(&file).map_err(|error| error.to_string())
}

/// A path as an argument; both shells take double quotes.
fn quoted(path: &str) -> String {
    match path.chars().any(|c| c.is_whitespace() || "&()'".contains(c)) {
        true => format!("\"{path}\""),
        false => path.to_owned(),
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 30 {
        0 => format!("{} MiB", bytes >> 20),
        gib => format!("{gib} GiB"),
    }
}
