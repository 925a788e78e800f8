//! The DICOM upper layer written out by hand (PS3.8 section 9.3, PS3.7 section 6.3): a client
//! that shares no code with the one under test and can send what no sane client would.

use super::wait;
use std::io::{self, Read, Write};
use std::net::TcpStream;

pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const CT_IMAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
const IMPLICIT_LE: &str = "1.2.840.10008.1.2";
const EXPLICIT_LE: &str = "1.2.840.10008.1.2.1";

/// PDU types.
pub(crate) const ASSOCIATE_AC: u8 = 0x02;
pub(crate) const ASSOCIATE_RJ: u8 = 0x03;
pub(crate) const P_DATA: u8 = 0x04;
pub(crate) const ABORT: u8 = 0x07;

/// An established association with three contexts: 1 Verification, 3 CT Image Storage (both
/// implicit VR), 5 CT Image Storage (explicit VR).
#[derive(Debug)]
pub(crate) struct Association {
    stream: TcpStream,
}

impl Association {
    #[track_caller]
    pub(crate) fn request(port: u16) -> Self {
        let contexts = [
            (1, VERIFICATION, IMPLICIT_LE),
            (3, CT_IMAGE, IMPLICIT_LE),
            (5, CT_IMAGE, EXPLICIT_LE),
        ];
        Self::offer(port, &associate_rq(1, &contexts))
    }

    /// One on which 16 operations may be under way at a time (PS3.7 D.3.3.3), with context 3.
    #[track_caller]
    pub(crate) fn windowed(port: u16) -> Self {
        let window = item(0x53, &[0, 16, 0, 1]);
        Self::offer(port, &associate_rq_with(1, &[(3, CT_IMAGE, IMPLICIT_LE)], &window))
    }

    /// One for a single SOP class in implicit VR, as context 1.
    #[track_caller]
    pub(crate) fn of(port: u16, class: &str) -> Self {
        Self::offer(port, &associate_rq(1, &[(1, class, IMPLICIT_LE)]))
    }

    #[track_caller]
    fn offer(port: u16, request: &[u8]) -> Self {
        let mut stream = connect(port);
        stream.write_all(request).expect("the request is sent");
        let (kind, _) = read_pdu(&mut stream).expect("an answer to A-ASSOCIATE-RQ");
        assert_eq!(kind, ASSOCIATE_AC, "the association is accepted");
        Self { stream }
    }

    /// Cuts the connection, for the twin as well.
    pub(crate) fn close(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// The other half, for a thread that only reads.
    pub(crate) fn twin(&self) -> Self {
        Self { stream: self.stream.try_clone().expect("a socket can be shared") }
    }

    #[track_caller]
    pub(crate) fn echo(&mut self) {
        let command = command_set(&[
            (0x0002, Field::Uid(VERIFICATION)),
            (0x0100, Field::Us(0x0030)),
            (0x0110, Field::Us(1)),
            (0x0800, Field::Us(0x0101)),
        ]);
        self.send_command(1, &command);
        assert_eq!(self.status(), Some(0x0000), "C-ECHO is answered with success");
    }

    /// C-STORE of any bytes as data set; returns the status, or `None` when it was aborted.
    pub(crate) fn store(&mut self, context: u8, instance: &str, data_set: &[u8]) -> Option<u16> {
        self.send_command(context, &store_rq(CT_IMAGE, instance));
        // a peer that aborts half way stops reading; then the answer says so
        for (at, part) in data_set.chunks(16_000).enumerate() {
            let last = (at + 1) * 16_000 >= data_set.len();
            let sent = self.stream.write_all(&p_data(context, false, last, part));
            if sent.is_err() {
                break;
            }
        }
        self.status()
    }

    pub(crate) fn send_command(&mut self, context: u8, command: &[u8]) {
        let _ = self.stream.write_all(&p_data(context, true, true, command));
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Type of the next PDU; `None` when the connection is closed instead.
    pub(crate) fn next_pdu(&mut self) -> Option<u8> {
        read_pdu(&mut self.stream).ok().map(|(kind, _)| kind)
    }

    /// Status (0000,0900) of the next response.
    pub(crate) fn status(&mut self) -> Option<u16> {
        let (kind, body) = read_pdu(&mut self.stream).ok()?;
        if kind != P_DATA {
            return None;
        }
        // length (4), context (1), control (1), then the command set
        let wanted = [0x00, 0x00, 0x00, 0x09, 0x02, 0x00, 0x00, 0x00];
        let at = body.windows(8).position(|window| window == wanted)? + 8;
        Some(u16::from_le_bytes([*body.get(at)?, *body.get(at + 1)?]))
    }
}

#[track_caller]
pub(crate) fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("the DICOM port accepts");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("a socket option can be set");
    stream
}

/// Type and body of one PDU.
pub(crate) fn read_pdu(stream: &mut TcpStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 6];
    stream.read_exact(&mut head)?;
    let length = u32::from_be_bytes([head[2], head[3], head[4], head[5]]);
    let mut body = vec![0; usize::try_from(length).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    Ok((head[0], body))
}

/// A-ASSOCIATE-RQ (PS3.8 9.3.2) proposing contexts of one transfer syntax each.
pub(crate) fn associate_rq(version: u16, contexts: &[(u8, &str, &str)]) -> Vec<u8> {
    associate_rq_with(version, contexts, &[])
}

/// Takes an association whose first context is accepted, in implicit VR.
#[track_caller]
pub(crate) fn accept(listener: &std::net::TcpListener) -> TcpStream {
    accept_context(listener, 1)
}

/// The same with another context.
#[track_caller]
pub(crate) fn accept_context(listener: &std::net::TcpListener, id: u8) -> TcpStream {
    let (mut stream, _) = listener.accept().expect("somebody calls");
    stream.set_read_timeout(Some(wait::PATIENCE)).expect("a timeout can be set");
    let (_, request) = read_pdu(&mut stream).expect("an A-ASSOCIATE-RQ");
    let mut body = request[..68].to_vec();
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    let mut context = vec![id, 0, 0, 0];
    context.extend(item(0x40, IMPLICIT_LE.as_bytes()));
    body.extend(item(0x21, &context));
    let mut user = item(0x51, &16_384_u32.to_be_bytes());
    user.extend(item(0x52, b"2.25.190129486241"));
    body.extend(item(0x50, &user));
    stream.write_all(&pdu(ASSOCIATE_AC, &body)).expect("the answer is sent");
    stream
}

/// The same with more items of user information.
fn associate_rq_with(version: u16, contexts: &[(u8, &str, &str)], items: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(b"PACSLAB         PROBE           ");
    body.extend([0; 32]);
    body.extend(item(0x10, b"1.2.840.10008.3.1.1.1"));
    for (id, abstract_syntax, transfer_syntax) in contexts {
        let mut context = vec![*id, 0, 0, 0];
        context.extend(item(0x30, abstract_syntax.as_bytes()));
        context.extend(item(0x40, transfer_syntax.as_bytes()));
        body.extend(item(0x20, &context));
    }
    let mut user = item(0x51, &16_384_u32.to_be_bytes());
    user.extend(item(0x52, b"2.25.190129486241"));
    user.extend(items);
    body.extend(item(0x50, &user));
    pdu(0x01, &body)
}

pub(crate) fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("tests send small PDUs");
    let mut pdu = vec![kind, 0];
    pdu.extend(length.to_be_bytes());
    pdu.extend(body);
    pdu
}

/// P-DATA-TF with one PDV.
pub(crate) fn p_data(context: u8, command: bool, last: bool, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() + 2).expect("tests send small PDVs");
    let mut body = length.to_be_bytes().to_vec();
    body.extend([context, u8::from(command) | u8::from(last) << 1]);
    body.extend(bytes);
    pdu(P_DATA, &body)
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("tests send small items");
    let mut item = vec![kind, 0];
    item.extend(length.to_be_bytes());
    item.extend(body);
    item
}

pub(crate) enum Field<'a> {
    Uid(&'a str),
    Us(u16),
}

/// A command set (implicit VR, group 0000) from element numbers and values.
pub(crate) fn command_set(fields: &[(u16, Field<'_>)]) -> Vec<u8> {
    let mut elements = Vec::new();
    for (number, field) in fields {
        let value = match field {
            Field::Uid(text) => padded(text),
            Field::Us(number) => number.to_le_bytes().to_vec(),
        };
        elements.extend(element(0x0000, *number, &value));
    }
    let length = u32::try_from(elements.len()).expect("tests send small commands");
    let mut command = element(0x0000, 0x0000, &length.to_le_bytes());
    command.extend(elements);
    command
}

pub(crate) fn store_rq(class: &str, instance: &str) -> Vec<u8> {
    command_set(&[
        (0x0002, Field::Uid(class)),
        (0x0100, Field::Us(0x0001)),
        (0x0110, Field::Us(7)),
        (0x0700, Field::Us(0)),
        (0x0800, Field::Us(0x0001)),
        (0x1000, Field::Uid(instance)),
    ])
}

/// One element in implicit VR little endian.
pub(crate) fn element(group: u16, number: u16, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("tests send small elements");
    let mut element = [group.to_le_bytes(), number.to_le_bytes()].concat();
    element.extend(length.to_le_bytes());
    element.extend(value);
    element
}

/// A UID of even length (PS3.5 9.1).
pub(crate) fn padded(text: &str) -> Vec<u8> {
    let mut value = text.as_bytes().to_vec();
    if value.len() % 2 == 1 {
        value.push(0);
    }
    value
}
