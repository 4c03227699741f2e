//! The file: YAML to rules, and every error with its place in the file.

use runward_detect::{Confidence, RuleAbout, Severity};
use runward_yaml::{Limits, Node, Scalar, Stretch, Value, YamlFault};

use crate::check::{Purpose, check, nearest};
use crate::error::{Fault, RuleError, harmless};
use crate::expression::Expression;
use crate::limits;
use crate::message::Message;
use crate::rule::{Once, Rule};
use crate::shape::Shape;
use crate::slots::Slots;
use crate::vocabulary::Vocabulary;

/// A file has five levels: file, list, rule, values; and a dozen values for each rule.
const YAML: Limits = Limits {
    depth: 6,
    nodes: 32 * limits::RULES,
};

const FILE_KEYS: [&str; 1] = ["rules"];
const RULE_KEYS: [&str; 9] = [
    "id",
    "title",
    "severity",
    "confidence",
    "on",
    "when",
    "message",
    "once",
    "next",
];

/// What `--fail-on` understands beside names.
const TAKEN: [&str; 6] = ["any", "info", "low", "medium", "high", "none"];

/// Reads a file. All that is wrong with it is told, in the order of the file.
pub(crate) fn read(text: &str) -> Result<(Vec<Rule>, Slots), Vec<RuleError>> {
    let mut reader = Reader {
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
        vocabulary: Vocabulary::get(),
        slots: Slots::default(),
        rules: Vec::new(),
        errors: Vec::new(),
    };
    reader.file();
    if reader.errors.is_empty() {
        return Ok((reader.rules, reader.slots));
    }
    let mut errors = reader.errors;
    errors.sort_unstable();
    errors.dedup();
    let more = errors.len().saturating_sub(limits::ERRORS);
    errors.truncate(limits::ERRORS);
    if let (1.., Some(last)) = (more, errors.last()) {
        errors.push(RuleError {
            line: last.line,
            column: last.column,
            message: format!("and {more} more errors"),
        });
    }
    Err(errors)
}

struct Reader<'t> {
    text: &'t str,
    vocabulary: &'static Vocabulary,
    slots: Slots,
    rules: Vec<Rule>,
    errors: Vec<RuleError>,
}

impl Reader<'_> {
    fn file(&mut self) {
        let start = Stretch {
            line: 1,
            column: 1,
            length: 1,
        };
        if self.text.len() > limits::FILE_BYTES {
            return self.error(
                start,
                format!("a file of rules has at most {} bytes", limits::FILE_BYTES),
            );
        }
        let root = match runward_yaml::read(self.text, YAML) {
            Ok(root) => root,
            Err(error) => {
                let message = match error.fault {
                    YamlFault::Syntax(words) => format!(
                        "this is no YAML: {}; an expression with `: `, `#`, quotes or braces stands best behind `when: |`",
                        harmless(&words)
                    ),
                    YamlFault::Feature(feature) => {
                        format!("{feature} is not read here: write it out")
                    }
                    YamlFault::TooDeep => "this is nested too deep for a rule".to_owned(),
                    YamlFault::TooLarge => too_many(),
                };
                return self.error(error.at, message);
            }
        };
        let pairs = match root.as_ref().map(|root| &root.value) {
            Some(Value::Map(pairs)) => pairs,
            _ => return self.error(start, "a file of rules begins with `rules:`"),
        };
        let mut list = None;
        for (key, value) in self.entries(pairs, &FILE_KEYS) {
            if key == "rules" {
                list = Some(value);
            }
        }
        match list.map(|list| (&list.value, list.at)) {
            Some((Value::List(rules), at)) => {
                if rules.len() > limits::RULES {
                    self.error(at, too_many());
                }
                for rule in rules.iter().take(limits::RULES) {
                    self.rule(rule);
                }
            }
            Some((_, at)) => self.error(at, "`rules` is a list: begin each rule with `- id:`"),
            None if self.errors.is_empty() => self.error(start, "`rules` is missing"),
            None => {}
        }
    }

    fn rule(&mut self, node: &Node) {
        let Value::Map(pairs) = &node.value else {
            return self.error(
                node.at,
                "a rule is a map: `id`, `title`, `severity`, `on` and `when`",
            );
        };
        let before = self.errors.len();
        let fields = self.entries(pairs, &RULE_KEYS);
        let get = |name: &str| {
            let field = fields.iter().find(|(key, _)| *key == name);
            field.map(|(_, value)| *value)
        };
        for name in ["id", "title", "severity", "on", "when"] {
            if get(name).is_none() {
                self.error(node.at, format!("this rule has no `{name}`"));
            }
        }
        let id = get("id").and_then(|node| self.id(node));
        let title = get("title").and_then(|node| self.sentence(node));
        let next = get("next").and_then(|node| self.sentence(node));
        let severity = get("severity").and_then(|node| {
            self.word(
                node,
                &[
                    ("info", Severity::Info),
                    ("low", Severity::Low),
                    ("medium", Severity::Medium),
                    ("high", Severity::High),
                ],
            )
        });
        let confidence = get("confidence").and_then(|node| {
            self.word(
                node,
                &[
                    ("low", Confidence::Low),
                    ("medium", Confidence::Medium),
                    ("high", Confidence::High),
                ],
            )
        });
        let kinds = get("on").map_or_else(Vec::new, |node| self.kinds(node));
        let once = get("once").and_then(|node| {
            let once = self.word(node, &Once::WORDS)?;
            match once.lacks(&kinds) {
                Some(kind) => {
                    let message = format!(
                        "an event of kind `{kind}` has none, so this would tell once a job"
                    );
                    self.error(node.at, message);
                    None
                }
                None => Some(once),
            }
        });
        if kinds.is_empty() {
            // What the event has is not known, so its expressions can't be checked.
            return;
        }
        let event = self.vocabulary.event(&kinds);
        let when = get("when").and_then(|node| self.condition(node, &event));
        let message = get("message").map(|node| self.message(node, &event));
        let (Some(id), Some(title), Some(severity), Some(when)) = (id, title, severity, when)
        else {
            return;
        };
        if self.errors.len() > before {
            return;
        }
        let rule = Rule::new(
            RuleAbout {
                id,
                title,
                severity,
                confidence: confidence.unwrap_or_default(),
                next: next.unwrap_or_default(),
            },
            kinds,
            when,
            message.flatten(),
            once.unwrap_or_default(),
        );
        if let Err(message) = rule.try_out(&self.slots) {
            let at = get("when").map_or(node.at, |node| node.at);
            return self.error(at, message);
        }
        self.rules.push(rule);
    }

    /// The entries of a map whose keys are known and not there twice.
    fn entries<'n>(
        &mut self,
        pairs: &'n [(Node, Node)],
        known: &[&str],
    ) -> Vec<(&'n str, &'n Node)> {
        let mut entries: Vec<(&str, &Node)> = Vec::new();
        for (key, value) in pairs {
            let Value::Scalar(scalar) = &key.value else {
                self.error(key.at, "a key is a word");
                continue;
            };
            let name = scalar.text.as_str();
            if entries.iter().any(|(before, _)| *before == name) {
                self.error(key.at, format!("`{}` stands here twice", harmless(name)));
            } else if known.contains(&name) {
                entries.push((name, value));
            } else {
                let message = match nearest(name, known.iter().copied()) {
                    Some(meant) => {
                        format!("there is no `{}`; did you mean `{meant}`?", harmless(name))
                    }
                    None => format!(
                        "there is no `{}`; there are: {}",
                        harmless(name),
                        known.join(", ")
                    ),
                };
                self.error(key.at, message);
            }
        }
        entries
    }

    fn id(&mut self, node: &Node) -> Option<String> {
        let id = self.scalar(node)?.text.clone();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_kebab = id.chars().all(plain)
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-')
            && !id.contains("--")
            && id.len() <= limits::ID_CHARS;
        let wrong = if !is_kebab {
            Some(format!(
                "an id is at most {} small letters, digits and single dashes, like `registry-outside-release`",
                limits::ID_CHARS
            ))
        } else if runward_detect::about(&id).is_some() {
            Some(format!(
                "`{id}` is a detection of Runward: call this one something else"
            ))
        } else if TAKEN.contains(&id.as_str()) {
            Some(format!(
                "`{id}` means a severity: call the rule something else"
            ))
        } else if self.rules.iter().any(|rule| rule.about.id == id) {
            Some(format!("another rule is called `{id}`"))
        } else {
            None
        };
        match wrong {
            Some(message) => {
                self.error(node.at, message);
                None
            }
            None => Some(id),
        }
    }

    fn sentence(&mut self, node: &Node) -> Option<String> {
        let text = self.scalar(node)?.text.trim().to_owned();
        let text = text.split_whitespace().collect::<Vec<&str>>().join(" ");
        if text.is_empty() || text.len() > limits::TEXT_BYTES {
            let message = format!(
                "a sentence of at most {} bytes stands here",
                limits::TEXT_BYTES
            );
            self.error(node.at, message);
            return None;
        }
        if text.chars().any(char::is_control) {
            self.error(node.at, "control characters can't stand in a report");
            return None;
        }
        Some(text)
    }

    fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = self.scalar(node)?.text.clone();
        let known = words.iter().find(|(word, _)| *word == text);
        if known.is_none() {
            let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let message = format!("this is one of {}", all.join(", "));
            self.error(node.at, message);
        }
        known.map(|(_, meaning)| *meaning)
    }

    fn kinds(&mut self, node: &Node) -> Vec<String> {
        let nodes = match &node.value {
            Value::Scalar(_) => std::slice::from_ref(node),
            Value::List(nodes) if !nodes.is_empty() => nodes.as_slice(),
            _ => {
                self.error(node.at, "`on` is a kind of event, or a list of kinds");
                return Vec::new();
            }
        };
        let mut kinds: Vec<String> = Vec::new();
        let mut wrong = false;
        for node in nodes {
            let Some(kind) = self.scalar(node).map(|scalar| scalar.text.clone()) else {
                wrong = true;
                continue;
            };
            if self.vocabulary.kinds().any(|known| known == kind) {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
                continue;
            }
            wrong = true;
            let message = match nearest(&kind, self.vocabulary.kinds()) {
                Some(meant) => format!(
                    "there is no kind of event `{}`; did you mean `{meant}`?",
                    harmless(&kind)
                ),
                None => {
                    let all: Vec<&str> = self.vocabulary.kinds().collect();
                    format!(
                        "there is no kind of event `{}`; there are: {}",
                        harmless(&kind),
                        all.join(", ")
                    )
                }
            };
            self.error(node.at, message);
        }
        if wrong { Vec::new() } else { kinds }
    }

    fn condition(&mut self, node: &Node, event: &Shape) -> Option<Expression> {
        let text = self.scalar(node)?.text.clone();
        let checked = check(
            &text,
            Purpose::Condition,
            self.vocabulary,
            event,
            &mut self.slots,
        );
        self.placed(node, checked)
    }

    fn message(&mut self, node: &Node, event: &Shape) -> Option<Message> {
        let text = self.scalar(node)?.text.trim_end().to_owned();
        if text.chars().any(|c| c.is_control() && c != '\n') {
            self.error(node.at, "control characters can't stand in a message");
            return None;
        }
        let text = text.replace('\n', " ");
        let read = Message::read(&text, self.vocabulary, event, &mut self.slots);
        self.placed(node, read)
    }

    fn placed<T>(&mut self, node: &Node, checked: Result<T, Vec<Fault>>) -> Option<T> {
        match checked {
            Ok(checked) => Some(checked),
            Err(faults) => {
                for fault in faults {
                    let at = self.place(node, fault.at);
                    self.error(at, fault.message);
                }
                None
            }
        }
    }

    /// Where byte `at` of a text stands in the file. YAML changes only white space, quotes and escapes, so the characters
    /// of the text are found in the same order.
    fn place(&self, node: &Node, at: usize) -> Stretch {
        let Value::Scalar(Scalar { text, raw, .. }) = &node.value else {
            return node.at;
        };
        let written = self.text.get(raw.clone()).unwrap_or_default();
        let mut characters = written.char_indices();
        let mut found = 0;
        for (place, c) in text.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            let Some((here, _)) = characters.by_ref().find(|(_, other)| *other == c) else {
                break;
            };
            found = here;
            if place >= at {
                break;
            }
        }
        let byte = raw.start.saturating_add(found);
        let before = self.text.get(..byte).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        Stretch {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            length: 1,
        }
    }

    fn scalar<'n>(&mut self, node: &'n Node) -> Option<&'n Scalar> {
        match &node.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => {
                self.error(node.at, "a text stands here");
                None
            }
        }
    }

    fn error(&mut self, at: Stretch, message: impl Into<String>) {
        let message: String = message.into();
        self.errors.push(RuleError {
            line: at.line,
            column: at.column,
            message: message.chars().filter(|c| !c.is_control()).collect(),
        });
    }
}

fn too_many() -> String {
    format!("a file has at most {} rules: give away some", limits::RULES)
}
