//! Text that a job can influence, in the only form in which a page shows it.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_report::text::{base_name, clipped, command_line};

/// Characters of a text that are kept for the title, where the cut one stands on the page.
const WHOLE: usize = 2000;
/// Characters of a program's path in its title: a page may name thousands of programs.
const PROGRAM: usize = 400;

/// A text of the job: cut to what fits, with characters that act shown as escapes, and isolated so that it can't turn
/// the direction of its neighbours. The whole text is its title, where something was cut.
#[derive(Clone, Debug, Default, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<bdi{% if let Some(whole) = whole %} title="{{ whole }}"{% endif %}>{{ short }}</bdi>"#
)]
pub(crate) struct Text {
    short: String,
    whole: Option<String>,
}

/// The template above escapes both texts.
impl HtmlSafe for Text {}

impl Text {
    /// At most so many characters of a text: both ends, because the ends of a path tell most.
    pub(crate) fn new(text: &str, max: usize) -> Text {
        Text::of(clipped(text, max), || clipped(text, WHOLE))
    }

    /// A command as a person would type it, from its beginning.
    pub(crate) fn command(args: &[String], max: usize) -> Text {
        Text::of(command_line(args, max), || command_line(args, WHOLE))
    }

    /// A program by the last part of its path, with the path as its title.
    pub(crate) fn program(path: &str, max: usize) -> Text {
        if path.is_empty() {
            return Text {
                short: "unknown program".to_owned(),
                whole: None,
            };
        }
        Text::of(clipped(base_name(path), max), || clipped(path, PROGRAM))
    }

    /// The beginning of a commit or hash.
    pub(crate) fn hash(hash: &str) -> Text {
        let start: String = hash.chars().take(10).collect();
        Text::of(clipped(&start, 10), || clipped(hash, WHOLE))
    }

    fn of(short: String, whole: impl FnOnce() -> String) -> Text {
        let whole = Some(whole()).filter(|whole| *whole != short);
        Text { short, whole }
    }

    /// Whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        self.short.is_empty()
    }

    /// The cut text, for places that hold no elements, such as an attribute.
    pub(crate) fn plain(&self) -> &str {
        &self.short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_what_is_cut_is_in_the_title() {
        for (text, max, html) in [
            ("plain", 10, "<bdi>plain</bdi>"),
            ("<b>", 10, "<bdi>&#60;b&#62;</bdi>"),
            ("a\u{202e}b\n", 40, "<bdi>a\\u{202e}b\\n</bdi>"),
            ("abcdefgh", 3, "<bdi title=\"abcdefgh\">a…h</bdi>"),
            ("\"onclick=", 40, "<bdi>&#34;onclick=</bdi>"),
        ] {
            assert_eq!(Text::new(text, max).to_string(), html);
        }
    }

    #[test]
    fn a_program_is_shown_by_its_name() {
        assert_eq!(
            Text::program("/usr/bin/node", 20).to_string(),
            "<bdi title=\"/usr/bin/node\">node</bdi>"
        );
        assert_eq!(
            Text::program("", 20).to_string(),
            "<bdi>unknown program</bdi>"
        );
    }
}
