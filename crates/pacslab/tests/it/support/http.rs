//! The smallest HTTP/1.1 client that will do: one request a connection, basic authentication.

use base64::Engine as _;
use std::io::{Read, Write};
use std::net::TcpStream;

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{} is no JSON ({e}): {}", self.status, self.text()))
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, 200, "{}\n{}", self.head, self.text());
        self
    }
}

/// As the user `orthanc` of a fresh lab (and of the Orthanc that tests start).
pub(crate) fn get(port: u16, path: &str) -> Response {
    request(port, "GET", path, Some("orthanc:orthanc"), &[], &[])
}

pub(crate) fn get_as(port: u16, path: &str, login: Option<&str>) -> Response {
    request(port, "GET", path, login, &[], &[])
}

pub(crate) fn get_accepting(port: u16, path: &str, accept: &str) -> Response {
    request(port, "GET", path, Some("orthanc:orthanc"), &[("Accept", accept)], &[])
}

pub(crate) fn post(port: u16, path: &str, kind: &str, body: &[u8]) -> Response {
    request(port, "POST", path, Some("orthanc:orthanc"), &[("Content-Type", kind)], body)
}

#[track_caller]
pub(crate) fn request(
    port: u16,
    method: &str,
    path: &str,
    login: Option<&str>,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    head += "Connection: close\r\n";
    if let Some(login) = login {
        let encoded = base64::engine::general_purpose::STANDARD.encode(login);
        head += &format!("Authorization: Basic {encoded}\r\n");
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    head += "\r\n";
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the HTTP port accepts");
    stream.set_read_timeout(Some(super::wait::PATIENCE)).expect("a timeout can be set");
    stream.write_all(head.as_bytes()).expect("the request is sent");
    // a server may refuse a body it does not want before it has read it
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    if let Err(e) = stream.read_to_end(&mut answer) {
        assert!(!answer.is_empty(), "no answer to {method} {path}: {e}");
    }
    parse(&answer)
}

#[track_caller]
fn parse(answer: &[u8]) -> Response {
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or_else(|| panic!("no HTTP: {}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let mut response = Response { status, head, body: answer[end + 4..].to_vec() };
    let chunked =
        response.header("Transfer-Encoding").is_some_and(|h| h.eq_ignore_ascii_case("chunked"));
    if chunked {
        response.body = unchunk(&response.body);
    }
    response
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&rest[..end]);
        let size = usize::from_str_radix(size.split(';').next().unwrap_or("").trim(), 16);
        let Ok(size @ 1..) = size else { break };
        let chunk = &rest[end + 2..];
        body.extend_from_slice(&chunk[..size.min(chunk.len())]);
        rest = chunk.get(size + 2..).unwrap_or_default();
    }
    body
}
