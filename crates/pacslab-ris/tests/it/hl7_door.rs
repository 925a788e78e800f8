//! The HL7 door over real sockets.

use std::sync::Arc;
use std::time::Duration;

use pacslab_hl7::mllp::{Decoder, encode};
use pacslab_hl7::order::{Options, Sending, build_orm};
use pacslab_hl7::{Charset, Message, ack};
use pacslab_model::order::OrderControl;
use pacslab_model::{Moment, Outcome};
use pacslab_ris::mllp::{self, MllpClient, MllpSettings, SendError};
use pacslab_ris::{Hl7Inbox, events};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::support::*;

struct Door {
    lab: Lab,
    address: String,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Door {
    async fn open(settings: MllpSettings) -> Self {
        let lab = Lab::new();
        let inbox = Arc::new(Hl7Inbox::new(lab.ris.clone(), Options::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(mllp::serve(listener, inbox, settings, async {
            let _ = stopped.await;
        }));
        Self { lab, address, stop, served }
    }

    async fn client(&self) -> MllpClient {
        MllpClient::connect(&self.address, Duration::from_secs(20)).await.unwrap()
    }

    async fn close(self) -> Lab {
        let _ = self.stop.send(());
        tokio::time::timeout(Duration::from_secs(20), self.served).await.unwrap().unwrap();
        self.lab
    }
}

fn message(accession: &str, control: OrderControl, control_id: &str) -> String {
    let order = order(accession);
    let sending = Sending {
        app: "HIS".into(),
        facility: "HOSP".into(),
        receiving_app: "RIS".into(),
        receiving_facility: "PACSLAB".into(),
        version: "2.5".into(),
        control_id: control_id.into(),
        at: Moment::parse("2026-01-05T08:00", 3600).unwrap(),
        charset: Charset::UTF_8,
    };
    String::from_utf8(build_orm(&order, control, &sending).to_bytes()).unwrap()
}

fn new_order(accession: &str) -> String {
    message(accession, OrderControl::New, &format!("C{accession}"))
}

/// Reads answers until there are `count`, or the peer closes.
async fn answers(stream: &mut TcpStream, count: usize) -> Vec<ack::Ack> {
    let (mut decoder, mut answers, mut buffer) = (Decoder::default(), Vec::new(), [0; 4096]);
    while answers.len() < count {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer));
        let read = read.await.unwrap().unwrap_or(0);
        if read == 0 {
            break;
        }
        decoder.push(&buffer[..read]);
        for frame in decoder.by_ref() {
            answers.push(ack::parse(&Message::parse(&frame.unwrap().bytes).unwrap()).unwrap());
        }
    }
    answers
}

#[tokio::test]
async fn an_order_is_on_the_worklist_when_its_answer_comes() {
    let door = Door::open(MllpSettings::default()).await;
    let mut client = door.client().await;
    for n in 0..20 {
        let number = format!("ACC{n}");
        let answer = client.send(new_order(&number).as_bytes()).await.unwrap().ack;
        assert_eq!((answer.code, answer.control_id), (ack::AckCode::Accept, format!("C{number}")));
        assert!(door.lab.folder.path().join(format!("{number}.wl")).is_file());
        assert_eq!(found(door.lab.ris.worklist(), &accession(&number)), [number]);
    }
    let told = event(&door.lab.events, events::HL7_IN);
    assert_eq!((told.outcome, told.ids.accession.as_str()), (Outcome::Ok, "ACC0"));
    assert_eq!(told.raw.unwrap().as_ref(), new_order("ACC0").as_bytes());
    assert!(told.peer.starts_with("127.0.0.1:"), "{}", told.peer);

    // a status change that names no step is about all of them
    let done = message("ACC4", OrderControl::StatusChange, "DONE");
    let mut lines: Vec<String> = done.split('\r').map(str::to_owned).collect();
    for line in &mut lines {
        let mut fields: Vec<&str> = line.split('|').collect();
        match fields[0] {
            "ORC" => fields[5] = "CM",
            "OBR" => fields[20] = "",
            _ => {}
        }
        *line = fields.join("|");
    }
    assert!(client.send(lines.join("\r").as_bytes()).await.unwrap().ack.code.is_accepted());
    assert!(!door.lab.folder.path().join("ACC4.wl").exists());

    let cancel = message("ACC3", OrderControl::Cancel, "CANCEL");
    assert!(client.send(cancel.as_bytes()).await.unwrap().ack.code.is_accepted());
    assert!(!door.lab.folder.path().join("ACC3.wl").exists());
    drop(client);
    door.close().await;
}

#[tokio::test]
async fn what_is_wrong_is_named_by_field() {
    let door = Door::open(MllpSettings::default()).await;
    let mut client = door.client().await;
    let good = new_order("A1");
    let without = |segment: &str| -> String {
        let kept: Vec<&str> = good.split('\r').filter(|line| !line.starts_with(segment)).collect();
        kept.join("\r")
    };
    let charge = good.replace("ORM^O01^ORM_O01", "DFT^P03^DFT_P03");
    let unknown = good.replace("ORC|NW", "ORC|ZZ");
    let change = message("NOBODY", OrderControl::Change, "X1");
    let cases = [
        (without("PID"), "AE", "PID-3"),
        (charge, "AR", "MSH-9"),
        (unknown, "AE", "ORC-1"),
        (change, "AE", "OBR-18"),
        ("MSH|^~\\&|A".to_owned(), "AE", "MSH-9"),
    ];
    for (message, code, place) in cases {
        let answer = client.send(message.as_bytes()).await.unwrap().ack;
        assert_eq!(answer.code.as_str(), code, "{message}\n{answer:?}");
        assert!(answer.errors.iter().any(|error| error.place.starts_with(place)), "{answer:?}");
    }
    assert!(door.lab.files().is_empty());
    let told = event(&door.lab.events, events::HL7_IN);
    assert!(told.message.contains("PID-3"), "{}", told.message);
    // the connection has survived all that
    assert!(client.send(good.as_bytes()).await.unwrap().ack.code.is_accepted());
    drop(client);
    door.close().await;
}

#[tokio::test]
async fn a_message_sent_twice_is_answered_the_same_and_done_once() {
    let door = Door::open(MllpSettings::default()).await;
    let mut client = door.client().await;
    let first = client.send(new_order("A1").as_bytes()).await.unwrap();
    let again = client.send(new_order("A1").as_bytes()).await.unwrap();
    assert_eq!(first.bytes, again.bytes);
    // another message under the same control id is another message
    let other = message("A2", OrderControl::New, "CA1");
    assert!(client.send(other.as_bytes()).await.unwrap().ack.code.is_accepted());
    assert_eq!(door.lab.files(), ["A1.wl", "A2.wl"]);
    drop(client);
    door.close().await;
}

#[tokio::test]
async fn frames_may_come_together_or_in_pieces() {
    let door = Door::open(MllpSettings::default()).await;
    let mut stream = TcpStream::connect(&door.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut two = encode(new_order("T1").as_bytes());
    two.extend(encode(new_order("T2").as_bytes()));
    stream.write_all(&two).await.unwrap();
    let told = answers(&mut stream, 2).await;
    assert_eq!([&told[0].control_id, &told[1].control_id], ["CT1", "CT2"]);
    for piece in encode(new_order("T3").as_bytes()).chunks(37) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(answers(&mut stream, 1).await[0].control_id, "CT3");
    // a message without its end is not acted on
    let frame = encode(new_order("CUT").as_bytes());
    stream.write_all(&frame[..frame.len() - 2]).await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(answers(&mut stream, 1).await, []);
    let lab = door.close().await;
    assert_eq!(lab.files(), ["T1.wl", "T2.wl", "T3.wl"]);
    let told = event(&lab.events, events::HL7_CONNECTION);
    assert!(told.message.contains("without its end"), "{}", told.message);
}

#[tokio::test]
async fn what_is_not_mllp_is_told_and_disconnected() {
    let settings = MllpSettings { max_message: 10_000, ..MllpSettings::default() };
    let door = Door::open(settings).await;
    let large = encode(&vec![b'X'; 20_000]);
    let cases: [(&[u8], &str); 3] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP"),
        (&large, "10000 bytes"),
        (b"\x0bnonsense\x1c\r", "no HL7 message"),
    ];
    for (bytes, word) in cases {
        let mut stream = TcpStream::connect(&door.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        assert_eq!(answers(&mut stream, 1).await, [], "{word}");
        let told = event(&door.lab.events, events::HL7_CONNECTION);
        assert!(told.message.contains(word), "{word}: {}", told.message);
    }
    assert!(door.client().await.send(new_order("A1").as_bytes()).await.is_ok());
    door.close().await;
}

/// Two hundred connections that said nothing kept every order out for an hour.
#[tokio::test]
async fn for_one_connection_too_many_a_silent_one_is_closed() {
    let door = Door::open(MllpSettings { max_connections: 3, ..MllpSettings::default() }).await;
    let mut one = door.client().await;
    assert!(one.send(new_order("A1").as_bytes()).await.is_ok());
    let mut silent = TcpStream::connect(&door.address).await.unwrap();
    let mut half = TcpStream::connect(&door.address).await.unwrap();
    half.write_all(b"\x0bMSH|").await.unwrap();
    // the one with half a message has to be read before the next one comes
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut next = door.client().await;
    assert!(next.send(new_order("A2").as_bytes()).await.is_ok());
    assert_eq!(silent.read(&mut [0; 1]).await.unwrap_or(0), 0);
    let told = event(&door.lab.events, events::HL7_CONNECTION);
    assert!(told.message.contains("others need its place"), "{}", told.message);
    // who has spoken is kept before who has not, and who is in the middle of it before both
    let last = TcpStream::connect(&door.address).await.unwrap();
    let mut more = door.client().await;
    assert!(more.send(new_order("A3").as_bytes()).await.is_ok());
    assert!(next.send(new_order("A4").as_bytes()).await.is_ok());
    half.write_all(&new_order("A5").as_bytes()[4..]).await.unwrap();
    half.write_all(b"\x1c\r").await.unwrap();
    assert_eq!(answers(&mut half, 1).await.len(), 1);
    drop((one, last));
    door.close().await;
}

#[tokio::test]
async fn a_peer_that_stops_in_the_middle_is_left() {
    let door = Door::open(MllpSettings { message_seconds: 1, ..MllpSettings::default() }).await;
    let mut stream = TcpStream::connect(&door.address).await.unwrap();
    stream.write_all(b"\x0bMSH|").await.unwrap();
    assert_eq!(answers(&mut stream, 1).await, []);
    let told = event(&door.lab.events, events::HL7_CONNECTION);
    assert!(told.message.contains("did not come in 1 s"), "{}", told.message);
    door.close().await;
}

#[tokio::test]
async fn sending_tells_what_went_wrong() {
    let door = Door::open(MllpSettings::default()).await;
    let address = door.address.clone();
    let (clock, events) = (clock(), &door.lab.events.clone());
    let send = |message: String| {
        let (address, clock) = (address.clone(), clock.clone());
        async move {
            let wait = Duration::from_secs(20);
            mllp::send(&address, message.as_bytes(), wait, &*clock, &**events).await
        }
    };
    assert!(send(new_order("A1")).await.unwrap().ack.code.is_accepted());
    assert_eq!(event(events, pacslab_ris::events::HL7_OUT).outcome, Outcome::Ok);
    door.close().await;
    let error = send(new_order("A2")).await.unwrap_err();
    assert!(matches!(error, SendError::Connect { .. }), "{error}");
}
