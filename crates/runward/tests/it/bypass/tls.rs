//! Greetings of TLS clients by hand (RFC 8446, section 4.1.2).

/// What a greeting is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    /// The entries of the server name extension; no extension if there are none.
    pub(crate) names: Vec<String>,
    /// Bytes of a key share that stands before the name, as post-quantum ones are long.
    pub(crate) key_share: usize,
    /// Bytes of padding behind everything.
    pub(crate) padding: usize,
}

impl Hello {
    pub(crate) fn to(name: &str) -> Hello {
        Hello {
            names: vec![name.to_owned()],
            ..Hello::default()
        }
    }

    /// The handshake message in one record.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        record(&self.message())
    }

    /// The handshake message in records of so many bytes.
    pub(crate) fn in_records(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(record).collect()
    }

    fn message(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        if self.key_share > 0 {
            let share = [
                &0x11ec_u16.to_be_bytes()[..],
                &sized(&vec![7; self.key_share]),
            ]
            .concat();
            extensions.extend(extension(51, &sized(&share)));
        }
        if !self.names.is_empty() {
            let entries: Vec<u8> = self
                .names
                .iter()
                .flat_map(|name| [&[0][..], &sized(name.as_bytes())].concat())
                .collect();
            extensions.extend(extension(0, &sized(&entries)));
        }
        // TLS 1.3 alone.
        extensions.extend(extension(43, &[2, 3, 4]));
        if self.padding > 0 {
            extensions.extend(extension(21, &vec![0; self.padding]));
        }
        let mut body = vec![3, 3];
        body.extend([42; 32]);
        // No session, two ciphers, no compression.
        body.extend([0, 0, 4, 0x13, 0x01, 0x13, 0x02, 1, 0]);
        body.extend(sized(&extensions));
        let length = u32::try_from(body.len())
            .expect("a short greeting")
            .to_be_bytes();
        [&[1], &length[1..], &body].concat()
    }
}

fn record(fragment: &[u8]) -> Vec<u8> {
    [&[22, 3, 1][..], &sized(fragment)].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &sized(body)].concat()
}

/// The bytes, with their length before them.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short greeting");
    [&length.to_be_bytes()[..], bytes].concat()
}
