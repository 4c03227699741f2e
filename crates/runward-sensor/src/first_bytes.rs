//! The first bytes that a client sends on a TCP flow: the names that it says there must be names that the policy
//! allows.
//!
//! This is the twin of `bpf/first_bytes.h`, which judges packets in the kernel: the same machine, state by state, over
//! byte slices. It is what the tests compare the kernel's verdicts with, and where a fuzzer can reach the logic.
//! `docs/first-bytes.md` tells what is judged, and why what is refused is refused.
//!
//! The machine keeps no bytes but those of one name, does not allocate, and decides the same however a stream is cut.

mod http;
#[cfg(any(test, feature = "exercise"))]
pub(crate) mod kernel;
mod name;
mod tls;

#[cfg(test)]
mod tests;

use self::name::NameBuffer;

/// Bytes of a ClientHello.
pub const HELLO_MAX: u32 = 16384;
/// TLS records until the name is judged.
pub const RECORDS_MAX: u8 = 32;
/// Bytes of an HTTP request line with its headers.
pub const HEAD_MAX: u32 = 65536;
/// Blank bytes before a request line.
pub const LEADING_MAX: u8 = 16;

/// Why a flow is refused. The numbers are those of `enum rw_first_bytes_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reason {
    /// The name in a ClientHello is not allowed on the flow's port.
    SniMismatch = 1,
    /// The name in a `Host` header, a request's target or a CONNECT is not allowed on its port, or the port in `Host` is
    /// not the one that the request is for.
    HostMismatch = 2,
    /// A ClientHello without a name.
    NoSni = 3,
    /// An HTTP request without a `Host`, or with an empty one.
    NoHost = 4,
    /// The name in the ClientHello may not be the one that the server acts on.
    EncryptedClientHello = 5,
    /// Begins like TLS, and is not what a client writes.
    MalformedTls = 6,
    /// Some server may take it for HTTP, and it is not what a client writes.
    MalformedHttp = 7,
    /// Where the request ends is something that servers disagree about.
    AmbiguousBody = 8,
    /// The request asks for another protocol, in which names can't be seen.
    Upgrade = 9,
    /// HTTP/2 without TLS.
    H2c = 10,
    /// What follows a CONNECT is not TLS, so it names nobody.
    TunnelWithoutTls = 11,
    /// Longer than a bound of this module.
    TooLong = 12,
    /// The peer takes an urgent byte out of the stream, so it reads something else.
    UrgentData = 13,
    /// The beginning of the stream was not seen.
    UnknownStart = 14,
    /// The bytes lie in pages that the job can change after they were judged. Only the kernel can tell.
    SharedPages = 15,
    /// The packet can't be read. Only the kernel can tell.
    Unreadable = 16,
}

impl Reason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Reason; 16] = [
        Reason::SniMismatch,
        Reason::HostMismatch,
        Reason::NoSni,
        Reason::NoHost,
        Reason::EncryptedClientHello,
        Reason::MalformedTls,
        Reason::MalformedHttp,
        Reason::AmbiguousBody,
        Reason::Upgrade,
        Reason::H2c,
        Reason::TunnelWithoutTls,
        Reason::TooLong,
        Reason::UrgentData,
        Reason::UnknownStart,
        Reason::SharedPages,
        Reason::Unreadable,
    ];

    /// The reason as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::SniMismatch => "sni-mismatch",
            Reason::HostMismatch => "host-mismatch",
            Reason::NoSni => "no-sni",
            Reason::NoHost => "no-host",
            Reason::EncryptedClientHello => "encrypted-client-hello",
            Reason::MalformedTls => "malformed-tls",
            Reason::MalformedHttp => "malformed-http",
            Reason::AmbiguousBody => "ambiguous-body",
            Reason::Upgrade => "upgrade",
            Reason::H2c => "h2c",
            Reason::TunnelWithoutTls => "tunnel-without-tls",
            Reason::TooLong => "too-long",
            Reason::UrgentData => "urgent-data",
            Reason::UnknownStart => "unknown-start",
            Reason::SharedPages => "shared-pages",
            Reason::Unreadable => "unreadable",
        }
    }

    /// The reason that the kernel side tells by this number.
    pub fn from_number(number: u8) -> Option<Reason> {
        Reason::ALL
            .into_iter()
            .find(|reason| *reason as u8 == number)
    }
}

/// How far a flow is. The kernel's `enum rw_first_bytes_phase`, but for a flow whose beginning was not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// What was sent so far may pass, and what comes next is looked at.
    Reading,
    /// Nothing more may pass.
    Refused(Reason),
    /// TLS, and the name is allowed: everything passes.
    Named,
    /// Neither TLS nor HTTP: everything passes, by its address only.
    Opaque,
}

impl Phase {
    /// Whether the flow is judged for good.
    pub fn is_final(self) -> bool {
        self != Phase::Reading
    }
}

/// Where the reader stands: what the next byte is. The kernel's `enum rw_first_bytes_at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Start,
    Ssl2Length,
    Ssl2Type,
    Ssl2Version,
    Method,
    OtherLine,
    TargetStart,
    Scheme,
    Slashes,
    Authority,
    AuthorityPort,
    Target,
    TargetStar,
    Version,
    VersionCr,
    VersionLf,
    HeaderStart,
    HeaderName,
    HostStart,
    Length,
    Coding,
    Value,
    ValueEnd,
    LineLf,
    HeadLf,
    ChunkSize,
    ChunkLf,
    ChunkEndCr,
    ChunkEndLf,
    Tls(tls::At),
}

/// What a reader answers about a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    GoOn,
    /// A name is complete; it must be allowed on the request's port, or this byte may not pass.
    JudgeName,
}

/// One flow of a client, from its first byte on.
#[derive(Clone, Debug)]
pub struct FirstBytes {
    phase: Phase,
    at: At,
    /// Bytes of the stream to pass over: bodies, encrypted records.
    skip: u64,
    /// Of the flow; inside a tunnel, of the tunnel's target.
    port: u16,
    /// That the names of this request are for.
    target_port: u16,
    http_only: bool,
    tls_only: bool,
    request: http::Request,
    hello: tls::Hello,
    name: NameBuffer,
}

impl FirstBytes {
    /// A flow to this port of its peer, of which nothing was sent.
    pub fn new(port: u16) -> FirstBytes {
        FirstBytes {
            phase: Phase::Reading,
            at: At::Start,
            skip: 0,
            port,
            target_port: port,
            http_only: false,
            tls_only: false,
            request: http::Request::default(),
            hello: tls::Hello::default(),
            name: NameBuffer::default(),
        }
    }

    /// Reads the next bytes of the stream. `allowed` is asked about each name: lower case, without a dot at its end, and
    /// the port that it is meant for.
    ///
    /// Bytes behind the one that decides are not looked at.
    pub fn feed(&mut self, bytes: &[u8], mut allowed: impl FnMut(&[u8], u16) -> bool) -> Phase {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first()
            && !self.phase.is_final()
        {
            rest = match self.jump(rest.len()) {
                Some(passed) => rest.get(passed..).unwrap_or_default(),
                None => {
                    if self.step(*byte) == Answer::JudgeName {
                        self.judge_name(&mut allowed);
                    }
                    behind
                }
            };
        }
        self.phase
    }

    /// How far the flow is.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The name that was judged last, or the part of one that was read: lower case. Behind a mismatch, the wrong one.
    pub fn name(&self) -> &[u8] {
        self.name.bytes()
    }

    /// Passes over bytes that say nothing: how many, or nothing when the next byte has to be read.
    fn jump(&mut self, left: usize) -> Option<usize> {
        if self.skip == 0 {
            return self.hello.jump(left);
        }
        let passed = usize::try_from(self.skip).unwrap_or(usize::MAX).min(left);
        self.skip = self
            .skip
            .saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
        Some(passed)
    }

    fn step(&mut self, byte: u8) -> Answer {
        match self.at {
            At::Tls(at) => self.tls(at, byte),
            at => self.http(at, byte),
        }
    }

    fn judge_name(&mut self, allowed: &mut impl FnMut(&[u8], u16) -> bool) {
        if !allowed(self.name.bytes(), self.target_port) {
            self.refuse(match self.at {
                At::Tls(_) => Reason::SniMismatch,
                _ => Reason::HostMismatch,
            });
        }
    }

    fn refuse(&mut self, reason: Reason) -> Answer {
        self.phase = Phase::Refused(reason);
        Answer::GoOn
    }

    fn go(&mut self, at: At) -> Answer {
        self.at = at;
        Answer::GoOn
    }
}

/// A TCP segment of a client, as the packet's headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Sequence number.
    pub sequence: u32,
    /// It opens the connection; its data begins one number later.
    pub syn: bool,
    /// It has an urgent pointer.
    pub urgent: bool,
    /// The bytes behind the headers.
    pub payload: &'a [u8],
}

/// Whether a packet may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Pass,
    /// It may not, and nothing that comes later.
    Refuse(Reason),
    /// It may not now: bytes before it were not seen. TCP sends it again.
    Early,
}

/// The packets of one socket, in the order in which it sends them.
#[derive(Clone, Debug)]
pub struct Flow {
    port: u16,
    /// `None` until the connection is opened.
    stream: Option<Stream>,
    /// Why everything is refused though no stream began.
    refused: Option<Reason>,
}

#[derive(Clone, Debug)]
struct Stream {
    first: u32,
    /// The sequence number of the next byte that was not seen.
    next: u32,
    bytes: FirstBytes,
}

impl Flow {
    /// A socket that is not connected yet, and will be to this port.
    pub fn new(port: u16) -> Flow {
        Flow {
            port,
            stream: None,
            refused: None,
        }
    }

    /// Judges the next packet.
    pub fn segment(
        &mut self,
        segment: &Segment<'_>,
        allowed: impl FnMut(&[u8], u16) -> bool,
    ) -> Verdict {
        let mut sequence = segment.sequence;
        if segment.syn {
            sequence = sequence.wrapping_add(1);
            self.open(sequence);
        }
        let phase = self.phase();
        match phase {
            Some(Phase::Named | Phase::Opaque) => return Verdict::Pass,
            Some(Phase::Refused(_)) if segment.payload.is_empty() => return Verdict::Pass,
            Some(Phase::Refused(reason)) => return Verdict::Refuse(reason),
            Some(Phase::Reading) | None => {}
        }
        if segment.urgent {
            return self.refuse(Reason::UrgentData);
        }
        if segment.payload.is_empty() {
            return Verdict::Pass;
        }
        match &mut self.stream {
            None => self.refuse(Reason::UnknownStart),
            Some(stream) => stream.segment(sequence, segment.payload, allowed),
        }
    }

    /// How far the flow is; `None` when its beginning was not seen.
    pub fn phase(&self) -> Option<Phase> {
        let stream = self.stream.as_ref().map(|stream| stream.bytes.phase());
        self.refused.map(Phase::Refused).or(stream)
    }

    /// A SYN may be sent again; with another number, the socket is connected anew.
    fn open(&mut self, first: u32) {
        let begun = self.stream.as_ref();
        if begun.is_some_and(|stream| stream.first == first) {
            return;
        }
        self.refused = None;
        self.stream = Some(Stream {
            first,
            next: first,
            bytes: FirstBytes::new(self.port),
        });
    }

    fn refuse(&mut self, reason: Reason) -> Verdict {
        self.refused = Some(reason);
        Verdict::Refuse(reason)
    }
}

impl Stream {
    fn segment(
        &mut self,
        sequence: u32,
        payload: &[u8],
        allowed: impl FnMut(&[u8], u16) -> bool,
    ) -> Verdict {
        let seen = self.next.wrapping_sub(sequence);
        if seen.cast_signed() < 0 {
            return Verdict::Early;
        }
        let new = usize::try_from(seen)
            .ok()
            .and_then(|seen| payload.get(seen..))
            .unwrap_or_default();
        let len = u32::try_from(new.len()).unwrap_or(u32::MAX);
        self.next = self.next.wrapping_add(len);
        match self.bytes.feed(new, allowed) {
            Phase::Refused(reason) => Verdict::Refuse(reason),
            Phase::Reading | Phase::Named | Phase::Opaque => Verdict::Pass,
        }
    }
}
