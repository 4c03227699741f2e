//! One step: which bytes of it change, and what it should mean then.

use std::collections::{BTreeSet, HashMap};

use runward_policy::{Action as Verb, Endpoint};
use runward_yaml::{PartId, PartValue, Style};

use crate::action::{Action, is_commit};
use crate::check::{Expected, Inputs, Plan};
use crate::edit::Edits;
use crate::error::{Refusal, RefusalReason};
use crate::input::{check_list, check_mode, expression, truth};
use crate::layout::{Entry, Layout};
use crate::list::{Dialect, Word, carry};
use crate::remark::{Remarks, Weight, visible};
use crate::scalar::{self, Value, written};
use crate::steps::{Step, pairs, text};
use crate::tool::{Tool, Treatment};

const MODE: &str = "egress-policy";
const ALLOWED: &str = "allowed-endpoints";
const NO_SUDO: &str = "disable-sudo";

/// Plans the changes of a file's steps.
pub(crate) struct Planner<'d> {
    pub(crate) layout: Layout<'d>,
    pub(crate) action: &'d Action,
    pub(crate) edits: Edits,
    pub(crate) plan: Plan,
    pub(crate) remarks: Remarks,
    /// Inputs that are planned: several steps may share them by an alias.
    inputs: HashMap<PartId, (&'static Tool, Inputs)>,
}

/// One input of a step.
struct Input<'d> {
    key: PartId,
    value: PartId,
    name: &'d str,
    line: u32,
    in_flow: bool,
    treatment: Option<Treatment>,
}

/// A list of hosts of a step, and what becomes of its words.
struct List<'d> {
    input: &'d Input<'d>,
    value: Value<'d>,
    words: Vec<Word>,
    /// Where its characters begin, when they can be changed one by one.
    start: Option<usize>,
}

impl<'d> Planner<'d> {
    pub(crate) fn new(layout: Layout<'d>, action: &'d Action, remarks: Remarks) -> Planner<'d> {
        Planner {
            layout,
            action,
            edits: Edits::default(),
            plan: Plan {
                action: action.as_str().to_owned(),
                steps: HashMap::new(),
            },
            remarks,
            inputs: HashMap::new(),
        }
    }

    fn refuse<T>(&self, id: PartId, reason: RefusalReason) -> Result<T, Refusal> {
        Err(Refusal::at(self.layout.documents, id, reason))
    }

    fn or_refuse<T>(&self, id: PartId, found: Option<T>) -> Result<T, Refusal> {
        match found {
            Some(found) => Ok(found),
            None => self.refuse(id, RefusalReason::NotTheSame),
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Result<(), Refusal> {
        let documents = self.layout.documents;
        let find = |wanted: &str| {
            let mut found = pairs(documents, step.map)
                .iter()
                .filter(|(key, _)| text(documents, *key) == Some(wanted));
            let first = found.next().copied();
            match found.next() {
                Some((again, _)) => self.refuse(*again, RefusalReason::Twice),
                None => Ok(first),
            }
        };
        let (uses, with) = (find("uses")?, find("with")?);
        let Some(uses) = uses else {
            return self.refuse(step.map, RefusalReason::Form);
        };
        self.uses(uses.1)?;
        let inputs = match with {
            None => self.add_inputs(step, uses)?,
            Some((key, with)) => match self.layout.part(documents.meant(with)).value {
                PartValue::Map { .. } => self.inputs(step.tool, documents.meant(with))?,
                _ => self.fill_inputs(step, key, with)?,
            },
        };
        let mode = inputs
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(MODE));
        let audits = match mode.map(|(_, expected)| expected) {
            Some(Expected::Text(mode)) => mode == "audit",
            Some(Expected::Same(id)) => text(documents, *id).map(str::trim) == Some("audit"),
            _ => false,
        };
        if !audits {
            let line = self.layout.line(step.map);
            self.remarks.note_once(line, step.tool.without_a_line);
        }
        self.plan.steps.insert(step.map, Some(inputs));
        Ok(())
    }

    /// The action, and the comment behind it that tells the version of the other one.
    fn uses(&mut self, uses: PartId) -> Result<(), Refusal> {
        let layout = self.layout;
        // Several steps may share it by an alias.
        let uses = layout.documents.meant(uses);
        let Some(value) = Value::of(layout.documents, uses) else {
            return self.refuse(uses, RefusalReason::Form);
        };
        let old = value.word();
        let at = old.split_once('@').map_or("", |(_, at)| at);
        if is_commit(at) && !self.action.is_pinned() {
            self.remarks.note_once(
                value.part.at.line,
                "the other tool's action was pinned to a commit: `--action OWNER/REPOSITORY@COMMIT` pins this one, too",
            );
        }
        let literal = value.literal(layout.text());
        let found = literal.and_then(|range| {
            let start = range.start + layout.lines.slice(range).find(old)?;
            Some(start..start + old.len())
        });
        match found {
            Some(range) => self.edits.replace(range, self.action.as_str()),
            None => {
                let new = value.replace(layout.text(), self.action.as_str(), true, &mut self.edits);
                self.or_refuse(uses, new)?;
            }
        }
        if value.scalar.style != Style::Block {
            self.version_comment(value);
        }
        Ok(())
    }

    fn version_comment(&mut self, value: Value<'_>) {
        let lines = self.layout.lines;
        let end = value.written_range().end;
        let rest = lines.slice(end..lines.end(end));
        let Some(comment) = rest.trim_start().strip_prefix('#') else {
            return;
        };
        if is_version(comment.trim()) {
            self.edits.remove(end..end + rest.len());
        } else if comment.split_whitespace().any(is_version) {
            self.remarks.note(
                value.part.at.line,
                format!(
                    "the comment `{}` speaks of the other tool's version",
                    visible(comment.trim())
                ),
            );
        }
    }

    /// Inputs for a step that has none.
    fn add_inputs(&mut self, step: &Step, uses: (PartId, PartId)) -> Result<Inputs, Refusal> {
        let layout = self.layout;
        let mode = step.tool.default_mode;
        let value = Value::of(layout.documents, uses.1);
        let end = self.or_refuse(uses.1, value.and_then(|value| value.end(layout.text())))?;
        if is_flow(layout, step.map) {
            let new = format!(", with: {{ {MODE}: {mode} }}");
            self.edits.insert(end, new);
        } else {
            let indent = indent(layout, uses.0);
            let new = [
                format!("{indent}with:"),
                format!("{indent}  {MODE}: {mode}"),
            ];
            layout.insert_behind(end, &new, &mut self.edits);
        }
        Ok(default_inputs(mode))
    }

    /// Inputs for a step whose `with` has nothing behind it.
    fn fill_inputs(&mut self, step: &Step, key: PartId, with: PartId) -> Result<Inputs, Refusal> {
        let layout = self.layout;
        let value = Value::of(layout.documents, with).filter(|value| value.is_missing());
        if value.is_none() {
            return self.refuse(with, RefusalReason::Form);
        }
        let mode = step.tool.default_mode;
        let end = layout.after_colon(layout.part(key).opening.end);
        if is_flow(layout, step.map) {
            self.edits.insert(end, format!(" {{ {MODE}: {mode} }}"));
        } else {
            let new = [format!("{}  {MODE}: {mode}", indent(layout, key))];
            layout.insert_behind(end, &new, &mut self.edits);
        }
        Ok(default_inputs(mode))
    }

    fn inputs(&mut self, tool: &'static Tool, map: PartId) -> Result<Inputs, Refusal> {
        if let Some((of, inputs)) = self.inputs.get(&map) {
            if *of != tool {
                return self.refuse(map, RefusalReason::NotTheSame);
            }
            return Ok(inputs.clone());
        }
        let read = self.read_inputs(tool, map)?;
        let mut planned = Inputs::new();
        let mut entries = self.entries(&read)?;
        let mut has_mode = false;
        self.denied_alone(&read);
        for (input, entry) in read.iter().zip(&mut entries) {
            let decides = matches!(
                input.treatment,
                Some(Treatment::Mode | Treatment::Prevent | Treatment::Store(_))
            );
            has_mode |= decides;
            if let Some(kept) = self.input(tool, input)? {
                planned.push(kept);
            } else if !matches!(input.treatment, Some(Treatment::List(_))) {
                entry.leaves = true;
            }
        }
        self.lists(&read, &mut entries, &mut planned)?;
        let in_flow = is_flow(self.layout, map);
        if in_flow {
            self.layout.remove_flow(&entries, &mut self.edits);
        } else {
            for (input, entry) in read.iter().zip(&entries).filter(|(_, entry)| entry.leaves) {
                let gone = self.layout.remove_lines(&entry.at, &mut self.edits);
                self.or_refuse(input.key, gone)?;
            }
        }
        if !has_mode {
            self.insert_mode(tool, map, &read, in_flow)?;
            planned.extend(default_inputs(tool.default_mode));
        }
        self.inputs.insert(map, (tool, planned.clone()));
        Ok(planned)
    }

    fn read_inputs(&self, tool: &'static Tool, map: PartId) -> Result<Vec<Input<'d>>, Refusal> {
        let layout = self.layout;
        let mut read: Vec<Input<'d>> = Vec::new();
        for (key, value) in pairs(layout.documents, map) {
            let PartValue::Scalar(name) = &layout.part(*key).value else {
                return self.refuse(*key, RefusalReason::Form);
            };
            let name = name.text.as_str();
            if name == "<<" {
                return self.refuse(*key, RefusalReason::MergeKey);
            }
            if read
                .iter()
                .any(|known| known.name.eq_ignore_ascii_case(name))
            {
                return self.refuse(*key, RefusalReason::Twice);
            }
            read.push(Input {
                key: *key,
                value: *value,
                name,
                line: layout.line(*key),
                in_flow: is_flow(layout, map),
                treatment: tool.treatment(name),
            });
        }
        Ok(read)
    }

    fn entries(&self, read: &[Input<'d>]) -> Result<Vec<Entry>, Refusal> {
        let entries = read.iter().map(|input| {
            let Some(at) = self.layout.pair(input.key, input.value) else {
                return self.refuse(input.value, RefusalReason::Form);
            };
            Ok(Entry { at, leaves: false })
        });
        entries.collect()
    }

    fn denied_alone(&mut self, read: &[Input<'_>]) {
        let find = |wanted| read.iter().find(|input| input.treatment == Some(wanted));
        if let (Some(denied), None) = (find(Treatment::Denied), find(Treatment::Allowed)) {
            self.remarks.lost(
                denied.line,
                "`denied-endpoints`: Harden-Runner allows all but these; in block mode Runward allows what `allowed-endpoints` says, such as `*:*/any`, and nothing without it",
            );
        }
    }

    /// One input that is no list of hosts. Gives what it should be; nothing when it goes.
    fn input(
        &mut self,
        tool: &Tool,
        input: &Input<'d>,
    ) -> Result<Option<(String, Expected)>, Refusal> {
        let layout = self.layout;
        let Some(value) = Value::of(layout.documents, input.value) else {
            return self.refuse(input.value, RefusalReason::Form);
        };
        let name = visible(input.name);
        let kept = Some((input.name.to_owned(), Expected::Same(input.value)));
        let Some(treatment) = input.treatment else {
            if tool.shares_inputs {
                let why =
                    format!("`{name}`: Runward's action has no such input; left as it stands");
                self.remarks.lost(input.line, why);
                return Ok(kept);
            }
            let why = format!(
                "`{name}`: not an input of {} that is known; removed",
                tool.name
            );
            self.remarks.lost(input.line, why);
            return Ok(None);
        };
        match treatment {
            Treatment::Mode => check_mode(value, input.line, &mut self.remarks),
            Treatment::Allowed => {
                check_list(value, Verb::Allow, layout.lines, &mut self.remarks);
            }
            Treatment::Denied => {
                check_list(value, Verb::Deny, layout.lines, &mut self.remarks);
                self.remarks.note(
                    input.line,
                    "`denied-endpoints`: in Runward a denial without a port is of every port",
                );
            }
            Treatment::Keep => {}
            Treatment::KeepAndSay(why) | Treatment::Store(why) => {
                let is_used = !matches!(value.word(), "" | "false");
                if is_used {
                    self.remarks.lost(input.line, format!("`{name}`: {why}"));
                }
            }
            Treatment::Prevent => return self.prevent(input, value).map(Some),
            Treatment::EnableSudo => return self.enable_sudo(input, value).map(Some),
            Treatment::List(_) => return Ok(None),
            Treatment::Drop { fine, why } => {
                let word = value.word().to_ascii_lowercase();
                if !fine.contains(&word.as_str()) {
                    self.remarks.lost(input.line, format!("`{name}`: {why}"));
                }
                return Ok(None);
            }
        }
        Ok(kept)
    }

    /// Cimon's `prevent`, as `egress-policy`. What is neither true nor false blocks.
    fn prevent(
        &mut self,
        input: &Input<'_>,
        value: Value<'_>,
    ) -> Result<(String, Expected), Refusal> {
        let word = value.word();
        let new = match (truth(word), expression(word)) {
            (Some(true), _) => "block".to_owned(),
            (Some(false), _) => "audit".to_owned(),
            (None, Some(inside)) => {
                format!("${{{{ format('{{0}}', {inside}) == 'false' && 'audit' || 'block' }}}}")
            }
            (None, None) => {
                self.not_a_truth(input, word, "blocks now");
                "block".to_owned()
            }
        };
        self.rewrite(input, value, MODE, new)
    }

    /// bullfrog's `enable-sudo`, as `disable-sudo`. What is neither true nor false disables it.
    fn enable_sudo(
        &mut self,
        input: &Input<'_>,
        value: Value<'_>,
    ) -> Result<(String, Expected), Refusal> {
        let word = value.word();
        let new = match (truth(word), expression(word)) {
            (Some(enabled), _) => (!enabled).to_string(),
            (None, Some(inside)) => format!("${{{{ format('{{0}}', {inside}) != 'true' }}}}"),
            (None, None) => {
                self.not_a_truth(input, word, "sudo is disabled now");
                "true".to_owned()
            }
        };
        self.rewrite(input, value, NO_SUDO, new)
    }

    fn not_a_truth(&mut self, input: &Input<'_>, word: &str, then: &str) {
        let why = format!(
            "`{}`: `{}` is neither `true` nor `false`; {then}",
            visible(input.name),
            visible(word)
        );
        self.remarks.lost(input.line, why);
    }

    fn rewrite(
        &mut self,
        input: &Input<'_>,
        value: Value<'_>,
        name: &str,
        new: String,
    ) -> Result<(String, Expected), Refusal> {
        self.rename(input, name)?;
        if value.is_missing() {
            let end = self
                .layout
                .after_colon(self.layout.part(input.key).opening.end);
            self.edits
                .insert(end, format!(" {}", written(&new, input.in_flow)));
        } else {
            let done = value.replace(self.layout.text(), &new, input.in_flow, &mut self.edits);
            self.or_refuse(input.value, done)?;
        }
        Ok((name.to_owned(), Expected::Text(new)))
    }

    fn rename(&mut self, input: &Input<'_>, name: &str) -> Result<(), Refusal> {
        let key = Value::of(self.layout.documents, input.key);
        let literal = key.and_then(|key| key.literal(self.layout.text()));
        let range = self.or_refuse(input.key, literal)?;
        self.edits.replace(range, name);
        Ok(())
    }

    /// All lists of hosts become one list of endpoints, in the place of the first that has hosts.
    fn lists(
        &mut self,
        read: &[Input<'d>],
        entries: &mut [Entry],
        planned: &mut Inputs,
    ) -> Result<(), Refusal> {
        let layout = self.layout;
        let mut lists = Vec::new();
        for (place, input) in read.iter().enumerate() {
            if let Some(Treatment::List(dialect)) = input.treatment {
                let Some(value) = Value::of(layout.documents, input.value) else {
                    return self.refuse(input.value, RefusalReason::Form);
                };
                lists.push((place, list(layout, input, value, dialect)));
            }
        }
        let base = lists.iter().position(|(_, list)| !list.words.is_empty());
        let Some((_, first)) = lists.get(base.unwrap_or_default()) else {
            return Ok(());
        };
        let mut added = Vec::new();
        let (mut endpoints, mut expressions) = (BTreeSet::new(), Vec::new());
        for (at, (place, list)) in lists.iter().enumerate() {
            let is_base = at == base.unwrap_or_default();
            for word in &list.words {
                if let Some((weight, why)) = &word.remark {
                    let line = match list.start {
                        Some(start) => layout.lines.number(start + word.at.start),
                        None => list.input.line,
                    };
                    match weight {
                        Weight::Lost => self.remarks.lost(line, why.clone()),
                        Weight::Note => self.remarks.note(line, why.clone()),
                    }
                }
                for new in &word.new {
                    if word.is_expression {
                        expressions.push((is_base, new.clone()));
                    } else if let Ok(endpoint) = Endpoint::parse(new, Verb::Allow) {
                        endpoints.insert(endpoint);
                    }
                    if !is_base {
                        added.push(new.clone());
                    }
                }
            }
            if let Some(entry) = entries.get_mut(*place).filter(|_| !is_base) {
                entry.leaves = true;
            }
        }
        self.rename(first.input, ALLOWED)?;
        let rewritten = self.rewrite_list(first, &added);
        self.or_refuse(first.input.value, rewritten)?;
        // Those of the first list come first in the text.
        expressions.sort_by_key(|(is_base, _)| !is_base);
        planned.push((
            ALLOWED.to_owned(),
            Expected::List {
                endpoints,
                expressions: expressions.into_iter().map(|(_, word)| word).collect(),
            },
        ));
        Ok(())
    }

    /// Changes the words of a list where they stand, and puts some behind them.
    fn rewrite_list(&mut self, list: &List<'_>, added: &[String]) -> Option<()> {
        let layout = self.layout;
        let words = list.words.iter().flat_map(|word| &word.new).chain(added);
        let new = words.map(String::as_str).collect::<Vec<&str>>().join(" ");
        if list.value.is_missing() {
            return new.is_empty().then_some(());
        }
        let is_plain = list.value.scalar.style == Style::Plain;
        let stays_plain = !is_plain || scalar::is_plain(&new, list.input.in_flow);
        let Some(start) = list.start.filter(|_| stays_plain) else {
            return list
                .value
                .replace(layout.text(), &new, list.input.in_flow, &mut self.edits);
        };
        let is_block = list.value.scalar.style == Style::Block;
        let mut last_kept = None;
        let mut last_end = start;
        for word in &list.words {
            let at = start + word.at.start..start + word.at.end;
            if !word.new.is_empty() {
                self.edits.replace(at.clone(), word.new.join(" "));
                last_kept = Some(at.end);
                last_end = at.end;
                continue;
            }
            let line = layout.lines.start(at.start)..layout.lines.end(at.start);
            let characters = layout.lines.slice(line.clone());
            if is_block && characters.trim() == layout.lines.slice(at.clone()) {
                self.edits.remove(line.start..layout.lines.next(line.end));
            } else {
                let separates = |c: char| c.is_whitespace() && !(is_block && c == '\n') || c == ',';
                let begins_line = is_block && last_kept.is_none_or(|kept| kept < line.start);
                let mut gone = at;
                if begins_line {
                    // What comes next has to begin where this did.
                    let behind = layout.lines.slice(gone.end..layout.lines.end(gone.end));
                    gone.end += behind.len() - behind.trim_start_matches(separates).len();
                } else {
                    let before = layout.lines.slice(last_end..gone.start);
                    gone.start -= before.len() - before.trim_end_matches(separates).len();
                }
                last_end = gone.end;
                self.edits.remove(gone);
                continue;
            }
            last_end = at.end;
        }
        if added.is_empty() {
            return Some(());
        }
        if !is_block {
            self.edits.insert(last_end, format!(" {}", added.join(" ")));
            return Some(());
        }
        let first = start + list.words.first()?.at.start;
        let indent: String = layout
            .before(last_kept.unwrap_or(first))
            .chars()
            .take_while(|c| *c == ' ')
            .collect();
        let new: Vec<String> = added.iter().map(|word| format!("{indent}{word}")).collect();
        match last_kept {
            Some(at) => layout.insert_behind(at, &new, &mut self.edits),
            None => {
                let ending = layout.lines.ending();
                let new: String = new.iter().map(|line| format!("{line}{ending}")).collect();
                self.edits.insert(layout.lines.start(first), new);
            }
        }
        Some(())
    }

    /// The mode that the other tool has without a word, before all other inputs.
    fn insert_mode(
        &mut self,
        tool: &Tool,
        map: PartId,
        read: &[Input<'_>],
        in_flow: bool,
    ) -> Result<(), Refusal> {
        let layout = self.layout;
        let new = format!("{MODE}: {}", tool.default_mode);
        if in_flow {
            let open = layout.part(map).opening.end;
            layout.insert_flow(open, &new, read.is_empty(), &mut self.edits);
            return Ok(());
        }
        let Some(first) = read.first() else {
            return self.refuse(map, RefusalReason::NotTheSame);
        };
        let start = layout.part(first.key).opening.start;
        let indent = layout.before(start);
        if !indent.chars().all(|c| c == ' ') {
            return self.refuse(first.key, RefusalReason::NotTheSame);
        }
        layout.insert_before(start, &format!("{indent}{new}"), &mut self.edits);
        Ok(())
    }
}

fn default_inputs(mode: &str) -> Inputs {
    vec![(MODE.to_owned(), Expected::Text(mode.to_owned()))]
}

fn list<'d>(
    layout: Layout<'d>,
    input: &'d Input<'d>,
    value: Value<'d>,
    dialect: Dialect,
) -> List<'d> {
    let literal = value.literal(layout.text());
    let literal = literal.filter(|_| !value.scalar.is_null());
    let characters = match &literal {
        Some(range) => layout.lines.slice(range.clone()),
        None => value.word(),
    };
    List {
        input,
        value,
        words: carry(characters, dialect),
        start: literal.map(|range| range.start),
    }
}

fn is_flow(layout: Layout<'_>, map: PartId) -> bool {
    matches!(layout.part(map).value, PartValue::Map { is_flow: true, .. })
}

/// The spaces that stand before a key, or would if nothing else did.
fn indent(layout: Layout<'_>, key: PartId) -> String {
    let before = layout.before(layout.part(key).opening.start);
    " ".repeat(before.chars().count())
}

/// Whether a word is a version, as tools that update actions write it behind a commit.
fn is_version(word: &str) -> bool {
    let word = word.rsplit(['=', '@']).next().unwrap_or(word);
    let number = word.strip_prefix('v').unwrap_or(word);
    number.starts_with(|c: char| c.is_ascii_digit())
        && number
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_are_what_tools_write_behind_a_commit() {
        for (word, holds) in [
            ("v2", true),
            ("2.10.1", true),
            ("v2.0.0-rc.1", true),
            ("tag=v2.10.1", true),
            ("pin@v2", true),
            ("ratchet:step-security/harden-runner@v2", true),
            ("main", false),
            ("v", false),
            ("zizmor: ignore[unpinned-uses]", false),
            ("", false),
        ] {
            assert_eq!(is_version(word), holds, "{word}");
        }
    }
}
