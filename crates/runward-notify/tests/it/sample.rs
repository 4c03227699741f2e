//! Messages with something in them.

use runward_notify::Message;
use runward_store::{Detail, Notification, Parcel, Severity};

/// A moment in August 2026.
pub(crate) const NOW: i64 = 1_785_576_612_000;

pub(crate) fn details(all: &[(&str, &str)]) -> Vec<Detail> {
    let detail = |(name, value): &(&str, &str)| Detail {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
    };
    all.iter().map(detail).collect()
}

pub(crate) fn blocked() -> Notification {
    Notification {
        kind: "outbound-call-blocked".to_owned(),
        severity: Severity::Medium,
        sentence: "collect.evil.example:443 was refused to /usr/bin/curl (pid 812), started by node: no line of the policy allows it".to_owned(),
        at: NOW,
        details: details(&[
            ("destination", "collect.evil.example:443"),
            ("program", "/usr/bin/curl"),
            ("job", "build"),
            ("pipeline", ".github/workflows/ci.yml"),
            ("project", "acme/shop"),
            ("branch", "main"),
            ("actor", "dependabot[bot]"),
        ]),
        link: "/o/main/runs/a77ac4ed000000000000000000000001/detections".to_owned(),
        repeats: 3,
    }
}

pub(crate) fn overwritten() -> Notification {
    Notification {
        kind: "source-code-overwritten".to_owned(),
        severity: Severity::High,
        sentence: "src/checkout.ts was overwritten by /usr/bin/node (pid 640), started by npm"
            .to_owned(),
        details: details(&[
            ("file", "src/checkout.ts"),
            ("program", "/usr/bin/node"),
            ("job", "build"),
            ("project", "acme/shop"),
        ]),
        repeats: 0,
        ..blocked()
    }
}

/// More than any medium tells one by one.
pub(crate) fn many() -> Parcel {
    let numbered = |n: usize| Notification {
        sentence: format!("{n}.example:443 was refused to /usr/bin/curl"),
        repeats: 0,
        ..blocked()
    };
    let first = [overwritten(), blocked()];
    first.into_iter().chain((2..50).map(numbered)).collect()
}

pub(crate) fn message(parcel: &Parcel) -> Message<'_> {
    Message {
        id: "msg_0123456789abcdef_7",
        server: "https://runward.example.com",
        org_slug: "main",
        org_name: "Acme",
        parcel,
        created_at: NOW,
    }
}

pub(crate) fn of(notifications: impl IntoIterator<Item = Notification>) -> Parcel {
    notifications.into_iter().collect()
}
