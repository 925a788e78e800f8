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
