//! An HTTP/1.1 connection that stays open from one request to the next. RFC 9112 9.3.
//!
//! The client of the other commands opens one connection a request, which is right for them and
//! would measure connecting here.

use std::io;

use pacslab_http::Connection;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use super::runner::Fault;
use crate::http::Server;
use crate::import::Pieces;

/// No head or body of an answer is longer.
const MOST: u64 = 256 << 20;

pub(crate) struct Web {
    server: Server,
    /// Host, login and what else is the same in each request.
    fields: String,
    stream: BufReader<Box<dyn Connection>>,
    request: Vec<u8>,
    body: Vec<u8>,
    /// The server closes after this answer.
    closing: bool,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    /// Below the server's base.
    pub(crate) path: &'a str,
    pub(crate) accept: &'a str,
    /// Media type and bytes.
    pub(crate) body: Option<(&'a str, &'a [u8])>,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Web {
    pub(crate) async fn open(server: &Server) -> Result<Self, Fault> {
        let stream = server.dial("/").await.map_err(|failure| Fault {
            kind: "no connection".to_owned(),
            ..Fault::from(failure)
        })?;
        Ok(Self {
            fields: server.fields(),
            server: server.clone(),
            stream: BufReader::with_capacity(64 << 10, stream),
            request: Vec::new(),
            body: Vec::new(),
            closing: false,
        })
    }

    /// Status and body of the answer, whole.
    pub(crate) async fn ask(&mut self, asked: Asked<'_>) -> Result<(u16, &[u8]), Fault> {
        if self.closing {
            *self = Self::open(&self.server).await?;
        }
        let limit = self.server.patience();
        let answer = tokio::time::timeout(limit, self.exchange(asked)).await;
        let broken = |error: io::Error| {
            let detail = format!("{} {}: {error}", asked.method, asked.path);
            Fault::wrong("HTTP connection broken").detail(detail).fatal()
        };
        let status = answer.map_err(|_| Fault::wrong("timeout").fatal())?.map_err(broken)?;
        Ok((status, &self.body))
    }

    async fn exchange(&mut self, asked: Asked<'_>) -> io::Result<u16> {
        let Asked { method, path, accept, body } = asked;
        let (base, fields) = (self.server.base(), &self.fields);
        let mut head = format!("{method} {base}{path} HTTP/1.1\r\n{fields}Accept: {accept}\r\n");
        if let Some((kind, bytes)) = body {
            head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", bytes.len());
        }
        head += "\r\n";
        self.request.clear();
        self.request.extend_from_slice(head.as_bytes());
        if let Some((_, bytes)) = body {
            self.request.extend_from_slice(bytes);
        }
        self.stream.get_mut().write_all(&self.request).await?;
        self.stream.get_mut().flush().await?;
        self.answer().await
    }

    /// The same with a body of so many bytes that is read while it is sent. An answer may take as
    /// long as ever, and so may each piece.
    pub(crate) async fn upload(
        &mut self,
        asked: Asked<'_>,
        length: u64,
        pieces: &mut Pieces,
    ) -> Result<(u16, &[u8]), Fault> {
        if self.closing {
            *self = Self::open(&self.server).await?;
        }
        let Asked { method, path, accept, body } = asked;
        let (base, fields) = (self.server.base(), &self.fields);
        let kind = body.map_or("application/octet-stream", |(kind, _)| kind);
        let mut piece = format!(
            "{method} {base}{path} HTTP/1.1\r\n{fields}Accept: {accept}\r\n\
             Content-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes();
        let limit = self.server.patience();
        let broken = |error: io::Error| {
            Fault::wrong("HTTP connection broken")
                .detail(format!("{method} {path}: {error}"))
                .fatal()
        };
        let slow = |_| Fault::wrong("timeout").detail(format!("{path}: no answer")).fatal();
        let mut left = length;
        loop {
            let written = tokio::time::timeout(limit, self.stream.get_mut().write_all(&piece));
            // one that has answered already may not listen any more
            if written.await.map_err(slow)?.is_err() {
                self.closing = true;
                break;
            }
            piece = pieces.next().await.map_err(broken)?;
            if piece.is_empty() {
                break;
            }
            left = left
                .checked_sub(piece.len() as u64)
                .ok_or_else(|| broken(invalid("the file grew meanwhile")))?;
        }
        if left > 0 && !self.closing {
            return Err(broken(invalid("the file became shorter meanwhile")));
        }
        let flushed = tokio::time::timeout(limit, self.stream.get_mut().flush()).await;
        if flushed.map_err(slow)?.is_err() {
            self.closing = true;
        }
        let closing = self.closing;
        let answer = tokio::time::timeout(limit, self.answer()).await;
        let status = answer.map_err(slow)?.map_err(broken)?;
        self.closing |= closing;
        Ok((status, &self.body))
    }

    async fn answer(&mut self) -> io::Result<u16> {
        let first = self.line().await?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status: u16 = status.ok_or_else(|| invalid("no status line of HTTP/1.1"))?;
        self.closing = first.starts_with("HTTP/1.0");
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => {
                    length = Some(value.parse().map_err(|_| invalid("no Content-Length"))?);
                }
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" if value.eq_ignore_ascii_case("close") => self.closing = true,
                "connection" if value.eq_ignore_ascii_case("keep-alive") => self.closing = false,
                _ => {}
            }
        }
        self.body.clear();
        match length {
            _ if chunked => self.chunks().await?,
            _ if status == 204 || status == 304 => {}
            Some(length) => self.piece(length).await?,
            None => {
                self.closing = true;
                (&mut self.stream).take(MOST).read_to_end(&mut self.body).await?;
            }
        }
        Ok(status)
    }

    async fn chunks(&mut self) -> io::Result<()> {
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim();
            let size =
                u64::from_str_radix(digits, 16).map_err(|_| invalid("no size of a chunk"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.piece(size).await?;
            self.line().await?;
        }
    }

    async fn piece(&mut self, length: u64) -> io::Result<()> {
        let before = self.body.len() as u64;
        if before + length > MOST {
            return Err(invalid("an answer of more than 256 MB"));
        }
        (&mut self.stream).take(length).read_to_end(&mut self.body).await?;
        match self.body.len() as u64 - before {
            read if read == length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(64 << 10).read_until(b'\n', &mut line).await?;
        if line.last() != Some(&b'\n') {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// An answer of HTTP that is no success; some say that the server does not do this at all.
pub(crate) fn refused(what: &str, status: u16, body: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
    let text: String = crate::output::printable(text.trim());
    let fault = Fault::wrong(format!("{what} status {status}"))
        .detail(format!("{what} was answered with HTTP status {status}: {text}"));
    match status {
        401 | 403 | 404 | 405 | 406 | 415 | 501 => fault.not_offered(),
        _ => fault,
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn one_connection_carries_many_answers() {
        let answers = [
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
            "HTTP/1.0 200 OK\r\n\r\nhello",
        ];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let mut accepted = 0;
            let mut stream = None;
            for answer in answers {
                let stream = match &mut stream {
                    Some(stream) => stream,
                    none => {
                        accepted += 1;
                        none.insert(BufReader::new(listener.accept().await.unwrap().0))
                    }
                };
                let mut request = String::new();
                while !request.ends_with("\r\n\r\n") {
                    stream.read_line(&mut request).await.unwrap();
                }
                assert!(request.starts_with("GET /base/x HTTP/1.1\r\n"), "{request}");
                assert!(request.contains("Authorization: Basic YTpi\r\n"), "{request}");
                stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
                if answer.contains("close") {
                    // as it said
                    accepted += 1;
                    *stream = BufReader::new(listener.accept().await.unwrap().0);
                }
            }
            accepted
        });
        let server = Server::new(&url, Some("a:b"), Duration::from_secs(5)).unwrap();
        let mut web = Web::open(&server).await.unwrap();
        let asked = Asked { method: "GET", path: "/x", accept: "*/*", body: None };
        let mut got = Vec::new();
        for _ in answers {
            let (status, body) = web.ask(asked).await.unwrap();
            got.push((status, String::from_utf8_lossy(body).into_owned()));
            if got.len() == answers.len() {
                break;
            }
        }
        let told: Vec<(u16, &str)> = got.iter().map(|(s, b)| (*s, b.as_str())).collect();
        assert_eq!(told, [(200, "hello"), (200, "hello"), (204, ""), (404, "no"), (200, "hello")]);
        assert_eq!(serving.await.unwrap(), 2);
    }

    #[test]
    fn some_refusals_mean_never() {
        assert!(refused("QIDO", 404, b"").not_offered);
        assert!(!refused("QIDO", 500, b"").not_offered);
        assert!(refused("QIDO", 500, b"why").detail.contains("why"));
    }
}
