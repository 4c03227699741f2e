//! The YAML form of a policy.

use std::sync::Arc;

use crate::endpoint::{Action, Endpoint};
use crate::error::{Errors, PolicyError, PolicyWarning, Script, Stretch};
use crate::fault::Fault;
use crate::limits;
use crate::list::ListReader;
use crate::narrowing::Narrowing;
use crate::origin::{Origin, Source};
use crate::policy::{SourcePolicy, mode_fault, parse_mode};
use crate::rule::Rule;
use crate::text::nearest;
use crate::token::{Piece, tokens};
use crate::yaml::{self, Node, Scalar, Value};

/// The keys of a policy.
const KEYS: [&str; 3] = ["egress-policy", "allowed-endpoints", "denied-endpoints"];

/// The keys of an endpoint that is written as a map.
const ENTRY_KEYS: [&str; 5] = ["endpoint", "steps", "executables", "images", "reason"];

/// Names that are options elsewhere, and that people who move over may write here.
const OPTIONS: [&str; 7] = [
    "disable-sudo",
    "disable-sudo-and-containers",
    "disable-file-monitoring",
    "disable-telemetry",
    "policy",
    "use-policy-store",
    "api-key",
];

/// Reads a policy file.
///
/// # Errors
///
/// All that is wrong, in the order of the file. A file with an error gives no policy at all.
pub fn parse_file(text: &str, source: Source) -> Result<SourcePolicy, Vec<PolicyError>> {
    let source = Arc::new(source);
    let script = Script {
        source: Arc::clone(&source),
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
    };
    let mut file = FileReader {
        script: &script,
        errors: Errors::default(),
        policy: SourcePolicy {
            source,
            mode: None,
            allowed: None,
            denied: Vec::new(),
            warnings: Vec::new(),
        },
    };
    if text.len() > limits::TEXT_BYTES {
        let start = Stretch {
            line: 1,
            column: 1,
            length: 1,
        };
        return Err(vec![script.error(start, "", Fault::TooLong)]);
    }
    if let Some(root) = yaml::read(&script)? {
        file.root(&root);
    }
    if file.errors.is_empty() {
        return Ok(file.policy);
    }
    let mut errors = file.errors.into_vec();
    // Stable, so that what counts the rest stays behind the error that it shares its place with.
    errors.sort_by_key(|error| (error.place.line, error.place.column));
    Err(errors)
}

struct FileReader<'s> {
    script: &'s Script<'s>,
    errors: Errors,
    policy: SourcePolicy,
}

impl FileReader<'_> {
    fn root(&mut self, root: &Node) {
        let pairs = match &root.value {
            Value::Map(pairs) => pairs,
            Value::Scalar(scalar) if scalar.is_null() => return,
            _ => {
                return self.fault(
                    root,
                    Fault::Expected(
                        "a map with `egress-policy`, `allowed-endpoints` and `denied-endpoints`",
                    ),
                );
            }
        };
        for (place, (key, value)) in pairs.iter().enumerate() {
            let Some(name) = self.key(key, pairs.get(..place).unwrap_or_default()) else {
                continue;
            };
            match name {
                "egress-policy" => self.mode(value),
                "allowed-endpoints" => {
                    let rules = self.endpoints(value, Action::Allow);
                    self.policy.allowed = Some(rules);
                }
                "denied-endpoints" => self.policy.denied = self.endpoints(value, Action::Deny),
                _ => self.unknown_key(
                    key,
                    name,
                    &KEYS,
                    "`egress-policy`, `allowed-endpoints` and `denied-endpoints`",
                ),
            }
        }
    }

    /// The text of a key, if it is one and not there before.
    fn key<'n>(&mut self, key: &'n Node, before: &[(Node, Node)]) -> Option<&'n str> {
        let Value::Scalar(scalar) = &key.value else {
            self.fault(key, Fault::Expected("a word as key"));
            return None;
        };
        let name = scalar.text.as_str();
        if name == "<<" {
            self.fault(key, Fault::YamlFeature("a merge key"));
            return None;
        }
        let again = before.iter().any(
            |(earlier, _)| matches!(&earlier.value, Value::Scalar(known) if known.text == name),
        );
        if again {
            self.fault(key, Fault::DuplicateKey);
            return None;
        }
        Some(name)
    }

    fn unknown_key(&mut self, key: &Node, name: &str, known: &[&str], all: &'static str) {
        let spelled = name.replace('_', "-");
        let fault = if OPTIONS.contains(&spelled.as_str()) {
            Fault::OptionInPolicy
        } else {
            Fault::UnknownKey(all)
        };
        let mut error = self.script.error(key.at, name, fault);
        error.suggestion = nearest(&spelled, known.iter().copied()).map(str::to_owned);
        self.errors.push(error);
    }

    fn mode(&mut self, value: &Node) {
        let Value::Scalar(scalar) = &value.value else {
            return self.fault(value, Fault::Expected("`audit` or `block`"));
        };
        match parse_mode(&scalar.text) {
            Ok(mode) => self.policy.mode = Some((mode, self.origin(value, &scalar.text))),
            Err(suggestion) => {
                let fault = mode_fault(&scalar.text);
                let mut error = self.script.error(value.at, &scalar.text, fault);
                error.suggestion = suggestion;
                self.errors.push(error);
            }
        }
    }

    fn origin(&self, node: &Node, text: &str) -> Origin {
        Origin {
            source: Arc::clone(&self.script.source),
            line: node.at.line,
            column: node.at.column,
            text: text.to_owned(),
            group: None,
        }
    }

    fn endpoints(&mut self, value: &Node, action: Action) -> Vec<Rule> {
        let mut list = ListReader::new(self.script, action);
        match &value.value {
            Value::Scalar(scalar) if scalar.is_null() => self.fault(
                value,
                Fault::Expected("a list of endpoints (`[]` for none at all)"),
            ),
            Value::Scalar(scalar) => read_scalar(&mut list, self.script, value, scalar),
            Value::List(entries) => {
                for entry in entries {
                    self.entry(entry, &mut list);
                }
            }
            Value::Map(_) => self.fault(value, Fault::Expected("a list of endpoints")),
        }
        match list.finish() {
            Ok(endpoints) => {
                self.warn(endpoints.warnings);
                endpoints.rules
            }
            Err(errors) => {
                for error in errors {
                    self.errors.push(error);
                }
                Vec::new()
            }
        }
    }

    fn warn(&mut self, warnings: Vec<PolicyWarning>) {
        self.policy.warnings.extend(warnings);
    }

    fn entry(&mut self, entry: &Node, list: &mut ListReader<'_>) {
        match &entry.value {
            Value::Scalar(scalar) if scalar.is_null() => {
                self.fault(entry, Fault::Expected("an endpoint"));
            }
            Value::Scalar(scalar) => read_scalar(list, self.script, entry, scalar),
            Value::Map(pairs) => self.narrowed(entry, pairs, list),
            Value::List(_) => self.fault(entry, Fault::Expected("an endpoint, or a map with one")),
        }
    }

    fn narrowed(&mut self, entry: &Node, pairs: &[(Node, Node)], list: &mut ListReader<'_>) {
        if let [pair] = pairs
            && let Some(meant) = torn_apart(pair)
        {
            let mut error = self.script.error(entry.at, &meant, Fault::SpaceInEndpoint);
            error.suggestion = Some(meant);
            return self.errors.push(error);
        }
        let mut endpoint = None;
        let mut narrowing = Narrowing::default();
        let mut reason = None;
        for (place, (key, value)) in pairs.iter().enumerate() {
            let Some(name) = self.key(key, pairs.get(..place).unwrap_or_default()) else {
                continue;
            };
            match name {
                "endpoint" => endpoint = Some(value),
                "steps" => narrowing.steps = self.values(value),
                "executables" => narrowing.executables = self.values(value),
                "images" => narrowing.images = self.values(value),
                "reason" => reason = self.text(value),
                _ => self.unknown_key(
                    key,
                    name,
                    &ENTRY_KEYS,
                    "`endpoint`, `steps`, `executables`, `images` and `reason` for one endpoint",
                ),
            }
        }
        let Some(endpoint) = endpoint else {
            return self.fault(entry, Fault::MissingEndpoint);
        };
        let Value::Scalar(scalar) = &endpoint.value else {
            return self.fault(endpoint, Fault::Expected("one endpoint"));
        };
        let (text, lines) = yaml::list(scalar, self.script, endpoint.at);
        let mut pieces = tokens(text, lines).into_iter();
        match (pieces.next(), pieces.next()) {
            (Some(Piece::Token(token)), None) => {
                list.token(&token, &narrowing, reason.as_deref());
            }
            _ => self.fault(endpoint, Fault::OneEndpoint),
        }
    }

    /// The values of one kind of narrowing. An empty list would mean any, which nobody writes on purpose.
    fn values(&mut self, value: &Node) -> Vec<String> {
        match &value.value {
            Value::Scalar(_) => self.text(value).into_iter().collect(),
            Value::List(nodes) if nodes.is_empty() => {
                self.fault(value, Fault::Expected("at least one value"));
                Vec::new()
            }
            Value::List(nodes) if nodes.len() > limits::NARROWING_VALUES => {
                self.fault(value, Fault::TooManyValues);
                Vec::new()
            }
            Value::List(nodes) => {
                let mut values: Vec<String> =
                    nodes.iter().filter_map(|node| self.text(node)).collect();
                values.sort_unstable();
                values.dedup();
                values
            }
            Value::Map(_) => {
                self.fault(value, Fault::Expected("a text, or a list of texts"));
                Vec::new()
            }
        }
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        let Value::Scalar(scalar) = &node.value else {
            self.fault(node, Fault::Expected("a text"));
            return None;
        };
        let text = scalar.text.trim();
        let fits = !text.is_empty()
            && text.len() <= limits::VALUE_BYTES
            && !text.chars().any(char::is_control);
        if !fits {
            self.fault(node, Fault::Value);
            return None;
        }
        Some(text.to_owned())
    }

    fn fault(&mut self, node: &Node, fault: Fault) {
        let text = match &node.value {
            Value::Scalar(scalar) => scalar.text.trim(),
            Value::List(_) | Value::Map(_) => "",
        };
        self.errors.push(self.script.error(node.at, text, fault));
    }
}

/// The endpoint that a map of one pair was meant to be: `host: 443`.
fn torn_apart((key, value): &(Node, Node)) -> Option<String> {
    let (Value::Scalar(host), Value::Scalar(port)) = (&key.value, &value.value) else {
        return None;
    };
    let port_like = port
        .text
        .starts_with(|c: char| c.is_ascii_digit() || c == '*');
    let meant = format!("{}:{}", host.text, port.text);
    (port_like && Endpoint::parse(&meant, Action::Allow).is_ok()).then_some(meant)
}

fn read_scalar(list: &mut ListReader<'_>, script: &Script<'_>, node: &Node, scalar: &Scalar) {
    let (text, lines) = yaml::list(scalar, script, node.at);
    list.read(text, lines);
}
