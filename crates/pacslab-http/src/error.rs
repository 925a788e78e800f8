//! Errors to HTTP: the one place. The body is Orthanc's error object on every route, because its
//! clients read it; the text in `Details` says what happened and what to do.

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use pacslab_archive::{ArchiveError, BadPeer, CallError, IngestError};
use pacslab_model::query::BadKey;
use serde_json::json;

/// What went wrong, by what the client can do about it.
#[derive(Clone, Debug)]
pub(crate) enum Error {
    /// No such address.
    Route,
    Method,
    /// A resource that Orthanc answers 404 with an empty body for.
    Unknown,
    NotFound(String),
    /// A peer, a query: something that was given a name.
    Item(String),
    BadRequest(String),
    /// A value outside of what it may be.
    Range(String),
    /// The body is no DICOM object that can be filed.
    BadFile(String),
    BadJson(String),
    /// The object is fine, but not for what was asked of it.
    Unfit(String),
    NotAcceptable(String),
    MediaType(String),
    TooLarge(String),
    Slow(String),
    Login,
    /// Too many failed logins: again after this time.
    Patience(std::time::Duration),
    Forbidden(String),
    /// It is not as it would have to be for this.
    Conflict(String),
    Full(String),
    /// A peer does not answer, or not as it should.
    Network(String),
    /// Somebody stopped a job.
    Cancelled,
    Closing(String),
    Internal(String),
}

pub(crate) type Result<T = Response, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Status, Orthanc's number and Orthanc's words for it.
    fn class(&self) -> (StatusCode, i32, &'static str) {
        use StatusCode as S;
        match self {
            Self::Route | Self::Unknown | Self::NotFound(_) => {
                (S::NOT_FOUND, 17, "Unknown resource")
            }
            Self::Item(_) => (S::NOT_FOUND, 7, "Accessing an inexistent item"),
            Self::Range(_) => (S::BAD_REQUEST, 3, "Parameter out of range"),
            Self::Network(_) => (S::INTERNAL_SERVER_ERROR, 9, "Error in the network protocol"),
            Self::Cancelled => (S::INTERNAL_SERVER_ERROR, 37, "This job was canceled"),
            Self::Method => (S::METHOD_NOT_ALLOWED, 8, "Bad request"),
            Self::BadRequest(_) => (S::BAD_REQUEST, 8, "Bad request"),
            Self::BadFile(_) => (S::BAD_REQUEST, 15, "Bad file format"),
            Self::BadJson(_) => (S::BAD_REQUEST, 28, "Cannot parse a JSON document"),
            Self::Unfit(_) => (S::BAD_REQUEST, 23, "The format of the image is not supported"),
            Self::NotAcceptable(_) => (S::NOT_ACCEPTABLE, 34, "Cannot send an acceptable answer"),
            Self::MediaType(_) => (S::UNSUPPORTED_MEDIA_TYPE, 3, "Parameter out of range"),
            Self::TooLarge(_) => (S::PAYLOAD_TOO_LARGE, 3, "Parameter out of range"),
            Self::Slow(_) => (S::REQUEST_TIMEOUT, 16, "Timeout"),
            Self::Login => (S::UNAUTHORIZED, 29, "Bad user or password"),
            Self::Patience(_) => (S::TOO_MANY_REQUESTS, 29, "Bad user or password"),
            Self::Forbidden(_) => (S::FORBIDDEN, 45, "Access is forbidden"),
            Self::Conflict(_) => (S::CONFLICT, 6, "Bad sequence of calls"),
            Self::Full(_) => (S::INSUFFICIENT_STORAGE, 19, "The file storage is full"),
            Self::Closing(_) => (S::SERVICE_UNAVAILABLE, 36, "Not available now"),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, -1, "Internal error"),
        }
    }

    /// Orthanc's number and words for it.
    pub(crate) fn number(&self) -> (i32, &'static str) {
        let (_, number, words) = self.class();
        (number, words)
    }

    fn details(&self) -> &str {
        match self {
            Self::Route => "there is nothing at this address",
            Self::Method => "this address exists, but not for this method",
            Self::Unknown | Self::Login => "",
            Self::Patience(_) => {
                "too many logins with a wrong name or password came from this address; wait"
            }
            Self::Cancelled => "the job was cancelled; what had arrived stays there",
            Self::NotFound(text)
            | Self::Item(text)
            | Self::Range(text)
            | Self::Network(text)
            | Self::BadRequest(text)
            | Self::BadFile(text)
            | Self::BadJson(text)
            | Self::Unfit(text)
            | Self::NotAcceptable(text)
            | Self::MediaType(text)
            | Self::TooLarge(text)
            | Self::Slow(text)
            | Self::Forbidden(text)
            | Self::Conflict(text)
            | Self::Full(text)
            | Self::Closing(text)
            | Self::Internal(text) => text,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.details())
    }
}

impl IntoResponse for Error {
    /// Without body: [`describe`] knows the method and the address and writes it.
    fn into_response(self) -> Response {
        if let Self::Internal(details) = &self {
            tracing::error!(%details, "a request failed");
        }
        let mut response = self.class().0.into_response();
        if let Self::Login = self {
            let realm = HeaderValue::from_static("Basic realm=\"PACS Lab\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        if let Self::Patience(wait) = self {
            let seconds = HeaderValue::from(wait.as_secs() + 1);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Gives errors their body, and every answer the headers that all need.
pub(crate) async fn describe(request: Request, next: Next) -> Response {
    let method = request.method().to_string();
    let uri = request.uri().path().to_owned();
    let mut response = named(next.run(request).await).await;
    if let Some(error) = response.extensions_mut().remove::<Error>()
        && !matches!(error, Error::Unknown | Error::Login)
    {
        let (status, number, message) = error.class();
        let body = json!({
            "Details": error.details(),
            "HttpError": status.canonical_reason().unwrap_or_default(),
            "HttpStatus": status.as_u16(),
            "Message": message,
            "Method": method,
            "OrthancError": message,
            "OrthancStatus": number,
            "Uri": uri,
        });
        let headers = std::mem::take(response.headers_mut());
        response = (status, crate::orthanc::styled(&body)).into_response();
        for (name, value) in &headers {
            if *name != header::CONTENT_LENGTH {
                response.headers_mut().insert(name, value.clone());
            }
        }
    }
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A parameter of the wrong kind is refused by the router itself, in plain text: the reason goes
/// into an error of ours.
async fn named(response: Response) -> Response {
    const LONGEST: usize = 16 << 10;
    let plain = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if response.status() != StatusCode::BAD_REQUEST || !plain {
        return response;
    }
    let text = axum::body::to_bytes(response.into_body(), LONGEST).await.unwrap_or_default();
    Error::BadRequest(String::from_utf8_lossy(&text).into_owned()).into_response()
}

pub(crate) async fn no_route() -> Error {
    Error::Route
}

pub(crate) async fn no_method() -> Error {
    Error::Method
}

impl From<ArchiveError> for Error {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Stopped => Self::Closing(error.to_string()),
            ArchiveError::Store(store) if store.is_full() => Self::Full(store.to_string()),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<IngestError> for Error {
    fn from(error: IngestError) -> Self {
        let text = error.to_string();
        match error {
            IngestError::NotDicom(_) | IngestError::Header(_) | IngestError::Mismatch { .. } => {
                Self::BadFile(text)
            }
            IngestError::Full(_) => Self::Full(text),
            IngestError::Closed => Self::Closing(text),
            IngestError::Store(_) => Self::Internal(text),
        }
    }
}

impl From<pacslab_store::StoreError> for Error {
    fn from(error: pacslab_store::StoreError) -> Self {
        Self::from(ArchiveError::Store(error))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Self {
        Self::Network(error.to_string())
    }
}

impl From<BadPeer> for Error {
    fn from(error: BadPeer) -> Self {
        let text = error.to_string();
        match error {
            BadPeer::Port { .. } | BadPeer::Manufacturer { .. } => Self::Range(text),
            _ => Self::BadFile(text),
        }
    }
}

impl From<pacslab_dicom::zip::ZipError> for Error {
    fn from(error: pacslab_dicom::zip::ZipError) -> Self {
        let text = format!("the ZIP file: {error}");
        match error {
            pacslab_dicom::zip::ZipError::Bomb { .. } => Self::TooLarge(text),
            _ => Self::BadFile(text),
        }
    }
}

impl From<pacslab_dicom::ParseError> for Error {
    fn from(error: pacslab_dicom::ParseError) -> Self {
        Self::BadFile(error.to_string())
    }
}

impl From<pacslab_codec::Error> for Error {
    fn from(error: pacslab_codec::Error) -> Self {
        match error {
            pacslab_codec::Error::NoSuchFrame { .. } => Self::NotFound(error.to_string()),
            // the object is there, in another form than the one that was asked for
            pacslab_codec::Error::Unsupported(_)
            | pacslab_codec::Error::Frame { .. }
            | pacslab_codec::Error::Heavy { .. } => Self::NotAcceptable(error.to_string()),
            _ => Self::Unfit(error.to_string()),
        }
    }
}

impl From<BadKey> for Error {
    fn from(error: BadKey) -> Self {
        Self::BadRequest(error.to_string())
    }
}
