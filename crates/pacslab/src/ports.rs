//! Ports to listen on, and what to say when one is taken.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

use crate::exit::{Failure, Result};

/// A door and the options that move it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Door {
    /// `DICOM`
    pub(crate) name: &'static str,
    /// `--dicom-port`
    pub(crate) flag: &'static str,
    /// `dicom.port`
    pub(crate) key: &'static str,
}

pub(crate) const DICOM: Door = Door { name: "DICOM", flag: "--dicom-port", key: "dicom.port" };
pub(crate) const HTTP: Door = Door { name: "HTTP", flag: "--http-port", key: "http.port" };
pub(crate) const MLLP: Door = Door { name: "HL7", flag: "--mllp-port", key: "mllp.port" };
pub(crate) const RECEIVER: Door =
    Door { name: "receiver", flag: "--port", key: "receiver.port" };

/// Listens, or says who is in the way and what to do.
///
/// # Errors
/// The port is taken, the address is not this computer's, or the port needs privileges.
pub(crate) fn listen(door: Door, address: IpAddr, port: u16) -> Result<TcpListener> {
    let at = SocketAddr::new(address, port);
    bind(at).map_err(|error| explain(door, at, &error))
}

fn bind(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Windows would let two processes share the port with this option; elsewhere it only lets a
    // restart take the port over from connections that linger
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(1024)
}

fn explain(door: Door, at: SocketAddr, error: &io::Error) -> Failure {
    let Door { name, flag, key } = door;
    let port = at.port();
    let other_port = format!("choose another port with {flag} N (or {key} in pacslab.toml)");
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let owner = match owner(port) {
                Some(program) => format!("by {program}"),
                None => format!("probably by {}", usual(port)),
            };
            Failure::network(format!("{name} port {port} on {} is taken {owner}", at.ip())).hint(
                format!(
                    "stop it, or {other_port}; --ephemeral takes free ports. {} shows who has it",
                    if cfg!(windows) {
                        format!("`netstat -ano | findstr :{port}`")
                    } else if cfg!(target_os = "macos") {
                        format!("`lsof -iTCP:{port} -sTCP:LISTEN`")
                    } else {
                        format!("`ss -ltnp sport = :{port}`")
                    }
                ),
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            Failure::network(format!("{} is no address of this computer", at.ip()))
                .hint("use 127.0.0.1 (this computer only) or 0.0.0.0 (everybody) with --bind")
        }
        io::ErrorKind::PermissionDenied => {
            Failure::network(format!("{name} port {port} needs privileges: {error}"))
                .hint(other_port)
        }
        _ => Failure::network(format!("cannot listen on {at} for {name}: {error}")).hint(other_port),
    }
}

/// Who listens on these ports as a rule.
fn usual(port: u16) -> &'static str {
    match port {
        4242 | 8042 => "Orthanc, or another pacslab",
        104 | 11112 => "another DICOM program (dcm4chee, a viewer, `pacslab receive`)",
        2575 => "an HL7 engine, or another pacslab",
        _ => "another program",
    }
}

/// The program that listens on a port, where the system tells it without tools: Linux.
#[cfg(target_os = "linux")]
fn owner(port: u16) -> Option<String> {
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
fn owner(_: u16) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_owner_and_the_way_out() {
        let first = listen(DICOM, "127.0.0.1".parse().unwrap(), 0).unwrap();
        let port = first.local_addr().unwrap().port();
        let failure = listen(DICOM, "127.0.0.1".parse().unwrap(), port).unwrap_err();
        assert!(failure.message.contains(&format!("DICOM port {port}")), "{}", failure.message);
        let hint = failure.hint.unwrap();
        assert!(hint.contains("--dicom-port") && hint.contains("--ephemeral"), "{hint}");
        #[cfg(target_os = "linux")]
        assert!(failure.message.contains(&std::process::id().to_string()), "{}", failure.message);
    }

    #[tokio::test]
    async fn an_address_of_another_computer_is_said() {
        let failure = listen(HTTP, "192.0.2.1".parse().unwrap(), 0).unwrap_err();
        assert!(failure.message.contains("192.0.2.1"), "{}", failure.message);
    }
}
