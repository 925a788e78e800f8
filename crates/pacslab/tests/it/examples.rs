//! Every example of `--help`, run as it is written: in one folder, in the order of the help, so
//! that the later ones find what the earlier ones made, as they do for a person who types them.
//!
//! Only addresses differ from what is written: the usual ports may be taken on this computer.
//! Where an example relies on them silently, they come from the environment.

use crate::support::lab::{Lab, cli, pacslab};
use crate::support::process::{self, Running};
use crate::support::{cli as spelled, fixture, wait};
use pacslab_model::{Uid, Vr, tags};
use serde_json::Value;
use std::process::Command;
use tempfile::TempDir;

#[derive(Debug)]
struct Example {
    line: String,
    args: Vec<String>,
}

impl Example {
    fn all() -> Vec<Self> {
        let told = cli(&["help-examples", "--json"]).success().stdout;
        let all: Vec<Self> = told
            .lines()
            .map(|line| {
                let told: Value = serde_json::from_str(line).expect("one object a line");
                let words = told["args"].as_array().expect("a list").iter();
                let args = words.map(|word| word.as_str().expect("text").to_owned()).collect();
                Self { line: told["line"].as_str().expect("text").to_owned(), args }
            })
            .collect();
        assert!(all.len() > 40, "{} examples", all.len());
        all
    }

    fn is(&self, words: &[&str]) -> bool {
        words.iter().zip(&self.args).all(|(word, arg)| word == arg)
    }

    fn has(&self, word: &str) -> bool {
        self.args.iter().any(|arg| arg == word)
    }

    /// Runs until somebody ends it.
    fn stays(&self) -> bool {
        self.opens_doors() && !self.has("--exit") && !self.has("--pacs")
            || self.is(&["receive"])
            || self.is(&["hl7", "listen"])
            || self.is(&["watch"]) && !self.has("--no-follow")
    }

    /// Is a department itself, instead of talking to one.
    fn opens_doors(&self) -> bool {
        self.is(&["serve"]) || self.is(&["demo"])
    }

    /// Prints something that is no data of ours: a script, a configuration file.
    fn prints_a_file(&self) -> bool {
        self.is(&["completions"]) || self.has("--toml")
    }
}

/// A department with a folder, and in it what a person would have at hand.
struct Stage {
    lab: Lab,
    /// Where PYNETSCP and ORTHANC, the destinations of the examples, are to listen.
    receiver: u16,
    /// For the examples that open a department of their own.
    elsewhere: TempDir,
}

impl Stage {
    fn set() -> Self {
        let receiver = wait::free_port();
        let peers = format!(
            "[peers]\nPYNETSCP = \"PYNETSCP@127.0.0.1:{receiver}\"\n\
             ORTHANC = \"PYNETSCP@127.0.0.1:{receiver}\"\n"
        );
        let nobody = wait::free_port();
        let told = format!("[hl7.destinations.archive]\nhost = \"127.0.0.1\"\nport = {nobody}\n");
        let lab = Lab::setup().config(&(peers + &told)).start();
        // the first message that waits for that destination
        lab.place("ACC8001", "P8", "CT8");
        for (name, from) in [("a.dcm", "ct.dcm"), ("b.dcm", "mr.dcm")] {
            std::fs::copy(fixture(from), lab.folder.path().join(name)).unwrap();
        }
        let answer = lab.post("/instances", &object("1.2.3", "1.2.3.1"));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let elsewhere = tempfile::tempdir().unwrap();
        // an order that the scanner of the other examples does not see, and the same receiver
        let profile = format!(
            "pacs = \"PACSLAB@127.0.0.1:{}\"\nhttp = \"http://127.0.0.1:{}\"\n\
             worklists = '{}'\nreceiver = \"PYNETSCP:{receiver}\"\n\
             [[orders]]\naccession = \"ACC9001\"\nstation = \"CT9\"\n",
            lab.dicom,
            lab.http,
            lab.worklists.display()
        );
        std::fs::write(elsewhere.path().join("orthanc.toml"), profile).unwrap();
        Self { lab, receiver, elsewhere }
    }

    fn command(&self, example: &Example) -> Command {
        let lab = &self.lab;
        let mut command = pacslab();
        let own = example.opens_doors();
        let folder = if own { self.elsewhere.path() } else { lab.folder.path() };
        command.current_dir(folder);
        for (key, port) in [("DICOM", lab.dicom), ("HTTP", lab.http), ("MLLP", lab.mllp)] {
            let port = if own { 0 } else { port };
            command.env(format!("PACSLAB__{key}__PORT"), port.to_string());
        }
        let receiver = if own { 0 } else { self.receiver };
        command.env("PACSLAB__RECEIVER__PORT", receiver.to_string());
        for arg in &example.args {
            let taken = own && arg == "11112" || arg == "2576" || arg == "11113";
            command.arg(if taken { "0".to_owned() } else { self.addressed(arg) });
        }
        command
    }

    /// The usual ports as they are here; a container's name for its host is the host.
    fn addressed(&self, arg: &str) -> String {
        let Self { lab, receiver, .. } = self;
        let ports = [(4242, lab.dicom), (8042, lab.http), (2575, lab.mllp), (11112, *receiver)];
        let arg = arg.replace("host.docker.internal", "127.0.0.1");
        ports
            .iter()
            .fold(arg, |arg, (usual, here)| arg.replace(&format!(":{usual}"), &format!(":{here}")))
    }

    /// What an example deletes has to be there, and nobody else may miss it.
    fn provide(&self, example: &Example) {
        if example.is(&["check"]) {
            std::fs::create_dir_all(self.lab.folder.path().join("archive/packs")).unwrap();
        }
        if example.is(&["delete"]) {
            let bytes = object("1.2.9", "1.2.9.1");
            let (meta, mut set) = pacslab_dicom::file::read(&bytes).unwrap();
            set.put_str(tags::PATIENT_ID, Vr::LO, "P9");
            set.put_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1009");
            let answer = self.lab.post("/instances", &pacslab_dicom::file::write(&meta, &set));
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }

    /// What is sent to PYNETSCP needs it; `receive` itself needs its port.
    fn receiver(&self, example: &Example) -> Option<Running> {
        let needed = ["move", "push", "modality"].iter().any(|word| example.is(&[word]));
        needed.then(|| {
            let mut command = pacslab();
            command.args(["receive", "--port", &self.receiver.to_string(), "--out", "moved"]);
            command.current_dir(self.lab.folder.path());
            let log = self.lab.folder.path().join("receiver.log");
            let running = Running::start("pacslab receive", &mut command, log, false);
            wait::until_listening("pacslab receive", self.receiver);
            running
        })
    }

    /// Starts an example, waits until it says something, and ends it as Ctrl-C does.
    fn start_and_stop(&self, number: usize, example: &Example) {
        let folder = self.elsewhere.path();
        let log = folder.join(format!("{number}.log"));
        let mut running = Running::start(&example.line, &mut self.command(example), log, false);
        let word = match (example.is(&["watch"]), example.has("--json")) {
            (true, _) => "dimse",
            (false, true) => "\"ready\":true",
            (false, false) => "Ctrl-C ends",
        };
        wait::until_true(&format!("`{}` to say {word}", example.line), || {
            running.log().contains(word)
        });
        #[cfg(unix)]
        {
            let status = running.interrupt();
            assert!(status.success(), "`{}`, interrupted: {status}", example.line);
        }
        #[cfg(not(unix))]
        running.kill();
        if example.is(&["serve"]) || example.is(&["demo"]) {
            // the next one begins anew
            for name in ["data", "worklists"] {
                let _ = std::fs::remove_dir_all(folder.join(name));
            }
        }
    }
}

/// An image of the study and series that examples name.
fn object(study: &str, series: &str) -> Vec<u8> {
    let bytes = std::fs::read(fixture("ct.dcm")).unwrap();
    let (mut meta, mut set) = pacslab_dicom::file::read(&bytes).unwrap();
    let instance = format!("{series}.1");
    set.put_str(tags::STUDY_INSTANCE_UID, Vr::UI, study);
    set.put_str(tags::SERIES_INSTANCE_UID, Vr::UI, series);
    set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, instance.as_str());
    meta.sop_instance = Uid::new(instance);
    pacslab_dicom::file::write(&meta, &set)
}

#[test]
fn every_example_of_the_help_runs_as_it_is_written() {
    let stage = Stage::set();
    for (number, example) in Example::all().iter().enumerate() {
        if example.stays() {
            stage.start_and_stop(number, example);
            continue;
        }
        stage.provide(example);
        let _receiver = stage.receiver(example);
        let ended = process::run(&mut stage.command(example));
        assert_eq!(ended.code(), Some(0), "`{}`: {ended}", example.line);
        assert!(!ended.said().is_empty(), "`{}` says nothing", example.line);
        if example.has("--json") {
            assert_json(example, &ended.stdout);
        }
    }
    let folder = stage.lab.folder.path();
    for made in ["order.hl7", "scans", "fhir", "moved", "worklists/ACC1004.wl", "data/samples"] {
        assert!(folder.join(made).exists(), "no example made {made}");
    }
}

/// The same commands, for machines.
#[test]
fn with_json_every_example_prints_json() {
    let stage = Stage::set();
    for example in Example::all() {
        if example.stays() || example.opens_doors() || example.prints_a_file() {
            continue;
        }
        stage.provide(&example);
        let _receiver = stage.receiver(&example);
        let mut command = stage.command(&example);
        if !example.has("--json") {
            command.arg("--json");
        }
        let ended = process::run(&mut command);
        assert_eq!(ended.code(), Some(0), "`{} --json`: {ended}", example.line);
        assert_json(&example, &ended.stdout);
    }
    let mut demo = pacslab();
    demo.args(["demo", "--exit", "--ephemeral", "--json"]);
    let told = process::run(&mut demo).success().stdout;
    let lines: Vec<Value> =
        told.lines().map(|line| serde_json::from_str(line).expect("one object a line")).collect();
    assert_eq!(lines[0]["ready"], true, "{told}");
    let steps: Vec<&Value> = lines.iter().filter(|line| line["step"].is_u64()).collect();
    assert_eq!(steps.len(), 14, "{told}");
    for step in steps {
        for key in ["accession", "protocol", "peer", "text"] {
            assert!(step[key].as_str().is_some_and(|text| !text.is_empty()), "{key} of {step}");
        }
        assert!(step["ms"].as_f64().is_some_and(|ms| ms >= 0.0), "{step}");
    }
    assert_eq!(lines[15]["done"], true, "{told}");
}

/// Failures are one object, too, and on the other output.
#[test]
fn with_json_errors_are_objects() {
    let nobody = format!("127.0.0.1:{}", wait::free_port());
    let failed = cli(&["echo", &nobody, "--json"]).failure();
    assert!(failed.stdout.is_empty(), "{failed}");
    let told: Value = serde_json::from_str(&failed.stderr).expect("one object");
    assert_eq!(told["exit"], 3, "{failed}");
    assert!(told["error"].as_str().is_some_and(|text| text.contains(&nobody)), "{failed}");
}

#[test]
fn a_worklist_without_a_match_says_why() {
    let lab = Lab::start();
    lab.place("A1", "P1", "PYMOD1");
    let said = spelled::worklist_find("PACSLAB", lab.dicom, &["--station", "CT9"]).success();
    assert!(said.stdout.contains("Matches: 0"), "{said}");
    for words in ["CT9", "--station \"*\"", "pacslab watch"] {
        assert!(said.stderr.contains(words), "{words}: {said}");
    }
    let url = format!("http://127.0.0.1:{}", lab.http);
    let told = cli(&["watch", "--no-follow", "--kind", "worklist", "--url", &url]).success().stdout;
    assert!(told.contains("A1") && told.contains("PYMOD1") && told.contains("CT9"), "{told}");
}

/// One document, or one on each line.
fn assert_json(example: &Example, text: &str) {
    assert!(!text.trim().is_empty(), "`{}` prints no JSON", example.line);
    if serde_json::from_str::<Value>(text).is_ok() {
        return;
    }
    for line in text.lines() {
        let parsed = serde_json::from_str::<Value>(line);
        assert!(parsed.is_ok(), "`{}`: no JSON: {line}", example.line);
    }
}
