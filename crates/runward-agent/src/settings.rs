//! `/etc/runward/agent.yml`: what holds for every job of a machine.
//!
//! Each key has one line. What is wrong is told with its place, all of it at once; a file with a fault is not used at all.

use std::fmt;
use std::path::PathBuf;

use runward_yaml::{Limits, Node, Scalar, Stretch, Value, YamlFault, read};

/// Bytes of the file that are read.
pub const SETTINGS_MAX: u64 = 64 << 10;
const YAML: Limits = Limits {
    depth: 4,
    nodes: 1000,
};
/// What records on this machine may take together, unless somebody says otherwise.
const SPOOL_LIMIT_MIB: u64 = 2048;

/// What holds for every job of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The mode, `audit` or `block`, as it is written.
    pub egress_policy: Option<String>,
    /// Endpoints that jobs may reach, as it is written.
    pub allowed_endpoints: Option<String>,
    /// Endpoints that they may not reach, whatever else allows them.
    pub denied_endpoints: Option<String>,
    /// A file with the policy.
    pub policy: Option<PathBuf>,
    /// Findings on which a job is killed.
    pub lockdown: Vec<String>,
    /// A file of rules.
    pub rules: Option<PathBuf>,
    /// Files of destinations that no job reaches.
    pub block_lists: Vec<PathBuf>,
    /// The address of the control plane.
    pub server: Option<String>,
    /// A file with its key.
    pub key_file: Option<PathBuf>,
    /// What records may take together on this machine, in MiB.
    pub spool_limit_mib: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            egress_policy: None,
            allowed_endpoints: None,
            denied_endpoints: None,
            policy: None,
            lockdown: Vec::new(),
            rules: None,
            block_lists: Vec::new(),
            server: None,
            key_file: None,
            spool_limit_mib: SPOOL_LIMIT_MIB,
        }
    }
}

/// Something that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// What is wrong, and what to write instead.
    pub message: String,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl SettingsFault {
    fn at(at: Stretch, message: impl Into<String>) -> SettingsFault {
        SettingsFault {
            line: at.line,
            column: at.column,
            message: message.into(),
        }
    }
}

/// The keys, in the order of the file that comes with Runward.
const KEYS: [&str; 10] = [
    "egress-policy",
    "allowed-endpoints",
    "denied-endpoints",
    "policy",
    "lockdown",
    "rules",
    "block-list",
    "server",
    "key-file",
    "spool-limit",
];

impl Settings {
    /// Reads the file's text. A file without a key is one.
    pub fn parse(text: &str) -> Result<Settings, Vec<SettingsFault>> {
        let root = read(text, YAML).map_err(|error| {
            let message = match error.fault {
                YamlFault::Syntax(said) => format!("this is not YAML: {said}"),
                YamlFault::Feature(what) => format!("settings have no use for {what}: remove it"),
                YamlFault::TooDeep | YamlFault::TooLarge => {
                    "the file is too large for settings: each is a line or a short list".to_owned()
                }
            };
            vec![SettingsFault::at(error.at, message)]
        })?;
        let mut settings = Settings::default();
        let Some(root) = root else {
            return Ok(settings);
        };
        let mut faults = Vec::new();
        match &root.value {
            Value::Map(entries) => settings.take(entries, &mut faults),
            Value::Scalar(scalar) if scalar.is_null() => {}
            _ => faults.push(SettingsFault::at(
                root.at,
                "settings are written as `name: value`, each on a line of its own",
            )),
        }
        if faults.is_empty() {
            Ok(settings)
        } else {
            Err(faults)
        }
    }

    fn take(&mut self, entries: &[(Node, Node)], faults: &mut Vec<SettingsFault>) {
        let mut seen: Vec<&str> = Vec::new();
        for (key, value) in entries {
            let name = match &key.value {
                Value::Scalar(scalar) => scalar.text.as_str(),
                _ => "",
            };
            if seen.contains(&name) {
                faults.push(SettingsFault::at(
                    key.at,
                    format!("`{name}` is set a second time: remove one of the two"),
                ));
            }
            seen.push(name);
            if let Err(fault) = self.set(name, key, value) {
                faults.push(fault);
            }
        }
    }

    fn set(&mut self, name: &str, key: &Node, value: &Node) -> Result<(), SettingsFault> {
        if matches!(&value.value, Value::Scalar(scalar) if scalar.is_null()) {
            return Err(SettingsFault::at(
                key.at,
                format!("`{name}` has no value: write one, or remove the line"),
            ));
        }
        match name {
            "egress-policy" => {
                let mode = scalar(value)?;
                if !["audit", "block"].contains(&mode.text.as_str()) {
                    return Err(SettingsFault::at(value.at, "write `audit` or `block`"));
                }
                self.egress_policy = Some(mode.text.clone());
            }
            "allowed-endpoints" => self.allowed_endpoints = Some(words(value)?.join(" ")),
            "denied-endpoints" => self.denied_endpoints = Some(words(value)?.join(" ")),
            "policy" => self.policy = Some(path(value)?),
            "lockdown" => self.lockdown = words(value)?,
            "rules" => self.rules = Some(path(value)?),
            "block-list" => {
                self.block_lists = match &value.value {
                    Value::List(items) => items.iter().map(path).collect::<Result<_, _>>()?,
                    _ => vec![path(value)?],
                };
            }
            "server" => self.server = Some(scalar(value)?.text.clone()),
            "key-file" => self.key_file = Some(path(value)?),
            "spool-limit" => self.spool_limit_mib = mebibytes(value)?,
            _ => {
                return Err(SettingsFault::at(
                    key.at,
                    format!(
                        "there is no setting `{name}`; there are: {}",
                        KEYS.join(", ")
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn scalar(value: &Node) -> Result<&Scalar, SettingsFault> {
    match &value.value {
        Value::Scalar(scalar) if !scalar.text.trim().is_empty() => Ok(scalar),
        Value::Scalar(_) => Err(SettingsFault::at(
            value.at,
            "this is empty: remove the line",
        )),
        _ => Err(SettingsFault::at(
            value.at,
            "write one value here, not several",
        )),
    }
}

/// A list, or a text with commas or white space between its words.
fn words(value: &Node) -> Result<Vec<String>, SettingsFault> {
    let texts = match &value.value {
        Value::List(items) => items
            .iter()
            .map(|item| Ok(scalar(item)?.text.clone()))
            .collect::<Result<Vec<String>, SettingsFault>>()?,
        _ => vec![scalar(value)?.text.clone()],
    };
    let words = texts
        .iter()
        .flat_map(|text| text.split([' ', ',', '\n', '\t']));
    Ok(words
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect())
}

/// The agent has no folder that a path could begin in.
fn path(value: &Node) -> Result<PathBuf, SettingsFault> {
    let path = PathBuf::from(&scalar(value)?.text);
    if !path.is_absolute() {
        return Err(SettingsFault::at(
            value.at,
            "write the whole path, from `/` on",
        ));
    }
    Ok(path)
}

fn mebibytes(value: &Node) -> Result<u64, SettingsFault> {
    let text = scalar(value)?.text.to_ascii_lowercase();
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let factor = match unit.trim() {
        "" | "m" | "mib" | "mb" => Some(1),
        "g" | "gib" | "gb" => Some(1024),
        _ => None,
    };
    number
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(number, factor)| number.checked_mul(factor))
        .filter(|size| *size > 0)
        .ok_or_else(|| SettingsFault::at(value.at, "write a size, such as `500M` or `2G`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_comes_with_runward_sets_nothing_and_names_all_keys() {
        let text = include_str!("../../../integrations/agent.yml");
        assert_eq!(Settings::parse(text), Ok(Settings::default()));
        let mut commented: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix('#')?.split_once(": "))
            .map(|(name, _)| name)
            .filter(|name| !name.starts_with(' '))
            .collect();
        commented.sort_unstable();
        let mut keys = KEYS.to_vec();
        keys.sort_unstable();
        assert_eq!(commented, keys);
        // What stands there as an example is right.
        let used: String = text
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
                _ => "\n".to_owned(),
            })
            .collect();
        Settings::parse(&used).unwrap();
    }

    #[test]
    fn settings_are_read() {
        let text = "egress-policy: block\nallowed-endpoints: [a.example:443, 'b.example']\n\
            denied-endpoints: c.example, d.example\nlockdown: high\n\
            block-list: /etc/runward/bad.txt\nspool-limit: 3 GiB\n";
        let settings = Settings::parse(text).unwrap();
        assert_eq!(
            settings,
            Settings {
                egress_policy: Some("block".to_owned()),
                allowed_endpoints: Some("a.example:443 b.example".to_owned()),
                denied_endpoints: Some("c.example d.example".to_owned()),
                lockdown: vec!["high".to_owned()],
                block_lists: vec!["/etc/runward/bad.txt".into()],
                spool_limit_mib: 3072,
                ..Settings::default()
            }
        );
        for nothing in ["", "# a comment\n", "~\n"] {
            assert_eq!(Settings::parse(nothing), Ok(Settings::default()));
        }
    }

    #[test]
    fn each_fault_is_told_with_its_place() {
        let table = [
            ("egress-policy: blok", "1:16: write `audit` or `block`"),
            (
                "policy: policy.yml",
                "1:9: write the whole path, from `/` on",
            ),
            (
                "server:",
                "1:1: `server` has no value: write one, or remove the line",
            ),
            (
                "server: https://a.example\nserver: https://b.example",
                "2:1: `server` is set a second time: remove one of the two",
            ),
            (
                "spool-limit: 3 parsecs",
                "1:14: write a size, such as `500M` or `2G`",
            ),
            (
                "spool-limit: 99999999999999999999",
                "1:14: write a size, such as `500M` or `2G`",
            ),
            (
                "spool-limit: 0",
                "1:14: write a size, such as `500M` or `2G`",
            ),
            (
                "- a",
                "1:1: settings are written as `name: value`, each on a line of its own",
            ),
            ("server: [a, b]", "1:9: write one value here, not several"),
        ];
        for (text, want) in table {
            let told: Vec<String> = Settings::parse(text)
                .unwrap_err()
                .iter()
                .map(SettingsFault::to_string)
                .collect();
            assert_eq!(told, [want], "{text}");
        }
        let unknown = Settings::parse("egres-policy: block\nkey: 1").unwrap_err();
        assert_eq!(unknown.len(), 2);
        assert!(unknown[0].message.contains("no setting `egres-policy`"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Settings::parse(&text);
        }

        #[test]
        fn no_yaml_makes_it_panic(key in "[a-z-]{0,20}", value in "[\\[\\]{}:,'\"a-z0-9 \n-]{0,40}") {
            let _ = Settings::parse(&format!("{key}: {value}\n"));
        }
    }
}
