//! The statements of a shell script, as far as telling them apart goes: words with their quotes taken off.
//!
//! Nothing is expanded, and compound commands are the statements that they hold.

/// One simple command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Statement {
    /// Its words, those of redirections among them.
    pub(super) words: Vec<Vec<u8>>,
    /// Whether the script ended inside of it.
    pub(super) is_cut: bool,
}

impl Statement {
    pub(super) fn is(&self, command: &str) -> bool {
        self.words
            .first()
            .is_some_and(|word| word == command.as_bytes())
    }
}

/// The statements of a script, in order. Only the last one can be cut.
pub(super) fn statements(script: &[u8]) -> Vec<Statement> {
    let mut reader = Reader {
        rest: script,
        word: None,
        statement: Statement::default(),
        statements: Vec::new(),
    };
    while let Some(byte) = reader.next() {
        reader.read(byte);
    }
    let was_inside = reader.word.is_some() || !reader.statement.words.is_empty();
    reader.end_word();
    reader.statement.is_cut |= was_inside;
    reader.end_statement();
    reader.statements
}

struct Reader<'a> {
    rest: &'a [u8],
    /// The word that is being read, if one has begun.
    word: Option<Vec<u8>>,
    statement: Statement,
    statements: Vec<Statement>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// The next byte, if it is this one.
    fn skip(&mut self, byte: u8) -> bool {
        let is_next = self.rest.first() == Some(&byte);
        if is_next {
            self.next();
        }
        is_next
    }

    fn push(&mut self, byte: u8) {
        self.word.get_or_insert_default().push(byte);
    }

    fn end_word(&mut self) {
        self.statement.words.extend(self.word.take());
    }

    fn end_statement(&mut self) {
        let statement = std::mem::take(&mut self.statement);
        if !statement.words.is_empty() {
            self.statements.push(statement);
        }
    }

    fn read(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'<' | b'>' => self.end_word(),
            b'\n' | b';' | b'&' | b'|' | b'(' | b')' => {
                self.end_word();
                self.end_statement();
            }
            b'#' if self.word.is_none() => {
                let end = self.rest.iter().position(|byte| *byte == b'\n');
                self.rest = self
                    .rest
                    .get(end.unwrap_or(self.rest.len())..)
                    .unwrap_or(&[]);
            }
            b'\\' => match self.next() {
                // A line that goes on in the next one.
                Some(b'\n') => {}
                Some(byte) => self.push(byte),
                None => self.statement.is_cut = true,
            },
            b'\'' => self.quoted(b'\'', Escapes::None),
            b'"' => self.quoted(b'"', Escapes::Few),
            b'$' if self.skip(b'\'') => self.quoted(b'\'', Escapes::All),
            byte => self.push(byte),
        }
    }

    fn quoted(&mut self, end: u8, escapes: Escapes) {
        self.word.get_or_insert_default();
        loop {
            match (self.next(), escapes) {
                (None, _) => {
                    self.statement.is_cut = true;
                    return;
                }
                (Some(byte), _) if byte == end => return,
                (Some(b'\\'), Escapes::Few) => self.escaped_by_few(),
                (Some(b'\\'), Escapes::All) => self.escaped(),
                (Some(byte), _) => self.push(byte),
            }
        }
    }

    /// After a backslash in double quotes.
    fn escaped_by_few(&mut self) {
        match self.next() {
            Some(b'\n') => {}
            Some(byte @ (b'$' | b'`' | b'"' | b'\\')) => self.push(byte),
            Some(byte) => {
                self.push(b'\\');
                self.push(byte);
            }
            None => {}
        }
    }

    /// After a backslash in `$''`.
    fn escaped(&mut self) {
        let Some(byte) = self.next() else { return };
        match byte {
            b'a' => self.push(7),
            b'b' => self.push(8),
            b'e' | b'E' => self.push(27),
            b'f' => self.push(12),
            b'n' => self.push(b'\n'),
            b'r' => self.push(b'\r'),
            b't' => self.push(b'\t'),
            b'v' => self.push(11),
            b'x' => self.number(16, 2, 0),
            b'0'..=b'7' => self.number(8, 2, byte - b'0'),
            b'\\' | b'\'' | b'"' | b'?' => self.push(byte),
            byte => {
                self.push(b'\\');
                self.push(byte);
            }
        }
    }

    /// A byte by its number, of which at most so many digits follow.
    fn number(&mut self, base: u32, digits: usize, first: u8) {
        let mut value = first;
        for _ in 0..digits {
            let digit = self
                .rest
                .first()
                .and_then(|byte| char::from(*byte).to_digit(base));
            let Some(digit) = digit else { break };
            self.next();
            let base = u8::try_from(base).unwrap_or(0);
            let digit = u8::try_from(digit).unwrap_or(0);
            value = value.wrapping_mul(base).wrapping_add(digit);
        }
        self.push(value);
    }
}

/// What a backslash means between quotes.
#[derive(Clone, Copy)]
enum Escapes {
    /// Itself.
    None,
    /// That the next byte has no meaning of its own, if it has one.
    Few,
    /// Whatever C means by it.
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(script: &str) -> Vec<Vec<String>> {
        let statements = statements(script.as_bytes()).into_iter();
        let texts = statements.map(|statement| {
            let words = statement.words.iter();
            words.map(|word| word.escape_ascii().to_string()).collect()
        });
        texts.collect()
    }

    #[test]
    fn quotes_are_taken_off_as_a_shell_does() {
        let table: [(&str, &[&[&str]]); 12] = [
            ("", &[]),
            ("a b\nc", &[&["a", "b"], &["c"]]),
            ("a;b&&c|d", &[&["a"], &["b"], &["c"], &["d"]]),
            ("'a b' \"c'd\"e\\ f", &[&["a b", "c\\'de f"]]),
            ("'a\nb' ''", &[&["a\\nb", ""]]),
            (r#""\$a \n \" \\""#, &[&[r#"$a \\n \" \\"#]]),
            (r"$'\x41\101\t\'\q'", &[&[r"AA\t\'\\q"]]),
            (r"$'\x4g\0'", &[&[r"\x04g\x00"]]),
            ("a # b\nc #d", &[&["a"], &["c"]]),
            ("a#b", &[&["a#b"]]),
            ("a \\\nb", &[&["a", "b"]]),
            ("(a b) < c", &[&["a", "b"], &["c"]]),
        ];
        for (script, want) in table {
            assert_eq!(words(script), want, "{script}");
        }
    }

    #[test]
    fn only_a_statement_without_an_end_is_cut() {
        for (script, want) in [
            ("a\n", false),
            ("a b", true),
            ("a 'b", true),
            ("a $'b\\", true),
            ("a\nb \"", true),
            ("a;", false),
        ] {
            let last = statements(script.as_bytes()).pop().unwrap();
            assert_eq!(last.is_cut, want, "{script}");
        }
    }
}
