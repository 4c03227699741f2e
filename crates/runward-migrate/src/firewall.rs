//! GitHub's `.github/egress-firewall.yaml`, as a policy file of Runward's.
//!
//! What it means is from the README of its early access: `mode` and `allow`; hosts, written out, for HTTP and HTTPS;
//! beside them GitHub's own, unless `no-default-urls` says otherwise.

use std::collections::BTreeSet;

use runward_policy::{Action, Endpoint, Group, Host, Source, parse_file};
use runward_yaml::{Documents, PartId, PartValue};

use crate::Migration;
use crate::edit::{Edits, Lines};
use crate::error::{Refusal, RefusalReason};
use crate::input::truth;
use crate::layout::{Entry, Layout};
use crate::remark::{Remarks, visible};
use crate::scalar::Value;
use crate::steps::pairs;
use crate::workflow::read;

/// The group that stands for what GitHub allows by itself.
const GROUP: &str = "github-actions";
const DEFAULTS: &str = "\"@github-actions\"";

/// What follows a host: it is allowed for HTTP and HTTPS.
const WEB: &str = ":80,443";

/// Turns `.github/egress-firewall.yaml` into the text of a `.runward.yml`, with its comments.
///
/// # Errors
///
/// When it is not YAML, or has something that a policy of Runward's can't have.
pub fn migrate_firewall(text: &str) -> Result<Migration, Refusal> {
    let documents = read(text)?;
    plain(&documents)?;
    let mut remarks = Remarks::default();
    let Some(root) = documents.roots().first() else {
        remarks.lost(1, "the file has nothing in it");
        return Ok(Migration {
            text: None,
            remarks: remarks.finish(),
        });
    };
    let layout = Layout {
        lines: Lines(text),
        documents: &documents,
    };
    let mut firewall = Firewall {
        layout,
        root: *root,
        in_flow: matches!(
            layout.part(*root).value,
            PartValue::Map { is_flow: true, .. }
        ),
        edits: Edits::default(),
        remarks,
        endpoints: BTreeSet::new(),
    };
    let mode = firewall.file()?;
    let Firewall {
        edits,
        remarks,
        endpoints,
        ..
    } = firewall;
    let checked = edits
        .apply(text)
        .filter(|text| means(text, mode, &endpoints));
    match checked {
        Some(text) => Ok(Migration {
            text: Some(text),
            remarks: remarks.finish(),
        }),
        None => Err(Refusal::at(&documents, *root, RefusalReason::NotTheSame)),
    }
}

/// Policies of Runward's have to be readable where they stand.
fn plain(documents: &Documents) -> Result<(), Refusal> {
    let is_odd = |part: &runward_yaml::Part| {
        part.has_anchor || part.has_tag || matches!(part.value, PartValue::Alias(_))
    };
    let odd = documents.parts().find(|(_, part)| is_odd(part));
    let second = documents.roots().get(1).copied();
    match odd.map(|(id, _)| id).or(second) {
        Some(id) => Err(Refusal::at(documents, id, RefusalReason::Plain)),
        None => Ok(()),
    }
}

/// Whether a text, read as a policy, means this.
fn means(text: &str, mode: &str, endpoints: &BTreeSet<Endpoint>) -> bool {
    let Ok(read) = parse_file(text, Source::File(".runward.yml".to_owned())) else {
        return false;
    };
    let rules = read.allowed.unwrap_or_default();
    let found: BTreeSet<Endpoint> = rules.into_iter().map(|rule| rule.endpoint).collect();
    let has_mode = read.mode.is_some_and(|(_, origin)| origin.text == mode);
    has_mode && read.denied.is_empty() && found == *endpoints
}

struct Firewall<'d> {
    layout: Layout<'d>,
    root: PartId,
    in_flow: bool,
    edits: Edits,
    remarks: Remarks,
    /// What the policy should allow.
    endpoints: BTreeSet<Endpoint>,
}

impl Firewall<'_> {
    fn refuse<T>(&self, id: PartId, reason: RefusalReason) -> Result<T, Refusal> {
        Err(Refusal::at(self.layout.documents, id, reason))
    }

    /// Gives the mode.
    fn file(&mut self) -> Result<&'static str, Refusal> {
        let documents = self.layout.documents;
        let [mut mode, mut allow, mut no_defaults] = [None; 3];
        let mut entries = Vec::new();
        if !matches!(self.layout.part(self.root).value, PartValue::Map { .. }) {
            return self.refuse(self.root, RefusalReason::Firewall);
        }
        for (key, value) in pairs(documents, self.root) {
            let PartValue::Scalar(name) = &self.layout.part(*key).value else {
                return self.refuse(*key, RefusalReason::Firewall);
            };
            let place = match name.text.as_str() {
                "mode" => &mut mode,
                "allow" => &mut allow,
                "no-default-urls" => &mut no_defaults,
                other => {
                    let why = format!("`{}`: Runward knows no such key; removed", visible(other));
                    self.remarks.lost(self.layout.line(*key), why);
                    entries.push(self.entry(*key, *value, true)?);
                    continue;
                }
            };
            if place.replace((*key, *value)).is_some() {
                return self.refuse(*key, RefusalReason::Twice);
            }
            if name.text == "allow" {
                // It stays, and may be a list.
                let at = self.layout.part(*key).opening.clone();
                entries.push(Entry { at, leaves: false });
            } else {
                entries.push(self.entry(*key, *value, name.text != "mode")?);
            }
        }
        self.remove(&entries)?;
        let with_defaults = match no_defaults {
            Some((key, value)) => !self.no_defaults(key, value),
            None => true,
        };
        if with_defaults {
            let group = Group::find(GROUP).map(|group| &group.endpoints);
            let texts = group.into_iter().flatten();
            let read = texts.filter_map(|text| Endpoint::parse(text, Action::Allow).ok());
            self.endpoints.extend(read);
            let line = allow.or(mode).map_or(1, |(key, _)| self.layout.line(key));
            self.remarks.note(
                line,
                "the hosts that GitHub allows by itself became `@github-actions`, which has more in it, such as api.github.com and ghcr.io: `runward policy show` lists it",
            );
        }
        let (name, new_mode) = match mode {
            Some((key, value)) => (Some(key), self.mode(key, value)?),
            None => (None, "block"),
        };
        match allow {
            Some((key, value)) => self.allow(key, value, with_defaults)?,
            None => self.add_list(name, with_defaults),
        }
        if name.is_none() {
            self.remarks.lost(
                1,
                "without a `mode` it is not known what was meant; `block` now",
            );
            self.insert_first("egress-policy: block");
        }
        self.remarks.note(
            1,
            "GitHub's firewall holds for jobs on its own runners; `.runward.yml` holds for every job that Runward watches once the repository is checked out, and what a step's own list allows must be allowed here, too",
        );
        Ok(new_mode)
    }

    fn entry(&self, key: PartId, value: PartId, leaves: bool) -> Result<Entry, Refusal> {
        match self.layout.pair(key, value) {
            Some(at) => Ok(Entry { at, leaves }),
            None => self.refuse(key, RefusalReason::Firewall),
        }
    }

    fn remove(&mut self, entries: &[Entry]) -> Result<(), Refusal> {
        if self.in_flow {
            self.layout.remove_flow(entries, &mut self.edits);
            return Ok(());
        }
        for entry in entries.iter().filter(|entry| entry.leaves) {
            if self
                .layout
                .remove_lines(&entry.at, &mut self.edits)
                .is_none()
            {
                return self.refuse(self.root, RefusalReason::NotTheSame);
            }
        }
        Ok(())
    }

    fn no_defaults(&mut self, key: PartId, value: PartId) -> bool {
        let word = Value::of(self.layout.documents, value).map_or("", Value::word);
        truth(word).unwrap_or_else(|| {
            let why = format!("`no-default-urls`: `{}` is neither `true` nor `false`; GitHub's own hosts are left out", visible(word));
            self.remarks.lost(self.layout.line(key), why);
            true
        })
    }

    fn mode(&mut self, key: PartId, value: PartId) -> Result<&'static str, Refusal> {
        let value = Value::of(self.layout.documents, value);
        let word = value.map_or("", Value::word);
        let mode = match word {
            "enforce" => "block",
            "log" => "audit",
            other => {
                let why = format!(
                    "`mode`: `{}` is neither `log` nor `enforce`; `block` now",
                    visible(other)
                );
                self.remarks.lost(self.layout.line(key), why);
                "block"
            }
        };
        self.rename(key, "egress-policy")?;
        let done = value.and_then(|value| {
            if value.is_missing() {
                let end = self.layout.after_colon(self.layout.part(key).opening.end);
                self.edits.insert(end, format!(" {mode}"));
                return Some(());
            }
            value.replace(self.layout.text(), mode, true, &mut self.edits)
        });
        match done {
            Some(()) => Ok(mode),
            None => self.refuse(key, RefusalReason::Firewall),
        }
    }

    fn rename(&mut self, key: PartId, name: &str) -> Result<(), Refusal> {
        let literal =
            Value::of(self.layout.documents, key).and_then(|key| key.literal(self.layout.text()));
        let Some(range) = literal else {
            return self.refuse(key, RefusalReason::NotTheSame);
        };
        self.edits.replace(range, name);
        Ok(())
    }

    fn allow(&mut self, key: PartId, value: PartId, with_defaults: bool) -> Result<(), Refusal> {
        self.rename(key, "allowed-endpoints")?;
        let part = self.layout.part(value);
        let (hosts, in_flow) = match &part.value {
            PartValue::List { entries, is_flow } => (entries.as_slice(), *is_flow),
            PartValue::Scalar(scalar) if scalar.is_null() && scalar.raw.is_empty() => {
                let end = self.layout.after_colon(self.layout.part(key).opening.end);
                let list = if with_defaults { DEFAULTS } else { "" };
                self.edits.insert(end, format!(" [{list}]"));
                return Ok(());
            }
            _ => return self.refuse(value, RefusalReason::Firewall),
        };
        let mut entries = Vec::new();
        for host in hosts {
            let Some(host) = Value::of(self.layout.documents, *host) else {
                return self.refuse(*host, RefusalReason::Firewall);
            };
            let leaves = self.host(host, in_flow).is_none();
            let at = host.written_range();
            let at = at.start..host.end(self.layout.text()).unwrap_or(at.end);
            entries.push(Entry { at, leaves });
        }
        let none_stays = entries.iter().all(|entry| entry.leaves);
        if in_flow {
            self.layout.remove_flow(&entries, &mut self.edits);
            if with_defaults {
                let open = part.opening.end;
                self.layout
                    .insert_flow(open, DEFAULTS, none_stays, &mut self.edits);
            }
            return Ok(());
        }
        for entry in entries.iter().filter(|entry| entry.leaves) {
            if self
                .layout
                .remove_lines(&entry.at, &mut self.edits)
                .is_none()
            {
                return self.refuse(value, RefusalReason::NotTheSame);
            }
        }
        if with_defaults {
            let first = hosts
                .first()
                .map_or(0, |host| self.layout.part(*host).opening.start);
            let before = self.layout.before(first);
            let indent = before.len() - before.trim_start_matches(' ').len();
            let new = format!("{}- {DEFAULTS}", " ".repeat(indent));
            self.layout.insert_before(first, &new, &mut self.edits);
        } else if none_stays {
            let end = self.layout.after_colon(self.layout.part(key).opening.end);
            self.edits.insert(end, " []");
        }
        Ok(())
    }

    /// One host, as an endpoint. Nothing when it can't be carried over.
    fn host(&mut self, value: Value<'_>, in_flow: bool) -> Option<()> {
        let word = value.word();
        let line = value.part.at.line;
        let read = Endpoint::parse(word, Action::Allow);
        let why = match read.map(|endpoint| endpoint.host) {
            Ok(Host::Name(_) | Host::Net(_)) => {
                let new = with_ports(word);
                if let Ok(endpoint) = Endpoint::parse(&new, Action::Allow) {
                    self.endpoints.insert(endpoint);
                    return value.replace(self.layout.text(), &new, in_flow, &mut self.edits);
                }
                "not a host; left out".to_owned()
            }
            Ok(Host::Pattern(_) | Host::Any) => {
                "GitHub's firewall does not say what a pattern means to it; left out".to_owned()
            }
            Err(problem) => format!("{}; left out", problem.what),
        };
        self.remarks
            .lost(line, format!("`{}`: {why}", visible(word)));
        None
    }

    /// A list where the file has none.
    fn add_list(&mut self, mode: Option<PartId>, with_defaults: bool) {
        let list = if with_defaults { DEFAULTS } else { "" };
        let new = format!("allowed-endpoints: [{list}]");
        match mode {
            Some(mode) if !self.in_flow => {
                let at = self.layout.part(mode).opening.end;
                self.layout.insert_behind(at, &[new], &mut self.edits);
            }
            _ => self.insert_first(&new),
        }
    }

    fn insert_first(&mut self, new: &str) {
        let root = self.layout.part(self.root).opening.clone();
        if self.in_flow {
            let is_empty = pairs(self.layout.documents, self.root).is_empty();
            self.layout
                .insert_flow(root.end, new, is_empty, &mut self.edits);
        } else {
            let indent = self.layout.before(root.start);
            let new = format!("{indent}{new}{}", self.layout.lines.ending());
            self.edits.insert(self.layout.lines.start(root.start), new);
        }
    }
}

fn with_ports(word: &str) -> String {
    let is_v6 = word.matches(':').nth(1).is_some();
    if is_v6 && !word.starts_with('[') {
        return format!("[{word}]{WEB}");
    }
    if word.contains(':') && !word.ends_with(']') {
        return word.to_owned();
    }
    format!("{word}{WEB}")
}
