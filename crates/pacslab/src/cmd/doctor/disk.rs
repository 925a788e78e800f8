//! What a folder lies on: how much room there is, and whether it is a drive of somebody else.

use std::path::Path;

/// Bytes that may still be written; `None` where the system does not tell without more ado.
#[cfg(unix)]
#[allow(clippy::unnecessary_cast, reason = "the type differs between systems")]
pub(crate) fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    (stat.f_bavail as u64).checked_mul(stat.f_frsize as u64)
}

#[cfg(not(unix))]
pub(crate) fn free(_: &Path) -> Option<u64> {
    None
}

/// Names by which programs that copy folders to a cloud are known.
const SYNCED: &[&str] = &[
    "OneDrive", "Dropbox", "Google Drive", "GoogleDrive", "iCloudDrive", "Mobile Documents",
    "Nextcloud", "pCloudDrive", "SynologyDrive", "Seafile",
];

/// File systems that are not of this computer.
const REMOTE: &[&str] =
    &["nfs", "cifs", "smb", "9p", "sshfs", "afp", "webdav", "davfs", "vboxsf", "vmhgfs", "glusterfs", "ceph"];

/// What about the place makes locks or file events doubtful: a synced folder, a network drive.
pub(super) fn doubtful(folder: &Path) -> Option<String> {
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let synced = folder.components().find_map(|part| {
        let part = part.as_os_str().to_str()?;
        SYNCED.iter().find(|name| part.starts_with(*name))
    });
    if let Some(name) = synced {
        return Some(format!("{name} copies it away while it is written"));
    }
    if cfg!(windows) && folder.to_str().is_some_and(|text| text.starts_with(r"\\") && !text.starts_with(r"\\?\")) {
        return Some("it is on another computer".to_owned());
    }
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    let kind = mounted(&folder, &mounts)?;
    let remote = REMOTE.iter().any(|name| kind.trim_start_matches("fuse.").starts_with(name));
    remote.then(|| format!("it is on another computer ({kind})"))
}

/// The kind of the file system that a path is on.
fn mounted(path: &Path, mounts: &str) -> Option<String> {
    let lines = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?.replace("\\040", " "), words.next()?);
        path.starts_with(&at).then_some((at.len(), kind.to_owned()))
    });
    lines.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drives_of_others_are_known() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\nnas:/x /mnt/nas nfs4 rw 0 0\n//s/y /mnt/a\\040b cifs rw 0 0\n";
        let kind = |path: &str| mounted(Path::new(path), mounts).unwrap();
        assert_eq!(kind("/srv/me"), "ext4");
        assert_eq!(kind("/mnt/nas/data"), "nfs4");
        assert_eq!(kind("/mnt/a b/c"), "cifs");
        assert!(doubtful(Path::new("/srv/me/OneDrive - Clinic/lab")).unwrap().contains("OneDrive"));
        #[cfg(unix)]
        assert!(free(Path::new("/")).is_some());
    }
}
