//! Bodies that no sane client sends: answered, and with little held of them.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use futures_core::Stream;
use pacslab_dicom::TransferSyntax;

use crate::support::{Answer, Lab, ct, part_10};

/// The same piece over and over, and how often it was asked for.
struct Again {
    first: Option<Bytes>,
    piece: Bytes,
    left: usize,
    taken: Arc<AtomicUsize>,
}

impl Stream for Again {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(Some(Ok(self.piece.clone())))
    }
}

async fn stow(lab: &Lab, body: Body) -> Answer {
    let kind = "multipart/related; type=\"application/dicom\"; boundary=b";
    let request = Request::post("/dicom-web/studies").header(header::CONTENT_TYPE, kind);
    lab.send(request.body(body).unwrap()).await
}

/// A header field of 300 MB was gathered whole before anybody looked at it.
#[tokio::test(flavor = "multi_thread")]
async fn endless_headers_and_preambles_are_not_gathered() {
    let lab = Lab::new();
    for first in ["--b\r\nContent-Type: application/dicom\r\nX: ", "there is no delimiter", ""] {
        let taken = Arc::new(AtomicUsize::new(0));
        let body = Again {
            first: Some(Bytes::from_static(first.as_bytes())),
            piece: Bytes::from(vec![b'a'; 64 << 10]),
            left: 4_000,
            taken: taken.clone(),
        };
        let answer = stow(&lab, Body::from_stream(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
        assert!(taken.load(Ordering::Relaxed) < 4, "{first:?} {taken:?}");
    }
}

/// Six hundred thousand parts of two bytes took more than a gigabyte to answer.
#[tokio::test(flavor = "multi_thread")]
async fn parts_without_end_are_refused() {
    let lab = Lab::new();
    let part = "--b\r\nContent-Type: application/dicom\r\n\r\nxx\r\n".repeat(100);
    let body = Again { first: None, piece: part.into(), left: 1_000, taken: Arc::default() };
    let answer = stow(&lab, Body::from_stream(body)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_found_however_they_are_cut() {
    let objects = [part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe), b"junk\r\n--c".to_vec()];
    let mut body = b"nobody reads this\r\n".to_vec();
    for object in &objects {
        body.extend(b"--b  \r\nContent-Type: application/dicom\r\n\r\n");
        body.extend(object);
        body.extend(b"\r\n");
    }
    body.extend(b"--b\r\n\r\n\r\n--b--\r\nnor this");
    for size in [1, 2, 3, 7, 50, body.len()] {
        let lab = Lab::new();
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let answer = stow(&lab, Body::from_stream(Pieces(pieces.into_iter()))).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
        let told = answer.json();
        assert_eq!(told["00081199"]["Value"].as_array().map(Vec::len), Some(1), "{size}");
        assert_eq!(told["0008119A"]["Value"].as_array().map(Vec::len), Some(2), "{size}");
        assert_eq!(lab.archive.counts().await.unwrap().instances, 1);
    }
    for cut in 0..body.len() - 12 {
        let answer = stow(&Lab::new(), Body::from(body[..cut].to_vec())).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "cut at {cut}");
        if cut > 100 {
            break;
        }
    }
}

struct Pieces(std::vec::IntoIter<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

struct Drip(tokio::time::Interval);

impl Stream for Drip {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_tick(cx).map(|_| Some(Ok(Bytes::from_static(b"x"))))
    }
}

/// A byte before each pause is over held a connection for as long as it liked.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_drips_is_hung_up_on() {
    let lab = Lab::with(|state| state.limits.pause = Duration::from_millis(300));
    let drip = Drip(tokio::time::interval(Duration::from_millis(20)));
    let answer = lab.post("/instances", Body::from_stream(drip)).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert!(answer.text().contains("too slowly"), "{}", answer.text());
}

/// A deflated member without its lengths, and a beginning of what follows.
fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    let mut zip = b"PK\x03\x04\x14\0\x08\0\x08\0".to_vec();
    zip.extend([0; 16]);
    zip.extend([1, 0, 0, 0, b'a']);
    zip.extend(packed.finish().unwrap());
    zip
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zip_file_that_grows_out_of_proportion_is_refused() {
    let lab = Lab::with(|state| state.limits.upload = 1 << 20);
    let mut bomb = part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe);
    bomb.resize(64 << 20, 0);
    let answer = lab.post("/instances", zipped(&bomb)).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text());
    assert_eq!(lab.archive.counts().await.unwrap().instances, 0);
}

/// What is wrong with a ZIP file is said, and half a member is none.
#[tokio::test(flavor = "multi_thread")]
async fn broken_zip_files_are_refused() {
    let lab = Lab::new();
    let whole = zipped(&part_10(&ct("1.2", 1), TransferSyntax::ExplicitLe));
    for cut in [4, 29, 31, 60, whole.len()] {
        let answer = lab.post("/instances", whole[..cut].to_vec()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{cut}: {}", answer.text());
    }
    let mut wrong = whole;
    wrong.extend([0; 24]);
    let answer = lab.post("/instances", wrong).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.text());
    assert!(answer.text().contains("damaged"), "{}", answer.text());
    assert_eq!(lab.archive.counts().await.unwrap().instances, 0);
}
