//! What the client wants to have. PS3.18 8.7.5 (Accept query parameter and header field).

use axum::http::{HeaderMap, header};
use serde::Deserialize;

/// The `accept` query parameter goes before the header field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AcceptParam {
    accept: Option<String>,
}

impl AcceptParam {
    pub(super) fn of(accept: Option<String>) -> Self {
        Self { accept }
    }
}

/// A media type with its parameters, names in lower case.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Media {
    /// `multipart/related`
    pub(super) name: String,
    parameters: Vec<(String, String)>,
}

impl Media {
    pub(super) fn parse(text: &str) -> Self {
        let mut parts = split(text, ';').into_iter();
        let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let parameters = parts
            .filter_map(|part| {
                let (name, value) = part.split_once('=')?;
                let value = value.trim().trim_matches('"').to_owned();
                Some((name.trim().to_ascii_lowercase(), value))
            })
            .collect();
        Self { name, parameters }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The type itself, or what a multipart of it consists of.
    pub(super) fn inner(&self) -> String {
        match self.name.as_str() {
            "multipart/related" => self.parameter("type").unwrap_or("*/*").to_ascii_lowercase(),
            name => name.to_owned(),
        }
    }

    pub(super) fn is_multipart(&self) -> bool {
        self.name == "multipart/related"
    }

    /// `None`: not asked; `Some("*")`: as it is stored.
    pub(super) fn transfer_syntax(&self) -> Option<&str> {
        self.parameter("transfer-syntax")
    }

    fn quality(&self) -> f32 {
        self.parameter("q").and_then(|q| q.parse().ok()).unwrap_or(1.0)
    }
}

/// What is acceptable, the dearest first. Never empty: nothing said means everything.
pub(super) fn accepted(param: &AcceptParam, headers: &HeaderMap) -> Vec<Media> {
    let from_headers = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect::<Vec<_>>()
        .join(",");
    let text = param.accept.as_deref().unwrap_or(&from_headers);
    let mut media: Vec<Media> = split(text, ',')
        .into_iter()
        .filter(|one| !one.trim().is_empty())
        .map(Media::parse)
        .filter(|one| one.quality() > 0.0)
        .collect();
    media.sort_by(|a, b| b.quality().total_cmp(&a.quality()));
    if media.is_empty() {
        media.push(Media::parse("*/*"));
    }
    media
}

/// Splits outside of quotes.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut quoted = false;
    text.split(|c| {
        quoted ^= c == '"';
        c == at && !quoted
    })
    .collect()
}

/// JSON is acceptable.
pub(super) fn takes_json(accepted: &[Media]) -> bool {
    accepted.iter().any(|media| {
        matches!(
            media.name.as_str(),
            "application/dicom+json" | "application/json" | "application/*" | "*/*"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Vec<Media> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, text.parse().unwrap())]);
        accepted(&AcceptParam::default(), &headers)
    }

    #[test]
    fn ranges_and_parameters() {
        let media = header(
            "image/png;q=0.5, multipart/related; type=\"application/dicom\"; \
             transfer-syntax=*, text/html;q=0",
        );
        assert_eq!(media.len(), 2);
        assert_eq!(media[0].inner(), "application/dicom");
        assert_eq!(media[0].transfer_syntax(), Some("*"));
        assert!(media[0].is_multipart() && !media[1].is_multipart());
        assert_eq!(header("")[0].name, "*/*");
        assert!(takes_json(&header("application/dicom+json")));
        assert!(!takes_json(&header("multipart/related; type=\"application/dicom+xml\"")));
    }

    #[test]
    fn commas_within_quotes_stay() {
        let media = Media::parse("Multipart/Related; boundary=\"a;b,c\"; TYPE=application/dicom");
        assert_eq!(media.parameter("boundary"), Some("a;b,c"));
        assert_eq!(media.inner(), "application/dicom");
    }

    #[test]
    fn the_parameter_goes_first() {
        let param = AcceptParam { accept: Some("image/png".into()) };
        let headers = HeaderMap::from_iter([(header::ACCEPT, "image/jpeg".parse().unwrap())]);
        assert_eq!(accepted(&param, &headers)[0].name, "image/png");
    }
}
