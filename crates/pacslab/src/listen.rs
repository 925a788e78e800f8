//! Opening a port, and saying what to do when somebody else has it.

use std::io::ErrorKind;
use std::net::IpAddr;

use tokio::net::TcpListener;

use crate::exit::{Failure, Result};

/// A door that listens, and what changes its port.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// `DICOM`, `HTTP`, …
    pub(crate) name: &'static str,
    pub(crate) bind: IpAddr,
    pub(crate) port: u16,
    /// The option and the configuration key of the port.
    pub(crate) flag: &'static str,
    pub(crate) key: &'static str,
}

/// Who is usually found on a port.
const USUAL: &[(u16, &str)] = &[
    (104, "another DICOM application"),
    (2575, "another pacslab or an integration engine"),
    (2762, "another DICOM application with TLS"),
    (4242, "another pacslab or Orthanc"),
    (8042, "another pacslab or Orthanc"),
    (8080, "another web server"),
    (11112, "another `pacslab receive`, dcm4chee or a storescp"),
];

impl Door {
    /// # Errors
    /// A busy port names its likely owner and the options that change it.
    pub(crate) async fn open(&self) -> Result<TcpListener> {
        #[cfg(windows)]
        self.look_for_others().map_err(|error| self.explain(&error))?;
        TcpListener::bind((self.bind, self.port)).await.map_err(|error| self.explain(&error))
    }

    /// On Windows two programs may listen on one port, the one on an address, the other on all:
    /// whoever connects then reaches the wrong one. Taking for a moment what is not wanted shows
    /// whether somebody has it.
    #[cfg(windows)]
    fn look_for_others(&self) -> std::io::Result<()> {
        use std::net::{Ipv4Addr, Ipv6Addr};
        let other: IpAddr = match (self.bind, self.bind.is_unspecified()) {
            _ if self.port == 0 => return Ok(()),
            (IpAddr::V4(_), true) => Ipv4Addr::LOCALHOST.into(),
            (IpAddr::V4(_), false) => Ipv4Addr::UNSPECIFIED.into(),
            (IpAddr::V6(_), true) => Ipv6Addr::LOCALHOST.into(),
            (IpAddr::V6(_), false) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = match other {
            IpAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            IpAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        match socket.bind((other, self.port).into()) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => Err(error),
            // the real attempt tells everything else
            _ => Ok(()),
        }
    }

    fn explain(&self, error: &std::io::Error) -> Failure {
        let Self { name, bind, port, flag, key } = self;
        let change = format!("choose another one with {flag} N or {key} in pacslab.toml");
        match error.kind() {
            ErrorKind::AddrInUse => {
                let usual = USUAL
                    .iter()
                    .find(|(usual, _)| usual == port)
                    .map_or("another program", |(_, owner)| *owner);
                let owner = match owner(*port) {
                    Some(program) => format!("{program} has it"),
                    None => format!("most likely {usual} has it"),
                };
                Failure::network(format!("{name} port {port} on {bind} is busy: {owner}")).hint(
                    match *flag {
                        // `receive` has one port, and 0 is any free one
                        "--port" => format!("stop it, or {change}; 0 is any free one"),
                        _ => format!("stop it, {change}, or take free ports with --ephemeral"),
                    },
                )
            }
            ErrorKind::PermissionDenied => {
                let why = match cfg!(windows) {
                    // Hyper-V and containers reserve ranges at each start
                    true => {
                        "another program has it for itself, or Windows has reserved it \
                         (`netsh interface ipv4 show excludedportrange protocol=tcp` lists those)"
                    }
                    false => "ports below 1024 are reserved on many systems",
                };
                Failure::network(format!("{name} port {port} on {bind} may not be opened: {error}"))
                    .hint(format!("{why}; {change}"))
            }
            ErrorKind::AddrNotAvailable => {
                Failure::usage(format!("{bind} is no address of this computer"))
                    .hint("listen on 127.0.0.1 (this computer only) or 0.0.0.0 (all networks)")
            }
            _ => {
                Failure::network(format!("{name} port {port} on {bind} cannot be opened: {error}"))
                    .hint(change)
            }
        }
    }
}

/// The program that listens on a port, where the system tells it without tools: Linux.
#[cfg(target_os = "linux")]
pub(crate) fn owner(port: u16) -> Option<String> {
    const LISTEN: &str = "0A";
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| {
        let table = std::fs::read_to_string(table).ok()?;
        table.lines().skip(1).find_map(|line| {
            let mut fields = line.split_whitespace();
            let (local, state) = (fields.nth(1)?, fields.nth(1)?);
            let (_, hex) = local.rsplit_once(':')?;
            let here = u16::from_str_radix(hex, 16) == Ok(port) && state == LISTEN;
            here.then(|| fields.nth(5).map(str::to_owned)).flatten()
        })
    })?;
    let socket = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = std::fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| {
            std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())
        })?;
        let name = std::fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("{} (process {pid})", name.trim()))
    })
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn owner(_: u16) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_busy_port_names_owner_and_options() {
        let bind = "127.0.0.1".parse().unwrap();
        let first = TcpListener::bind((bind, 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let door = Door { name: "DICOM", bind, port, flag: "--dicom-port", key: "dicom.port" };
        let failure = door.open().await.unwrap_err();
        assert!(failure.message.contains(&format!("port {port}")), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("--dicom-port"));
        #[cfg(target_os = "linux")]
        assert!(failure.message.contains(&std::process::id().to_string()), "{}", failure.message);
        let nobody = Door { port: 104, ..door }.explain(&ErrorKind::AddrInUse.into());
        assert!(nobody.message.contains("DICOM application"), "{}", nobody.message);
    }
}
