//! `pacslab doctor`: everything that goes wrong for somebody, with the line that mends it; and
//! some of those lines typed as they were printed.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::lab::{Lab, pacslab};
use crate::support::orthanc::Orthanc;
use crate::support::process::Finished;
use crate::support::{cli as spelled, dcmtk, fixture, needs, process, wait};

/// A computer without a department, on ports of its own.
struct Here {
    folder: tempfile::TempDir,
    ports: [u16; 4],
}

impl Here {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), ports: [(); 4].map(|()| wait::free_port()) }
    }

    /// Where a department is open.
    fn of(lab: &Lab) -> Self {
        let ports = [lab.dicom, lab.http, lab.mllp, wait::free_port()];
        Self { folder: tempfile::tempdir().unwrap(), ports }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self, text: &str) {
        std::fs::write(self.path().join("pacslab.toml"), text).unwrap();
    }

    fn run(&self, words: &[&str]) -> Finished {
        let mut command = pacslab();
        for (key, port) in ["DICOM", "HTTP", "MLLP", "RECEIVER"].iter().zip(self.ports) {
            command.env(format!("PACSLAB__{key}__PORT"), port.to_string());
        }
        let peer = format!("PYNETSCP@127.0.0.1:{}", self.ports[3]);
        command.env("PACSLAB__PEERS__PYNETSCP", peer);
        process::run(command.current_dir(self.path()).args(words))
    }

    fn doctor(&self, words: &[&str]) -> Seen {
        let all = [&["doctor", "--json", "--timeout", "3s"], words].concat();
        let ended = self.run(&all);
        let told = ended.json();
        let right = told["failed"] == 0;
        assert_eq!(ended.code(), Some(if right { 0 } else { 1 }), "{ended}");
        Seen(told)
    }

    /// What was printed as a fix, typed.
    #[track_caller]
    fn type_in(&self, fix: &str) {
        let words: Vec<&str> = fix.split_whitespace().collect();
        assert_eq!(words[0], "pacslab", "{fix}");
        self.run(&words[1..]).success();
    }
}

/// What the doctor found.
struct Seen(Value);

impl Seen {
    /// The first check of that name with that mark.
    #[track_caller]
    fn check(&self, name: &str, mark: &str) -> (String, String) {
        let checks = self.0["checks"].as_array().unwrap();
        let found = checks.iter().find(|one| one["name"] == name && one["mark"] == mark);
        let found = found.unwrap_or_else(|| panic!("no {name} that is {mark} in {:#}", self.0));
        let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
        (text("says"), text("fix"))
    }

    /// The check is there, says this, and is mended by this.
    #[track_caller]
    fn says(&self, name: &str, mark: &str, words: &str, fix: &str) -> String {
        let (said, mends) = self.check(name, mark);
        assert!(said.contains(words), "'{words}' is not in: {said}");
        assert!(mends.contains(fix), "'{fix}' is not in: {mends}");
        mends
    }
}

/// Answers each connection with these bytes once something has come, and closes it.
fn answering(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 1024];
            let _ = stream.read(&mut buffer);
            let _ = stream.write_all(bytes);
        }
    });
    port
}

const WEB: &[u8] = b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\n\r\n";

#[test]
fn where_nothing_runs_and_nothing_is_wrong_it_ends_with_success() {
    let here = Here::new();
    let seen = here.doctor(&[]);
    assert_eq!(seen.0["ok"], true, "{:#}", seen.0);
    for door in ["DICOM port", "HTTP port", "HL7 port"] {
        assert!(seen.check(door, "ok").0.contains("is free; this computer only"));
    }
    seen.says(
        "PYNETSCP",
        "warn",
        "nothing listens",
        &format!("pacslab receive --port {}", here.ports[3]),
    );
    assert!(seen.check("clock", "ok").0.contains("time zone"));
    let left = std::fs::read_dir(here.path()).unwrap().count();
    assert_eq!(left, 0, "looking leaves nothing behind");
    let plain = here.run(&["doctor"]).success().stdout;
    assert!(
        plain.contains("  ✓ ok    DICOM port: ") && plain.contains("  ! warn  PYNETSCP: "),
        "{plain}"
    );
    assert!(
        plain.contains("\n          fix: pacslab receive --port")
            && plain.contains("0 wrong, 1 to look at"),
        "{plain}"
    );
    assert!(!plain.contains('\u{1b}'), "no colours in a file");
}

#[test]
fn an_open_department_is_known_as_ours() {
    let lab = Lab::start();
    lab.place("ACC1", "P1", "PYMOD1");
    let here = Here::of(&lab);
    here.config(&format!(
        "[storage]\ndir = '{}'\n[worklist]\ndir = '{}'\n",
        lab.data.display(),
        lab.worklists.display()
    ));
    let seen = here.doctor(&[]);
    assert_eq!(seen.0["ok"], true, "{:#}", seen.0);
    seen.says("DICOM port", "ok", "the department answers C-ECHO", "");
    seen.says("HTTP port", "ok", "the login works", "");
    seen.says("HL7 port", "ok", "the department listens", "");
    seen.says("data folder", "ok", "in use by", "");
    seen.says("worklist", "ok", "PYMOD1 may ask; 1 items", "");
    seen.says("worklist folder", "ok", "1 items, 1 for PYMOD1", "");
    lab.assert_alive();
}

/// The fix is a port that nobody has: with it the department opens.
#[test]
fn a_port_of_somebody_else_is_told_with_its_kind_and_a_free_one() {
    let mut here = Here::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    here.ports[0] = answering(WEB);
    here.ports[1] = silent.local_addr().unwrap().port();
    here.ports[2] = answering(b"\x07\0\0\0\0\x04\0\0\x02\x01");
    let seen = here.doctor(&[]);
    let fix = seen.says(
        "DICOM port",
        "fail",
        "is held by a web server (nginx)",
        "pacslab serve --dicom-port ",
    );
    assert!(fix.contains("under [dicom] of pacslab.toml"), "{fix}");
    seen.says(
        "HTTP port",
        "fail",
        "is held by something unknown that says nothing",
        "--http-port ",
    );
    seen.says("HL7 port", "fail", "is held by a DICOM application", "--mllp-port ");
    #[cfg(target_os = "linux")]
    assert!(
        seen.check("DICOM port", "fail").0.contains(&format!("process {}", std::process::id()))
    );
    let port = |fix: &str| fix.split_whitespace().nth(3).unwrap().parse().unwrap();
    for (at, name) in ["DICOM port", "HTTP port", "HL7 port"].iter().enumerate() {
        here.ports[at] = port(&seen.check(name, "fail").1);
    }
    assert_eq!(here.doctor(&[]).0["failed"], 0, "with the ports that it named all is well");
}

#[test]
fn a_configuration_that_cannot_be_used_is_one_check_with_its_hint() {
    let here = Here::new();
    here.config("[dicom]\nprot = 4242\n");
    here.doctor(&[]).says("configuration", "fail", "pacslab.toml:2", "dicom.port");
    here.config("[dicom]\naet = \"THISTITLEISMUCHTOOLONG\"\n");
    here.doctor(&[]).says("configuration", "fail", "has 22 characters; the limit is 16", "");
    here.config("[modality]\naet = \"CT\u{e4}\"\n");
    here.doctor(&[]).says("configuration", "fail", "ASCII", "");
    here.config("[peers]\nPYMOD1 = [\"PYMOD1\", \"*\", 0]\n");
    let fix = "PYMOD1 = \"PYMOD1@127.0.0.1:11112\" under [peers]";
    here.doctor(&[]).says("configuration", "fail", "range [1..65534], but found: 0", fix);
}

#[test]
fn titles_logins_and_addresses_that_will_cause_trouble_are_warned_of() {
    let here = Here::new();
    let [one, two] = [answering(WEB), answering(WEB)];
    here.config(&format!(
        "[dicom]\npolicy = \"strict\"\n[receiver]\naet = \"my scp\"\n[modality]\naet = \"PACSLAB\"\n\
         [http]\nbind = \"0.0.0.0\"\n\
         [peers]\nA = \"CT1@127.0.0.1:{one}\"\nB = \"ct1@127.0.0.1:{two}\"\nC = \"PACSLAB@192.0.2.1:104\"\n"
    ));
    let seen = here.doctor(&[]);
    seen.says("receiver.aet", "warn", "capital letters", "aet = \"MY_SCP\"   under [receiver]");
    seen.says("modality.aet", "warn", "is also dicom.aet", "aet = \"PACSLAB2\"   under [modality]");
    seen.says("peer B", "warn", "is A", "B = \"ct12@127.0.0.1");
    seen.says("peer C", "warn", "the title of the PACS here", "under [dicom]");
    seen.says("DICOM address", "warn", "C at 192.0.2.1 cannot call back", "bind = \"0.0.0.0\"");
    seen.says("login", "warn", "nobody there can log in", "pacslab user add NAME");
    seen.says("A", "fail", "is a web server (nginx), not DICOM", "ITS-DICOM-PORT");
    here.config("[http]\nbind = \"0.0.0.0\"\npassword = \"orthanc\"\n");
    here.doctor(&[]).says("login", "warn", "which everybody knows", "password = ");
    here.config("[http]\nbind = \"0.0.0.0\"\nauth = false\n");
    here.doctor(&[]).says("login", "fail", "nobody has to log in", "auth = true");
    here.config("[dicom]\npolicy = \"strict\"\n");
    let fix = "PYMOD1 = \"PYMOD1@127.0.0.1:11112\"   under [peers]";
    here.doctor(&[]).says("scanner", "warn", "its worklist query is refused", fix);
    here.config("[dicom]\ntls = true\n");
    here.doctor(&[]).says("TLS", "fail", "server-cert.pem is not there", "pacslab tls init");
    here.type_in("pacslab tls init");
    assert_eq!(here.doctor(&[]).0["failed"], 0, "the fix was typed");
}

#[test]
fn folders_that_cannot_be_used_are_told() {
    let here = Here::new();
    let (data, worklists) = (here.path().join("data"), here.path().join("worklists"));
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("format"), "99\n").unwrap();
    std::fs::create_dir_all(worklists.join("CT1")).unwrap();
    std::fs::copy(fixture("ct.dcm"), worklists.join("CT1/a.wl")).unwrap();
    let seen = here.doctor(&[]);
    seen.says(
        "data folder",
        "fail",
        "format 99, which a newer pacslab wrote",
        "--data OTHER-FOLDER",
    );
    seen.says(
        "worklist folder",
        "warn",
        "is empty: every worklist query matches nothing",
        "pacslab worklist create",
    );
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::write(&data, "a file").unwrap();
    here.doctor(&[]).says("data folder", "fail", "", "--data OTHER-FOLDER");
    std::fs::remove_file(&data).unwrap();

    std::fs::write(worklists.join("bad.wl"), "no DICOM").unwrap();
    let seen = here.doctor(&[]);
    let fix = seen.says("worklist file", "fail", "bad.wl cannot be read: ", "mv ");
    let words: Vec<&str> = fix.split_whitespace().collect();
    std::fs::rename(here.path().join(words[1]), here.path().join(words[2])).unwrap();
    here.type_in("pacslab worklist create --station CT9");
    let seen = here.doctor(&[]);
    assert_eq!(seen.0["failed"], 0, "{:#}", seen.0);
    let fix = seen.says(
        "worklist folder",
        "warn",
        "none for the scanner PYMOD1",
        "pacslab worklist create --station PYMOD1",
    );
    here.type_in(&format!("{fix} --accession ACC2 --procedure-id RP2"));
    let seen = here.doctor(&[]);
    seen.says("worklist folder", "ok", "2 items, 1 for PYMOD1", "");
    // DCMTK serves the folder below, and only with a lock file
    seen.says("worklist folder", "warn", "finds no file named lockfile", "worklists");
    std::fs::write(worklists.join("CT1/lockfile"), "").unwrap();
    let marks = here.doctor(&[]).0["warnings"].clone();
    assert_eq!(marks, 1, "only the receiver is left");
    here.type_in("pacslab worklist create --station pymod1 --accession ACC3 --procedure-id RP3");
    std::fs::remove_file(worklists.join("ACC2.wl")).unwrap();
    here.doctor(&[]).says(
        "worklist folder",
        "warn",
        "is for 'pymod1', and case counts",
        "--station pymod1",
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_clock_that_went_back_is_seen_by_what_was_written_later() {
    let here = Here::new();
    let data = here.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = std::fs::File::create(data.join("lab.db")).unwrap();
    let written = file.metadata().unwrap().modified().unwrap();
    let later = written + std::time::Duration::from_secs(86_400);
    file.set_modified(later).unwrap();
    here.doctor(&[]).says(
        "clock",
        "warn",
        "is before the last change in the data folder",
        "timedatectl set-ntp true",
    );
    let slow = answering(
        b"HTTP/1.1 200 OK\r\nDate: Mon, 05 Jan 2026 08:00:00 GMT\r\nContent-Length: 36\r\n\r\n{\"DicomAet\":\"ORTHANC\",\"DicomPort\":1} ",
    );
    let url = format!("http://127.0.0.1:{slow}");
    let seen = here.doctor(&["--url", &url]);
    seen.says(
        &format!("clock of {url}"),
        "warn",
        "s apart from ours: 2026-01-05T08:00:00",
        "timedatectl",
    );
}

#[test]
fn each_way_a_peer_fails_has_its_own_verdict() {
    needs!("storescp");
    let here = Here::new();
    let store = dcmtk::StoreScp::start("STORE", &[]);
    let (dead, refuse) = (wait::free_port(), dcmtk::StoreScp::start("X", &["--refuse"]));
    let called = answering(b"\x03\0\0\0\0\x04\0\x01\x01\x07");
    let calling = answering(b"\x03\0\0\0\0\x04\0\x01\x01\x03");
    let tls = answering(b"\x15\x03\x01\x00\x02\x02\x28");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = silent.local_addr().unwrap().port();
    here.config(&format!(
        "[peers]\nGOOD = \"STORE@127.0.0.1:{0}\"\nDEAD = \"DEAD@127.0.0.1:{dead}\"\nREFUSES = \"X@127.0.0.1:{1}\"\n\
         CALLED = \"WRONG@127.0.0.1:{called}\"\nCALLING = \"PACS2@127.0.0.1:{calling}\"\nTLS = \"T@127.0.0.1:{tls}\"\n\
         PLAIN = \"P@127.0.0.1:{0}+tls\"\nMUTE = \"M@127.0.0.1:{mute}\"\nCALLER = {{ AET = \"CALLER\", Host = \"*\", Port = 104 }}\n",
        store.port, refuse.port
    ));
    let seen = here.doctor(&[]);
    seen.says("GOOD", "ok", "answers C-ECHO in", "");
    seen.says(
        "DEAD",
        "fail",
        "nothing listens there",
        &format!("pacslab receive --aet DEAD --port {dead}"),
    );
    seen.says("REFUSES", "fail", "no reason given", "pacslab echo X@127.0.0.1");
    seen.says(
        "CALLED",
        "fail",
        "is not called WRONG",
        &format!("CALLED = \"ITS-TITLE@127.0.0.1:{called}\"   under [peers]"),
    );
    seen.says(
        "CALLING",
        "fail",
        "does not know PACSLAB",
        "pacslab modality register PACSLAB@127.0.0.1:11112",
    );
    seen.says("TLS", "fail", "is called without", &format!("TLS = \"T@127.0.0.1:{tls}+tls\""));
    seen.says(
        "PLAIN",
        "fail",
        "without TLS, and is called with",
        &format!("PLAIN = \"P@127.0.0.1:{}\"", store.port),
    );
    seen.says("MUTE", "fail", "answers no DICOM", "ITS-DICOM-PORT");
    seen.says("CALLER", "ok", "is never called", "");
}

/// The document's second entry at a real Orthanc: echo works, the worklist query is aborted. The
/// command that is printed makes it work, and so does the one for the receiver.
#[test]
fn what_is_wrong_at_an_orthanc_is_mended_by_what_is_printed() {
    needs!("Orthanc");
    let here = Here::new();
    let worklists = here.path().join("worklists");
    std::fs::create_dir(&worklists).unwrap();
    let orthanc = Orthanc::with(&worklists, &[], json!({}));
    here.type_in("pacslab worklist create");
    let (_receiver, port) =
        spelled::receive("PYNETSCP", &here.path().join("in"), &here.path().join("log"));
    let mut here = here;
    here.ports[3] = port;
    let url = format!("http://127.0.0.1:{}", orthanc.http);
    let pacs = format!("ORTHANC@127.0.0.1:{}", orthanc.dicom);
    let words = ["--pacs", &pacs, "--url", &url];
    let seen = here.doctor(&words);
    seen.says("HTTP", "ok", "is Orthanc", "");
    seen.says("C-ECHO", "ok", "answers C-ECHO", "");
    let first = seen.says(
        "worklist",
        "fail",
        "PYMOD1",
        &format!("pacslab modality register PYMOD1@127.0.0.1:11112 --url {url}"),
    );
    let second = seen.says(
        "receiver PYNETSCP",
        "fail",
        "0xA801",
        &format!("pacslab modality register PYNETSCP@127.0.0.1:{port} --url {url} --check"),
    );
    here.type_in(&first);
    here.type_in(&second);
    let seen = here.doctor(&words);
    assert_eq!(seen.0["failed"], 0, "{:#}", seen.0);
    seen.says("worklist", "ok", "PYMOD1 may ask; 1 items for it", "");
    seen.says("receiver PYNETSCP", "ok", "the PACS reaches it", "");
    seen.says("plugin", "ok", "worklist", "");
    // the title as it is, and as somebody mistyped it
    let wrong = format!("ORTHNAC@127.0.0.1:{}", orthanc.dicom);
    let seen = here.doctor(&["--pacs", &wrong, "--url", &url]);
    seen.says("AE title", "warn", "called ORTHNAC, but it is ORTHANC", &format!("--pacs {pacs}"));
    let seen = here.doctor(&["--url", &url, "--login", "a:b"]);
    seen.says("login", "fail", "401", "--login NAME:PASSWORD");
    // the receiver is there, and the PACS looks elsewhere: the case of containers
    let elsewhere = format!("PYNETSCP@127.0.0.1:{}", wait::free_port());
    here.type_in(&format!("pacslab modality register {elsewhere} --url {url}"));
    let seen = here.doctor(&words);
    let fix = seen.says(
        "receiver PYNETSCP",
        "fail",
        "and it listens on port",
        &format!("PYNETSCP@127.0.0.1:{port}"),
    );
    here.type_in(&fix);
    here.doctor(&words).says("receiver PYNETSCP", "ok", "reaches it", "");
    here.type_in(&format!("pacslab modality register PYNETSCP@192.0.2.1:{port} --url {url}"));
    let seen = here.doctor(&words);
    seen.says(
        "receiver PYNETSCP",
        "fail",
        "it runs here, and the PACS does not reach it",
        "pacslab modality register PYNETSCP@",
    );
}

#[test]
fn an_orthanc_without_plugins_is_told() {
    needs!("Orthanc");
    let here = Here::new();
    let orthanc = Orthanc::with(here.path(), &[], json!({"Plugins": []}));
    let url = format!("http://127.0.0.1:{}", orthanc.http);
    let seen = here.doctor(&["--url", &url]);
    seen.says("worklist", "fail", "has no worklist", "libModalityWorklists.so");
    seen.says("plugin", "warn", "is not loaded", "in orthanc.json");
    seen.says("C-ECHO", "ok", "answers C-ECHO", "");
}
