//! Where a run went, in one spelling: a destination or a file.

use std::net::IpAddr;

use runward_event::Protocol;
use runward_policy::{Name, registered_domain, service_above};
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::services;
use crate::shape::{Masked, mask_name, mask_path};
use crate::summary::{Destination, Lineage};
use crate::text::{harmless, harmless_end};

/// A destination or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// As people, keys and policies have it: `name:port`, `address:port/udp`, or a path.
    pub(crate) text: String,
    pub(crate) is_file: bool,
    /// Who registered the name; of an address, its network.
    pub(crate) owner: String,
    /// The domain above, below which strangers have names as well; empty where there is none.
    pub(crate) parent: String,
    /// What may rotate in it.
    pub(crate) masked: Option<Masked>,
    /// What kind of service anybody can leave data with there.
    pub(crate) open: Option<&'static str>,
    /// What kind of those it is that serve the same to everybody, or that the CI platform runs for itself.
    pub(crate) public: Option<&'static str>,
    /// It is an address that no name stands for.
    pub(crate) bare: bool,
    pub(crate) port: u16,
}

impl Place {
    /// Whether names are looked up there. Whoever serves something under a name of its own is no resolver.
    pub(crate) fn is_resolver(&self) -> bool {
        self.bare && self.port == 53
    }

    /// None for what never leaves the machine.
    pub(crate) fn of_call(destination: &Destination) -> Option<Place> {
        let end = end(destination.port, destination.protocol);
        match &destination.name {
            Some(name) => match Name::parse(name) {
                Ok(name) if is_local(name.as_str()) => None,
                Ok(name) => Some(named(&name, destination.port, &end)),
                Err(_) => Some(odd(name, destination.port, &end)),
            },
            None => match destination.ip.map(|ip| ip.to_canonical()) {
                Some(ip) if ip.is_loopback() || ip.is_unspecified() => None,
                Some(ip) => Some(address(ip, destination.port, &end)),
                None => Some(odd("", destination.port, &end)),
            },
        }
    }

    pub(crate) fn of_file(path: &str) -> Place {
        let path = harmless_end(path, limits::PLACE_BYTES);
        let masked = mask_path(&path);
        Place {
            owner: folder(&path).to_owned(),
            parent: String::new(),
            text: path,
            is_file: true,
            masked,
            open: None,
            public: None,
            bare: false,
            port: 0,
        }
    }

    /// The place that a text came from.
    pub(crate) fn again(text: &str, is_file: bool) -> Place {
        if is_file {
            return Place::of_file(text);
        }
        let (host, end) = text.rsplit_once(':').unwrap_or((text, ""));
        let (port, _) = end.split_once('/').unwrap_or((end, ""));
        let port = port.parse().unwrap_or_default();
        let end = format!(":{end}");
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        match (ip, Name::parse(host)) {
            (Ok(ip), _) => address(ip, port, &end),
            (Err(_), Ok(name)) => named(&name, port, &end),
            (Err(_), Err(_)) => odd(host.trim_start_matches('?'), port, &end),
        }
    }

    /// How many bytes of a name its owner has.
    pub(crate) fn owner_bytes(&self) -> u8 {
        if self.is_file || self.bare || self.owner.contains('*') {
            return 0;
        }
        u8::try_from(self.owner.len()).unwrap_or_default()
    }

    /// The mask with the port, as the text of a pattern has it.
    pub(crate) fn mask_text(&self) -> Option<String> {
        let mask = &self.masked.as_ref()?.mask;
        if self.is_file {
            return Some(mask.clone());
        }
        let (_, end) = self.text.rsplit_once(':')?;
        Some(format!("{mask}:{end}"))
    }

    /// Strangers have names or accounts right beside it, so that one of it says nothing about the next.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some() || !self.parent.is_empty() || self.bare
    }
}

fn named(name: &Name, port: u16, end: &str) -> Place {
    let text = name.as_str();
    let owner = registered_domain(name).unwrap_or(text);
    Place {
        text: format!("{text}{end}"),
        is_file: false,
        owner: owner.to_owned(),
        parent: service_above(owner).unwrap_or_default().to_owned(),
        masked: mask_name(text, owner),
        open: services::open(text),
        public: services::public(text),
        bare: false,
        port,
    }
}

/// Not a name and not an address, or nothing at all.
fn odd(name: &str, port: u16, end: &str) -> Place {
    let text = harmless(&format!("?{name}"), limits::ODD_BYTES).replace(':', ".");
    Place {
        text: format!("{text}{end}"),
        is_file: false,
        owner: text,
        parent: String::new(),
        masked: None,
        open: None,
        public: None,
        bare: true,
        port,
    }
}

fn address(ip: IpAddr, port: u16, end: &str) -> Place {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    let text = match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    // Addresses of one's own rotate inside of a network; next to a public address anybody may sit.
    let masked = match ip {
        IpAddr::V4(ip) if private => {
            let [a, b, c, d] = ip.octets();
            Some(Masked {
                mask: format!("{a}.{b}.{c}.*"),
                values: vec![d.to_string()],
            })
        }
        _ => None,
    };
    let owner = match (&masked, ip) {
        (Some(masked), _) => masked.mask.clone(),
        (None, _) => text.clone(),
    };
    Place {
        text: format!("{text}{end}"),
        is_file: false,
        owner,
        parent: String::new(),
        masked,
        open: None,
        public: None,
        bare: !private,
        port,
    }
}

fn end(port: u16, protocol: Protocol) -> String {
    match protocol {
        Protocol::Tcp => format!(":{port}"),
        Protocol::Udp => format!(":{port}/udp"),
        Protocol::Icmp => ":0/icmp".to_owned(),
        Protocol::Sctp => format!(":{port}/sctp"),
        _ => format!(":{port}/raw"),
    }
}

fn is_local(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Who did something, in one spelling: without versions and random parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Who {
    pub(crate) program: String,
    /// Empty for none.
    pub(crate) dependency: String,
}

impl Who {
    pub(crate) fn of(lineage: &Lineage) -> Who {
        let dependency = lineage.dependency.as_deref().unwrap_or_default();
        Who {
            program: program(&lineage.executable),
            dependency: harmless(without_version(dependency), limits::DEPENDENCY_BYTES),
        }
    }

    /// `node (esbuild)`
    pub(crate) fn words(&self) -> String {
        if self.dependency.is_empty() {
            self.program.clone()
        } else {
            format!("{} ({})", self.program, self.dependency)
        }
    }
}

/// The step in one spelling.
pub(crate) fn step(lineage: &Lineage) -> Option<String> {
    let step = lineage.step.as_deref()?;
    Some(harmless(step, limits::STEP_BYTES))
}

/// A program's path with `#` for versions and random parts: `/opt/node/20.11.0/bin/node` is `/opt/node/#/bin/node`.
fn program(path: &str) -> String {
    let parts: Vec<String> = path.split('/').map(without_numbers).collect();
    let text = parts.join("/");
    if text.is_empty() {
        return "an unknown program".to_owned();
    }
    harmless_end(&text, limits::PROGRAM_BYTES)
}

fn without_numbers(part: &str) -> String {
    let mut text = String::with_capacity(part.len());
    for piece in part.split_inclusive(['-', '_', '.']) {
        let bare = piece.strip_suffix(['-', '_', '.']).unwrap_or(piece);
        if crate::shape::looks_random(bare) {
            text.push('#');
        } else {
            for c in bare.chars() {
                match c {
                    '0'..='9' if text.ends_with('#') => {}
                    '0'..='9' => text.push('#'),
                    c => text.push(c),
                }
            }
        }
        text.push_str(piece.get(bare.len()..).unwrap_or_default());
    }
    while text.contains("#.#") || text.contains("#-#") {
        text = text.replace("#.#", "#").replace("#-#", "#");
    }
    text
}

/// `esbuild` of `esbuild@0.25.12`; the first `@` of `@scope/name@1` is part of the name.
fn without_version(dependency: &str) -> &str {
    match dependency.rfind('@') {
        Some(at) if at > 0 => dependency.get(..at).unwrap_or(dependency),
        _ => dependency,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(host: &str, port: u16, protocol: Protocol) -> Destination {
        let ip: Option<IpAddr> = host.parse().ok();
        Destination {
            name: ip.is_none().then(|| host.to_owned()),
            ip,
            port,
            protocol,
        }
    }

    #[test]
    fn every_spelling_is_one_place() {
        for (host, port, protocol, text, owner, open) in [
            (
                "API.Example.COM.",
                443,
                Protocol::Tcp,
                "api.example.com:443",
                "example.com",
                false,
            ),
            (
                "a.b.example.co.uk",
                80,
                Protocol::Udp,
                "a.b.example.co.uk:80/udp",
                "example.co.uk",
                false,
            ),
            (
                "192.0.2.1",
                22,
                Protocol::Tcp,
                "192.0.2.1:22",
                "192.0.2.1",
                true,
            ),
            (
                "::ffff:192.0.2.1",
                22,
                Protocol::Tcp,
                "192.0.2.1:22",
                "192.0.2.1",
                true,
            ),
            (
                "2001:db8::1",
                22,
                Protocol::Tcp,
                "[2001:db8::1]:22",
                "[2001:db8::1]",
                true,
            ),
            (
                "10.1.2.3",
                5432,
                Protocol::Tcp,
                "10.1.2.3:5432",
                "10.1.2.*",
                false,
            ),
            (
                "x.bucket.s3.amazonaws.com",
                443,
                Protocol::Tcp,
                "x.bucket.s3.amazonaws.com:443",
                "bucket.s3.amazonaws.com",
                true,
            ),
            (
                "d1abc.cloudfront.net",
                443,
                Protocol::Tcp,
                "d1abc.cloudfront.net:443",
                "d1abc.cloudfront.net",
                true,
            ),
            (
                "api.github.com",
                443,
                Protocol::Tcp,
                "api.github.com:443",
                "github.com",
                true,
            ),
            (
                "registry",
                443,
                Protocol::Tcp,
                "registry:443",
                "registry",
                false,
            ),
        ] {
            let place = Place::of_call(&call(host, port, protocol)).unwrap();
            assert_eq!(place.text, text);
            assert_eq!(place.owner, owner, "{host}");
            assert_eq!(place.is_open(), open, "{host}");
        }
    }

    #[test]
    fn what_never_leaves_the_machine_is_no_place() {
        for host in [
            "127.0.0.1",
            "::1",
            "0.0.0.0",
            "localhost",
            "a.localhost",
            "::ffff:127.0.0.1",
        ] {
            assert_eq!(
                Place::of_call(&call(host, 80, Protocol::Tcp)),
                None,
                "{host}"
            );
        }
    }

    #[test]
    fn what_is_no_name_is_a_place_nevertheless() {
        let long = "ü".repeat(4_000);
        for host in ["a b", "a:1", "", ".", "\u{202e}", "a*b", long.as_str()] {
            let place = Place::of_call(&call(host, 443, Protocol::Tcp)).unwrap();
            assert!(
                place.text.starts_with('?') && place.text.ends_with(":443"),
                "{place:?}"
            );
            assert!(place.text.len() < 100);
            assert_eq!(place.text.matches(':').count(), 1);
        }
    }

    #[test]
    fn versions_are_not_part_of_who() {
        for (path, text) in [
            ("/usr/bin/curl", "/usr/bin/curl"),
            (
                "/opt/hostedtoolcache/node/20.11.0/x64/bin/node",
                "/opt/hostedtoolcache/node/#/x#/bin/node",
            ),
            ("/usr/bin/python3.11", "/usr/bin/python#"),
            (
                "/tmp/pip-build-env-0a1b2c3d/bin/cmake",
                "/tmp/pip-build-env-#/bin/cmake",
            ),
            ("", "an unknown program"),
        ] {
            assert_eq!(program(path), text);
        }
        for (text, name) in [
            ("esbuild@0.25.12", "esbuild"),
            ("@scope/name@1.0.0", "@scope/name"),
            ("@scope/name", "@scope/name"),
            ("", ""),
        ] {
            assert_eq!(without_version(text), name);
        }
    }
}
