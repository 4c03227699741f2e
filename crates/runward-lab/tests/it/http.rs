//! The HTTP server, asked by git and by hand.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use runward_lab::{Lab, Site, requires, run};

use crate::{PATIENCE, any_port};

#[test]
fn git_clones_over_dumb_http() {
    requires!(Program("git"));
    let lab = Lab::loopback().unwrap();
    let source = lab.folder().join("source");
    let served = lab.folder().join("served");
    let cloned = lab.folder().join("cloned");
    fs::create_dir_all(&source).unwrap();
    fs::create_dir_all(&served).unwrap();
    fs::write(source.join("file"), "content\n").unwrap();
    git(&source, &["init", "--quiet", "--initial-branch=main"]);
    git(&source, &["add", "file"]);
    git(
        &source,
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t.example",
            "commit",
            "--quiet",
            "-m",
            "one",
        ],
    );
    git(
        &served,
        &["clone", "--quiet", "--bare", "../source", "project.git"],
    );
    git(&served.join("project.git"), &["update-server-info"]);

    let site = Site::folder(&served);
    let server = lab.tcp(any_port(lab.v4(1)), &site).unwrap();
    let url = format!("http://{}/project.git", server.at());
    git(lab.folder(), &["clone", "--quiet", &url, "cloned"]);

    assert_eq!(
        fs::read_to_string(cloned.join("file")).unwrap(),
        "content\n"
    );
    let requests = site.requests();
    assert_eq!(
        requests[0].path,
        "/project.git/info/refs?service=git-upload-pack"
    );
    assert!(
        requests[0]
            .user_agent
            .as_deref()
            .is_some_and(|agent| agent.starts_with("git/"))
    );
    assert_eq!(
        requests[0].host.as_deref(),
        Some(server.at().to_string().as_str())
    );
}

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    // The user's own settings, proxies among them, are not part of the test.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(folder)
        .args(arguments);
    let ran = run(&mut command, PATIENCE).unwrap();
    assert!(ran.worked(), "git {arguments:?}: {}", ran.stderr);
}

#[test]
fn one_connection_many_requests() {
    let lab = Lab::loopback().unwrap();
    let site = Site::new();
    site.page("/a", "text/plain", "first");
    site.page("/b", "text/plain", "second");
    let server = lab.tcp(any_port(lab.v4(1)), &site).unwrap();
    let told = talk(
        server.at(),
        "GET /a HTTP/1.1\r\nHost: h.example\r\n\r\n\
         POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody\
         HEAD /b?q HTTP/1.1\r\n\r\n\
         GET /c HTTP/1.1\r\nConnection: close\r\n\r\n\
         GET /never HTTP/1.1\r\n\r\n",
    );
    assert_eq!(
        told,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nfirst\
         HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 6\r\nContent-Type: text/plain\r\n\r\n\
         HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let requests: Vec<_> = site
        .requests()
        .into_iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                one.method,
                one.path,
                one.status,
                one.body.len()
            )
        })
        .collect();
    assert_eq!(
        requests,
        [
            "GET /a 200 0",
            "POST /a 405 4",
            "HEAD /b?q 200 0",
            "GET /c 404 0"
        ]
    );
    assert_eq!(server.received().len(), 1);
}

#[test]
fn bad_requests_end_the_connection() {
    let lab = Lab::loopback().unwrap();
    let server = lab.tcp(any_port(lab.v4(1)), Site::new()).unwrap();
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [
        ("\x16\x03\x01\x02", "400"),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "411",
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            "413",
        ),
        (&long, "400"),
    ] {
        let told = talk(server.at(), request);
        assert_eq!(told.split(' ').nth(1), Some(status), "{told}");
    }
}

/// Sends, ends, and reads to the end. A reset after the answer is as good as an end.
fn talk(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut told = Vec::new();
    let _ = stream.read_to_end(&mut told);
    String::from_utf8(told).unwrap()
}
