//! What all pages of a run have on top: who the run is, how it stands, what a reader must know first, and the tabs.

use runward_event::Mode;
use runward_report::text::{self, clipped};
use runward_store::{RunState, Tag};

use super::super::address::{Address, external};
use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::{count, counted};
use super::super::pill::{Pill, mode_name, weakened};
use super::super::policies::policy_address;
use super::super::projects::provider_name;
use super::super::run_row::{Mark, mark, run_took};
use super::super::shell::{Section, Shell};
use super::RunSource;
use super::gone::deleted_when;

/// One of the pages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tab {
    Summary,
    Network,
    Https,
    Files,
    Processes,
    Detections,
    Policy,
    Steps,
}

/// What all pages of a run have on top; `templates/run/frame.html` shows it.
pub(crate) struct Frame {
    pub(crate) job: Text,
    pub(crate) project: Text,
    pub(crate) project_href: String,
    pub(crate) pipeline: Text,
    pub(crate) pipeline_href: String,
    pub(crate) mark: Mark,
    pub(crate) state: Pill,
    pub(crate) mode: Pill,
    pub(crate) requested: Option<&'static str>,
    pub(crate) tier: Pill,
    pub(crate) tags: Vec<Pill>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) started: Moment,
    pub(crate) started_absolute: Moment,
    /// The run at its provider.
    pub(crate) provider: &'static str,
    pub(crate) provider_href: Option<String>,
    /// The address as the job gave it, where it can't be linked.
    pub(crate) provider_text: Option<Text>,
    /// The named policy that is in effect for the job now, with its page.
    pub(crate) policy: Option<(Text, String)>,
    pub(crate) banners: Vec<Banner>,
    pub(crate) tabs: Vec<TabLink>,
    /// Changes when the page may have changed.
    pub(crate) version: i64,
    pub(crate) live: bool,
}

pub(crate) struct Fact {
    pub(crate) label: &'static str,
    pub(crate) value: Text,
    pub(crate) code: bool,
    pub(crate) tone: &'static str,
}

/// What a reader must know before anything else.
pub(crate) struct Banner {
    pub(crate) tone: &'static str,
    pub(crate) title: String,
    pub(crate) text: String,
}

pub(crate) struct TabLink {
    pub(crate) label: &'static str,
    pub(crate) href: String,
    pub(crate) current: bool,
    pub(crate) count: Option<String>,
    pub(crate) alarm: bool,
}

impl Frame {
    /// The frame, and the shell with the page's title.
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>, tab: Tab) -> (Shell, Frame) {
        let run = source.run;
        let job = Text::new(&run.job, 80);
        let shell = shell.titled(&format!("{}: {}", tab.label(), job.plain()), Section::Runs);
        let project = run.project.0.to_string();
        let runs = shell.at(&["runs"]).with("project", &project);
        let url = run.url.as_deref();
        let provider_href = url.and_then(external);
        let frame = Frame {
            job,
            project: Text::new(&source.project.name, 80),
            project_href: runs.to_string(),
            pipeline: Text::new(&run.pipeline, 80),
            pipeline_href: runs
                .with_some(
                    "pipeline",
                    Some(&run.pipeline.chars().take(200).collect::<String>()),
                )
                .to_string(),
            mark: mark(run),
            state: Pill::state(run.state),
            mode: Pill::mode(run.effective_mode),
            requested: weakened(run.requested_mode, run.effective_mode),
            tier: Pill::tier(run.tier),
            tags: run.tags.list().into_iter().map(Pill::tag).collect(),
            facts: facts(source),
            started: Moment::ago(run.started_at, source.now),
            started_absolute: Moment::absolute(run.started_at),
            provider: provider_name(run.provider),
            provider_text: url
                .filter(|_| provider_href.is_none())
                .map(|url| Text::new(url, 80)),
            provider_href,
            policy: source.policies.first().map(|found| {
                (
                    Text::new(&found.policy.name, 48),
                    policy_address(&shell, found.policy.id).to_string(),
                )
            }),
            banners: banners(source),
            tabs: Tab::ALL
                .into_iter()
                .map(|t| t.link(&shell, source, t == tab))
                .collect(),
            version: run.events,
            live: run.state == RunState::Running,
        };
        (shell, frame)
    }
}

/// The address of a tab of a run.
pub(crate) fn tab_address(shell: &Shell, run: &str, tab: Tab) -> Address {
    shell.at(&["runs", run, tab.path()])
}

impl Tab {
    const ALL: [Tab; 8] = [
        Tab::Summary,
        Tab::Network,
        Tab::Https,
        Tab::Files,
        Tab::Processes,
        Tab::Detections,
        Tab::Policy,
        Tab::Steps,
    ];

    fn path(self) -> &'static str {
        match self {
            Tab::Summary => "",
            Tab::Network => "network",
            Tab::Https => "https",
            Tab::Files => "files",
            Tab::Processes => "processes",
            Tab::Detections => "detections",
            Tab::Policy => "policy",
            Tab::Steps => "steps",
        }
    }

    /// The tab whose address ends with this.
    pub(crate) fn named(path: &str) -> Option<Tab> {
        Tab::ALL.into_iter().find(|tab| tab.path() == path)
    }

    fn label(self) -> &'static str {
        match self {
            Tab::Summary => "Summary",
            Tab::Network => "Network",
            Tab::Https => "HTTPS",
            Tab::Files => "Files",
            Tab::Processes => "Processes",
            Tab::Detections => "Detections",
            Tab::Policy => "Policy",
            Tab::Steps => "Steps",
        }
    }

    fn link(self, shell: &Shell, source: &RunSource<'_>, current: bool) -> TabLink {
        let run = source.run;
        let n = match self {
            Tab::Network => run.connections,
            Tab::Files => run.file_changes,
            Tab::Processes => run.processes,
            Tab::Detections => run.detections,
            _ => 0,
        };
        TabLink {
            label: self.label(),
            href: tab_address(shell, &run.id, self).to_string(),
            current,
            count: (n > 0).then(|| count(n)),
            alarm: self == Tab::Detections,
        }
    }
}

fn facts(source: &RunSource<'_>) -> Vec<Fact> {
    let run = source.run;
    let mut facts = Vec::new();
    let mut add = |label, value: Text, code, tone| {
        facts.push(Fact {
            label,
            value,
            code,
            tone,
        })
    };
    add(
        "Requested mode",
        Text::new(mode_name(run.requested_mode), 20),
        false,
        "",
    );
    let tone = if weakened(run.requested_mode, run.effective_mode).is_some() {
        "alarm"
    } else {
        ""
    };
    add(
        "Effective mode",
        Text::new(mode_name(run.effective_mode), 20),
        false,
        tone,
    );
    add(
        "Duration",
        Text::new(&run_took(run, source.now), 20),
        false,
        "",
    );
    let (exit, tone) = match (run.exit_code, run.state) {
        (Some(0), _) => ("0".to_owned(), ""),
        (Some(code), _) => (code.to_string(), "alarm"),
        (None, RunState::Running) => ("still running".to_owned(), ""),
        (None, _) => ("unknown".to_owned(), "warn"),
    };
    add("Exit code", Text::new(&exit, 20), false, tone);
    add("Host", Text::new(&run.host, 48), false, "");
    if let Some(branch) = &run.branch {
        add("Branch", Text::new(branch, 48), true, "");
    }
    if let Some(commit) = &run.commit {
        add("Commit", Text::hash(commit), true, "");
    }
    if let Some(actor) = &run.actor {
        add("Actor", Text::new(actor, 48), false, "");
    }
    if let Some(trigger) = &run.trigger {
        add("Trigger", Text::new(trigger, 48), false, "");
    }
    if let Some(attempt) = run.attempt.filter(|attempt| *attempt > 1) {
        add("Attempt", Text::new(&count(attempt), 20), false, "");
    }
    facts
}

fn banners(source: &RunSource<'_>) -> Vec<Banner> {
    let RunSource {
        run, report, now, ..
    } = *source;
    let mut banners = Vec::new();
    let mut add = |tone, title: &str, text: String| {
        banners.push(Banner {
            tone,
            title: title.to_owned(),
            text,
        });
    };
    if let Some(deleted) = run.events_deleted {
        add(
            "info",
            "The events of this run were deleted",
            format!(
                "{}. What stands here is what was kept besides.",
                deleted_when(deleted)
            ),
        );
    }
    if let Some(requested) = weakened(run.requested_mode, run.effective_mode) {
        let effective = mode_name(run.effective_mode);
        let consequence = match run.effective_mode {
            Some(Mode::Block) => "what the policy does not allow was stopped",
            Some(Mode::Audit) => "nothing was stopped",
            None => "it is not known whether anything would have been stopped",
        };
        add(
            "alarm",
            "The effective mode is not the one that was asked for.",
            format!("Asked for: {requested}. In force: {effective}; {consequence}."),
        );
    }
    if run.tags.has(Tag::NotMonitored) {
        add(
            "alarm",
            "This job was not watched.",
            "What stands here is what the job said of itself; what it did is not known.".to_owned(),
        );
    }
    if run.lost > 0 {
        let kinds = lost_kinds(source);
        add(
            "warn",
            "Events were lost.",
            format!(
                "{} missing from this record{kinds}. What is shown is true, and not everything.",
                counted(run.lost, "event is", "events are"),
            ),
        );
    }
    if run.state == RunState::Silent {
        add(
            "warn",
            "The record is incomplete.",
            format!(
                "The last event came {} ago, and the end of the job never did: the machine was cut off, or the agent was \
                 stopped. This is what was seen until then.",
                text::duration(now.saturating_sub(run.last_seen_at).max(0) as f64 / 1000.0),
            ),
        );
    }
    let omitted = report.omitted;
    if !omitted.is_empty() && run.state != RunState::Running {
        add(
            "info",
            "Some lists are cut.",
            "The job did more than a page can list. The sums hold everything, and so do the run's raw events.".to_owned(),
        );
    }
    banners
}

/// `: 1,204 of file, 3 of dns`.
fn lost_kinds(source: &RunSource<'_>) -> String {
    let kinds: Vec<String> = source
        .report
        .lost_events
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(kind, n)| format!("{} of kind {}", text::count(*n), clipped(kind.name(), 40)))
        .collect();
    if kinds.is_empty() {
        String::new()
    } else {
        format!(": {}", kinds.join(", "))
    }
}
