//! HL7 messages out: queues, retries, dead letters. HL7 v2.5.1 2.9; IHE RAD TF-2 4.3, 4.4, 4.13.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc;

use serde_json::Value;

use crate::support::mllp::{Connection, exchange, field, orm};
use crate::support::process::{Finished, Running};
use crate::support::{Lab, files, needs, peers, wait};

const START: &str = "20260105090000";

/// A destination that is tried often, so that tests are short.
fn destination(name: &str, port: u16, more: &str) -> String {
    format!(
        "[hl7.destinations.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nretry = \"50ms\"\n\
         retry_at_most = \"200ms\"\n{more}\n"
    )
}

/// `pacslab hl7 listen`, which keeps what comes.
struct Receiver {
    _running: Running,
    folder: tempfile::TempDir,
}

impl Receiver {
    #[track_caller]
    fn start(port: u16, answer: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = crate::support::lab::pacslab();
        command.args(["hl7", "listen", "--json", "--answer", answer, "--save", "kept", "--port"]);
        command.arg(port.to_string()).current_dir(folder.path());
        let log = folder.path().join("log");
        let running = Running::start("pacslab hl7 listen", &mut command, log, false);
        wait::until_true("the listener to be ready", || running.log().contains("\"ready\":true"));
        Self { _running: running, folder }
    }

    fn kept(&self) -> Vec<String> {
        let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
        files(&self.folder.path().join("kept"), "hl7").iter().map(read).collect()
    }

    /// Waits for so many messages.
    #[track_caller]
    fn messages(&self, count: usize) -> Vec<String> {
        wait::until(&format!("{count} messages"), || {
            let kept = self.kept();
            // the last one may be being written
            let whole = kept.iter().all(|text| text.ends_with('\r'));
            (kept.len() >= count && whole).then_some(kept)
        })
    }
}

/// The accession number, wherever the form has it, and what is told of it.
fn told(message: &str) -> String {
    let accession = match field(message, "OBR", 18) {
        "" => field(message, "IPC", 1).split('^').next().unwrap_or_default(),
        accession => accession,
    };
    let (control, status) = (field(message, "ORC", 1), field(message, "ORC", 5));
    format!("{accession} {control} {status}")
}

fn ids(messages: &[String]) -> Vec<String> {
    messages.iter().map(|message| field(message, "MSH", 10).to_owned()).collect()
}

/// The rows of `hl7 queue list`.
fn queue(lab: &Lab, words: &[&str]) -> Vec<Value> {
    let listed = lab.run(&[&["hl7", "queue", "list", "--json"], words].concat()).success();
    listed.json().as_array().unwrap().clone()
}

fn tally(lab: &Lab, destination: &str, key: &str) -> u64 {
    let all = lab.get("/ris/hl7/destinations").ok().json();
    let of = all.as_array().unwrap().iter().find(|row| row["destination"] == destination);
    of.unwrap_or_else(|| panic!("no {destination} in {all}"))[key].as_u64().unwrap()
}

fn metric(lab: &Lab, line: &str) -> bool {
    lab.get("/metrics").ok().text().lines().any(|found| found == line)
}

/// Something happens to an order that was placed with [`orm`].
#[track_caller]
fn happens(lab: &Lab, accession: &str, control: &str, status: &str, start: &str) {
    let text = orm(accession, "P1", "PYMOD1", start)
        .replace("ORC|NW|", &format!("ORC|{control}|"))
        .replace("||SC||", &format!("||{status}||"))
        .replace(
            "MSH|^~\\&|RIS|HOSP|PACSLAB|LAB|20260105083000||ORM^O01^ORM_O01|M",
            &format!(
                "MSH|^~\\&|RIS|HOSP|PACSLAB|LAB|20260105083000||ORM^O01^ORM_O01|{control}{status}"
            ),
        );
    let ack = lab.order(&text);
    assert!(ack.contains("MSA|AA|"), "{ack}");
}

#[test]
fn a_receiver_that_is_down_gets_all_of_it_later_in_order_and_once() {
    let port = wait::free_port();
    let lab =
        Lab::setup().config(&destination("archive", port, "send = \"orders, status\"")).start();
    for accession in ["A1", "A2", "A3"] {
        lab.place(accession, "P1", "PYMOD1");
    }
    happens(&lab, "A1", "XO", "SC", "20260106100000");
    happens(&lab, "A2", "SC", "IP", START);
    happens(&lab, "A2", "SC", "CM", START);
    happens(&lab, "A3", "CA", "CA", START);
    lab.place("A4", "P1", "PYMOD1");
    happens(&lab, "A4", "SC", "IP", START);
    happens(&lab, "A4", "DC", "DC", START);
    // the same again is no news
    happens(&lab, "A4", "DC", "DC", START);

    assert_eq!(tally(&lab, "archive", "waiting"), 10);
    assert!(metric(&lab, "pacslab_hl7_out_waiting{destination=\"archive\"} 10"));
    let waiting = queue(&lab, &[]);
    assert_eq!(waiting.len(), 10);
    assert_eq!(
        (&waiting[0]["kind"], &waiting[0]["accession"]),
        (&"ORM^O01 NW".into(), &"A1".into())
    );
    wait::until_true("a try in vain to be told", || {
        queue(&lab, &[])[0]["problem"].as_str().unwrap().contains("cannot connect")
    });

    let receiver = Receiver::start(port, "AA");
    let messages = receiver.messages(10);
    let story: Vec<String> = messages.iter().map(|message| told(message)).collect();
    let expected = [
        "A1 NW SC", "A2 NW SC", "A3 NW SC", "A1 XO SC", "A2 SC IP", "A2 SC CM", "A3 CA CA",
        "A4 NW SC", "A4 SC IP", "A4 DC CA",
    ];
    assert_eq!(story, expected);
    assert_eq!(field(&messages[3], "OBR", 36), "20260106100000", "the change tells the new time");
    let mut different = ids(&messages);
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 10, "each has an id of its own");
    wait::until_true("the queue to be empty", || tally(&lab, "archive", "waiting") == 0);
    assert_eq!((queue(&lab, &[]).len(), queue(&lab, &["--dead"]).len()), (0, 0));
    assert!(metric(&lab, "pacslab_hl7_out_waiting{destination=\"archive\"} 0"));
    let events = lab.get("/pacslab/events?kind=hl7.out&accession=A4&limit=50").ok().text();
    assert!(events.contains("to archive: AA"), "{events}");
    assert_eq!(receiver.kept().len(), 10, "and nothing else came");
}

#[test]
fn what_is_refused_is_a_dead_letter_and_sent_again_when_it_is_mended() {
    let port = wait::free_port();
    let lab = Lab::setup().config(&destination("archive", port, "")).start();
    let refusing = Receiver::start(port, "AE");
    lab.place("A1", "P1", "PYMOD1");
    lab.place("A2", "P1", "PYMOD1");
    wait::until_true("two dead letters", || tally(&lab, "archive", "dead") == 2);
    let dead = queue(&lab, &["--dead", "--destination", "archive"]);
    let problem = dead[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("AE ") && problem.contains("--answer AE"), "{problem}");
    assert_eq!(dead[0]["tries"], 1, "it is not asked twice");
    assert!(metric(&lab, "pacslab_hl7_out_dead{destination=\"archive\"} 2"));
    let number = dead[0]["number"].to_string();
    let shown = lab.run(&["hl7", "queue", "show", &number]).success();
    assert!(shown.stdout.contains("ORC|NW|A1"), "{shown}");
    let refused = ids(&refusing.messages(2));
    drop(refusing);

    let accepting = Receiver::start(port, "AA");
    let said = lab.run(&["hl7", "queue", "resend", "--dead"]).success();
    assert!(said.stdout.contains("2 messages sent again"), "{said}");
    assert_eq!(ids(&accepting.messages(2)), refused, "the same ids, in the same order");
    wait::until_true("nothing is left", || tally(&lab, "archive", "waiting") == 0);
    assert_eq!(tally(&lab, "archive", "dead"), 0);
    let gone = lab.run(&["hl7", "queue", "resend", &number]).failure();
    assert!(gone.stderr.contains("no outgoing HL7 message has number"), "{gone}");
    let nobody = lab.run(&["hl7", "queue", "list", "--destination", "nobody"]).failure();
    assert!(nobody.stderr.contains("archive"), "{nobody}");
}

/// Takes what comes and answers nothing.
fn deaf() -> (u16, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for mut stream in listener.incoming().flatten() {
            let mut buffer = vec![0; 16 * 1024];
            let read = stream.read(&mut buffer).unwrap_or(0);
            let _ = tell.send(buffer[..read].to_vec());
            held.push(stream);
        }
    });
    (port, told)
}

/// Answers each message as the next of these says; `ID` is its MSH-10. Tells what came.
fn scripted(script: &'static [Option<&'static str>]) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut script = script.iter();
        for mut stream in listener.incoming().flatten() {
            let mut frame = Vec::new();
            let mut byte = [0];
            while matches!(stream.read(&mut byte), Ok(1)) {
                frame.push(byte[0]);
                if !frame.ends_with(&[0x1c, 0x0d]) {
                    continue;
                }
                let message = String::from_utf8_lossy(&frame[1..frame.len() - 2]).into_owned();
                frame.clear();
                let id = field(&message, "MSH", 10).to_owned();
                let _ = tell.send(message);
                match script.next() {
                    Some(Some(answer)) => {
                        let answer = answer.replace("ID", &id);
                        let _ = stream.write_all(format!("\x0b{answer}\x1c\r").as_bytes());
                    }
                    // hangs up
                    _ => break,
                }
            }
        }
    });
    (port, told)
}

/// Whatever is no acknowledgement of this message is none; CA is one, CE a refusal.
#[test]
fn only_an_acknowledgement_takes_a_message_off() {
    static SCRIPT: [Option<&str>; 6] = [
        Some("HELLO"),
        None,
        Some("MSH|^~\\&|A|B|C|D|20260105||ACK|K1|P|2.5.1\r"),
        Some("MSH|^~\\&|A|B|C|D|20260105||ACK|K1|P|2.5.1\rMSA|AA|ANOTHER\r"),
        Some("MSH|^~\\&|A|B|C|D|20260105||ACK|K1|P|2.5.1\rMSA|CA|ID\r"),
        Some(
            "MSH|^~\\&|A|B|C|D|20260105||ACK|K1|P|2.5.1\rMSA|CE|ID\rERR||OBR^1^18|204^Unknown^HL70357|E||||no such order\r",
        ),
    ];
    let (port, came) = scripted(&SCRIPT);
    let lab = Lab::setup().config(&destination("archive", port, "strict = true")).start();
    lab.place("A1", "P1", "PYMOD1");
    let tries: Vec<String> = (0..5).map(|_| came.recv_timeout(wait::PATIENCE).unwrap()).collect();
    assert!(tries.iter().all(|tried| *tried == tries[0]), "the same message each time");
    wait::until_true("it is taken off", || tally(&lab, "archive", "waiting") == 0);
    assert_eq!(tally(&lab, "archive", "dead"), 0);
    lab.place("A2", "P1", "PYMOD1");
    wait::until_true("the other one to be refused", || tally(&lab, "archive", "dead") == 1);
    let dead = queue(&lab, &["--dead"]);
    assert_eq!(dead[0]["problem"], "CE OBR-18: no such order (204)");
}

#[test]
fn a_receiver_that_hangs_hinders_nobody_and_is_given_up() {
    let port = wait::free_port();
    let (deaf, _heard) = deaf();
    let config = destination("deaf", deaf, "timeout = \"200ms\"\ngive_up_tries = 3")
        + &destination("patient", deaf, "timeout = \"1h\"")
        + &destination("archive", port, "form = \"OMI\"");
    let lab = Lab::setup().config(&config).start();
    let receiver = Receiver::start(port, "AA");
    for accession in ["A1", "A2", "A3"] {
        lab.place(accession, "P1", "PYMOD1");
    }
    let messages = receiver.messages(3);
    assert_eq!(tally(&lab, "patient", "waiting"), 3, "it waits for the first answer");
    let story: Vec<String> = messages.iter().map(|message| told(message)).collect();
    assert_eq!(story, ["A1 NW SC", "A2 NW SC", "A3 NW SC"]);
    assert_eq!(field(&messages[0], "MSH", 9), "OMI^O23^OMI_O23");
    wait::until_true("three dead letters", || tally(&lab, "deaf", "dead") == 3);
    let dead = queue(&lab, &["--dead"]);
    assert_eq!((&dead[0]["tries"], dead.len()), (&3.into(), 3));
    assert!(dead[0]["problem"].as_str().unwrap().contains("did not answer within"), "{}", dead[0]);
    let dropped = lab.run(&["hl7", "queue", "drop", "--dead"]).success();
    assert!(dropped.stdout.contains("3 messages dropped"), "{dropped}");
    assert_eq!(tally(&lab, "deaf", "dead"), 0);
}

#[test]
fn what_is_queued_when_the_server_is_killed_is_delivered_after_it_came_back() {
    // more than are read, or listed, at once
    const COUNT: usize = 120;
    let port = wait::free_port();
    let (deaf, heard) = deaf();
    let config = destination("archive", port, "") + &destination("deaf", deaf, "");
    let lab = Lab::setup().config(&config).start();
    let expected: Vec<String> = (1..=COUNT).map(|n| format!("A{n} NW SC")).collect();
    let mut connection = Connection::open(lab.mllp);
    for n in 1..=COUNT {
        let text = orm(&format!("A{n}"), "P1", "PYMOD1", START);
        assert!(connection.exchange(text.as_bytes()).contains("MSA|AA|"));
    }
    // on its way when the power goes: the receiver has it, we do not know that
    let first = heard.recv_timeout(wait::PATIENCE).unwrap();
    let lab = lab.kill_and_restart();
    assert_eq!(tally(&lab, "archive", "waiting"), 120);
    let waiting = queue(&lab, &["--destination", "archive"]);
    assert_eq!((waiting.len(), &waiting[119]["accession"]), (120, &"A120".into()));
    let again = heard.recv_timeout(wait::PATIENCE).unwrap();
    assert_eq!(again, first, "the same message with the same id: its receiver recognises it");
    let receiver = Receiver::start(port, "AA");
    let messages = receiver.messages(120);
    let lab = lab.kill_and_restart();
    wait::until_true("the queue to be empty", || tally(&lab, "archive", "waiting") == 0);
    let story: Vec<String> = receiver.kept().iter().map(|message| told(message)).collect();
    let mut once = ids(&receiver.kept());
    once.dedup();
    assert_eq!(once, ids(&messages), "whatever came twice has the id of the one before");
    assert!(story.len() >= 120 && expected.iter().all(|told| story.contains(told)), "{story:?}");
}

/// A second department is told: everything that the first one tells has its effect there.
#[test]
fn one_department_tells_another() {
    let there = Lab::start();
    let more = "send = \"orders, status, patients\"\nform = \"OMI\"";
    let here = Lab::setup().config(&destination("there", there.mllp, more)).start();
    here.place("A1", "P1", "PYMOD1");
    here.place("A2", "P1", "PYMOD1");
    happens(&here, "A2", "CA", "CA", START);
    let items = || {
        let found = crate::support::cli::worklist_find("PACSLAB", there.dicom, &["--json"]);
        found.success().stdout
    };
    wait::until_true("the queue to be empty", || tally(&here, "there", "waiting") == 0);
    assert_eq!(tally(&here, "there", "dead"), 0, "{:?}", queue(&here, &["--dead"]));
    let found = items();
    assert!(found.contains("\"A1\"") && !found.contains("\"A2\""), "{found}");
    let a08 = "MSH|^~\\&|ADT|HOSP|PACSLAB|LAB|20260105083000||ADT^A08^ADT_A01|K1|P|2.5\r\
               EVN||20260105083000\rPID|1||P1^^^HOSP||ROE^JANE||19800101|F\rPV1|1|O\r";
    assert!(exchange(here.mllp, a08.as_bytes()).contains("MSA|AA|"));
    wait::until_true("the new name to arrive", || items().contains("ROE"));
    assert_eq!(tally(&here, "there", "dead"), 0, "{:?}", queue(&here, &["--dead"]));
}

#[test]
fn images_that_start_a_step_are_told() {
    let port = wait::free_port();
    let lab = Lab::setup().config(&destination("his", port, "send = \"status\"")).start();
    let receiver = Receiver::start(port, "AA");
    lab.place("A1", "P1", "PYMOD1");
    let images = tempfile::tempdir().unwrap();
    crate::support::cli::acquire("PACSLAB", lab.dicom, "A1", images.path(), &[]);
    let made = files(images.path(), "dcm");
    assert_eq!(lab.post("/instances", &std::fs::read(&made[0]).unwrap()).status, 200);
    let messages = receiver.messages(1);
    assert_eq!(told(&messages[0]), "A1 SC IP");
    happens(&lab, "A1", "SC", "CM", START);
    assert_eq!(told(&receiver.messages(2)[1]), "A1 SC CM");
}

#[test]
fn hl7apy_finds_nothing_wrong_with_what_leaves() {
    needs!("python");
    let ports = [wait::free_port(), wait::free_port(), wait::free_port()];
    let all = "send = \"orders, status, reports, patients\"\n";
    let config =
        destination("old", ports[0], &format!("{all}version = \"2.3.1\"\ncharset = \"8859/1\""))
            + &destination("omg", ports[1], &format!("{all}version = \"2.5\"\nform = \"OMG\""))
            + &destination("omi", ports[2], &format!("{all}form = \"OMI\""));
    let lab = Lab::setup().config(&config).start();
    let receivers = ports.map(|port| Receiver::start(port, "AA"));
    lab.place("A1", "P1", "PYMOD1");
    lab.place("A2", "P1", "PYMOD1");
    happens(&lab, "A1", "XO", "SC", "20260106100000");
    happens(&lab, "A1", "SC", "IP", START);
    happens(&lab, "A1", "DC", "DC", START);
    happens(&lab, "A2", "CA", "CA", START);
    for event in ["A01", "A08", "A40", "A47"] {
        let made = crate::support::cli::hl7_generate(&["--event", event, "--seed", "7"]).success();
        let ack = exchange(lab.mllp, made.stdout.as_bytes());
        assert!(ack.contains("MSA|AA|"), "{event}: {ack}");
    }
    for (number, result) in ["preliminary", "final", "corrected"].iter().enumerate() {
        let words = ["--event", "ORU^R01", "--accession", "A2", "--seed", &number.to_string()];
        let said = format!("Nothing seen, said for the {number}. time.");
        let more = ["--result", result, "--findings", &said, "--interpreter", "ROE^JO"];
        let made = crate::support::cli::hl7_generate(&[&words[..], &more].concat()).success();
        let ack = exchange(lab.mllp, made.stdout.as_bytes());
        assert!(ack.contains("MSA|AA|"), "{result}: {ack}");
    }
    for receiver in &receivers {
        let messages = receiver.messages(13);
        let (oru, others): (Vec<&String>, Vec<&String>) =
            messages.iter().partition(|message| field(message, "MSH", 9).starts_with("ORU"));
        assert_eq!((oru.len(), others.len()), (3, 10));
        let states: Vec<&str> = oru.iter().map(|message| field(message, "OBR", 25)).collect();
        assert_eq!(states, ["P", "F", "C"]);
        assert_eq!(field(oru[2], "OBX", 5), "Nothing seen, said for the 2. time.");
        assert_eq!((field(oru[2], "OBR", 18), field(oru[2], "OBR", 32)), ("A2", "4001&ROE&JO"));
        check(receiver.folder.path()).success();
    }
}

fn check(folder: &Path) -> Finished {
    let kept = files(&folder.join("kept"), "hl7");
    let names: Vec<&str> = kept.iter().map(|path| path.to_str().unwrap()).collect();
    peers::python_script("hl7_strict.py", &names)
}

#[test]
fn a_destination_that_cannot_be_is_refused_at_once() {
    let said = |lines: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pacslab.toml");
        std::fs::write(&path, format!("[hl7.destinations.x]\n{lines}\n")).unwrap();
        let config = path.to_str().unwrap();
        crate::support::lab::cli(&["config", "show", "--config", config]).failure().stderr
    };
    let host = "host = \"h\"\n";
    for (lines, expected) in [
        (host.to_owned() + "prot = 2575", "did you mean hl7.destinations.x.port?"),
        ("port = 2575".to_owned(), "hl7.destinations.x.host = '': a host is expected"),
        (host.to_owned() + "send = \"everything\"", "'everything' is none of orders"),
        (host.to_owned() + "form = \"OMI\"\nversion = \"2.3.1\"", "has no OMI^O23"),
    ] {
        let told = said(&lines);
        assert!(told.contains(expected), "{lines}: {told}");
    }
}
