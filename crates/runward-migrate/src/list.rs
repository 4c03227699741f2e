//! Lists of hosts in the languages of other tools, word by word.

use std::ops::Range;

use runward_policy::{Action, Endpoint, Host};

use crate::remark::{Weight, visible};

/// Whose language a list is written in. Neither of these tools knows ports: an allowed host is allowed on every port, by
/// every protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Shell patterns over the whole name, in which `*` stands for dots too.
    BullfrogDomains,
    BullfrogIps,
    /// Names whose left-most label may be `*`.
    CimonHosts,
    CimonIps,
}

/// What follows a host that is allowed on every port, by every protocol.
const ANYTHING: &str = ":*/any";

/// One word of a list, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// In bytes of the text.
    pub(crate) at: Range<usize>,
    /// What Runward's list has in its place; nothing when it can't be carried over.
    pub(crate) new: Vec<String>,
    /// Whether its value is known only when the job starts.
    pub(crate) is_expression: bool,
    pub(crate) remark: Option<(Weight, String)>,
}

/// Reads a list and says what becomes of each of its words.
pub(crate) fn carry(text: &str, dialect: Dialect) -> Vec<Word> {
    let words = words(text).into_iter();
    words
        .map(|at| carry_word(text.get(at.clone()).unwrap_or_default(), at, dialect))
        .collect()
}

/// Words are separated by white space and commas. An expression is one word whatever it has inside, and a comment goes
/// from `#` to the end of its line.
pub(crate) fn words(text: &str) -> Vec<Range<usize>> {
    let is_separator = |c: char| c.is_whitespace() || c == ',';
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        let Some(start) = rest.find(|c| !is_separator(c)) else {
            break;
        };
        at += start;
        let rest = text.get(at..).unwrap_or_default();
        if rest.starts_with('#') {
            at += rest.find('\n').unwrap_or(rest.len());
            continue;
        }
        let mut end = 0;
        while let Some(after) = rest.get(end..) {
            let Some(next) = after.chars().next().filter(|c| !is_separator(*c)) else {
                break;
            };
            end += match after.strip_prefix("${{") {
                Some(inside) => inside
                    .find("}}")
                    .map_or(after.len(), |length| "${{".len() + length + "}}".len()),
                None => next.len_utf8(),
            };
        }
        words.push(at..at + end);
        at += end;
    }
    words
}

/// A list without its expressions: what of it can be judged now.
pub(crate) fn without_expressions(text: &str) -> String {
    let mut known = String::new();
    let mut done = 0;
    for at in words(text) {
        if text
            .get(at.clone())
            .is_some_and(|word| word.contains("${{"))
        {
            known.push_str(text.get(done..at.start).unwrap_or_default());
            done = at.end;
        }
    }
    known.push_str(text.get(done..).unwrap_or_default());
    known
}

fn carry_word(word: &str, at: Range<usize>, dialect: Dialect) -> Word {
    let done = |new: Vec<String>, remark: Option<(Weight, String)>| Word {
        at: at.clone(),
        new,
        is_expression: false,
        remark,
    };
    let lost = |why: &str| {
        let text = format!("`{}`: {why}", visible(word));
        done(Vec::new(), Some((Weight::Lost, text)))
    };
    if word.contains("${{") {
        let text = format!(
            "`{}`: its value is read as Runward reads it: where no port is named, port 443 of TCP and not every port",
            visible(word)
        );
        return Word {
            at: at.clone(),
            new: vec![word.to_owned()],
            is_expression: true,
            remark: Some((Weight::Lost, text)),
        };
    }
    let new = endpoint_text(word);
    let endpoint = match Endpoint::parse(&new, Action::Allow) {
        Ok(endpoint) => endpoint,
        Err(problem) => return lost(&format!("{}; left out", problem.what)),
    };
    let wants_address = matches!(dialect, Dialect::BullfrogIps | Dialect::CimonIps);
    match (&endpoint.host, wants_address) {
        (Host::Net(_), true) => done(vec![new], None),
        (Host::Net(_), false) => {
            lost("an address among the names, where it allows nothing; left out")
        }
        (_, true) => lost("not an address; left out"),
        (Host::Any, false) => lost(
            "stands for every name, and in Runward for every address too; left out, write `*:*/any` if that is meant",
        ),
        (Host::Name(_), false) => done(vec![new], None),
        (Host::Pattern(_), false) => pattern(word, &new, dialect, &done),
    }
}

/// A pattern. In Runward a leading `*.` stands for any depth, and any other `*` for characters of one label.
fn pattern(
    word: &str,
    new: &str,
    dialect: Dialect,
    done: &dyn Fn(Vec<String>, Option<(Weight, String)>) -> Word,
) -> Word {
    let after_first = word.get(1..).unwrap_or_default();
    let leads_alone = word.starts_with('*') && !after_first.contains('*');
    if word.starts_with("*.") && leads_alone {
        let remark = (dialect == Dialect::CimonHosts).then(|| {
            let text = format!(
                "`{}`: Runward's `*.` stands for names at any depth; Cimon does not say how deep its own goes",
                visible(word)
            );
            (Weight::Note, text)
        });
        return done(vec![new.to_owned()], remark);
    }
    if leads_alone && dialect == Dialect::BullfrogDomains {
        // `*x.example` there is `x.example`, `ax.example`, and `a.x.example` at any depth.
        return done(vec![new.to_owned(), format!("*.{new}")], None);
    }
    let text = format!(
        "`{}`: in Runward this `*` stands for characters of one label, and not for dots",
        visible(word)
    );
    done(vec![new.to_owned()], Some((Weight::Lost, text)))
}

/// A host as an endpoint of every port, unless it names one itself.
fn endpoint_text(word: &str) -> String {
    let is_v6 = word.matches(':').nth(1).is_some();
    if is_v6 && !word.starts_with('[') {
        return format!("[{word}]{ANYTHING}");
    }
    if word.contains(':') && !word.ends_with(']') {
        return word.to_owned();
    }
    format!("{word}{ANYTHING}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(text: &str, dialect: Dialect) -> (Vec<String>, Vec<String>) {
        let words = carry(text, dialect);
        let new = words.iter().flat_map(|word| word.new.clone()).collect();
        let remarks = words.into_iter().filter_map(|word| word.remark);
        (new, remarks.map(|(_, text)| text).collect())
    }

    #[test]
    fn words_end_where_their_tool_ends_them() {
        let text = "a.example, b.example\n# c.example\n${{ join(x, ',') }}.d  ,e";
        let found: Vec<&str> = words(text).into_iter().map(|at| &text[at]).collect();
        assert_eq!(
            found,
            ["a.example", "b.example", "${{ join(x, ',') }}.d", "e"]
        );
        assert_eq!(without_expressions("a ${{ b c }}x d"), "a  d");
        assert_eq!(words("${{ never closed").len(), 1);
    }

    #[test]
    fn a_word_means_the_same_or_says_what_it_lost() {
        use Dialect::{BullfrogDomains, BullfrogIps, CimonHosts, CimonIps};
        for (word, dialect, new, remark) in [
            ("a.example", BullfrogDomains, "a.example:*/any", ""),
            ("*.a.example", BullfrogDomains, "*.a.example:*/any", ""),
            (
                "*a.example",
                BullfrogDomains,
                "*a.example:*/any *.*a.example:*/any",
                "",
            ),
            (
                "glb-*.example",
                BullfrogDomains,
                "glb-*.example:*/any",
                "one label",
            ),
            ("*", BullfrogDomains, "", "every address"),
            ("a.*", BullfrogDomains, "", "left out"),
            ("192.0.2.1", BullfrogDomains, "", "among the names"),
            ("192.0.2.0/24", BullfrogIps, "192.0.2.0/24:*/any", ""),
            ("a.example", BullfrogIps, "", "not an address"),
            ("*.a.example", CimonHosts, "*.a.example:*/any", "how deep"),
            ("a.example:8443", CimonHosts, "a.example:8443", ""),
            ("2001:db8::1", CimonIps, "[2001:db8::1]:*/any", ""),
            ("[2001:db8::1]", CimonIps, "[2001:db8::1]:*/any", ""),
            ("2001:db8::/32", CimonIps, "[2001:db8::/32]:*/any", "?"),
        ] {
            let (carried, remarks) = carried(word, dialect);
            if remark == "?" {
                assert!(!carried.is_empty(), "{word}: {remarks:?}");
                continue;
            }
            assert_eq!(carried.join(" "), new, "{word}");
            assert_eq!(remarks.is_empty(), remark.is_empty(), "{word}: {remarks:?}");
            assert!(
                remarks.iter().all(|text| text.contains(remark)),
                "{remarks:?}"
            );
        }
    }
}
