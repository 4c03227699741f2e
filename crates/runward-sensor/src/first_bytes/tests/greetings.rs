//! What clients say first: well-behaved ones, and ones that mean to be read differently by a server than by Runward.

use super::super::{Phase, Reason};

/// The names that the tests' policy allows. `b.example` is the one that is not.
pub(super) fn allowed(name: &[u8], port: u16) -> bool {
    ALLOWED
        .iter()
        .any(|(allowed, on)| allowed.as_bytes() == name && *on == port)
}

pub(super) const ALLOWED: [(&str, u16); 4] = [
    ("a.example", 443),
    ("a.example", 80),
    ("c-1_x.a.example", 8443),
    ("d.example", 80),
];

/// A stream of a client, and what becomes of it.
#[derive(Debug)]
pub(super) struct Greeting {
    pub(super) name: &'static str,
    pub(super) port: u16,
    pub(super) bytes: Vec<u8>,
    pub(super) phase: Phase,
}

pub(super) fn greetings() -> Vec<Greeting> {
    let mut all = captured();
    all.extend(tls());
    all.extend(http());
    all.extend(others());
    all
}

/// What real clients sent, to `a.example`.
fn captured() -> Vec<Greeting> {
    macro_rules! captured {
        ($($file:literal $port:literal $phase:expr),* $(,)?) => {
            vec![$(Greeting {
                name: $file,
                port: $port,
                bytes: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/greetings/", $file)).to_vec(),
                phase: $phase,
            }),*]
        };
    }
    captured! {
        "openssl-tls-1.3.bin" 443 Phase::Reading,
        "openssl-tls-1.2.bin" 443 Phase::Named,
        "openssl-no-sni.bin" 443 Phase::Refused(Reason::NoSni),
        "openssl-padded.bin" 443 Phase::Reading,
        "curl-tls.bin" 443 Phase::Reading,
        "python-tls.bin" 443 Phase::Reading,
        "curl-get.bin" 80 Phase::Reading,
        "curl-post.bin" 80 Phase::Reading,
        "curl-chunked.bin" 80 Phase::Reading,
        "curl-proxied.bin" 3128 Phase::Reading,
        "curl-tunnel.bin" 3128 Phase::Reading,
        "curl-h2c-upgrade.bin" 80 Phase::Refused(Reason::Upgrade),
        "curl-h2c.bin" 80 Phase::Refused(Reason::H2c),
        "curl-websocket.bin" 80 Phase::Refused(Reason::Upgrade),
        "python-get.bin" 80 Phase::Reading,
        "apt-pipelined.bin" 80 Phase::Reading,
        "git-get.bin" 80 Phase::Reading,
        "git-daemon.bin" 9418 Phase::Opaque,
        "ssh.bin" 22 Phase::Opaque,
    }
}

pub(super) fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &length(body.len()), body].concat()
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap().to_be_bytes()
}

pub(super) fn server_name(name: &str) -> Vec<u8> {
    server_names(&[(0, name.as_bytes())])
}

fn server_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let list: Vec<u8> = names
        .iter()
        .flat_map(|(kind, name)| [&[*kind][..], &length(name.len()), name].concat())
        .collect();
    extension(0, &[&length(list.len())[..], &list].concat())
}

/// A ClientHello with its own header, without a record.
pub(super) fn client_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let body = [
        &[3, 3][..],
        &[0x5a; 32],
        &[32],
        &[0xa5; 32],
        &[0, 4, 0x13, 1, 0x13, 2],
        &[1, 0],
        &length(extensions.len()),
        &extensions,
    ]
    .concat();
    handshake(1, &body)
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &len[1..], body].concat()
}

pub(super) fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &length(body.len()), body].concat()
}

/// One record for each piece of a message.
fn records(message: &[u8], piece: usize) -> Vec<u8> {
    message
        .chunks(piece)
        .flat_map(|piece| record(0x16, piece))
        .collect()
}

fn hello_record(extensions: &[Vec<u8>]) -> Vec<u8> {
    record(0x16, &client_hello(extensions))
}

fn tls_1_3() -> Vec<u8> {
    extension(43, &[2, 3, 4])
}

/// A key share as large as those that a quantum computer can't break.
fn large_key_share() -> Vec<u8> {
    extension(51, &[7; 1222])
}

fn tls() -> Vec<Greeting> {
    let a = || server_name("a.example");
    let b = || server_name("b.example");
    let hello = |extensions: &[Vec<u8>]| hello_record(extensions);
    let retry_with = |then: &[u8]| [&hello(&[a(), tls_1_3()])[..], then].concat();
    let ccs = record(0x14, &[1]);
    let early = |then: &[u8]| {
        [
            &hello(&[a(), tls_1_3(), extension(42, &[])])[..],
            &record(0x17, &[9; 300]),
            then,
        ]
        .concat()
    };
    let data = record(0x17, &[9; 50]);
    let mut lying_length = hello(&[a()]);
    // The length of the handshake message says one byte less than there is.
    lying_length[8] -= 1;
    let mut lying_extensions = client_hello(&[large_key_share(), a()]);
    // The length of the extensions: after 4 + 2 + 32 + 33 + 6 + 2 bytes.
    lying_extensions[79] = 0;
    let mut not_a_hello = hello(&[a()]);
    not_a_hello[5] = 2;
    let mut old_version = hello(&[a()]);
    old_version[9] = 2;
    let named = Phase::Named;
    let reading = Phase::Reading;
    let refused = Phase::Refused;
    let mismatch = refused(Reason::SniMismatch);
    let malformed = refused(Reason::MalformedTls);
    let encrypted = refused(Reason::EncryptedClientHello);
    let table: Vec<(&str, Vec<u8>, Phase)> = vec![
        ("the name is allowed", hello(&[a()]), named),
        ("the name is not allowed", hello(&[b()]), mismatch),
        ("no extension", hello(&[]), refused(Reason::NoSni)),
        (
            "other extensions only",
            hello(&[large_key_share()]),
            refused(Reason::NoSni),
        ),
        (
            "the name comes last",
            hello(&[large_key_share(), a()]),
            named,
        ),
        (
            "the wrong name comes last",
            hello(&[large_key_share(), b()]),
            mismatch,
        ),
        (
            "the name comes first",
            hello(&[a(), large_key_share(), extension(16, b"x")]),
            named,
        ),
        (
            "a large key share in small records",
            records(&client_hello(&[large_key_share(), a()]), 100),
            named,
        ),
        (
            "a wrong name in small records",
            records(&client_hello(&[large_key_share(), b()]), 100),
            mismatch,
        ),
        (
            "records of one byte",
            records(&client_hello(&[a()]), 1),
            refused(Reason::TooLong),
        ),
        (
            "records of four bytes",
            records(&client_hello(&[a()]), 4),
            named,
        ),
        (
            "a record without bytes",
            [record(0x16, &[]), hello(&[a()])].concat(),
            malformed,
        ),
        (
            "longer than any ClientHello",
            hello(&[extension(21, &[0; 16_300]), a()]),
            refused(Reason::TooLong),
        ),
        ("another case", hello(&[server_name("A.eXample")]), named),
        (
            "a dot at the end",
            hello(&[server_name("a.example.")]),
            named,
        ),
        (
            "two dots at the end",
            hello(&[server_name("a.example..")]),
            malformed,
        ),
        ("a dot alone", hello(&[server_name(".")]), malformed),
        ("an empty name", hello(&[server_name("")]), malformed),
        (
            "a NUL in the name",
            hello(&[server_name("a.example\0.b.example")]),
            malformed,
        ),
        (
            "a space in the name",
            hello(&[server_name("a.example ")]),
            malformed,
        ),
        (
            "an address as the name",
            hello(&[server_name("192.0.2.1")]),
            mismatch,
        ),
        (
            "a longer name",
            hello(&[server_name("xa.example")]),
            mismatch,
        ),
        (
            "a part of the name",
            hello(&[server_name("a.exampl")]),
            mismatch,
        ),
        (
            "a name of 255 bytes",
            hello(&[server_name(&"x.".repeat(127)), a()]),
            mismatch,
        ),
        (
            "a name of 256 bytes",
            hello(&[server_name(&"x".repeat(256))]),
            malformed,
        ),
        ("two extensions with names", hello(&[a(), b()]), malformed),
        (
            "two names",
            hello(&[server_names(&[(0, b"a.example"), (0, b"b.example")])]),
            malformed,
        ),
        (
            "no names in the list",
            hello(&[server_names(&[])]),
            malformed,
        ),
        (
            "another type of name",
            hello(&[server_names(&[(1, b"a.example")])]),
            malformed,
        ),
        (
            "an encrypted ClientHello",
            hello(&[a(), extension(0xfe0d, &[0; 200])]),
            encrypted,
        ),
        (
            "an encrypted ClientHello first",
            hello(&[extension(0xfe0d, &[0; 200]), a()]),
            encrypted,
        ),
        (
            "an encrypted name",
            hello(&[a(), extension(0xffce, &[0; 20])]),
            encrypted,
        ),
        ("a length that lies", lying_length, malformed),
        (
            "extensions that end inside one",
            record(0x16, &lying_extensions),
            malformed,
        ),
        (
            "an extension beyond the end",
            hello(&[a(), vec![0, 99, 0, 9]]),
            malformed,
        ),
        ("another handshake message", not_a_hello, malformed),
        ("SSL 2 as the version", old_version, malformed),
        (
            "another version of records",
            vec![0x16, 2, 0, 0, 1, 1],
            malformed,
        ),
        (
            "an alert first",
            [record(0x15, &[1, 0]), hello(&[b()])].concat(),
            malformed,
        ),
        (
            "a change of ciphers first",
            [ccs.clone(), hello(&[b()])].concat(),
            malformed,
        ),
        (
            "data first",
            [data.clone(), hello(&[b()])].concat(),
            malformed,
        ),
        (
            "a blank line first",
            [&b"\r\n"[..], &hello(&[a()])].concat(),
            malformed,
        ),
        (
            "SSL 2",
            vec![0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0],
            refused(Reason::NoSni),
        ),
        ("TLS 1.3", hello(&[a(), tls_1_3()]), reading),
        (
            "TLS 1.3, then encrypted",
            retry_with(&[ccs.clone(), data.clone()].concat()),
            named,
        ),
        (
            "TLS 1.3, then key exchange of 1.2",
            retry_with(&record(0x16, &handshake(16, &[0; 66]))),
            named,
        ),
        (
            "TLS 1.3, then a resumed session of 1.2",
            retry_with(&[ccs.clone(), record(0x16, &[0; 40])].concat()),
            named,
        ),
        (
            "a second ClientHello",
            retry_with(&[ccs.clone(), hello(&[a(), tls_1_3()])].concat()),
            named,
        ),
        (
            "a second ClientHello with another name",
            retry_with(&[ccs.clone(), hello(&[b(), tls_1_3()])].concat()),
            mismatch,
        ),
        (
            "a second ClientHello at once",
            retry_with(&hello(&[b(), tls_1_3()])),
            mismatch,
        ),
        (
            "a second ClientHello without a name",
            retry_with(&hello(&[tls_1_3()])),
            refused(Reason::NoSni),
        ),
        (
            "a second ClientHello in small records",
            retry_with(&records(&client_hello(&[b(), tls_1_3()]), 8)),
            mismatch,
        ),
        (
            "a second ClientHello in the same record",
            record(
                0x16,
                &[client_hello(&[a(), tls_1_3()]), client_hello(&[b()])].concat(),
            ),
            malformed,
        ),
        (
            "a second ClientHello after an alert",
            retry_with(&[record(0x15, &[1, 90]), hello(&[b()])].concat()),
            mismatch,
        ),
        (
            "a second ClientHello that is too long",
            retry_with(&hello(&[extension(21, &[0; 16_300]), b()])),
            refused(Reason::TooLong),
        ),
        ("early data", early(&data), reading),
        (
            "a second ClientHello after early data",
            early(&hello(&[b(), tls_1_3()])),
            mismatch,
        ),
        (
            "a right second ClientHello after early data",
            early(&[data.clone(), hello(&[a(), tls_1_3()])].concat()),
            named,
        ),
        (
            "data inside of a second ClientHello",
            early(&[record(0x16, &client_hello(&[b()])[..9]), data.clone()].concat()),
            malformed,
        ),
        (
            "anything after the name of TLS 1.2",
            [hello(&[a()]), hello(&[b()])].concat(),
            named,
        ),
    ];
    table
        .into_iter()
        .map(|(name, bytes, phase)| Greeting {
            name,
            port: 443,
            bytes,
            phase,
        })
        .collect()
}

fn http() -> Vec<Greeting> {
    let reading = Phase::Reading;
    let refused = Phase::Refused;
    let mismatch = refused(Reason::HostMismatch);
    let malformed = refused(Reason::MalformedHttp);
    let body = refused(Reason::AmbiguousBody);
    let long_value = format!(
        "GET / HTTP/1.1\r\nx: {}\r\nhost: b.example\r\n\r\n",
        "y".repeat(3000)
    );
    let too_long = format!("GET /{} HTTP/1.1\r\n", "y".repeat(66_000));
    let tunnel = |inside: &[u8]| {
        [
            &b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n"[..],
            inside,
        ]
        .concat()
    };
    let pipelined = "GET /pool/x.deb HTTP/1.1\r\nHost: a.example\r\n\r\n".repeat(20);
    let table: Vec<(&str, &[u8], Phase)> = vec![
        ("a request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("another host", b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("no value of Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", refused(Reason::NoHost)),
        ("no Host", b"GET / HTTP/1.1\r\nAccept: */*\r\n\r\n", refused(Reason::NoHost)),
        ("HTTP/1.0 without Host", b"GET / HTTP/1.0\r\n\r\n", refused(Reason::NoHost)),
        ("HTTP/1.0 with Host", b"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n", reading),
        ("two hosts", b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", malformed),
        ("the same host twice", b"GET / HTTP/1.1\r\nHost: a.example\r\nhost: a.example\r\n\r\n", malformed),
        ("Host in another case", b"GET / HTTP/1.1\r\nhOST:a.EXAMPLE\t \r\n\r\n", reading),
        ("a dot at the end of Host", b"GET / HTTP/1.1\r\nHost: a.example.\r\n\r\n", reading),
        ("the port of the flow", b"GET / HTTP/1.1\r\nHost: a.example:80\r\n\r\n", reading),
        ("another port", b"GET / HTTP/1.1\r\nHost: a.example:443\r\n\r\n", mismatch),
        ("an empty port", b"GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", malformed),
        ("a long port", b"GET / HTTP/1.1\r\nHost: a.example:000080\r\n\r\n", malformed),
        ("a port beyond 16 bits", b"GET / HTTP/1.1\r\nHost: a.example:65616\r\n\r\n", malformed),
        ("a port that is no number", b"GET / HTTP/1.1\r\nHost: a.example:8o\r\n\r\n", malformed),
        ("a list of hosts", b"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", malformed),
        ("two hosts in a line", b"GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n", malformed),
        ("a user in Host", b"GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n", malformed),
        ("a path in Host", b"GET / HTTP/1.1\r\nHost: a.example/b.example\r\n\r\n", malformed),
        ("an address in Host", b"GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n", mismatch),
        ("an IPv6 address in Host", b"GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\n\r\n", malformed),
        ("a NUL in Host", b"GET / HTTP/1.1\r\nHost: a.example\0b\r\n\r\n", malformed),
        ("a folded Host", b"GET / HTTP/1.1\r\nHost:\r\n b.example\r\n\r\n", refused(Reason::NoHost)),
        ("a folded header", b"GET / HTTP/1.1\r\nx: y\r\n Host: b.example\r\n\r\n", malformed),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", malformed),
        ("a space before the name", b"GET / HTTP/1.1\r\n Host: a.example\r\n\r\n", malformed),
        ("a header without a name", b"GET / HTTP/1.1\r\n: a.example\r\n\r\n", malformed),
        ("a header without a colon", b"GET / HTTP/1.1\r\nHost\r\n\r\n", malformed),
        ("lines that end in LF", b"GET / HTTP/1.1\nHost: a.example\n\n", malformed),
        ("a header that ends in LF", b"GET / HTTP/1.1\r\nx: y\nHost: b.example\r\n\r\n", malformed),
        ("a header that ends in CR", b"GET / HTTP/1.1\r\nx: y\rHost: b.example\r\n\r\n", malformed),
        ("an end in CR CR", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\r", malformed),
        ("a NUL in a value", b"GET / HTTP/1.1\r\nx: \0\r\nHost: a.example\r\n\r\n", malformed),
        ("bytes beyond ASCII in a value", b"GET / HTTP/1.1\r\nx: \xc3\xa9\t\r\nHost: a.example\r\n\r\n", reading),
        ("a header that only begins like Host", b"GET / HTTP/1.1\r\nHosts: b.example\r\nHost: a.example\r\n\r\n", reading),
        ("a header with a long name", b"GET / HTTP/1.1\r\nx-very-long-name-of-a-header-host: b.example\r\nHost: a.example\r\n\r\n", reading),
        ("the target names the host", b"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("the target names it with its port", b"GET HTTP://A.example:80?x HTTP/1.1\r\nHost: a.example:80\r\n\r\n", reading),
        ("the target without a path", b"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("the target names another host", b"GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", mismatch),
        ("the target and Host differ", b"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("another allowed name in Host", b"GET http://a.example/ HTTP/1.1\r\nHost: d.example\r\n\r\n", reading),
        ("the target is for another port", b"GET http://d.example:443/ HTTP/1.1\r\nHost: d.example\r\n\r\n", mismatch),
        ("an https target", b"GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("a user in the target", b"GET http://a.example@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a fragment in the target", b"GET http://a.example#@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a backslash in the target", b"GET http://a.example\\@b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("another scheme", b"GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("no path", b"GET a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a query only", b"GET ?x HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("everything", b"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("everything and more", b"OPTIONS *x HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("two spaces", b"GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a tab as the space", b"GET\t/ HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("a space at the end of the line", b"GET / HTTP/1.1 \r\nHost: a.example\r\n\r\n", malformed),
        ("HTTP/0.9", b"GET /\r\n", malformed),
        ("HTTP/0.9 with a host", b"GET http://b.example/\r\n", mismatch),
        ("a method alone", b"GET\r\n", malformed),
        ("HTTP/1.2", b"GET / HTTP/1.2\r\n", malformed),
        ("HTTP/2.0", b"GET / HTTP/2.0\r\n", malformed),
        ("HTTP in lower case", b"GET / http/1.1\r\n", malformed),
        ("a method in lower case", b"get / HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("a method that nobody knows", b"FROBNICATE-IT / HTTP/1.1\r\nHost: a.example\r\n\r\n", reading),
        ("an unknown method and a wrong host", b"FROB / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("an unknown method in lower case", b"frob / HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("an unknown method and tabs", b"FROB\t/\tHTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("an unknown method and a broken target", b"FROB \x01 HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("blank lines first", b"\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("an LF first", b"\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("a space first", b" GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("very many blank lines", &[b'\n'; 17], malformed),
        ("what a proxy says of its client", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 80\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("the same in binary", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", malformed),
        ("HTTP/2 without TLS", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", refused(Reason::H2c)),
        ("an upgrade", b"GET / HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\n\r\n", refused(Reason::Upgrade)),
        ("two requests", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nHost: d.example\r\n\r\n", reading),
        ("a wrong second request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("something else after a request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nSSH-2.0-x\r\n", malformed),
        ("binary data after a request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n\0", malformed),
        ("TLS after a request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n\x16\x03", malformed),
        ("HTTP/2 after a request", b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\nPRI * HTTP/2.0\r\n", refused(Reason::H2c)),
        ("a body", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("a body that looks like a request", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 37\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n..", reading),
        ("a body of no bytes", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("a GET with a body", b"GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\n", body),
        ("a GET with a length of 0", b"GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n", reading),
        ("two lengths", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", body),
        ("a list of lengths", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5, 5\r\n\r\n", body),
        ("a length with a sign", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +5\r\n\r\n", body),
        ("no length", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: \r\n\r\n", body),
        ("a length beyond all bodies", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 18446744073709551621\r\n\r\n", body),
        ("a length and chunks", b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", body),
        ("chunks and a length", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", body),
        ("chunks", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("trailers", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked \r\n\r\n0\r\nx: y\r\n\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n", mismatch),
        ("Host as a trailer", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b.example\r\n\r\n", malformed),
        ("two codings", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", body),
        ("another coding", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n", body),
        ("a coding that begins like chunked", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunkedx\r\n\r\n", body),
        ("chunks in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n", body),
        ("an extension of a chunk", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n", body),
        ("a chunk without a size", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", body),
        ("a chunk longer than its size", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n", malformed),
        ("a chunk beyond all bodies", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1000000000000\r\n", body),
        ("chunk lines that end in LF", b"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n", body),
        ("a tunnel to another host", b"CONNECT b.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", mismatch),
        ("a tunnel with another Host", b"CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n", mismatch),
        ("a tunnel to another port", b"CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\n\r\n", mismatch),
        ("a tunnel without a port", b"CONNECT a.example HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a tunnel to a path", b"CONNECT / HTTP/1.1\r\nHost: a.example\r\n\r\n", malformed),
        ("a tunnel with a body", b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nContent-Length: 9\r\n\r\n", body),
    ];
    let built: Vec<(&str, Vec<u8>, Phase)> = vec![
        (
            "a long value before a wrong host",
            long_value.into_bytes(),
            mismatch,
        ),
        (
            "a head without end",
            too_long.into_bytes(),
            refused(Reason::TooLong),
        ),
        (
            "a very long method",
            [&[b'X'; 500][..], b" / HTTP/1.1\r\nHost: b.example\r\n\r\n"].concat(),
            mismatch,
        ),
        (
            "a long method in lower case",
            [&[b'x'; 500][..], b" / HTTP/1.1\r\n"].concat(),
            malformed,
        ),
        ("many requests", pipelined.into_bytes(), reading),
        (
            "a tunnel",
            tunnel(&hello_record(&[server_name("a.example")])),
            Phase::Named,
        ),
        (
            "a tunnel with another name inside",
            tunnel(&hello_record(&[server_name("b.example")])),
            refused(Reason::SniMismatch),
        ),
        (
            "a tunnel with HTTP inside",
            tunnel(b"GET / HTTP/1.1\r\n"),
            refused(Reason::TunnelWithoutTls),
        ),
        (
            "a tunnel with something else inside",
            tunnel(b"SSH-2.0-x\r\n"),
            refused(Reason::TunnelWithoutTls),
        ),
    ];
    table
        .into_iter()
        .map(|(name, bytes, phase)| (name, bytes.to_vec(), phase))
        .chain(built)
        .map(|(name, bytes, phase)| Greeting {
            name,
            port: 80,
            bytes,
            phase,
        })
        .collect()
}

fn others() -> Vec<Greeting> {
    let opaque = Phase::Opaque;
    let malformed_tls = Phase::Refused(Reason::MalformedTls);
    let table: Vec<(&str, &[u8], Phase)> = vec![
        ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", opaque),
        (
            "git",
            b"0032git-upload-pack /project.git\0host=b.example\0",
            opaque,
        ),
        ("postgres", b"\0\0\0\x08\x04\xd2\x16\x2f", opaque),
        ("mysql asks for TLS", b"\x20\0\0\x01\x85\xae\xff\0", opaque),
        ("mysql", b"\x55\0\0\x01\x85\xa6\xff\x01", opaque),
        (
            "mysql, of a length like TLS",
            b"\x16\0\0\x01\x85\xa6",
            malformed_tls,
        ),
        ("redis", b"*1\r\n$4\r\nPING\r\n", opaque),
        ("redis, typed", b"PING\r\n", opaque),
        ("smtp", b"EHLO b.example\r\n", opaque),
        ("ftp", b"USER anonymous\r\n", opaque),
        ("imap", b"a001 CAPABILITY\r\n", opaque),
        ("rsync", b"@RSYNCD: 31.0 sha512\n", opaque),
        ("svn", b"( 2 ( edit-pipeline ) )", opaque),
        ("json", b"{\"method\":\"GET / HTTP/1.1\"}", opaque),
        ("amqp", b"AMQP\0\0\x09\x01", opaque),
        ("mqtt", b"\x10\x1a\0\x04MQTT", opaque),
        ("kafka", b"\0\0\0\x14\0\x12\0\0", opaque),
        ("mongodb", b"\x48\0\0\0\x01\0\0\0", opaque),
        ("a length like a line feed", b"\x0a\0\0\0\x01", opaque),
        ("high bytes", b"\xff\xfb\x01\xff\xfb\x03", opaque),
        (
            "a line of words",
            b"HELLO old friend, no HTTP here\r\n",
            opaque,
        ),
        (
            "a word that is HTTP",
            b"HELLO HTTP/\r\n",
            Phase::Refused(Reason::MalformedHttp),
        ),
        (
            "opaque stays opaque",
            b"EHLO x\r\nGET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
            opaque,
        ),
        ("nothing", b"", Phase::Reading),
    ];
    table
        .into_iter()
        .map(|(name, bytes, phase)| Greeting {
            name,
            port: 9999,
            bytes: bytes.to_vec(),
            phase,
        })
        .collect()
}
