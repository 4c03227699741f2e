//! What expressions refer to: fields of variables, and constants that were made ready when the file was read. Each has a
//! number, so that an evaluation looks nothing up by name.

use std::collections::HashMap;

use cel::common::types::{CelList, Type};
use cel::common::value::{StaticVal, Val};
use ipnet::IpNet;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

use crate::limits;
use crate::shape::Shape;

/// A variable that an expression begins at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    Event,
    Process,
    Parent,
    Ancestors,
    Job,
    Who,
}

/// What one number stands for.
#[derive(Debug)]
pub(crate) enum Slot {
    /// A field.
    Field(Field),
    /// A regular expression.
    Pattern(Pattern),
    /// A network.
    Network(Network),
    /// A list of constants.
    List(CelList<'static>),
}

/// A field of a variable.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    pub(crate) root: Root,
    /// The way from there.
    pub(crate) keys: Vec<String>,
    pub(crate) shape: Shape,
    /// Whether it is only asked whether it is there.
    pub(crate) test: bool,
}

/// All of them, for the rules of one file.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    patterns: HashMap<String, usize>,
}

/// What stands before the number where an expression refers to it. Nobody can write such a name.
const MARK: char = '@';

impl Slots {
    pub(crate) fn get(&self, name: &str) -> Option<&Slot> {
        let number: usize = name.strip_prefix(MARK)?.parse().ok()?;
        self.slots.get(number)
    }

    /// Keeps it, and gives the name that stands for it.
    pub(crate) fn add(&mut self, slot: Slot) -> String {
        self.slots.push(slot);
        name(self.slots.len() - 1)
    }

    /// As [`Slots::add`] for a regular expression, each once.
    pub(crate) fn pattern(&mut self, pattern: &str) -> Result<String, String> {
        if let Some(number) = self.patterns.get(pattern) {
            return Ok(name(*number));
        }
        if self.patterns.len() >= limits::PATTERNS {
            return Err(format!(
                "a file has at most {} different regular expressions",
                limits::PATTERNS
            ));
        }
        let compiled = Pattern::new(pattern)?;
        self.patterns.insert(pattern.to_owned(), self.slots.len());
        Ok(self.add(Slot::Pattern(compiled)))
    }
}

fn name(number: usize) -> String {
    format!("{MARK}{number}")
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

/// The type of [`Pattern`].
pub(crate) const PATTERN: Type = Type::new_unspecified_type("pattern");
static OF_PATTERN: Type = PATTERN;

impl Pattern {
    /// Its classes are those of ASCII, as in RE2, which CEL names; and no pattern takes more than linear time.
    fn new(pattern: &str) -> Result<Pattern, String> {
        Regex::builder()
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .configure(
                Regex::config()
                    .utf8_empty(false)
                    .nfa_size_limit(Some(limits::PATTERN_BYTES))
                    .onepass_size_limit(Some(limits::PATTERN_BYTES))
                    .hybrid_cache_capacity(limits::PATTERN_BYTES),
            )
            .build(pattern)
            .map(Pattern)
            .map_err(|error| match error.syntax_error() {
                // Its last line says what; those before draw where.
                Some(error) => {
                    let error = error.to_string();
                    let what = error.lines().last().unwrap_or_default();
                    what.trim_start_matches("error: ").to_owned()
                }
                None => "it is too large".to_owned(),
            })
    }

    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &OF_PATTERN
    }

    fn cel_type() -> &'static Type {
        &OF_PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

/// A network of addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network(pub(crate) IpNet);

/// The type of [`Network`].
pub(crate) const NETWORK: Type = Type::new_unspecified_type("network");
static OF_NETWORK: Type = NETWORK;

impl Val for Network {
    fn get_type(&self) -> &Type {
        &OF_NETWORK
    }

    fn cel_type() -> &'static Type {
        &OF_NETWORK
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn std::any::Any> {
        Some(self)
    }
}

impl StaticVal for Network {}
