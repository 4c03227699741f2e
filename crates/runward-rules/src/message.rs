//! What a rule says: text with expressions in braces.

use cel::common::types::{CelBool, CelInt, CelString};
use cel::{Context, ExecutionError};

use crate::check::{Purpose, check};
use crate::error::Fault;
use crate::expression::Expression;
use crate::limits;
use crate::shape::Shape;
use crate::slots::Slots;
use crate::vocabulary::Vocabulary;

/// A message that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Message(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Hole(Expression),
}

impl Message {
    /// Reads `text {expression} text`; `{{` and `}}` are braces.
    pub(crate) fn read(
        text: &str,
        vocabulary: &Vocabulary,
        event: &Shape,
        slots: &mut Slots,
    ) -> Result<Message, Vec<Fault>> {
        if text.len() > limits::TEXT_BYTES {
            return Err(vec![Fault {
                at: 0,
                message: format!("a message has at most {} bytes", limits::TEXT_BYTES),
            }]);
        }
        let mut pieces = Vec::new();
        let mut faults = Vec::new();
        for part in parts(text) {
            match part {
                Part::Text(text) => pieces.push(Piece::Text(text)),
                Part::Hole { at, text } => {
                    match check(text, Purpose::Words, vocabulary, event, slots) {
                        Ok(expression) => pieces.push(Piece::Hole(expression)),
                        Err(wrong) => faults.extend(wrong.into_iter().map(|fault| Fault {
                            at: at + fault.at,
                            message: fault.message,
                        })),
                    }
                }
                Part::Broken { at } => faults.push(Fault {
                    at,
                    message: "a brace stands alone here: expressions stand in `{ }`, and `{{` and `}}` are braces"
                        .to_owned(),
                }),
            }
        }
        if faults.is_empty() {
            Ok(Message(pieces))
        } else {
            Err(faults)
        }
    }

    /// The sentence for one event. What it quotes is shortened and harmless.
    pub(crate) fn say(&self, context: &Context<'_, '_>) -> Result<String, ExecutionError> {
        let mut sentence = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => sentence.push_str(text),
                Piece::Hole(expression) => {
                    let value = expression.evaluate(context)?;
                    let value = value.as_ref();
                    if let Some(text) = value.downcast_ref::<CelString>() {
                        sentence.push_str(&runward_detect::quote(text.inner()));
                    } else if let Some(number) = value.downcast_ref::<CelInt>() {
                        sentence.push_str(&number.inner().to_string());
                    } else if let Some(is_so) = value.downcast_ref::<CelBool>() {
                        sentence.push_str(if *is_so.inner() { "true" } else { "false" });
                    }
                }
            }
        }
        Ok(sentence)
    }
}

enum Part<'t> {
    Text(String),
    Hole { at: usize, text: &'t str },
    Broken { at: usize },
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut plain = String::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(c) = rest.chars().next() else {
            break;
        };
        if rest.starts_with("{{") || rest.starts_with("}}") {
            plain.push(c);
            at += 2;
        } else if c == '{' {
            let Some(length) = rest.get(1..).and_then(hole) else {
                parts.push(Part::Broken { at });
                return parts;
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(Part::Hole {
                at: at + 1,
                text: rest.get(1..=length).unwrap_or_default(),
            });
            at += length + 2;
        } else if c == '}' {
            parts.push(Part::Broken { at });
            return parts;
        } else {
            plain.push(c);
            at += c.len_utf8();
        }
    }
    parts.push(Part::Text(plain));
    parts
}

/// How many bytes an expression has before the brace that ends it. Braces in its own quotes do not count.
fn hole(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '"' || c == '\'' => quote = Some(c),
            None if c == '}' => return Some(at),
            None => {}
        }
    }
    None
}
