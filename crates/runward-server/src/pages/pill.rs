//! Short words with a colour: what a person sees first in a row. The word says it all; the colour only helps.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_event::{Mode, Status, Tier};
use runward_report::text::clipped;
use runward_store::{
    BaselineState, DeliveryState, DetectionStatus, KeyScope, Role, RunState, SuppressionState, Tag,
    Visibility,
};

/// A word with a colour, and a sentence for those who want to know more.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<span class="pill {{ tone }}"{% if !title.is_empty() %} title="{{ title }}"{% endif %}>{{ label }}</span>"#
)]
pub(crate) struct Pill {
    tone: &'static str,
    label: String,
    title: &'static str,
}

/// The template above escapes its texts.
impl HtmlSafe for Pill {}

impl Pill {
    fn new(tone: &'static str, label: &str, title: &'static str) -> Pill {
        Pill {
            tone,
            label: label.to_owned(),
            title,
        }
    }

    pub(crate) fn state(state: RunState) -> Pill {
        match state {
            RunState::Running => Pill::new("live", "running", "Events still come."),
            RunState::Finished => Pill::new(
                "plain",
                "finished",
                "The record reaches to the end of the job.",
            ),
            RunState::Silent => Pill::new(
                "warn",
                "silent",
                "Nothing has come for so long that nothing is expected any more: the record is incomplete.",
            ),
        }
    }

    /// A mode that is in force.
    pub(crate) fn mode(mode: Option<Mode>) -> Pill {
        match mode {
            Some(Mode::Block) => Pill::new(
                "good",
                "block",
                "What the policy does not allow was stopped.",
            ),
            Some(Mode::Audit) => Pill::new("plain", "audit", "Recorded only: nothing was stopped."),
            None => Pill::new("warn", "mode unknown", "The record lacks its beginning."),
        }
    }

    /// A mode that a policy asks for.
    pub(crate) fn asked_mode(mode: Mode) -> Pill {
        match mode {
            Mode::Block => Pill::new("good", "block", "What it does not allow is stopped."),
            Mode::Audit => Pill::new("plain", "audit", "What it does not allow is recorded."),
        }
    }

    pub(crate) fn tag(tag: Tag) -> Pill {
        match tag {
            Tag::BlockedCall => Pill::new("alarm", "blocked call", "The fence stopped something."),
            Tag::NewDestination => Pill::new(
                "info",
                "new destination",
                "It went where no earlier run of the job went.",
            ),
            Tag::OverwrittenFile => Pill::new(
                "alarm",
                "source code overwritten",
                "A source file was overwritten that the job does not always overwrite.",
            ),
            Tag::Terminated => Pill::new(
                "alarm",
                "terminated",
                "The job was ended because of an attack.",
            ),
            Tag::Loss => Pill::new(
                "warn",
                "events lost",
                "Events were lost: the record has holes.",
            ),
            Tag::NotMonitored => Pill::new("warn", "not monitored", "The job was not watched."),
            Tag::Anomalous => Pill::new(
                "alarm",
                "anomalous",
                "It did what is not normal for the job.",
            ),
        }
    }

    pub(crate) fn status(status: Status) -> Pill {
        match status {
            Status::Allowed => Pill::new("quiet", "allowed", ""),
            Status::Blocked => Pill::new("alarm", "blocked", ""),
            Status::Anomalous => Pill::new(
                "warn",
                "anomalous",
                "It went ahead, and is new for this job.",
            ),
        }
    }

    /// `low`, `medium`, `high`, `critical`; another word, which only a newer version can have written, stays plain.
    pub(crate) fn severity(severity: &str) -> Pill {
        let tone = match severity {
            "critical" | "high" => "alarm",
            "medium" => "warn",
            _ => "plain",
        };
        Pill {
            tone,
            label: clipped(severity, 20),
            title: "",
        }
    }

    pub(crate) fn detection(status: DetectionStatus) -> Pill {
        match status {
            DetectionStatus::New => Pill::new("info", "new", "Nobody has decided about it yet."),
            DetectionStatus::Suppressed => {
                Pill::new("quiet", "suppressed", "A suppression rule hides it.")
            }
            DetectionStatus::Resolved => {
                Pill::new("good", "resolved", "Somebody has dealt with it.")
            }
        }
    }

    /// Whether somebody was told of something that is not normal.
    pub(crate) fn disposition(disposition: &str) -> Pill {
        match disposition {
            "alert" => Pill::new("alarm", "alert", "Somebody was told."),
            "known" => Pill::new(
                "warn",
                "known",
                "Somebody was told of the same thing before.",
            ),
            _ => Pill::new("plain", "news", "New, and to be expected: nobody was told."),
        }
    }

    pub(crate) fn baseline(state: BaselineState) -> Pill {
        match state {
            BaselineState::Creating => Pill::new(
                "plain",
                "creating",
                "Too few runs: what is new becomes normal, and alerts nobody.",
            ),
            BaselineState::Stable => Pill::new(
                "good",
                "stable",
                "It raises no more false alerts than was asked for.",
            ),
            BaselineState::Unstable => Pill::new(
                "warn",
                "unstable",
                "It may raise more false alerts than was asked for. It alerts all the same.",
            ),
        }
    }

    pub(crate) fn suppression(state: SuppressionState) -> Pill {
        match state {
            SuppressionState::Live => Pill::new("good", "live", "It hides what fits it."),
            SuppressionState::Expired => Pill::new("quiet", "expired", "Its last day is over."),
            SuppressionState::Ended => Pill::new("quiet", "ended", "Somebody ended it."),
        }
    }

    /// How it goes with a channel.
    pub(crate) fn channel(on: bool, failing: bool, delivered: bool) -> Pill {
        match (on, failing, delivered) {
            (false, _, _) => Pill::new("quiet", "off", "It is told nothing."),
            (true, true, _) => Pill::new("alarm", "failing", "The last message did not arrive."),
            (true, false, true) => Pill::new("good", "works", "The last message arrived."),
            (true, false, false) => Pill::new("plain", "on", "Nothing was sent to it yet."),
        }
    }

    /// What has become of a message, or of a test, which is not tried again.
    pub(crate) fn delivery(state: DeliveryState, test: bool) -> Pill {
        match (state, test) {
            (DeliveryState::Waiting, _) => {
                Pill::new("info", "waiting", "It is tried at the time that is named.")
            }
            (DeliveryState::Delivered, true) => Pill::new("good", "test taken", ""),
            (DeliveryState::Delivered, false) => Pill::new("good", "delivered", ""),
            (DeliveryState::Dead, true) => Pill::new("warn", "test failed", ""),
            (DeliveryState::Dead, false) => {
                Pill::new("alarm", "given up", "It is not tried any more.")
            }
        }
    }

    pub(crate) fn tier(tier: Option<Tier>) -> Pill {
        match tier {
            Some(Tier::A) => Pill::new(
                "plain",
                "tier A",
                "Bad acts on files, memory and the agent can be prevented.",
            ),
            Some(Tier::B) => Pill::new(
                "plain",
                "tier B",
                "Bad acts are detected; the fence on the network holds all the same.",
            ),
            None => Pill::new("warn", "tier unknown", "The record lacks its beginning."),
        }
    }

    pub(crate) fn visibility(visibility: Visibility) -> Pill {
        match visibility {
            Visibility::Public => Pill::new("info", "public", "Everybody may read its runs."),
            Visibility::Private => Pill::new(
                "quiet",
                "private",
                "Members of the organisation may read its runs.",
            ),
        }
    }

    pub(crate) fn role(role: Role) -> Pill {
        match role {
            Role::Admin => Pill::new("info", "admin", "May do everything."),
            Role::Auditor => Pill::new("plain", "auditor", "Reads everything."),
        }
    }

    pub(crate) fn scope(scope: KeyScope) -> Pill {
        match scope {
            KeyScope::Ingest => Pill::new("plain", "ingest", "To send records."),
            KeyScope::Read => Pill::new("info", "read", "To read everything of the organisation."),
            KeyScope::Admin => Pill::new("warn", "admin", "To do what an admin may."),
        }
    }
}

/// What a mode is called.
pub(crate) fn mode_name(mode: Option<Mode>) -> &'static str {
    match mode {
        Some(Mode::Block) => "block",
        Some(Mode::Audit) => "audit",
        None => "unknown",
    }
}

/// The mode that was asked for, if another one was in force.
pub(crate) fn weakened(requested: Option<Mode>, effective: Option<Mode>) -> Option<&'static str> {
    (requested.is_some() && requested != effective).then(|| mode_name(requested))
}
