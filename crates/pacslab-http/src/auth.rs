//! Who may come in: basic authentication (RFC 7617), and no foreign page behind a browser.
//!
//! A page of another site can make a browser send requests here, and can make its own name mean
//! this computer (DNS rebinding). The first is told by `Origin`, the second by `Host`: a server on
//! a private network has few names, and a stranger's is not among them.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;

use crate::door::Door;
use crate::error::Error;
use crate::serve::Client;
use crate::users::Login;

/// Lets a request through or answers it.
pub(crate) async fn guard(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    if let Some(host) = called(&request)
        && !is_ours(host, &door.site.hosts)
    {
        return Err(Error::Forbidden(format!(
            "this server is not called '{}': it answers to localhost, to addresses and to the \
             names in http.hosts; to add the name: hosts = \"{0}\" under [http] of pacslab.toml",
            name_of(host).escape_default()
        )));
    }
    let open = request.uri().path() == "/health";
    if !open && let Some(auth) = &door.auth {
        let from = request.extensions().get::<Client>().map(|client| client.0.ip());
        let Some((name, password)) = credentials(request.headers()) else {
            return Err(Error::Login);
        };
        match auth.check(&name, &password, from).await {
            Login::Welcome => {}
            Login::Wrong => return Err(Error::Login),
            Login::Later(wait) => return Err(Error::Patience(wait)),
            Login::FromAfar => {
                return Err(Error::Forbidden(
                    "the login that is built in works from the server's own computer only; make \
                     a user there: pacslab user add NAME"
                        .to_owned(),
                ));
            }
        }
    }
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if writes && !same_origin(request.headers()) {
        return Err(Error::Forbidden(
            "a page of another site must not change anything here; send the request from this \
             server's own pages or from a program"
                .to_owned(),
        ));
    }
    Ok(next.run(request).await)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()?;
    let (name, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Whom a request is addressed to; HTTP/1.0 need not tell, browsers always do.
fn called(request: &Request) -> Option<&str> {
    match request.headers().get(header::HOST) {
        // what is no text is nobody's name
        Some(host) => Some(host.to_str().unwrap_or("?")),
        None => request.uri().authority().map(|authority| authority.as_str()),
    }
}

/// Without port and brackets.
fn name_of(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.')
}

/// An address cannot be made to mean another computer, a name can: those have to be known.
fn is_ours(host: &str, hosts: &[String]) -> bool {
    const HERE: [&str; 2] = ["localhost", "host.docker.internal"];
    let name = name_of(host);
    name.parse::<IpAddr>().is_ok()
        || HERE.iter().any(|one| name.eq_ignore_ascii_case(one))
        || name.to_ascii_lowercase().ends_with(".localhost")
        || hosts.iter().any(|one| one == "*" || name_of(one).eq_ignore_ascii_case(name))
}

/// A browser names the page's origin with every request that writes; programs name none.
fn same_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let authority = origin.to_str().ok().and_then(|o| o.split_once("://")).map(|(_, rest)| rest);
    matches!((authority, host), (Some(page), Some(host)) if page.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn credentials_are_read() {
        let basic = |pair: &str| {
            let text = base64::engine::general_purpose::STANDARD.encode(pair);
            credentials(&with(header::AUTHORIZATION, &format!("Basic {text}")))
        };
        assert_eq!(basic("jane:s:ecret"), Some(("jane".into(), "s:ecret".into())));
        assert!(basic("orthanc").is_none() && basic("").is_none());
        assert!(credentials(&HeaderMap::new()).is_none());
        assert!(credentials(&with(header::AUTHORIZATION, "Basic %%%")).is_none());
        assert!(credentials(&with(header::AUTHORIZATION, "Bearer x")).is_none());
    }

    #[test]
    fn names_of_strangers_are_not_ours() {
        let ours = |host: &str| is_ours(host, &["pacs.example.org".to_owned(), "lab:8042".into()]);
        for host in [
            "localhost",
            "LOCALHOST:8042",
            "127.0.0.1:1",
            "[::1]:8042",
            "192.168.1.2:8042",
            "lab",
            "pacs.example.org:80",
            "PACS.example.org.",
            "a.localhost:1",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8042", "127.0.0.1.evil.example", "", "?"] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_ours("any.example", &["*".to_owned()]));
    }

    #[test]
    fn foreign_pages_are_told_by_their_origin() {
        let check = |origin: &str| {
            let mut headers = with(header::ORIGIN, origin);
            headers.insert(header::HOST, "localhost:8042".parse().unwrap());
            same_origin(&headers)
        };
        assert!(check("http://localhost:8042"));
        assert!(!check("http://evil.example") && !check("null") && !check("http://localhost"));
        assert!(same_origin(&with(header::HOST, "localhost:8042")));
    }
}
