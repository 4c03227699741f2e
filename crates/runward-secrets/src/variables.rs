//! Which variables of the environment hold secrets.

use crate::rules::entropy;

/// The rule's name in findings of a variable's value.
pub const VARIABLE: &str = "environment-variable";

/// How many variables are looked for.
const VARIABLES_MAX: usize = 64;
/// How long a name may be, in bytes.
const NAME_MAX: usize = 256;
/// Shorter values stand in a log by chance. In bytes.
const VALUE_MIN: usize = 8;
/// Longer ones are files, not secrets. In bytes.
const VALUE_MAX: usize = 32 << 10;

/// A variable whose value is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, byte for byte.
    pub value: Vec<u8>,
}

/// Words of names whose values are secrets.
const SECRET: [&str; 13] = [
    "TOKEN",
    "TOKENS",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "PASS",
    "PAT",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "DSN",
];
/// Words of names whose values are secrets if they look like chance.
const MAYBE: [&str; 4] = ["KEY", "AUTH", "PRIVATE", "WEBHOOK"];
/// Words of names that are about something else.
const PUBLIC: [&str; 7] = [
    "PUBLIC",
    "CACHE",
    "FINGERPRINT",
    "PROJECT",
    "HOST",
    "KEYRING",
    "KEYSERVER",
];
/// Last words of names that say where a secret is, or whose it is.
const ABOUT: [&str; 16] = [
    "URL",
    "URI",
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "ID",
    "USER",
    "HOST",
    "TYPE",
    "SOCK",
    "ENDPOINT",
    "VERSION",
    "LENGTH",
    "EXPIRES",
    "ALGORITHM",
];

/// Those of these variables that hold secrets, as far as names and values tell.
pub fn secret_variables<'a>(
    environment: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Vec<Variable> {
    environment
        .filter(|(name, value)| is_secret(name, value))
        .take(VARIABLES_MAX)
        .map(|(name, value)| Variable {
            name: name.to_owned(),
            value: value.to_vec(),
        })
        .collect()
}

fn is_secret(name: &str, value: &[u8]) -> bool {
    let value = value.trim_ascii();
    if !(VALUE_MIN..=VALUE_MAX).contains(&value.len()) || name.len() > NAME_MAX || is_place(value) {
        return false;
    }
    let name = name.to_ascii_uppercase();
    let words: Vec<&str> = name.split(['_', '-', '.']).collect();
    let has = |known: &[&str]| words.iter().any(|word| known.contains(word));
    if has(&PUBLIC) || words.last().is_some_and(|last| ABOUT.contains(last)) {
        return false;
    }
    let ends = ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "APIKEY"];
    if has(&SECRET) || ends.iter().any(|end| name.ends_with(end)) {
        return !is_word(value);
    }
    has(&MAYBE) && looks_random(value)
}

/// A path, or an address without a password in it.
fn is_place(value: &[u8]) -> bool {
    let starts = |start: &str| value.starts_with(start.as_bytes());
    let address = starts("http://") || starts("https://");
    ["/", "./", "../", "~/"].into_iter().any(starts) || (address && !value.contains(&b'@'))
}

/// A number, a word or a placeholder: it stands in logs for other reasons.
fn is_word(value: &[u8]) -> bool {
    let mut kinds: Vec<u8> = value.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'_' | b' ' | b'.');
    kinds.len() < 5
        || value.iter().all(u8::is_ascii_digit)
        || (value.len() < 24 && value.iter().all(plain))
        || (value.len() < 24 && value.iter().all(u8::is_ascii_uppercase))
}

fn looks_random(value: &[u8]) -> bool {
    let any = |is: fn(&u8) -> bool| value.iter().any(is);
    let mixed =
        any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
    let hex = value.len() >= 32 && value.iter().all(u8::is_ascii_hexdigit);
    value.len() >= 16 && entropy(value) > 3.5 && (mixed || hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_from_what_only_has_such_a_name() {
        let secret = |name: &str, value: &str| is_secret(name, value.as_bytes());
        assert!(secret("DEPLOY_TOKEN", "not-A-real-1"));
        assert!(secret("npm_config_password", "Tr0ub4dor"));
        assert!(secret("MYTOKEN", "q8W2e7R1"));
        assert!(secret("API_KEY", "Zx81Kq07Lm55Pw92"));
        assert!(secret("DATABASE_SECRET", "postgres://u:p4ss@db/x"));

        assert!(!secret("PWD", "/home/runner/work"));
        assert!(!secret("SSH_AUTH_SOCK", "/tmp/agent.1"));
        assert!(!secret("TOKEN", "short"));
        assert!(!secret("DB_PASSWORD", "postgres"));
        assert!(!secret("DB_PASSWORD", "change-me-please"));
        assert!(!secret("TOKEN_COUNT_SECRET", "1234567890"));
        assert!(!secret("CACHE_KEY", "Linux-cargo-Zx81Kq07Lm55Pw92"));
        assert!(!secret("SONAR_PROJECT_KEY", "Zx81Kq07Lm55Pw92"));
        assert!(!secret("SIGNING_KEY_ID", "Zx81Kq07Lm55Pw92"));
        assert!(!secret(
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "https://example.com/Aa1"
        ));
        assert!(!secret("KEY", "just-a-plain-name-of-it"));
        assert!(!secret("PATH_TO", "Zx81Kq07Lm55Pw92"));
    }

    #[test]
    fn there_are_not_too_many() {
        let names: Vec<String> = (0..1_000).map(|n| format!("TOKEN_{n}_SECRET")).collect();
        let variables = names.iter().map(|name| (name.as_str(), &b"aB3$eF6&"[..]));
        assert_eq!(secret_variables(variables).len(), VARIABLES_MAX);
    }
}
