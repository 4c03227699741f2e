//! Channels of notifications, and the log of messages to them.

use runward_report::text::visible;
use runward_store::{
    Channel, ChannelKind, Delivery, DeliveryState, Health, MessageBody, NewChannel, OrgId,
    ProjectId, RunScope, Severity, Wants,
};

use super::{DAY, HOUR, Kind, MINUTE, NOW};

/// One of each kind, in each state.
pub(crate) fn channels(kind: Kind) -> Vec<Channel> {
    let wants = |project: Option<i64>, kinds: Option<Vec<String>>, least, every, quiet| Wants {
        project: project.map(ProjectId),
        kinds,
        least,
        every,
        quiet,
        runs: RunScope::None,
    };
    // What stands in a form again is bounded where it comes in.
    let name = |ordinary: &str| -> String {
        let name = kind.text(ordinary);
        visible(&name).chars().take(100).collect()
    };
    let channel = |id, of: ChannelKind, called: &str, target: &str, wants| Channel {
        id,
        org: OrgId(1),
        uid: "0123456789abcdef".to_owned(),
        kept: NewChannel {
            name: name(called),
            kind: of,
            target: match of {
                ChannelKind::Email => target.to_owned(),
                _ => kind.text(target),
            },
            secret: None,
            body: MessageBody::Envelope,
            neutral: false,
            wants,
            on: true,
        },
        created_by: kind.text("admin@northwind.example"),
        created_at: NOW - 20 * DAY,
        health: Health {
            delivered_at: Some(NOW - 4 * MINUTE),
            ..Health::default()
        },
    };
    let all = || wants(None, None, Severity::Low, 0, 24 * HOUR);
    let call = Some(vec!["outbound-call-blocked".to_owned()]);
    let mut channels = vec![
        channel(
            1,
            ChannelKind::Email,
            "Security team",
            "security@northwind.example, oncall@northwind.example",
            wants(None, None, Severity::Low, 24 * HOUR, 0),
        ),
        channel(
            2,
            ChannelKind::Slack,
            "#alerts",
            "hooks.slack.com …a1B2",
            all(),
        ),
        channel(
            3,
            ChannelKind::SlackBot,
            "#shop-builds",
            "#shop-builds …9f3c",
            wants(Some(1), None, Severity::High, 0, HOUR),
        ),
        channel(
            4,
            ChannelKind::Teams,
            "Platform",
            "prod-12.westeurope.logic.azure.com …Qx0k",
            wants(None, call, Severity::Medium, HOUR, 0),
        ),
        channel(
            5,
            ChannelKind::Webhook,
            "Tickets",
            "tickets.northwind.example …hook",
            all(),
        ),
        channel(
            6,
            ChannelKind::GithubCheck,
            "Pull requests",
            "api.github.com app 123456",
            Wants {
                runs: RunScope::Requests,
                ..wants(Some(1), None, Severity::Low, 0, 0)
            },
        ),
        channel(
            7,
            ChannelKind::GitlabStatus,
            "Commits",
            "gitlab.com …4f2a",
            Wants {
                runs: RunScope::All,
                ..wants(None, None, Severity::Low, 0, 0)
            },
        ),
    ];
    channels[1].health = Health {
        delivered_at: Some(NOW - 2 * DAY),
        failed_at: Some(NOW - 40_000),
        error: Some(kind.text("it answered 404: no_service")),
        failures: 9,
        waiting: 12,
        dead: 3,
        held: 41,
    };
    channels[3].health = Health::default();
    channels[4].kept.on = false;
    channels
}

/// Messages in each state.
pub(crate) fn deliveries(kind: Kind) -> Vec<Delivery> {
    let delivery = |id, state, what: &str| Delivery {
        id,
        channel: 2,
        channel_name: kind.text("#alerts"),
        state,
        test: false,
        severity: Severity::Medium,
        what: kind.text(what),
        count: 1,
        created_at: NOW - id * MINUTE,
        due_at: NOW + 3 * MINUTE,
        attempts: 1,
        attempted_at: Some(NOW - id * MINUTE),
        ended_at: (state != DeliveryState::Waiting).then_some(NOW - id * MINUTE),
        error: None,
    };
    let call =
        "collect.telemetry.example:443 was refused to /usr/bin/node (pid 812), started by npm";
    vec![
        Delivery {
            attempts: 4,
            error: Some(kind.text("it answered 503")),
            ..delivery(1, DeliveryState::Waiting, call)
        },
        Delivery {
            test: true,
            ..delivery(
                2,
                DeliveryState::Delivered,
                "This is a test of the channel “#alerts” by admin: nothing has happened",
            )
        },
        Delivery {
            severity: Severity::High,
            count: 8,
            ..delivery(
                3,
                DeliveryState::Delivered,
                "src/checkout.ts was overwritten by /usr/bin/node",
            )
        },
        Delivery {
            attempts: 8,
            error: Some(kind.text("it answered 404: no_service")),
            ..delivery(4, DeliveryState::Dead, call)
        },
        Delivery {
            test: true,
            error: Some(kind.text("there is no connection: connection refused")),
            ..delivery(
                5,
                DeliveryState::Dead,
                "This is a test of the channel “#alerts” by admin: nothing has happened",
            )
        },
    ]
}
