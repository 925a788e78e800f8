//! The peers of the interop tests: programs of other projects that the lab is tested against.
//! Here is where they are looked for, named and installed; what a test does without one is in
//! `crates/pacslab/tests/it/support/peers.rs`.

use crate::licences;
use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where the Python clients live, below the workspace's root (ignored by git).
const VENV: &str = ".peers/venv";
/// What goes in there; pinned, because a strict check is only as good as its version.
const REQUIREMENTS: &str = "tools/interop/requirements.txt";
/// apt's mirrors fail now and then; a chore that runs on a new machine has to shrug it off.
const ATTEMPTS: u32 = 3;

struct Peer {
    name: &'static str,
    programs: &'static [&'static str],
    /// The packages that bring it on Debian and Ubuntu.
    debian: &'static [&'static str],
    elsewhere: &'static str,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "DCMTK",
        programs: &[
            "echoscu", "storescu", "findscu", "movescu", "getscu", "storescp", "wlmscpfs",
            "dcmdump", "dcmftest", "dcmconv", "dcmodify", "dcmcrle", "dcmcjpeg", "dcmdjpeg",
            "dcmcjpls", "dcmdjpls",
        ],
        debian: &["dcmtk"],
        elsewhere: "https://dicom.offis.de/dcmtk (macOS: `brew install dcmtk`)",
    },
    Peer {
        name: "GDCM",
        programs: &["gdcmconv"],
        debian: &["libgdcm-tools"],
        elsewhere: "https://gdcm.sourceforge.net",
    },
    Peer {
        name: "dicom3tools",
        programs: &["dciodvfy", "dcentvfy"],
        debian: &["dicom3tools"],
        elsewhere: "https://www.dclunie.com/dicom3tools.html",
    },
    Peer {
        name: "Orthanc",
        programs: &["Orthanc"],
        debian: &["orthanc", "orthanc-dicomweb"],
        elsewhere: "https://www.orthanc-server.com/download.php, with worklists and DICOMweb plugins",
    },
];

/// A peer that is not here, in words for the person who wants it.
pub(crate) struct Missing {
    pub(crate) what: String,
    pub(crate) how: String,
}

/// The peers that are not on this machine.
pub(crate) fn missing(root: &Path) -> Vec<Missing> {
    let mut missing = Vec::new();
    for peer in PEERS {
        let absent = absent(peer);
        if !absent.is_empty() {
            missing.push(Missing {
                what: format!("{} ({})", peer.name, absent.join(" ")),
                how: format!(
                    "`cargo xtask install`, or Debian: apt-get install {}; elsewhere: {}",
                    peer.debian.join(" "),
                    peer.elsewhere
                ),
            });
        }
    }
    if !venv_is_current(root) {
        missing.push(Missing {
            what: "Python clients (pydicom, pynetdicom, hl7apy, hl7, fhir.resources, requests, prometheus_client)"
                .into(),
            how: format!(
                "`cargo xtask install`, or: python3 -m venv {VENV} && \
                 {VENV}/bin/pip install -r {REQUIREMENTS}"
            ),
        });
    }
    missing.extend(licences::missing());
    missing
}

/// Installs what is missing; what is here already costs nothing.
pub(crate) fn install(root: &Path) -> Result<(), String> {
    let mut packages: Vec<&str> = PEERS
        .iter()
        .filter(|peer| !absent(peer).is_empty())
        .flat_map(|peer| peer.debian)
        .copied()
        .collect();
    if !venv_is_current(root) && !python_has_venv() {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        apt_install(&packages)?;
    }
    if !venv_is_current(root) {
        make_venv(root)?;
    }
    licences::install()?;
    match missing(root) {
        still if still.is_empty() => Ok(()),
        still => {
            let names: Vec<&str> = still.iter().map(|m| m.what.as_str()).collect();
            Err(format!("installed, yet still missing: {}", names.join("; ")))
        }
    }
}

pub(crate) fn venv(root: &Path) -> PathBuf {
    root.join(VENV)
}

/// The interpreter of a virtual environment.
pub(crate) fn python_in(venv: &Path) -> PathBuf {
    if cfg!(windows) { venv.join("Scripts/python.exe") } else { venv.join("bin/python") }
}

/// Looks a program up on PATH, and where Debian keeps servers.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|folder| folder.join(&file))
        .find(|candidate| candidate.is_file())
}

fn absent(peer: &Peer) -> Vec<&'static str> {
    peer.programs.iter().copied().filter(|name| program(name).is_none()).collect()
}

/// The environment holds what the requirements say today: they are copied into it once
/// everything is installed, so a half-made one and one of last month are both made again.
fn venv_is_current(root: &Path) -> bool {
    let venv = venv(root);
    let wanted = std::fs::read(root.join(REQUIREMENTS)).unwrap_or_default();
    python_in(&venv).is_file()
        && std::fs::read(venv.join("requirements.txt")).is_ok_and(|installed| installed == wanted)
}

fn make_venv(root: &Path) -> Result<(), String> {
    let venv = venv(root);
    let requirements = root.join(REQUIREMENTS);
    let base = base_python().ok_or("no python3 on PATH: install Python 3.9 or newer")?;
    println!("making {VENV} from {REQUIREMENTS}");
    run(Command::new(base).args(["-m", "venv"]).arg(&venv))?;
    retried(|| {
        run(Command::new(python_in(&venv))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements))
    })?;
    std::fs::copy(&requirements, venv.join("requirements.txt"))
        .map(|_| ())
        .map_err(|e| format!("cannot mark {VENV} as complete: {e}"))
}

fn base_python() -> Option<PathBuf> {
    ["python3", "python", "py"].iter().find_map(|name| program(name))
}

/// Debian splits `venv` off its Python; the module is there but `ensurepip` is not.
fn python_has_venv() -> bool {
    base_python().is_some_and(|python| {
        Command::new(python)
            .args(["-c", "import venv, ensurepip"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

pub(crate) fn apt_install(packages: &[&str]) -> Result<(), String> {
    if program("apt-get").is_none() {
        return Err(format!(
            "only Debian's packages are installed by this chore ({}); on this system: {}",
            packages.join(" "),
            PEERS.iter().map(|peer| peer.elsewhere).collect::<Vec<_>>().join("; ")
        ));
    }
    println!("installing {}", packages.join(" "));
    retried(|| {
        run(apt_get().args(["update", "-q"]))?;
        run(apt_get().args(["install", "-q", "-y", "--no-install-recommends"]).args(packages))
    })
}

pub(crate) fn apt_get() -> Command {
    let root = cfg!(unix)
        && Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0\n"));
    let mut command = if root {
        Command::new("apt-get")
    } else {
        // -n: never stop to ask for a password where nobody can answer
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
        sudo
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-o", "Acquire::Retries=3"]);
    command
}

pub(crate) fn retried(mut attempt: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let mut outcome = attempt();
    for number in 2..=ATTEMPTS {
        let Err(message) = &outcome else { break };
        eprintln!("xtask: {message}; attempt {number} of {ATTEMPTS}");
        std::thread::sleep(std::time::Duration::from_secs(5));
        outcome = attempt();
    }
    outcome
}

pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown} ended with {status}")),
        Err(e) => Err(format!("cannot start {shown}: {e}")),
    }
}
