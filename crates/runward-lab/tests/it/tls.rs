//! The TLS server, greeted by rustls and by curl.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use runward_lab::{Answer, Lab, Site, Tls, requires, run};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use crate::{PATIENCE, any_port};

fn connect(lab: &Lab, tls: &Tls, name: &str) -> StreamOwned<ClientConnection, TcpStream> {
    let config = lab.authority().client_config().unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let socket = TcpStream::connect(tls.at()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), socket)
}

#[test]
fn the_certificate_follows_the_name() {
    let lab = Lab::loopback().unwrap();
    let names = ["a.example", "B.example", "*.c.example"];
    let tls = lab.tls(any_port(lab.v4(1)), &names, Answer::Echo).unwrap();
    for name in ["a.example", "b.example", "x.c.example"] {
        let mut stream = connect(&lab, &tls, name);
        stream.write_all(b"hello").unwrap();
        let mut reply = [0; 5];
        // rustls checks that the certificate is for this name.
        stream
            .read_exact(&mut reply)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(&reply, b"hello");
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    }
    let log = tls.log().wait(PATIENCE, |all| {
        all.iter().filter(|one| one.ended).count() == 3
    });
    let told: Vec<_> = log
        .iter()
        .map(|one| {
            (
                one.name.as_deref().unwrap_or("-"),
                one.received,
                one.sent,
                one.first.as_slice(),
            )
        })
        .collect();
    let hello: &[u8] = b"hello";
    assert_eq!(
        told,
        [
            ("a.example", 5, 5, hello),
            ("b.example", 5, 5, hello),
            ("x.c.example", 5, 5, hello)
        ]
    );
}

#[test]
fn greetings_that_fail_are_logged() {
    let lab = Lab::loopback().unwrap();
    let tls = lab
        .tls(any_port(lab.v4(1)), &["a.example"], Answer::Silent)
        .unwrap();

    // The server has no certificate for this name and shows its first: the client refuses.
    let mut stream = connect(&lab, &tls, "other.example");
    let error = stream.write_all(b"hello").unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    drop(stream);
    TcpStream::connect(tls.at())
        .unwrap()
        .write_all(b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();

    let log = tls.log().wait(PATIENCE, |all| {
        all.len() == 2 && all.iter().all(|one| one.ended)
    });
    assert_eq!(log[0].name.as_deref(), Some("other.example"));
    assert!(log[0].error.is_some());
    assert_eq!((log[1].name.as_deref(), log[1].received), (None, 0));
    assert!(log[1].error.is_some());
}

#[test]
fn pages_by_curl() {
    requires!(Program("curl"));
    let lab = Lab::loopback().unwrap();
    let site = Site::new();
    site.page("/x", "text/plain", "secure page");
    let tls = lab.tls(any_port(lab.v4(1)), &["a.example"], &site).unwrap();
    let resolve = format!("a.example:{}:{}", tls.at().port(), tls.at().ip());
    let ran = run(
        Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--noproxy",
                "*",
                "--resolve",
                &resolve,
                "--cacert",
            ])
            .arg(lab.ca_file())
            .arg(format!("https://a.example:{}/x", tls.at().port())),
        PATIENCE,
    )
    .unwrap();
    assert_eq!(
        (ran.code(), ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "secure page", "")
    );
    let requests = site.requests();
    assert_eq!(requests[0].tls_name.as_deref(), Some("a.example"));
    assert_eq!(tls.received()[0].alpn, ["h2", "http/1.1"]);
}

#[test]
fn a_server_needs_a_name() {
    let lab = Lab::loopback().unwrap();
    let error = lab
        .tls(any_port(lab.v4(1)), &[], Answer::Silent)
        .unwrap_err()
        .to_string();
    assert!(error.contains("at least one name"), "{error}");
}
