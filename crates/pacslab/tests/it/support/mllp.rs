//! A raw MLLP client, and the orders that the tests place. HL7 v2.5.1 chapter 4; framing as in
//! the MLLP specification, release 1.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends one message on a connection of its own and returns the acknowledgement.
#[track_caller]
pub(crate) fn exchange(port: u16, message: &[u8]) -> String {
    Connection::open(port).exchange(message)
}

#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl Connection {
    #[track_caller]
    pub(crate) fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the MLLP port accepts");
        stream.set_read_timeout(Some(super::wait::PATIENCE)).expect("a timeout can be set");
        Self(stream)
    }

    #[track_caller]
    pub(crate) fn exchange(&mut self, message: &[u8]) -> String {
        let mut frame = vec![0x0b];
        frame.extend_from_slice(message);
        frame.extend_from_slice(&[0x1c, 0x0d]);
        self.send_raw(&frame);
        self.read_frame()
    }

    /// The same, where the other side may be gone: `None` without a whole answer.
    pub(crate) fn try_exchange(&mut self, message: &[u8]) -> Option<String> {
        let frame = [&[0x0b], message, &[0x1c, 0x0d]].concat();
        self.0.write_all(&frame).ok()?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(&[0x1c, 0x0d]) {
            match self.0.read(&mut byte) {
                Ok(1..) => answer.push(byte[0]),
                Ok(0) | Err(_) => return None,
            }
        }
        Some(String::from_utf8_lossy(&answer[1..answer.len() - 2]).into_owned())
    }

    #[track_caller]
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the MLLP port takes bytes");
    }

    /// The next frame, without its framing.
    #[track_caller]
    pub(crate) fn read_frame(&mut self) -> String {
        let mut frame = Vec::new();
        let mut byte = [0];
        while !frame.ends_with(&[0x1c, 0x0d]) {
            match self.0.read(&mut byte) {
                Ok(1..) => frame.push(byte[0]),
                Ok(0) => panic!("connection closed after {:?}", String::from_utf8_lossy(&frame)),
                Err(e) => panic!("no answer over MLLP: {e}"),
            }
        }
        assert_eq!(frame[0], 0x0b, "a frame starts with VT");
        String::from_utf8_lossy(&frame[1..frame.len() - 2]).into_owned()
    }

    /// Whether the other side has hung up.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0) | Err(_))
    }
}

/// ORM^O01 for a new CT of the chest: the order of the demo for somebody else.
pub(crate) fn orm(accession: &str, patient: &str, station: &str, start: &str) -> String {
    [
        format!(
            "MSH|^~\\&|RIS|HOSP|PACSLAB|LAB|20260105083000||ORM^O01^ORM_O01|M{accession}|P|2.5"
        ),
        format!("PID|1||{patient}^^^HOSP||DOE^JANE||19800101|F"),
        "PV1|1|O".to_string(),
        format!("ORC|NW|{accession}|{accession}||SC||1^Once^^{start}^^R"),
        format!(
            "OBR|1|{accession}|{accession}|CTCHW^CT CHEST W CONTRAST^99PACSLAB|||||||||||||\
             |{accession}|RP{accession}|SPS{accession}|{station}|||CT|||1^Once^^{start}^^R||||\
             |||||{start}"
        ),
    ]
    .join("\r")
        + "\r"
}

/// Field of the first segment with this name: `field(ack, "MSA", 1)`.
pub(crate) fn field<'a>(message: &'a str, segment: &str, number: usize) -> &'a str {
    let line = message.split('\r').find(|line| line.starts_with(segment)).unwrap_or_default();
    // MSH-1 is the separator itself, so MSH's fields sit one place to the left
    let at = if segment == "MSH" { number - 1 } else { number };
    line.split('|').nth(at).unwrap_or_default()
}
