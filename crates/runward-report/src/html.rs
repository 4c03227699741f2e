mod payload;

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runward_detect::{ContentChange, reason_sentence};
use runward_event::{JobIdentity, PolicyRule, Provider};
use sha2::{Digest as _, Sha256};

use crate::diff;
use crate::model::{Blocked, Destination, Detection, ProcessDetail, Report};
use crate::text::{base_name, bytes, clipped, command_line, count, duration, moment, visible};
use crate::{markdown, verdict};

/// `report.html`: one file that needs nothing else, for a person.
///
/// Its content security policy lets nothing be loaded and lets only the script and the style sheet in it run, each
/// named by its hash. What the job can influence stands in a block of data that a browser does not execute, and gets
/// into the page as text only.
pub fn html(report: &Report) -> String {
    let (seen, alarming) = verdict::verdict(report);
    let page = Page {
        command: command_line(&report.command, 400),
        title: command_line(&report.command, 60),
        seen,
        alarming,
        facts: facts(report),
        lost: verdict::lost(report),
        notes: report
            .notes
            .iter()
            .take(NOTES)
            .map(|n| clipped(n, 600))
            .collect(),
        more_notes: report.notes.len().saturating_sub(NOTES),
        finding_count: count(verdict::finding_count(report)),
        findings: verdict::findings(report)
            .chain(verdict::explained(report))
            .take(FINDINGS)
            .map(Finding::new)
            .collect(),
        more_findings: more(
            verdict::finding_count(report).saturating_add(report.counts.explained),
            FINDINGS,
        ),
        blocked_count: count(report.counts.blocked_destinations),
        blocked: report.blocked.iter().take(BLOCKED).map(Stop::new).collect(),
        more_blocked: more(length(&report.blocked), BLOCKED),
        rule_count: verdict::rules(report),
        rules: report.policy.iter().take(RULES).map(Rule::new).collect(),
        more_rules: more(
            length(&report.policy).saturating_add(report.omitted.policy_rules),
            RULES,
        ),
        destinations: report
            .destinations
            .iter()
            .take(DESTINATIONS)
            .map(Row::new)
            .collect(),
        more_destinations: more(report.counts.destinations, DESTINATIONS),
        sums: sums(report),
        content_policy: content_policy(),
        style: STYLE,
        script: SCRIPT,
        data: payload::payload(report),
    };
    // Rendering into memory has nothing that could fail.
    page.render().unwrap_or_default()
}

/// Findings that stand on the page.
const FINDINGS: usize = 200;
/// Destinations in the table for browsers without scripts.
const DESTINATIONS: usize = 200;
/// Refused destinations that stand on the page.
const BLOCKED: usize = 200;
/// Rules of the policy that stand on the page.
const RULES: usize = 1000;
const NOTES: usize = 50;
/// Lines of one diff.
const DIFF_LINES: usize = 300;

const STYLE: &str = include_str!("../assets/report.css");

/// One script, in the order in which its parts build upon each other.
const SCRIPT: &str = concat!(
    include_str!("../assets/js/text.js"),
    include_str!("../assets/js/model.js"),
    include_str!("../assets/js/list.js"),
    include_str!("../assets/js/detail.js"),
    include_str!("../assets/js/tree.js"),
    include_str!("../assets/js/timeline.js"),
    include_str!("../assets/js/tables.js"),
    include_str!("../assets/js/main.js"),
);

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    title: String,
    command: String,
    seen: String,
    alarming: String,
    facts: Vec<(&'static str, String)>,
    lost: Option<String>,
    notes: Vec<String>,
    more_notes: usize,
    finding_count: String,
    findings: Vec<Finding<'a>>,
    more_findings: u64,
    blocked_count: String,
    blocked: Vec<Stop>,
    more_blocked: u64,
    rule_count: Option<String>,
    rules: Vec<Rule>,
    more_rules: u64,
    destinations: Vec<Row>,
    more_destinations: u64,
    sums: Vec<(String, &'static str)>,
    content_policy: String,
    style: &'static str,
    script: &'static str,
    /// JSON without any character that HTML gives a meaning.
    data: String,
}

struct Finding<'a> {
    severity: &'static str,
    detection: &'a str,
    about: String,
    message: String,
    diff: Option<Diff>,
    /// The command and the process id.
    who: Option<(String, u32)>,
    up: String,
    cause: String,
    /// The process's name in this report; 0 when not known.
    process: u64,
}

impl Finding<'_> {
    fn new(d: &Detection) -> Finding<'_> {
        let process = d.process.as_deref();
        Finding {
            severity: markdown::severity(d.severity),
            detection: &d.detection,
            about: clipped(
                d.path
                    .as_deref()
                    .or(d.destination.as_deref())
                    .unwrap_or_default(),
                400,
            ),
            message: clipped(&d.message, 600),
            diff: d.content.as_ref().and_then(Diff::new),
            who: process.map(|p| (command(p, 200), p.pid)),
            up: process.map_or_else(String::new, |p| {
                clipped(&verdict::way_up(p.lineage.iter().map(AsRef::as_ref)), 200)
            }),
            cause: clipped(
                &verdict::cause(d.step.as_deref(), d.dependency.as_deref()),
                200,
            ),
            process: process.map_or(0, |p| p.process.0),
        }
    }
}

/// What changed in a file.
struct Diff {
    summary: String,
    /// Each line with its class.
    lines: Vec<(&'static str, String)>,
    left_out: Option<String>,
}

impl Diff {
    fn new(content: &ContentChange) -> Option<Diff> {
        let lines = diff::lines(content, DIFF_LINES);
        Some(Diff {
            summary: diff::summary(content)?,
            left_out: diff::left_out(content, lines.len()),
            lines: lines
                .into_iter()
                .map(|line| (line.kind.class(), line.text))
                .collect(),
        })
    }
}

/// Something that the fence stopped.
struct Stop {
    destination: String,
    remarks: String,
    command: String,
    pid: u32,
    others: String,
    cause: String,
    why: &'static str,
    via: Option<String>,
    line: Option<String>,
    /// The process's name in this report.
    process: u64,
}

impl Stop {
    fn new(b: &Blocked) -> Stop {
        Stop {
            destination: clipped(&b.destination, 300),
            remarks: verdict::blocked_remarks(b),
            command: command(&b.process, 100),
            pid: b.process.pid,
            others: verdict::other_programs(b).unwrap_or_default(),
            cause: clipped(
                &verdict::cause(b.step.as_deref(), b.dependency.as_deref()),
                200,
            ),
            why: reason_sentence(b.reason),
            via: b.via.as_deref().map(|via| clipped(via, 300)),
            // Not cut: half of it would allow something else.
            line: b.line.as_deref().map(|line| visible(line).into_owned()),
            process: b.process.process.0,
        }
    }
}

/// A rule of the policy in force.
struct Rule {
    number: u32,
    denies: bool,
    text: String,
    source: String,
}

impl Rule {
    fn new(rule: &PolicyRule) -> Rule {
        Rule {
            number: rule.rule,
            denies: rule.denies,
            text: clipped(&rule.text, 300),
            source: clipped(&rule.source, 200),
        }
    }
}

/// A command by the program's short name, in at most so many characters.
fn command(process: &ProcessDetail, max: usize) -> String {
    let name = match base_name(&process.exe) {
        "" => "?",
        name => name,
    };
    let mut words = vec![name.to_owned()];
    words.extend(process.args.iter().skip(1).take(64).cloned());
    command_line(&words, max)
}

struct Row {
    destination: String,
    programs: String,
    cause: String,
    connections: String,
    sent: String,
    received: String,
}

impl Row {
    fn new(d: &Destination) -> Row {
        Row {
            destination: clipped(&d.destination, 300),
            programs: clipped(&verdict::programs(&d.processes), 100),
            cause: clipped(&verdict::causes(d, true), 200),
            connections: count(d.connections),
            sent: bytes(d.bytes_sent),
            received: bytes(d.bytes_received),
        }
    }
}

fn facts(report: &Report) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        (
            "Mode",
            verdict::mode(report).trim_start_matches("mode ").to_owned(),
        ),
        (
            "Tier",
            verdict::tier(report).trim_start_matches("tier ").to_owned(),
        ),
        ("Result", verdict::exit(report)),
        ("Duration", duration(report.duration_seconds)),
    ];
    if let Some(start) = report.start {
        facts.push(("Started", moment(start)));
    }
    let JobIdentity {
        provider,
        project,
        pipeline,
        job,
        run,
        attempt,
        branch,
        commit,
        actor,
        trigger,
        ..
    } = &report.job;
    let provider = match provider {
        Provider::Local => None,
        provider => Some(provider_name(*provider).to_owned()),
    };
    let run = run.as_ref().map(|run| match attempt {
        Some(attempt) if *attempt > 1 => format!("{run}, attempt {attempt}"),
        _ => run.clone(),
    });
    for (label, value) in [
        ("CI", &provider),
        ("Project", project),
        ("Pipeline", pipeline),
        ("Job", job),
        ("Run", &run),
        ("Branch", branch),
        ("Commit", commit),
        ("Actor", actor),
        ("Trigger", trigger),
    ] {
        if let Some(value) = value {
            facts.push((label, clipped(value, 120)));
        }
    }
    if !report.workspace.is_empty() {
        facts.push(("Workspace", clipped(&report.workspace, 160)));
    }
    if !report.kernel.is_empty() {
        facts.push(("Kernel", clipped(&report.kernel, 80)));
    }
    if !report.runward.is_empty() {
        facts.push(("Runward", clipped(&report.runward, 40)));
    }
    facts
}

fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Local => "none",
        Provider::Github => "GitHub Actions",
        Provider::Gitlab => "GitLab CI/CD",
        Provider::Gitea => "Gitea Actions",
        Provider::Jenkins => "Jenkins",
        Provider::Azure => "Azure Pipelines",
        Provider::Circleci => "CircleCI",
        Provider::Buildkite => "Buildkite",
        Provider::Bitbucket => "Bitbucket Pipelines",
        Provider::Woodpecker => "Woodpecker CI",
        Provider::Drone => "Drone",
        _ => "unknown",
    }
}

fn sums(report: &Report) -> Vec<(String, &'static str)> {
    let counts = &report.counts;
    let one = |n, one, many| (count(n), if n == 1 { one } else { many });
    let mut sums = vec![
        one(counts.execs, "program started", "programs started"),
        one(counts.connections, "connection", "connections"),
        one(counts.dns_names, "name looked up", "names looked up"),
        one(counts.file_changes, "file change", "file changes"),
    ];
    if report.unrecorded_file_changes > 0 {
        sums.push((
            count(report.unrecorded_file_changes),
            "more in ignored files",
        ));
    }
    sums
}

fn more(all: u64, shown: usize) -> u64 {
    all.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX))
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn content_policy() -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_the_page_ends_its_own_block() {
        for text in [STYLE, SCRIPT] {
            let lower = text.to_ascii_lowercase();
            for end in ["</script", "</style", "<!--", "]]>", "\r"] {
                assert!(
                    !lower.contains(end),
                    "{end} would end the block or change its hash"
                );
            }
        }
    }
}
