use runward_event::JobIdentity;

/// The variables of a job, made harmless: no value is longer than [`MAX_CHARS`], holds control characters, or is
/// empty.
pub(crate) struct Environment<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
}

/// The longest value kept, in characters. Names of branches end at 255 bytes on most systems; addresses are longer.
const MAX_CHARS: usize = 512;

impl<'a> Environment<'a> {
    pub(crate) fn new(read: &'a dyn Fn(&str) -> Option<String>) -> Environment<'a> {
        Environment { read }
    }

    /// A variable's value; `None` when it is missing or empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text: String = (self.read)(name)?
            .chars()
            .take(MAX_CHARS)
            .map(|c| if is_harmful(c) { '\u{FFFD}' } else { c })
            .collect();
        (!text.is_empty()).then_some(text)
    }

    /// The first of several variables that has a value.
    pub(crate) fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.text(name))
    }

    /// Whether a variable is set to anything but a way of saying no.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| {
            !["false", "0", "no"]
                .iter()
                .any(|no| text.eq_ignore_ascii_case(no))
        })
    }

    /// Whether a variable says yes or no; `None` when it is missing or says something else.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        ["false", "true"]
            .iter()
            .position(|word| text.eq_ignore_ascii_case(word))
            .map(|at| at == 1)
    }

    /// A variable's value as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    /// A variable's value as an address that a browser may follow.
    pub(crate) fn url(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let is_web = ["https://", "http://"].iter().any(|scheme| {
            text.get(..scheme.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        (is_web && !text.contains(char::is_whitespace)).then_some(text)
    }
}

/// Characters that move the cursor, or that make text read in another order than it is written.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A git ref as people write it: `refs/heads/main` is `main`, `refs/pull/12/merge` is `pull/12/merge`.
pub(crate) fn short_ref(name: String) -> String {
    ["refs/heads/", "refs/tags/", "refs/"]
        .iter()
        .filter_map(|prefix| name.strip_prefix(prefix))
        .find(|rest| !rest.is_empty())
        .map_or(name.clone(), str::to_owned)
}

/// Brings what was put together from several values back inside of the limit. An address that would have to be cut
/// leads nowhere, and goes.
pub(crate) fn bound(mut identity: JobIdentity) -> JobIdentity {
    identity.url = identity
        .url
        .filter(|url| url.chars().nth(MAX_CHARS).is_none());
    for text in [&mut identity.project, &mut identity.branch] {
        if let Some(text) = text
            && let Some((end, _)) = text.char_indices().nth(MAX_CHARS)
        {
            text.truncate(end);
        }
    }
    identity
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> Option<String> {
        Environment::new(&|_| Some(value.to_owned())).text("X")
    }

    #[test]
    fn values_are_made_harmless() {
        assert_eq!(text("main").as_deref(), Some("main"));
        assert_eq!(text(""), None);
        assert_eq!(
            text("a\x1b[31mb\nc\u{202E}d").as_deref(),
            Some("a\u{FFFD}[31mb\u{FFFD}c\u{FFFD}d")
        );
        assert_eq!(text(&"é".repeat(100_000)), Some("é".repeat(512)));
    }

    #[test]
    fn only_web_addresses_are_addresses() {
        let url = |value: &str| {
            Environment::new(&|_| Some(value.to_owned()))
                .url("X")
                .is_some()
        };
        assert!(url("https://ci.example/run/1"));
        assert!(url("HTTP://ci.example:8080/"));
        for bad in [
            "javascript:alert(1)",
            "ci.example",
            "https:/x",
            "",
            "https://a b",
            "é",
            "data:text/html,x",
        ] {
            assert!(!url(bad), "{bad}");
        }
    }

    #[test]
    fn on_and_off() {
        let is_on = |value: &str| Environment::new(&|_| Some(value.to_owned())).is_on("CI");
        assert!(is_on("true") && is_on("1") && is_on("woodpecker") && is_on("True"));
        assert!(!is_on("false") && !is_on("0") && !is_on("") && !is_on("False"));
        assert!(!Environment::new(&|_| None).is_on("CI"));
    }

    #[test]
    fn refs_are_shortened() {
        for (long, short) in [
            ("refs/heads/main", "main"),
            ("refs/heads/feature/x", "feature/x"),
            ("refs/tags/v1", "v1"),
            ("refs/pull/12/merge", "pull/12/merge"),
            ("main", "main"),
            ("refs/heads/", "heads/"),
            ("refs/", "refs/"),
        ] {
            assert_eq!(short_ref(long.to_owned()), short);
        }
    }
}
