use std::fmt::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use runward_policy::{
    Action, Actor, Decision, Difference, Endpoint, Host, Matcher, Name, NearMiss, Policy, Question,
    RuleId, RuleView, Transport, Transports, Verdict,
};
use runward_report::text::visible;
use serde::Serialize;

use super::sources::{Failure, Inputs};
use super::{print, print_json, read, refuse, render, show};
use crate::cli::ExplainOptions;
use crate::exit;

/// What `runward policy explain --json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Explanation {
    destination: String,
    allowed: bool,
    #[serde(flatten)]
    decision: Decision,
    /// The rules that the verdict names.
    because: Vec<RuleView>,
    /// The sources whose list of allowed endpoints lacks it.
    missing_in: Vec<String>,
    /// Rules about the same host that do not apply.
    near: Vec<Near>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Near {
    differs: Vec<Difference>,
    rule: RuleView,
}

/// One destination.
struct Destination {
    name: Option<Name>,
    ip: Option<IpAddr>,
    port: u16,
    transport: Transport,
}

/// `runward policy explain`.
pub(super) fn explain(options: &ExplainOptions) -> ExitCode {
    let destination = match destination(&options.destination, options.ip) {
        Ok(destination) => destination,
        Err(error) => return refuse(&Failure::Input(error), options.json),
    };
    // A policy that is named is asked by itself.
    let named = options.policy.is_some() || !options.sources.is_empty();
    let variable = |name: &str| std::env::var_os(name);
    let read = read(&Inputs {
        flags: &options.sources,
        file: options.policy.as_deref(),
        workspace: (!named).then_some("".as_ref()),
        variable: (!named).then_some(&variable),
    });
    let read = match read {
        Ok(read) => read,
        Err(failure) => return refuse(&failure, options.json),
    };
    let matcher = Matcher::new(read.policy);
    let question = Question {
        name: destination.name.as_ref(),
        ip: destination.ip,
        port: destination.port,
        transport: destination.transport,
        actor: Actor {
            step: options.step.as_deref(),
            executable: options.executable.as_deref(),
            image: options.image.as_deref(),
        },
    };
    let explanation = explanation(&matcher, &question);
    if options.json {
        print_json(&explanation);
    } else {
        render::warnings(&read.warnings);
        print(&page(&explanation));
    }
    if explanation.allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(exit::FAILURE)
    }
}

/// Reads a destination: an endpoint of one host and one port.
fn destination(text: &str, ip: Option<IpAddr>) -> Result<Destination> {
    let endpoint = Endpoint::parse(text.trim(), Action::Allow).map_err(|problem| {
        let meant = problem
            .meant
            .map(|meant| format!("; did you mean `{meant}`?"));
        anyhow!(
            "`{}`: {}{}",
            visible(text),
            problem.what,
            visible(&meant.unwrap_or_default())
        )
    })?;
    let one_port = match endpoint.ports.ranges() {
        [range] if range.first == range.last => Some(range.first),
        _ => None,
    };
    let transport = match endpoint.transports {
        Transports::Tcp => Some(Transport::Tcp),
        Transports::Udp => Some(Transport::Udp),
        Transports::Any => None,
    };
    let host = match endpoint.host {
        Host::Name(name) => Some((Some(name), ip)),
        Host::Net(net) if net.prefix_len() == net.max_prefix_len() => {
            Some((None, Some(net.addr())))
        }
        Host::Pattern(_) | Host::Net(_) | Host::Any => None,
    };
    match (host, one_port, transport) {
        (Some((name, ip)), Some(port), Some(transport)) => Ok(Destination {
            name,
            ip,
            port,
            transport,
        }),
        _ => Err(anyhow!(
            "`{}` is more than one destination: name one host, one port and one transport",
            visible(text)
        )),
    }
}

fn explanation(matcher: &Matcher, question: &Question<'_>) -> Explanation {
    let policy = matcher.policy();
    let decision = matcher.decide(question);
    let (because, missing): (&[RuleId], &[usize]) = match &decision {
        Decision::Judged(Verdict::Allowed { rules }) => (rules, &[]),
        Decision::Judged(Verdict::Denied { rule }) => (std::slice::from_ref(rule), &[]),
        Decision::Judged(Verdict::NotAllowed { layers, .. }) => (&[], layers),
        Decision::Implicit { .. } => (&[], &[]),
    };
    let view = |id: &RuleId| Some(RuleView::of(*id, policy.rule(*id)?));
    let near = |miss: NearMiss| {
        Some(Near {
            differs: miss.differs,
            rule: view(&miss.rule)?,
        })
    };
    let near_misses = if decision.is_allowed() {
        Vec::new()
    } else {
        matcher.near_misses(question)
    };
    Explanation {
        destination: spelled(question),
        allowed: decision.is_allowed(),
        because: because.iter().filter_map(view).collect(),
        missing_in: missing
            .iter()
            .filter_map(|layer| layer_name(policy, *layer))
            .collect(),
        near: near_misses.into_iter().filter_map(near).collect(),
        decision,
    }
}

fn layer_name(policy: &Policy, layer: usize) -> Option<String> {
    Some(policy.layers().get(layer)?.source.name().to_owned())
}

fn spelled(question: &Question<'_>) -> String {
    Endpoint::of(
        question.name,
        question.ip,
        question.port,
        question.transport,
    )
    .map(|endpoint| endpoint.to_string())
    .unwrap_or_default()
}

fn page(explanation: &Explanation) -> String {
    let destination = &explanation.destination;
    let mut text = match &explanation.decision {
        Decision::Judged(Verdict::Allowed { .. }) => format!("{destination} is allowed by\n"),
        Decision::Judged(Verdict::Denied { .. }) => format!("{destination} is denied by\n"),
        Decision::Implicit { why } => {
            format!("{destination} needs no rule: {}\n", why.sentence())
        }
        Decision::Judged(Verdict::NotAllowed { .. }) => {
            let sources = if explanation.missing_in.is_empty() {
                "there is no list of allowed endpoints".to_owned()
            } else {
                format!(
                    "no line of {} allows it",
                    visible(&explanation.missing_in.join(" and of "))
                )
            };
            format!("{destination} is not allowed: {sources}\n")
        }
    };
    for rule in &explanation.because {
        // Writing to a string can't fail.
        let _ = writeln!(text, "  {}", show::line(rule, 0));
    }
    if let Decision::Judged(Verdict::NotAllowed {
        suggestion: Some(line),
        ..
    }) = &explanation.decision
    {
        let quote = if line.to_string().starts_with('[') {
            "\""
        } else {
            ""
        };
        let _ = writeln!(text, "This line would allow it:\n  - {quote}{line}{quote}");
    }
    if !explanation.near.is_empty() {
        text.push_str("About the same host, and not for this:\n");
    }
    for near in &explanation.near {
        let _ = writeln!(
            text,
            "  {} ({})",
            show::line(&near.rule, 0),
            differs(&near.differs)
        );
    }
    text
}

fn differs(differs: &[Difference]) -> String {
    let words: Vec<&str> = differs
        .iter()
        .map(|difference| match difference {
            Difference::Port => "other ports",
            Difference::Transport => "the other transport",
            Difference::Narrowing => "other processes",
        })
        .collect();
    words.join(", ")
}
