//! What is a secret by its own form.

use crate::*;

fn rules(text: &str) -> Vec<String> {
    let found = found_in(text).into_iter();
    found.map(|one| one.rule).collect()
}

/// A text of so many of these characters, which looks like chance and is the same each time.
fn random(length: usize, of: &str) -> String {
    let of: Vec<char> = of.chars().collect();
    let mut state = 12_345_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
            of[usize::try_from(state >> 33).unwrap() % of.len()]
        })
        .collect()
}

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

#[test]
fn tokens_of_services_are_known() {
    for (prefix, length, of, rule) in [
        (
            "AKIA",
            16,
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
            "aws-access-token",
        ),
        ("ghp_", 36, LETTERS, "github-pat"),
        ("github_pat_", 82, LETTERS, "github-fine-grained-pat"),
        ("npm_", 36, LETTERS, "npm-access-token"),
        ("dop_v1_", 64, "0123456789abcdef", "digitalocean-pat"),
        ("sk_live_", 24, LETTERS, "stripe-access-token"),
        (
            "hf_",
            34,
            "abcdefghijklmnopqrstuvwxyz",
            "huggingface-access-token",
        ),
    ] {
        let token = format!("{prefix}{}", random(length, of));
        assert_eq!(rules(&format!("+ export X={token}\n")), [rule]);
        assert_eq!(rules(&format!("{{\"x\":\"{token}\"}}")), [rule]);
    }
}

#[test]
fn a_token_without_chance_in_it_is_an_example() {
    assert_eq!(rules(&format!("ghp_{}", "x".repeat(36))), [""; 0]);
    assert_eq!(rules(&format!("AKIA{}", "IOSFODNN7EXAMPLE")), [""; 0]);
}

/// Text in the form of a private key.
fn pem(headers: &str, separator: &str) -> String {
    let body = wrapped(random(900, LETTERS), 64);
    let body = body.replace('\n', separator);
    let (begin, end) = ("-----BEGIN RSA PRIVATE", "-----END RSA PRIVATE");
    format!("{begin} KEY-----{separator}{headers}{body}{end} KEY-----\n")
}

#[test]
fn private_keys_are_found_in_lines_and_in_one() {
    for text in [
        pem("", "\n"),
        pem("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", "\n"),
        pem("", "\\n"),
        pem("", "\r\n"),
        pem("", "\n#12 0.345 "),
    ] {
        assert_eq!(rules(&format!("cat key\n{text}")), ["private-key"]);
        assert_eq!(rules(&base64(&text)), ["private-key"]);
    }
    assert_eq!(rules("-----BEGIN CERTIFICATE-----\n"), [""; 0]);
    let public = pem("", "\n").replace("PRIVATE", "PUBLIC");
    assert_eq!(rules(&public), [""; 0]);
    let only_named = format!("{} KEY----- is how it begins\n", "-----BEGIN PRIVATE");
    assert_eq!(rules(&only_named), [""; 0]);
}

#[test]
fn the_line_of_a_key_is_the_one_that_announces_it() {
    let found = found_in(format!("a\nb\n{}", pem("", "\n")));
    assert_eq!(found[0].line, 3);
}
