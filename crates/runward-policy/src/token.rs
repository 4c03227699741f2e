//! Cuts the text of a list into endpoints, with their places.

use crate::endpoint::Action;
use crate::error::Stretch;
use crate::parse::read;

/// One endpoint's text and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'t> {
    pub(crate) text: &'t str,
    /// Counted from 1.
    pub(crate) line: u32,
    /// In characters, counted from 1.
    pub(crate) column: u32,
}

/// What a list consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    /// An endpoint.
    Token(Token<'t>),
    /// A comment, on a line that goes on with endpoints.
    Swallowed(Token<'t>),
    /// An endpoint right behind a `#`, on a line that goes on with endpoints.
    CommentedOut(Token<'t>),
}

/// Where a list begins, and whether its lines are those that its author wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// Whether the text may have been several lines that a folded scalar made one. A comment of such a text does not
    /// end where its author ended it.
    pub(crate) folded: bool,
}

impl Lines {
    /// A text by itself.
    pub(crate) fn start(text: &str) -> Lines {
        Lines {
            line: 1,
            column: 1,
            folded: !text.trim_end().contains('\n'),
        }
    }

    pub(crate) fn first(self) -> Stretch {
        Stretch {
            line: self.line,
            column: self.column,
            length: 1,
        }
    }
}

/// The pieces of `text`.
pub(crate) fn tokens(text: &str, lines: Lines) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut words = Words {
        text,
        at: 0,
        line: lines.line,
        column: lines.column,
    };
    while let Some(word) = words.next_word() {
        if !word.text.starts_with('#') {
            pieces.extend(endpoint(word).map(Piece::Token));
        } else if lines.folded {
            comment_in_line(&mut words, word, &mut pieces);
        } else {
            words.skip_line();
        }
    }
    pieces
}

/// A comment in a text that was folded into one line. It ends before the next word that can only be an endpoint: one
/// with a host and a port. Right behind the `#` such a word may have been meant as the comment itself, so nobody can
/// tell.
fn comment_in_line<'t>(words: &mut Words<'t>, first: Token<'t>, pieces: &mut Vec<Piece<'t>>) {
    let start = words.at - first.text.len();
    let mut end = words.at;
    let mut word = Token {
        text: first.text.trim_start_matches('#'),
        ..first
    };
    let mut is_first = true;
    loop {
        if !word.text.is_empty() {
            if has_port(word) {
                if is_first {
                    pieces.push(Piece::CommentedOut(word));
                    return;
                }
                pieces.push(Piece::Swallowed(Token {
                    text: words.text.get(start..end).unwrap_or(first.text),
                    ..first
                }));
                pieces.extend(endpoint(word).map(Piece::Token));
                return;
            }
            is_first = false;
        }
        end = words.at;
        let Some(next) = words.next_word() else {
            return;
        };
        word = next;
        if word.text.starts_with('#') {
            word.text = word.text.trim_start_matches('#');
            is_first = true;
        }
    }
}

fn has_port(word: Token<'_>) -> bool {
    endpoint(word)
        .is_some_and(|token| read(token.text, Action::Allow).is_ok_and(|read| read.has_ports))
}

/// Words of a list: runs of characters that are neither white space nor a comma between endpoints.
struct Words<'t> {
    text: &'t str,
    /// In bytes.
    at: usize,
    line: u32,
    column: u32,
}

impl<'t> Words<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, c: char) {
        self.at += c.len_utf8();
        if c == '\n' {
            self.line = self.line.saturating_add(1);
            self.column = 1;
        } else {
            self.column = self.column.saturating_add(1);
        }
    }

    fn next_word(&mut self) -> Option<Token<'t>> {
        while let Some(c) = self.rest().chars().next().filter(|c| is_separator(*c)) {
            self.advance(c);
        }
        let rest = self.rest();
        let length = match rest.strip_prefix("${{") {
            Some(inside) => inside
                .find("}}")
                .map_or(rest.len(), |end| "${{".len() + end + "}}".len()),
            None => word_length(rest),
        };
        let word = Token {
            text: rest.get(..length).filter(|word| !word.is_empty())?,
            line: self.line,
            column: self.column,
        };
        for c in word.text.chars() {
            self.advance(c);
        }
        Some(word)
    }

    fn skip_line(&mut self) {
        while let Some(c) = self.rest().chars().next() {
            if c == '\n' {
                return;
            }
            self.advance(c);
        }
    }
}

fn is_separator(c: char) -> bool {
    // A byte order mark stands at the start of what some editors save.
    c.is_whitespace() || c == ',' || c == '\u{feff}'
}

/// The bytes of the word that `text` begins with. A comma inside of a port list does not end it: `host:80,443`.
fn word_length(text: &str) -> usize {
    let mut end = 0;
    loop {
        let rest = text.get(end..).unwrap_or_default();
        end += rest.find(is_separator).unwrap_or(rest.len());
        let word = text.get(..end).unwrap_or_default();
        let after = text.get(end..).unwrap_or_default();
        let more_ports = after
            .strip_prefix(',')
            .filter(|_| ends_in_port(word))
            .is_some_and(begins_with_port);
        if !more_ports {
            return end;
        }
        end += 1;
    }
}

fn ends_in_port(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(host, ports)| {
        !host.is_empty() && !ports.is_empty() && ports.bytes().all(is_port_byte)
    })
}

fn begins_with_port(text: &str) -> bool {
    let end = text
        .find(|c: char| is_separator(c) || c == '/' || matches!(c, '"' | '\'' | '`' | ']'))
        .unwrap_or(text.len());
    text.get(..end)
        .is_some_and(|port| port == "*" || !port.is_empty() && port.bytes().all(is_range_byte))
}

fn is_port_byte(byte: u8) -> bool {
    is_range_byte(byte) || matches!(byte, b',' | b'*')
}

fn is_range_byte(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'-'
}

/// The endpoint of a word, without what is left over of YAML or JSON around it. Nothing when that is all of it.
fn endpoint(word: Token<'_>) -> Option<Token<'_>> {
    if word.text == "-" {
        return None;
    }
    let mut token = word;
    loop {
        let before = token;
        token = without_quotes(token);
        token = without_brackets(token);
        if token == before {
            return (!token.text.is_empty()).then_some(token);
        }
    }
}

fn without_quotes(token: Token<'_>) -> Token<'_> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '`');
    let inner = token.text.trim_start_matches(is_quote);
    let cut = token.text.len() - inner.len();
    Token {
        text: inner.trim_end_matches(is_quote),
        line: token.line,
        // A quote is one character and one byte.
        column: token
            .column
            .saturating_add(u32::try_from(cut).unwrap_or(u32::MAX)),
    }
}

/// Takes off the bracket of a list, which has no partner in the same word or holds a quoted text.
fn without_brackets(token: Token<'_>) -> Token<'_> {
    let text = token.text;
    let is_address = text.matches(':').nth(1).is_some();
    if is_address && !text.contains(['"', '\'']) {
        return token;
    }
    let opens = text.matches('[').count();
    let closes = text.matches(']').count();
    let first = text
        .strip_prefix('[')
        .filter(|rest| opens > closes || rest.starts_with(['"', '\'', '[']));
    if let Some(text) = first {
        return Token {
            text,
            line: token.line,
            column: token.column.saturating_add(1),
        };
    }
    let last = text
        .strip_suffix(']')
        .filter(|rest| closes > opens || rest.ends_with(['"', '\'']));
    match last {
        Some(text) => Token { text, ..token },
        None => token,
    }
}
