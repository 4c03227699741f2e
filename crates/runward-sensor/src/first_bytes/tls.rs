//! Reads a TLS client's first flight (RFC 8446): the ClientHello in its records, and the second one that follows when
//! the server asks for another key share. The twin of `bpf/first_bytes_tls.h`.

use super::{Answer, FirstBytes, HELLO_MAX, Phase, RECORDS_MAX, Reason};

const CHANGE_CIPHER_SPEC: u8 = 0x14;
const ALERT: u8 = 0x15;
pub(super) const HANDSHAKE: u8 = 0x16;
const APPLICATION_DATA: u8 = 0x17;
const HEARTBEAT: u8 = 0x18;
/// The types of records.
pub(super) const RECORDS: std::ops::RangeInclusive<u8> = CHANGE_CIPHER_SPEC..=HEARTBEAT;
pub(super) const CLIENT_HELLO: u8 = 1;
/// Bytes of a record: 2^14 and what encryption may add (RFC 8446, 5.2).
const RECORD_MAX: u16 = 16640;

const SERVER_NAME: u32 = 0;
const EARLY_DATA: u32 = 42;
const SUPPORTED_VERSIONS: u32 = 43;
const ENCRYPTED_CLIENT_HELLO: u32 = 0xfe0d;
const OUTER_EXTENSIONS: u32 = 0xfd00;
const ENCRYPTED_SERVER_NAME: u32 = 0xffce;

/// What the next byte of the handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    HelloType,
    HelloLength,
    HelloVersion,
    Session,
    Ciphers,
    Compression,
    Extensions,
    ExtensionType,
    ExtensionLength,
    NameList,
    NameType,
    NameLength,
    Name,
    HelloEnd,
}

/// What is kept of a ClientHello.
#[derive(Clone, Debug, Default)]
pub(super) struct Hello {
    /// An integer of several bytes, so far, and how many of them are still to come.
    number: u32,
    number_left: u8,
    /// Bytes of the ClientHello that are still to come, and how many of them to pass over.
    left: u32,
    skip: u32,
    extension: u32,
    extension_left: u32,
    record: Record,
    records: u8,
    name_seen: bool,
    offers_tls_1_3: bool,
    early_data: bool,
    second: bool,
}

#[derive(Clone, Debug, Default)]
struct Record {
    /// Bytes of the header that were read.
    at: u8,
    kind: u8,
    len: u16,
    left: u16,
}

impl Hello {
    /// As [`FirstBytes::jump`].
    pub(super) fn jump(&mut self, left: usize) -> Option<usize> {
        let passed = self.skip.min(u32::from(self.record.left));
        let passed = passed.min(u32::try_from(left).unwrap_or(u32::MAX));
        if passed == 0 {
            return None;
        }
        self.skip -= passed;
        self.left = self.left.saturating_sub(passed);
        self.record.left = self
            .record
            .left
            .saturating_sub(u16::try_from(passed).unwrap_or(u16::MAX));
        usize::try_from(passed).ok()
    }
}

impl FirstBytes {
    /// The first byte of a flow, which is that of a handshake record.
    pub(super) fn tls_begin(&mut self, byte: u8) -> Answer {
        self.tls_expect(At::HelloType, 1);
        self.record_header(At::HelloType, byte)
    }

    pub(super) fn tls(&mut self, at: At, byte: u8) -> Answer {
        if self.hello.record.left == 0 {
            return self.record_header(at, byte);
        }
        self.hello.record.left -= 1;
        match at {
            // Keys change here, so no message may share the ClientHello's record.
            At::HelloEnd => return self.malformed_tls(),
            At::HelloType if byte == CLIENT_HELLO => return self.tls_expect(At::HelloLength, 3),
            // The handshake goes on: nobody asked for a second one.
            At::HelloType if self.hello.second => return self.named(),
            At::HelloType => return self.malformed_tls(),
            At::HelloLength => {}
            _ => match self.hello.left.checked_sub(1) {
                Some(left) => self.hello.left = left,
                None => return self.malformed_tls(),
            },
        }
        if at == At::Name {
            return self.server_name(byte);
        }
        self.hello.number = self.hello.number << 8 | u32::from(byte);
        self.hello.number_left = self.hello.number_left.saturating_sub(1);
        if self.hello.number_left > 0 {
            return Answer::GoOn;
        }
        self.field(at, self.hello.number)
    }

    fn record_header(&mut self, at: At, byte: u8) -> Answer {
        let record = &mut self.hello.record;
        let place = record.at;
        record.at = (record.at + 1) % 5;
        match place {
            0 => {
                record.kind = byte;
                return self.record_type(at, byte);
            }
            1 if byte != 3 => return self.malformed_tls(),
            2 if byte > 4 => return self.malformed_tls(),
            1 | 2 => return Answer::GoOn,
            3 => {
                record.len = u16::from(byte) << 8;
                return Answer::GoOn;
            }
            _ => {}
        }
        let (kind, len) = (record.kind, record.len | u16::from(byte));
        if len == 0 || len > RECORD_MAX {
            return self.malformed_tls();
        }
        // As many records of early data as the client likes.
        if kind != APPLICATION_DATA {
            if self.hello.records >= RECORDS_MAX {
                return self.refuse(Reason::TooLong);
            }
            self.hello.records += 1;
        }
        if kind == HANDSHAKE {
            self.hello.record.left = len;
        } else {
            self.skip = u64::from(len);
        }
        Answer::GoOn
    }

    fn record_type(&mut self, at: At, kind: u8) -> Answer {
        let followed = at == At::HelloEnd && self.hello.skip == 0;
        if followed {
            self.hello.second = true;
            self.hello.name_seen = false;
            self.hello.records = 0;
            self.tls_expect(At::HelloType, 1);
        }
        if kind == HANDSHAKE {
            return Answer::GoOn;
        }
        if !self.hello.second {
            return self.malformed_tls();
        }
        // Encrypted records: the handshake is over, unless they are data that was sent early and may be rejected.
        if kind == APPLICATION_DATA && !self.hello.early_data {
            return self.named();
        }
        // Nothing may come between the records of one message.
        let between = followed || at == At::HelloType;
        if between && matches!(kind, APPLICATION_DATA | CHANGE_CIPHER_SPEC | ALERT) {
            return Answer::GoOn;
        }
        self.malformed_tls()
    }

    /// A field of the ClientHello is complete. Each part must end where the part around it says that it ends.
    fn field(&mut self, at: At, value: u32) -> Answer {
        match at {
            // No server takes so long a ClientHello: the first encrypted message of TLS 1.2.
            At::HelloLength if self.hello.second && value >= 0x03_0000 => self.named(),
            At::HelloLength if value > HELLO_MAX => self.refuse(Reason::TooLong),
            At::HelloLength => {
                self.hello.left = value;
                self.tls_expect(At::HelloVersion, 2)
            }
            // Behind the version, 32 random bytes.
            At::HelloVersion if value >> 8 == 3 => self.pass_over(32, At::Session, 1),
            At::Session if value <= 32 => self.pass_over(value, At::Ciphers, 2),
            At::Ciphers if value > 0 && value.is_multiple_of(2) => {
                self.pass_over(value, At::Compression, 1)
            }
            // Old clients end here.
            At::Compression if value > 0 && value == self.hello.left => self.refuse(Reason::NoSni),
            At::Compression if value > 0 => self.pass_over(value, At::Extensions, 2),
            At::Extensions if value == self.hello.left => self.next_extension(),
            At::ExtensionType => {
                self.hello.extension = value;
                self.tls_expect(At::ExtensionLength, 2)
            }
            At::ExtensionLength if value <= self.hello.left => self.extension(value),
            At::NameList if value + 2 == self.hello.extension_left => {
                self.tls_expect(At::NameType, 1)
            }
            At::NameType if value == 0 => self.tls_expect(At::NameLength, 2),
            // One name, which is all of the extension; the lengths and the type before it take 5 bytes.
            At::NameLength if value + 5 == self.hello.extension_left => {
                self.hello.extension_left = value;
                self.name.clear();
                self.go(super::At::Tls(At::Name))
            }
            _ => self.malformed_tls(),
        }
    }

    fn extension(&mut self, len: u32) -> Answer {
        match self.hello.extension {
            ENCRYPTED_CLIENT_HELLO | OUTER_EXTENSIONS | ENCRYPTED_SERVER_NAME => {
                return self.refuse(Reason::EncryptedClientHello);
            }
            SERVER_NAME => {
                // Twice, or too short for a name of one byte.
                if self.hello.name_seen || len < 6 {
                    return self.malformed_tls();
                }
                self.hello.name_seen = true;
                self.hello.extension_left = len;
                return self.tls_expect(At::NameList, 2);
            }
            SUPPORTED_VERSIONS => self.hello.offers_tls_1_3 = true,
            EARLY_DATA => self.hello.early_data = true,
            _ => {}
        }
        self.hello.skip = len;
        self.next_extension()
    }

    fn server_name(&mut self, byte: u8) -> Answer {
        if self.name.append(byte).is_err() {
            return self.malformed_tls();
        }
        self.hello.extension_left = self.hello.extension_left.saturating_sub(1);
        if self.hello.extension_left > 0 {
            return Answer::GoOn;
        }
        if self.name.end().is_err() {
            return self.malformed_tls();
        }
        self.next_extension();
        Answer::JudgeName
    }

    /// Behind an extension, of which some bytes are passed over first.
    fn next_extension(&mut self) -> Answer {
        if self.hello.left == self.hello.skip {
            return self.hello_end();
        }
        self.tls_expect(At::ExtensionType, 2)
    }

    /// Behind the last extension. Only a server of TLS 1.3 can ask for a second ClientHello, and only once.
    fn hello_end(&mut self) -> Answer {
        if !self.hello.name_seen {
            return self.refuse(Reason::NoSni);
        }
        if self.hello.second || !self.hello.offers_tls_1_3 {
            return self.named();
        }
        self.go(super::At::Tls(At::HelloEnd))
    }

    /// Bytes of the ClientHello that say nothing, and behind them an integer of so many bytes.
    fn pass_over(&mut self, len: u32, then: At, bytes: u8) -> Answer {
        if len > self.hello.left {
            return self.malformed_tls();
        }
        self.hello.skip = len;
        self.tls_expect(then, bytes)
    }

    /// The next field is an integer of so many bytes.
    fn tls_expect(&mut self, at: At, bytes: u8) -> Answer {
        self.hello.number = 0;
        self.hello.number_left = bytes;
        self.go(super::At::Tls(at))
    }

    fn named(&mut self) -> Answer {
        self.phase = Phase::Named;
        Answer::GoOn
    }

    pub(super) fn malformed_tls(&mut self) -> Answer {
        self.refuse(Reason::MalformedTls)
    }
}
