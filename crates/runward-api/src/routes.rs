//! Every address of the API, as data.

/// A method of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "they are HTTP's")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

/// What a key must be good for. People with a session may do what their role may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Nothing: for everybody.
    Public,
    /// Any key.
    AnyKey,
    /// `ingest` or `admin`.
    Ingest,
    /// `read` or `admin`.
    Read,
    /// `admin`.
    Admin,
    /// A token for registering a machine, which is no key.
    Registration,
}

/// What a request does; the server has one function for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the summaries of the routes say it")]
pub enum Operation {
    DescribeApi,
    SendEvents,
    SendHeartbeat,
    ShowOverview,
    ListProjects,
    ListRuns,
    ShowRun,
    ShowReport,
    ListDestinations,
    ListDetections,
    DecideDetection,
    ListSuppressions,
    CreateSuppression,
    PreviewSuppression,
    ShowSuppression,
    EndSuppression,
    ListPolicies,
    CreatePolicy,
    ShowPolicy,
    ChangePolicy,
    ListPolicyVersions,
    ShowPolicyVersion,
    AttachPolicy,
    DetachPolicy,
    TryPolicy,
    ShowEffectivePolicy,
    ArchivePolicy,
    ListBaselines,
    ShowBaseline,
    ListBaselineChanges,
    DecideBaseline,
    ShowBaselineSettings,
    ChangeBaselineSettings,
    ListAnomalies,
    ListIncidents,
    ListAgents,
    ListKeys,
    CreateKey,
    RevokeKey,
    ListMembers,
    ChangeMember,
    RemoveMember,
    ShowRetention,
    ChangeRetention,
    ListTrust,
    CreateTrust,
    RemoveTrust,
    CreateRegistration,
    RegisterAgent,
    ListChannels,
    CreateChannel,
    ShowChannel,
    ChangeChannel,
    RemoveChannel,
    TestChannel,
    RenewSigningSecret,
    ListDeliveries,
    SendAgain,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub about: &'static str,
    /// `string`, `integer` or `boolean`.
    pub kind: &'static str,
    /// Whether it must be there.
    pub required: bool,
}

/// One address with one method.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The address, with its parameters in braces.
    pub path: &'static str,
    /// What it does.
    pub operation: Operation,
    /// That, in words.
    pub summary: &'static str,
    /// Who may.
    pub access: Access,
    /// The query's parameters.
    pub query: &'static [Parameter],
}

const fn text(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        kind: "string",
        required: false,
    }
}

const fn number(name: &'static str, about: &'static str) -> Parameter {
    Parameter {
        name,
        about,
        kind: "integer",
        required: false,
    }
}

const AFTER: Parameter = text("after", "Where the page begins: `next` of the one before.");
const LIMIT: Parameter = number("limit", "Rows of a page: 1 to 200; 50 unless given.");

const fn route(
    method: Method,
    path: &'static str,
    operation: Operation,
    access: Access,
    summary: &'static str,
    query: &'static [Parameter],
) -> Route {
    Route {
        method,
        path,
        operation,
        summary,
        access,
        query,
    }
}

/// Every address. The server makes its router of this, and a test asks each with every kind of credentials.
pub const ROUTES: &[Route] = &[
    route(
        Method::Get,
        "/api/v1/openapi.json",
        Operation::DescribeApi,
        Access::Public,
        "This description.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/runs/{run}/events",
        Operation::SendEvents,
        Access::Ingest,
        "Send events of a run, from one number on without gaps: lines of JSON, packed with zstd. May be sent again.",
        &[
            Parameter {
                name: "first",
                about: "The number of the first event.",
                kind: "integer",
                required: true,
            },
            text("host", "The machine's name."),
        ],
    ),
    route(
        Method::Post,
        "/api/v1/runs/{run}/heartbeat",
        Operation::SendHeartbeat,
        Access::Ingest,
        "Say that a run's agent lives and has no events to send, so that the run is not given up.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/overview",
        Operation::ShowOverview,
        Access::Read,
        "The organisation at a glance.",
        &[number(
            "days",
            "How many days up to now: 1 to 366; 30 unless given.",
        )],
    ),
    route(
        Method::Get,
        "/api/v1/projects",
        Operation::ListProjects,
        Access::Read,
        "Projects, the one with the newest run first.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/runs",
        Operation::ListRuns,
        Access::Read,
        "Runs, newest first.",
        &[
            number("project_id", "Only of this project."),
            text("pipeline", "Only of this pipeline."),
            text("job", "Only of this job."),
            text("branch", "Only of this branch."),
            text("tag", "Only with this tag."),
            number("since_ms", "Not before."),
            number("until_ms", "Before."),
            text(
                "q",
                "With this text in project, pipeline, job, branch, commit or actor.",
            ),
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Get,
        "/api/v1/runs/{run}",
        Operation::ShowRun,
        Access::Read,
        "One run.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/runs/{run}/report",
        Operation::ShowReport,
        Access::Read,
        "All that a run did: the content of its report.json, described by its own schema.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/destinations",
        Operation::ListDestinations,
        Access::Read,
        "Destinations of all runs, the one that was seen last first.",
        &[
            text("q", "With this text."),
            Parameter {
                name: "blocked",
                about: "Only those where something was stopped.",
                kind: "boolean",
                required: false,
            },
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Get,
        "/api/v1/detections",
        Operation::ListDetections,
        Access::Read,
        "Detections, newest first.",
        &[
            text("kind", "Only of this kind."),
            text(
                "status",
                "Only in this state: `new`, `suppressed` or `resolved`.",
            ),
            number("project_id", "Only of this project."),
            text("run", "Only of this run."),
            number("suppression_id", "Only those that this rule hides."),
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Patch,
        "/api/v1/detections/{id}",
        Operation::DecideDetection,
        Access::Admin,
        "Decide about a detection.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/suppressions",
        Operation::ListSuppressions,
        Access::Read,
        "Rules that hide detections, newest first, also those that are over.",
        &[
            text("state", "Only in this state: `live`, `expired` or `ended`."),
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Post,
        "/api/v1/suppressions",
        Operation::CreateSuppression,
        Access::Admin,
        "Make a rule. It hides what it matches of the new detections, and of those that come.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/suppressions/preview",
        Operation::PreviewSuppression,
        Access::Read,
        "What a rule would hide of the new detections. Nothing is kept.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/suppressions/{id}",
        Operation::ShowSuppression,
        Access::Read,
        "One rule.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/suppressions/{id}",
        Operation::EndSuppression,
        Access::Admin,
        "End a rule. It stays listed, and what it alone hid is new again.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/policies",
        Operation::ListPolicies,
        Access::Read,
        "Policies by name, with where each is attached.",
        &[Parameter {
            name: "archived",
            about: "Those that were put away, in place of the others.",
            kind: "boolean",
            required: false,
        }],
    ),
    route(
        Method::Post,
        "/api/v1/policies",
        Operation::CreatePolicy,
        Access::Admin,
        "Keep a policy.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/policies/{id}",
        Operation::ShowPolicy,
        Access::Read,
        "One policy with the text of its newest version.",
        &[],
    ),
    route(
        Method::Patch,
        "/api/v1/policies/{id}",
        Operation::ChangePolicy,
        Access::Admin,
        "Make a new version of a policy.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/policies/{id}/versions",
        Operation::ListPolicyVersions,
        Access::Read,
        "Versions of a policy, newest first.",
        &[AFTER, LIMIT],
    ),
    route(
        Method::Get,
        "/api/v1/policies/{id}/versions/{version}",
        Operation::ShowPolicyVersion,
        Access::Read,
        "One version of a policy with its text.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/policies/{id}/attachments",
        Operation::AttachPolicy,
        Access::Admin,
        "Let a policy hold for the organisation, a project, a pipeline or a job.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/policies/{id}/attachments/{attachment}",
        Operation::DetachPolicy,
        Access::Admin,
        "End that a policy holds for something.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/policies/try",
        Operation::TryPolicy,
        Access::Read,
        "What a policy would have stopped in the newest runs of a scope. Nothing is kept.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/policy",
        Operation::ShowEffectivePolicy,
        Access::AnyKey,
        "The policy that is in effect for a job. A key for one project is told of that project's jobs only.",
        &[
            Parameter {
                name: "provider",
                about: "The CI system: `github`, `gitlab`, …, as events name it.",
                kind: "string",
                required: true,
            },
            Parameter {
                name: "project",
                about: "The project's full name there.",
                kind: "string",
                required: true,
            },
            text("pipeline", "The pipeline."),
            text("job", "The job."),
        ],
    ),
    route(
        Method::Delete,
        "/api/v1/policies/{id}",
        Operation::ArchivePolicy,
        Access::Admin,
        "Put a policy away. Its versions stay.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/baselines",
        Operation::ListBaselines,
        Access::Read,
        "What is normal for jobs, the baseline that changed last first.",
        &[
            number("project_id", "Only of this project."),
            text(
                "state",
                "Only in this state: `creating`, `stable` or `unstable`.",
            ),
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Get,
        "/api/v1/baselines/{id}",
        Operation::ShowBaseline,
        Access::Read,
        "What is normal for the job with this number, and what is new and not answered.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/baselines/{id}/changes",
        Operation::ListBaselineChanges,
        Access::Read,
        "Everything that changed in a baseline, newest first.",
        &[AFTER, LIMIT],
    ),
    route(
        Method::Post,
        "/api/v1/baselines/{id}/decisions",
        Operation::DecideBaseline,
        Access::Admin,
        "Accept or reject something new, or remove something normal.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/baseline-settings",
        Operation::ShowBaselineSettings,
        Access::Read,
        "How baselines are made, and the alert budget.",
        &[],
    ),
    route(
        Method::Patch,
        "/api/v1/baseline-settings",
        Operation::ChangeBaselineSettings,
        Access::Admin,
        "Make baselines in another way, from the next run on.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/runs/{run}/anomalies",
        Operation::ListAnomalies,
        Access::Read,
        "What is not normal in a run, the worst first.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/incidents",
        Operation::ListIncidents,
        Access::Read,
        "The same new thing in several jobs at once, newest first.",
        &[AFTER, LIMIT],
    ),
    route(
        Method::Get,
        "/api/v1/agents",
        Operation::ListAgents,
        Access::Read,
        "Machines that send records.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/keys",
        Operation::ListKeys,
        Access::Admin,
        "Keys, newest first.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/keys",
        Operation::CreateKey,
        Access::Admin,
        "Make a key.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/keys/{id}",
        Operation::RevokeKey,
        Access::Admin,
        "Take a key back.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/members",
        Operation::ListMembers,
        Access::Read,
        "People of the organisation.",
        &[],
    ),
    route(
        Method::Patch,
        "/api/v1/members/{id}",
        Operation::ChangeMember,
        Access::Admin,
        "Give a person another role. The last admin keeps it.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/members/{id}",
        Operation::RemoveMember,
        Access::Admin,
        "Remove a person, and end the person's sessions. The last admin stays.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/retention",
        Operation::ShowRetention,
        Access::Read,
        "How long things are kept.",
        &[],
    ),
    route(
        Method::Patch,
        "/api/v1/retention",
        Operation::ChangeRetention,
        Access::Admin,
        "Keep them for another time. What is older than a shorter term is deleted, at once and for good.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/trust",
        Operation::ListTrust,
        Access::Read,
        "Projects whose jobs may send records by their CI system's tokens.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/trust",
        Operation::CreateTrust,
        Access::Admin,
        "Trust the jobs of a project, or of all projects of a group.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/trust/{id}",
        Operation::RemoveTrust,
        Access::Admin,
        "Trust them no longer.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/registrations",
        Operation::CreateRegistration,
        Access::Admin,
        "Make a token with which one machine gets a key, within an hour.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/agents/register",
        Operation::RegisterAgent,
        Access::Registration,
        "Exchange such a token for a key of the machine's own, which may send records.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/notifications/channels",
        Operation::ListChannels,
        Access::Read,
        "Where people are told, by name, and how it goes.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/notifications/channels",
        Operation::CreateChannel,
        Access::Admin,
        "Make a channel. The signing secret of a webhook is told this once.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/notifications/channels/{id}",
        Operation::ShowChannel,
        Access::Read,
        "One channel.",
        &[],
    ),
    route(
        Method::Patch,
        "/api/v1/notifications/channels/{id}",
        Operation::ChangeChannel,
        Access::Admin,
        "Change what is named of a channel; the rest stays as it is.",
        &[],
    ),
    route(
        Method::Delete,
        "/api/v1/notifications/channels/{id}",
        Operation::RemoveChannel,
        Access::Admin,
        "Remove a channel, and give up what waits for it.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/notifications/channels/{id}/test",
        Operation::TestChannel,
        Access::Admin,
        "Send a test to a channel, now, and say what came of it.",
        &[],
    ),
    route(
        Method::Post,
        "/api/v1/notifications/channels/{id}/secret",
        Operation::RenewSigningSecret,
        Access::Admin,
        "Give a webhook another signing secret. Messages are signed with the last one as well, until the next is made.",
        &[],
    ),
    route(
        Method::Get,
        "/api/v1/notifications/deliveries",
        Operation::ListDeliveries,
        Access::Read,
        "Messages to channels, newest first, with what became of them.",
        &[
            number("channel_id", "Only to this channel."),
            text(
                "state",
                "Only in this state: `waiting`, `delivered` or `dead`.",
            ),
            AFTER,
            LIMIT,
        ],
    ),
    route(
        Method::Post,
        "/api/v1/notifications/deliveries/{id}/again",
        Operation::SendAgain,
        Access::Admin,
        "Send a message again that was given up, under the same id.",
        &[],
    ),
];
