//! The HTTP API: what `runward_api` says, answered.

mod answers;
mod caller;
mod identity;
mod policies;
mod suppressions;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, delete, get, patch, post};
use runward_api::{Method, Operation, ROUTES};

use crate::app::App;
use crate::ingest;
use crate::problem::Problem;
pub(crate) use caller::{AdminKey, Caller, ReadKey};

/// Bytes of a body that is JSON.
const JSON_MAX: usize = 64 << 10;

/// Bytes of one that has a policy in it: JSON may write a byte in six.
const POLICY_JSON_MAX: usize = 6 * crate::policy::TEXT_MAX + JSON_MAX;

/// Every address of the API.
pub(crate) fn router() -> Router<App> {
    ROUTES.iter().fold(Router::new(), |router, route| {
        let answers = operation(route.operation);
        // The table and the functions can't drift apart unseen: each function is for one method.
        router.route(route.path, on(route.method, answers))
    })
}

/// What answers, for whichever method.
enum Answers {
    Get(MethodRouter<App>),
    Post(MethodRouter<App>),
    Patch(MethodRouter<App>),
    Delete(MethodRouter<App>),
}

fn operation(operation: Operation) -> Answers {
    let small = || DefaultBodyLimit::max(JSON_MAX);
    let policy = || DefaultBodyLimit::max(POLICY_JSON_MAX);
    match operation {
        Operation::DescribeApi => Answers::Get(get(answers::describe)),
        Operation::SendEvents => Answers::Post(post(ingest::receive)),
        Operation::ShowOverview => Answers::Get(get(answers::overview)),
        Operation::ListProjects => Answers::Get(get(answers::projects)),
        Operation::ListRuns => Answers::Get(get(answers::runs)),
        Operation::ShowRun => Answers::Get(get(answers::run)),
        Operation::ShowReport => Answers::Get(get(answers::report)),
        Operation::ListDestinations => Answers::Get(get(answers::destinations)),
        Operation::ListDetections => Answers::Get(get(answers::detections)),
        Operation::DecideDetection => Answers::Patch(patch(answers::decide).layer(small())),
        Operation::ListSuppressions => Answers::Get(get(suppressions::list)),
        Operation::CreateSuppression => Answers::Post(post(suppressions::create).layer(small())),
        Operation::PreviewSuppression => Answers::Post(post(suppressions::preview).layer(small())),
        Operation::ShowSuppression => Answers::Get(get(suppressions::show)),
        Operation::EndSuppression => Answers::Delete(delete(suppressions::end)),
        Operation::ListPolicies => Answers::Get(get(policies::list)),
        Operation::CreatePolicy => Answers::Post(post(policies::create).layer(policy())),
        Operation::ShowPolicy => Answers::Get(get(policies::show)),
        Operation::ChangePolicy => Answers::Patch(patch(policies::change).layer(policy())),
        Operation::ListPolicyVersions => Answers::Get(get(policies::versions)),
        Operation::ShowPolicyVersion => Answers::Get(get(policies::version)),
        Operation::AttachPolicy => Answers::Post(post(policies::attach).layer(small())),
        Operation::DetachPolicy => Answers::Delete(delete(policies::detach)),
        Operation::TryPolicy => Answers::Post(post(policies::attempt).layer(policy())),
        Operation::ShowEffectivePolicy => Answers::Get(get(policies::effective)),
        Operation::ArchivePolicy => Answers::Delete(delete(policies::archive)),
        Operation::ListAgents => Answers::Get(get(answers::agents)),
        Operation::ListKeys => Answers::Get(get(answers::keys)),
        Operation::CreateKey => Answers::Post(post(answers::create_key).layer(small())),
        Operation::RevokeKey => Answers::Delete(delete(answers::revoke_key)),
        Operation::ListMembers => Answers::Get(get(identity::members)),
        Operation::ChangeMember => Answers::Patch(patch(identity::change_member).layer(small())),
        Operation::RemoveMember => Answers::Delete(delete(identity::remove_member)),
        Operation::ListTrust => Answers::Get(get(identity::trusts)),
        Operation::CreateTrust => Answers::Post(post(identity::create_trust).layer(small())),
        Operation::RemoveTrust => Answers::Delete(delete(identity::remove_trust)),
        Operation::CreateRegistration => Answers::Post(post(identity::create_registration)),
        Operation::RegisterAgent => Answers::Post(post(identity::register_agent).layer(small())),
    }
}

fn on(method: Method, answers: Answers) -> MethodRouter<App> {
    match (method, answers) {
        (Method::Get, Answers::Get(router))
        | (Method::Post, Answers::Post(router))
        | (Method::Patch, Answers::Patch(router))
        | (Method::Delete, Answers::Delete(router)) => router,
        // Answers every method with 405; a test asks for all of them.
        _ => MethodRouter::new(),
    }
}

/// A parameter, a query or a body, whose faults are told as problems.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Json<T>(pub(crate) T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Problem {
        match rejection.status() {
            StatusCode::BAD_REQUEST => Problem::missing("address"),
            _ => Problem::bad(rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Problem {
        Problem::bad(rejection.body_text())
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Problem {
        Problem::new(
            rejection.status(),
            "the request can't be read",
            rejection.body_text(),
        )
    }
}
