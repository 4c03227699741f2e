//! Destinations that a build has seldom a reason to call: data, in `data/destinations.txt`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::LazyLock;

use crate::Severity;

const TEXT: &str = include_str!("../data/destinations.txt");
static TABLE: LazyLock<Table> = LazyLock::new(|| parse(TEXT));

/// Why a destination is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) class: Class,
    pub(crate) reason: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    KnownBad,
    Collector,
    Tunnel,
    Metadata,
    Paste,
    Lookup,
}

impl Class {
    fn parse(word: &str) -> Option<Class> {
        Some(match word {
            "known-bad" => Class::KnownBad,
            "collector" => Class::Collector,
            "tunnel" => Class::Tunnel,
            "metadata" => Class::Metadata,
            "paste" => Class::Paste,
            "lookup" => Class::Lookup,
            _ => return None,
        })
    }

    pub(crate) fn severity(self) -> Severity {
        match self {
            Class::KnownBad => Severity::High,
            Class::Collector | Class::Tunnel | Class::Metadata => Severity::Medium,
            Class::Paste | Class::Lookup => Severity::Low,
        }
    }
}

#[derive(Debug, Default)]
struct Table {
    names: HashMap<&'static str, Listed>,
    /// What is below these names.
    below: HashMap<&'static str, Listed>,
    addresses: HashMap<IpAddr, Listed>,
}

/// Names have at most this many labels (RFC 1035: 255 bytes).
const LABELS_MAX: usize = 128;

/// Why this name is listed, if it is. Names are compared in small letters, without the last dot.
pub(crate) fn name(name: &str) -> Option<Listed> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if let Some(listed) = TABLE.names.get(name.as_str()) {
        return Some(*listed);
    }
    let above = |name: &str| name.split_once('.').map(|(_, rest)| rest.to_owned());
    std::iter::successors(above(&name), |name| above(name))
        .take(LABELS_MAX)
        .find_map(|name| TABLE.below.get(name.as_str()).copied())
}

/// Why this address is listed, if it is.
pub(crate) fn address(ip: IpAddr) -> Option<Listed> {
    TABLE.addresses.get(&ip).copied()
}

/// The destinations that belong to attackers and to nobody else, in the form of a block list: pattern and reason, on the
/// lines on which they stand in the table.
pub fn known_bad() -> String {
    let mut text = String::new();
    for line in TEXT.lines() {
        if let Some((pattern, listed)) = entry(line)
            && listed.class == Class::KnownBad
        {
            text.push_str(pattern);
            text.push(' ');
            text.push_str(listed.reason);
        }
        text.push('\n');
    }
    text
}

/// Reads a line; nothing where it is empty, a comment, or of a class that is not known.
fn entry(line: &'static str) -> Option<(&'static str, Listed)> {
    let (pattern, rest) = line.split_once(char::is_whitespace)?;
    let (class, reason) = rest.trim().split_once(char::is_whitespace)?;
    let class = Class::parse(class)?;
    let reason = reason.trim();
    (!pattern.starts_with('#')).then_some((pattern, Listed { class, reason }))
}

fn parse(text: &'static str) -> Table {
    let mut table = Table::default();
    for (pattern, listed) in text.lines().filter_map(entry) {
        if let Ok(ip) = pattern.parse() {
            table.addresses.insert(ip, listed);
        } else if let Some(below) = pattern.strip_prefix("*.") {
            table.below.insert(below, listed);
        } else {
            table.names.insert(pattern, listed);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines = include_str!("../data/destinations.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .count();
        let table = &*TABLE;
        assert_eq!(
            lines,
            table.names.len() + table.below.len() + table.addresses.len()
        );
    }

    #[test]
    fn what_is_known_to_be_bad_keeps_its_line() {
        let text = known_bad();
        let line = TEXT
            .lines()
            .position(|line| line.starts_with("scan.aquasecurtiy.org"))
            .unwrap();
        let told = text.lines().nth(line).unwrap();
        assert!(
            told.starts_with("scan.aquasecurtiy.org collected"),
            "{told}"
        );
        assert!(!text.contains("webhook.site"));
    }

    #[test]
    fn names_and_what_is_below_them() {
        let class = |text: &str| name(text).map(|listed| listed.class);
        assert_eq!(class("a.b.ngrok.io"), Some(Class::Tunnel));
        assert_eq!(class("NGROK.io"), None, "only what is below it");
        assert_eq!(class("Webhook.Site."), Some(Class::Collector));
        assert_eq!(class("notwebhook.site"), None);
        assert_eq!(class(""), None);
        let ip = |text: &str| address(text.parse().unwrap()).map(|listed| listed.class);
        assert_eq!(ip("169.254.169.254"), Some(Class::Metadata));
        assert_eq!(ip("192.0.2.1"), None);
    }
}
