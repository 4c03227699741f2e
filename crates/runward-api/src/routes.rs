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
    ShowOverview,
    ListProjects,
    ListRuns,
    ShowRun,
    ShowReport,
    ListDestinations,
    ListDetections,
    DecideDetection,
    ListAgents,
    ListKeys,
    CreateKey,
    RevokeKey,
    ListMembers,
    ChangeMember,
    RemoveMember,
    ListTrust,
    CreateTrust,
    RemoveTrust,
    CreateRegistration,
    RegisterAgent,
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
];
