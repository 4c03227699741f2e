//! Tells TLS, HTTP/1 and other protocols apart, and reads HTTP/1 requests, one after another (RFC 9110, RFC 9112). The
//! twin of `bpf/first_bytes_http.h`.
//!
//! Stricter than any server: where servers differ in what they take, nobody knows what this one reads.

use super::name::is_name;
use super::{Answer, At, FirstBytes, HEAD_MAX, LEADING_MAX, Phase, Reason, tls};

const CONTENT_LENGTH_DIGITS: u8 = 15;
const CHUNK_SIZE_DIGITS: u8 = 12;

/// What is kept of a request.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    head_len: u32,
    /// Digits, blanks, or characters that matched.
    count: u8,
    /// A port, so far.
    number: u32,
    /// Of the body, or of a chunk.
    length: u64,
    authority: AuthorityOf,
    /// A first line that no HTTP client writes.
    odd: bool,
    /// A method that means HTTP, whatever follows it.
    known_method: bool,
    /// GET or HEAD.
    no_body: bool,
    connect: bool,
    http_1_0: bool,
    host_seen: bool,
    length_seen: bool,
    chunked: bool,
    trailers: bool,
}

/// Whose authority (`name[:port]`) is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum AuthorityOf {
    #[default]
    Target,
    Connect,
    Host,
}

impl FirstBytes {
    pub(super) fn http(&mut self, at: At, byte: u8) -> Answer {
        self.request.head_len += 1;
        if self.request.head_len > HEAD_MAX {
            return self.refuse(Reason::TooLong);
        }
        match at {
            At::Start => self.start(byte),
            At::Ssl2Length => self.go(At::Ssl2Type),
            At::Ssl2Type if byte == tls::CLIENT_HELLO => self.go(At::Ssl2Version),
            // The ClientHello in the form of SSL 2, which some servers still take, has no name.
            At::Ssl2Version if byte <= 3 => self.refuse(Reason::NoSni),
            At::Ssl2Type | At::Ssl2Version => self.opaque(),
            At::Method => self.method(byte),
            At::OtherLine => self.in_other_line(byte),
            At::TargetStart => self.target_start(byte),
            At::Scheme => self.scheme(byte),
            At::Slashes => self.slash(byte),
            At::Authority | At::AuthorityPort => self.authority(at, byte),
            At::Target | At::TargetStar if byte == b' ' => self.go_counting(At::Version),
            At::Target if is_text(byte) => Answer::GoOn,
            At::Target | At::TargetStar => self.other_line(byte),
            At::Version => self.version(byte),
            At::VersionCr => self.exactly(byte, b'\r', At::VersionLf),
            At::VersionLf => {
                self.http_only = true;
                self.exactly(byte, b'\n', At::HeaderStart)
            }
            _ => self.header(at, byte),
        }
    }

    /// A byte that belongs to a header.
    fn header(&mut self, at: At, byte: u8) -> Answer {
        match at {
            At::HeaderStart if byte == b'\r' => self.go(At::HeadLf),
            At::HeaderStart => {
                self.name.clear();
                self.at = At::HeaderName;
                self.header_name(byte)
            }
            At::HeaderName => self.header_name(byte),
            At::HostStart if is_space(byte) => Answer::GoOn,
            At::HostStart if byte == b'\r' => self.refuse(Reason::NoHost),
            At::HostStart => {
                self.authority_begin(AuthorityOf::Host);
                self.authority(At::Authority, byte)
            }
            At::Length => self.content_length(byte),
            At::Coding => self.coding(byte),
            At::Value if byte == b'\r' => self.go(At::LineLf),
            At::Value if is_text(byte) || byte == b'\t' => Answer::GoOn,
            At::ValueEnd if is_space(byte) => Answer::GoOn,
            At::ValueEnd => self.exactly(byte, b'\r', At::LineLf),
            At::LineLf => self.exactly(byte, b'\n', At::HeaderStart),
            _ => self.body(at, byte),
        }
    }

    /// A byte that ends a request's head, or stands behind it.
    fn body(&mut self, at: At, byte: u8) -> Answer {
        match at {
            At::HeadLf if byte == b'\n' => self.head_end(),
            At::ChunkSize => self.chunk_size(byte),
            At::ChunkLf if byte == b'\n' => self.chunk_begin(),
            At::ChunkEndCr => self.exactly(byte, b'\r', At::ChunkEndLf),
            At::ChunkEndLf if byte == b'\n' => self.go_counting(At::ChunkSize),
            _ => self.malformed_http(),
        }
    }

    fn start(&mut self, byte: u8) -> Answer {
        if self.tls_only && byte != tls::HANDSHAKE {
            return self.refuse(Reason::TunnelWithoutTls);
        }
        if tls::RECORDS.contains(&byte) {
            if self.http_only {
                return self.malformed_http();
            }
            // Servers skip some records that come before a ClientHello.
            if byte != tls::HANDSHAKE || self.request.count > 0 {
                return self.malformed_tls();
            }
            return self.tls_begin(byte);
        }
        // Servers skip blank lines before a request, some of them other blanks too.
        if is_blank(byte) {
            self.request.odd |= byte != b'\r' && byte != b'\n';
            self.request.count += 1;
            if self.request.count > LEADING_MAX {
                return self.malformed_http();
            }
            return Answer::GoOn;
        }
        if is_token(byte) {
            if self.request.odd {
                return self.malformed_http();
            }
            self.name.clear();
            self.at = At::Method;
            return self.method(byte);
        }
        // A length of a binary protocol may look like one blank, not like more.
        if self.http_only || self.request.count > 1 {
            return self.malformed_http();
        }
        if !byte.is_ascii() && self.request.count == 0 {
            return self.go(At::Ssl2Length);
        }
        self.opaque()
    }

    fn method(&mut self, byte: u8) -> Answer {
        if is_token(byte) {
            self.request.odd |= !byte.is_ascii_uppercase() && !matches!(byte, b'-' | b'_');
            self.name.append_token(byte);
            return Answer::GoOn;
        }
        if is_blank(byte) {
            return self.method_end(byte);
        }
        if self.http_only {
            return self.malformed_http();
        }
        self.opaque()
    }

    fn method_end(&mut self, byte: u8) -> Answer {
        match self.name.bytes() {
            b"pri" => return self.refuse(Reason::H2c),
            // What a proxy in front of a server says about its client; the request follows it.
            b"proxy" => return self.malformed_http(),
            b"get" | b"head" => {
                self.request.known_method = true;
                self.request.no_body = true;
            }
            b"connect" => {
                self.request.known_method = true;
                self.request.connect = true;
            }
            b"post" | b"put" | b"delete" | b"options" | b"patch" | b"trace" => {
                self.request.known_method = true;
            }
            _ => {}
        }
        if byte == b' ' && !self.request.odd {
            return self.go(At::TargetStart);
        }
        self.other_line(byte)
    }

    /// The first line is not one that an HTTP client writes. Other protocols have such lines and are not refused for
    /// it; a line that some server may still take for a request is.
    fn other_line(&mut self, byte: u8) -> Answer {
        if self.http_only || self.request.known_method {
            return self.malformed_http();
        }
        if matches!(byte, b'\n' | 0) {
            return self.opaque();
        }
        self.request.count = u8::from(byte <= b' ');
        self.go(At::OtherLine)
    }

    /// Looks for a word that begins with `HTTP/`; `count` is 0 inside other words, else one more than what matches.
    fn in_other_line(&mut self, byte: u8) -> Answer {
        if matches!(byte, b'\n' | 0) {
            return self.opaque();
        }
        let matches = match self.request.count {
            1 => byte.eq_ignore_ascii_case(&b'h'),
            2 | 3 => byte.eq_ignore_ascii_case(&b't'),
            4 => byte.eq_ignore_ascii_case(&b'p'),
            5 if byte == b'/' => return self.malformed_http(),
            _ => false,
        };
        self.request.count = if matches {
            self.request.count + 1
        } else {
            u8::from(byte <= b' ')
        };
        Answer::GoOn
    }

    fn target_start(&mut self, byte: u8) -> Answer {
        if self.request.connect {
            self.authority_begin(AuthorityOf::Connect);
            return self.authority(At::Authority, byte);
        }
        match byte {
            b'/' => self.go(At::Target),
            b'*' => self.go(At::TargetStar),
            _ if byte.is_ascii_alphabetic() => {
                self.name.clear();
                self.at = At::Scheme;
                self.scheme(byte)
            }
            _ => self.other_line(byte),
        }
    }

    fn scheme(&mut self, byte: u8) -> Answer {
        if byte.is_ascii_alphabetic() {
            self.name.append_token(byte);
            return Answer::GoOn;
        }
        // A version in the place of the target.
        if byte == b'/' && self.name.is_token("http") {
            return self.malformed_http();
        }
        if byte == b':' && self.name.is_token("http") {
            self.target_port = 80;
        } else if byte == b':' && self.name.is_token("https") {
            self.target_port = 443;
        } else {
            return self.other_line(byte);
        }
        self.go_counting(At::Slashes)
    }

    fn slash(&mut self, byte: u8) -> Answer {
        if byte != b'/' {
            return self.other_line(byte);
        }
        self.request.count += 1;
        if self.request.count == 2 {
            self.authority_begin(AuthorityOf::Target);
        }
        Answer::GoOn
    }

    fn authority_begin(&mut self, whose: AuthorityOf) {
        self.request.authority = whose;
        self.name.clear();
        self.at = At::Authority;
    }

    fn authority(&mut self, at: At, byte: u8) -> Answer {
        if at == At::AuthorityPort {
            if !byte.is_ascii_digit() {
                return self.authority_end(Some(self.request.number), byte);
            }
            self.request.number = self.request.number * 10 + u32::from(byte - b'0');
            self.request.count += 1;
            if self.request.count > 5 || self.request.number > u32::from(u16::MAX) {
                return self.no_authority(byte);
            }
            return Answer::GoOn;
        }
        if is_name(byte) {
            return match self.name.append(byte) {
                Ok(()) => Answer::GoOn,
                Err(_) => self.no_authority(byte),
            };
        }
        if byte != b':' {
            return self.authority_end(None, byte);
        }
        self.request.number = 0;
        self.go_counting(At::AuthorityPort)
    }

    fn authority_end(&mut self, port: Option<u32>, byte: u8) -> Answer {
        let no_digits = port.is_some() && self.request.count == 0;
        let port = port.map(|port| u16::try_from(port).unwrap_or(0));
        if no_digits || self.name.end().is_err() {
            return self.no_authority(byte);
        }
        match (self.request.authority, port) {
            (AuthorityOf::Target, _) => {
                if !matches!(byte, b'/' | b'?' | b' ') {
                    return self.other_line(byte);
                }
                self.target_port = port.unwrap_or(self.target_port);
                if byte == b' ' {
                    self.go_counting(At::Version);
                } else {
                    self.go(At::Target);
                }
            }
            (AuthorityOf::Connect, Some(port)) if byte == b' ' => {
                self.target_port = port;
                self.go_counting(At::Version);
            }
            (AuthorityOf::Connect, _) => return self.other_line(byte),
            (AuthorityOf::Host, _) => {
                if !is_space(byte) && byte != b'\r' {
                    return self.malformed_http();
                }
                if port.is_some_and(|port| port != self.target_port) {
                    return self.refuse(Reason::HostMismatch);
                }
                self.go(if byte == b'\r' {
                    At::LineLf
                } else {
                    At::ValueEnd
                });
            }
        }
        Answer::JudgeName
    }

    fn no_authority(&mut self, byte: u8) -> Answer {
        match self.request.authority {
            AuthorityOf::Host => self.malformed_http(),
            AuthorityOf::Target | AuthorityOf::Connect => self.other_line(byte),
        }
    }

    fn version(&mut self, byte: u8) -> Answer {
        const EXPECTED: &[u8; 7] = b"HTTP/1.";
        let place = self.request.count;
        let wanted = EXPECTED.get(usize::from(place)).copied();
        // Until here, it may be a line of another protocol.
        if let Some(wanted) = wanted
            && place < 5
        {
            if !byte.eq_ignore_ascii_case(&wanted) {
                return self.other_line(byte);
            }
            self.request.odd |= byte != wanted;
            self.request.count += 1;
            if place == 4 && self.request.odd {
                return self.malformed_http();
            }
            return Answer::GoOn;
        }
        self.request.count += 1;
        match (wanted, byte) {
            (Some(wanted), byte) if byte == wanted => Answer::GoOn,
            (None, b'1') => self.go(At::VersionCr),
            (None, b'0') => {
                self.request.http_1_0 = true;
                self.go(At::VersionCr)
            }
            _ => self.malformed_http(),
        }
    }

    fn header_name(&mut self, byte: u8) -> Answer {
        if is_token(byte) {
            self.name.append_token(byte);
            return Answer::GoOn;
        }
        // No name, or the folded line of old: the colon is not the first character either.
        if byte != b':' || self.name.bytes().is_empty() {
            return self.malformed_http();
        }
        self.header_begin()
    }

    fn header_begin(&mut self) -> Answer {
        let length = self.name.is_token("content-length");
        let matters = length
            || self.name.is_token("host")
            || self.name.is_token("transfer-encoding")
            || self.name.is_token("upgrade");
        if !matters {
            return self.go(At::Value);
        }
        // Servers may merge what comes behind a body with what came before it.
        if self.request.trailers {
            return self.malformed_http();
        }
        if self.name.is_token("upgrade") {
            return self.refuse(Reason::Upgrade);
        }
        if self.name.is_token("host") {
            if self.request.host_seen {
                return self.malformed_http();
            }
            self.request.host_seen = true;
            return self.go(At::HostStart);
        }
        if self.request.length_seen || self.request.chunked {
            return self.refuse(Reason::AmbiguousBody);
        }
        self.request.length_seen |= length;
        self.request.chunked |= !length;
        self.request.length = 0;
        self.go_counting(if length { At::Length } else { At::Coding })
    }

    fn content_length(&mut self, byte: u8) -> Answer {
        if byte.is_ascii_digit() {
            self.request.count += 1;
            if self.request.count > CONTENT_LENGTH_DIGITS {
                return self.refuse(Reason::AmbiguousBody);
            }
            self.request.length = self.request.length * 10 + u64::from(byte - b'0');
            return Answer::GoOn;
        }
        match (self.request.count, byte) {
            (0, b' ' | b'\t') => Answer::GoOn,
            (1.., b' ' | b'\t') => self.go(At::ValueEnd),
            (1.., b'\r') => self.go(At::LineLf),
            _ => self.refuse(Reason::AmbiguousBody),
        }
    }

    /// The one transfer coding that everybody understands alike: `chunked`, and no other before it.
    fn coding(&mut self, byte: u8) -> Answer {
        const CHUNKED: &[u8; 7] = b"chunked";
        let wanted = CHUNKED.get(usize::from(self.request.count));
        if wanted.is_some_and(|wanted| byte.eq_ignore_ascii_case(wanted)) {
            self.request.count += 1;
            return Answer::GoOn;
        }
        match (self.request.count, byte) {
            (0, b' ' | b'\t') => Answer::GoOn,
            (7, b' ' | b'\t') => self.go(At::ValueEnd),
            (7, b'\r') => self.go(At::LineLf),
            _ => self.refuse(Reason::AmbiguousBody),
        }
    }

    fn head_end(&mut self) -> Answer {
        let request = &self.request;
        let body = request.chunked || request.length_seen && request.length > 0;
        if request.trailers {
            return self.request_end();
        }
        if !request.host_seen {
            return self.refuse(Reason::NoHost);
        }
        // Some servers take the body of these for the next request, and those of HTTP/1.0 know no chunks.
        if body && (request.no_body || request.connect) || request.chunked && request.http_1_0 {
            return self.refuse(Reason::AmbiguousBody);
        }
        if request.connect {
            self.port = self.target_port;
            self.http_only = false;
            self.tls_only = true;
        } else if request.chunked {
            self.request.length = 0;
            return self.go_counting(At::ChunkSize);
        } else if body {
            self.skip = request.length;
        }
        self.request_end()
    }

    fn request_end(&mut self) -> Answer {
        self.request = Request::default();
        self.target_port = self.port;
        self.go(At::Start)
    }

    fn chunk_size(&mut self, byte: u8) -> Answer {
        if byte == b'\r' && self.request.count > 0 {
            return self.go(At::ChunkLf);
        }
        let digit = char::from(byte).to_digit(16);
        self.request.count += 1;
        match digit {
            Some(digit) if self.request.count <= CHUNK_SIZE_DIGITS => {
                self.request.length = self.request.length << 4 | u64::from(digit);
                Answer::GoOn
            }
            _ => self.refuse(Reason::AmbiguousBody),
        }
    }

    fn chunk_begin(&mut self) -> Answer {
        self.request.head_len = 0;
        if self.request.length == 0 {
            self.request.trailers = true;
            return self.go(At::HeaderStart);
        }
        self.skip = self.request.length;
        self.request.length = 0;
        self.go(At::ChunkEndCr)
    }

    /// One byte has to stand here.
    fn exactly(&mut self, byte: u8, wanted: u8, then: At) -> Answer {
        if byte != wanted {
            return self.malformed_http();
        }
        self.go(then)
    }

    /// As `go`, where digits or characters are counted.
    fn go_counting(&mut self, at: At) -> Answer {
        self.request.count = 0;
        self.go(at)
    }

    fn opaque(&mut self) -> Answer {
        self.phase = Phase::Opaque;
        Answer::GoOn
    }

    fn malformed_http(&mut self) -> Answer {
        self.refuse(Reason::MalformedHttp)
    }
}

/// The characters of a method or a header's name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What some server takes for the end of a word.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_text(byte: u8) -> bool {
    byte >= b' ' && byte != 0x7f
}
