//! What the system tells of this process and its disk, for `/metrics`. Linux tells all of it
//! without another dependency; elsewhere what is not told is left out.

use std::path::Path;

use pacslab_http::Host;

use crate::cmd::doctor::disk;

pub(crate) fn host(folder: &Path) -> Host {
    Host {
        folder: folder.to_owned(),
        disk_free: Some(disk::free),
        memory: Some(memory),
        processor: Some(processor),
    }
}

/// Resident bytes: proc_pid_status(5).
fn memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// User and system time of all threads: proc_pid_stat(5), in ticks of 10 ms.
fn processor() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // the name of the program may have spaces in it
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(ticks as f64 / 100.0)
}
