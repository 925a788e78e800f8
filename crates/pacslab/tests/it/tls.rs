//! DICOM TLS and HTTPS beside DCMTK, pynetdicom, curl and OpenSSL, and what is said when the two
//! sides do not agree. PS3.15 B.12, RFC 9325.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;

use crate::support::lab::{Setup, cli, pacslab};
use crate::support::orthanc::Orthanc;
use crate::support::process::{Finished, Running};
use crate::support::{Lab, dcmtk, fixture, fixtures, http, mllp, needs, peers, study, wait};

/// The files of `pacslab tls init`, and whatever else a test makes.
struct Certificates(TempDir);

impl Certificates {
    #[track_caller]
    fn init() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let out = made.0.path().to_str().unwrap().to_owned();
        cli(&["tls", "init", "--out", &out]).success();
        made
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// `[tls]`, with the server's certificate and key under these names.
    fn config(&self, server: &str, clients: &str) -> String {
        let path = |name: &str| self.path(name);
        format!(
            "[tls]\ncert = '{}'\nkey = '{}'\nca = '{}'\nclient_certificates = \"{clients}\"\n",
            path(&format!("{server}-cert.pem")),
            path(&format!("{server}-key.pem")),
            path("ca-cert.pem")
        )
    }

    fn lab(&self, clients: &str) -> Setup {
        Lab::setup().config(&self.config("server", clients))
    }

    /// Who we are as a client, for our commands.
    fn ours(&self) -> Vec<String> {
        let path = |name: &str| self.path(name);
        let (ca, cert, key) =
            (path("ca-cert.pem"), path("client-cert.pem"), path("client-key.pem"));
        ["--ca", &ca, "--cert", &cert, "--cert-key", &key].map(str::to_owned).to_vec()
    }

    /// The same for DCMTK.
    fn dcmtk(&self, who: &str) -> Vec<String> {
        let path = |name: &str| self.path(name);
        let key = path(&format!("{who}-key.pem"));
        let cert = path(&format!("{who}-cert.pem"));
        ["+tls", &key, &cert, "+cf", &path("ca-cert.pem")].map(str::to_owned).to_vec()
    }

    /// `odd-cert.pem` of a CA of its own in `odd-ca.pem`.
    fn odd(&self, names: &[&str], years: (i32, i32)) {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name.push(rcgen::DnType::CommonName, "another CA");
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        self.write("odd-cert.pem", &params.signed_by(&key, &ca).unwrap().pem());
        self.write("odd-key.pem", &key.serialize_pem());
        self.write("odd-ca.pem", &ca.pem());
    }
}

const DICOM: &str = "[dicom]\ntls = true\nassociation_timeout = \"1s\"\n";
const HTTP: &str = "[http]\ntls = true\n";

/// A command of ours in a folder without certificates.
#[track_caller]
fn ours(words: &[&str], more: &[String]) -> Finished {
    let nowhere = tempfile::tempdir().unwrap();
    crate::support::process::run(pacslab().current_dir(nowhere.path()).args(words).args(more))
}

#[track_caller]
fn echo(port: u16, more: &[String]) -> Finished {
    let peer = format!("PACSLAB@127.0.0.1:{port}");
    ours(&["echo", &peer], more)
}

fn only(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[track_caller]
fn scu(tool: &str, port: u16, tls: &[String], rest: &[&str]) -> Finished {
    let args: Vec<&str> = tls.iter().map(String::as_str).chain(rest.iter().copied()).collect();
    dcmtk::scu(tool, port, &args)
}

#[track_caller]
fn logged(lab: &Lab, words: &str) {
    wait::until_true(&format!("'{words}' in the log"), || lab.log().contains(words));
}

#[test]
fn dcmtk_calls_us_and_shows_a_certificate() {
    needs!("echoscu", "storescu");
    let made = Certificates::init();
    let lab = made.lab("required").config(DICOM).start();
    scu("echoscu", lab.dicom, &made.dcmtk("client"), &[]).success();
    let file = fixture("ct.dcm");
    scu("storescu", lab.dicom, &made.dcmtk("client"), &["--", file.to_str().unwrap()]).success();
    assert_eq!(lab.get("/statistics").json()["CountInstances"], 1);

    let anonymous = [only(&["+tla", "+cf"]), vec![made.path("ca-cert.pem")]].concat();
    scu("echoscu", lab.dicom, &anonymous, &[]).failure();
    logged(&lab, "it showed no certificate");
    made.odd(&["localhost"], (2020, 2090));
    let stranger = [only(&["+tls"]), vec![made.path("odd-key.pem"), made.path("odd-cert.pem")]];
    let ca = [only(&["+cf"]), vec![made.path("ca-cert.pem")]];
    scu("echoscu", lab.dicom, &[stranger, ca].concat().concat(), &[]).failure();
    logged(&lab, "issued by nobody whom");
}

#[test]
fn we_call_dcmtk_and_show_a_certificate() {
    needs!("storescp");
    let made = Certificates::init();
    let server = made.dcmtk("server");
    let server: Vec<&str> = server.iter().map(String::as_str).collect();
    let peer = dcmtk::StoreScp::start("PACSLAB", &server);
    echo(peer.port, &[only(&["--tls"]), made.ours()].concat()).success();
    let to = format!("PACSLAB@127.0.0.1:{}+tls", peer.port);
    let files = fixtures();
    let words = ["send", "--pacs", &to, files.to_str().unwrap()];
    ours(&words, &made.ours()).success();
    assert_eq!(peer.received().len(), study::INSTANCES);

    let without = [only(&["--tls", "--ca"]), vec![made.path("ca-cert.pem")]].concat();
    let refused = echo(peer.port, &without).failure();
    assert!(refused.stderr.contains("--cert FILE --cert-key FILE"), "{refused}");
    let plain = echo(peer.port, &[]).failure();
    assert!(plain.stderr.contains("--tls"), "{plain}");
}

#[test]
fn a_study_moves_to_a_peer_with_tls() {
    needs!("storescp", "movescu");
    let made = Certificates::init();
    let server = made.dcmtk("server");
    let server: Vec<&str> = server.iter().map(String::as_str).collect();
    let peer = dcmtk::StoreScp::start("VAULT", &server);
    let known = format!("[peers]\nVAULT = \"VAULT@localhost:{}+tls\"\n", peer.port);
    let lab = made.lab("none").config(&known).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    let args = ["-S", "-aem", "VAULT", "-k", "0008,0052=STUDY", "-k", &key];
    dcmtk::scu("movescu", lab.dicom, &args).success();
    assert_eq!(peer.received().len(), study::INSTANCES);
}

#[test]
fn a_destination_that_is_not_believed_says_why_in_the_log() {
    needs!("storescp", "movescu");
    let made = Certificates::init();
    made.odd(&["localhost"], (2020, 2090));
    let odd = [made.path("odd-key.pem"), made.path("odd-cert.pem")];
    let peer = dcmtk::StoreScp::start("VAULT", &["+tls", &odd[0], &odd[1], "-ic"]);
    let known = format!("[peers]\nVAULT = \"VAULT@localhost:{}+tls\"\n", peer.port);
    let lab = made.lab("none").config(&known).start();
    lab.store_fixtures();
    let key = format!("0020,000d={}", study::UID);
    let args = ["-S", "-aem", "VAULT", "-k", "0008,0052=STUDY", "-k", &key];
    dcmtk::scu("movescu", lab.dicom, &args).failure();
    logged(&lab, "the server's certificate was issued by nobody whom");
}

#[test]
fn pynetdicom_calls_and_is_called_in_both_versions() {
    needs!("python");
    let made = Certificates::init();
    let lab = made.lab("required").config(DICOM).start();
    let folder = made.0.path().to_str().unwrap();
    for version in ["1.2", "1.3"] {
        let port = lab.dicom.to_string();
        peers::python_script("tls.py", &["client", &port, folder, version]).success();

        let port = wait::free_port();
        let args = ["server", &port.to_string(), folder, version];
        let mut command = peers::python_command("tls.py", &args);
        let log = made.0.path().join(format!("server-{version}.log"));
        let _server = Running::start("tls.py", &mut command, log, false);
        wait::until_listening("tls.py", port);
        echo(port, &[only(&["--tls"]), made.ours()].concat()).success();
    }
}

#[test]
fn orthanc_calls_and_is_called() {
    needs!("Orthanc");
    let made = Certificates::init();
    let lab = made.lab("required").config(DICOM).start();
    let path = |name: &str| made.path(name);
    let settings = serde_json::json!({
        "DicomTlsEnabled": true, "DicomTlsRemoteCertificateRequired": true,
        "DicomTlsCertificate": path("server-cert.pem"),
        "DicomTlsPrivateKey": path("server-key.pem"),
        "DicomTlsTrustedCertificates": path("ca-cert.pem"),
        "DicomModalities": { "lab": {
            "AET": "PACSLAB", "Host": "127.0.0.1", "Port": lab.dicom, "UseDicomTls": true,
        } },
    });
    let folder = tempfile::tempdir().unwrap();
    let orthanc = Orthanc::with(folder.path(), &[], settings);
    http::post(orthanc.http, "/modalities/lab/echo", "application/json", b"{}").ok();

    let to = format!("ORTHANC@localhost:{}+tls", orthanc.dicom);
    let file = fixture("ct.dcm");
    ours(&["send", "--pacs", &to, file.to_str().unwrap()], &made.ours()).success();
    assert_eq!(orthanc.instances(), 1);
}

#[test]
fn ours_to_ours_with_what_init_made_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let here = |words: &[&str]| {
        crate::support::process::run(pacslab().current_dir(folder.path()).args(words))
    };
    here(&["tls", "init"]).success();
    let again = here(&["tls", "init"]).failure();
    assert!(again.stderr.contains("--force"), "{again}");
    let port = wait::free_port().to_string();
    let mut command = pacslab();
    command.current_dir(folder.path());
    command.args(["receive", "--tls", "--aet", "PACSLAB", "--port", &port, "--out", "in"]);
    let log = folder.path().join("log");
    let _receiver = Running::start("pacslab receive", &mut command, log, false);
    wait::until_listening("pacslab receive", port.parse().unwrap());
    let file = fixture("ct.dcm");
    here(&["send", "--tls", "--port", &port, file.to_str().unwrap()]).success();
    assert_eq!(fs::read_dir(folder.path().join("in")).unwrap().count(), 1);
}

#[test]
fn the_demo_plays_with_tls() {
    let made = Certificates::init();
    let config = made.config("server", "required") + "[dicom]\ntls = true\n" + HTTP;
    let config = made.write("pacslab.toml", &config);
    cli(&["demo", "--exit", "--ephemeral", "--config", config.to_str().unwrap()]).success();
}

/// The report creator calls the door of this very computer, whatever its certificate is for.
#[test]
fn a_signed_report_reaches_the_embedded_pacs_over_tls() {
    let made = Certificates::init();
    made.odd(&["pacs.example.org"], (2020, 2090));
    let signed = |lab: Lab| {
        lab.place("ACC1001", "P12345", "PYMOD1");
        lab.run(&["report", "sign", "ACC1001", "--findings", "Seen.", "--by", "READER^RAY"])
            .success();
        wait::until_true("the structured report", || {
            lab.get("/ris/reports/ACC1001").ok().json()["objects"][0]["state"] == "sent"
        });
        assert_eq!(lab.get("/statistics").json()["CountInstances"], 1);
    };
    signed(made.lab("required").config(DICOM).start());
    signed(Lab::setup().config(&made.config("odd", "none")).config(DICOM).start());
}

#[test]
fn curl_and_our_commands_speak_https() {
    needs!("curl");
    let made = Certificates::init();
    let lab = made.lab("none").config(HTTP).start();
    let ca = made.path("ca-cert.pem");
    let login = ["-s", "-S", "-u", "orthanc:orthanc"];
    let url = format!("https://localhost:{}/system", lab.http);
    let system = peers::run("curl", &[&login[..], &["--cacert", &ca, &url]].concat()).success();
    assert_eq!(system.json()["DicomAet"], "PACSLAB");
    for version in ["--tlsv1.2", "--tlsv1.3"] {
        let args = [&login[..], &["--cacert", &ca, version, "--tls-max", &version[6..], &url]];
        peers::run("curl", &args.concat()).success();
    }
    let old = [&login[..], &["--cacert", &ca, "--tlsv1.0", "--tls-max", "1.1", &url]].concat();
    peers::run("curl", &old).failure();

    let site = format!("https://127.0.0.1:{}", lab.http);
    let watch = ["watch", "--no-follow", "--url", &site];
    ours(&watch, &only(&["--ca", &ca])).success();
    let unknown = ours(&watch, &[]).failure();
    assert!(unknown.stderr.contains("pacslab tls init"), "no CA: {unknown}");

    // and to whom speaks no TLS
    let plain = peers::run("curl", &["-s", "-S", &url.replace("https", "http")]).success();
    assert!(plain.stdout.contains("use https://"), "{plain}");
    let plain = ours(&["watch", "--no-follow", "--url", &site.replace("https", "http")], &[]);
    assert!(plain.failure().stderr.contains("use https://"));
    logged(&lab, "a plain HTTP request on a port that speaks TLS");
}

#[test]
fn tls_to_a_plain_port_is_recognised_on_both_sides() {
    needs!("curl", "echoscu");
    let made = Certificates::init();
    let lab = Lab::start();
    let told = echo(lab.dicom, &[only(&["--tls"]), made.ours()].concat()).failure();
    assert!(told.stderr.contains("plain DICOM"), "{told}");
    logged(&lab, "dicom.tls = true");
    scu("echoscu", lab.dicom, &made.dcmtk("client"), &[]).failure();
    lab.assert_alive();

    let site = format!("https://localhost:{}", lab.http);
    let ca = made.path("ca-cert.pem");
    let told = ours(&["watch", "--no-follow", "--url", &site], &only(&["--ca", &ca])).failure();
    assert!(told.stderr.contains("no TLS at all on this port"), "{told}");
    logged(&lab, "http.tls = true");
    peers::run("curl", &["-s", "-S", &site]).failure();
    assert_eq!(lab.get("/system").status, 200);
}

#[test]
fn plain_to_a_tls_port_is_recognised_on_both_sides() {
    needs!("echoscu");
    let made = Certificates::init();
    let lab = made.lab("none").config(DICOM).start();
    let told = echo(lab.dicom, &[]).failure();
    assert!(told.stderr.contains("--tls"), "{told}");
    logged(&lab, "plain DICOM on a port that speaks TLS");
    let told = scu("echoscu", lab.dicom, &[], &[]).failure();
    assert!(told.said().contains("Protocol Version Not Supported"), "{told}");
    let mut web = TcpStream::connect(("127.0.0.1", lab.dicom)).unwrap();
    web.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    web.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("dicom.tls"), "{answer}");
    echo(lab.dicom, &[only(&["--tls"]), made.ours()].concat()).success();
}

#[test]
fn certificates_that_are_not_believed_are_told_with_the_reason() {
    let made = Certificates::init();
    let with = |names: &[&str], years| {
        made.odd(names, years);
        Lab::setup().config(&made.config("odd", "none")).config(DICOM).start()
    };
    let tls = only(&["--tls", "--ca"]);
    let (init, odd) = (made.path("ca-cert.pem"), made.path("odd-ca.pem"));
    let here = &["localhost", "127.0.0.1"][..];

    let lab = with(here, (2020, 2090));
    let told = echo(lab.dicom, &[tls.clone(), vec![init]].concat()).failure();
    assert!(told.stderr.contains("issued by nobody whom"), "{told}");
    assert_eq!(told.code(), Some(3), "{told}");
    logged(&lab, "it does not trust our certificate");
    echo(lab.dicom, &[tls.clone(), vec![odd.clone()]].concat()).success();
    // a certificate that is named itself needs no CA
    echo(lab.dicom, &[tls.clone(), vec![made.path("odd-cert.pem")]].concat()).success();

    let lab = with(here, (2020, 2021));
    let told = echo(lab.dicom, &[tls.clone(), vec![odd.clone()]].concat()).failure();
    assert!(told.stderr.contains("expired on 2021-01-01"), "{told}");
    let told = echo(lab.dicom, &[tls.clone(), vec![made.path("odd-cert.pem")]].concat()).failure();
    assert!(told.stderr.contains("expired on 2021-01-01"), "{told}");

    let lab = with(&["pacs.lab"], (2020, 2090));
    let told = echo(lab.dicom, &[tls, vec![odd]].concat()).failure();
    assert!(told.stderr.contains("is for pacs.lab, not for 127.0.0.1"), "{told}");
    assert!(told.stderr.contains("tls init --host 127.0.0.1"), "{told}");
}

#[test]
fn the_self_signed_certificate_of_a_pacs_is_trusted_by_naming_it() {
    needs!("openssl", "storescp");
    let made = Certificates::init();
    let (key, cert) = (made.path("self-key.pem"), made.path("self-cert.pem"));
    let args = [
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=old-pacs",
        "-keyout",
        &key,
        "-out",
        &cert,
    ];
    peers::run("openssl", &args).success();
    let peer = dcmtk::StoreScp::start("PACSLAB", &["+tls", &key, &cert, "-ic"]);
    let tls = only(&["--tls", "--ca"]);
    echo(peer.port, &[tls.clone(), vec![cert]].concat()).success();
    let told = echo(peer.port, &[tls, vec![made.path("ca-cert.pem")]].concat()).failure();
    assert!(told.stderr.contains("--ca FILE"), "{told}");
}

#[test]
fn silent_connections_to_tls_doors_are_closed_and_hinder_nobody() {
    let made = Certificates::init();
    let lab = made.lab("none").config(DICOM).config(HTTP).start();
    let silent = |port: u16, first: &[u8]| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        stream.write_all(first).unwrap();
        stream
    };
    // nothing at all, and the beginning of a handshake
    let mut waiting: Vec<TcpStream> = (0..40)
        .flat_map(|_| [silent(lab.dicom, b""), silent(lab.dicom, b"\x16\x03\x01\x02\x00")])
        .chain([silent(lab.http, b""), silent(lab.http, b"\x16\x03\x01\x02\x00")])
        .collect();
    echo(lab.dicom, &[only(&["--tls"]), made.ours()].concat()).success();
    for stream in &mut waiting {
        let mut rest = Vec::new();
        // closed, with or without an alert
        assert!(stream.read_to_end(&mut rest).is_ok() || rest.is_empty());
    }
    logged(&lab, "said nothing for 1 s");
}

#[test]
fn a_door_without_its_files_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let start = |config: &str| {
        let file = folder.path().join("pacslab.toml");
        fs::write(&file, config).unwrap();
        let args = ["serve", "--ephemeral"];
        let mut command = pacslab();
        command.current_dir(folder.path()).args(args);
        let ended = crate::support::process::run(&mut command).failure();
        assert_eq!(ended.code(), Some(2), "{ended}");
        ended.stderr
    };
    let said = start("[dicom]\ntls = true\n");
    assert!(said.contains("dicom.tls is on") && said.contains("pacslab tls init"), "{said}");
    let made = Certificates::init();
    let wrong = format!(
        "[dicom]\ntls = true\n[tls]\ncert = '{}'\nkey = '{}'\n",
        made.path("server-cert.pem"),
        made.path("client-key.pem")
    );
    let said = start(&wrong);
    assert!(said.contains("is not the key of"), "{said}");
    let swapped = format!(
        "[http]\ntls = true\n[tls]\ncert = '{0}'\nkey = '{0}'\n",
        made.path("server-cert.pem")
    );
    assert!(start(&swapped).contains("holds no private key"));
}

/// HL7 over TLS, as IHE ATNA has it (ITI TF-2 3.19): another's TLS, with and without a certificate.
#[test]
fn orders_come_over_tls() {
    needs!("python");
    let made = Certificates::init();
    let lab = made.lab("required").config("[mllp]\ntls = true\n").start();
    let order = mllp::orm("ACC1001", "P12345", "PYMOD1", "20260105090000");
    let order = made.write("order.hl7", &order);
    let (port, order) = (lab.mllp.to_string(), order.to_str().unwrap().to_owned());
    let ca = made.path("ca-cert.pem");
    let send = |cert: &str, key: &str| {
        peers::python_script("mllp_tls.py", &[&port, &ca, cert, key, &order])
    };
    let answered = send(&made.path("client-cert.pem"), &made.path("client-key.pem")).success();
    assert!(answered.stdout.contains("MSA|AA|"), "{answered}");
    assert!(lab.worklists.join("ACC1001.wl").exists());

    send("-", "-").failure();
    logged(&lab, "certificate");
    // whoever forgot TLS is told where it is switched
    let mut plain = mllp::Connection::open(lab.mllp);
    assert_eq!(plain.try_exchange(b"MSH|^~\\&|A\r"), None);
    logged(&lab, "mllp.tls = false");
    lab.assert_alive();
}

#[test]
fn messages_leave_over_tls_and_who_is_not_believed_gets_none() {
    let made = Certificates::init();
    let there = made.lab("required").config("[mllp]\ntls = true\n").start();
    let to = format!(
        "[hl7.destinations.there]\nhost = \"127.0.0.1\"\nport = {}\ntls = true\nretry = \"50ms\"\n\
         retry_at_most = \"100ms\"\n",
        there.mllp
    );
    let here = made.lab("none").config(&to).start();
    here.place("ACC1001", "P12345", "PYMOD1");
    wait::until_true("the order to arrive", || there.worklists.join("ACC1001.wl").exists());

    let others = Certificates::init();
    let stranger = others.lab("none").config(&to).start();
    stranger.place("ACC1002", "P12345", "PYMOD1");
    wait::until_true("the reason to be told", || {
        let queue = stranger.get("/ris/hl7/queue").ok().json();
        queue[0]["problem"].as_str().is_some_and(|problem| problem.contains("certificate"))
    });
    assert!(!there.worklists.join("ACC1002.wl").exists());
}
