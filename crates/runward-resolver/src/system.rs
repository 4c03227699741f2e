//! Which servers this machine asks: the system's configuration, which is read and never changed.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::path::Path;
use std::time::Duration;

use resolv_conf::{Config, ScopedIp};

use crate::error::UpstreamsError;
use crate::pool::Upstreams;

/// Where DNS servers listen.
const DNS_PORT: u16 = 53;

/// The longest configuration that is read, in bytes; real ones have a few lines.
const MOST_BYTES: u64 = 1 << 20;

/// Reads the servers that the system asks, and how it asks them, from a file such as `/etc/resolv.conf`.
///
/// `nameserver` lines and the options `timeout`, `attempts` and `rotate` count. Lines that can't be understood are
/// passed over, as the C library does. The stub of a resolver daemon, such as 127.0.0.53, is a server like any other.
pub fn system_upstreams(resolv_conf: &Path) -> Result<Upstreams, UpstreamsError> {
    let mut text = Vec::new();
    File::open(resolv_conf)
        .and_then(|file| file.take(MOST_BYTES).read_to_end(&mut text))
        .map_err(|source| UpstreamsError::Read {
            path: resolv_conf.to_owned(),
            source,
        })?;
    let upstreams = parse(&text, &interface_index);
    if upstreams.servers.is_empty() {
        return Err(UpstreamsError::None {
            path: resolv_conf.to_owned(),
        });
    }
    Ok(upstreams)
}

fn parse(text: &[u8], index: &dyn Fn(&str) -> Option<u32>) -> Upstreams {
    let (config, _not_understood) = Config::parse_with_errors(text);
    let servers = config.nameservers.iter();
    Upstreams {
        servers: servers
            .filter_map(|server| address(server, index))
            .collect(),
        timeout: Duration::from_secs(config.timeout.max(1).into()),
        attempts: config.attempts,
        rotate: config.rotate,
    }
}

/// The address of a server. `None` for one on a link that is not there.
fn address(server: &ScopedIp, index: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    match server {
        ScopedIp::V4(v4) => Some(SocketAddr::new(IpAddr::V4(*v4), DNS_PORT)),
        ScopedIp::V6(v6, None) => Some(SocketAddr::new(IpAddr::V6(*v6), DNS_PORT)),
        ScopedIp::V6(v6, Some(link)) => {
            let scope = link.parse().ok().or_else(|| index(link))?;
            Some(SocketAddrV6::new(*v6, DNS_PORT, 0, scope).into())
        }
    }
}

/// The number of a network interface.
fn interface_index(name: &str) -> Option<u32> {
    // A name with a slash, or `..`, is none, and would lead elsewhere.
    if name.contains('/') || name.starts_with('.') {
        return None;
    }
    let text = std::fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Upstreams {
        parse(text.as_bytes(), &|name| (name == "eth0").then_some(7))
    }

    #[test]
    fn servers_and_options() {
        let table: &[(&str, &[&str], u64, u32, bool)] = &[
            ("nameserver 192.0.2.53\n", &["192.0.2.53:53"], 5, 2, false),
            (
                "# by systemd\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n",
                &["127.0.0.53:53"],
                5,
                2,
                false,
            ),
            (
                "nameserver 2001:db8::53\nnameserver 192.0.2.1\noptions timeout:1 attempts:3 rotate\n",
                &["[2001:db8::53]:53", "192.0.2.1:53"],
                1,
                3,
                true,
            ),
            (
                "nameserver fe80::1%eth0\n",
                &["[fe80::1%7]:53"],
                5,
                2,
                false,
            ),
            ("nameserver fe80::1%3\n", &["[fe80::1%3]:53"], 5, 2, false),
            (
                "nameserver fe80::1%gone\nnameserver 192.0.2.1",
                &["192.0.2.1:53"],
                5,
                2,
                false,
            ),
            (
                "nonsense\nnameserver\nnameserver example\nnameserver 192.0.2.1\noptions timeout:x new-one\n",
                &["192.0.2.1:53"],
                5,
                2,
                false,
            ),
            ("search example\n", &[], 5, 2, false),
        ];
        for (text, servers, timeout, attempts, rotate) in table {
            let expected = Upstreams {
                servers: servers
                    .iter()
                    .map(|server| server.parse().unwrap())
                    .collect(),
                timeout: Duration::from_secs(*timeout),
                attempts: *attempts,
                rotate: *rotate,
            };
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn a_configuration_without_servers_is_an_error_that_names_the_file() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "search example").unwrap();
        let path = file.path().display().to_string();
        let told = system_upstreams(file.path()).unwrap_err().to_string();
        assert!(
            told.starts_with(&path) && told.contains("names no server"),
            "{told}"
        );
        let told = system_upstreams(Path::new("/nowhere"))
            .unwrap_err()
            .to_string();
        assert!(told.starts_with("/nowhere can't be read"), "{told}");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: Vec<u8>) {
            let _ = parse(&text, &|_| None);
        }
    }
}
