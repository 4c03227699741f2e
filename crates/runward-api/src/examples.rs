//! What requests may say, as examples: values of the types themselves, so that they can't come to differ.

use crate::baseline::{BaselineDecision, BaselineSettingsChange, BaselineVerdict};
use crate::notification::{
    ChannelChange, ChannelKind, ChannelPace, NewChannel, Severity, WebhookBody,
};
use crate::policy::{NewPolicy, PolicyChange, PolicyScope, PolicyTrial};
use crate::retention::RetentionChange;
use crate::suppression::{Matches, NewSuppression};
use crate::types::{Decision, MemberChange, NewAgent, NewApiKey, NewTrust, Role, Scope, Verdict};

const POLICY: &str = "egress-policy: block\nallowed-endpoints:\n  - packages.example.com:443\n";

pub(crate) fn agent() -> NewAgent {
    NewAgent {
        host: "runner-1".to_owned(),
    }
}

pub(crate) fn baseline_decision() -> BaselineDecision {
    BaselineDecision {
        key: "place|packages.example.com:443".to_owned(),
        verdict: BaselineVerdict::Accept,
    }
}

pub(crate) fn baseline_settings() -> BaselineSettingsChange {
    BaselineSettingsChange {
        runs_per_alert: Some(500),
        ..BaselineSettingsChange::default()
    }
}

pub(crate) fn change() -> PolicyChange {
    PolicyChange {
        version: 1,
        text: POLICY.to_owned(),
        note: "packages come from the mirror".to_owned(),
    }
}

pub(crate) fn channel() -> NewChannel {
    NewChannel {
        name: "security".to_owned(),
        kind: ChannelKind::Webhook,
        to: Vec::new(),
        url: Some("https://hooks.example.com/runward".to_owned()),
        token: None,
        slack_channel: None,
        app_id: None,
        app_key: None,
        header: None,
        bucket: None,
        region: None,
        access_key_id: None,
        secret_access_key: None,
        runs: None,
        neutral: false,
        project_id: None,
        kinds: None,
        least_severity: Severity::default(),
        pace: ChannelPace::default(),
        quiet_hours: Some(24),
        body: WebhookBody::default(),
        on: true,
    }
}

pub(crate) fn channel_change() -> ChannelChange {
    ChannelChange {
        on: Some(false),
        ..ChannelChange::default()
    }
}

pub(crate) fn decision() -> Decision {
    Decision {
        status: Verdict::Resolved,
        comment: Some("the formatter of the release".to_owned()),
    }
}

pub(crate) fn key() -> NewApiKey {
    NewApiKey {
        name: "dashboards".to_owned(),
        scope: Scope::Read,
        project_id: None,
    }
}

pub(crate) fn matches() -> Matches {
    Matches {
        project: Some("acme/*".to_owned()),
        host: Some("*.example.com".to_owned()),
        ..Matches::default()
    }
}

pub(crate) fn member() -> MemberChange {
    MemberChange {
        role: Role::Auditor,
    }
}

pub(crate) fn policy() -> NewPolicy {
    NewPolicy {
        name: "builds".to_owned(),
        text: POLICY.to_owned(),
        note: String::new(),
    }
}

pub(crate) fn retention() -> RetentionChange {
    RetentionChange {
        events_days: Some(Some(14)),
        ..RetentionChange::default()
    }
}

pub(crate) fn scope() -> PolicyScope {
    PolicyScope {
        project_id: Some(1),
        ..PolicyScope::default()
    }
}

pub(crate) fn suppression() -> NewSuppression {
    NewSuppression {
        name: "our mirror".to_owned(),
        matches: matches(),
        reason: "the scanner asks it for news of itself".to_owned(),
        expires_at_ms: None,
    }
}

pub(crate) fn trial() -> PolicyTrial {
    PolicyTrial {
        text: POLICY.to_owned(),
        scope: scope(),
        runs: Some(20),
    }
}

pub(crate) fn trust() -> NewTrust {
    NewTrust {
        issuer: "https://gitlab.com".to_owned(),
        pattern: "acme/*".to_owned(),
    }
}
