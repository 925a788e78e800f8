//! The image: built by buildah from the Dockerfile, and its program run as an engine would.

use super::{Answer, answer, bases, finish};
use crate::peers::{Missing, program};
use crate::steps::{Table, target_folder};
use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The name of the image and of the container that its file system is seen through.
const NAME: &str = "localhost/pacslab:check";
const CONTAINER: &str = "pacslab-check";

const PASSWORD: &str = "lab";
/// `orthanc:lab` in base 64.
const LOGIN: &str = "b3J0aGFuYzpsYWI=";

/// Opening and closing; generous, because machines of CI are slow.
const PATIENCE: Duration = Duration::from_secs(30);

/// Stands in for the compiler. It looks whether the context has what cargo would read, and
/// nothing of the machine.
const CARGO: &str = "#!/bin/sh
set -e
test \"$1\" = build
test -f Cargo.toml && test -f Cargo.lock && test -f xtask/Cargo.toml
test -f crates/pacslab/src/main.rs
test ! -e .git && test ! -e .env && test ! -e docs
while [ \"$1\" != --profile ]; do shift; done
mkdir -p \"target/$2\"
cp /prebuilt/pacslab \"target/$2/pacslab\"
";

/// Arguments: the image's root, the folder with the volumes, the working folder, user, group,
/// and what to run. All mounts are gone with the namespace.
const BOX: &str = "
set -e
root=$1 volumes=$2 place=$3 user=$4 group=$5
shift 5
mount --bind \"$root\" \"$root\"
mount --bind \"$volumes/data\" \"$root/data\"
mount --bind \"$volumes/worklists\" \"$root/worklists\"
mount -t tmpfs tmpfs \"$root/tmp\"
mount -t proc proc \"$root/proc\"
mount --bind /dev \"$root/dev\"
mount -o remount,ro,bind \"$root\"
exec unshare --root=\"$root\" --wd=\"$place\" --setgid=\"$group\" --setuid=\"$user\" -- \"$@\"
";

/// What the image cannot be built and run without.
pub(super) fn missing() -> Option<Missing> {
    let root = answer(Command::new("id").arg("-u")).is_ok_and(|id| id.output.trim() == "0");
    if !cfg!(target_os = "linux") || !root {
        return Some(Missing {
            what: "Linux and root, to build and run the image without an engine".into(),
            how: "with an engine: docker compose up --build --wait".into(),
        });
    }
    let absent: Vec<&str> = ["buildah", "debootstrap", "setpriv", "unshare", "nsenter"]
        .into_iter()
        .filter(|name| program(name).is_none())
        .collect();
    (!absent.is_empty()).then(|| Missing {
        what: absent.join(" "),
        how: "apt-get install --no-install-recommends buildah debootstrap util-linux".into(),
    })
}

/// All steps; each needs those before it.
pub(super) fn check(root: &Path, folder: &Path, given: Option<&str>, table: &mut Table) {
    let buildah = Buildah { folder };
    let mut pacslab = PathBuf::new();
    let _ = table.step("program", || {
        pacslab = the_program(root, given)?;
        Ok(())
    }) && table.step("base images", || buildah.base_images(root, &pacslab))
        && table.step("image", || buildah.build(root))
        && table.step("run", || buildah.run(&settings(root)?));
    buildah.remove(root);
}

/// The one that was named, or cargo's.
fn the_program(root: &Path, given: Option<&str>) -> Result<PathBuf, String> {
    if let Some(given) = given {
        let path = PathBuf::from(given);
        return path.is_file().then_some(path).ok_or(format!("there is no program {given}"));
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    finish(Command::new(cargo).args(["build", "--release", "-p", "pacslab"]).current_dir(root))?;
    Ok(target_folder(root).join("release/pacslab"))
}

/// What the compose files set, but for what Compose makes of variables: a key that the program
/// does not know ends it.
fn settings(root: &Path) -> Result<Vec<(String, String)>, String> {
    let mut settings = Vec::new();
    for file in ["compose.yaml", "compose.orthanc.yaml"] {
        let text = super::read(&root.join(file))?;
        let pairs = text.lines().filter_map(|line| line.trim().split_once(": "));
        let ours =
            pairs.filter(|(key, value)| key.starts_with("PACSLAB__") && !value.contains('$'));
        settings
            .extend(ours.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned())));
    }
    Ok(settings)
}

/// buildah with a store of its own, so that the machine's images stay as they are.
struct Buildah<'a> {
    folder: &'a Path,
}

impl Buildah<'_> {
    fn command(&self) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.folder.join("store"));
        command.arg("--runroot").arg(self.folder.join("run"));
        // neither overlays nor namespaces have to be allowed where this runs
        command.args(["--storage-driver", "vfs"]).env("BUILDAH_ISOLATION", "chroot");
        command
    }

    fn ask(&self, args: &[&str]) -> Result<String, String> {
        let Answer { ok, output, errors } = answer(self.command().args(args))?;
        match ok {
            true => Ok(output.trim().to_owned()),
            false => Err(format!("buildah {}: {}", args.join(" "), errors.trim())),
        }
    }

    /// Images under the names of the Dockerfile's: Debian as debootstrap makes it, and the same
    /// with a `cargo`.
    fn base_images(&self, root: &Path, pacslab: &Path) -> Result<(), String> {
        let bases = bases(root)?;
        let find = |start: &str| {
            let found = bases.iter().find(|base| base.starts_with(start));
            found.ok_or_else(|| format!("the Dockerfile has no base image {start}…"))
        };
        let (debian, rust) = (find("debian:")?, find("rust:")?);
        if self.ask(&["inspect", "--type", "image", &official(debian)]).is_err() {
            let suite = debian.trim_start_matches("debian:").trim_end_matches("-slim");
            self.debian(suite, &official(debian))?;
        }
        let cargo = self.folder.join("cargo");
        fs::write(&cargo, CARGO).map_err(|e| format!("cannot write {}: {e}", cargo.display()))?;
        let from = self.ask(&["from", "--pull-never", &official(debian)])?;
        let made = self
            .ask(&["add", "-q", &from, &pacslab.display().to_string(), "/prebuilt/pacslab"])
            .and_then(|_| {
                let cargo = cargo.display().to_string();
                self.ask(&["add", "-q", "--chmod", "0755", &from, &cargo, "/usr/local/bin/cargo"])
            })
            .and_then(|_| self.ask(&["commit", "-q", &from, &official(rust)]));
        let _ = self.ask(&["rm", &from]);
        made.map(|_| println!("{debian} and {rust}: stand-ins"))
    }

    fn debian(&self, suite: &str, name: &str) -> Result<(), String> {
        let root = self.folder.join(suite);
        let _ = fs::remove_dir_all(&root);
        println!("making a Debian {suite}: some minutes, once");
        let made =
            answer(Command::new("debootstrap").args(["--variant=minbase", suite]).arg(&root))?;
        if !made.ok {
            let said: Vec<&str> = made.output.lines().rev().take(5).collect();
            return Err(format!("debootstrap: {}; {}", made.errors.trim(), said.join("; ")));
        }
        let from = self.ask(&["from", "scratch"])?;
        let made = self
            .ask(&["add", "-q", &from, &root.display().to_string(), "/"])
            .and_then(|_| self.ask(&["commit", "-q", &from, name]));
        let _ = self.ask(&["rm", &from]);
        let _ = fs::remove_dir_all(&root);
        made.map(drop)
    }

    fn build(&self, root: &Path) -> Result<(), String> {
        // a health check is Docker's: the common format has no place for it
        finish(
            self.command()
                .args(["bud", "--pull-never", "--format", "docker", "-t", NAME, "."])
                .current_dir(root),
        )
    }

    /// Lines that a template makes of the image's configuration.
    fn config(&self, template: &str) -> Result<Vec<String>, String> {
        let text = self.ask(&["inspect", "--type", "image", "--format", template, NAME])?;
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    fn list(&self, field: &str) -> Result<Vec<String>, String> {
        self.config(&format!("{{{{range .Docker.Config.{field}}}}}{{{{println .}}}}{{{{end}}}}"))
    }

    fn field(&self, field: &str) -> Result<String, String> {
        Ok(self.config(&format!("{{{{.Docker.Config.{field}}}}}"))?.concat())
    }

    /// Starts the image's program as its user, asks at its doors, and ends it.
    fn run(&self, settings: &[(String, String)]) -> Result<(), String> {
        let user = self.field("User")?;
        let (uid, gid) = user.split_once(':').ok_or(format!("USER is '{user}', not uid:gid"))?;
        if uid.parse::<u32>().map_or(true, |uid| uid == 0) {
            return Err(format!("USER is '{user}', where a number other than 0 has to stand"));
        }
        let (health, variables) = (self.list("Healthcheck.Test")?, self.list("Env")?);
        let [kind, health @ ..] = health.as_slice() else {
            return Err("the image has no health check".into());
        };
        if kind != "CMD" || health.is_empty() {
            return Err(format!("the health check is {kind}, not a program with arguments"));
        }
        let mut words = self.list("Entrypoint")?;
        words.extend(self.list("Cmd")?);

        let _ = self.ask(&["rm", CONTAINER]);
        self.ask(&["from", "--pull-never", "--name", CONTAINER, NAME])?;
        let root = self.ask(&["mount", CONTAINER])?;
        let volumes = self.volumes(Path::new(&root))?;
        let ports = Ports::free()?;
        let command = |program: &str| {
            let mut command = Command::new(program);
            command.env_clear().stdin(Stdio::null());
            command.envs(variables.iter().filter_map(|pair| pair.split_once('=')));
            command.envs(settings.iter().map(|(name, value)| (name, value)));
            command.envs(ports.variables()).env("PACSLAB__HTTP__PASSWORD", PASSWORD);
            command
        };
        let place = self.field("WorkingDir")?;
        let mut serve = command("setpriv");
        serve
            .args(["--no-new-privs", "--clear-groups", "unshare"])
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BOX, "box", &root])
            .arg(&volumes)
            .args([&place, uid, gid])
            .args(&words);
        let mut running = Running(
            serve.spawn().map_err(|e| format!("cannot start {:?}: {e}", serve.get_program()))?,
        );
        ports.wait_for_http(&mut running)?;

        let program = running.program()?;
        let status = super::read(Path::new(&format!("/proc/{program}/status")))?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.split_whitespace().map(str::to_owned).collect::<Vec<String>>()
        };
        expect("user", of("Uid:").first().map_or("", String::as_str), uid)?;
        expect("process number inside", of("NSpid:").last().map_or("", String::as_str), "1")?;
        expect("capabilities", &of("CapEff:").concat(), "0000000000000000")?;
        expect("/system without a login", &ports.http("/system", None)?, "401")?;
        expect("/system with the login", &ports.http("/system", Some(LOGIN))?, "200")?;

        let mut asked = command("nsenter");
        asked.args(["--target", &program, "--mount", "--pid", "--root"]);
        asked.args(["--setuid", uid, "--setgid", gid, "--"]).args(health);
        finish(&mut asked).map_err(|why| format!("the health check failed: {why}"))?;
        let kept = fs::read_dir(volumes.join("data")).is_ok_and(|mut data| data.next().is_some());
        expect("something in the data volume", &kept.to_string(), "true")?;

        let signal = self.field("StopSignal")?;
        let stopping = Instant::now();
        finish(Command::new("kill").args(["-s", signal.trim_start_matches("SIG"), &program]))?;
        let status = running.end()?;
        expect(&format!("exit after {signal}"), &status, "exit status: 0")?;
        println!("it ended {:.1} s after {signal}", stopping.elapsed().as_secs_f64());
        Ok(())
    }

    /// Volumes as an engine makes them: what the image has there, with its owners.
    fn volumes(&self, root: &Path) -> Result<PathBuf, String> {
        let folder = self.folder.join("volumes");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)
            .map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        for name in ["data", "worklists"] {
            finish(Command::new("cp").arg("-a").arg(root.join(name)).arg(&folder))?;
        }
        Ok(folder)
    }

    /// The base image stays: it takes the longest.
    fn remove(&self, root: &Path) {
        let _ = self.ask(&["rm", CONTAINER]);
        let _ = self.ask(&["rmi", NAME]);
        for base in bases(root).unwrap_or_default().iter().filter(|base| base.starts_with("rust:"))
        {
            let _ = self.ask(&["rmi", &official(base)]);
        }
        let _ = fs::remove_dir_all(self.folder.join("volumes"));
    }
}

fn official(name: &str) -> String {
    format!("docker.io/library/{name}")
}

fn expect(what: &str, found: &str, wanted: &str) -> Result<(), String> {
    if found != wanted {
        return Err(format!("{what}: {found}, where {wanted} was expected"));
    }
    println!("{what}: {found}");
    Ok(())
}

/// The box with the program in it.
struct Running(Child);

impl Running {
    /// The number of the program, as it is outside the box.
    fn program(&self) -> Result<String, String> {
        let own = self.0.id();
        let children = super::read(Path::new(&format!("/proc/{own}/task/{own}/children")))?;
        children.split_whitespace().next().map(str::to_owned).ok_or("the box is empty".into())
    }

    fn has_ended(&mut self) -> Option<String> {
        self.0.try_wait().ok().flatten().map(|status| status.to_string())
    }

    fn end(&mut self) -> Result<String, String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = self.has_ended() {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it still runs {} s after the signal", PATIENCE.as_secs()))
    }
}

impl Drop for Running {
    /// `--kill-child` takes the program along.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The box has the machine's network: ports that nobody uses.
struct Ports {
    dicom: u16,
    http: u16,
    hl7: u16,
}

impl Ports {
    fn free() -> Result<Self, String> {
        let failed = |e| format!("no free port: {e}");
        let listen = || TcpListener::bind("127.0.0.1:0").map_err(failed);
        // all three at a time, or they may be one and the same
        let listeners = [listen()?, listen()?, listen()?];
        let port = |at: &TcpListener| at.local_addr().map(|address| address.port()).map_err(failed);
        let [dicom, http, hl7] = &listeners;
        Ok(Self { dicom: port(dicom)?, http: port(http)?, hl7: port(hl7)? })
    }

    fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("PACSLAB__DICOM__PORT", self.dicom.to_string()),
            ("PACSLAB__HTTP__PORT", self.http.to_string()),
            ("PACSLAB__MLLP__PORT", self.hl7.to_string()),
        ]
    }

    fn wait_for_http(&self, running: &mut Running) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Some(status) = running.has_ended() {
                return Err(format!("the program did not stay: {status}"));
            }
            if self.http("/health", None).is_ok_and(|status| status == "200") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(format!("nobody answered at port {} for {} s", self.http, PATIENCE.as_secs()))
    }

    /// The status of the answer.
    fn http(&self, path: &str, login: Option<&str>) -> Result<String, String> {
        let failed = |e| format!("GET {path}: {e}");
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let login =
            login.map(|login| format!("Authorization: Basic {login}\r\n")).unwrap_or_default();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost:{}\r\n{login}Connection: close\r\n\r\n",
            self.http
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(failed)?;
        let text = String::from_utf8_lossy(&answer);
        Ok(text.split_whitespace().nth(1).unwrap_or("nothing").to_owned())
    }
}
