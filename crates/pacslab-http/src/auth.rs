//! Who may come in: basic authentication (RFC 7617), and no writing on behalf of a foreign page.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use sha2::{Digest, Sha256};

use crate::door::Door;
use crate::error::Error;

/// Users and the digests of their `user:password`.
#[derive(Clone, Default)]
pub struct Auth {
    users: BTreeMap<String, [u8; 32]>,
}

impl Auth {
    pub fn new() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.insert(name.to_owned(), digest(format!("{name}:{password}").as_bytes()));
        self
    }

    /// Compares with every user, so that the time taken tells nothing.
    fn accepts(&self, headers: &HeaderMap) -> bool {
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, text)| {
                base64::engine::general_purpose::STANDARD.decode(text.trim()).ok()
            });
        let Some(given) = given else { return false };
        let given = digest(&given);
        self.users.values().fold(false, |known, wanted| {
            let difference = wanted.iter().zip(&given).fold(0, |all, (a, b)| all | (a ^ b));
            known | (std::hint::black_box(difference) == 0)
        })
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.users.keys()).finish()
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lets a request through or answers it.
pub(crate) async fn guard(
    State(door): State<Arc<Door>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let open = request.uri().path() == "/health";
    if !open
        && let Some(auth) = &door.auth
        && !auth.accepts(request.headers())
    {
        return Err(Error::Login);
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
    fn only_known_users_come_in() {
        let auth = Auth::new().user("orthanc", "orthanc").user("jane", "s:ecret");
        let basic = |pair: &str| {
            let text = base64::engine::general_purpose::STANDARD.encode(pair);
            auth.accepts(&with(header::AUTHORIZATION, &format!("Basic {text}")))
        };
        assert!(basic("orthanc:orthanc") && basic("jane:s:ecret"));
        assert!(!basic("orthanc:s:ecret") && !basic("orthanc") && !basic(""));
        assert!(!auth.accepts(&HeaderMap::new()));
        assert!(!auth.accepts(&with(header::AUTHORIZATION, "Basic %%%")));
        assert!(!auth.accepts(&with(header::AUTHORIZATION, "Bearer x")));
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
