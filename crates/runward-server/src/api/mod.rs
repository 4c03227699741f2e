//! The HTTP API: what `runward_api` says, answered.

mod answers;
mod baselines;
mod caller;
mod identity;
mod notifications;
mod policies;
mod retention;
mod suppressions;

use axum::Router;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, delete, get, patch, post};
use runward_api::{Method, Object, Operation, ROUTES};
use serde::de::DeserializeOwned;

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
        Operation::SendHeartbeat => Answers::Post(post(ingest::heartbeat)),
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
        Operation::ListBaselines => Answers::Get(get(baselines::list)),
        Operation::ShowBaseline => Answers::Get(get(baselines::show)),
        Operation::ListBaselineChanges => Answers::Get(get(baselines::changes)),
        Operation::DecideBaseline => Answers::Post(post(baselines::decide).layer(small())),
        Operation::ShowBaselineSettings => Answers::Get(get(baselines::show_settings)),
        Operation::ChangeBaselineSettings => {
            Answers::Patch(patch(baselines::change_settings).layer(small()))
        }
        Operation::ListAnomalies => Answers::Get(get(baselines::anomalies)),
        Operation::ListIncidents => Answers::Get(get(baselines::incidents)),
        Operation::CreateKey => Answers::Post(post(answers::create_key).layer(small())),
        Operation::RevokeKey => Answers::Delete(delete(answers::revoke_key)),
        Operation::ListMembers => Answers::Get(get(identity::members)),
        Operation::ChangeMember => Answers::Patch(patch(identity::change_member).layer(small())),
        Operation::RemoveMember => Answers::Delete(delete(identity::remove_member)),
        Operation::ShowRetention => Answers::Get(get(retention::show)),
        Operation::ChangeRetention => Answers::Patch(patch(retention::change).layer(small())),
        Operation::ListTrust => Answers::Get(get(identity::trusts)),
        Operation::CreateTrust => Answers::Post(post(identity::create_trust).layer(small())),
        Operation::RemoveTrust => Answers::Delete(delete(identity::remove_trust)),
        Operation::CreateRegistration => Answers::Post(post(identity::create_registration)),
        Operation::RegisterAgent => Answers::Post(post(identity::register_agent).layer(small())),
        Operation::ListChannels => Answers::Get(get(notifications::list)),
        Operation::CreateChannel => Answers::Post(post(notifications::create).layer(small())),
        Operation::ShowChannel => Answers::Get(get(notifications::show)),
        Operation::ChangeChannel => Answers::Patch(patch(notifications::change).layer(small())),
        Operation::RemoveChannel => Answers::Delete(delete(notifications::remove)),
        Operation::TestChannel => Answers::Post(post(notifications::test)),
        Operation::RenewSigningSecret => Answers::Post(post(notifications::renew)),
        Operation::ListDeliveries => Answers::Get(get(notifications::deliveries)),
        Operation::SendAgain => Answers::Post(post(notifications::send_again)),
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

/// A parameter or a query, whose faults are told as problems.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub(crate) struct Path<T>(pub(crate) T);

#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

/// A body, which is an object; and an answer.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Json<T>, Problem> {
        let axum::Json(Object(body)) = axum::Json::from_request(request, state).await?;
        Ok(Json(body))
    }
}

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
