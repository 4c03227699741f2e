//! The first bytes of a stream: an address that is allowed for one name says nothing for others that live there too.

use runward_lab::{requires, test_name};

use super::dns::hex;
use super::tls::Hello;
use super::{Batch, Case, Truth, case};

/// Makes the address known under its allowed name, as every honest client does.
const LOOKUP: &str = "$A/net dns-udp {ns} 53 allowed.example";

/// How the bytes are cut into segments: how many a segment, and how many milliseconds between two.
#[derive(Clone, Copy)]
struct Cut(usize, u32);

const WHOLE: Cut = Cut(0, 0);

fn says(port: u16, cut: Cut, messages: &[Vec<u8>]) -> String {
    let messages: Vec<String> = messages.iter().map(|message| hex(message)).collect();
    format!(
        "{LOOKUP}; $A/speak say {{shared}} {port} {} {} {}",
        cut.0,
        cut.1,
        messages.join(" ")
    )
}

/// A stream whose forbidden name must not arrive.
fn names(name: &str, forbidden: &str, port: u16, cut: Cut, messages: &[Vec<u8>]) -> Case {
    case(name, &says(port, cut, messages)).shown_by(Truth::Stream(forbidden.as_bytes().to_vec()))
}

/// A name that no run of bytes holds, because records end inside of it: it is there when everything up to its end is.
fn in_records(name: &str, forbidden: &str, size: usize, cut: Cut) -> Case {
    // The padding stands behind the name.
    let padding = 200;
    let hello = Hello {
        padding,
        ..Hello::to(forbidden)
    };
    let mut up_to_name = hello.in_records(size);
    up_to_name.truncate(up_to_name.len() - padding);
    case(name, &says(443, cut, &[hello.in_records(size)])).shown_by(Truth::Stream(up_to_name))
}

fn greetings() -> Vec<Case> {
    let hello = |number: u8| Hello::to(&format!("n{number:02}.other.example"));
    let name = |number: u8| format!("n{number:02}.other.example");
    let long = |number| Hello {
        key_share: 1216,
        padding: 600,
        ..hello(number)
    };
    vec![
        names("another name", &name(1), 443, WHOLE, &[hello(1).bytes()]),
        names(
            "another name in upper case",
            "N02.OTHER.EXAMPLE",
            443,
            WHOLE,
            &[Hello::to("N02.OTHER.EXAMPLE").bytes()],
        ),
        names(
            "another name, byte by byte",
            &name(3),
            443,
            Cut(1, 1),
            &[hello(3).bytes()],
        ),
        names(
            "another name in small segments",
            &name(4),
            443,
            Cut(7, 5),
            &[hello(4).bytes()],
        ),
        names(
            "another name after a long key share",
            &name(5),
            443,
            WHOLE,
            &[long(5).bytes()],
        ),
        names(
            "a long greeting in segments",
            &name(6),
            443,
            Cut(1200, 20),
            &[long(6).bytes()],
        ),
        in_records("another name in several records", &name(7), 16, WHOLE),
        in_records(
            "several records in several segments",
            &name(8),
            9,
            Cut(11, 3),
        ),
        names(
            "a second name behind the allowed one",
            &name(9),
            443,
            WHOLE,
            &[Hello {
                names: vec!["allowed.example".to_owned(), name(9)],
                ..Hello::default()
            }
            .bytes()],
        ),
        names(
            "a name that begins like the allowed one",
            "allowed.example.n10.other.example",
            443,
            WHOLE,
            &[Hello::to("allowed.example.n10.other.example").bytes()],
        ),
        names(
            "a zero byte in the name",
            "allowed.example\0n11.other.example",
            443,
            WHOLE,
            &[Hello::to("allowed.example\0n11.other.example").bytes()],
        ),
        names(
            "no name, but an address's one in the padding",
            "n12.other.example",
            443,
            WHOLE,
            &[
                Hello {
                    key_share: 40,
                    ..Hello::default()
                }
                .bytes(),
                b"n12.other.example".to_vec(),
            ],
        ),
        names(
            "a greeting on the port of HTTP",
            &name(13),
            80,
            WHOLE,
            &[hello(13).bytes()],
        ),
        names(
            "a greeting on another allowed port",
            &name(14),
            4430,
            Cut(40, 5),
            &[hello(14).bytes()],
        ),
        names(
            "a second greeting after an allowed one",
            &name(15),
            443,
            Cut(0, 50),
            &[Hello::to("allowed.example").bytes(), hello(15).bytes()],
        ),
    ]
}

fn requests() -> Vec<Case> {
    let text = |text: &str| text.replace('\n', "\r\n").into_bytes();
    let http = |name: &str, number: u8, cut: Cut, messages: &[&str]| {
        let host = format!("h{number:02}.other.example");
        let messages: Vec<Vec<u8>> = messages
            .iter()
            .map(|message| text(&message.replace("{host}", &host)))
            .collect();
        names(name, &host, 80, cut, &messages)
    };
    vec![
        http(
            "another host",
            1,
            WHOLE,
            &["GET / HTTP/1.1\nHost: {host}\n\n"],
        ),
        // Byte by byte, the name goes out before its end is known. What must not is the end of its line, without which
        // no server knows whose request it is.
        names(
            "another host, byte by byte",
            "h02.other.example\r\n",
            80,
            Cut(1, 1),
            &[text("GET / HTTP/1.1\nHost: h02.other.example\n\n")],
        ),
        http(
            "another host after many fields",
            3,
            WHOLE,
            &[&format!(
                "GET / HTTP/1.1\n{}Host: {{host}}\n\n",
                "X-Filler: 0123456789012345678901234567890123456789\n".repeat(40)
            )],
        ),
        http(
            "a field's name in odd case",
            4,
            WHOLE,
            &["GET / HTTP/1.1\nhOsT:{host}\n\n"],
        ),
        http(
            "two hosts, the allowed one first",
            5,
            WHOLE,
            &["GET / HTTP/1.1\nHost: allowed.example\nHost: {host}\n\n"],
        ),
        http(
            "two hosts, the allowed one last",
            6,
            WHOLE,
            &["GET / HTTP/1.1\nHost: {host}\nHost: allowed.example\n\n"],
        ),
        http(
            "a whole address in the request",
            7,
            WHOLE,
            &["GET http://{host}/ HTTP/1.1\nHost: allowed.example\n\n"],
        ),
        http(
            "a tunnel through the allowed host",
            8,
            WHOLE,
            &["CONNECT {host}:443 HTTP/1.1\nHost: {host}:443\n\n"],
        ),
        http(
            "a tunnel with the allowed host's name",
            9,
            WHOLE,
            &["CONNECT {host}:443 HTTP/1.1\nHost: allowed.example\n\n"],
        ),
        http(
            "a second request in the same segment",
            10,
            WHOLE,
            &["GET / HTTP/1.1\nHost: allowed.example\n\nGET / HTTP/1.1\nHost: {host}\n\n"],
        ),
        http(
            "a second request in a segment of its own",
            11,
            Cut(0, 100),
            &[
                "GET / HTTP/1.1\nHost: allowed.example\n\n",
                "GET / HTTP/1.1\nHost: {host}\n\n",
            ],
        ),
        http(
            "a second request behind a body",
            12,
            Cut(0, 50),
            &[
                "POST / HTTP/1.1\nHost: allowed.example\nContent-Length: 5\n\n",
                "12345GET / HTTP/1.1\nHost: {host}\n\n",
            ],
        ),
        http(
            "HTTP/2 without asking",
            13,
            WHOLE,
            &["PRI * HTTP/2.0\n\nSM\n\n", "{host}"],
        ),
        http(
            "HTTP/2 without asking, in two segments",
            14,
            Cut(5, 20),
            &["PRI * HTTP/2.0\n\nSM\n\n", "{host}"],
        ),
        http(
            "HTTP/2 by an upgrade",
            15,
            Cut(0, 50),
            &[
                "GET / HTTP/1.1\nHost: allowed.example\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAAA\n\n",
                "PRI * HTTP/2.0\n\nSM\n\n{host}",
            ],
        ),
        http(
            "empty lines before the request",
            16,
            WHOLE,
            &["\n\n\nGET / HTTP/1.1\nHost: {host}\n\n"],
        ),
        http(
            "a request of HTTP/1.0",
            17,
            WHOLE,
            &["GET / HTTP/1.0\nHost: {host}\n\n"],
        ),
        http(
            "a method nobody knows",
            18,
            WHOLE,
            &["FETCHALL / HTTP/1.1\nHost: {host}\n\n"],
        ),
        http(
            "a field that is folded",
            19,
            WHOLE,
            &["GET / HTTP/1.1\nHost:\n {host}\n\n"],
        ),
        http(
            "a tab before the host",
            20,
            WHOLE,
            &["GET / HTTP/1.1\nHost:\t{host}\n\n"],
        ),
        http(
            "a host with the allowed name before an at sign",
            21,
            WHOLE,
            &["GET / HTTP/1.1\nHost: allowed.example@{host}\n\n"],
        ),
        http(
            "line ends without a return",
            22,
            WHOLE,
            &["GET / HTTP/1.1\nHost: {host}\n\n"],
        )
        .with_bare_line_ends(22),
    ]
}

trait BareLineEnds {
    fn with_bare_line_ends(self, number: u8) -> Self;
}

impl BareLineEnds for Case {
    /// The same request with line feeds alone.
    fn with_bare_line_ends(mut self, number: u8) -> Case {
        let request = format!("GET / HTTP/1.1\nHost: h{number:02}.other.example\n\n");
        self.act = says(80, WHOLE, &[request.into_bytes()]);
        self
    }
}

/// What honest clients say, which must arrive whole.
fn honest() -> Vec<Case> {
    let whole = |name: &str, port: u16, cut: Cut, messages: Vec<Vec<u8>>| {
        let all = messages.concat();
        case(name, &says(port, cut, &messages))
            .shown_by(Truth::Stream(all))
            .passes()
    };
    let long = Hello {
        key_share: 1216,
        padding: 500,
        ..Hello::to("allowed.example")
    };
    let request = |text: &str| text.replace('\n', "\r\n").into_bytes();
    vec![
        whole(
            "the allowed name",
            443,
            WHOLE,
            vec![Hello::to("allowed.example").bytes()],
        ),
        whole(
            "the allowed name in upper case",
            443,
            WHOLE,
            vec![Hello::to("Allowed.EXAMPLE").bytes()],
        ),
        whole(
            "the allowed name, byte by byte",
            443,
            Cut(1, 1),
            vec![
                Hello {
                    padding: 9,
                    ..Hello::to("allowed.example")
                }
                .bytes(),
            ],
        ),
        whole("a long greeting", 443, WHOLE, vec![long.bytes()]),
        whole(
            "a long greeting in segments",
            443,
            Cut(1000, 10),
            vec![
                Hello {
                    padding: 501,
                    ..long.clone()
                }
                .bytes(),
            ],
        ),
        whole(
            "a greeting in records",
            443,
            WHOLE,
            vec![
                Hello {
                    padding: 11,
                    ..Hello::to("allowed.example")
                }
                .in_records(30),
            ],
        ),
        whole(
            "a greeting, and then what is encrypted",
            443,
            Cut(0, 30),
            vec![
                Hello {
                    padding: 12,
                    ..Hello::to("allowed.example")
                }
                .bytes(),
                b"\x17\x03\x03\x00\x05other".to_vec(),
            ],
        ),
        whole(
            "the allowed host",
            80,
            WHOLE,
            vec![request("GET /1 HTTP/1.1\nHost: allowed.example\n\n")],
        ),
        whole(
            "the allowed host with a port",
            80,
            WHOLE,
            vec![request("GET /2 HTTP/1.1\nHost: allowed.example:80\n\n")],
        ),
        whole(
            "the allowed host in upper case",
            80,
            WHOLE,
            vec![request("GET /3 HTTP/1.1\nHOST:ALLOWED.example\n\n")],
        ),
        whole(
            "the allowed host, byte by byte",
            80,
            Cut(1, 1),
            vec![request("GET /4 HTTP/1.1\nHost: allowed.example\n\n")],
        ),
        whole(
            "two requests to the allowed host",
            80,
            Cut(0, 50),
            vec![
                request("GET /5 HTTP/1.1\nHost: allowed.example\n\n"),
                request("GET /6 HTTP/1.1\nHost: allowed.example\n\n"),
            ],
        ),
        whole(
            "a request with a body",
            80,
            Cut(0, 20),
            vec![
                request("POST /7 HTTP/1.1\nHost: allowed.example\nContent-Length: 11\n\n"),
                b"hello world".to_vec(),
            ],
        ),
        whole(
            "neither TLS nor HTTP",
            4430,
            WHOLE,
            vec![b"SSH-2.0-client of an allowed place\r\n".to_vec()],
        ),
    ]
}

#[test]
fn no_other_name_is_reached_through_a_shared_address() {
    requires!(Root, Netns);
    let mut cases = greetings();
    cases.extend(requests());
    Batch::new(test_name!(), cases).judge();
}

#[test]
fn honest_clients_of_a_shared_address_are_left_alone() {
    requires!(Root, Netns);
    Batch::new(test_name!(), honest()).judge();
}
