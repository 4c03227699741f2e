//! Addresses: made of parts that are encoded one by one, so that no part can become another address.

use std::fmt;

use axum::http::Uri;

/// A path of this server, with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    path: String,
    query: String,
}

impl Address {
    /// The path of these parts. No part may be empty: `//` would name another host.
    pub(crate) fn of(parts: &[&str]) -> Address {
        let mut path = String::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            path.push('/');
            path.push_str(&encoded(part));
        }
        if path.is_empty() {
            path.push('/');
        }
        Address {
            path,
            query: String::new(),
        }
    }

    /// With this in the query.
    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Address {
        self.query
            .push(if self.query.is_empty() { '?' } else { '&' });
        self.query.push_str(&encoded(key));
        self.query.push('=');
        self.query.push_str(&encoded(value));
        self
    }

    /// With this in the query, if it says anything.
    #[must_use]
    pub(crate) fn with_some(self, key: &str, value: Option<&str>) -> Address {
        match value {
            Some(value) if !value.is_empty() => self.with(key, value),
            _ => self,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        f.write_str(&self.query)
    }
}

/// The address that a job gave, if it is one that a person may be sent to: `https`, with a host, and without a name and
/// password in front of the host, which make an address look like another's.
pub(crate) fn external(url: &str) -> Option<String> {
    const LONGEST: usize = 2000;
    if url.len() > LONGEST || !url.starts_with("https://") {
        return None;
    }
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    // Characters that no address has unless they are encoded (RFC 3986, 2).
    let odd = |b: u8| !b.is_ascii_graphic() || b"\"<>\\^`{|}".contains(&b);
    let plain =
        !authority.host().is_empty() && !authority.as_str().contains('@') && !url.bytes().any(odd);
    plain.then(|| uri.to_string())
}

/// Percent-encoded but for what no reader of addresses gives a meaning (RFC 3986, 2.3). A part of dots only would mean
/// another folder, so its dots are encoded, too.
fn encoded(text: &str) -> String {
    let dots = !text.is_empty() && text.bytes().all(|b| b == b'.');
    let mut encoded = String::with_capacity(text.len());
    for b in text.bytes() {
        if (b.is_ascii_alphanumeric() || b"-_~".contains(&b)) || (b == b'.' && !dots) {
            encoded.push(char::from(b));
        } else {
            encoded.push('%');
            for half in [b >> 4, b & 15] {
                encoded.push(
                    char::from_digit(u32::from(half), 16)
                        .unwrap_or('0')
                        .to_ascii_uppercase(),
                );
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_parts() {
        let address = Address::of(&["o", "a/../b?x", ""])
            .with("q", "1&2=3 #é")
            .with_some("none", None);
        assert_eq!(
            address.to_string(),
            "/o/a%2F..%2Fb%3Fx?q=1%262%3D3%20%23%C3%A9"
        );
        assert_eq!(Address::of(&["o", ".."]).to_string(), "/o/%2E%2E");
        assert_eq!(
            Address::of(&["", "/evil.example"]).to_string(),
            "/%2Fevil.example"
        );
        assert_eq!(Address::of(&[]).to_string(), "/");
    }

    #[test]
    fn only_plain_https_is_linked() {
        assert_eq!(
            external("https://ci.example/runs/1?x=2").as_deref(),
            Some("https://ci.example/runs/1?x=2")
        );
        for url in [
            "javascript:alert(1)",
            "http://ci.example/",
            "https:///x",
            "https://user@ci.example/",
            "https://ci.example/\"onclick=\"x",
            "https://ci.example/\nx",
            " https://ci.example/",
            "HTTPS://ci.example/",
            "",
        ] {
            assert_eq!(external(url), None, "{url}");
        }
    }
}
