use runward_event::{Body, Encoding, Event, OutputPlace, SecretFound};
use runward_tree::Tree;

use crate::once::Once;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "secret-in-output",
    title: "A secret stands in what the job printed or left behind",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "secret_found events: an output that is no terminal, or --artifacts",
    next: "Change the secret: whoever can read the log or the artifact has it. Encoded, it was meant to get past the CI \
           system's masking, so look at what the process was started by, too.",
};

/// How GitHub's runner holds secrets in its memory: nothing else looks so.
const RUNNER_SECRET: &str = "github-runner-secret";
/// Bytes of a hash and of a path that tell one finding from another; the agent writes less.
const KEY_MAX: usize = 4_096;

/// Each secret is told once for each place and encoding.
#[derive(Default)]
pub(crate) struct SecretInOutput {
    told: Once<(String, Encoding, OutputPlace, Option<String>)>,
}

impl Detection for SecretInOutput {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::SecretFound(secret) = &event.body else {
            return;
        };
        let key = (
            cut(&secret.hash),
            secret.encoding,
            secret.place,
            secret.path.as_deref().map(cut),
        );
        if !self.told.is_new(key) {
            return;
        }
        let mut finding = ABOUT.finding(event, secret.process, message(secret, tree));
        finding.severity = severity(secret);
        if secret.variable.is_some() || secret.verified {
            finding.confidence = Confidence::High;
        }
        finding.path.clone_from(&secret.path);
        findings.push(finding);
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(KEY_MAX)].to_owned()
}

/// What is certain to be a secret, or hidden on purpose, is worse than what looks like one: CI systems mask plain values
/// that they know.
fn severity(secret: &SecretFound) -> Severity {
    let encoded = secret.encoding != Encoding::Plain;
    let hidden = encoded && secret.variable.is_some();
    if hidden || secret.verified || secret.rule == RUNNER_SECRET {
        Severity::High
    } else {
        Severity::Medium
    }
}

fn message(secret: &SecretFound, tree: &Tree) -> String {
    let what = match &secret.variable {
        Some(variable) => format!("the value of {}", quote(variable)),
        None if secret.verified => format!("a secret ({}, checksum right)", quote(&secret.rule)),
        None => format!("what looks like a secret ({})", quote(&secret.rule)),
    };
    let how = match secret.encoding {
        Encoding::Base64 => ", in base64",
        Encoding::Base64Twice => ", in base64 twice",
        Encoding::Plain | Encoding::Other | _ => "",
    };
    if let Some(path) = &secret.path {
        return format!(
            "{what} stands in {}, line {}{how}",
            quote(path),
            secret.line
        );
    }
    let place = match secret.place {
        OutputPlace::Stdout => "standard output",
        OutputPlace::Stderr => "standard error",
        _ => "the output",
    };
    let line = secret.line;
    match secret.process {
        Some(_) => {
            let who = actor(tree, secret.process, secret.pid);
            format!("{what} was printed to {place}, line {line}{how}, while this ran: {who}")
        }
        None => format!("{what} was printed to {place}, line {line}{how}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use runward_event::Time;

    use super::*;

    fn secret(variable: Option<&str>, encoding: Encoding) -> SecretFound {
        SecretFound {
            process: None,
            pid: 0,
            place: OutputPlace::Stdout,
            path: None,
            line: 3,
            rule: "some-token".to_owned(),
            variable: variable.map(str::to_owned),
            encoding,
            verified: false,
            hash: "00".to_owned(),
            raw: BTreeMap::new(),
        }
    }

    fn findings(secrets: Vec<SecretFound>) -> Vec<(Severity, String)> {
        let mut detection = SecretInOutput::default();
        let mut findings = Vec::new();
        for (seq, secret) in (1..).zip(secrets) {
            let event = Event {
                seq,
                time: Time::from_unix_nanos(seq),
                body: Body::SecretFound(Box::new(secret)),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
        }
        let told = findings.into_iter();
        told.map(|finding| (finding.severity, finding.message))
            .collect()
    }

    #[test]
    fn what_is_hidden_or_certain_is_worse() {
        let of = |secret| findings(vec![secret])[0].0;
        assert_eq!(of(secret(None, Encoding::Plain)), Severity::Medium);
        assert_eq!(of(secret(None, Encoding::Base64)), Severity::Medium);
        assert_eq!(of(secret(Some("T"), Encoding::Plain)), Severity::Medium);
        assert_eq!(of(secret(Some("T"), Encoding::Base64)), Severity::High);
        let mut verified = secret(None, Encoding::Plain);
        verified.verified = true;
        assert_eq!(of(verified), Severity::High);
        let mut runner = secret(None, Encoding::Base64Twice);
        runner.rule = RUNNER_SECRET.to_owned();
        assert_eq!(of(runner), Severity::High);
    }

    #[test]
    fn a_secret_is_told_once_in_each_place_and_encoding() {
        let twice = |encoding| [secret(Some("T"), encoding), secret(Some("T"), encoding)];
        let mut all: Vec<SecretFound> = Vec::new();
        all.extend(twice(Encoding::Plain));
        all.extend(twice(Encoding::Base64Twice));
        let mut file = secret(Some("T"), Encoding::Plain);
        file.path = Some("dist/a\nb.log".to_owned());
        file.place = OutputPlace::File;
        all.push(file);
        let messages: Vec<String> = findings(all).into_iter().map(|(_, text)| text).collect();
        assert_eq!(
            messages,
            [
                "the value of T was printed to standard output, line 3",
                "the value of T was printed to standard output, line 3, in base64 twice",
                "the value of T stands in dist/a\u{FFFD}b.log, line 3",
            ]
        );
    }
}
