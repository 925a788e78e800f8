//! Who comes in at the HTTP door: logins, names of the server, foreign pages.

use crate::support::http::get_as;
use crate::support::lab::cli;
use crate::support::{Lab, http};
use std::io::{Read, Write};
use std::net::TcpStream;

#[track_caller]
fn user(lab: &Lab, args: &[&str]) -> crate::support::process::Finished {
    let config = lab.folder.path().join("users.toml");
    std::fs::write(&config, format!("[storage]\ndir = {:?}\n", lab.data)).unwrap();
    cli(&[&["user"], args, &["--config", config.to_str().unwrap()]].concat())
}

#[test]
fn users_come_and_go_while_it_runs() {
    let lab = Lab::start();
    let status = |login: &str| get_as(lab.http, "/system", Some(login)).status;
    assert_eq!((status("orthanc:orthanc"), status("jane:secret")), (200, 401));
    user(&lab, &["add", "jane", "--password", "secret"]).success();
    assert_eq!((status("orthanc:orthanc"), status("jane:secret")), (401, 200));
    assert!(user(&lab, &["list"]).success().stdout.contains("jane"));
    let kept = std::fs::read_to_string(lab.data.join("users")).unwrap();
    assert!(kept.contains("jane:$argon2id$") && !kept.contains("secret"), "{kept}");
    user(&lab, &["remove", "jane"]).success();
    assert_eq!((status("orthanc:orthanc"), status("jane:secret")), (200, 401));
    let gone = user(&lab, &["remove", "jane"]).failure();
    assert!(gone.stderr.contains("there is no user jane"), "{gone}");
}

#[test]
fn a_hash_in_the_configuration_and_registered_users_of_orthanc() {
    let hash = cli(&["user", "hash", "--password", "secret"]).success().stdout;
    let lab = Lab::setup().config(&format!("[http.users]\njane = \"{}\"\n", hash.trim())).start();
    assert_eq!(get_as(lab.http, "/system", Some("jane:secret")).status, 200);
    assert_eq!(get_as(lab.http, "/system", Some("orthanc:orthanc")).status, 401);
    let config = lab.folder.path().join("bad.toml");
    std::fs::write(&config, "[http.users]\njane = \"secret\"\n").unwrap();
    let bad = cli(&["config", "show", "--config", config.to_str().unwrap()]).failure();
    assert!(bad.stderr.contains("pacslab user hash") && bad.stderr.contains("bad.toml:2"), "{bad}");
    assert!(!bad.stderr.contains("secret"), "{bad}");
}

#[test]
fn who_guesses_has_to_wait() {
    let lab = Lab::start();
    let status = |login: &str| get_as(lab.http, "/system", Some(login));
    for _ in 0..10 {
        assert_eq!(status("orthanc:guess").status, 401);
    }
    let waits = status("orthanc:guess");
    assert_eq!(waits.status, 429);
    assert!(waits.header("retry-after").is_some());
}

/// A request written by hand, with the headers of a browser.
fn raw(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// orthanc:orthanc
const LOGIN: &str = "Authorization: Basic b3J0aGFuYzpvcnRoYW5j\r\nConnection: close\r\n";

#[test]
fn names_of_strangers_and_pages_of_strangers_are_turned_away() {
    let lab = Lab::setup().config("[http]\nhosts = \"pacs.example.org\"\n").start();
    let get =
        |host: &str| raw(lab.http, &format!("GET /system HTTP/1.1\r\nHost: {host}\r\n{LOGIN}\r\n"));
    for host in ["localhost", "127.0.0.1", "[::1]:80", "pacs.example.org", "10.0.0.1:8042"] {
        assert!(get(host).starts_with("HTTP/1.1 200"), "{host}: {}", get(host));
    }
    let answer = get("evil.example:8042");
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    assert!(
        answer.contains("not called 'evil.example'") && answer.contains("http.hosts"),
        "{answer}"
    );
    let post = |origin: &str| {
        let head =
            format!("POST /tools/find HTTP/1.1\r\nHost: localhost:1\r\nOrigin: {origin}\r\n");
        raw(
            lab.http,
            &format!(
                "{head}{LOGIN}Content-Length: 29\r\n\r\n{{\"Level\":\"Study\",\"Query\":{{}}}}\n"
            ),
        )
    };
    assert!(
        post("http://localhost:1").starts_with("HTTP/1.1 200"),
        "{}",
        post("http://localhost:1")
    );
    assert!(post("http://evil.example").starts_with("HTTP/1.1 403"));
    assert_eq!(http::get(lab.http, "/system").status, 200);
}
