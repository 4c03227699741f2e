//! Notifications: the channels, and the log of what was sent to them.

use askama::Template;
use runward_store::{
    Channel, ChannelKind, Cursor, Delivery, DeliveryFilter, DeliveryState, Millis, NewChannel,
    Page, PageRequest, ProjectSummary, RunScope,
};

use super::address::Address;
use super::hostile::Text;
use super::moment::Moment;
use super::number::{count, counted};
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::shell::{Section, Shell};
use crate::notify::Every;

/// Messages on one page.
const ROWS: u32 = 50;

/// What the address of the page says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NotificationsQuery {
    channel: Option<i64>,
    state: Option<DeliveryState>,
    after: Option<Cursor>,
}

const STATES: [(Option<DeliveryState>, &str); 4] = [
    (None, "All"),
    (Some(DeliveryState::Waiting), "Waiting"),
    (Some(DeliveryState::Delivered), "Delivered"),
    (Some(DeliveryState::Dead), "Given up"),
];

impl NotificationsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> NotificationsQuery {
        NotificationsQuery {
            channel: query::number(pairs, "channel"),
            state: query::text(pairs, "state").and_then(|word| DeliveryState::parse(&word)),
            after: query::cursor(pairs, "after"),
        }
    }

    /// Which messages are wanted.
    pub(crate) fn filter(&self) -> DeliveryFilter {
        DeliveryFilter {
            channel: self.channel,
            state: self.state,
        }
    }

    /// Which part of them.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }
}

/// Where the page is.
pub(super) fn address(shell: &Shell) -> Address {
    shell.at(&["settings", "notifications"])
}

fn log_address(shell: &Shell, state: Option<DeliveryState>, channel: Option<i64>) -> Address {
    let channel = channel.map(|id| id.to_string());
    address(shell)
        .with_some("state", state.map(DeliveryState::word))
        .with_some("channel", channel.as_deref())
}

/// The log of one channel.
pub(super) fn log_of(shell: &Shell, channel: i64) -> String {
    format!("{}#log", log_address(shell, None, Some(channel)))
}

/// What the page shows.
pub(crate) struct NotificationsParts<'a> {
    pub(crate) channels: &'a [Channel],
    pub(crate) projects: &'a [ProjectSummary],
    pub(crate) deliveries: &'a Page<Delivery>,
    /// How long an hour of a digest is.
    pub(crate) hour: Millis,
}

/// `/o/{org}/settings/notifications`.
///
/// Its forms: `settings/notifications/{id}` (action=test), `settings/notifications/deliveries/{id}` (action=again); each
/// with csrf.
#[derive(Template)]
#[template(path = "notifications.html")]
pub(crate) struct NotificationsPage {
    shell: Shell,
    settings_href: String,
    new_href: String,
    channels: Vec<ChannelRow>,
    /// Messages that were given up, in all, and where they are listed.
    dead: Option<(String, String)>,
    states: Vec<Facet>,
    /// The only channel whose messages are listed, and the way to all.
    only: Option<(Text, String)>,
    /// Whether every message is listed.
    all: bool,
    rows: Vec<DeliveryRow>,
    older: Older,
}

struct Facet {
    label: &'static str,
    href: String,
    current: bool,
}

struct ChannelRow {
    name: Text,
    href: String,
    kind: &'static str,
    target: Text,
    told: Told,
    health: HealthCell,
    action: String,
}

struct DeliveryRow {
    created: Moment,
    channel: Text,
    channel_href: String,
    what: Text,
    /// `and 3 more`.
    more: Option<String>,
    severity: Option<Pill>,
    outcome: Pill,
    /// When it ended, or is tried next.
    at: Option<Moment>,
    attempts: String,
    error: Option<Text>,
    /// Where the form goes that sends it again.
    again: Option<String>,
}

impl NotificationsPage {
    /// Everything of the page.
    pub(crate) fn new(
        shell: Shell,
        query: &NotificationsQuery,
        parts: &NotificationsParts<'_>,
        now: Millis,
    ) -> NotificationsPage {
        let shell = shell.titled("Notifications", Section::Settings);
        let own = log_address(&shell, query.state, query.channel);
        let dead: i64 = parts.channels.iter().map(|c| c.health.dead).sum();
        let all = log_address(&shell, query.state, None);
        let only = query.channel.map(|id| {
            let known = parts.channels.iter().find(|channel| channel.id == id);
            let name = known.map_or("a channel that was removed", |c| &c.kept.name);
            (Text::new(name, 80), format!("{all}#log"))
        });
        NotificationsPage {
            settings_href: shell.at(&["settings"]).to_string(),
            new_href: shell.at(&["settings", "notifications", "new"]).to_string(),
            channels: parts
                .channels
                .iter()
                .map(|channel| ChannelRow::new(&shell, channel, parts, now))
                .collect(),
            dead: (dead > 0).then(|| {
                let list = log_address(&shell, Some(DeliveryState::Dead), None);
                let said = counted(dead, "message was", "messages were");
                (said, format!("{list}#log"))
            }),
            states: STATES
                .into_iter()
                .map(|(state, label)| Facet {
                    label,
                    href: format!("{}#log", log_address(&shell, state, query.channel)),
                    current: state == query.state,
                })
                .collect(),
            only,
            all: query.state.is_none() && query.channel.is_none(),
            rows: parts
                .deliveries
                .rows
                .iter()
                .map(|row| DeliveryRow::new(&shell, row, now))
                .collect(),
            older: Older {
                next: parts
                    .deliveries
                    .next
                    .map(|next| format!("{}#log", own.clone().with("after", &next.to_text()))),
                newest: query.after.map(|_| format!("{own}#log")),
            },
            shell,
        }
    }
}

impl ChannelRow {
    fn new(
        shell: &Shell,
        channel: &Channel,
        parts: &NotificationsParts<'_>,
        now: Millis,
    ) -> ChannelRow {
        let kept = &channel.kept;
        let id = channel.id.to_string();
        let own = shell.at(&["settings", "notifications", &id]).to_string();
        ChannelRow {
            name: Text::new(&kept.name, 60),
            href: own.clone(),
            kind: kind_name(kept.kind),
            target: Text::new(&kept.target, 60),
            told: Told::new(kept, parts.projects, parts.hour),
            health: HealthCell::new(shell, channel, now),
            action: own,
        }
    }
}

/// What people call a kind of channel.
pub(super) fn kind_name(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Email => "Mail",
        ChannelKind::Slack => "Slack (address)",
        ChannelKind::SlackBot => "Slack (app)",
        ChannelKind::Teams => "Microsoft Teams",
        ChannelKind::Webhook => "Webhook",
        ChannelKind::Syslog => "Syslog",
        ChannelKind::OtlpLogs => "OpenTelemetry",
        ChannelKind::S3 => "Bucket (S3)",
        ChannelKind::GithubCheck => "GitHub check",
        ChannelKind::GitlabStatus => "GitLab status",
    }
}

/// What a channel is told, in short words.
struct Told {
    what: String,
    project: Option<Text>,
    when: String,
}

impl Told {
    fn new(kept: &NewChannel, projects: &[ProjectSummary], hour: Millis) -> Told {
        let wants = &kept.wants;
        let project = wants.project.map(|id| {
            let known = projects.iter().find(|p| p.project.id == id);
            let name = known.map_or("an unknown project", |p| &p.project.name);
            Text::new(name, 48)
        });
        if !kept.kind.tells_detections() {
            return Told {
                what: match wants.runs {
                    RunScope::Requests => "how jobs of requests came out".to_owned(),
                    _ => "how jobs came out".to_owned(),
                },
                project,
                when: "at once".to_owned(),
            };
        }
        let kinds = match &wants.kinds {
            None => "everything".to_owned(),
            Some(kinds) => match kinds.as_slice() {
                [only] => Text::new(only, 60).plain().to_owned(),
                kinds => format!("{} kinds", kinds.len()),
            },
        };
        let least = match wants.least {
            runward_store::Severity::Low => String::new(),
            least => format!(", {} and above", least.word()),
        };
        let often = match Every::of(wants.every, hour) {
            Every::Time => "at once",
            Every::Hour => "every hour",
            Every::Day => "every day",
        };
        let quiet = match wants.quiet / hour.max(1) {
            0 => String::new(),
            hours => format!(", the same once in {}", counted(hours, "hour", "hours")),
        };
        Told {
            what: match wants.runs {
                RunScope::None => format!("{kinds}{least}"),
                _ => format!("{kinds}{least}, and how jobs came out"),
            },
            project,
            when: format!("{often}{quiet}"),
        }
    }
}

/// How it goes with a channel.
pub(super) struct HealthCell {
    pub(super) state: Pill,
    pub(super) delivered: Option<Moment>,
    /// When it failed last, and why; only while it does.
    pub(super) failed: Option<(Moment, Text)>,
    pub(super) waiting: Option<String>,
    pub(super) dead: Option<(String, String)>,
    pub(super) held: Option<String>,
}

impl HealthCell {
    pub(super) fn new(shell: &Shell, channel: &Channel, now: Millis) -> HealthCell {
        let health = &channel.health;
        let failing = health.failures > 0;
        let some = |n: i64| (n > 0).then(|| count(n));
        let dead_list = log_address(shell, Some(DeliveryState::Dead), Some(channel.id));
        HealthCell {
            state: Pill::channel(channel.kept.on, failing, health.delivered_at.is_some()),
            delivered: health.delivered_at.map(|at| Moment::ago(at, now)),
            failed: match (health.failed_at, &health.error) {
                (Some(at), Some(error)) if failing => {
                    Some((Moment::ago(at, now), Text::new(error, 200)))
                }
                _ => None,
            },
            waiting: some(health.waiting),
            dead: some(health.dead).map(|n| (n, format!("{dead_list}#log"))),
            held: (health.held > 0)
                .then(|| counted(health.held, "repeat held back", "repeats held back")),
        }
    }
}

impl DeliveryRow {
    fn new(shell: &Shell, row: &Delivery, now: Millis) -> DeliveryRow {
        let again = row.state == DeliveryState::Dead && !row.test && shell.admin;
        DeliveryRow {
            created: Moment::ago(row.created_at, now),
            channel: Text::new(&row.channel_name, 40),
            channel_href: log_of(shell, row.channel),
            what: Text::new(&row.what, 140),
            more: (row.count > 1).then(|| format!("and {} more", count(row.count - 1))),
            severity: (!row.test).then(|| Pill::severity(row.severity.word())),
            outcome: Pill::delivery(row.state, row.test),
            at: match row.state {
                DeliveryState::Waiting => Some(Moment::ago(row.due_at, now)),
                _ => row.ended_at.map(|at| Moment::ago(at, now)),
            },
            attempts: count(row.attempts),
            error: row
                .error
                .as_deref()
                .filter(|_| row.state != DeliveryState::Delivered)
                .map(|error| Text::new(error, 160)),
            again: again.then(|| {
                let id = row.id.to_string();
                shell
                    .at(&["settings", "notifications", "deliveries", &id])
                    .to_string()
            }),
        }
    }
}
