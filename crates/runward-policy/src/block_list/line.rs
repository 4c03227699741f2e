//! One line of a block list, in any of the forms that feeds have.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

use super::{BlockListFault, Blocked};
use crate::limits;
use crate::name::Name;

/// A line that was read.
#[derive(Debug)]
pub(super) struct Line<'t> {
    pub(super) number: u32,
    /// Nothing for a comment, several for a line of a hosts file with several names.
    pub(super) blocked: Vec<Blocked>,
    pub(super) reason: Option<&'t str>,
}

/// Addresses that a hosts file gives names to which are to lead nowhere.
const NOWHERE: [&str; 4] = ["0.0.0.0", "127.0.0.1", "::", "::1"];
/// Names that every hosts file has for the machine itself, and how lines with other addresses of it begin.
const OWN_NAMES: [&str; 12] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "0.0.0.0",
];
const OWN_ADDRESSES: [&str; 4] = ["255.255.255.255", "fe80:", "ff00:", "ff02:"];

/// How dots and colons are written that nobody shall click on.
const DEFANGED: [(&str, &str); 9] = [
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("[://]", "://"),
    ("[:]", ":"),
    ("[/]", "/"),
];
/// Schemes of the web, and how they are written that nobody shall click on.
const SCHEMES: [&str; 5] = ["http", "https", "hxxp", "hxxps", "ftp"];

/// The shortest prefix of a network that somebody can have meant.
const PREFIX_MIN_V4: u8 = 8;
const PREFIX_MIN_V6: u8 = 16;

/// Reads a line; an error comes with the word that it is about.
pub(super) fn read(number: u32, line: &str) -> Result<Line<'_>, (&str, BlockListFault)> {
    if line.len() > limits::BLOCK_LIST_LINE_BYTES {
        return Err((line, BlockListFault::TooLong));
    }
    let (entry, reason) = split(line.trim());
    let blocked = match entry {
        "" => Vec::new(),
        entry if is_of_hosts_file(entry, reason) => return hosts_line(number, entry, reason),
        entry => vec![blocked(entry).map_err(|fault| (entry, fault))?],
    };
    Ok(Line {
        number,
        blocked,
        reason: told(reason),
    })
}

/// The first word and the rest. A line that is a comment has no first word.
fn split(line: &str) -> (&str, &str) {
    if line.starts_with(['#', ';']) {
        return ("", "");
    }
    line.split_once(char::is_whitespace)
        .map_or((line, ""), |(entry, rest)| (entry, rest.trim()))
}

/// A reason as it is told, without the sign of a comment in front of it.
fn told(reason: &str) -> Option<&str> {
    let reason = reason.trim_start_matches(['#', ';', ' ', '\t']);
    (!reason.is_empty()).then_some(reason)
}

fn is_of_hosts_file(address: &str, rest: &str) -> bool {
    let has_names = !rest.is_empty() && !rest.starts_with(['#', ';']);
    let own = rest
        .split_whitespace()
        .next()
        .is_some_and(|name| OWN_NAMES.contains(&name));
    let of_machine = OWN_ADDRESSES.iter().any(|own| address.starts_with(own));
    has_names && (NOWHERE.contains(&address) || (own && of_machine))
}

fn hosts_line<'t>(
    number: u32,
    address: &'t str,
    rest: &'t str,
) -> Result<Line<'t>, (&'t str, BlockListFault)> {
    let (names, reason) = rest
        .find(['#', ';'])
        .map_or((rest, ""), |at| rest.split_at(at));
    let mut blocked = Vec::new();
    for word in names.split_whitespace() {
        if OWN_NAMES.contains(&word) {
            continue;
        }
        if !NOWHERE.contains(&address) {
            return Err((word, BlockListFault::HostsLine));
        }
        blocked.push(Blocked::Name(
            whole_name(word).map_err(|fault| (word, fault))?,
        ));
    }
    Ok(Line {
        number,
        blocked,
        reason: told(reason),
    })
}

/// What one word blocks.
fn blocked(word: &str) -> Result<Blocked, BlockListFault> {
    let word = refanged(word);
    let host = host(&word)?;
    if let Some(address) = address(host) {
        return Ok(Blocked::Net(single(address)?));
    }
    if host.contains('/') {
        return network(host);
    }
    if host.contains(':') {
        return Err(BlockListFault::Port);
    }
    match host.strip_prefix("*.") {
        Some(above) if !above.contains('*') => Ok(Blocked::Below(Name::parse(above)?)),
        _ if host.contains('*') => Err(BlockListFault::Star),
        _ => Ok(Blocked::Name(whole_name(host)?)),
    }
}

fn refanged(word: &str) -> Cow<'_, str> {
    if !word.contains(['[', '(', '{']) {
        return Cow::Borrowed(word);
    }
    let mut plain = word.to_owned();
    for (defanged, meant) in DEFANGED {
        plain = plain.replace(defanged, meant);
    }
    Cow::Owned(plain)
}

/// The host of an address of the web that has no more than that; other words as they are.
fn host(word: &str) -> Result<&str, BlockListFault> {
    let Some((scheme, rest)) = word.split_once("://") else {
        return Ok(word);
    };
    if !SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err(BlockListFault::Scheme);
    }
    let host = rest.strip_suffix('/').unwrap_or(rest);
    match host.contains(['/', '?', '#', '@']) {
        true => Err(BlockListFault::Page),
        false => Ok(host),
    }
}

/// An address, of version 6 also in brackets, as addresses of the web have it.
fn address(host: &str) -> Option<IpAddr> {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    inside.unwrap_or(host).parse().ok()
}

fn single(address: IpAddr) -> Result<IpNet, BlockListFault> {
    let address = address.to_canonical();
    check_host(address)?;
    Ok(IpNet::from(address))
}

fn network(text: &str) -> Result<Blocked, BlockListFault> {
    let is_address = text
        .split_once('/')
        .is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    if !is_address {
        return Err(BlockListFault::Page);
    }
    let net: IpNet = text.parse().map_err(|_| BlockListFault::Prefix)?;
    let least = match net {
        IpNet::V4(_) => PREFIX_MIN_V4,
        IpNet::V6(_) => PREFIX_MIN_V6,
    };
    if net.prefix_len() < least {
        return Err(BlockListFault::TooWide);
    }
    if net.trunc() != net {
        return Err(BlockListFault::HostBits(net.trunc()));
    }
    check_host(net.addr())?;
    Ok(Blocked::Net(net))
}

/// Whether an address can be that of somebody.
fn check_host(address: IpAddr) -> Result<(), BlockListFault> {
    let nobody = address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    match nobody {
        true => Err(BlockListFault::NoHost),
        false => Ok(()),
    }
}

/// A name as hosts of the internet have it: a single word is more likely a heading than a host.
fn whole_name(word: &str) -> Result<Name, BlockListFault> {
    let name = Name::parse(word)?;
    match name.as_str().contains('.') {
        true => Ok(name),
        false => Err(BlockListFault::OnePart),
    }
}
