//! The listener, over sockets.

use std::time::Duration;

use pacslab_http::{Listening, serve};
use pacslab_model::{Emit, Event, Vr, tags};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Lab, NOW, ct};

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<usize>,
}

async fn start(lab: &Lab, listening: Listening) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let served = tokio::spawn(serve(listener, lab.app.clone(), listening, shutdown));
    Running { address, stop, served }
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = timeout(Duration::from_secs(10), stream.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("'{wanted}' did not come: {text}")).unwrap();
        assert!(read > 0, "closed before '{wanted}' came: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

async fn ask(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_end_and_the_waiting_ones_get_their_turn() {
    let lab = Lab::new();
    let listening = Listening {
        connections: 2,
        header_timeout: Duration::from_millis(300),
        ..Listening::default()
    };
    let running = start(&lab, listening).await;
    let mut silent = Vec::new();
    for part in ["", "GET /hea", ""] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        silent.push(stream);
    }
    let mut served = TcpStream::connect(running.address).await.unwrap();
    ask(&mut served, "/health").await;
    read_until(&mut served, "ok\n").await;
    running.stop.send(()).unwrap();
    assert_eq!(timeout(Duration::from_secs(5), running.served).await.unwrap().unwrap(), 0);
}

/// Six hundred connections with half a request each kept everybody out for a quarter of a minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_makes_room_for_one_that_asks() {
    let lab = Lab::new();
    let listening = Listening {
        connections: 3,
        header_timeout: Duration::from_secs(600),
        ..Listening::default()
    };
    let running = start(&lab, listening).await;
    let mut kept = TcpStream::connect(running.address).await.unwrap();
    ask(&mut kept, "/health").await;
    read_until(&mut kept, "ok\n").await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(b"GET /health HTTP/1.1\r\nX").await.unwrap();
        silent.push(stream);
    }
    let mut served = TcpStream::connect(running.address).await.unwrap();
    ask(&mut served, "/health").await;
    read_until(&mut served, "ok\n").await;
    ask(&mut kept, "/health").await;
    read_until(&mut kept, "ok\n").await;
    assert_eq!(silent[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
    drop(running.stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_loses_its_place() {
    let lab = Lab::new();
    let mut large = ct("1.2", 1);
    large.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![0; 32 << 20]);
    lab.store(&large).await;
    let listening = Listening {
        connections: 1,
        write_timeout: Duration::from_millis(300),
        ..Listening::default()
    };
    let running = start(&lab, listening).await;
    let mut deaf = TcpStream::connect(running.address).await.unwrap();
    ask(&mut deaf, "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1").await;
    let mut served = TcpStream::connect(running.address).await.unwrap();
    ask(&mut served, "/health").await;
    read_until(&mut served, "ok\n").await;
    drop(running.stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_followed_until_shutdown() {
    let lab = Lab::new();
    let running = start(&lab, Listening::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    ask(&mut stream, "/pacslab/events?follow=true&kind=ris.").await;
    read_until(&mut stream, "\r\n\r\n").await;
    lab.events.emit(Event::new(NOW, "archive.other", "not asked for"));
    lab.events.emit(Event::new(NOW, "ris.order", "an order came"));
    let text = read_until(&mut stream, "an order came").await;
    assert!(!text.contains("not asked for"));
    // an answer without end does not hold the shutdown up
    running.stop.send(()).unwrap();
    assert_eq!(timeout(Duration::from_secs(5), running.served).await.unwrap().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_upload_is_given_up() {
    let lab = Lab::with(|state| state.limits.pause = Duration::from_millis(200));
    let running = start(&lab, Listening::default()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let head = "POST /instances HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nDICM";
    stream.write_all(head.as_bytes()).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 408"), "{text}");
    drop(running.stop);
}
