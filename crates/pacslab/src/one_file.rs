//! A backup as one ZIP file, and a data folder out of it.
//!
//! The copy is made as a folder first, because it is begun again where packs go away meanwhile and goes
//! on where it was interrupted; then it is packed, without deflating. Nothing has the name that was
//! asked for before all of it is on the disk.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};

use pacslab_dicom::zip::Directory;
use pacslab_http::zip::Zip;
use pacslab_store::StoreError;
use pacslab_store::backup::{Copied, backup};
use pacslab_store::disk::{Disk, StdDisk, patiently};

use crate::exit::{Failure, Result};
use crate::offline::failed;

/// Whether a backup is to be one file.
pub(crate) fn is_wanted(to: &Path) -> bool {
    !to.is_dir() && to.extension().is_some_and(|end| end.eq_ignore_ascii_case("zip"))
}

/// Copies the data folder into one file. An earlier one of that name stays until this is complete.
pub(crate) fn pack(from: &Path, to: &Path) -> Result<Copied> {
    let (staged, part) = (beside(to, ".folder"), beside(to, ".part"));
    let copied = backup(from, &staged).map_err(failed)?;
    let write = |error: std::io::Error| Failure::file("write", &part, &error);
    let mut names = Vec::new();
    list(&staged, "", &mut names).map_err(|error| Failure::file("list", &staged, &error))?;
    // the format last, as in a folder: without it no backup is complete
    names.sort_by_key(|name| (name == "format", name.clone()));
    let file = File::create(&part).map_err(write)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut zip = Zip::new([1980, 1, 1, 0, 0, 0]);
    for name in names {
        let path = staged.join(&name);
        let mut source = File::open(&path).map_err(|e| Failure::file("read", &path, &e))?;
        zip.file(&name, &mut source, &mut out).map_err(write)?;
    }
    let done =
        out.write_all(&zip.end()).and_then(|()| out.into_inner().map_err(|e| e.into_error()));
    done.and_then(|file| file.sync_all()).map_err(write)?;
    verify(&part)?;
    patiently(|| fs::rename(&part, to)).map_err(|e| Failure::file("rename", &part, &e))?;
    let folder = to.parent().filter(|above| !above.as_os_str().is_empty());
    StdDisk
        .sync_dir(folder.unwrap_or(Path::new(".")))
        .map_err(|error| Failure::file("sync", to, &error))?;
    fs::remove_dir_all(&staged).map_err(|error| Failure::file("remove", &staged, &error))?;
    Ok(copied)
}

/// Makes a data folder out of one file; it must be new or empty.
pub(crate) fn unpack(from: &Path, to: &Path) -> Result<Copied> {
    if fs::read_dir(to).is_ok_and(|mut all| all.next().is_some()) {
        return Err(failed(StoreError::Other(format!(
            "{} is not empty; nothing is overwritten: name a new folder, or move it away",
            to.display()
        ))));
    }
    let staged = beside(to, ".restoring");
    let written = |error: std::io::Error| Failure::file("write", &staged, &error);
    let _ = fs::remove_dir_all(&staged);
    StdDisk.create_dir_all(&staged).map_err(written)?;
    let taken = take_out(from, &staged);
    let Ok(copied) = taken else {
        // what cannot be removed now is with the next attempt
        let _ = fs::remove_dir_all(&staged);
        return taken;
    };
    // one that is there is empty
    let _ = fs::remove_dir(to);
    patiently(|| fs::rename(&staged, to)).map_err(|e| Failure::file("rename", &staged, &e))?;
    Ok(copied)
}

fn take_out(from: &Path, staged: &Path) -> Result<Copied> {
    let written = |error: std::io::Error| Failure::file("write", staged, &error);
    let (mut copied, mut complete) = (Copied::default(), false);
    each(from, &mut |name, contents| {
        let path = staged.join(name);
        let folder = path.parent().unwrap_or(staged);
        StdDisk.create_dir_all(folder).map_err(written)?;
        let mut file = File::create(&path).map_err(|e| Failure::file("write", &path, &e))?;
        let bytes = std::io::copy(contents, &mut file).and_then(|n| file.sync_all().map(|()| n));
        copied.bytes += bytes.map_err(|error| {
            Failure::failed(format!(
                "cannot take {} out of {}: {error}",
                name.display(),
                from.display()
            ))
        })?;
        StdDisk.sync_dir(folder).map_err(written)?;
        complete |= name == Path::new("format");
        copied.packs += u64::from(name.extension().is_some_and(|end| end == "pack"));
        copied.files += u64::from(name.extension().is_some_and(|end| end == "dcm"));
        Ok(())
    })?;
    match complete {
        true => Ok(copied),
        false => Err(no_backup(from)),
    }
}

/// Reads all of it back: each member has its checksum.
fn verify(path: &Path) -> Result<()> {
    each(path, &mut |name, contents| {
        std::io::copy(contents, &mut std::io::sink()).map(drop).map_err(|error| {
            Failure::failed(format!("{} does not read back alike: {error}", name.display()))
        })
    })
}

fn each(path: &Path, take: &mut dyn FnMut(&Path, &mut dyn Read) -> Result<()>) -> Result<()> {
    let open = || File::open(path).map_err(|error| Failure::file("read", path, &error));
    let broken = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("{}: {error}", path.display()))
            .hint("a backup that was interrupted has another name; this one was damaged since")
    };
    let mut directory = Directory::open(open()?).map_err(|error| broken(&error))?;
    let mut source = BufReader::with_capacity(1 << 20, open()?);
    while let Some(member) = directory.next_member().map_err(|error| broken(&error))? {
        let name = Path::new(&member.name);
        if !is_ours(name) {
            return Err(no_backup(path));
        }
        source.rewind().map_err(|error| broken(&error))?;
        let mut contents = member.open(&mut source).map_err(|error| broken(&error))?;
        take(name, &mut contents)?;
    }
    Ok(())
}

/// What a backup holds, and nothing that leads out of its folder.
fn is_ours(name: &Path) -> bool {
    let mut parts = name.components();
    let first = parts.next();
    let known = ["packs", "objects", "lab.db", "users", "format"];
    matches!(first, Some(Component::Normal(first)) if known.iter().any(|known| first == *known))
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn no_backup(path: &Path) -> Failure {
    Failure::failed(format!("{} is no complete backup", path.display()))
        .hint("name a file that `pacslab backup NAME.zip` made, or the folder of a backup")
}

fn list(folder: &Path, above: &str, into: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), into)?;
        } else if is_ours(Path::new(&name)) {
            into.push(name);
        }
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
