//! What rules cost: events a second with none, 10 and 100 of them, and for events that no rule asks for.
//!
//! `cargo run --release -p runward-rules --example cost -- events.jsonl`; without a file, a made-up job of
//! processes with twelve arguments and connections.

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use runward_detect::Observer as _;
use runward_event::{Event, parse_line};
use runward_rules::Rules;
use runward_tree::Tree;

/// How often the record is gone through; the best counts.
const ROUNDS: usize = 5;

/// Conditions as people write them, in turn.
const CONDITIONS: [(&str, &str); 5] = [
    (
        "connect",
        "event.name == \"registry.example\" && process.step != \"release\"",
    ),
    (
        "connect",
        "event.port in [22, 2222] && !event.ip.inNetwork(\"10.0.0.0/8\")",
    ),
    (
        "process_exec",
        "process.name in [\"sh\", \"bash\"] && !process.args.exists(a, a == \"-c\")",
    ),
    (
        "process_exec",
        "event.exe.startsWith(\"/tmp/\") && process.ancestors.exists(p, p.name == \"npm\")",
    ),
    (
        "process_exec",
        "process.args.exists(a, a.matches(\"https?://[0-9.]+/\"))",
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let text = match std::env::args().nth(1) {
        Some(path) => std::fs::read_to_string(path)?,
        None => made_up(20_000),
    };
    let events: Vec<Event> = text
        .lines()
        .filter_map(|line| parse_line(line).ok())
        .collect();
    let wanted = |event: &&Event| matches!(event.body.kind(), "connect" | "process_exec");
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{} events, {} of them of kinds that rules ask for",
        events.len(),
        events.iter().filter(wanted).count()
    )?;
    for (name, rules) in [
        ("no rules", None),
        (
            "1 rule for a kind that does not occur",
            Some(file(1, Some("tamper"))),
        ),
        ("10 rules", Some(file(10, None))),
        ("100 rules", Some(file(100, None))),
    ] {
        let mut best = f64::INFINITY;
        let mut found = 0;
        for _ in 0..ROUNDS {
            let mut rules = rules.as_deref().map(read).transpose()?;
            let mut tree = Tree::default();
            let mut findings = Vec::new();
            let start = Instant::now();
            for event in &events {
                tree.apply(event);
                if let Some(rules) = &mut rules {
                    rules.observe(event, &tree, &mut findings);
                }
            }
            best = best.min(start.elapsed().as_secs_f64());
            found = findings.len();
        }
        writeln!(
            out,
            "{name}: {:.0} events/s, {:.2} µs an event, {found} findings",
            events.len() as f64 / best,
            best * 1e6 / events.len() as f64
        )?;
    }
    Ok(())
}

fn read(text: &str) -> Result<Rules, String> {
    Rules::read(text).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("\n")
    })
}

fn file(rules: usize, on: Option<&str>) -> String {
    let mut text = "rules:\n".to_owned();
    for (number, (kind, when)) in CONDITIONS.iter().cycle().take(rules).enumerate() {
        let (on, when) = match on {
            Some(on) => (on, "process.uid == 4242"),
            None => (*kind, *when),
        };
        text += &format!(
            "  - id: rule-{number}\n    title: Rule {number}\n    severity: low\n    on: {on}\n    when: |\n      {when}\n"
        );
    }
    text
}

/// A job whose processes each begin, connect and end.
fn made_up(processes: u64) -> String {
    let mut text = String::new();
    let mut seq = 0;
    let mut add = |kind: &str, rest: String| {
        seq += 1;
        let time = format!("2026-08-01T09:00:{:02}.{:09}Z", seq / 10_000 % 60, seq);
        text += &format!("{{\"seq\":{seq},\"time\":\"{time}\",\"kind\":\"{kind}\",{rest}}}\n");
    };
    add(
        "process_exec",
        "\"process\":1,\"pid\":1,\"ppid\":0,\"exe\":\"/usr/bin/make\",\"path\":\"make\",\"args\":[\"make\"],\"cwd\":\"/b\",\"uid\":0,\"gid\":0".to_owned(),
    );
    for process in 2..processes + 2 {
        let parent = if process % 8 == 2 { 1 } else { process - 1 };
        add(
            "process_fork",
            format!(
                "\"process\":{process},\"pid\":{process},\"parent\":{parent},\"ppid\":{parent}"
            ),
        );
        let args = "\"-O2\",".repeat(10);
        add(
            "process_exec",
            format!(
                "\"process\":{process},\"pid\":{process},\"ppid\":{parent},\"parent\":{parent},\"exe\":\"/usr/bin/cc\",\"path\":\"/usr/bin/cc\",\"args\":[\"cc\",{args}\"src/f{process}.c\"],\"cwd\":\"/builds/app\",\"uid\":0,\"gid\":0"
            ),
        );
        add(
            "connect",
            format!(
                "\"connection\":{process},\"process\":{process},\"pid\":{process},\"protocol\":\"tcp\",\"ip\":\"198.51.100.7\",\"port\":443,\"status\":\"allowed\",\"name\":\"cache.example\""
            ),
        );
        if process % 8 == 1 {
            for gone in process - 7..=process {
                add(
                    "process_exit",
                    format!("\"process\":{gone},\"pid\":{gone},\"code\":0"),
                );
            }
        }
    }
    text
}
