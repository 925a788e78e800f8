//! The HL7 door: orders over MLLP and their acknowledgements. HL7 v2.5.1 chapters 2.9 and 4.4.

use crate::support::mllp::{Connection, field, orm};
use crate::support::{Lab, cli, needs, peers};

const START: &str = "20260105090000";

#[test]
fn an_order_is_acknowledged() {
    let lab = Lab::start();
    let ack = lab.order(&orm("ACC1001", "P12345", "PYMOD1", START));
    assert_eq!(field(&ack, "MSA", 1), "AA", "{ack}");
    assert_eq!(field(&ack, "MSA", 2), "MACC1001", "the control id comes back");
    assert_eq!(field(&ack, "MSH", 9), "ACK^O01^ACK");
    assert_eq!(field(&ack, "MSH", 5), "RIS", "the sender is the receiver now");
    assert_eq!(field(&ack, "MSH", 12), "2.5", "the version is the request's");
}

#[test]
fn a_connection_carries_many_messages() {
    let lab = Lab::start();
    let mut connection = Connection::open(lab.mllp);
    for number in 1..=20 {
        let ack = connection.exchange(orm(&format!("A{number}"), "P1", "PYMOD1", START).as_bytes());
        assert_eq!(field(&ack, "MSA", 1), "AA", "{number}: {ack}");
    }
}

#[test]
fn line_feeds_and_slow_senders_are_tolerated() {
    let lab = Lab::start();
    let mut connection = Connection::open(lab.mllp);
    let message = orm("A1", "P1", "PYMOD1", START).replace('\r', "\r\n");
    connection.send_raw(&[0x0b]);
    for part in message.as_bytes().chunks(7) {
        connection.send_raw(part);
    }
    connection.send_raw(&[0x1c, 0x0d]);
    let ack = connection.read_frame();
    assert_eq!(field(&ack, "MSA", 1), "AA", "{ack}");
}

/// A web browser, a scanner of ports, a sender without framing: not a peer to go on with.
#[test]
fn noise_before_a_frame_ends_the_connection() {
    let lab = Lab::start();
    let mut connection = Connection::open(lab.mllp);
    connection.send_raw(b"GET / HTTP/1.1\r\n\r\n");
    assert!(connection.is_closed(), "the connection stays open");
    crate::support::wait::until_true("the log tells it", || lab.log().contains("HTTP"));
    let ack = lab.order(&orm("A1", "P1", "PYMOD1", START));
    assert_eq!(field(&ack, "MSA", 1), "AA", "others are served on: {ack}");
}

#[test]
fn what_is_wrong_is_answered_with_its_field() {
    let lab = Lab::start();
    let good = orm("A1", "P1", "PYMOD1", START);
    for (bad, code, wrong) in [
        (good.replace("|P1^^^HOSP|", "||"), "AE", "PID^1^3"),
        (good.replace("ORC|NW", "ORC|QQ"), "AE", "ORC^1^1"),
        (good.replace("ORM^O01^ORM_O01", "ZZZ^Z99"), "AR", "MSH^1^9"),
    ] {
        let ack = lab.order(&bad);
        assert_eq!(field(&ack, "MSA", 1), code, "{ack}");
        assert!(field(&ack, "ERR", 2).starts_with(wrong), "{wrong} in {ack}");
    }
    lab.assert_alive();
}

#[test]
fn names_arrive_in_the_character_set_of_the_message() {
    needs!("findscu");
    let lab = Lab::start();
    let text = orm("A1", "P1", "PYMOD1", START)
        .replace("|P|2.5", "|P|2.5||||||8859/1")
        .replace("DOE^JANE", "M\u{fc}LLER^J\u{d6}RG");
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let ack = Connection::open(lab.mllp).exchange(&latin1);
    assert_eq!(field(&ack, "MSA", 1), "AA", "{ack}");
    let found = cli::worklist_find("PACSLAB", lab.dicom, &["--json"]).success();
    assert!(found.stdout.contains("M\u{fc}LLER"), "{found}");
}

#[test]
fn hl7apy_finds_nothing_wrong_with_what_we_send() {
    needs!("python");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_string()
    };
    let good = orm("A1", "P1", "PYMOD1", START);
    // accepted with what the lab filled, and both answers of enhanced mode
    let filled = lab.order(&orm("A2", "P2", "PYMOD1", START).replace("|RPA2|", "||"));
    assert!(filled.contains("MSA|AA|") && filled.contains("|W|"), "{filled}");
    let mut connection = Connection::open(lab.mllp);
    let enhanced = orm("A3", "P3", "PYMOD1", START).replace("|P|2.5", "|P|2.5|||AL|AL");
    let commit = connection.exchange(enhanced.as_bytes());
    let messages = [
        write("ack_filled.hl7", &filled),
        write("ack_ca.hl7", &commit),
        write("ack_aa_after_ca.hl7", &connection.read_frame()),
        write("orm.hl7", &cli::hl7_generate(&[]).success().stdout),
        write("ack_aa.hl7", &lab.order(&good)),
        write("ack_ae.hl7", &lab.order(&good.replace("|P1^^^HOSP|", "||"))),
        write("ack_ar.hl7", &lab.order(&good.replace("ORM^O01^ORM_O01", "ZZZ^Z99"))),
    ];
    let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    peers::python_script("hl7_strict.py", &messages).success();
}

/// Who asks for the application's acknowledgement gets the response with the numbers; the others an
/// ACK, unless that is configured otherwise.
#[test]
fn orders_are_answered_with_the_response_that_they_ask_for() {
    needs!("python");
    let folder = tempfile::tempdir().unwrap();
    let mut written: Vec<String> = Vec::new();
    let mut keep = |text: &str| {
        let path = folder.path().join(format!("{}.hl7", written.len()));
        std::fs::write(&path, text).unwrap();
        written.push(path.to_str().unwrap().to_owned());
    };
    let lab = Lab::start();
    let always = Lab::setup().config("[hl7]\nresponses = \"always\"\n").start();
    let kinds = [
        ("ORM^O01", "2.3.1", "ORR^O02^ORR_O02"),
        ("ORM^O01", "2.5", "ORR^O02^ORR_O02"),
        ("ORM^O01", "2.5.1", "ORR^O02^ORR_O02"),
        ("OMG^O19", "2.5", "ORG^O20^ORG_O20"),
        ("OMI^O23", "2.5", "ORI^O24^ORI_O24"),
        ("OMI^O23", "2.5.1", "ORI^O24^ORI_O24"),
    ];
    for (number, (event, version, response)) in kinds.into_iter().enumerate() {
        let accession = format!("RSP{number:05}");
        // MSH-15 and MSH-16; which character sets a version has is not what is looked at here
        let made = |control: &str, conditions: [&str; 2]| {
            let words = ["--event", event, "--hl7-version", version, "--control", control];
            let more = ["--accession", &accession, "--seed", "7", "--at", "2026-01-05T08:00"];
            let text = cli::hl7_generate(&[&words[..], &more].concat()).success().stdout;
            let (msh, rest) = text.split_once('\r').unwrap();
            let mut fields: Vec<&str> = msh.split('|').collect();
            fields.resize(18, "");
            let id = format!("{control}{number}{}", conditions.concat());
            (fields[9], fields[14], fields[15]) = (&id, conditions[0], conditions[1]);
            fields[17] = if version == "2.3.1" { "8859/1" } else { "UNICODE UTF-8" };
            format!("{}\r{rest}", fields.join("|"))
        };
        let sent = |lab: &Lab, control: &str, conditions: [&str; 2]| {
            let text = made(control, conditions);
            let mut connection = Connection::open(lab.mllp);
            let first = connection.exchange(text.as_bytes());
            (connection, first, text)
        };
        // original mode: an ACK
        let (_, ack, _) = sent(&lab, "new", ["", ""]);
        assert!(ack.contains("|ACK^") && ack.contains("MSA|AA|"), "{ack}");
        // enhanced: the commit answer is an ACK, the application's a response
        let (mut connection, commit, text) = sent(&lab, "change", ["AL", "AL"]);
        assert!(commit.contains("|ACK^") && commit.contains("MSA|CA|"), "{commit}");
        let changed = connection.read_frame();
        assert_eq!(field(&changed, "MSH", 9), response, "{changed}");
        assert_eq!((field(&changed, "MSA", 1), field(&changed, "ORC", 1)), ("AA", "XR"));
        assert_eq!(connection.exchange(text.as_bytes()), commit, "the same again");
        assert_eq!(connection.read_frame(), changed, "the same again");
        // the application's alone; a refusal has the same MSA and ERR
        let (mut connection, ended, text) = sent(&lab, "cancel", ["NE", "AL"]);
        assert_eq!((field(&ended, "MSA", 1), field(&ended, "ORC", 1)), ("AA", "CR"), "{ended}");
        let unknown = text.replace("RSP0", "RSP9").replace("|cancel", "|C");
        let refused = connection.exchange(unknown.as_bytes());
        assert_eq!((field(&refused, "MSH", 9), field(&refused, "MSA", 1)), (response, "AE"));
        assert!(refused.contains("204") && !refused.contains("ORC|"), "{refused}");
        // where it is configured, in original mode as well: with what the lab has assigned
        let (_, placed, _) = sent(&always, "new", ["", ""]);
        assert_eq!(
            (field(&placed, "MSH", 9), field(&placed, "ORC", 1)),
            (response, "OK"),
            "{placed}"
        );
        let told = if event.starts_with("OMI") {
            field(&placed, "IPC", 1)
        } else {
            field(&placed, "OBR", 18)
        };
        assert_eq!(told, accession, "{placed}");
        for answer in [&commit, &changed, &ended, &refused, &placed] {
            keep(answer);
        }
    }
    let written: Vec<&str> = written.iter().map(String::as_str).collect();
    let said = peers::python_script("hl7_strict.py", &written).success();
    assert_eq!(said.stdout.matches("ok ").count(), kinds.len() * 5, "{said}");
}

#[test]
fn python_hl7_delivers_an_order() {
    needs!("python");
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.hl7");
    std::fs::write(&file, orm("A1", "P1", "PYMOD1", START)).unwrap();
    let args = ["127.0.0.1", &lab.mllp.to_string(), file.to_str().unwrap()];
    let said = peers::python_script("mllp_send.py", &args).success();
    assert!(said.stdout.contains("MSA|AA|MA1"), "{said}");
}

#[test]
fn ours_generates_and_sends() {
    let lab = Lab::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.hl7");
    let order = cli::hl7_generate(&[]).success().stdout;
    assert!(order.contains("ACC1001") && order.contains("DOE^JANE"), "{order}");
    std::fs::write(&file, order).unwrap();
    let sent = cli::hl7_send(lab.mllp, &file).success();
    assert!(sent.stdout.contains("AA"), "{sent}");
}
