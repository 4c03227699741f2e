//! The way in: logging in, and the first person of a new server.

use askama::Template;
use runward_report::text::clipped;

use super::address::Address;
use super::shell::{Section, Shell};

/// `/login`. Its form has `login`, `password`, `next` and `csrf`.
#[derive(Template)]
#[template(path = "login.html")]
pub(crate) struct LoginPage {
    shell: Shell,
    login: String,
    next: String,
    error: Option<String>,
    /// The identity provider's name, and the way to it.
    provider: Option<(String, String)>,
}

impl LoginPage {
    /// `login` is what was typed before, `next` where the person wanted to go; a way that leads to another host is
    /// forgotten.
    pub(crate) fn new(csrf: &str, login: &str, next: &str, error: Option<&str>) -> LoginPage {
        let mut shell = Shell::outside().titled("Log in", Section::None);
        csrf.clone_into(&mut shell.csrf);
        LoginPage {
            shell,
            login: login.chars().take(200).collect(),
            next: own_address(next).unwrap_or("/").to_owned(),
            error: error.map(|error| clipped(error, 300)),
            provider: None,
        }
    }

    /// Offers to log in by this identity provider.
    pub(crate) fn with_provider(mut self, name: Option<&str>) -> LoginPage {
        let way = Address::of(&["login", "oidc"]).with("next", &self.next);
        self.provider = name.map(|name| (clipped(name, 60), way.to_string()));
        self
    }
}

/// `/setup`. Its form has `token`, `login`, `password`, `password2` and `csrf`.
#[derive(Template)]
#[template(path = "setup.html")]
pub(crate) struct SetupPage {
    shell: Shell,
    token: String,
    login: String,
    error: Option<String>,
}

impl SetupPage {
    /// `token` and `login` are what was typed before, or what the address said.
    pub(crate) fn new(csrf: &str, token: &str, login: &str, error: Option<&str>) -> SetupPage {
        let mut shell = Shell::outside().titled("Set up", Section::None);
        csrf.clone_into(&mut shell.csrf);
        SetupPage {
            shell,
            token: token.chars().take(200).collect(),
            login: login.chars().take(200).collect(),
            error: error.map(|error| clipped(error, 300)),
        }
    }
}

/// An address of this server, if it can't be read as another's: browsers take `//host` and `/\host` for one.
pub(crate) fn own_address(next: &str) -> Option<&str> {
    const LONGEST: usize = 2000;
    let own = next.starts_with('/')
        && !next.starts_with("//")
        && next.len() <= LONGEST
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    own.then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_this_server_only() {
        assert_eq!(
            own_address("/o/acme/runs?q=%2F"),
            Some("/o/acme/runs?q=%2F")
        );
        for next in [
            "",
            "o",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "/a b",
            "/\n/x",
        ] {
            assert_eq!(own_address(next), None, "{next}");
        }
    }
}
