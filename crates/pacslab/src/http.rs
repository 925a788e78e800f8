//! A small HTTP/1.1 client over tokio: one request a connection, basic authentication, answers of
//! known length, chunked or until the end. RFC 9110, RFC 9112.
//!
//! What is asked is our own server or an Orthanc: no redirects, no proxies, no compression. Bodies
//! are read piece by piece, so that events can be followed while they happen.

use std::time::Duration;

use base64::Engine;
use pacslab_http::Connection;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::bracketed;
use crate::exit::{Failure, Result};
use crate::tls::{Caller, Files};

/// Headers longer than this are nobody's.
const MAX_HEAD: u64 = 64 * 1024;
/// A body that is collected whole; events are followed piece by piece instead.
const MAX_BODY: usize = 256 * 1024 * 1024;

/// A server and how to log in.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    host: String,
    port: u16,
    /// Path in front of all paths, without a slash at its end.
    base: String,
    authorization: Option<String>,
    timeout: Duration,
    /// Where DICOMweb is found, below `base`.
    dicom_web: String,
    /// `https://`
    tls: bool,
    /// What is shown and trusted there.
    files: Files,
}

impl Server {
    /// `url` as `http[s]://host[:port][/path]`, `login` as `user:password`.
    pub(crate) fn new(url: &str, login: Option<&str>, timeout: Duration) -> Result<Self> {
        let wrong = |why: &str| Failure::usage(format!("'{url}' is no usable address: {why}"));
        let (rest, tls) = match url.split_once("://") {
            Some(("http", rest)) => (rest, false),
            Some(("https", rest)) => (rest, true),
            Some((scheme, _)) => {
                return Err(wrong(&format!("{scheme}:// is not spoken"))
                    .hint("use http:// or https://, e.g. http://localhost:8042"));
            }
            None => (url, false),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let usual = if tls { 443 } else { 80 };
        let has_port = authority.rsplit(':').next().is_some_and(|p| p.parse::<u16>().is_ok());
        let full = if has_port { authority.to_owned() } else { format!("{authority}:{usual}") };
        let (host, port) = crate::config::read_address(&full).map_err(|why| wrong(&why))?;
        if host.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(wrong("a host has no spaces"));
        }
        let base = path.trim_end_matches('/');
        Ok(Self {
            host,
            port,
            base: if base.is_empty() { String::new() } else { format!("/{base}") },
            authorization: login.map(|login| base64::prelude::BASE64_STANDARD.encode(login)),
            timeout,
            dicom_web: "/dicom-web".to_owned(),
            tls,
            files: Files::default(),
        })
    }

    /// DICOMweb is somewhere else than our server and Orthanc have it.
    pub(crate) fn with_dicom_web(self, root: &str) -> Self {
        Self { dicom_web: format!("/{}", root.trim_matches('/')), ..self }
    }

    /// `/dicom-web`
    pub(crate) fn dicom_web(&self) -> &str {
        &self.dicom_web
    }

    /// What is shown and trusted over `https://`.
    #[must_use]
    pub(crate) fn trusting(self, files: Files) -> Self {
        Self { files, ..self }
    }

    /// For requests that take long.
    pub(crate) fn patiently(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Path in front of all paths, without a slash at its end.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// How long an answer may take.
    pub(crate) fn patience(&self) -> Duration {
        self.timeout
    }

    /// The header fields that are the same in each request.
    pub(crate) fn fields(&self) -> String {
        let authorization = match &self.authorization {
            Some(word) => format!("Authorization: Basic {word}\r\n"),
            None => String::new(),
        };
        let (host, port, version) = (bracketed(&self.host), self.port, env!("CARGO_PKG_VERSION"));
        format!("Host: {host}:{port}\r\n{authorization}User-Agent: pacslab/{version}\r\n")
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}:{}{}", bracketed(&self.host), self.port, self.base)
    }

    /// The whole body; anything but 200 to 299 is a failure.
    pub(crate) async fn get(&self, path: &str, accept: &str) -> Result<Vec<u8>> {
        let request = Request { accept, ..Request::new("GET", path) };
        let (head, body) = self.request(&request).await?;
        let body = self.collect(path, body).await?;
        head.check(self, path, &body)?;
        Ok(body)
    }

    /// Sends a body (media type and bytes), or none; the answer is told whatever its status is.
    pub(crate) async fn ask(
        &self,
        method: &'static str,
        path: &str,
        body: Option<(&str, &[u8])>,
    ) -> Result<Answer> {
        let request = Request { body, ..Request::new(method, path) };
        let (head, body) = self.request(&request).await?;
        let body = self.collect(path, body).await?;
        Ok(Answer { url: self.url(), path: path.to_owned(), head, body })
    }

    /// Sends the request and reads the head of the answer; the body is left to the caller.
    pub(crate) async fn open(&self, path: &str, accept: &str) -> Result<Body> {
        let request = Request { accept, ..Request::new("GET", path) };
        let (head, mut body) = self.request(&request).await?;
        if !head.is_success() {
            let why = timeout(self.timeout, body.next()).await;
            let why = why.ok().and_then(std::result::Result::ok).flatten().unwrap_or_default();
            head.check(self, path, &why)?;
        }
        Ok(body)
    }

    /// Opens a connection; `path` is what it is for.
    pub(crate) async fn dial(&self, path: &str) -> Result<Box<dyn Connection>> {
        let connect = TcpStream::connect((self.host.as_str(), self.port));
        let stream = timeout(self.timeout, connect).await.map_err(|_| self.silent(path))?.map_err(
            |error| {
                Failure::network(format!("no connection to {}: {error}", self.url()))
                    .hint("is `pacslab serve` running? start it, or name the server")
            },
        )?;
        // a request leaves in one write; nothing is gained by waiting for more
        let _ = stream.set_nodelay(true);
        Ok(match self.tls {
            false => Box::new(stream),
            true => {
                let caller = Caller::new(self.files.clone());
                let called = timeout(self.timeout, caller.call(&self.host, stream)).await;
                Box::new(called.map_err(|_| self.silent(path))?.map_err(|failure| Failure {
                    message: format!("no TLS with {}: {}", self.url(), failure.message),
                    ..failure
                })?)
            }
        })
    }

    async fn request(&self, request: &Request<'_>) -> Result<(Head, Body)> {
        let path = request.path;
        let stream = self.dial(path).await?;
        timeout(self.timeout, self.exchange(stream, request))
            .await
            .map_err(|_| self.silent(path))?
            .map_err(|error| self.broken(path, &error))
    }

    async fn collect(&self, path: &str, mut body: Body) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = timeout(self.timeout, body.next())
            .await
            .map_err(|_| self.silent(path))?
            .map_err(|error| self.broken(path, &error))?
        {
            all.extend_from_slice(&piece);
            if all.len() > MAX_BODY {
                let limit = MAX_BODY >> 20;
                return Err(Failure::failed(format!("{path} is longer than {limit} MiB")));
            }
        }
        Ok(all)
    }

    async fn exchange(
        &self,
        mut stream: Box<dyn Connection>,
        asked: &Request<'_>,
    ) -> std::io::Result<(Head, Body)> {
        let Request { method, path, accept, body } = asked;
        let content = match body {
            Some((kind, bytes)) => {
                format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len())
            }
            // a POST without a body says so, or some servers wait for one
            None if *method != "GET" => "Content-Length: 0\r\n".to_owned(),
            None => String::new(),
        };
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\n{}Accept: {accept}\r\n{content}Connection: close\r\n\r\n",
            self.base,
            self.fields(),
        );
        let mut message = request.into_bytes();
        if let Some((_, bytes)) = body {
            message.extend_from_slice(bytes);
        }
        stream.write_all(&message).await?;
        let mut reader = BufReader::new(stream);
        // the alert of a TLS server that got no TLS
        if reader.fill_buf().await?.starts_with(&[0x15, 3]) {
            return Err(invalid("it speaks TLS on this port: use https://".to_owned()));
        }
        let mut head = (&mut reader).take(MAX_HEAD);
        let status_line = line(&mut head).await?;
        let mut words = status_line.splitn(3, ' ');
        let status = match (words.next(), words.next().map(str::parse)) {
            (Some(version), Some(Ok(status))) if version.starts_with("HTTP/1.") => status,
            _ => return Err(invalid(format!("'{status_line}' is no status line of HTTP/1.1"))),
        };
        let reason = words.next().unwrap_or_default().to_owned();
        let (mut length, mut fields) = (Length::UntilEnd, Vec::new());
        loop {
            let field = line(&mut head).await?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':').unwrap_or((&field, ""));
            let value = value.trim();
            if name.eq_ignore_ascii_case("transfer-encoding") {
                length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("content-length") && length == Length::UntilEnd {
                let count =
                    value.parse().map_err(|_| invalid(format!("Content-Length {value}")))?;
                length = Length::Known(count);
            }
            fields.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let login = self.authorization.is_some();
        Ok((Head { status, reason, login, fields }, Body { reader, length }))
    }

    fn silent(&self, path: &str) -> Failure {
        let seconds = self.timeout.as_secs_f32();
        Failure::network(format!("{} said nothing to {path} for {seconds} s", self.url()))
    }

    fn broken(&self, path: &str, error: &std::io::Error) -> Failure {
        Failure::network(format!("the answer of {} to {path} broke off: {error}", self.url()))
    }
}

#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    method: &'static str,
    path: &'a str,
    accept: &'a str,
    /// Media type and bytes.
    body: Option<(&'a str, &'a [u8])>,
}

impl<'a> Request<'a> {
    fn new(method: &'static str, path: &'a str) -> Self {
        Self { method, path, accept: "application/json", body: None }
    }
}

#[derive(Debug, Clone)]
struct Head {
    status: u16,
    reason: String,
    /// The request had one.
    login: bool,
    /// Names in lower case.
    fields: Vec<(String, String)>,
}

impl Head {
    fn is_success(&self) -> bool {
        (200..=299).contains(&self.status)
    }

    fn check(&self, server: &Server, path: &str, body: &[u8]) -> Result<()> {
        self.check_named(&server.url(), path, body)
    }

    fn check_named(&self, url: &str, path: &str, body: &[u8]) -> Result<()> {
        let Self { status, reason, login, .. } = self;
        match status {
            200..=299 => Ok(()),
            401 if *login => {
                Err(Failure::failed(format!("{url} does not accept the login for {path}"))
                    .hint("check name and password of --login NAME:PASSWORD"))
            }
            401 => Err(Failure::failed(format!("{url} wants a login for {path}"))
                .hint("give one with --login NAME:PASSWORD")),
            _ => {
                let why = reason_in(body);
                let text = format!("{url} answered {status} {reason} to {path}");
                Err(Failure::failed(if why.is_empty() { text } else { format!("{text}: {why}") }))
            }
        }
    }
}

/// An answer with its whole body.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    url: String,
    path: String,
    head: Head,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status
    }

    /// A field of the head; its name in lower case.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.head.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The body of a success; anything but 200 to 299 is a failure.
    pub(crate) fn success(self) -> Result<Vec<u8>> {
        self.head.check_named(&self.url, &self.path, &self.body)?;
        Ok(self.body)
    }

    /// The JSON of a success.
    pub(crate) fn json(self) -> Result<serde_json::Value> {
        let (url, path) = (self.url.clone(), self.path.clone());
        let body = self.success()?;
        serde_json::from_slice(&body).map_err(|error| {
            Failure::failed(format!("{url} answered {path} with no JSON: {error}"))
        })
    }
}

/// A body that is still arriving.
pub(crate) struct Body {
    reader: BufReader<Box<dyn Connection>>,
    length: Length,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Known(u64),
    Chunked,
    UntilEnd,
    Over,
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        match self.length {
            Length::Over | Length::Known(0) => Ok(None),
            Length::Known(left) => {
                let piece = self.piece(left).await?;
                self.length = Length::Known(left - piece.len() as u64);
                if piece.is_empty() {
                    return Err(invalid(format!("{left} bytes are missing at the end")));
                }
                Ok(Some(piece))
            }
            Length::UntilEnd => {
                let piece = self.piece(64 * 1024).await?;
                Ok((!piece.is_empty()).then_some(piece))
            }
            Length::Chunked => {
                let size = line(&mut (&mut self.reader).take(MAX_HEAD)).await?;
                let digits = size.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16)
                    .ok()
                    .filter(|size| *size <= MAX_BODY)
                    .ok_or_else(|| invalid(format!("'{digits}' is no size of a chunk")))?;
                let mut chunk = Vec::new();
                (&mut self.reader).take(size as u64).read_to_end(&mut chunk).await?;
                if chunk.len() < size {
                    return Err(invalid("a chunk is cut short".to_owned()));
                }
                line(&mut (&mut self.reader).take(MAX_HEAD)).await?;
                if size == 0 {
                    self.length = Length::Over;
                    return Ok(None);
                }
                Ok(Some(chunk))
            }
        }
    }

    async fn piece(&mut self, most: u64) -> std::io::Result<Vec<u8>> {
        let mut piece = Vec::with_capacity(most.min(64 * 1024) as usize);
        (&mut self.reader).take(most).read_buf(&mut piece).await?;
        Ok(piece)
    }
}

/// Why, as the body of a refusal says it: the words of Orthanc's and our error objects, else the
/// beginning of the text.
pub(crate) fn reason_in(body: &[u8]) -> String {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let told = json.as_ref().and_then(|json| {
        ["Details", "Message"].iter().find_map(|key| json.get(key)?.as_str().map(str::to_owned))
    });
    let text = told.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
    crate::output::printable(text.trim()).chars().take(200).collect()
}

/// One line without its end.
async fn line(reader: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<String> {
    let mut text = Vec::new();
    reader.read_until(b'\n', &mut text).await?;
    if text.last() != Some(&b'\n') {
        return Err(invalid("a line without end".to_owned()));
    }
    Ok(String::from_utf8_lossy(&text).trim_end().to_owned())
}

fn invalid(why: String) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why)
}

/// Percent-encoding of one value in a query. RFC 3986 2.1.
pub(crate) fn encode(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with `answer` and returns the request.
    async fn ask(answer: &'static str) -> (Result<Vec<u8>>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request[..n].to_vec()).unwrap()
        });
        let client = Server::new(&url, Some("a:b"), Duration::from_secs(5)).unwrap();
        let result = client.get("/studies?x=1", "application/json").await;
        (result, server.await.unwrap())
    }

    #[tokio::test]
    async fn bodies_of_all_lengths_are_read() {
        for answer in [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            let (result, request) = ask(answer).await;
            assert_eq!(result.unwrap(), b"hello", "{answer}");
            assert!(request.starts_with("GET /base/studies?x=1 HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("Authorization: Basic YTpi\r\n"), "{request}");
        }
    }

    #[tokio::test]
    async fn refusals_and_broken_answers_are_told() {
        let cases = [
            ("HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nno such", "404 Not Found"),
            ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "login"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello", "broke off"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no size of a chunk"),
            ("SSH-2.0-OpenSSH\r\n", "no status line"),
            ("", "broke off"),
        ];
        for (answer, word) in cases {
            let error = ask(answer).await.0.unwrap_err();
            assert!(error.message.contains(word), "{answer}: {}", error.message);
        }
    }

    #[test]
    fn addresses_and_values_are_checked() {
        let url = |text| Server::new(text, None, Duration::from_secs(1)).map(|s| s.url());
        assert_eq!(
            url("http://localhost:8042/dicom-web/").unwrap(),
            "http://localhost:8042/dicom-web"
        );
        assert_eq!(url("localhost:8042").unwrap(), "http://localhost:8042");
        assert_eq!(url("http://pacs").unwrap(), "http://pacs:80");
        assert_eq!(url("https://pacs").unwrap(), "https://pacs:443");
        assert_eq!(url("https://[::1]:8042").unwrap(), "https://[::1]:8042");
        assert!(url("ftp://pacs").unwrap_err().hint.is_some());
        assert_eq!(encode("A B&c/ä"), "A%20B%26c%2F%C3%A4");
    }
}
