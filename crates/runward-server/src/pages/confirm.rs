//! Asking a person again who it is, before something dangerous.

use askama::Template;
use runward_report::text::clipped;

use super::address::Address;
use super::shell::{Section, Shell};

/// The answer to a form that is dangerous, when the person has shown too long ago who it is. It holds all of the form, and
/// sends it again.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct ConfirmPage {
    shell: Shell,
    danger: String,
    action: String,
    fields: Vec<(String, String)>,
    /// The identity provider's name, and the way to it; without one, a password is asked for.
    provider: Option<(String, String)>,
    error: Option<String>,
}

impl ConfirmPage {
    /// `danger` is what the person is about to do, `action` where the form with these fields goes.
    pub(crate) fn new(
        shell: Shell,
        danger: &str,
        action: &str,
        fields: Vec<(String, String)>,
        provider: Option<&str>,
        error: Option<&str>,
    ) -> ConfirmPage {
        let way = Address::of(&["login", "oidc"])
            .with("again", "1")
            .with("next", "/login/confirmed");
        ConfirmPage {
            shell: shell.titled("Confirm that it is you", Section::Settings),
            danger: clipped(danger, 200),
            action: action.to_owned(),
            fields,
            provider: provider.map(|name| (clipped(name, 60), way.to_string())),
            error: error.map(|error| clipped(error, 300)),
        }
    }
}

/// `/login/confirmed`
#[derive(Template)]
#[template(path = "confirmed.html")]
pub(crate) struct ConfirmedPage {
    shell: Shell,
}

impl ConfirmedPage {
    /// There is nothing to say but that.
    pub(crate) fn new() -> ConfirmedPage {
        ConfirmedPage {
            shell: Shell::outside().titled("Confirmed", Section::None),
        }
    }
}
