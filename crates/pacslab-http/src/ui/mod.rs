//! The page for people: what waits, what has arrived, the images, what happens. Tables come from
//! the server as HTML, whole or as fragments that the script puts in their places.

mod lists;
mod page;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::door::Door;

const SCRIPT: &str = include_str!("assets/app.js");
const STYLE: &str = include_str!("assets/app.css");
const ICON: &str = include_str!("assets/icon.svg");

/// Nothing from elsewhere, nothing inline: text of a data set can never become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' \
                      data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/", get(page::page))
        .route("/ui/worklist", get(lists::worklist))
        .route("/ui/studies", get(lists::studies))
        .route("/ui/study/{study}", get(lists::study))
        .route("/ui/events", get(lists::events))
        .route("/ui/app.js", get(|| asset("text/javascript; charset=utf-8", SCRIPT)))
        .route("/ui/app.css", get(|| asset("text/css; charset=utf-8", STYLE)))
        .route("/ui/icon.svg", get(|| asset("image/svg+xml", ICON)))
}

async fn asset(kind: &'static str, text: &'static str) -> Response {
    // asked for each time: after an update page and script have to fit together
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response()
}

fn html(text: String) -> Response {
    const POLICY_HEADER: HeaderName = header::CONTENT_SECURITY_POLICY;
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (POLICY_HEADER, POLICY)];
    (headers, text).into_response()
}

/// Text that is safe between tags and in quoted attributes.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(
            escape("<img src=x onerror=\"alert('1')\">&"),
            "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt;&amp;"
        );
    }
}
